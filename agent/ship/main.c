// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - egret-ship: as egretd's child, or by hand
 *
 * egretd's child gets what it needs as descriptors: the socket pair, its setup as JSON text, the
 * spool's directory and that of the cursors. So it needs no way to any of them by name, and reads no
 * file of the configuration. The working directory is the spool.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/json_memory.h"
#include "../lib/log.h"
#include "../lib/ship_setup.h"
#include "ship.h"
#include "ship_jail.h"

#define CONFIG_FILE "/etc/egret/egret.json"
#define EXIT_FAILED 1
#define EXIT_USAGE  2

static const char help[] =
	"egret-ship delivers the events of egretd to where they are kept: files, syslog, Splunk, Elasticsearch,\n"
	"OpenTelemetry, Loki, webhooks. egretd starts it when its configuration has \"sinks\".\n"
	"\n"
	"Usage: egret-ship [--config FILE]\n"
	"\n"
	"  --config FILE  by hand, without egretd: sinks, log_dir, state_dir and ship_user of this file;\n"
	"                 default " CONFIG_FILE "\n"
	"  --help, --version\n";

struct setup {
	json_t *json; /* owns the texts */
	struct eg_sinks_config sinks;
	struct eg_sinks_config routes;
	const char *host;
	uint32_t uid;
	uint32_t gid;
	int spool_fd;
	int cursor_fd;
	int control_fd;
};

static int fail(const char *what, const char *why)
{
	eg_log_err("egret-ship: %s: %s", what, why);
	return EXIT_FAILED;
}

/* ---- Setup by egretd -------------------------------------------------------------------------- */

static int setup_of_child(struct setup *setup)
{
	setup->control_fd = EG_SHIP_CONTROL_FD;
	setup->spool_fd = EG_SHIP_SPOOL_FD;
	setup->cursor_fd = EG_SHIP_CURSOR_FD;
	setup->json = eg_child_setup_read(&setup->uid, &setup->gid);
	return setup->json ? 0 : fail("setup", "egretd gave none that can be read");
}

/* ---- Setup by hand ---------------------------------------------------------------------------------- */

static const char *text_or(const json_t *config, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(config, key));

	return text ? text : otherwise;
}

static int find_user(struct setup *setup, const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (getuid() != 0) { /* a unit of its own has chosen already */
		setup->uid = getuid();
		setup->gid = getgid();
		return 0;
	}
	if (!user)
		return fail(name, "there is no such user: make it, or set ship_user");
	setup->uid = user->pw_uid;
	setup->gid = user->pw_gid;
	return 0;
}

static int open_dirs(struct setup *setup)
{
	const char *log_dir = text_or(setup->json, "log_dir", "/var/log/egret");
	const char *state_dir = text_or(setup->json, "state_dir", "/var/lib/egret");
	char cursors[PATH_MAX];

	snprintf(cursors, sizeof(cursors), "%s/" EG_SHIP_CURSOR_DIR, state_dir);
	setup->spool_fd = open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (setup->spool_fd < 0)
		return fail(log_dir, strerror(errno));
	if (mkdir(cursors, 0700) && errno != EEXIST)
		return fail(cursors, strerror(errno));
	setup->cursor_fd = open(cursors, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (setup->cursor_fd < 0)
		return fail(cursors, strerror(errno));
	if (getuid() == 0 && fchown(setup->cursor_fd, setup->uid, setup->gid))
		return fail(cursors, strerror(errno));
	return 0;
}

static int setup_by_hand(struct setup *setup, const char *file)
{
	json_error_t bad;

	setup->control_fd = -1;
	setup->json = json_load_file(file, JSON_REJECT_DUPLICATES, &bad);
	if (!json_is_object(setup->json))
		return fail(file, setup->json ? "this is no JSON object" : bad.text);
	if (find_user(setup, text_or(setup->json, "ship_user", "egret")))
		return EXIT_FAILED;
	return open_dirs(setup);
}

static int read_sinks(struct setup *setup, const char *place)
{
	static char host[HOST_NAME_MAX + 1];
	json_t *none = json_array(), *sinks = json_object_get(setup->json, "sinks");
	json_t *routes = json_object_get(setup->json, "routes");
	struct eg_error err = {0};
	int r = eg_sinks_config_parse(place, sinks ? sinks : none, &setup->sinks, &err);

	if (!r)
		r = eg_routes_config_parse(place, routes ? routes : none, &setup->routes, &err);
	json_decref(none);
	if (r) {
		eg_log_err("egret-ship: %s", err.message[0] ? err.message : strerror(-r));
		eg_error_clear(&err);
		return EXIT_FAILED;
	}
	gethostname(host, sizeof(host) - 1);
	setup->host = text_or(setup->json, "host", host);
	return 0;
}

/* ---- Running ------------------------------------------------------------------------------------------ */

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct setup *setup)
{
	struct eg_ship_config config = {
		.spool_dir = ".", .cursor_fd = setup->cursor_fd, .host = setup->host, .sinks = &setup->sinks,
		.routes = &setup->routes, .control_fd = setup->control_fd,
	};
	int r;

	if (fchdir(setup->spool_fd))
		return fail("the spool's directory", strerror(errno));
	close(setup->spool_fd);
	/* Both read files of the host that are out of reach, or out of the allow-list, later. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return fail("libcurl", "can't be used");
	tzset();
	config.signal_fd = open_signals();
	if (config.signal_fd < 0)
		return fail("signals", strerror(errno));
	r = eg_ship_jail(setup->uid, setup->gid);
	if (r)
		return fail("privileges can't be given up", r == -EPERM ? "the user must not be root" : strerror(-r));
	r = eg_ship_run(&config);
	if (r == -EALREADY)
		return fail("cursors", "another egret-ship uses them: egretd starts one itself");
	curl_global_cleanup();
	return r ? fail("can't run", strerror(-r)) : 0;
}

int main(int argc, char **argv)
{
	struct setup setup = {.spool_fd = -1, .cursor_fd = -1, .control_fd = -1};
	const char *file = CONFIG_FILE;
	int status;

	umask(027);
	eg_json_memory();
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0;
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("egret-ship %s\n", EG_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], EG_CHILD_FLAG) == 0) {
		file = "egretd";
		status = setup_of_child(&setup);
	} else if (argc == 1 || (argc == 3 && strcmp(argv[1], "--config") == 0)) {
		file = argc == 3 ? argv[2] : file;
		status = setup_by_hand(&setup, file);
	} else {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (!status)
		status = read_sinks(&setup, file);
	if (!status)
		status = run(&setup);
	eg_sinks_config_free(&setup.sinks);
	eg_sinks_config_free(&setup.routes);
	json_decref(setup.json);
	return status;
}

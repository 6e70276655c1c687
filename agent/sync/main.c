// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - egret-sync: keeps this host's policies and kills as the control plane wants them
 *
 * Started by egretd, as root, with what setup.h says. It reads the files of secrets that the
 * configuration names, and nothing else, then becomes its user for good: what comes from the network, and
 * what was in those files, is parsed after that. It ends when egretd does; nothing that is in force depends on it.
 */
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../lib/json_memory.h"
#include "../lib/log.h"
#include "setup.h"
#include "source.h"
#include "sync_jail.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* At any moment: what is durable is the agent's, and last-good.json is replaced whole. */
static void on_term(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void set_signals(void)
{
	struct sigaction action = {.sa_handler = on_term};
	sigset_t none;

	sigemptyset(&none);
	(void)sigaction(SIGTERM, &action, NULL); /* of signals that there are */
	(void)sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int fail(const struct eg_error *err)
{
	eg_log_err("egret-sync: %s", err->message[0] ? err->message : "out of memory");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	static struct eg_sync sync;
	struct eg_error err = {0};
	uint32_t uid, gid;
	json_t *setup;
	int r;

	eg_json_memory();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("egret-sync %s\n", EG_VERSION);
		return 0;
	}
	if (argc != 2 || strcmp(argv[1], EG_CHILD_FLAG) != 0) {
		fputs("egret-sync is started by egretd; see egret-sync(8)\n", stderr);
		return EXIT_USAGE;
	}
	(void)prctl(PR_SET_NAME, EG_SYNC_NAME, 0, 0, 0);
	set_signals();
	setup = eg_child_setup_read(&uid, &gid);
	if (!setup) {
		eg_log_err("egret-sync: its setup can't be read");
		return EXIT_FAILED;
	}
	if (eg_sync_open(&sync, setup, &err) < 0)
		return fail(&err);
	json_decref(setup);
	r = eg_sync_jail(uid, gid);
	if (r < 0) {
		eg_log_err("egret-sync: its privileges can't be dropped: %s", strerror(-r));
		return EXIT_FAILED;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	r = sync.control->source == EG_CONTROL_ETCD ? eg_source_etcd_run(&sync) : eg_source_https_run(&sync);
	if (r == -EPIPE)
		return 0;
	eg_log_err("egret-sync: %s", strerror(-r));
	return EXIT_FAILED;
}

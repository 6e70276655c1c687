// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_lookup.c - whether names are looked up where the kernel sees it
 *
 * A rule with names lets an app reach the addresses in answers to the app's own DNS queries. A
 * look-up that somebody else makes for it (nss-resolve and nscd over their Unix sockets) works,
 * grants nothing, and ends in a denied connection. The files looked at may be an app's own (--root),
 * so no link leads out of that directory, and nothing that is there is waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "cli.h"
#include "doctor.h"

#define TEXT_MAX 65536
#define GRANTS_NOTHING "such an answer grants nothing, so that the app is denied the address (no_grant)"

static int open_below(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (__u64)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The beginning of a regular file. -errno. */
static int read_below(int root, const char *path, char *ret, size_t size)
{
	EG_CLOSE int fd = open_below(root, path, O_RDONLY | O_NONBLOCK);
	size_t used = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	while (used < size - 1 && (n = read(fd, ret + used, size - 1 - used)) != 0) {
		if (n < 0)
			return -errno;
		used += (size_t)n;
	}
	ret[used] = '\0';
	return 0;
}

/* What follows the key in the next line that begins with it; NULL: none. Moves *rest behind that line. */
static char *next_line(char **rest, const char *key)
{
	for (char *line = strsep(rest, "\n"); line; line = strsep(rest, "\n")) {
		line[strcspn(line, "#")] = '\0';
		line += strspn(line, " \t");
		if (strncmp(line, key, strlen(key)) == 0)
			return line + strlen(key);
	}
	return NULL;
}

/* ---- nsswitch.conf ------------------------------------------------------------------------- */

/* Sources that answer for this host and its link alone, so for no name that a policy would have. */
static bool local_only(const char *source)
{
	static const char *const sources[] = {"files",	      "myhostname",	 "mymachines",
					      "mdns_minimal", "mdns4_minimal", "mdns6_minimal"};

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strcmp(source, sources[i]) == 0)
			return true;
	return false;
}

/* Sources before "dns" that may answer in its place, with blanks between them. False: there is no "dns". */
static bool before_dns(char *sources, char *ret, size_t size)
{
	char *save = NULL;
	bool action = false;
	size_t used = 0;

	ret[0] = '\0';
	for (char *word = strtok_r(sources, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		bool begins = word[0] == '['; /* [!UNAVAIL=return]: may have blanks inside */

		if (begins || action) {
			action = !strchr(word, ']');
			continue;
		}
		if (strcmp(word, "dns") == 0)
			return true;
		if (local_only(word) || used >= size - 1)
			continue;
		used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? " " : "", word);
	}
	return false;
}

static void check_nsswitch(struct eg_doctor *doctor, int root, const char *shown)
{
	static const char fix[] = "Write \"hosts: files dns\" there (apps in containers have a file of their own: see "
				  "--root), or set \"prefetch\" for the rules' exact names";
	char text[TEXT_MAX], sources[200];
	char *rest = text, *hosts;
	int r = read_below(root, "etc/nsswitch.conf", text, sizeof(text));

	if (r < 0 && r != -ENOENT) {
		eg_doctor_warn(doctor, "lookups", NULL, "%s/etc/nsswitch.conf can't be read: %s", shown, strerror(-r));
		return;
	}
	hosts = r < 0 ? NULL : next_line(&rest, "hosts:");
	if (!hosts) /* glibc then takes "files dns", musl and Go know no other */
		eg_doctor_ok(doctor, "lookups", "%s/etc/nsswitch.conf names no source for hosts: it is files and dns",
			     shown);
	else if (!before_dns(hosts, sources, sizeof(sources)))
		eg_doctor_warn(doctor, "lookups", fix,
			       "%s/etc/nsswitch.conf looks hosts up without dns%s%s: " GRANTS_NOTHING, shown,
			       sources[0] ? ", by " : "", sources);
	else if (sources[0])
		eg_doctor_warn(doctor, "lookups", fix,
			       "%s/etc/nsswitch.conf has \"%s\" before dns, which does not look up through the app's "
			       "own sockets: " GRANTS_NOTHING, shown, sources);
	else
		eg_doctor_ok(doctor, "lookups", "%s/etc/nsswitch.conf looks hosts up by the app's own DNS queries",
			     shown);
}

/* ---- nscd ------------------------------------------------------------------------------------- */

/* Whether somebody listens on the Unix socket. */
static bool listens(int root, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	EG_CLOSE int file = open_below(root, path, O_PATH), fd = -1;

	if (file < 0)
		return false;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", file);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN);
}

/* enable-cache hosts no */
static bool caches_hosts(int root)
{
	char text[TEXT_MAX], *rest = text, *value;

	if (read_below(root, "etc/nscd.conf", text, sizeof(text)) < 0)
		return true;
	while ((value = next_line(&rest, "enable-cache"))) {
		char database[16], choice[8];

		if (sscanf(value, "%15s %7s", database, choice) == 2 && strcmp(database, "hosts") == 0)
			return strcmp(choice, "no") != 0;
	}
	return true;
}

static void check_nscd(struct eg_doctor *doctor, int root, const char *shown)
{
	if (!listens(root, "run/nscd/socket") && !listens(root, "var/run/nscd/socket"))
		eg_doctor_ok(doctor, "lookups", "no nscd runs");
	else if (!caches_hosts(root))
		eg_doctor_ok(doctor, "lookups", "nscd runs, but does not look hosts up (%s/etc/nscd.conf)", shown);
	else
		eg_doctor_warn(doctor, "lookups",
			       "Write \"enable-cache hosts no\" into nscd.conf and restart it, or hide its socket",
			       "nscd runs, and looks hosts up in the apps' place: " GRANTS_NOTHING);
}

/* ---- Both --------------------------------------------------------------------------------------- */

void eg_doctor_lookups(struct eg_doctor *doctor, const char *root, const json_t *apps)
{
	char shown[256] = "";
	EG_CLOSE int fd = -1;
	size_t named = 0, i;
	json_t *app;

	json_array_foreach(json_object_get(apps, "apps"), i, app)
		named += eg_json_true(app, "names");
	if (!root && apps && !named) {
		eg_doctor_ok(doctor, "lookups", "no policy has DNS names, so how apps look names up does not matter");
		return;
	}
	fd = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		eg_doctor_warn(doctor, "lookups", NULL, "%s can't be looked at: %s", root, strerror(errno));
		return;
	}
	for (i = root ? strlen(root) : 0; i && root[i - 1] == '/';)
		i--;
	snprintf(shown, sizeof(shown), "%.*s", (int)i, root ? root : "");
	if (named)
		eg_doctor_ok(doctor, "lookups", "%zu app%s policies with DNS names", named,
			     named == 1 ? " has" : "s have");
	check_nsswitch(doctor, fd, shown);
	check_nscd(doctor, fd, shown);
}

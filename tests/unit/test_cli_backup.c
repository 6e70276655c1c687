// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_backup.c - a backup goes and comes back; what is no backup changes nothing
 */
#include "test_cli_fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "../../agent/cli/backup.h"
#include "../../agent/cli/tar.h"

#define SNAPSHOT "snapshots/app-x-20261125T223628.211403810Z.json"
#define REVISION "history/app-x/01798761600000000000-3-abcdef0123456789.json"
#define USAGE	 "egret-usage 1 boot\napp-x * 0 3600000000000\t498790 77\nend clean\n"
#define KILL	 "96d2bc40 {\"v\":1}\n"

struct state {
	char dir[64];
	char from[96];
	char to[96];
	char file[96];
	struct eg_backup_count count;
	struct eg_error err;
};

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

/* "": there is no such file. */
static const char *text_of(const char *dir, const char *name)
{
	static char text[4096];
	char path[512];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text[0] = '\0';
	in = fopen(path, "r");
	if (in) {
		text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
		fclose(in);
	}
	return text;
}

static void make_dirs(const char *dir)
{
	char path[128];

	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/policies", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/snapshots", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/history", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/history/app-x", dir);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int setup(void **ret)
{
	struct state *s = calloc(1, sizeof(*s));

	strcpy(s->dir, "/tmp/egret-test-backup.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->from, sizeof(s->from), "%s/from", s->dir);
	snprintf(s->to, sizeof(s->to), "%s/to", s->dir);
	snprintf(s->file, sizeof(s->file), "%s/backup.tar.gz", s->dir);
	make_dirs(s->from);
	put(s->from, "holds.journal", KILL "torn");
	put(s->from, "usage", USAGE);
	put(s->from, "policies/app-x.json", "egret-policy 3\n{}");
	put(s->from, "policies/app-x.new", "a draft");
	put(s->from, SNAPSHOT, "{}");
	put(s->from, REVISION, "{\"rev\":3}");
	put(s->from, "lock", "");
	*ret = s;
	return 0;
}

static int teardown(void **ret)
{
	struct state *s = *ret;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
	free(s);
	return 0;
}

static void backup(struct state *s)
{
	assert_int_equal(eg_backup_make(s->from, s->file, &s->count, &s->err), 0);
}

static void test_there_and_back(void **ret)
{
	struct state *s = *ret;
	struct stat st;

	backup(s);
	assert_int_equal(s->count.policies, 1);
	assert_int_equal(s->count.snapshots, 1);
	assert_true(s->count.kills && s->count.usage);
	assert_int_equal(stat(s->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(eg_backup_restore(s->to, s->file, &s->count, &s->err), 0);
	assert_int_equal(s->count.policies, 1);
	assert_string_equal(s->count.aside, "");
	assert_string_equal(text_of(s->to, "holds.journal"), KILL);
	assert_string_equal(text_of(s->to, "policies/app-x.json"), "egret-policy 3\n{}");
	assert_string_equal(text_of(s->to, "policies/app-x.new"), "");
	assert_string_equal(text_of(s->to, SNAPSHOT), "{}");
	assert_string_equal(text_of(s->to, REVISION), "{\"rev\":3}");
	assert_int_equal(s->count.revisions, 1);
	assert_string_equal(text_of(s->to, "usage"),
			    "egret-usage 1 restored\napp-x * 0 3600000000000\t498790 77\nend running\n");
	assert_int_equal(stat(s->to, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_string_equal(text_of(s->to, "restore.new/usage"), "");
}

/* tar(1) reads it. */
static void test_tar_reads_it(void **ret)
{
	struct state *s = *ret;
	char command[256], names[512];
	FILE *out;
	size_t n;

	backup(s);
	snprintf(command, sizeof(command), "tar tzf %s", s->file);
	out = popen(command, "r");
	assert_non_null(out);
	n = fread(names, 1, sizeof(names) - 1, out);
	names[n] = '\0';
	assert_int_equal(pclose(out), 0);
	assert_string_equal(names, "egret-backup\nholds.journal\nusage\npolicies/app-x.json\n" REVISION "\n" SNAPSHOT "\n");
}

/* Kills are joined, usage that is there stays, policies go aside. */
static void test_over_a_state(void **ret)
{
	struct state *s = *ret;
	char aside[512];

	backup(s);
	make_dirs(s->to);
	put(s->to, "holds.journal", "newer\n");
	put(s->to, "usage", "present");
	put(s->to, "policies/app-y.json", "old");
	put(s->to, SNAPSHOT, "present");
	assert_int_equal(eg_backup_restore(s->to, s->file, &s->count, &s->err), 0);
	assert_string_equal(text_of(s->to, "holds.journal"), KILL "newer\n");
	assert_string_equal(text_of(s->to, "usage"), "present");
	assert_false(s->count.usage);
	assert_string_equal(text_of(s->to, SNAPSHOT), "present");
	assert_string_equal(text_of(s->to, "policies/app-y.json"), "");
	snprintf(aside, sizeof(aside), "%.200s/app-y.json", s->count.aside);
	assert_string_equal(text_of(s->to, aside), "old");
}

static void test_refused_while_an_agent_runs(void **ret)
{
	struct state *s = *ret;
	char path[128];
	int fd;

	backup(s);
	make_dirs(s->to);
	snprintf(path, sizeof(path), "%s/lock", s->to);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(eg_backup_restore(s->to, s->file, &s->count, &s->err), -EBUSY);
	assert_has(s->err.message, "stop it first");
	assert_string_equal(text_of(s->to, "holds.journal"), "");
	close(fd);
}

static void assert_refused(struct state *s)
{
	char path[128];

	if (access(s->to, F_OK))
		make_dirs(s->to);
	put(s->to, "policies/app-y.json", "old");
	put(s->to, "holds.journal", "present\n");
	assert_true(eg_backup_restore(s->to, s->file, &s->count, &s->err) < 0);
	assert_has(s->err.message, "nothing was changed");
	assert_string_equal(text_of(s->to, "policies/app-y.json"), "old");
	assert_string_equal(text_of(s->to, "holds.journal"), "present\n");
	snprintf(path, sizeof(path), "%s/restore.new", s->to);
	assert_int_equal(access(path, F_OK), -1);
}

/* Not even the state directory is made. */
static void test_nothing_is_left(void **ret)
{
	struct state *s = *ret;
	FILE *file;

	assert_int_equal(eg_backup_restore(s->to, s->file, &s->count, &s->err), -ENOENT);
	assert_has(s->err.message, "nothing was changed");
	assert_int_equal(access(s->to, F_OK), -1);
	file = fopen(s->file, "w");
	fputs("no archive", file);
	fclose(file);
	assert_int_equal(eg_backup_restore(s->to, s->file, &s->count, &s->err), -EBADMSG);
	assert_has(s->err.message, "nothing was changed");
	assert_int_equal(access(s->to, F_OK), -1);
	make_dirs(s->to);
	assert_refused(s);
}

/* A turned bit may name other zeros for the same zeros; then all has to be there. */
static void assert_refused_or_right(struct state *s)
{
	char to[128];

	snprintf(to, sizeof(to), "%s/flipped", s->dir);
	if (eg_backup_restore(to, s->file, &s->count, &s->err) == 0) {
		assert_string_equal(text_of(to, "policies/app-x.json"), "egret-policy 3\n{}");
		assert_memory_equal(text_of(to, "holds.journal"), KILL, strlen(KILL));
		return;
	}
	assert_has(s->err.message, "nothing was changed");
}

/* Cut at every length, and with a bit turned at every place. */
static void test_damaged(void **ret)
{
	struct state *s = *ret;
	static char bytes[8192];
	size_t len;
	FILE *file;

	backup(s);
	file = fopen(s->file, "r");
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	assert_true(len > 100 && len < sizeof(bytes));
	for (size_t cut = 0; cut < len; cut += 5) {
		file = fopen(s->file, "w");
		fwrite(bytes, 1, cut, file);
		fclose(file);
		assert_refused(s);
	}
	for (size_t at = 10; at < len; at += 5) { /* behind gzip's own header */
		bytes[at] ^= 0x10;
		file = fopen(s->file, "w");
		fwrite(bytes, 1, len, file);
		fclose(file);
		bytes[at] ^= 0x10;
		assert_refused_or_right(s);
	}
}

/* An archive with one file of that name, whatever the name. */
static void archive(struct state *s, const char *name, const char *text)
{
	char first[] = EG_BACKUP_FIRST;
	struct eg_tar_file head = {.name = EG_BACKUP_HEAD, .data = first, .len = strlen(first)};
	struct eg_tar_file file = {.data = (char *)(uintptr_t)text, .len = strlen(text)};
	gzFile out = gzopen(s->file, "wb");

	snprintf(file.name, sizeof(file.name), "%s", name);
	assert_int_equal(eg_tar_put(out, &head), 0);
	assert_int_equal(eg_tar_put(out, &file), 0);
	assert_int_equal(eg_tar_end(out), 0);
	assert_int_equal(gzclose(out), Z_OK);
}

static void test_names(void **ret)
{
	static const char *const bad[] = {"../escape",	     "/etc/passwd",	    "policies/../../x.json", "policies/.json",
					  "policies/A.json", "policies/a/b.json",   "policies/a.new",	     "lock",
					  "snapshots/a.json", "snapshots/../usage", "other",		    "history/a.json",	     "history/../usage",
					  "history/a/01798761600000000000-../x.json",		     "policies/"};
	struct state *s = *ret;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		archive(s, bad[i], "x");
		assert_refused(s);
		assert_false(eg_backup_may_have(bad[i]));
	}
	archive(s, "usage", "no usage");
	assert_refused(s);
	assert_true(eg_backup_may_have("policies/a.json"));
	assert_true(eg_backup_may_have(SNAPSHOT));
	assert_true(eg_backup_may_have(REVISION));
	assert_true(eg_backup_may_have("holds.direct"));
}

/* A link in the state directory leads nowhere. */
static void test_links(void **ret)
{
	struct state *s = *ret;
	char path[128];

	snprintf(path, sizeof(path), "%s/policies/link.json", s->from);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(eg_backup_make(s->from, s->file, &s->count, &s->err) < 0);
	assert_int_equal(access(s->file, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tar_reads_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_over_a_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_while_an_agent_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

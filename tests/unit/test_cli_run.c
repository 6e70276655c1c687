// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_run.c - run and tag: roots, cgroups, and what becomes of a command
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../agent/cli/scope.h"
#include "test_cli_fixture.h"

#define OK(body) reply("200 OK", body)

static char mount_point[256]; /* of cgroup2 */
static char root[320];

static int find_mount(void)
{
	EG_FCLOSE FILE *f = fopen("/proc/self/mounts", "r");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %255s cgroup2", mount_point) == 1 && strstr(line, " cgroup2 "))
			return 0;
	return -1;
}

static int setup(void **state)
{
	(void)state;
	if (find_mount())
		return -1;
	snprintf(root, sizeof(root), "%s/egret-test-run-%d.slice", mount_point, (int)getpid());
	return mkdir(root, 0755);
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(root); /* also proves that nothing was left in it */
}

/* ---- Roots ------------------------------------------------------------------------------------- */

static void assert_root(const char *roots, const char *wanted, const char *expected)
{
	EG_JSON json_t *json = json_loads(roots, 0, NULL);
	char message[320] = "";
	EG_FREE char *found = eg_scope_root("/cg", json, wanted, message, sizeof(message));

	if (!expected) {
		assert_null(found);
		assert_true(strlen(message) > 0);
	} else if (!found || strcmp(found, expected)) {
		fail_msg("%s instead of %s (%s)", found ? found : "nothing", expected, message);
	}
}

static void test_roots(void **state)
{
	static const char two[] = "[{\"root\":\"a.slice\",\"attached\":true},{\"root\":\"/cg/b.slice/\",\"attached\":true}]";

	(void)state;
	assert_root(two, NULL, "/cg/a.slice");
	assert_root(two, "b.slice", "/cg/b.slice");
	assert_root(two, "/cg/b.slice/", "/cg/b.slice");
	assert_root(two, "b.slice/inner", "/cg/b.slice/inner");
	assert_root(two, "/cg/b.slicer", NULL);
	assert_root(two, "/cg", NULL);
	assert_root(two, "a.slice/../other", NULL);
	assert_root(two, "a.slice/..", NULL);
	assert_root("[{\"root\":\"a.slice\",\"attached\":false}]", NULL, NULL);
	assert_root("[]", NULL, NULL);
	assert_root("[{\"root\":3}]", NULL, NULL);
}

/* ---- Commands ------------------------------------------------------------------------------------- */

static const char *status_answer(void)
{
	static char text[1024];

	snprintf(text, sizeof(text), "{\"cgroup2_mount\":\"%s\",\"enforcement\":[{\"root\":\"%s\",\"attached\":true}]}",
		 mount_point, root);
	return OK(text);
}

#define TAGGED OK("{\"app\":\"app-x\",\"state\":\"enforce\"}")

static void test_status_of_command(void **state)
{
	static const struct {
		const char *command;
		int status;
	} cases[] = {
		{"true", 0},
		{"false", 1},
		{"/bin/sh /dev/null --help", 0}, /* its options are its own */
		{"no-such-command-anywhere", 127},
		{"/etc/passwd", 126},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char words[128];
		OUTCOME o;

		snprintf(words, sizeof(words), "run --app app-x -- %s", cases[i].command);
		RUN(&o, words, status_answer(), TAGGED);
		if (o.status != cases[i].status)
			fail_msg("%s: %d instead of %d: %s", cases[i].command, o.status, cases[i].status, o.err);
	}
}

/* It is in the cgroup that was tagged, and the tag came first. */
static void test_command_is_inside(void **state)
{
	char script[400], output[400], expected[400], words[900], text[600] = "";
	const char *cgroup;
	EG_CLOSE int fd = -1;
	OUTCOME o;

	(void)state;
	snprintf(output, sizeof(output), "/tmp/egret-test-run-%d.out", (int)getpid());
	snprintf(script, sizeof(script), "/tmp/egret-test-run-%d.sh", (int)getpid());
	fd = open(script, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	dprintf(fd, "grep ^0:: /proc/self/cgroup > %s\nkill -9 $$\n", output);
	snprintf(words, sizeof(words), "run --app app-x -- sh %s", script);
	RUN(&o, words, status_answer(), TAGGED);
	unlink(script);
	fd = open(output, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	unlink(output);
	assert_int_equal(o.status, 128 + SIGKILL);
	assert_has(o.fake.requests[1], "POST /v1/tags HTTP/1.1");
	assert_has(o.fake.requests[1], "\"app\":\"app-x\"");
	snprintf(expected, sizeof(expected), "0::%s/app-x-%d.scope\n", root + strlen(mount_point), (int)getpid());
	assert_string_equal(text, expected);
	cgroup = strstr(o.fake.requests[1], "\"cgroup\":\"") + 10;
	assert_int_equal(strncmp(cgroup + strlen(mount_point), text + 3, strlen(text) - 4), 0);
}

/* Before its command begins, run fails with 125, and leaves no cgroup (see teardown). */
static void test_failures(void **state)
{
	OUTCOME no_tag, no_app, bad_app, not_on, no_root;

	(void)state;
	RUN(&no_tag, "run --app app-x -- true", status_answer(),
	    reply("409 C", "{\"error\":{\"code\":\"netns_admin\",\"message\":\"No guard.\"}}"));
	assert_int_equal(no_tag.status, EG_EXIT_RUN);
	assert_has(no_tag.err, "No guard.");
	RUN(&no_app, "run -- true", NULL);
	assert_has(no_app.err, "--app");
	assert_int_equal(no_app.status, EG_EXIT_RUN);
	RUN(&bad_app, "run --app APP -- true", NULL);
	assert_int_equal(bad_app.status, EG_EXIT_RUN);
	RUN(&not_on, "run --app app-x -- true",
	    OK("{\"cgroup2_mount\":\"/cg\",\"enforcement\":[{\"root\":\"a\",\"attached\":false}]}"));
	assert_int_equal(not_on.status, EG_EXIT_RUN);
	assert_has(not_on.err, "enforcement is not on at /cg/a");
	RUN(&no_root, "run --app app-x -- true",
	    OK("{\"cgroup2_mount\":\"/nowhere\",\"enforcement\":[{\"root\":\"a\",\"attached\":true}]}"));
	assert_int_equal(no_root.status, EG_EXIT_RUN);
	assert_has(no_root.err, "no cgroup can be made in /nowhere/a");
}

/* The policy of another app is not sent. */
static void test_other_policy(void **state)
{
	char path[64], words[160];
	OUTCOME o;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/egret-test-run-%d.json", (int)getpid());
	f = fopen(path, "w");
	fputs("{\"app\":\"app-y\"}", f);
	fclose(f);
	snprintf(words, sizeof(words), "run --app app-x --policy %s -- true", path);
	RUN(&o, words, NULL);
	unlink(path);
	assert_int_equal(o.status, EG_EXIT_RUN);
	assert_int_equal(o.fake.request_count, 0);
	assert_has(o.err, "is the policy of app-y, not of app-x");
}

/* Signals to the supervisor are its command's; here it says so by its exit status. */
static void test_signals(void **state)
{
	char fifo[64], byte;
	EG_CLOSE int fd = -1;
	int status;
	pid_t pid;

	(void)state;
	snprintf(fifo, sizeof(fifo), "/tmp/egret-test-run-%d.fifo", (int)getpid());
	assert_int_equal(mkfifo(fifo, 0600), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char script[96], words[200];
		struct outcome o;
		FILE *f;

		snprintf(script, sizeof(script), "%s.sh", fifo);
		f = fopen(script, "w");
		fprintf(f, "trap 'exit 42' TERM\necho ready > %s\nwhile :; do sleep 0.05; done\n", fifo);
		fclose(f);
		snprintf(words, sizeof(words), "run --app app-x -- sh %s", script);
		RUN(&o, words, status_answer(), TAGGED);
		unlink(script);
		status = o.status;
		outcome_clear(&o);
		_exit(status);
	}
	fd = open(fifo, O_RDONLY | O_CLOEXEC); /* until the command is ready */
	assert_int_equal(read(fd, &byte, 1), 1);
	unlink(fifo);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* ---- Cgroups ------------------------------------------------------------------------------------------ */

static void test_scope(void **state)
{
	EG_FREE char *first = NULL, *second = NULL;
	int status, entered[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(eg_scope_make(root, "app-x", 77, &first), 0);
	assert_int_equal(eg_scope_make(root, "app-x", 77, &second), 0);
	assert_has(first, "/app-x-77.scope");
	assert_has(second, "/app-x-77-1.scope");
	assert_int_equal(eg_scope_remove(second), 0);
	assert_int_equal(pipe2(entered, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (eg_scope_enter(first) || write(entered[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(entered[1]);
	assert_int_equal(read(entered[0], &byte, 1), 1);
	close(entered[0]);
	assert_int_equal(eg_scope_remove(first), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(eg_scope_remove(first), 0);
	assert_int_equal(eg_scope_remove(first), -ENOENT);
}

static void test_tag(void **state)
{
	OUTCOME o;

	(void)state;
	RUN(&o, "tag a.slice/x.scope app-x", OK("{\"app\":\"app-x\",\"state\":\"no_policy\",\"reset_sockets\":2}"));
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_has(o.fake.requests[0], "{\"cgroup\":\"a.slice/x.scope\",\"app\":\"app-x\"}");
	assert_has(o.out, "2 sockets");
	assert_has(o.err, "app-x has no policy yet");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roots), TEST(test_status_of_command), TEST(test_command_is_inside),
		TEST(test_failures),	      TEST(test_other_policy),	    TEST(test_signals),
		TEST(test_scope),	      cmocka_unit_test(test_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* On the real cgroup2 tree, as root. The keeper is this program, executed again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/rootkeeper.h"

static struct eg_cgroupfs *fs;
static char top[64], root[80], leaf[128];

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "egret-keeper-%d", (int)getpid());
	snprintf(root, sizeof(root), "%s/root", top);
	snprintf(leaf, sizeof(leaf), "%s/" EG_ROOTKEEPER_LEAF, root);
	return eg_cgroupfs_open(NULL, &fs);
}

static int teardown(void **state)
{
	struct eg_rootkeeper *keeper;
	int r = -1;

	(void)state;
	if (eg_rootkeeper_start(fs, root, true, &keeper) == 0) {
		r = eg_rootkeeper_stop(keeper);
		eg_rootkeeper_free(keeper);
	}
	if (r || eg_cgroupfs_remove(fs, root) || eg_cgroupfs_remove(fs, top))
		return -1;
	eg_cgroupfs_close(fs);
	return 0;
}

static pid_t keeper_pid(void)
{
	EG_CLOSE int fd = eg_cgroupfs_open_dir(fs, leaf, true);
	EG_FREE pid_t *pids = NULL;
	size_t count = 0;

	assert_int_equal(eg_cgroupfs_procs(fd, &pids, &count), 0);
	assert_int_equal(count, 1);
	return pids[0];
}

static struct eg_rootkeeper *start(void)
{
	struct eg_rootkeeper *keeper;

	assert_int_equal(eg_rootkeeper_start(fs, root, true, &keeper), 0);
	assert_int_equal(eg_rootkeeper_check(keeper), 0);
	return keeper;
}

static void kill_and_wait(const struct eg_rootkeeper *keeper)
{
	struct pollfd fd = { .fd = eg_rootkeeper_fd(keeper), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(kill(keeper_pid(), SIGKILL), 0);
	assert_int_equal(poll(&fd, 1, 5000), 1); /* told at once */
}

static void the_root_cannot_be_removed(void **state)
{
	struct eg_rootkeeper *keeper;

	(void)state;
	assert_int_equal(eg_rootkeeper_start(fs, root, false, &keeper), -ENOENT);
	keeper = start();
	assert_int_equal(eg_cgroupfs_remove(fs, leaf), -EBUSY);
	assert_int_equal(eg_cgroupfs_remove(fs, root), -EBUSY);
	assert_string_equal(eg_rootkeeper_path(keeper), root);
	assert_int_equal(eg_rootkeeper_stop(keeper), 0);
	assert_int_equal(eg_cgroupfs_remove(fs, root), 0);
	eg_rootkeeper_free(keeper);
}

/* Waits for the line of /proc/PID/status that begins with key. */
static void status_line(pid_t pid, const char *key, char line[256])
{
	EG_FCLOSE FILE *f = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, 256, f))
		if (strncmp(line, key, strlen(key)) == 0)
			return;
	fail();
}

static void the_keeper_has_nothing_and_outlives_us(void **state)
{
	struct eg_rootkeeper *keeper;
	char line[256], path[64];
	pid_t agent, pid;
	int status, spins = 0;

	(void)state;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* some init in a container reaps nobody */
	agent = fork();
	if (agent == 0)
		_exit(eg_rootkeeper_start(fs, root, true, &keeper) != 0);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	assert_int_equal(status, 0);
	pid = keeper_pid();
	keeper = start();
	assert_int_equal(keeper_pid(), pid); /* adopted */
	do { /* it drops its capabilities last */
		status_line(pid, "CapEff:", line);
		sched_yield();
	} while (strcmp(line, "CapEff:\t0000000000000000\n") != 0 && spins++ < 100000);
	assert_string_equal(line, "CapEff:\t0000000000000000\n");
	status_line(pid, "CapBnd:", line);
	assert_string_equal(line, "CapBnd:\t0000000000000000\n");
	status_line(pid, "Name:", line);
	assert_string_equal(line, "Name:\tegret-keeper\n");
	snprintf(path, sizeof(path), "/proc/%d/fd/3", (int)pid);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(eg_rootkeeper_stop(keeper), 0);
	assert_int_equal(kill(pid, 0), -1);
	eg_rootkeeper_free(keeper);
}

static void a_killed_keeper_is_noticed_and_replaced(void **state)
{
	struct eg_rootkeeper *keeper = start();
	pid_t pid = keeper_pid();

	(void)state;
	kill_and_wait(keeper);
	assert_int_equal(eg_rootkeeper_check(keeper), 0);
	assert_int_not_equal(keeper_pid(), pid);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1); /* no zombie left */
	assert_int_equal(eg_cgroupfs_remove(fs, leaf), -EBUSY);
	eg_rootkeeper_free(keeper);
}

static void a_lost_root_is_noticed_and_taken_up_again(void **state)
{
	struct eg_rootkeeper *keeper = start();
	uint64_t old = eg_rootkeeper_id(keeper), id;
	int r;

	(void)state;
	kill_and_wait(keeper);
	do
		r = eg_cgroupfs_remove(fs, leaf);
	while (r == -EBUSY);
	assert_int_equal(eg_cgroupfs_remove(fs, root), 0);
	assert_int_equal(eg_rootkeeper_check(keeper), -ENOENT);
	assert_int_equal(eg_rootkeeper_renew(keeper, false, &id), -ENOENT);
	assert_int_equal(eg_cgroupfs_make(fs, root), 0);
	assert_int_equal(eg_rootkeeper_check(keeper), -ESTALE);
	assert_int_equal(eg_rootkeeper_renew(keeper, true, &id), 0);
	assert_int_not_equal(id, old);
	assert_int_equal(eg_rootkeeper_id(keeper), id);
	assert_int_equal(eg_rootkeeper_check(keeper), 0);
	assert_int_equal(eg_cgroupfs_remove(fs, leaf), -EBUSY);
	eg_rootkeeper_free(keeper);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_root_cannot_be_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_keeper_has_nothing_and_outlives_us, setup, teardown),
		cmocka_unit_test_setup_teardown(a_killed_keeper_is_noticed_and_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_root_is_noticed_and_taken_up_again, setup, teardown),
	};

	eg_rootkeeper_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

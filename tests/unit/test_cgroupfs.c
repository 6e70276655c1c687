// SPDX-License-Identifier: Apache-2.0
/* On the real cgroup2 tree, as root, below a cgroup of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/cgroupfs.h"

static struct eg_cgroupfs *fs;
static char top[64];
static char home[PATH_MAX];

static const char *below(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", top, name);
	return p;
}

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "egret-cgroupfs-%d", (int)getpid());
	return eg_cgroupfs_open(NULL, &fs) || eg_cgroupfs_make(fs, top) || eg_cgroupfs_of_pid(getpid(), home);
}

static int teardown(void **state)
{
	static const char *const made[] = { "a/b/c", "a/b", "a", "two words\\040" };

	(void)state;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		eg_cgroupfs_remove(fs, below(made[i]));
	if (eg_cgroupfs_remove(fs, top))
		return -1;
	eg_cgroupfs_close(fs);
	return 0;
}

static void paths_stay_below_the_mount(void **state)
{
	static const struct {
		const char *in;
		const char *out; /* NULL: refused with r */
		int r;
	} cases[] = {
		{ "a", "a", 0 },
		{ "a/b", "a/b", 0 },
		{ "a//b/./c/", "a/b/c", 0 },
		{ "./a", "a", 0 },
		{ "%/a/b", "a/b", 0 },
		{ "%//a", "a", 0 },
		{ "a..b/..c/d..", "a..b/..c/d..", 0 },
		{ "", NULL, -EINVAL },
		{ ".", NULL, -EINVAL },
		{ "%", NULL, -EINVAL },
		{ "%/", NULL, -EINVAL },
		{ "..", NULL, -EINVAL },
		{ "a/..", NULL, -EINVAL },
		{ "a/../../etc", NULL, -EINVAL },
		{ "%/../x", NULL, -EINVAL },
		{ "a\nb", NULL, -EINVAL },
		{ "/etc/passwd", NULL, -EXDEV },
		{ "/", NULL, -EXDEV },
		{ "%x/a", NULL, -EXDEV }, /* only begins like the mount */
	};
	char in[PATH_MAX], out[PATH_MAX], *huge = malloc(3 * PATH_MAX);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool absolute = cases[i].in[0] == '%';

		snprintf(in, sizeof(in), "%s%s", absolute ? eg_cgroupfs_mount(fs) : "", cases[i].in + absolute);
		assert_int_equal(eg_cgroupfs_normalize(fs, in, out), cases[i].r);
		if (cases[i].out)
			assert_string_equal(out, cases[i].out);
	}
	memset(huge, 'a', 3 * PATH_MAX - 1);
	huge[3 * PATH_MAX - 1] = '\0';
	assert_int_equal(eg_cgroupfs_normalize(fs, huge, out), -ENAMETOOLONG);
	for (size_t i = 1; i < 3 * PATH_MAX - 1; i += 2)
		huge[i] = '/';
	assert_int_equal(eg_cgroupfs_normalize(fs, huge, out), -ENAMETOOLONG);
	free(huge);
	assert_int_equal(eg_cgroupfs_level(""), 0);
	assert_int_equal(eg_cgroupfs_level("a"), 1);
	assert_int_equal(eg_cgroupfs_level("a/b/c"), 3);
}

static void ids_and_paths_agree(void **state)
{
	static const char *const names[] = { "a", "a/b/c", "two words\\040" };
	char path[PATH_MAX];
	uint64_t id, again;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(eg_cgroupfs_make(fs, below(names[i])), 0);
		assert_int_equal(eg_cgroupfs_make(fs, below(names[i])), 0); /* is there: fine */
		assert_int_equal(eg_cgroupfs_id(fs, below(names[i]), &id), 0);
		assert_int_equal(eg_cgroupfs_path(fs, id, path), 0);
		assert_string_equal(path, below(names[i]));
	}
	assert_int_equal(eg_cgroupfs_remove(fs, below("a/b")), -EBUSY); /* has a child */
	assert_int_equal(eg_cgroupfs_id(fs, below("a/b/c"), &id), 0);
	assert_int_equal(eg_cgroupfs_remove(fs, below("a/b/c")), 0);
	assert_int_equal(eg_cgroupfs_remove(fs, below("a/b/c")), -ENOENT);
	assert_int_equal(eg_cgroupfs_id(fs, below("a/b/c"), &again), -ENOENT);
	assert_int_equal(eg_cgroupfs_path(fs, id, path), -ESTALE);
	assert_int_equal(eg_cgroupfs_make(fs, below("a/b/c")), 0);
	assert_int_equal(eg_cgroupfs_id(fs, below("a/b/c"), &again), 0);
	assert_int_not_equal(id, again);
	assert_int_equal(eg_cgroupfs_path(fs, id, path), -ESTALE); /* the name is there, under another id */
	assert_true(eg_cgroupfs_open_dir(fs, "../../..", true) < 0);
	assert_true(eg_cgroupfs_open_dir(fs, "/etc", true) < 0);
	assert_int_equal(eg_cgroupfs_make(fs, ""), -EINVAL);
	assert_int_equal(eg_cgroupfs_remove(fs, ""), -EINVAL);
}

static pid_t sleeper_in(const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		EG_CLOSE int dir = eg_cgroupfs_open_dir(fs, path, false);
		int procs = openat(dir, "cgroup.procs", O_WRONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(procs, "0", 1) != 1 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int count_walk(void *ctx, const char *path, int fd, uint64_t id)
{
	char *log = ctx;

	assert_true(fd >= 0 && id > 0);
	strcat(strcat(log, path), ";");
	return strcmp(path, "b/c") == 0 && strstr(log, "stop") ? 7 : 0;
}

static void processes_of_the_whole_tree(void **state)
{
	EG_CLOSE int dir = -1;
	EG_FREE pid_t *pids = NULL;
	char path[PATH_MAX], log[256] = "";
	size_t count = 0;
	pid_t up, down;

	(void)state;
	assert_int_equal(eg_cgroupfs_make(fs, below("a/b/c")), 0);
	up = sleeper_in(below("a"));
	down = sleeper_in(below("a/b/c"));
	dir = eg_cgroupfs_open_dir(fs, below("a"), true);
	assert_int_equal(eg_cgroupfs_procs(dir, &pids, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(pids[0], up);
	assert_int_equal(pids[1], down);
	assert_int_equal(eg_cgroupfs_of_pid(down, path), 0);
	assert_string_equal(path, below("a/b/c"));
	assert_int_equal(eg_cgroupfs_walk(dir, count_walk, log), 0);
	assert_string_equal(log, ";b;b/c;"); /* parents first */
	strcpy(log, "stop");
	assert_int_equal(eg_cgroupfs_walk(dir, count_walk, log), 7);
	end(up);
	end(down);
	assert_int_equal(eg_cgroupfs_of_pid(down, path), -ESRCH);
}

/* In a mount namespace: what else mountinfo may show. */
static int strange_mounts(void)
{
	char dir[] = "/tmp/egret-mount-XXXXXX", part[PATH_MAX], spaced[64];
	struct eg_cgroupfs *other = NULL;
	uint64_t id, same;
	int r = 1;

	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) || !mkdtemp(dir) ||
	    mount("none", dir, "tmpfs", 0, NULL))
		return 1;
	snprintf(part, sizeof(part), "%s/%s", eg_cgroupfs_mount(fs), top);
	snprintf(spaced, sizeof(spaced), "%s/a b\\c", dir);
	if (mkdir(spaced, 0700) || mount(part, dir, NULL, MS_BIND, NULL))
		return 2;
	if (eg_cgroupfs_open("/tmp", &other) != -ENODEV)
		return 3;
	umount2(dir, MNT_DETACH); /* the bind mount of a part of the tree */
	if (umount2(eg_cgroupfs_mount(fs), MNT_DETACH) || eg_cgroupfs_open(NULL, &other) != -ENODEV)
		return 4;
	if (mount("none", spaced, "cgroup2", 0, NULL) || eg_cgroupfs_open(NULL, &other))
		return 5;
	if (strcmp(eg_cgroupfs_mount(other), spaced) == 0 && eg_cgroupfs_id(other, top, &id) == 0 &&
	    eg_cgroupfs_id(fs, top, &same) == 0 && id == same)
		r = 0;
	eg_cgroupfs_close(other);
	umount2(spaced, MNT_DETACH);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return r;
}

static void finds_the_mount_wherever_it_is(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(strange_mounts());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths_stay_below_the_mount, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_and_paths_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(processes_of_the_whole_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_the_mount_wherever_it_is, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

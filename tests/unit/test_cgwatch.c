// SPDX-License-Identifier: Apache-2.0
/* On the real cgroup2 tree, as root, below a cgroup of its own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/cgwatch.h"

#define MANY 10000

static struct eg_cgroupfs *fs;
static char root[64];

/* What was reported; every rule of the promise is checked as it comes in. */
struct known {
	char path[256];
	uint64_t id;
	bool alive;
};

struct log {
	struct known *all;
	size_t count;
	size_t room;
	size_t alive;
	bool broken;
	unsigned refused; /* so many births are not taken */
};

static struct known *find_alive(struct log *log, const char *path, size_t len)
{
	for (size_t i = log->count; i-- > 0;)
		if (log->all[i].alive && strncmp(log->all[i].path, path, len) == 0 && !log->all[i].path[len])
			return &log->all[i];
	return NULL;
}

static int log_born(void *ctx, const char *path, uint64_t id)
{
	struct log *log = ctx;
	const char *slash = strrchr(path, '/');

	if (log->refused) {
		log->refused--;
		return -ENOMEM;
	}

	if (log->count == log->room) {
		log->room = log->room ? log->room * 2 : 64;
		log->all = reallocarray(log->all, log->room, sizeof(*log->all));
	}
	if (log->count < 2000) { /* quadratic; the big test looks at numbers only */
		log->broken |= find_alive(log, path, strlen(path)) != NULL;
		log->broken |= slash && !find_alive(log, path, (size_t)(slash - path));
		for (size_t i = 0; i < log->count; i++)
			log->broken |= log->all[i].id == id;
	}
	log->all[log->count] = (struct known){ .id = id, .alive = true };
	snprintf(log->all[log->count++].path, sizeof(log->all[0].path), "%s", path);
	log->alive++;
	return 0;
}

static void log_died(void *ctx, const char *path, uint64_t id)
{
	struct log *log = ctx;
	struct known *known = NULL;
	size_t len = strlen(path);

	for (size_t i = 0; i < log->count && !known; i++)
		if (log->all[i].id == id)
			known = &log->all[i];
	if (!known || !known->alive || strcmp(known->path, path) != 0) {
		log->broken = true;
		return;
	}
	known->alive = false;
	log->alive--;
	for (size_t i = 0; i < log->count && log->count < 2000; i++)
		log->broken |= log->all[i].alive && strncmp(log->all[i].path, path, len) == 0 &&
			       log->all[i].path[len] == '/';
}

struct watching {
	struct log log;
	struct eg_cgwatch *watch;
};

static const char *path_of(const char *name)
{
	static char path[4][256];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s%s%s", root, name[0] ? "/" : "", name);
	return p;
}

static uint64_t make(const char *name)
{
	uint64_t id = 0;

	assert_int_equal(eg_cgroupfs_make(fs, path_of(name)), 0);
	assert_int_equal(eg_cgroupfs_id(fs, path_of(name), &id), 0);
	return id;
}

static void drop(const char *name)
{
	assert_int_equal(eg_cgroupfs_remove(fs, path_of(name)), 0);
}

static struct eg_cgwatch *new_watch(struct log *log)
{
	struct eg_cgwatch_ops ops = { .born = log_born, .died = log_died, .ctx = log };
	struct eg_cgwatch *watch;

	assert_int_equal(eg_cgwatch_new(fs, &ops, &watch), 0);
	return watch;
}

static void begin(struct watching *w)
{
	*w = (struct watching){ 0 };
	w->watch = new_watch(&w->log);
	assert_int_equal(eg_cgwatch_add_root(w->watch, root), 0);
}

static void end(struct watching *w)
{
	assert_false(w->log.broken);
	eg_cgwatch_free(w->watch);
	free(w->log.all);
}

/* rmdir is told synchronously, so what has happened is in the queue. */
static void process(struct watching *w)
{
	struct pollfd fd = { .fd = eg_cgwatch_fd(w->watch), .events = POLLIN };

	do
		assert_int_equal(eg_cgwatch_process(w->watch), 0);
	while (poll(&fd, 1, 0) > 0);
}

static uint64_t alive_id(struct watching *w, const char *name)
{
	const char *path = path_of(name);
	struct known *known = find_alive(&w->log, path, strlen(path));

	return known ? known->id : 0;
}

static int collect_paths(void *ctx, const char *path, int fd, uint64_t id)
{
	struct watching *w = ctx;

	(void)fd;
	return alive_id(w, path) == id ? 0 : -EBADMSG;
}

/* What is reported alive is what is there: the same ids, and as many. */
static void assert_agrees(struct watching *w)
{
	EG_CLOSE int dir = eg_cgroupfs_open_dir(fs, root, true);
	struct eg_cgwatch_stats stats;

	assert_int_equal(eg_cgroupfs_walk(dir, collect_paths, w), 0);
	eg_cgwatch_stats(w->watch, &stats);
	assert_int_equal(stats.cgroups, w->log.alive);
}

static void remove_below(const char *path, int depth)
{
	EG_CLOSE int fd = eg_cgroupfs_open_dir(fs, path, true);
	EG_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char child[600];

	while (dir && depth && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		remove_below(child, depth - 1);
	}
	fd = dir ? -1 : fd;
	eg_cgroupfs_remove(fs, path);
}

static int setup_group(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "egret-cgwatch-%d", (int)getpid());
	return eg_cgroupfs_open(NULL, &fs);
}

static int teardown_group(void **state)
{
	(void)state;
	eg_cgroupfs_close(fs);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return eg_cgroupfs_make(fs, root);
}

static int teardown(void **state)
{
	uint64_t id;

	(void)state;
	remove_below(root, EG_CGROUPFS_DEPTH + 16);
	return eg_cgroupfs_id(fs, root, &id) == -ENOENT ? 0 : -1;
}

static void what_is_there_and_what_comes_and_goes(void **state)
{
	struct watching w;
	uint64_t a, b;

	(void)state;
	a = make("a/deep");
	begin(&w);
	assert_int_equal(w.log.alive, 3);
	assert_int_equal(alive_id(&w, "a/deep"), a);
	b = make("b/c/d"); /* made faster than watches can be added */
	process(&w);
	assert_int_equal(alive_id(&w, "b/c/d"), b);
	assert_int_equal(w.log.alive, 6);
	drop("b/c/d");
	process(&w);
	assert_int_equal(alive_id(&w, "b/c/d"), 0);
	drop("b/c");
	drop("b");
	drop("a/deep");
	process(&w);
	assert_int_equal(w.log.alive, 2);
	assert_agrees(&w);
	assert_int_equal(eg_cgwatch_add_root(w.watch, root), -EEXIST);
	assert_int_equal(eg_cgwatch_add_root(w.watch, path_of("a")), -EINVAL);
	end(&w);
}

/* Whoever is told may have no memory: what it did not take is born again at a check of the roots. */
static void what_was_not_taken_is_born_again(void **state)
{
	struct eg_cgwatch_stats stats;
	struct watching w;
	uint64_t a, b;

	(void)state;
	begin(&w);
	w.log.refused = 2;
	a = make("a");
	b = make("a/b");
	make("c");
	process(&w);
	eg_cgwatch_stats(w.watch, &stats);
	assert_int_equal(stats.last_error, -ENOMEM);
	assert_int_equal(w.log.refused, 0);
	assert_int_equal(alive_id(&w, "a"), 0);
	eg_cgwatch_check_roots(w.watch);
	assert_int_equal(alive_id(&w, "a"), a);
	assert_int_equal(alive_id(&w, "a/b"), b);
	assert_int_equal(w.log.alive, 4);
	assert_agrees(&w);
	drop("a/b"); /* they are watched */
	process(&w);
	assert_int_equal(w.log.alive, 3);
	end(&w);
}

/* What an app nests without end costs no file and no frame for each level. */
static void no_deeper_than_the_limit(void **state)
{
	char deep[2 * EG_CGROUPFS_DEPTH + 16] = "d", above[sizeof(deep)];
	struct watching w;

	(void)state;
	for (int level = 1; level < EG_CGROUPFS_DEPTH; level++)
		strcat(deep, "/d");
	make(deep);
	snprintf(above, sizeof(above), "%s", deep);
	strcat(deep, "/d/d");
	make(deep);
	begin(&w);
	assert_int_equal(w.log.alive, EG_CGROUPFS_DEPTH + 1);
	assert_int_not_equal(alive_id(&w, above), 0);
	strcat(deep, "/d");
	make(deep);
	process(&w);
	assert_int_equal(w.log.alive, EG_CGROUPFS_DEPTH + 1);
	assert_agrees(&w);
	end(&w);
}

static void a_name_used_again_has_its_new_id(void **state)
{
	uint64_t old, new, below;
	struct watching w;

	(void)state;
	old = make("a");
	begin(&w);
	drop("a");
	new = make("a");
	below = make("a/x");
	process(&w);
	assert_int_not_equal(old, new);
	assert_int_equal(alive_id(&w, "a"), new);
	assert_int_equal(alive_id(&w, "a/x"), below);
	assert_int_equal(w.log.count, 4); /* root, a, a again, a/x: each once */
	drop("a/x");
	drop("a");
	process(&w);
	assert_int_equal(w.log.alive, 1);
	end(&w);
}

static void a_root_made_again(void **state)
{
	struct watching w;
	uint64_t id;

	(void)state;
	make("a");
	begin(&w);
	drop("a");
	drop("");
	process(&w);
	eg_cgwatch_check_roots(w.watch);
	assert_int_equal(w.log.alive, 0);
	id = make("b");
	eg_cgwatch_check_roots(w.watch);
	assert_int_equal(w.log.alive, 2);
	assert_int_equal(alive_id(&w, "b"), id);
	/* removed and made between two checks */
	drop("b");
	drop("");
	id = make("");
	eg_cgwatch_check_roots(w.watch);
	assert_int_equal(alive_id(&w, ""), id);
	assert_int_equal(w.log.alive, 1);
	make("c");
	process(&w);
	assert_int_equal(w.log.alive, 2);
	end(&w);
}

static long sysctl_swap(const char *path, long value)
{
	EG_FCLOSE FILE *f = fopen(path, "r+");
	long old = -1;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &old), 1);
	rewind(f);
	fprintf(f, "%ld\n", value);
	return old;
}

static void a_full_queue_is_made_up_for(void **state)
{
	static const char queue[] = "/proc/sys/fs/inotify/max_queued_events";
	struct eg_cgwatch_stats stats;
	struct watching w = { 0 };
	char name[32];
	long old;

	(void)state;
	make("old");
	old = sysctl_swap(queue, 8); /* counts for the instance made now only */
	w.watch = new_watch(&w.log);
	sysctl_swap(queue, old);
	assert_int_equal(eg_cgwatch_add_root(w.watch, root), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "c%d/x", i);
		make(name);
	}
	drop("old");
	process(&w);
	eg_cgwatch_stats(w.watch, &stats);
	assert_true(stats.overflows > 0);
	assert_int_equal(w.log.alive, 101);
	assert_agrees(&w);
	end(&w);
}

static void *churn(void *arg)
{
	unsigned int seed = 7;

	(void)arg;
	for (int i = 0; i < 3000; i++) {
		char path[256];

		snprintf(path, sizeof(path), "%s/c%d/x%d", root, rand_r(&seed) % 8, rand_r(&seed) % 4);
		if (rand_r(&seed) % 2) {
			eg_cgroupfs_make(fs, path);
			continue;
		}
		eg_cgroupfs_remove(fs, path);
		*strrchr(path, '/') = '\0';
		eg_cgroupfs_remove(fs, path);
	}
	return NULL;
}

static void churn_beside_it(void **state)
{
	struct watching w;
	pthread_t thread;
	int running;

	(void)state;
	begin(&w);
	assert_int_equal(pthread_create(&thread, NULL, churn, NULL), 0);
	do {
		running = pthread_tryjoin_np(thread, NULL);
		process(&w);
	} while (running);
	process(&w);
	assert_agrees(&w);
	assert_true(w.log.count > 100);
	end(&w);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void ten_thousand(void **state)
{
	struct eg_cgwatch_stats stats;
	struct watching w;
	char name[32];
	double start;

	(void)state;
	for (int i = 0; i < MANY / 2; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		make(name);
	}
	start = seconds();
	begin(&w);
	print_message("%zu found in %.3f s\n", w.log.alive, seconds() - start);
	for (int i = MANY / 2; i < MANY; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		make(name);
	}
	start = seconds();
	process(&w);
	print_message("%d births in %.3f s\n", MANY / 2, seconds() - start);
	assert_int_equal(w.log.alive, MANY + 1);
	eg_cgwatch_stats(w.watch, &stats);
	assert_int_equal(stats.cgroups, MANY + 1);
	assert_int_equal(stats.unwatched, 0);
	assert_int_equal(stats.overflows, 0);
	start = seconds();
	eg_cgwatch_rescan(w.watch);
	print_message("rescan in %.3f s\n", seconds() - start);
	assert_int_equal(w.log.count, MANY + 1);
	end(&w);
}

/* In a user namespace of its own, where the number of watches can be limited for us alone. */
static int without_watches(void)
{
	struct eg_cgwatch_stats stats;
	struct watching w;

	if (unshare(CLONE_NEWUSER))
		return 1;
	sysctl_swap("/proc/sys/user/max_inotify_watches", 2);
	begin(&w);
	eg_cgwatch_stats(w.watch, &stats);
	if (stats.unwatched != 2 || w.log.alive != 4)
		return 2;
	return w.log.broken ? 3 : 0;
}

static void assert_in_a_child(int (*test)(void))
{
	int status;
	pid_t pid;

	make("a");
	make("b");
	make("c");
	pid = fork();
	if (pid == 0)
		_exit(test());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void out_of_watches(void **state)
{
	(void)state;
	assert_in_a_child(without_watches);
}

/* Rescans find what comes and goes, and take the first instance that is to be had. */
static int without_an_instance(void)
{
	static const char limit[] = "/proc/sys/user/max_inotify_instances";
	struct eg_cgwatch_stats stats;
	struct watching w;
	long old;

	if (unshare(CLONE_NEWUSER))
		return 1;
	old = sysctl_swap(limit, 0);
	begin(&w);
	eg_cgwatch_stats(w.watch, &stats);
	if (eg_cgwatch_fd(w.watch) >= 0 || stats.unwatched != 4 || w.log.alive != 4 || stats.last_error != -EMFILE)
		return 2;
	drop("a");
	if (eg_cgwatch_process(w.watch) || w.log.alive != 4)
		return 3;
	eg_cgwatch_rescan(w.watch);
	if (w.log.alive != 3)
		return 4;
	sysctl_swap(limit, old);
	eg_cgwatch_rescan(w.watch);
	eg_cgwatch_stats(w.watch, &stats);
	if (eg_cgwatch_fd(w.watch) < 0 || stats.unwatched || w.log.alive != 3)
		return 5;
	drop("b");
	process(&w);
	return w.log.alive == 2 && !w.log.broken ? 0 : 6;
}

static void out_of_instances(void **state)
{
	(void)state;
	assert_in_a_child(without_an_instance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_there_and_what_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_not_taken_is_born_again, setup, teardown),
		cmocka_unit_test_setup_teardown(no_deeper_than_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_used_again_has_its_new_id, setup, teardown),
		cmocka_unit_test_setup_teardown(a_root_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_is_made_up_for, setup, teardown),
		cmocka_unit_test_setup_teardown(churn_beside_it, setup, teardown),
		cmocka_unit_test_setup_teardown(ten_thousand, setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_watches, setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_instances, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}

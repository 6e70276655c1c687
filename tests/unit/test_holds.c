// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
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
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/holds.h"
#include "../../agent/lib/cleanup.h"

#define MINUTE (60ull * 1000000000ull)
#define NOW    (1000000 * MINUTE)

static char dir[64];

static const char *file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/egret-holds-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct eg_holds *reopen(struct eg_holds *holds)
{
	eg_holds_close(holds, 5000);
	assert_int_equal(eg_holds_open(dir, &holds), 0);
	return holds;
}

static struct eg_hold hold_of(const char *app, uint32_t layer, uint32_t uid)
{
	struct eg_hold hold = { .layer = layer, .uid = uid, .time_utc_ns = NOW };

	eg_hold_set_text(hold.app, sizeof(hold.app), app);
	snprintf(hold.actor, sizeof(hold.actor), "uid=%u via=socket", uid);
	strcpy(hold.reason, "token leaked");
	return hold;
}

/* 1 already, 0 new, -errno. */
static int add(struct eg_holds *holds, const char *app, uint32_t layer, uint32_t uid, uint64_t generation)
{
	struct eg_hold hold = hold_of(app, layer, uid);
	bool already;
	uint64_t ticket;
	int r;

	hold.generation = generation;
	r = eg_holds_add(holds, &hold, &already, &ticket);
	return r ? r : already;
}

static int lift(struct eg_holds *holds, const char *app, uint32_t layer, enum eg_hold_role role, uint32_t uid,
		uint64_t now, uint64_t generation)
{
	struct eg_hold_lift request = {
		.app = app,
		.layer = layer,
		.role = role,
		.uid = uid,
		.now_utc_ns = now,
		.generation = generation,
		.actor = "somebody",
	};
	uint64_t ticket;

	return eg_holds_lift(holds, &request, &ticket);
}

#define LOCAL   EG_HOLD_LOCAL
#define CONTROL EG_HOLD_CONTROL
#define AUTO    EG_HOLD_AUTO

static void holds_or_together_and_outlive_restart(void **state)
{
	struct eg_hold_info infos[EG_HOLD_LAYERS], *all;
	struct eg_holds *holds = reopen(NULL);
	size_t count;

	(void)state;
	assert_int_equal(add(holds, "a", LOCAL, 7, 0), 0);
	assert_int_equal(add(holds, "a", CONTROL, 0, 41), 0);
	assert_int_equal(add(holds, "a", AUTO, 0, 0), 0);
	assert_int_equal(add(holds, EG_HOLD_ALL_APPS, LOCAL, 0, 0), 0);
	assert_int_equal(eg_holds_layers(holds, "a"), LOCAL | CONTROL | AUTO);
	assert_int_equal(eg_holds_layers(holds, "b"), 0);
	assert_int_equal(lift(holds, "a", AUTO, EG_HOLD_BY_ADMIN, 0, NOW, 0), 0);
	holds = reopen(holds);
	assert_int_equal(eg_holds_layers(holds, "a"), LOCAL | CONTROL);
	assert_int_equal(eg_holds_layers(holds, EG_HOLD_ALL_APPS), LOCAL);
	assert_int_equal(eg_holds_of(holds, "a", infos), 2);
	assert_int_equal(infos[0].hold.uid, 7);
	assert_string_equal(infos[0].hold.reason, "token leaked");
	assert_int_equal(infos[0].hold.time_utc_ns, NOW);
	assert_int_equal(infos[1].hold.generation, 41);
	assert_true(infos[1].durable);
	assert_int_equal(eg_holds_list(holds, &all, &count), 0);
	assert_int_equal(count, 3);
	assert_string_equal(all[0].hold.app, "*");
	free(all);
	eg_holds_close(holds, 5000);
}

static void who_may_lift_what(void **state)
{
	const uint64_t late = NOW + 15 * MINUTE + 1;
	struct eg_holds *holds = reopen(NULL);

	(void)state;
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_ADMIN, 0, NOW, 0), -ENOENT);
	assert_int_equal(add(holds, "a", LOCAL, 7, 0), 0);
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_RESPONDER, 8, NOW, 0), -EPERM);
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_RESPONDER, 7, late, 0), -EPERM);
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_RESPONDER, 7, NOW - 1, 0), -EPERM); /* clock turned back */
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_CONTROL, 7, NOW, 0), -EPERM);
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_RESPONDER, 7, late - 1, 0), 0);
	assert_int_equal(add(holds, "a", AUTO, 7, 0), 0);
	assert_int_equal(lift(holds, "a", AUTO, EG_HOLD_BY_RESPONDER, 7, NOW, 0), -EPERM);
	assert_int_equal(lift(holds, "a", AUTO, EG_HOLD_BY_ADMIN, 0, late, 0), 0);
	assert_int_equal(add(holds, "a", CONTROL, 7, 5), 0);
	assert_int_equal(lift(holds, "a", CONTROL, EG_HOLD_BY_ADMIN, 0, NOW, 0), -EPERM);
	assert_int_equal(lift(holds, "a", CONTROL, EG_HOLD_BY_RESPONDER, 7, NOW, 0), -EPERM);
	assert_int_equal(lift(holds, "a", CONTROL, EG_HOLD_BY_CONTROL, 0, late, 6), 0);
	assert_int_equal(eg_holds_layers(holds, "a"), 0);
	eg_holds_close(holds, 5000);
}

static void killing_again_gives_nobody_a_way_out(void **state)
{
	struct eg_hold_info infos[EG_HOLD_LAYERS];
	struct eg_holds *holds = reopen(NULL);

	(void)state;
	assert_int_equal(add(holds, "admins", LOCAL, 0, 0), 0);
	assert_int_equal(add(holds, "admins", LOCAL, 7, 0), 1); /* doesn't make it uid 7's */
	assert_int_equal(lift(holds, "admins", LOCAL, EG_HOLD_BY_RESPONDER, 7, NOW, 0), -EPERM);
	assert_int_equal(add(holds, "mine", LOCAL, 7, 0), 0);
	assert_int_equal(add(holds, "mine", LOCAL, 7, 0), 1); /* still theirs */
	assert_int_equal(add(holds, "mine", LOCAL, 0, 0), 1); /* an admin wants it too */
	holds = reopen(holds);
	assert_int_equal(eg_holds_of(holds, "mine", infos), 1);
	assert_int_equal(infos[0].hold.uid, 7);
	assert_int_equal(lift(holds, "mine", LOCAL, EG_HOLD_BY_RESPONDER, 7, NOW, 0), -EPERM);
	assert_int_equal(lift(holds, "mine", LOCAL, EG_HOLD_BY_ADMIN, 0, NOW, 0), 0);
	eg_holds_close(holds, 5000);
}

static void old_generations_are_refused(void **state)
{
	struct eg_holds *holds = reopen(NULL);

	(void)state;
	assert_int_equal(add(holds, "a", CONTROL, 0, 10), 0);
	assert_int_equal(add(holds, "a", CONTROL, 0, 10), -ESTALE);
	assert_int_equal(lift(holds, "a", CONTROL, EG_HOLD_BY_CONTROL, 0, NOW, 9), -ESTALE);
	assert_int_equal(lift(holds, "a", CONTROL, EG_HOLD_BY_CONTROL, 0, NOW, 11), 0);
	holds = reopen(holds);
	assert_int_equal(add(holds, "a", CONTROL, 0, 11), -ESTALE); /* a replay of the kill after the restore */
	assert_int_equal(add(holds, "b", CONTROL, 0, 3), 0); /* counted for each app */
	assert_int_equal(add(holds, "b", CONTROL, 0, 5), 1); /* confirmed */
	assert_int_equal(lift(holds, "b", CONTROL, EG_HOLD_BY_CONTROL, 0, NOW, 4), -ESTALE);
	/* The restore overtook the kill. */
	assert_int_equal(lift(holds, "c", CONTROL, EG_HOLD_BY_CONTROL, 0, NOW, 8), -ENOENT);
	holds = reopen(holds);
	assert_int_equal(add(holds, "c", CONTROL, 0, 7), -ESTALE);
	assert_int_equal(add(holds, "c", CONTROL, 0, 9), 0);
	eg_holds_close(holds, 5000);
}

static void bad_names_make_nothing(void **state)
{
	static const char *const names[] = { "", "A", "-a", "a/b", "**", "a b", "a\n" };
	struct eg_holds *holds = reopen(NULL);
	struct eg_holds_stats stats;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct eg_hold hold = hold_of("x", LOCAL, 0);
		bool already;
		uint64_t ticket;

		strcpy(hold.app, names[i]);
		assert_int_equal(eg_holds_add(holds, &hold, &already, &ticket), -EINVAL);
	}
	assert_int_equal(add(holds, "a", LOCAL | AUTO, 0, 0), -EINVAL);
	assert_int_equal(add(holds, "a", 0, 0, 0), -EINVAL);
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.known, 0);
	eg_holds_close(holds, 5000);
}

static void texts_are_made_safe(void **state)
{
	struct eg_hold_record in = { .hold = hold_of("a", LOCAL, 1) }, out;
	char line[EG_HOLD_RECORD_MAX], small[4];
	int len;

	(void)state;
	eg_hold_set_text(in.hold.reason, sizeof(in.hold.reason), "a\"b\\c\nd\xff\xc3\xa9\xed\xa0\x80");
	assert_string_equal(in.hold.reason, "a\"b\\c?d?\xc3\xa9???");
	eg_hold_set_text(small, sizeof(small), "ab\xc3\xa9");
	assert_string_equal(small, "ab"); /* no half character */
	memset(in.hold.ticket, 'x', sizeof(in.hold.ticket) - 1);
	in.hold.generation = INT64_MAX;
	in.lifted = true;
	in.hold.shared = true;
	len = eg_hold_encode(&in, line, sizeof(line));
	assert_true(len > 0 && line[len - 1] == '\n' && !line[len]);
	assert_int_equal(eg_hold_decode(line, (size_t)len - 1, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	for (int i = 0; i < len - 1; i++) {
		line[i] ^= 4;
		assert_int_equal(eg_hold_decode(line, (size_t)len - 1, &out), -EBADMSG);
		line[i] ^= 4;
		assert_int_equal(eg_hold_decode(line, (size_t)i, &out), -EBADMSG);
	}
	assert_int_equal(eg_hold_encode(&in, line, 100), -ENOSPC);
}

static void append_to(const char *path, const char *text, size_t len)
{
	EG_CLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_int_equal(write(fd, text, len), len);
}

static void a_torn_tail_is_tolerated(void **state)
{
	struct eg_holds *holds = reopen(NULL);
	struct eg_holds_stats stats;
	struct stat st;

	(void)state;
	assert_int_equal(add(holds, "a", LOCAL, 0, 0), 0);
	assert_int_equal(add(holds, "b", LOCAL, 0, 0), 0);
	eg_holds_close(holds, 5000);
	assert_int_equal(stat(file("holds.journal"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(truncate(file("holds.journal"), st.st_size - 5), 0);
	holds = reopen(NULL);
	assert_int_equal(eg_holds_layers(holds, "a"), LOCAL);
	assert_int_equal(eg_holds_layers(holds, "b"), 0);
	assert_int_equal(add(holds, "c", LOCAL, 0, 0), 0); /* isn't swallowed by the torn line */
	holds = reopen(holds);
	assert_int_equal(eg_holds_layers(holds, "c"), LOCAL);
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.corrupt_lines, 0);
	eg_holds_close(holds, 5000);
}

static void a_damaged_line_is_counted_and_kept(void **state)
{
	static const char junk[] = "00000000 {\"v\":1}\n";
	struct eg_holds *holds = reopen(NULL);
	struct eg_holds_stats stats;

	(void)state;
	assert_int_equal(add(holds, "a", LOCAL, 0, 0), 0);
	eg_holds_close(holds, 5000);
	append_to(file("holds.journal"), junk, sizeof(junk) - 1);
	holds = reopen(NULL);
	assert_int_equal(eg_holds_layers(holds, "a"), LOCAL);
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.corrupt_lines, 1);
	assert_int_equal(access(file("holds.journal.bad"), F_OK), 0);
	holds = reopen(holds);
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.corrupt_lines, 0);
	assert_int_equal(eg_holds_layers(holds, "a"), LOCAL);
	eg_holds_close(holds, 5000);
	assert_int_equal(unlink(file("holds.journal")), 0);
	assert_int_equal(mkdir(file("holds.journal"), 0700), 0);
	assert_int_not_equal(eg_holds_open(dir, &holds), 0); /* unreadable: not "nothing is killed" */
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void durable_means_in_the_file(void **state)
{
	struct eg_holds *holds = reopen(NULL);
	struct eg_hold hold = hold_of("a", LOCAL, 0);
	EG_FCLOSE FILE *f = NULL;
	struct eg_hold_record record;
	char line[EG_HOLD_RECORD_MAX];
	bool already, found = false;
	uint64_t ticket, again;

	(void)state;
	assert_int_equal(eg_holds_add(holds, &hold, &already, &ticket), 0);
	assert_true(eg_holds_wait_durable(holds, ticket, 5000));
	f = fopen(file("holds.journal"), "r");
	while (f && fgets(line, sizeof(line), f))
		found |= eg_hold_decode(line, strcspn(line, "\n"), &record) == 0 && !strcmp(record.hold.app, "a");
	assert_true(found);
	assert_int_equal(eg_holds_add(holds, &hold, &already, &again), 0);
	assert_true(already);
	assert_int_equal(again, ticket);
	/* Somebody removes the file: the next hold isn't called durable for lines in an unlinked file. */
	assert_int_equal(unlink(file("holds.journal")), 0);
	strcpy(hold.app, "b");
	assert_int_equal(eg_holds_add(holds, &hold, &already, &ticket), 0);
	assert_true(eg_holds_wait_durable(holds, ticket, 5000));
	holds = reopen(holds);
	assert_int_equal(eg_holds_layers(holds, "a"), LOCAL);
	assert_int_equal(eg_holds_layers(holds, "b"), LOCAL);
	eg_holds_close(holds, 5000);
}

/* In a mount namespace of its own, with a disk of 64 KiB. Returns the line that failed. */
#define CHECK(c)                          \
	do {                              \
		if (!(c))                 \
			return __LINE__; \
	} while (0)

static int on_a_full_disk(void)
{
	struct eg_hold hold = hold_of("a", LOCAL, 0);
	struct eg_holds_stats stats;
	struct eg_holds *holds;
	bool already;
	uint64_t ticket, start;
	static const char zeros[4096];
	int fd;

	CHECK(unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", dir, "tmpfs", 0, "size=64k") == 0);
	CHECK(eg_holds_open(dir, &holds) == 0);
	fd = open(file("filler"), O_WRONLY | O_CREAT, 0600);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
	for (int i = 0; i < 40; i++) { /* more than what is left of the file's last page */
		snprintf(hold.app, sizeof(hold.app), "app-%d", i);
		CHECK(eg_holds_add(holds, &hold, &already, &ticket) == 0);
	}
	start = now_ms();
	CHECK(!eg_holds_wait_durable(holds, ticket, 100)); /* says so, and in time */
	CHECK(now_ms() - start < 2000);
	CHECK(eg_holds_layers(holds, "app-39") == LOCAL);
	eg_holds_stats(holds, &stats);
	CHECK(stats.last_error == -ENOSPC && stats.write_failures > 0 && stats.pending > 0);
	CHECK(unlink(file("filler")) == 0);
	CHECK(eg_holds_wait_durable(holds, ticket, 20000)); /* never gave up */
	eg_holds_stats(holds, &stats);
	CHECK(stats.last_error == 0 && stats.pending == 0);
	eg_holds_close(holds, 5000);
	CHECK(eg_holds_open(dir, &holds) == 0);
	CHECK(eg_holds_layers(holds, "app-0") == LOCAL && eg_holds_layers(holds, "app-39") == LOCAL);
	eg_holds_close(holds, 5000);
	return 0;
}

static void a_full_disk_is_said_and_survived(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int line = on_a_full_disk();

		if (line)
			fprintf(stderr, "line %d failed\n", line);
		_exit(line != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void *kill_many(void *arg)
{
	struct eg_holds *holds = ((void **)arg)[0];
	long base = (long)((void **)arg)[1];

	for (int i = 0; i < 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "app-%ld", base + i);
		if (add(holds, name, LOCAL, 1, 0) || lift(holds, name, LOCAL, EG_HOLD_BY_ADMIN, 0, NOW, 0) ||
		    add(holds, name, LOCAL, 1, 0))
			return arg;
	}
	return NULL;
}

static void many_threads_and_a_compaction(void **state)
{
	struct eg_holds *holds = reopen(NULL);
	struct eg_holds_stats stats;
	pthread_t threads[4];
	void *args[4][2], *failed;
	struct stat st;

	(void)state;
	for (long i = 0; i < 4; i++) {
		args[i][0] = holds;
		args[i][1] = (void *)(i * 500);
		assert_int_equal(pthread_create(&threads[i], NULL, kill_many, args[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	holds = reopen(holds); /* the journal of 6,000 records, replayed */
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.in_force, 2000);
	assert_int_equal(stats.corrupt_lines, 0);
	for (int i = 0; i < 20000; i++) { /* one app, back and forth: the file must not grow with it */
		assert_int_equal(lift(holds, "app-1", LOCAL, EG_HOLD_BY_ADMIN, 0, NOW, 0), 0);
		assert_int_equal(add(holds, "app-1", LOCAL, 1, 0), 0);
		if (i % 1000 == 0)
			eg_holds_wait_durable(holds, 2 * (uint64_t)i, 5000);
	}
	holds = reopen(holds);
	assert_int_equal(stat(file("holds.journal"), &st), 0);
	assert_true(st.st_size < 7000000); /* 40,000 records would be 8 MB */
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.in_force, 2000);
	eg_holds_close(holds, 5000);
}

static void record_merged(void *ctx, const struct eg_hold *hold)
{
	strcat(strcat(ctx, hold->app), " ");
}

static void direct_kill(const char *app)
{
	struct eg_hold hold = hold_of(app, LOCAL, 0);

	strcpy(hold.actor, "uid=0 via=direct");
	assert_int_equal(eg_hold_direct_append(dir, &hold), 0);
}

/* Merges until the file is empty. */
static void merge_all(struct eg_holds *holds, char *names)
{
	struct stat st;

	names[0] = '\0';
	do {
		assert_true(eg_holds_merge_direct(holds, record_merged, names) >= 0);
		sched_yield();
		assert_int_equal(stat(file(EG_HOLD_DIRECT), &st), 0);
	} while (st.st_size);
}

static void direct_kills_are_merged_once(void **state)
{
	struct eg_holds *holds;
	char names[256];
	struct pollfd fd;

	(void)state;
	direct_kill("a"); /* with the agent dead */
	direct_kill("b");
	holds = reopen(NULL);
	merge_all(holds, names);
	assert_string_equal(names, "a b ");
	assert_int_equal(eg_holds_layers(holds, "b"), LOCAL);
	fd = (struct pollfd){ .fd = eg_holds_direct_fd(holds), .events = POLLIN };
	while (poll(&fd, 1, 0) > 0) /* of our own doing; must come to an end */
		merge_all(holds, names);
	direct_kill("a"); /* with the agent alive */
	assert_int_equal(poll(&fd, 1, 5000), 1);
	merge_all(holds, names);
	assert_string_equal(names, "a ");
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_RESPONDER, 7, NOW, 0), -EPERM);
	eg_holds_close(holds, 5000);
}

static void copy_file(const char *from_name, const char *to_name)
{
	char buffer[65536], from[128];
	EG_CLOSE int in = -1;
	ssize_t len;

	strcpy(from, file(from_name));
	in = open(from, O_RDONLY);
	len = read(in, buffer, sizeof(buffer));
	assert_true(len > 0);
	unlink(file(to_name));
	append_to(file(to_name), buffer, (size_t)len);
}

static void a_restored_app_is_not_killed_again_by_an_old_entry(void **state)
{
	struct eg_holds *holds;
	char names[256] = "";
	uint64_t ticket;
	bool already;
	struct eg_hold hold = hold_of("z", LOCAL, 0);

	(void)state;
	direct_kill("a");
	direct_kill("b");
	direct_kill("a");
	copy_file(EG_HOLD_DIRECT, "saved");
	holds = reopen(NULL);
	merge_all(holds, names);
	assert_int_equal(lift(holds, "a", LOCAL, EG_HOLD_BY_ADMIN, 0, NOW, 0), 0);
	assert_int_equal(eg_holds_add(holds, &hold, &already, &ticket), 0);
	assert_true(eg_holds_wait_durable(holds, ticket, 5000));
	eg_holds_close(holds, 5000);
	copy_file("saved", EG_HOLD_DIRECT); /* as if the agent had died before it emptied the file */
	holds = reopen(NULL);
	merge_all(holds, names);
	assert_string_equal(names, "");
	assert_int_equal(eg_holds_layers(holds, "a"), 0);
	copy_file("saved", EG_HOLD_DIRECT);
	direct_kill("a"); /* a new one all the same */
	merge_all(holds, names);
	assert_string_equal(names, "a ");
	eg_holds_close(holds, 5000);
}

static void a_torn_direct_entry_swallows_no_other(void **state)
{
	struct eg_holds_stats stats;
	struct eg_holds *holds;
	char names[256];

	(void)state;
	append_to(file(EG_HOLD_DIRECT), "12345678 {\"v\":1,\"op", 20);
	direct_kill("a");
	holds = reopen(NULL);
	merge_all(holds, names);
	assert_string_equal(names, "a ");
	eg_holds_stats(holds, &stats);
	assert_int_equal(stats.corrupt_lines, 1);
	assert_int_equal(stats.direct_merged, 1);
	eg_holds_close(holds, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(holds_or_together_and_outlive_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(who_may_lift_what, setup, teardown),
		cmocka_unit_test_setup_teardown(killing_again_gives_nobody_a_way_out, setup, teardown),
		cmocka_unit_test_setup_teardown(old_generations_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_names_make_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_are_made_safe, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_tail_is_tolerated, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_line_is_counted_and_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(durable_means_in_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_said_and_survived, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads_and_a_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(direct_kills_are_merged_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restored_app_is_not_killed_again_by_an_old_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_direct_entry_swallows_no_other, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The file sink on real directories: what it writes, and what rotation, a crash, a full disk and other people's hands
 * do to it. The wall clock and fdatasync(2) are this program's own, so that a test can turn the one, break the other.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "../../agent/ship/file_names.h"
#include "../../agent/ship/file_tail.h"
#include "../../agent/ship/protocol.h"

#define S_NS   1000000000ull
#define NOON_S 1795608000 /* 2026-11-25T12:00:00Z */
#define DAY_S  86400
#define KIB    1024u
#define ITEMS  4000u

static char top[128], dir[160], path[192];
static struct eg_sink_config config;
static atomic_bool stopping;
static void *sink;
static struct eg_item items[ITEMS];
static struct eg_result result;
static int64_t wall_s; /* what the clock says; it stands still */
static int sync_error; /* errno of the next fdatasync; 0: the real one */
static unsigned syncs;

int clock_gettime(clockid_t id, struct timespec *ret)
{
	if (id != CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, id, ret);
	*ret = (struct timespec){.tv_sec = wall_s};
	return 0;
}

int fdatasync(int fd)
{
	syncs++;
	if (sync_error) {
		errno = sync_error;
		sync_error = 0;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- A directory, and what is in it ---------------------------------------------------- */

static void empty(const char *where)
{
	DIR *d = opendir(where);
	struct dirent *e;
	char name[512];

	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%.180s/%.255s", where, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(name) < 0)
			rmdir(name);
	}
	if (d)
		closedir(d);
}

static int setup(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof(top), "%.80s/egret-file-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/log", top);
	snprintf(path, sizeof(path), "%s/events.ndjson", dir);
	config = (struct eg_sink_config){.name = "local", .path = path, .rotate_bytes = 64 << 20,
					 .keep_bytes = 1 << 30, .keep_ns = 30 * DAY_S * S_NS};
	wall_s = NOON_S;
	sync_error = 0;
	atomic_store(&stopping, false);
	return 0;
}

static void stop(void)
{
	eg_protocol_file.close(sink);
	sink = NULL;
}

static int teardown(void **state)
{
	(void)state;
	stop();
	umount2(dir, MNT_DETACH);
	empty(dir);
	empty(top);
	rmdir(top);
	return 0;
}

static int make_items(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITEMS; i++) {
		int len = asprintf(&items[i].text, "{\"event_id\":\"h-1-%u\",\"pad\":\"%0160u\"}", i, i);

		assert_true(len > 0);
		items[i].len = (size_t)len;
		items[i].id = items[i].type = items[i].app = items[i].host = (char *)"";
	}
	return 0;
}

static int free_items(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITEMS; i++)
		free(items[i].text);
	return 0;
}

static void start(void)
{
	struct eg_error err = {0};

	stop();
	assert_int_equal(eg_protocol_file.open(&config, &stopping, &sink, &err), 0);
}

/* Items first .. first + count - 1, as one batch. */
static enum eg_outcome send(unsigned first, unsigned count)
{
	if (!sink)
		start();
	result = (struct eg_result){.outcome = EG_OUTCOME_COUNT_};
	eg_protocol_file.send(sink, &items[first], count, &result);
	assert_int_equal(result.outcome == EG_OUTCOME_DELIVERED, result.error[0] == '\0');
	assert_false(result.has_items);
	return result.outcome;
}

static void deliver(unsigned first, unsigned count)
{
	if (send(first, count) != EG_OUTCOME_DELIVERED)
		fail_msg("%s", result.error);
}

/* Sends batches of one item until nothing waits to be compressed. */
static unsigned settle(unsigned first)
{
	for (unsigned i = 0; i < 3; i++)
		deliver(first + i, 1);
	return first + 3;
}

static int is_ours(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static struct dirent **list;
static int listed;

/* The files of the directory, sorted by name. */
static int look(void)
{
	while (listed > 0)
		free(list[--listed]);
	free(list);
	listed = scandir(dir, &list, is_ours, alphasort);
	return listed;
}

static void expect_files(const char *const *names, int count)
{
	look();
	for (int i = 0; i < listed && i < count; i++)
		assert_string_equal(list[i]->d_name, names[i]);
	assert_int_equal(listed, count);
}

#define EXPECT_FILES(...)                                                                      \
	do {                                                                                   \
		const char *const names_[] = {__VA_ARGS__};                                    \
		expect_files(names_, (int)(sizeof(names_) / sizeof(*names_)));                 \
	} while (0)

/* How often each item is in a file, compressed or not (zlib reads both); anything else in there is a failure. */
static void tally_file(const char *name, unsigned *tally)
{
	char full[512], line[512];
	unsigned n;
	gzFile file;

	snprintf(full, sizeof(full), "%s/%s", dir, name);
	file = gzopen(full, "rb");
	assert_non_null(file);
	while (gzgets(file, line, sizeof(line))) {
		assert_int_equal(sscanf(line, "{\"event_id\":\"h-1-%u\"", &n), 1);
		assert_in_range(n, 0, ITEMS - 1);
		assert_memory_equal(line, items[n].text, items[n].len);
		assert_string_equal(line + items[n].len, "\n");
		tally[n]++;
	}
	assert_int_equal(gzclose(file), Z_OK);
}

/* In all files together: items below count once each, and no others. */
static void expect_once(unsigned count)
{
	static unsigned tally[ITEMS];

	memset(tally, 0, sizeof(tally));
	look();
	for (int i = 0; i < listed; i++)
		tally_file(list[i]->d_name, tally);
	for (unsigned i = 0; i < ITEMS; i++) {
		if (tally[i] != (i < count))
			fail_msg("item %u is there %u times", i, tally[i]);
	}
}

static void put(const char *name, const char *text, size_t len)
{
	char full[512];
	FILE *f;

	mkdir(dir, 0755);
	snprintf(full, sizeof(full), "%s/%s", dir, name);
	f = fopen(full, "a");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct stat stat_of(const char *name)
{
	struct stat st = {0};
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", dir, name);
	lstat(full, &st);
	return st;
}

/* ---- Writing -------------------------------------------------------------------------- */

static void lines_and_modes(void **state)
{
	mode_t mask = umask(077);

	(void)state;
	syncs = 0;
	deliver(0, 100);
	deliver(100, 1);
	umask(mask);
	assert_int_equal(syncs, 2);
	expect_once(101);
	assert_int_equal(stat_of("events.ndjson").st_mode & 07777, 0640);
	EXPECT_FILES("events.ndjson");
}

static void goes_on_where_it_was(void **state)
{
	(void)state;
	deliver(0, 10);
	start();
	deliver(10, 10);
	expect_once(20);
	EXPECT_FILES("events.ndjson");
}

static void bad_paths(void **state)
{
	static const char *const bad[] = {"", "/", "/tmp/", "/tmp/..", "."};
	struct eg_error err = {0};
	void *none;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		config.path = (char *)bad[i];
		assert_int_equal(eg_protocol_file.open(&config, &stopping, &none, &err), -EINVAL);
		assert_non_null(strstr(err.message, "is not the name of a file"));
	}
	config.path = strcat(strcpy(path, top), "/absent/log/events.ndjson");
	assert_int_equal(send(0, 1), EG_OUTCOME_PAUSE);
	assert_non_null(strstr(result.error, "can't make its directory: No such file"));
}

static void links_and_others_are_refused(void **state)
{
	char victim[192];

	(void)state;
	put("victim", "precious\n", 9);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(send(0, 1), EG_OUTCOME_PAUSE);
	assert_non_null(strstr(result.error, "symbolic link"));
	assert_int_equal(stat_of("victim").st_size, 9);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(send(0, 1), EG_OUTCOME_PAUSE);
	assert_non_null(strstr(result.error, "not a regular file"));
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(send(0, 1), EG_OUTCOME_PAUSE);
	assert_non_null(strstr(result.error, "not a regular file"));
	rmdir(path);
	deliver(0, 1);
	unlink(victim);
	expect_once(1);
}

static void one_writer(void **state)
{
	void *first;

	(void)state;
	deliver(0, 5);
	first = sink;
	sink = NULL;
	assert_int_equal(send(5, 5), EG_OUTCOME_PAUSE);
	assert_non_null(strstr(result.error, "another sink or process writes to it"));
	eg_protocol_file.close(first);
	deliver(5, 5);
	expect_once(10);
}

/* ---- Rotation ------------------------------------------------------------------------- */

static void rotates_by_size(void **state)
{
	unsigned n;

	(void)state;
	config.rotate_bytes = 64 * KIB;
	for (n = 0; n < 1000; n += 100) /* 19,900 bytes each: three go into a file */
		deliver(n, 100);
	n = settle(n);
	expect_once(n);
	EXPECT_FILES("events-20261125T120000Z-000001.ndjson.gz", "events-20261125T120000Z-000002.ndjson.gz",
		     "events-20261125T120000Z-000003.ndjson.gz", "events.ndjson");
	assert_int_equal(list[0]->d_type == DT_REG, 1);
	assert_int_equal(stat_of(list[0]->d_name).st_mode & 07777, 0640);
	assert_true(stat_of(list[0]->d_name).st_size < 20000);
	start();
	wall_s++;
	deliver(n, 300);
	settle(n + 300);
	expect_once(n + 303);
	assert_int_equal(look(), 5);
	assert_string_equal(list[3]->d_name, "events-20261125T120001Z-000004.ndjson.gz");
}

static void rotates_by_day(void **state)
{
	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	deliver(0, 10);
	wall_s = NOON_S + DAY_S / 2 - 1;
	deliver(10, 10);
	EXPECT_FILES("events.ndjson");
	wall_s++;
	deliver(20, 10);
	deliver(30, 1);
	EXPECT_FILES("events-20261126T000000Z-000001.ndjson.gz", "events.ndjson");
	expect_once(31);
}

/* A file of a day before the sink was started. */
static void rotates_what_it_finds(void **state)
{
	struct timespec times[2] = {{.tv_sec = NOON_S - DAY_S}, {.tv_sec = NOON_S - DAY_S}};

	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	deliver(0, 10);
	stop();
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	deliver(10, 1);
	deliver(11, 1);
	EXPECT_FILES("events-20261125T120000Z-000001.ndjson.gz", "events.ndjson");
	expect_once(12);
}

/* A day ahead and back: the numbers tell the order, and no file is written over. */
static void clock_goes_back(void **state)
{
	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	deliver(0, 10);
	wall_s += DAY_S;
	deliver(10, 10);
	wall_s -= DAY_S;
	deliver(20, 10);
	wall_s += DAY_S;
	deliver(30, 10);
	deliver(40, 1);
	EXPECT_FILES("events-20261125T120000Z-000002.ndjson.gz", "events-20261126T120000Z-000001.ndjson.gz",
		     "events-20261126T120000Z-000003.ndjson.gz", "events.ndjson");
	expect_once(41);
}

static void keeps_by_age(void **state)
{
	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	config.keep_ns = 2 * DAY_S * S_NS;
	put("events-20200101T000000Z-000001.ndjson.bak", "{}\n", 3);
	put("other-20200101T000000Z-000001.ndjson.gz", "{}\n", 3);
	put("events-20200101T000000Z-1.ndjson", "{}\n", 3);
	put("events-20201301T000000Z-000001.ndjson", "{}\n", 3);
	for (unsigned day = 0; day < 6; day++) {
		deliver(day * 10, 10);
		wall_s += DAY_S;
	}
	deliver(60, 1);
	EXPECT_FILES("events-20200101T000000Z-000001.ndjson.bak", "events-20200101T000000Z-1.ndjson",
		     "events-20201301T000000Z-000001.ndjson", "events-20261129T120000Z-000004.ndjson.gz",
		     "events-20261130T120000Z-000005.ndjson.gz", "events-20261201T120000Z-000006.ndjson.gz",
		     "events.ndjson", "other-20200101T000000Z-000001.ndjson.gz");
}

static void keeps_by_size(void **state)
{
	uint64_t total = 0;

	(void)state;
	config.rotate_bytes = 20 * KIB;
	config.keep_bytes = 8 * KIB;
	for (unsigned n = 0; n < 2000; n += 100)
		deliver(n, 100);
	settle(2000);
	look();
	assert_in_range(listed, 3, 15);
	for (int i = 0; i + 1 < listed; i++)
		total += (uint64_t)stat_of(list[i]->d_name).st_size;
	assert_in_range(total, 4 * KIB, 8 * KIB);
	/* The newest are those that were kept, without a hole. */
	assert_string_equal(list[listed - 2]->d_name, "events-20261125T120000Z-000019.ndjson.gz");
	for (int i = 1; i + 1 < listed; i++)
		assert_int_equal(atoi(list[i]->d_name + 24), atoi(list[i - 1]->d_name + 24) + 1);
}

static void names(void **state)
{
	struct eg_file_names n;
	struct eg_file_old old;
	enum eg_file_form form;
	char name[NAME_MAX + 1], is_long[300];

	(void)state;
	assert_int_equal(eg_file_names_init("/var/log/egret/events.ndjson", &n), 0);
	assert_string_equal(n.dir, "/var/log/egret");
	assert_string_equal(n.live, "events.ndjson");
	eg_file_names_old(&n, NOON_S, 123, EG_FILE_GZ, name);
	assert_string_equal(name, "events-20261125T120000Z-000123.ndjson.gz");
	assert_true(eg_file_names_parse(&n, name, &old, &form));
	assert_int_equal(old.number, 123);
	assert_int_equal(old.closed_s, NOON_S);
	assert_int_equal(form, EG_FILE_GZ);
	eg_file_names_old(&n, NOON_S, 12345678901234567890u, EG_FILE_TMP, name);
	assert_true(eg_file_names_parse(&n, name, &old, &form) && form == EG_FILE_TMP);
	assert_true(old.number == 12345678901234567890u);
	assert_false(eg_file_names_parse(&n, "events-20261125T120000Z-99999999999999999999999.ndjson", &old, &form));
	assert_false(eg_file_names_parse(&n, "events-20261125T120000Z--00012.ndjson", &old, &form));
	assert_false(eg_file_names_parse(&n, "events-20261125T120000Z- 00012.ndjson", &old, &form));
	assert_false(eg_file_names_parse(&n, "events.ndjson", &old, &form));
	assert_false(eg_file_names_parse(&n, "events-", &old, &form));
	assert_int_equal(eg_file_names_init("log", &n), 0);
	assert_string_equal(n.dir, ".");
	eg_file_names_old(&n, NOON_S, 1, EG_FILE_PLAIN, name);
	assert_string_equal(name, "log-20261125T120000Z-000001");
	assert_int_equal(eg_file_names_init("/.hidden", &n), 0);
	assert_string_equal(n.dir, "/");
	assert_string_equal(n.stem, ".hidden");
	memset(is_long, 'a', sizeof(is_long));
	is_long[240] = '\0';
	assert_int_equal(eg_file_names_init(is_long, &n), -ENAMETOOLONG);
}

/* ---- Crashes -------------------------------------------------------------------------- */

/* Half a line at the end, of every length; its batch comes again. */
static void torn_line(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < items[0].len; cut += 7) {
		empty(dir);
		deliver(0, 20);
		stop();
		put("events.ndjson", items[20].text, cut);
		deliver(10, 20);
		expect_once(30);
	}
}

static void only_a_torn_line(void **state)
{
	(void)state;
	put("events.ndjson", items[0].text, 20);
	deliver(0, 3);
	expect_once(3);
	EXPECT_FILES("events.ndjson");
}

/* What ends in something else is kept aside, not cut. */
static void not_our_lines(void **state)
{
	static const char foreign[] = "Nov 25 12:00:00 host program: text\nand no newline";
	char *big = malloc(EG_FILE_TAIL_MAX + 10);

	(void)state;
	put("events.ndjson", foreign, strlen(foreign));
	deliver(0, 3);
	look();
	assert_int_equal(listed, 2);
	assert_memory_equal(list[0]->d_name, "events-20261125T120000Z-000001.ndjson", 37);
	assert_true(stat_of("events.ndjson").st_size > 0);
	stop();
	empty(dir);
	memset(big, '{', EG_FILE_TAIL_MAX + 10);
	put("events.ndjson", big, EG_FILE_TAIL_MAX + 10);
	config.keep_bytes = 0;
	atomic_store(&stopping, true); /* nothing is compressed then */
	deliver(0, 3);
	assert_int_equal(stat_of("events-20261125T120000Z-000001.ndjson").st_size, EG_FILE_TAIL_MAX + 10);
	free(big);
}

/* Killed after fdatasync and before the cursor moved, wherever in the batch the write had got to. */
static void sent_again_after_a_kill(void **state)
{
	(void)state;
	for (unsigned there = 0; there <= 100; there += 10) {
		empty(dir);
		deliver(0, 300);
		if (there > 0)
			deliver(300, there);
		stop();
		/* Other batches than before: sizes need not be the same. */
		deliver(200, 50);
		deliver(250, 75);
		deliver(325, 200);
		expect_once(525);
	}
}

static void sent_again_after_a_rotation(void **state)
{
	(void)state;
	config.rotate_bytes = 64 * KIB;
	deliver(0, 300);
	atomic_store(&stopping, true);
	deliver(300, 100); /* into a new file; the old one is not compressed yet */
	atomic_store(&stopping, false);
	assert_int_equal(look(), 2);
	start();
	deliver(100, 300);
	deliver(400, 300);
	expect_once(700);
}

/* The lines found there are asked for again only once: the same event may come twice, as two. */
static void only_once_each(void **state)
{
	static unsigned tally[ITEMS];

	(void)state;
	deliver(0, 10);
	start();
	deliver(5, 5);
	deliver(9, 1);
	memset(tally, 0, sizeof(tally));
	tally_file("events.ndjson", tally);
	assert_int_equal(tally[8], 1);
	assert_int_equal(tally[9], 2);
}

/* Killed at each step of a compression. */
static void compression_interrupted(void **state)
{
	char gz[256], plain[256], kept[768];

	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	deliver(0, 200);
	wall_s += DAY_S;
	atomic_store(&stopping, true);
	deliver(200, 100);
	stop();
	atomic_store(&stopping, false);
	config.rotate_ns = 0; /* by mtime it would be for another day than by our clock */
	/* An unfinished one. */
	put("events-20261126T120000Z-000001.ndjson.gz.tmp", "rubbish", 7);
	deliver(300, 1);
	expect_once(301);
	EXPECT_FILES("events-20261126T120000Z-000001.ndjson.gz", "events.ndjson");
	/* Renamed, the plain one not yet deleted. */
	stop();
	snprintf(gz, sizeof(gz), "%s/events-20261126T120000Z-000001.ndjson.gz", dir);
	snprintf(kept, sizeof(kept), "gzip -dc %s >%s/events-20261126T120000Z-000001.ndjson", gz, dir);
	assert_int_equal(system(kept), 0);
	deliver(301, 1);
	expect_once(302);
	EXPECT_FILES("events-20261126T120000Z-000001.ndjson.gz", "events.ndjson");
	/* The disk lied: the compressed one is not whole. */
	stop();
	assert_int_equal(system(kept), 0);
	assert_int_equal(truncate(gz, 100), 0);
	snprintf(plain, sizeof(plain), "%s/events-20261126T120000Z-000001.ndjson", dir);
	assert_int_equal(access(plain, F_OK), 0);
	deliver(302, 1);
	expect_once(303);
	EXPECT_FILES("events-20261126T120000Z-000001.ndjson.gz", "events.ndjson");
}

/* ---- Disks and hands ------------------------------------------------------------------ */

static void sync_fails(void **state)
{
	(void)state;
	deliver(0, 10);
	sync_error = EIO;
	assert_int_equal(send(10, 10), EG_OUTCOME_RETRY);
	assert_non_null(strstr(result.error, "the disk did not keep it: Input/output error"));
	deliver(10, 10);
	deliver(20, 1);
	/* The old file is closed for good, and holds nothing of the batch in doubt. */
	expect_once(21);
	EXPECT_FILES("events-20261125T120000Z-000001.ndjson.gz", "events.ndjson");
}

/* What was found there and not sure to be on the disk is written again after that. */
static void sync_fails_on_what_was_there(void **state)
{
	static unsigned tally[ITEMS];

	(void)state;
	deliver(0, 10);
	start();
	sync_error = EIO;
	assert_int_equal(send(5, 5), EG_OUTCOME_RETRY);
	deliver(5, 5);
	tally_file("events.ndjson", tally);
	for (unsigned i = 5; i < 10; i++)
		assert_int_equal(tally[i], 1);
}

static const char *ballast_path(void)
{
	static char name[192];

	snprintf(name, sizeof(name), "%s/.ballast", dir);
	return name;
}

static void fill_disk(void)
{
	int fd = open(ballast_path(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, (char[4096]){0}, 4096) > 0)
		continue;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static void full_disk(void **state)
{
	uint64_t before;

	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=256k"), 0);
	deliver(0, 100);
	before = (uint64_t)stat_of("events.ndjson").st_size;
	for (int i = 0; i < 3; i++) {
		/* More than there is room for: some of it gets written, and is taken back. */
		assert_int_equal(send(100, 2000), EG_OUTCOME_RETRY);
		assert_non_null(strstr(result.error, "can't write to it: No space left"));
		assert_int_equal(stat_of("events.ndjson").st_size, before);
	}
	deliver(100, 100);
	/* Full also for a start, and for a new file. */
	fill_disk();
	start();
	assert_int_equal(send(200, 100), EG_OUTCOME_RETRY);
	wall_s += DAY_S;
	assert_int_equal(send(200, 100), EG_OUTCOME_RETRY);
	assert_int_equal(send(200, 100), EG_OUTCOME_RETRY);
	assert_int_equal(unlink(ballast_path()), 0);
	deliver(200, 100);
	expect_once(300);
	stop();
}

/* No room for the compressed form: the plain one stays, and nothing else. */
static void full_disk_compressing(void **state)
{
	(void)state;
	config.rotate_ns = DAY_S * S_NS;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=512k"), 0);
	atomic_store(&stopping, true);
	deliver(0, 1500);
	fill_disk();
	assert_int_equal(truncate(ballast_path(), stat_of(".ballast").st_size - 8192), 0);
	wall_s += DAY_S;
	atomic_store(&stopping, false);
	deliver(1500, 10);
	deliver(1510, 10);
	EXPECT_FILES("events-20261126T120000Z-000001.ndjson", "events.ndjson");
	expect_once(1520);
	stop();
}

static void moved_deleted_emptied(void **state)
{
	char moved[192];

	(void)state;
	snprintf(moved, sizeof(moved), "%s/moved", dir);
	deliver(0, 10);
	assert_int_equal(rename(path, moved), 0);
	deliver(10, 10);
	expect_once(20);
	EXPECT_FILES("events.ndjson", "moved");
	assert_int_equal(unlink(path), 0);
	deliver(20, 10);
	assert_int_equal(truncate(path, 0), 0); /* as logrotate's copytruncate does */
	deliver(30, 10);
	assert_int_equal(stat_of("events.ndjson").st_size, 10 * (items[30].len + 1));
	/* Another file under its name. */
	assert_int_equal(unlink(path), 0);
	put("events.ndjson", "", 0);
	deliver(40, 10);
	assert_int_equal(stat_of("events.ndjson").st_size, 10 * (items[40].len + 1));
	/* Another directory, and none. */
	snprintf(moved, sizeof(moved), "%s/moved", top);
	empty(dir);
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
	deliver(0, 10);
	expect_once(10);
	empty(dir);
	assert_int_equal(rmdir(dir), 0);
	deliver(0, 10);
	expect_once(10);
	assert_int_equal(stat_of("events.ndjson").st_mode & 07777, 0640);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lines_and_modes),
		TEST(goes_on_where_it_was),
		TEST(bad_paths),
		TEST(links_and_others_are_refused),
		TEST(one_writer),
		TEST(rotates_by_size),
		TEST(rotates_by_day),
		TEST(rotates_what_it_finds),
		TEST(clock_goes_back),
		TEST(keeps_by_age),
		TEST(keeps_by_size),
		TEST(names),
		TEST(torn_line),
		TEST(only_a_torn_line),
		TEST(not_our_lines),
		TEST(sent_again_after_a_kill),
		TEST(sent_again_after_a_rotation),
		TEST(only_once_each),
		TEST(compression_interrupted),
		TEST(sync_fails),
		TEST(sync_fails_on_what_was_there),
		TEST(full_disk),
		TEST(full_disk_compressing),
		TEST(moved_deleted_emptied),
	};

	return cmocka_run_group_tests(tests, make_items, free_items);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_direct.c - kill --direct on maps like the agent's, pinned in a bpffs of its own
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "../../agent/cli/direct.h"
#include "../../agent/lib/hold.h"
#include "test_cli_fixture.h"

#define SLOTS 8

static char top[64]; /* holds bpffs/ and state/ */
static char bpffs[96];
static char state_dir[96];
static struct eg_app *apps; /* as the programs see them */
static struct eg_host_ctl *host;
static int names_fd;

/* ---- Maps ------------------------------------------------------------------------------------ */

static int pin_map(enum bpf_map_type type, const char *name, __u32 key_size, __u32 value_size, __u32 max)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = type == BPF_MAP_TYPE_ARRAY ? BPF_F_MMAPABLE : 0);
	int fd = bpf_map_create(type, name, key_size, value_size, max, &opts);
	char path[160];

	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, name);
	unlink(path);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	return fd;
}

static void *share(int fd, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(at != MAP_FAILED);
	close(fd);
	return at;
}

static void name_app(const char *name, __u32 slot, __u32 gen)
{
	struct eg_app_name key = {{0}};
	struct eg_app_ref ref = {slot, gen};

	strcpy(key.name, name);
	assert_int_equal(bpf_map_update_elem(names_fd, &key, &ref, BPF_ANY), 0);
	if (slot < SLOTS)
		apps[slot].ctl.gen = gen;
}

static int setup(void **state)
{
	char path[160];

	(void)state;
	strcpy(top, "/tmp/egret-test-direct.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(bpffs, sizeof(bpffs), "%s/bpffs", top);
	snprintf(state_dir, sizeof(state_dir), "%s/state", top);
	snprintf(path, sizeof(path), "%s/maps", bpffs);
	if (mkdir(bpffs, 0700) || mount("bpf", bpffs, "bpf", 0, NULL) || mkdir(path, 0700))
		return -1;
	apps = share(pin_map(BPF_MAP_TYPE_ARRAY, "apps", 4, sizeof(*apps), SLOTS), SLOTS * sizeof(*apps));
	host = share(pin_map(BPF_MAP_TYPE_ARRAY, "host_ctl", 4, sizeof(*host), 1), sizeof(*host));
	names_fd = pin_map(BPF_MAP_TYPE_HASH, "app_names", sizeof(struct eg_app_name), sizeof(struct eg_app_ref), SLOTS);
	host->abi_major = EG_ABI_MAJOR;
	name_app("app-x", 3, 7);
	name_app("app-y", 4, 1);
	return 0;
}

static int teardown(void **state)
{
	char command[160];

	(void)state;
	munmap(apps, SLOTS * sizeof(*apps));
	munmap(host, sizeof(*host));
	close(names_fd);
	umount(bpffs);
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

/* Mounts are nobody else's, and gone with the process. */
static int own_mounts(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* ---- Running ------------------------------------------------------------------------------------- */

static void kill_direct(struct outcome *o, const char *arguments)
{
	char words[512];

	snprintf(words, sizeof(words), "kill --direct --bpffs %s --state-dir %s %s", bpffs, state_dir, arguments);
	RUN(o, words, NULL);
	assert_int_equal(o->fake.request_count, 0); /* no agent is asked */
}

/* The n-th record of the journal; false: there is none. */
static bool read_record(size_t n, struct eg_hold_record *ret)
{
	EG_FCLOSE FILE *f = NULL;
	EG_FREE char *line = NULL;
	char path[160];
	size_t room = 0;
	ssize_t len = 0;

	snprintf(path, sizeof(path), "%s/" EG_HOLD_DIRECT, state_dir);
	f = fopen(path, "r");
	for (size_t i = 0; f && i <= n; i++)
		len = getline(&line, &room, f);
	if (!f || len <= 0)
		return false;
	assert_int_equal(eg_hold_decode(line, (size_t)len - 1, ret), 0);
	return true;
}

static void test_kill(void **state)
{
	struct eg_hold_record record;
	OUTCOME o;

	(void)state;
	kill_direct(&o, "app-x --reason leak --ticket T-1");
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_true(apps[3].ctl.kill == EG_KILL_WORD(7, EG_HOLD_LOCAL));
	for (int i = 0; i < SLOTS; i++)
		assert_true(i == 3 || apps[i].ctl.kill == 0);
	assert_true(host->kill_all == 0);
	assert_true(read_record(0, &record));
	assert_false(read_record(1, &record));
	read_record(0, &record);
	assert_false(record.lifted);
	assert_string_equal(record.hold.app, "app-x");
	assert_int_equal(record.hold.layer, EG_HOLD_LOCAL);
	assert_string_equal(record.hold.reason, "leak");
	assert_string_equal(record.hold.ticket, "T-1");
	assert_has(record.hold.actor, "via=direct");
	assert_int_equal(strlen(record.hold.id), 32);
	assert_true(record.hold.time_utc_ns > 1700000000000000000ull);
	assert_has(o.out, "ok      store  app-x killed after ");
	assert_has(o.out, "ok      record ");
}

/* What other layers hold stays; what an earlier user of the slot had does not count. */
static void test_other_layers(void **state)
{
	OUTCOME x, y, again;

	(void)state;
	apps[3].ctl.kill = EG_KILL_WORD(7, EG_HOLD_CONTROL);
	apps[4].ctl.kill = EG_KILL_WORD(0, EG_HOLD_CONTROL | EG_HOLD_AUTO);
	kill_direct(&x, "app-x");
	assert_true(apps[3].ctl.kill == EG_KILL_WORD(7, EG_HOLD_CONTROL | EG_HOLD_LOCAL));
	kill_direct(&y, "app-y");
	assert_true(apps[4].ctl.kill == EG_KILL_WORD(1, EG_HOLD_LOCAL));
	kill_direct(&again, "app-x -o json");
	assert_has(again.out, "\"already\": true");
	assert_int_equal(again.status, EG_EXIT_OK);
}

static void test_all(void **state)
{
	struct eg_hold_record record;
	OUTCOME o;

	(void)state;
	host->kill_all = EG_HOLD_CONTROL;
	kill_direct(&o, "--all");
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_true(host->kill_all == (EG_HOLD_CONTROL | EG_HOLD_LOCAL));
	assert_true(apps[3].ctl.kill == 0);
	assert_true(read_record(0, &record));
	assert_string_equal(record.hold.app, EG_HOLD_ALL_APPS);
}

/* An app that has no slot yet: only the record, which is what counts for it. */
static void test_not_seen(void **state)
{
	struct eg_hold_record record;
	OUTCOME o;

	(void)state;
	kill_direct(&o, "app-new");
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_has(o.out, "app-new is not known to the kernel");
	assert_true(read_record(0, &record));
	assert_string_equal(record.hold.app, "app-new");
	for (int i = 0; i < SLOTS; i++)
		assert_true(apps[i].ctl.kill == 0);
}

/* ---- One of the two steps fails: the other is done all the same ----------------------------------------- */

static void assert_store_fails(const char *arguments, const char *words)
{
	struct eg_hold_record record;
	OUTCOME o;

	kill_direct(&o, arguments);
	assert_int_equal(o.status, EG_EXIT_FAILED);
	assert_has(o.out, "FAILED  store ");
	assert_has(o.out, words);
	assert_has(o.out, "ok      record ");
	assert_true(read_record(0, &record));
}

static void test_other_version(void **state)
{
	(void)state;
	host->abi_major = EG_ABI_MAJOR + 1;
	assert_store_fails("app-x", "host_ctl: is of another version of Egret");
	assert_store_fails("--all", "host_ctl: is of another version of Egret");
	assert_true(apps[3].ctl.kill == 0);
	assert_true(host->kill_all == 0);
}

static void test_other_size(void **state)
{
	(void)state;
	close(pin_map(BPF_MAP_TYPE_ARRAY, "apps", 4, sizeof(struct eg_app) * 2, SLOTS));
	assert_store_fails("app-x", "apps: is of another version of Egret");
}

static void test_slot_out_of_range(void **state)
{
	(void)state;
	name_app("app-z", SLOTS, 1);
	name_app("app-0", EG_APP_UNKNOWN, 1);
	assert_store_fails("app-z", "apps: ");
	assert_store_fails("app-0", "apps: ");
	assert_true(apps[0].ctl.kill == 0);
}

static void test_no_pins(void **state)
{
	(void)state;
	umount(bpffs);
	assert_store_fails("app-x", "is not pinned: nothing is enforced here");
	assert_store_fails("--all", "is not pinned: nothing is enforced here");
}

/* The slot went to another app and the names do not say so yet. */
static void test_slot_in_other_hands(void **state)
{
	(void)state;
	apps[3].ctl.gen = 8;
	apps[3].ctl.kill = 0;
	assert_store_fails("app-x", "apps: ");
	assert_int_equal(apps[3].ctl.kill >> 32, 7); /* no hold on whoever has generation 8 */
}

static void test_no_record(void **state)
{
	FILE *f = fopen(state_dir, "w"); /* no directory */
	OUTCOME o;

	(void)state;
	fclose(f);
	kill_direct(&o, "app-x");
	assert_int_equal(o.status, EG_EXIT_FAILED);
	assert_true(apps[3].ctl.kill == EG_KILL_WORD(7, EG_HOLD_LOCAL));
	assert_has(o.out, "ok      store ");
	assert_has(o.out, "FAILED  record ");
	assert_has(o.out, "would not outlive a reboot");
}

/* ---- The word ------------------------------------------------------------------------------------------------ */

struct raiser {
	uint64_t *word;
	uint32_t layer;
};

static void *raise_often(void *ctx)
{
	const struct raiser *raiser = ctx;

	for (int i = 0; i < 100000; i++)
		eg_direct_raise(&raiser->word[i], 5, raiser->layer);
	return NULL;
}

/* An agent adds its layers at the same moment: none is lost, on a hundred thousand words. */
static void test_raise_together(void **state)
{
	uint64_t *words = calloc(100000, sizeof(*words));
	struct raiser raisers[] = {{words, EG_HOLD_LOCAL}, {words, EG_HOLD_CONTROL}, {words, EG_HOLD_AUTO}};
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, raise_often, &raisers[i]), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 100000; i++)
		assert_true(words[i] == EG_KILL_WORD(5, EG_HOLD_LOCAL | EG_HOLD_CONTROL | EG_HOLD_AUTO));
	free(words);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kill),	  TEST(test_other_layers), TEST(test_all),
		TEST(test_not_seen),	  TEST(test_other_version), TEST(test_other_size),
		TEST(test_slot_out_of_range), TEST(test_no_pins), TEST(test_slot_in_other_hands),
		TEST(test_no_record),	  cmocka_unit_test(test_raise_together),
	};

	return cmocka_run_group_tests(tests, own_mounts, NULL);
}

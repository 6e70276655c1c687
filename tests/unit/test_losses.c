// SPDX-License-Identifier: Apache-2.0
#include "events_fixture.h"

#include <errno.h>
#include <fcntl.h>

#include "../../agent/core/losses.h"
#include "events_rings.h"

#define SLOTS 1000u /* several chunks */

static struct eg_losses kernel[SLOTS]; /* what the map would hold */
static struct tmpdir dir;

struct told {
	unsigned calls;
	unsigned refuse_after; /* 0: never */
	uint32_t slot;
	enum eg_losses_cause cause;
	struct eg_loss sum;
	uint64_t events;
};

static int read_fake(void *ctx, uint32_t first, uint32_t count, struct eg_losses *ret)
{
	(void)ctx;
	assert_true(first + count <= SLOTS);
	memcpy(ret, kernel + first, count * sizeof(*ret));
	return 0;
}

static bool on_told(void *ctx, uint32_t slot, enum eg_losses_cause cause, const struct eg_loss *sum)
{
	struct told *t = ctx;

	if (t->refuse_after && t->calls == t->refuse_after)
		return false;
	t->calls++;
	t->slot = slot;
	t->cause = cause;
	t->sum = *sum;
	t->events += sum->events;
	return true;
}

static struct told collect(struct eg_loss_ledger *l, unsigned refuse_after)
{
	struct told t = {.refuse_after = refuse_after};

	assert_int_equal(eg_losses_collect(l, SLOTS, on_told, &t), 0);
	return t;
}

static struct eg_loss_ledger *new_ledger(uint64_t map_id)
{
	struct eg_losses_config config = {.slots = SLOTS, .read = read_fake, .map_id = map_id};
	struct eg_loss_ledger *l;

	assert_int_equal(eg_losses_new(&config, &l), 0);
	return l;
}

static int setup(void **state)
{
	(void)state;
	memset(kernel, 0, sizeof(kernel));
	tmpdir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tmpdir_remove(&dir);
	return 0;
}

static void only_what_is_new(void **state)
{
	struct eg_loss_ledger *l = new_ledger(1);
	struct told t;

	(void)state;
	assert_int_equal(collect(l, 0).calls, 0);
	kernel[700].by[EG_LOSS_RING_FULL] = (struct eg_loss){.events = 5, .bytes_out = 100};
	t = collect(l, 0);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.slot, 700);
	assert_int_equal(t.cause, EG_LOSSES_RING_FULL);
	assert_int_equal(t.sum.events, 5);
	assert_int_equal(t.sum.bytes_out, 100);
	assert_int_equal(collect(l, 0).calls, 0);
	kernel[700].by[EG_LOSS_RING_FULL].bytes_out = 150;
	kernel[3].by[EG_LOSS_SUPPRESSED].events = 1;
	t = collect(l, 0);
	assert_int_equal(t.calls, 2);
	assert_int_equal(t.sum.bytes_out, 50);
	assert_int_equal(t.sum.events, 0);
	/* A map begun anew. */
	kernel[700].by[EG_LOSS_RING_FULL] = (struct eg_loss){.events = 2};
	t = collect(l, 0);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.sum.events, 2);
	eg_losses_free(l);
}

static void what_is_not_taken_stays(void **state)
{
	struct eg_loss_ledger *l = new_ledger(1);
	uint64_t events;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		kernel[i * 100].by[EG_LOSS_SUPPRESSED].events = 1;
	events = collect(l, 4).events;
	assert_int_equal(events, 4);
	events += collect(l, 0).events;
	assert_int_equal(events, 10);
	eg_losses_free(l);
}

static void survives_a_restart(void **state)
{
	struct eg_loss_ledger *l = new_ledger(1);

	(void)state;
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	kernel[700].by[EG_LOSS_RING_FULL].events = 5;
	kernel[2].by[EG_LOSS_SUPPRESSED].events = 3;
	assert_int_equal(collect(l, 0).events, 8);
	assert_int_equal(eg_losses_commit(l), 0);
	kernel[700].by[EG_LOSS_RING_FULL].events = 6;
	assert_int_equal(collect(l, 0).events, 1);
	eg_losses_free(l); /* before the commit */

	l = new_ledger(1);
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	assert_int_equal(collect(l, 0).events, 1); /* twice rather than never */
	assert_int_equal(eg_losses_commit(l), 0);
	eg_losses_free(l);

	l = new_ledger(2); /* other maps: nothing of them was told */
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	assert_int_equal(collect(l, 0).events, 9);
	eg_losses_free(l);
}

static void file_made_again(void **state)
{
	struct eg_loss_ledger *l = new_ledger(1);

	(void)state;
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	kernel[1].by[EG_LOSS_RING_FULL].events = 5;
	assert_int_equal(collect(l, 0).events, 5);
	empty_dir(dir.path);
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	eg_losses_free(l);
	l = new_ledger(1);
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	assert_int_equal(collect(l, 0).events, 0);
	eg_losses_free(l);
}

static void garbage_in_the_file(void **state)
{
	struct eg_loss_ledger *l = new_ledger(1);
	char path[256];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/losses", dir.path);
	f = fopen(path, "we");
	for (int i = 0; i < 10000; i++)
		fputc(i & 0xff, f);
	fclose(f);
	kernel[1].by[EG_LOSS_RING_FULL].events = 5;
	assert_int_equal(eg_losses_restore(l, dir.path), 0);
	assert_int_equal(collect(l, 0).events, 5);
	eg_losses_free(l);
	l = new_ledger(1);
	assert_int_equal(eg_losses_restore(l, "/nonexistent"), -ENOENT);
	assert_int_equal(collect(l, 0).events, 5); /* works, but can't remember */
	assert_int_equal(eg_losses_commit(l), -EBADF);
	eg_losses_free(l);
}

static void drops_have_their_sums(void **state)
{
	struct eg_loss_ledger *l = new_ledger(1);
	struct eg_event e = sample_deny();
	struct told t;

	(void)state;
	eg_losses_drop(l, &e);
	e.seen = (struct eg_volume){.bytes_in = 40, .packets_in = 1};
	eg_losses_drop(l, &e);
	e.audited = 1;
	eg_losses_drop(l, &e);
	t = collect(l, 0);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.slot, 3);
	assert_int_equal(t.cause, EG_LOSSES_QUEUE_FULL);
	assert_int_equal(t.sum.events, 3);
	assert_int_equal(t.sum.deny_events, 3);
	assert_int_equal(t.sum.denied_bytes, 100);
	assert_int_equal(collect(l, 0).calls, 0);
	e.type = EG_EVENT_DNS; /* refused: a denial; learned: only an event */
	e.audited = 0;
	eg_losses_drop(l, &e);
	e.reason = EG_REASON_NONE;
	eg_losses_drop(l, &e);
	t = collect(l, 0);
	assert_int_equal(t.sum.events, 2);
	assert_int_equal(t.sum.deny_events, 1);
	assert_int_equal(t.sum.denied_bytes, 100 - 60);
	e = sample_flow(EG_EVENT_FLOW_END);
	e.app = SLOTS; /* beyond the map: told for the unknown */
	eg_losses_drop(l, &e);
	t = collect(l, 0);
	assert_int_equal(t.slot, EG_APP_UNKNOWN);
	assert_int_equal(t.sum.flow_ends, 1);
	eg_losses_free(l);
}

static void real_map(void **state)
{
	int fd = losses_map(SLOTS), other = ring_map(65536);
	struct eg_losses_config config = {.ctx = &fd};
	struct eg_loss_ledger *l;

	(void)state;
	assert_true(fd >= 0 && other >= 0);
	assert_int_equal(eg_losses_config_map(other, &config), -EINVAL);
	assert_int_equal(eg_losses_config_map(fd, &config), 0);
	assert_int_equal(config.slots, SLOTS);
	assert_int_equal(eg_losses_new(&config, &l), 0);
	for (uint32_t slot = 0; slot < SLOTS; slot += 37) {
		struct eg_losses value = {.by[EG_LOSS_RING_FULL].events = slot + 1};

		assert_int_equal(bpf_map_update_elem(fd, &slot, &value, BPF_ANY), 0);
	}
	for (int i = 0; i < 2; i++) {
		struct told t = {0};

		assert_int_equal(eg_losses_collect(l, 5000, on_told, &t), 0);
		assert_int_equal(t.calls, i ? 0 : 28);
		assert_int_equal(t.events, i ? 0 : 28 + 37 * (27 * 28 / 2));
	}
	eg_losses_free(l);
	close(fd);
	close(other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(only_what_is_new),	T(what_is_not_taken_stays), T(survives_a_restart), T(file_made_again),
		T(garbage_in_the_file), T(drops_have_their_sums),   T(real_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

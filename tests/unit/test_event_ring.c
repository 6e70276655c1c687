// SPDX-License-Identifier: Apache-2.0
/* Records that stay in their ring until they are written, and an agent that is killed at the worst moment. Needs root. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../../agent/core/event_ring.h"
#include "../../agent/lib/log.h"
#include "events_fixture.h"
#include "events_rings.h"

#define RING 65536u

static int ring_fd, flow_fd, program, flow_program;
static struct tmpdir dir;
static struct eg_log_mark mark;
static struct rlimit file_size;

static int setup(void **state)
{
	(void)state;
	ring_fd = ring_map(RING);
	flow_fd = ring_map(RING);
	program = ring_program(ring_fd, sizeof(struct eg_event));
	flow_program = ring_program(flow_fd, sizeof(struct eg_event));
	assert_true(ring_fd >= 0 && flow_fd >= 0 && program >= 0 && flow_program >= 0);
	signal(SIGXFSZ, SIG_IGN);
	eg_log_set_level(EG_LOG_ERR - 1);
	getrlimit(RLIMIT_FSIZE, &file_size);
	tmpdir_make(&dir);
	mark = (struct eg_log_mark){0};
	return 0;
}

static int teardown(void **state)
{
	const int fds[] = {ring_fd, flow_fd, program, flow_program};

	(void)state;
	setrlimit(RLIMIT_FSIZE, &file_size);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	tmpdir_remove(&dir);
	return 0;
}

static int submit(int count)
{
	struct eg_event e = sample_deny();
	int sent = 0;

	while (sent < count && ring_submit(program, &e, sizeof(e), 1) == 0)
		sent++;
	return sent;
}

/* ---- The ring ------------------------------------------------------------------------------ */

struct seen {
	int count, most;
	uint64_t last;
};

static bool see(void *ctx, const void *record, size_t size, uint64_t end)
{
	struct seen *seen = ctx;

	assert_int_equal(size, sizeof(struct eg_event));
	assert_int_equal(((const struct eg_event *)record)->type, EG_EVENT_DENY);
	assert_true(end > seen->last);
	seen->last = end;
	return ++seen->count < seen->most;
}

static struct eg_event_ring *reader(void)
{
	struct eg_event_ring *ring;

	assert_int_equal(eg_event_ring_new(ring_fd, &ring), 0);
	return ring;
}

static int read_all(struct eg_event_ring *ring)
{
	struct seen seen = {.most = 1 << 20};

	eg_event_ring_read(ring, see, &seen);
	return seen.count;
}

static void the_next_reader_begins_at_what_is_held(void **state)
{
	struct eg_event_ring *first = reader(), *second;
	struct seen seen = {.most = 3};
	uint64_t three;

	(void)state;
	assert_int_equal(submit(10), 10);
	eg_event_ring_read(first, see, &seen);
	assert_int_equal(seen.count, 3);
	three = eg_event_ring_at(first);
	assert_int_equal(three, seen.last);
	assert_int_equal(read_all(first), 7);
	assert_int_equal(read_all(first), 0);
	assert_true(eg_event_ring_holds(first) && !eg_event_ring_holds_much(first));
	assert_true(eg_event_ring_spans(first, three) && eg_event_ring_spans(first, eg_event_ring_at(first)));
	eg_event_ring_release(first, three);
	eg_event_ring_release(first, three - 8); /* is released already */
	assert_false(eg_event_ring_spans(first, three));
	second = reader();
	assert_int_equal(read_all(second), 7);
	eg_event_ring_release(second, eg_event_ring_at(second));
	assert_false(eg_event_ring_holds(second) || eg_event_ring_holds(first));
	assert_false(eg_event_ring_spans(second, eg_event_ring_at(second) + 8)); /* of another ring */
	eg_event_ring_free(first);
	eg_event_ring_free(second);
}

/* Many times around; what is held is not overwritten, and room comes with the release only. */
static void a_full_ring_refuses(void **state)
{
	struct eg_event_ring *ring = reader();
	int all = submit(1 << 20);

	(void)state;
	assert_true(all > 100 && all < (int)(RING / sizeof(struct eg_event)));
	for (int turn = 0; turn < 20; turn++) {
		assert_int_equal(read_all(ring), all);
		assert_true(eg_event_ring_holds_much(ring));
		assert_int_equal(submit(1), 0);
		eg_event_ring_release(ring, eg_event_ring_at(ring));
		assert_int_equal(submit(1 << 20), all);
	}
	eg_event_ring_pass(ring, eg_event_ring_at(ring));
	assert_int_equal(read_all(ring), all);
	eg_event_ring_free(ring);
}

static void no_ring(void **state)
{
	struct eg_event_ring *ring;
	int array = losses_map(4);

	(void)state;
	assert_int_equal(eg_event_ring_new(array, &ring), -EINVAL);
	assert_true(eg_event_ring_new(-1, &ring) < 0);
	close(array);
	eg_event_ring_free(NULL);
}

/* ---- An agent that is killed ---------------------------------------------------------------- */

static int64_t utc_offset(void *ctx)
{
	(void)ctx;
	return 0;
}

static uint32_t slots_used(void *ctx)
{
	(void)ctx;
	return 16;
}

static bool resolve(void *ctx, const struct eg_event *e, struct eg_event_meta *ret)
{
	(void)ctx;
	(void)e;
	snprintf(ret->app, sizeof(ret->app), "web");
	return true;
}

/* One agent's life, from what it finds in the rings to its end. */
static void live(void)
{
	const struct eg_events_config config = {
		.events_fd = ring_fd,
		.flow_events_fd = flow_fd,
		.losses_fd = -1,
		.log_mark = &mark,
		.host = "h",
		.log_dir = dir.log,
		.utc_offset_ns = utc_offset,
		.slots_used = slots_used,
		.resolve = resolve,
	};
	struct eg_events *ev = NULL;

	assert_int_equal(eg_events_start(&config, &ev), 0);
	eg_events_stop(ev);
}

/* The kernel's word of where the consumer stands, set as it was before the last release. */
static void take_back_release(int fd)
{
	uint64_t *consumer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(consumer != MAP_FAILED);
	assert_true(*consumer > 0);
	*consumer = 0;
	munmap(consumer, 4096);
}

static void happen(int count)
{
	struct eg_event flow = sample_flow(EG_EVENT_FLOW_END);

	assert_int_equal(submit(count), count);
	for (int i = 0; i < count; i++)
		assert_int_equal(ring_submit(flow_program, &flow, sizeof(flow), 1), 0);
}

static void assert_told(int each)
{
	assert_int_equal(count_type(dir.log, "deny"), each);
	assert_int_equal(count_type(dir.log, "flow"), each);
}

static void killed_before_the_write(void **state)
{
	struct rlimit none = {0, file_size.rlim_max};

	(void)state;
	happen(5);
	setrlimit(RLIMIT_FSIZE, &none);
	live();
	setrlimit(RLIMIT_FSIZE, &file_size);
	live();
	assert_told(5);
}

static void killed_after_the_write(void **state)
{
	(void)state;
	happen(5);
	live();
	assert_told(5);
	take_back_release(ring_fd);
	take_back_release(flow_fd);
	live();
	assert_told(5);
	happen(2);
	live();
	assert_told(7);
}

/* The log does not have what the mark tells of, or the mark tells nothing: told again rather than not at all. */
static void what_the_log_lacks_is_told(void **state)
{
	struct eg_log_mark whole;

	(void)state;
	happen(5);
	live();
	whole = mark;
	for (int i = 0; i < 3; i++) {
		mark = whole;
		mark.epoch += i == 0;
		mark.end = i == 1 ? mark.end + 1000 : i == 2 ? 0 : mark.end;
		take_back_release(ring_fd);
		take_back_release(flow_fd);
		live();
		assert_told(5 * (i + 2));
	}
}

/* The rings were made anew, and are not where they stood then. */
static void the_mark_of_other_rings(void **state)
{
	(void)state;
	happen(20);
	live();
	close(ring_fd);
	close(program);
	ring_fd = ring_map(RING);
	program = ring_program(ring_fd, sizeof(struct eg_event));
	assert_int_equal(submit(5), 5);
	live();
	assert_int_equal(count_type(dir.log, "deny"), 25);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_next_reader_begins_at_what_is_held),
		T(a_full_ring_refuses),
		T(no_ring),
		T(killed_before_the_write),
		T(killed_after_the_write),
		T(what_the_log_lacks_is_told),
		T(the_mark_of_other_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

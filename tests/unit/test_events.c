// SPDX-License-Identifier: Apache-2.0
/*
 * The whole way, with its threads: records in (fed, and through rings of the real kernel, so as
 * root), lines on disk and at a follower out; a log that can't be written in between.
 */
#include "events_fixture.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "../../agent/lib/log.h"
#include "events_rings.h"

#define WAIT_MS 20000u

static struct tmpdir dir;
static struct eg_events *ev;
static struct eg_events_config config;
static atomic_uint resolved, observed, observed_kills;
static const char *owner;
static struct rlimit file_size;

static int64_t utc_offset(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - boot_now());
}

static uint32_t slots_used(void *ctx)
{
	(void)ctx;
	return 16;
}

static bool resolve(void *ctx, const struct eg_event *e, struct eg_event_meta *ret)
{
	(void)ctx;
	atomic_fetch_add(&resolved, 1);
	if (e->app == 9)
		return false;
	snprintf(ret->app, sizeof(ret->app), "app-%u", e->app);
	snprintf(ret->owner, sizeof(ret->owner), "%s", owner);
	if (e->rule == 1)
		strcpy(ret->rule_id, "hr-db");
	return true;
}

static void observe(void *ctx, const struct eg_event *e)
{
	(void)ctx;
	atomic_fetch_add(&observed, 1);
	if (e->type == EG_EVENT_KILL)
		atomic_fetch_add(&observed_kills, 1);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	eg_log_set_level(EG_LOG_ERR - 1); /* the log is asked in stats */
	getrlimit(RLIMIT_FSIZE, &file_size);
	tmpdir_make(&dir);
	atomic_store(&resolved, 0);
	atomic_store(&observed, 0);
	atomic_store(&observed_kills, 0);
	owner = "o";
	config = (struct eg_events_config){
		.events_fd = -1,
		.flow_events_fd = -1,
		.losses_fd = -1,
		.host = "h",
		.log_dir = dir.log,
		.utc_offset_ns = utc_offset,
		.slots_used = slots_used,
		.resolve = resolve,
		.observe = observe,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	setrlimit(RLIMIT_FSIZE, &file_size);
	eg_events_stop(ev);
	ev = NULL;
	if (config.events_fd >= 0)
		close(config.events_fd);
	if (config.flow_events_fd >= 0)
		close(config.flow_events_fd);
	if (config.losses_fd >= 0)
		close(config.losses_fd);
	tmpdir_remove(&dir);
	return 0;
}

static void start(void)
{
	assert_int_equal(eg_events_start(&config, &ev), 0);
}

static void stop(void)
{
	eg_events_stop(ev);
	ev = NULL;
}

/* Asks until it is so, 20 s at most. */
#define WAIT_FOR(condition)                                                     \
	do {                                                                    \
		unsigned ms_ = 0;                                               \
		while (!(condition) && ms_++ < WAIT_MS)                         \
			usleep(1000);                                           \
		if (!(condition))                                               \
			fail_msg("did not come: %s", #condition);               \
	} while (0)

static struct eg_events_stats stats(void)
{
	struct eg_events_stats s;

	eg_events_stats(ev, &s);
	return s;
}

/* Number of lines of that type; *ret_sum, if not NULL, adds up that key of theirs. */
static unsigned count(json_t *lines, const char *type, const char *key, json_int_t *ret_sum)
{
	unsigned n = 0;
	json_t *line;
	size_t i;

	if (ret_sum)
		*ret_sum = 0;
	json_array_foreach(lines, i, line) {
		if (strcmp(text_of(line, "type"), type) != 0)
			continue;
		n++;
		if (ret_sum)
			*ret_sum += number_of(line, key);
	}
	return n;
}

static void fed_and_posted(void **state)
{
	struct eg_event flow = sample_flow(EG_EVENT_FLOW_END), deny = sample_deny();
	json_t *lines, *line;

	(void)state;
	start();
	eg_events_feed(ev, &flow, sizeof(flow));
	eg_events_feed(ev, &deny, sizeof(deny));
	assert_int_equal(eg_events_post(ev, "policy", "app-3", json_pack("{s:s,s:i}", "policy_rev", "4-ab", "rules", 2)),
			 0);
	assert_int_equal(eg_events_post(ev, "agent", NULL, json_object()), 0);
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	lines = log_lines(dir.log);
	assert_int_equal(json_array_size(lines), 4);
	line = json_array_get(lines, 0);
	assert_string_equal(text_of(line, "type"), "flow");
	assert_string_equal(text_of(line, "app"), "app-3");
	assert_string_equal(text_of(line, "owner"), "o");
	assert_string_equal(text_of(line, "rule"), "hr-db");
	line = json_array_get(lines, 2);
	assert_string_equal(text_of(line, "type"), "policy");
	assert_string_equal(text_of(line, "app"), "app-3");
	assert_string_equal(text_of(line, "policy_rev"), "4-ab");
	assert_int_equal(number_of(line, "rules"), 2);
	line = json_array_get(lines, 3);
	assert_null(json_object_get(line, "app"));
	assert_int_equal(atomic_load(&observed), 2);
	assert_int_equal(stats().written, 4);
	assert_int_equal(stats().log_bytes, stats().written_bytes);
	json_decref(lines);
}

static void bad_posts_are_counted(void **state)
{
	static char big[70000];

	(void)state;
	start();
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(eg_events_post(ev, "agent", NULL, NULL), -EINVAL);
	assert_int_equal(eg_events_post(ev, "agent", NULL, json_array()), -EINVAL);
	assert_int_equal(eg_events_post(ev, "agent", NULL, json_pack("{s:s}", "k", big)), -E2BIG);
	assert_int_equal(stats().posts_dropped, 3);
	big[64000] = '\0'; /* near the bound, several in one batch */
	for (int i = 0; i < 20; i++)
		assert_int_equal(eg_events_post(ev, "agent", "a", json_pack("{s:s}", "k", big)), 0);
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	assert_int_equal(stats().written, 20);
}

static void meta_is_remembered_until_it_changes(void **state)
{
	struct eg_event e = sample_deny();
	json_t *lines;

	(void)state;
	start();
	for (int i = 0; i < 100; i++)
		eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	assert_int_equal(atomic_load(&resolved), 1);
	owner = "new";
	eg_events_meta_changed(ev);
	eg_events_feed(ev, &e, sizeof(e));
	e.app = 9; /* unknown: asked each time, told by its slot */
	eg_events_feed(ev, &e, sizeof(e));
	eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	assert_int_equal(atomic_load(&resolved), 4);
	assert_int_equal(stats().unresolved, 2);
	lines = log_lines(dir.log);
	assert_string_equal(text_of(json_array_get(lines, 99), "owner"), "o");
	assert_string_equal(text_of(json_array_get(lines, 100), "owner"), "new");
	assert_int_equal(number_of(json_array_get(lines, 101), "app_slot"), 9);
	json_decref(lines);
}

static void a_follower_sees_it_at_once(void **state)
{
	struct eg_events_filter filter = {.follow = true, .types = "deny", .app = "app-3"};
	struct eg_event deny = sample_deny(), flow = sample_flow(EG_EVENT_FLOW_END);
	struct eg_events_query *q, *more[63];
	struct pollfd p = {.events = POLLIN};
	char buf[4096];
	size_t len;
	int n = 0;

	(void)state;
	start();
	assert_int_equal(eg_events_query_open(ev, &filter, &q), 0);
	p.fd = eg_events_query_fd(q);
	assert_int_equal(eg_events_query_read(q, buf, sizeof(buf), &len), EG_QUERY_WAIT);
	for (int i = 0; i < 5; i++) {
		eg_events_feed(ev, &flow, sizeof(flow));
		eg_events_feed(ev, &deny, sizeof(deny));
		do {
			assert_int_equal(poll(&p, 1, (int)WAIT_MS), 1);
			assert_int_equal(eg_events_query_read(q, buf, sizeof(buf), &len), EG_QUERY_WAIT);
		} while (!len);
		assert_int_equal(buf[len - 1], '\n');
		assert_ptr_equal(memchr(buf, '\n', len), buf + len - 1);
		assert_non_null(memmem(buf, len, "\"type\":\"deny\"", 13));
	}
	while (eg_events_query_open(ev, &filter, &more[n]) == 0)
		n++;
	assert_int_equal(n, 63);
	assert_int_equal(stats().queries, 64);
	while (n--)
		eg_events_query_close(more[n]);
	eg_events_quiesce(ev);
	assert_int_equal(poll(&p, 1, (int)WAIT_MS), 1);
	assert_int_equal(eg_events_query_read(q, buf, sizeof(buf), &len), EG_QUERY_END);
	eg_events_query_close(q);
	assert_int_equal(stats().queries, 0);
}

/* Waits until the writer's last batch could not be written. */
static void fill_disk(void)
{
	struct eg_event e = sample_flow(EG_EVENT_FLOW_END);
	struct rlimit limit = file_size;

	limit.rlim_cur = 100; /* less than an event: not one of the three may still fit */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 3; i++)
		eg_events_feed(ev, &e, sizeof(e));
	WAIT_FOR(stats().failing);
}

static void full_disk_counts_and_goes_on(void **state)
{
	struct eg_event deny = sample_deny(), kill_event = {.type = EG_EVENT_KILL, .app = 4, .gen = 1, .seq = 1};
	struct eg_event_named dns = {.e = sample_deny(), .name = "moc.live"};
	json_int_t lost = 0, bytes = 0;
	json_t *lines;
	unsigned told;

	(void)state;
	config.queue_events = 160;
	start();
	fill_disk();
	dns.e.type = EG_EVENT_DNS;
	dns.e.reason = EG_REASON_DNS_NAME;
	for (int i = 0; i < 500; i++) {
		eg_events_feed(ev, &deny, sizeof(deny));
		eg_events_feed(ev, &dns.e, sizeof(dns));
	}
	for (int i = 0; i < 5; i++)
		eg_events_feed(ev, &kill_event, sizeof(kill_event)); /* room is kept for these, */
	assert_int_equal(eg_events_post(ev, "kill", "app-3", json_object()), 0); /* and for this */
	assert_int_equal(atomic_load(&observed), 3 + 1000 + 5); /* who has to act is told all the same */
	assert_int_equal(atomic_load(&observed_kills), 5);
	assert_int_equal(eg_events_sync(ev, 50), -ETIMEDOUT);
	assert_non_null(strstr(stats().last_error, "too large"));
	assert_true(stats().write_errors >= 1);
	setrlimit(RLIMIT_FSIZE, &file_size);
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	assert_false(stats().failing);
	stop(); /* tells what is left to tell */
	lines = log_lines(dir.log);
	told = count(lines, "deny", NULL, NULL) + count(lines, "dns", NULL, NULL);
	assert_int_equal(count(lines, "lost", "events", &lost), 1);
	assert_int_equal(count(lines, "lost", "denied_bytes", &bytes), 1);
	assert_true(told > 0 && lost > 0);
	assert_int_equal(told + (unsigned)lost, 1000);
	assert_int_equal(bytes, lost * 60);
	assert_int_equal(count(lines, "kill", NULL, NULL), 6);
	assert_int_equal(count(lines, "flow", NULL, NULL), 3);
	assert_int_equal(count(lines, "agent", NULL, NULL), 1); /* log_recovered */
	json_decref(lines);
}

static void starts_without_a_log(void **state)
{
	struct eg_event e = sample_deny();
	json_t *lines;
	FILE *f;

	(void)state;
	f = fopen(dir.log, "we"); /* a file where the directory should be */
	assert_non_null(f);
	fclose(f);
	start();
	WAIT_FOR(stats().failing);
	eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, 10), -ETIMEDOUT);
	assert_int_equal(unlink(dir.log), 0);
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	stop();
	lines = log_lines(dir.log);
	assert_int_equal(count(lines, "deny", NULL, NULL), 1);
	assert_int_equal(count(lines, "agent", NULL, NULL), 1);
	json_decref(lines);
}

static void stops_without_a_log(void **state)
{
	struct eg_event e = sample_deny();
	uint64_t before;

	(void)state;
	start();
	fill_disk();
	for (int i = 0; i < 100; i++)
		eg_events_feed(ev, &e, sizeof(e));
	before = boot_now();
	stop();
	assert_true(boot_now() - before < 5000000000u);
}

static void two_agents_one_directory(void **state)
{
	struct eg_event e = sample_deny();
	struct eg_events *second;
	struct eg_events_stats s;

	(void)state;
	start();
	eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	assert_int_equal(eg_events_start(&config, &second), 0);
	eg_events_feed(second, &e, sizeof(e));
	do
		eg_events_stats(second, &s);
	while (!s.failing);
	assert_non_null(strstr(s.last_error, "another"));
	stop(); /* the first hands over */
	ev = second;
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
}

/* The writer may make it anew at any moment. */
static void remove_log(void)
{
	do
		empty_dir(dir.log);
	while (rmdir(dir.log) < 0);
}

static void log_deleted_under_us(void **state)
{
	struct eg_event e = sample_deny();
	json_t *lines;

	(void)state;
	start();
	eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	remove_log();
	WAIT_FOR(access(dir.log, F_OK) == 0);
	eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	lines = log_lines(dir.log);
	assert_int_equal(count(lines, "deny", NULL, NULL), 1);
	json_decref(lines);
}

/* What could not be written before the directory went gets numbers of the new epoch. */
static void log_deleted_while_events_wait(void **state)
{
	struct eg_event e = sample_deny();
	json_t *lines;

	(void)state;
	start();
	eg_events_feed(ev, &e, sizeof(e));
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	fill_disk();
	remove_log();
	setrlimit(RLIMIT_FSIZE, &file_size);
	assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	lines = log_lines(dir.log);
	assert_int_equal(count(lines, "flow", NULL, NULL), 3);
	json_decref(lines);
}

static void quota_is_told(void **state)
{
	struct eg_event e = sample_deny();
	json_int_t gone;
	json_t *lines;

	(void)state;
	config.quota_bytes = 256 << 10;
	start();
	/* Not so many that what is told of them would go, too. */
	for (int i = 0; i < 800; i++) {
		eg_events_feed(ev, &e, sizeof(e));
		if (i % 100 == 99)
			assert_int_equal(eg_events_sync(ev, WAIT_MS), 0);
	}
	stop();
	lines = log_lines(dir.log);
	assert_true(count(lines, "lost", "events", &gone) >= 1);
	assert_int_equal((unsigned)gone + count(lines, "deny", NULL, NULL), 800);
	json_decref(lines);
}

/* ---- With the kernel's rings --------------------------------------------------------- */

static void make_rings(void)
{
	config.events_fd = ring_map(65536);
	config.flow_events_fd = ring_map(65536);
	config.losses_fd = losses_map(16);
	assert_true(config.events_fd >= 0 && config.flow_events_fd >= 0 && config.losses_fd >= 0);
}

static void through_the_rings(void **state)
{
	struct eg_event flow = sample_flow(EG_EVENT_FLOW_UPDATE), deny = sample_deny();
	int flows, denials, sent_flows = 0, sent_denials = 0;
	json_t *lines;

	(void)state;
	make_rings();
	flows = ring_program(config.flow_events_fd, sizeof(struct eg_event));
	denials = ring_program(config.events_fd, sizeof(struct eg_event));
	assert_true(flows >= 0 && denials >= 0);
	assert_int_equal(ring_submit(flows, &flow, sizeof(flow), 1), 0); /* before anybody listens */
	start();
	for (sent_flows = 1; sent_flows < 5000; sent_flows++) {
		flow.seq++;
		while (ring_submit(flows, &flow, sizeof(flow), 1) == -EAGAIN)
			sched_yield();
		if (sent_flows % 10 == 0) {
			while (ring_submit(denials, &deny, sizeof(deny), 1) == -EAGAIN)
				sched_yield();
			sent_denials++;
		}
	}
	stop();
	close(flows);
	close(denials);
	lines = log_lines(dir.log);
	assert_int_equal(count(lines, "flow", NULL, NULL), sent_flows);
	assert_int_equal(count(lines, "deny", NULL, NULL), sent_denials);
	assert_int_equal(atomic_load(&observed), sent_denials);
	json_decref(lines);
}

/* Both forms of a record come through both rings, in their order. */
static void names_through_the_rings(void **state)
{
	struct eg_event_named flow = {
		.e = sample_flow(EG_EVENT_FLOW_START), .name = "moc.elpmaxe.a", .sni = "moc.elpmaxe.b",
	};
	struct eg_event_named dns = {.e = sample_deny(), .name = "moc.live", .dns.qtype = 28};
	struct eg_event plain_flow = sample_flow(EG_EVENT_FLOW_END), deny = sample_deny();
	int fds[2][2], named = 0;
	json_t *lines, *line;
	size_t i;

	(void)state;
	dns.e.type = EG_EVENT_DNS;
	dns.e.reason = EG_REASON_DNS_NAME;
	make_rings();
	for (int longer = 0; longer < 2; longer++) {
		size_t size = longer ? sizeof(struct eg_event_named) : sizeof(struct eg_event);

		fds[longer][0] = ring_program(config.flow_events_fd, size);
		fds[longer][1] = ring_program(config.events_fd, size);
		assert_true(fds[longer][0] >= 0 && fds[longer][1] >= 0);
	}
	start();
	for (int n = 0; n < 1000; n++) {
		while (ring_submit(fds[1][0], &flow, sizeof(flow), 1) == -EAGAIN)
			sched_yield();
		while (ring_submit(fds[0][0], &plain_flow, sizeof(plain_flow), 1) == -EAGAIN)
			sched_yield();
		while (ring_submit(fds[1][1], &dns, sizeof(dns), 1) == -EAGAIN)
			sched_yield();
		while (ring_submit(fds[0][1], &deny, sizeof(deny), 1) == -EAGAIN)
			sched_yield();
	}
	stop();
	for (int n = 0; n < 4; n++)
		close(fds[n / 2][n % 2]);
	lines = log_lines(dir.log);
	assert_int_equal(count(lines, "flow", NULL, NULL), 2000);
	assert_int_equal(count(lines, "dns", NULL, NULL), 1000);
	assert_int_equal(count(lines, "deny", NULL, NULL), 1000);
	assert_int_equal(atomic_load(&observed), 2000);
	json_array_foreach(lines, i, line) {
		const char *want = strcmp(text_of(line, "type"), "dns") == 0	  ? "evil.com" :
				   strcmp(text_of(line, "phase"), "start") == 0 ? "a.example.com" :
										  "";

		assert_string_equal(text_of(line, "name"), want);
		assert_string_equal(text_of(line, "sni"), want[0] == 'a' ? "b.example.com" : "");
		named += want[0] != '\0';
	}
	assert_int_equal(named, 2000);
	json_decref(lines);
}

/* Flows wait in their ring while the disk is full; what the kernel counts meanwhile is told once. */
static void flows_wait_for_the_disk(void **state)
{
	struct eg_event flow = sample_flow(EG_EVENT_FLOW_END);
	struct eg_losses losses = {0};
	uint32_t slot = flow.app;
	json_int_t lost, suppressed;
	json_t *lines;
	int program, sent = 0;

	(void)state;
	make_rings();
	program = ring_program(config.flow_events_fd, sizeof(struct eg_event));
	assert_true(program >= 0);
	start();
	fill_disk();
	for (int i = 0; i < 1000; i++) {
		if (ring_submit(program, &flow, sizeof(flow), 1) == 0)
			sent++;
		else
			losses.by[EG_LOSS_RING_FULL].events++;
	}
	losses.by[EG_LOSS_SUPPRESSED].events = 5;
	assert_true(sent > 0 && sent < 1000);
	assert_int_equal(bpf_map_update_elem(config.losses_fd, &slot, &losses, BPF_ANY), 0);
	setrlimit(RLIMIT_FSIZE, &file_size);
	WAIT_FOR(stats().lost == (uint64_t)(1000 - sent));
	stop();
	start(); /* and not again after a restart, but for what is new */
	losses.by[EG_LOSS_RING_FULL].events++;
	assert_int_equal(bpf_map_update_elem(config.losses_fd, &slot, &losses, BPF_ANY), 0);
	WAIT_FOR(stats().lost == 1);
	stop();
	close(program);
	lines = log_lines(dir.log);
	assert_int_equal(count(lines, "flow", NULL, NULL), sent + 3);
	assert_int_equal(count(lines, "lost", "events", &lost), 2);
	assert_int_equal(lost, 1000 - sent + 1);
	assert_int_equal(count(lines, "suppressed", "events", &suppressed), 1);
	assert_int_equal(suppressed, 5);
	json_decref(lines);
}

static void bad_arguments(void **state)
{
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	config.flow_events_fd = pipe_fds[0];
	assert_true(eg_events_start(&config, &ev) < 0);
	config.flow_events_fd = -1;
	config.losses_fd = pipe_fds[1];
	assert_true(eg_events_start(&config, &ev) < 0);
	config.losses_fd = -1;
	config.resolve = NULL;
	assert_int_equal(eg_events_start(&config, &ev), -EINVAL);
	assert_null(ev);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(fed_and_posted),
		T(bad_posts_are_counted),
		T(meta_is_remembered_until_it_changes),
		T(a_follower_sees_it_at_once),
		T(full_disk_counts_and_goes_on),
		T(starts_without_a_log),
		T(stops_without_a_log),
		T(two_agents_one_directory),
		T(log_deleted_under_us),
		T(log_deleted_while_events_wait),
		T(quota_is_told),
		T(through_the_rings),
		T(names_through_the_rings),
		T(flows_wait_for_the_disk),
		T(bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of a sink share: a spool with events, and a receiver that does as it is told. */
#ifndef EG_TESTS_SHIP_FIXTURE_H
#define EG_TESTS_SHIP_FIXTURE_H

#include "spool_fixture.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "../../agent/ship/cursor.h"
#include "../../agent/ship/sink.h"

#define SHIP_SECOND   1000000000ull
#define SHIP_SEEN_MAX 8192

/* A receiver. What it is to answer is asked of `judge` for each request; without one, everything is delivered. */
struct receiver {
	pthread_mutex_t lock;
	void (*judge)(struct receiver *receiver, const struct eg_item *items, size_t count, struct eg_result *result);
	unsigned requests;
	char *seen[SHIP_SEEN_MAX]; /* texts of what was delivered, in order */
	size_t count;
	size_t largest; /* batch that was delivered, in bytes */
	atomic_bool open_fails;
	unsigned opens;
};

static struct receiver receiver;

static void receiver_take(const struct eg_item *item)
{
	assert_true(receiver.count < SHIP_SEEN_MAX);
	receiver.seen[receiver.count++] = strdup(item->text);
}

static inline int double_open(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret,
			      struct eg_error *err)
{
	(void)config;
	(void)stopping;
	receiver.opens++;
	if (receiver.open_fails)
		return eg_error_set(err, 500, "no_token", "token_file can't be read");
	*ret = &receiver;
	return 0;
}

static inline void double_send(void *link, const struct eg_item *items, size_t count, struct eg_result *result)
{
	size_t bytes = 0;

	(void)link;
	pthread_mutex_lock(&receiver.lock);
	receiver.requests++;
	if (receiver.judge)
		receiver.judge(&receiver, items, count, result);
	for (size_t i = 0; i < count; i++) {
		bytes += items[i].len;
		if (result->has_items ? result->items[i] == EG_OUTCOME_DELIVERED : result->outcome == EG_OUTCOME_DELIVERED)
			receiver_take(&items[i]);
	}
	if (result->outcome == EG_OUTCOME_DELIVERED && bytes > receiver.largest)
		receiver.largest = bytes;
	pthread_mutex_unlock(&receiver.lock);
}

static inline void double_close(void *link)
{
	(void)link;
}

static const struct eg_protocol double_protocol = {double_open, double_send, double_close};

/* How often this id was delivered. */
static inline unsigned times_seen(const char *id)
{
	char member[128];
	unsigned times = 0;

	snprintf(member, sizeof(member), "\"event_id\":\"%s\"", id);
	pthread_mutex_lock(&receiver.lock);
	for (size_t i = 0; i < receiver.count; i++)
		times += strstr(receiver.seen[i], member) != NULL;
	pthread_mutex_unlock(&receiver.lock);
	return times;
}

/* ---- The spool --------------------------------------------------------------------------------- */

static char ship_dir[64], spool_dir[96];
static int cursor_fd;

static inline void add_line(struct bytes *b, uint64_t n, const char *line)
{
	struct eg_spool_frame frame = {.n = n, .class = EG_SPOOL_OTHER, .text = line, .len = (uint32_t)strlen(line)};

	b->data = realloc(b->data, b->len + EG_SPOOL_HEAD_LEN + frame.len);
	assert_non_null(b->data);
	eg_spool_frame_encode(b->data + b->len, 1, &frame);
	memcpy(b->data + b->len + EG_SPOOL_HEAD_LEN, line, frame.len);
	b->len += EG_SPOOL_HEAD_LEN + frame.len;
}

#define DENY_LINE                                                                                                   \
	"{\"schema\":1,\"ts\":\"2026-01-01T00:00:00.000000001Z\",\"type\":\"deny\",\"event_id\":\"h-1-%u\",\"host\":\"h\"," \
	"\"app\":\"a\",\"verdict\":\"deny\",\"reason\":\"no_rule\"}\n"

/* Denials first .. last, in a segment of their own. */
static inline void add_denials(unsigned first, unsigned last)
{
	struct bytes b = {0};
	char line[512];

	for (unsigned n = first; n <= last; n++) {
		snprintf(line, sizeof(line), DENY_LINE, n);
		add_line(&b, n, line);
	}
	put_segment(spool_dir, 1, first, b);
}

/* Ended flows of 10 bytes each, one a second from `second` on. */
static inline void add_flows(unsigned first, unsigned last, unsigned second)
{
	struct bytes b = {0};
	char line[512];

	for (unsigned n = first; n <= last; n++, second++) {
		snprintf(line, sizeof(line),
			 "{\"schema\":1,\"ts\":\"2026-01-01T00:%02u:%02u.000000001Z\",\"type\":\"flow\",\"event_id\":\"h-1-%u\","
			 "\"host\":\"h\",\"app\":\"a\",\"direction\":\"egress\",\"proto\":\"tcp\",\"dst\":\"10.0.0.1\",\"dst_port\":443,"
			 "\"phase\":\"end\",\"flow_id\":\"1-1-%u\",\"verdict\":\"allow\",\"bytes_out\":10,\"bytes_in\":0,"
			 "\"packets_out\":1,\"packets_in\":0}\n",
			 second / 60, second % 60, n, n);
		add_line(&b, n, line);
	}
	put_segment(spool_dir, 1, first, b);
}

/* ---- One sink ------------------------------------------------------------------------------------- */

static struct eg_sink_config sink_config;
static struct eg_sink_tested last_tested;
static atomic_uint tests_done;

static inline void on_change(void *ctx)
{
	(void)ctx;
}

static inline void on_tested(void *ctx, const struct eg_sink_tested *tested)
{
	(void)ctx;
	last_tested = *tested;
	atomic_fetch_add(&tests_done, 1);
}

static struct eg_sink_place sink_place;

static inline struct eg_sink *start_sink(void)
{
	struct eg_sink *sink = NULL;

	sink_place = (struct eg_sink_place){.spool_dir = spool_dir, .cursor_fd = cursor_fd, .host = "h",
					    .changed = on_change, .tested = on_tested};
	assert_int_equal(eg_sink_start(&sink_place, &sink_config, &double_protocol, &sink), 0);
	return sink;
}

static inline void stop_sink(struct eg_sink *sink)
{
	eg_sink_ask_to_stop(sink);
	assert_true(eg_sink_join(sink, 5 * SHIP_SECOND));
	eg_sink_free(sink);
}

static inline void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* Until the sink's report satisfies the condition; fails after 20 s. */
#define WAIT_FOR(sink, report, condition)                     \
	do {                                                  \
		unsigned tries = 0;                           \
		for (;;) {                                    \
			eg_sink_report((sink), &(report));    \
			if (condition)                        \
				break;                        \
			assert_true(++tries < 4000);          \
			nap();                                \
		}                                             \
	} while (0)

/* Every record that was produced is in one of the columns. */
static inline void assert_adds_up(const struct eg_sink_report *report, uint64_t produced)
{
	const struct eg_tally *t = &report->tally;

	assert_int_equal(t->delivered + t->filtered + t->dead_lettered + t->evicted + report->held + report->waiting, produced);
}

static inline int ship_setup(void **state)
{
	(void)state;
	strcpy(ship_dir, "/tmp/egret-sink-XXXXXX");
	assert_non_null(mkdtemp(ship_dir));
	snprintf(spool_dir, sizeof(spool_dir), "%s/spool", ship_dir);
	assert_int_equal(mkdir(spool_dir, 0700), 0);
	cursor_fd = open(ship_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sink_config = (struct eg_sink_config){
		.name = "a", .flows_full = true, .rollup_ns = 60 * SHIP_SECOND, .batch_events = 100, .batch_bytes = 512 << 10,
		.batch_ns = SHIP_SECOND / 50, .dead_bytes = 1 << 20, .timeout_ns = SHIP_SECOND,
	};
	memset(&receiver, 0, sizeof(receiver));
	pthread_mutex_init(&receiver.lock, NULL);
	return 0;
}

static inline int ship_teardown(void **state)
{
	char command[128];

	(void)state;
	for (size_t i = 0; i < receiver.count; i++)
		free(receiver.seen[i]);
	close(cursor_fd);
	snprintf(command, sizeof(command), "rm -rf %s", ship_dir);
	return system(command);
}

#endif

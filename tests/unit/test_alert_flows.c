// SPDX-License-Identifier: Apache-2.0
/* Flows to named networks are counted from a real ring, whatever its consumer does. Needs root. */
#include "events_fixture.h"

#include <bpf/libbpf.h>

#include "../../agent/core/alert_flows.h"
#include "../../agent/core/ring_look.h"
#include "events_rings.h"

#define RING_BYTES 65536u
#define EVENT_SIZE sizeof(struct eg_event)

static int ring_fd, prog_fd;
static struct ring_buffer *consumer;

static int ignore(void *ctx, void *data, size_t size)
{
	(void)ctx, (void)data, (void)size;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	ring_fd = ring_map(RING_BYTES);
	prog_fd = ring_fd < 0 ? -1 : ring_program(ring_fd, EVENT_SIZE);
	consumer = ring_fd < 0 ? NULL : ring_buffer__new(ring_fd, ignore, NULL, NULL);
	return ring_fd < 0 || prog_fd < 0 || !consumer;
}

static int teardown(void **state)
{
	(void)state;
	ring_buffer__free(consumer);
	close(prog_fd);
	close(ring_fd);
	return 0;
}

/* As many as there is room for, up to so many; returns how many. */
static int submit(const struct eg_event *e, int times)
{
	int done = 0;

	while (done < times && ring_submit(prog_fd, e, EVENT_SIZE, 1) == 0)
		done++;
	return done;
}

static void count(void *ctx, const void *record)
{
	const struct eg_event *e = record;

	assert_int_equal(e->type, EG_EVENT_FLOW_START);
	assert_int_equal(e->dst_port, 5432);
	(*(int *)ctx)++;
}

static void test_beside_the_consumer(void **state)
{
	struct eg_event e = sample_flow(EG_EVENT_FLOW_START), seen;
	struct eg_ring_look *look;
	int n = 0, room;

	(void)state;
	submit(&e, 3);
	assert_int_equal(eg_ring_look_new(ring_fd, &look), 0);
	eg_ring_look_each(look, &seen, sizeof(seen), count, &n);
	assert_int_equal(n, 0); /* what came before is none of ours */
	submit(&e, 5);
	eg_ring_look_each(look, &seen, sizeof(seen), count, &n);
	eg_ring_look_each(look, &seen, sizeof(seen), count, &n);
	assert_int_equal(n, 5); /* each once, consumed or not */
	ring_buffer__consume(consumer);
	for (int round = 0; round < 20; round++) { /* around the ring */
		n = 0;
		room = submit(&e, 50);
		assert_int_equal(room, 50);
		eg_ring_look_each(look, &seen, sizeof(seen), count, &n);
		assert_int_equal(n, 50);
		ring_buffer__consume(consumer);
	}
	n = 0; /* a consumer that stands still: all that the kernel has room for is seen */
	room = submit(&e, 100000);
	assert_in_range(room, 100, 100000 - 1);
	eg_ring_look_each(look, &seen, sizeof(seen), count, &n);
	assert_int_equal(n, room);
	assert_int_equal(eg_ring_look_late(look), 0);
	ring_buffer__consume(consumer);
	eg_ring_look_free(look);
}

static void test_too_late(void **state)
{
	struct eg_event e = sample_flow(EG_EVENT_FLOW_START), seen;
	struct eg_ring_look *look;
	int n = 0;

	(void)state;
	assert_int_equal(eg_ring_look_new(ring_fd, &look), 0);
	for (int round = 0; round < 20; round++) {
		submit(&e, 50);
		ring_buffer__consume(consumer);
	}
	submit(&e, 7);
	eg_ring_look_each(look, &seen, sizeof(seen), count, &n);
	assert_int_equal(eg_ring_look_late(look), 1);
	assert_int_equal(n, 7); /* from where the consumer is */
	ring_buffer__consume(consumer);
	eg_ring_look_free(look);
}

static struct eg_networks *networks_of(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);
	struct eg_networks *networks = NULL;
	char why[400];

	assert_int_equal(eg_networks_parse(value, &networks, why, sizeof(why)), 0);
	json_decref(value);
	return networks;
}

static void test_networks(void **state)
{
	struct eg_networks *networks = networks_of("{\"db\": {\"cidrs\": [\"10.20.0.0/16\"], \"region\": \"eu\"},"
						   " \"web\": {\"cidrs\": [\"10.30.0.0/16\"], \"region\": \"eu\"},"
						   " \"us\": {\"cidrs\": [\"10.40.0.0/16\"], \"region\": \"us\"}}"),
			   *others = networks_of("{\"a\": {\"cidrs\": [\"10.50.0.0/16\"]}, \"db\": {\"cidrs\": [\"10.20.0.0/16\"]}}");
	const struct eg_alert db = {.when = EG_ALERT_NETWORK, .network = "db"}, eu = {.when = EG_ALERT_NETWORK, .region = "eu"};
	struct eg_event e = sample_flow(EG_EVENT_FLOW_START), end = sample_flow(EG_EVENT_FLOW_END);
	struct eg_alert_flows *flows;

	(void)state;
	assert_int_equal(eg_alert_flows_new(ring_fd, 8, &flows), 0);
	eg_alert_flows_look(flows, networks);
	submit(&e, 2); /* to db */
	submit(&end, 1);
	e.dst = v4(10, 30, 0, 1);
	submit(&e, 3);
	e.dst = v4(10, 40, 0, 1);
	submit(&e, 4);
	e.dst = v4(9, 9, 9, 9);
	submit(&e, 1);
	e.dst = v4(10, 20, 0, 1);
	e.dir = EG_DIR_INGRESS;
	submit(&e, 1);
	e.dir = EG_DIR_EGRESS;
	e.app = 8; /* no such slot */
	submit(&e, 1);
	eg_alert_flows_look(flows, networks);
	assert_int_equal(eg_alert_flows_count(flows, 3, &db), 2);
	assert_int_equal(eg_alert_flows_count(flows, 3, &eu), 5);
	assert_int_equal(eg_alert_flows_count(flows, 4, &eu), 0);
	assert_int_equal(eg_alert_flows_count(flows, 8, &eu), 0);
	e.app = 3;
	submit(&e, 1);
	eg_alert_flows_look(flows, others); /* read anew: what was counted is kept by name */
	assert_int_equal(eg_alert_flows_count(flows, 3, &db), 3);
	assert_int_equal(eg_alert_flows_count(flows, 3, &eu), 0);
	eg_alert_flows_look(flows, NULL);
	assert_int_equal(eg_alert_flows_count(flows, 3, &db), 0);
	assert_int_equal(eg_alert_flows_late(flows), 0);
	eg_alert_flows_free(flows);
	eg_networks_free(networks);
	eg_networks_free(others);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_beside_the_consumer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_networks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_top.c - what `egret top` makes of the agent's answers
 */
#include "test_cli_fixture.h"

#include "../../agent/cli/top.h"

#define SECOND 1000000000ull

static void take(struct eg_top *top, uint64_t at_s, const char *apps, const char *usage)
{
	json_t *a = json_loads(apps, 0, NULL), *u = json_loads(usage, 0, NULL);

	assert_non_null(a);
	assert_non_null(u);
	assert_int_equal(eg_top_take(top, a, u, at_s * SECOND), 0);
	json_decref(a);
	json_decref(u);
}

#define NUMBERS(state, out, in, denied, sockets)                                                    \
	"\"state\":\"" state "\",\"bytes_out\":" #out ",\"bytes_in\":" #in ",\"denied\":" #denied \
	",\"sockets\":" #sockets "}"

static const char first[] = "{\"apps\":[{\"app\":\"b\"," NUMBERS("enforce", 1000, 50, 4, 2) ",{\"app\":\"a\","
			    NUMBERS("enforce", 9000, 0, 0, 1) "]}";
static const char second[] = "{\"apps\":[{\"app\":\"b\"," NUMBERS("enforce", 5000, 50, 8, 2) ",{\"app\":\"a\","
			     NUMBERS("killed", 100, 0, 0, 7) ",{\"app\":\"new\"," NUMBERS("audit", 700, 0, 900, 0) "]}";
static const char usage[] = "{\"usage\":[{\"app\":\"a\",\"caps\":[{\"used\":5,\"limit\":10},{\"used\":9,"
			    "\"limit\":10}]},"
			    "{\"app\":\"gone\",\"caps\":[{\"used\":5,\"limit\":5}]},{\"app\":\"b\",\"caps\":[]},"
			    "{\"app\":\"new\",\"caps\":[{\"used\":50000,\"limit\":1}]}]}";

/* Rates come from two samples; an app that is new, or counts anew, has none. */
static void test_rates(void **state)
{
	struct eg_top top = {0};

	(void)state;
	take(&top, 10, first, usage);
	assert_int_equal(top.sum.out_per_s, 0);
	take(&top, 12, second, usage);
	assert_int_equal(top.count, 3);
	assert_string_equal(top.rows[1].app, "b");
	assert_int_equal(top.rows[1].out_per_s, 2000);
	assert_int_equal(top.rows[1].in_per_s, 0);
	assert_int_equal(top.rows[1].denied_per_s, 2);
	assert_int_equal(top.rows[0].out_per_s, 0);
	assert_int_equal(top.rows[2].denied_per_s, 0);
	assert_int_equal(top.sum.out_per_s, 2000);
	assert_int_equal(top.sum.sockets, 9);
	assert_int_equal(top.killed, 1);
	eg_top_clear(&top);
}

static void test_caps(void **state)
{
	struct eg_top top = {0};

	(void)state;
	take(&top, 10, second, usage);
	assert_int_equal(top.rows[0].cap_percent, 90);
	assert_int_equal(top.rows[1].cap_percent, -1);
	assert_int_equal(top.rows[2].cap_percent, 999);
	eg_top_clear(&top);
}

static void assert_order(struct eg_top *top, const char *sort, const char *names)
{
	char found[128] = "";

	top->sort = (enum eg_top_sort)eg_top_sort_parse(sort);
	eg_top_arrange(top);
	for (size_t i = 0; i < top->shown_count; i++) {
		strcat(found, top->shown[i]->app);
		strcat(found, " ");
	}
	assert_string_equal(found, names);
}

static void test_order_and_filter(void **state)
{
	struct eg_top top = {0};

	(void)state;
	take(&top, 10, first, usage);
	take(&top, 12, second, usage);
	assert_order(&top, "rate", "b a new ");
	assert_order(&top, "cap", "new a b ");
	assert_order(&top, "denied", "b new a ");
	assert_order(&top, "live", "a b new ");
	assert_order(&top, "name", "a b new ");
	strcpy(top.filter, "killed");
	assert_order(&top, "name", "a ");
	strcpy(top.filter, "ew");
	assert_order(&top, "name", "new ");
	strcpy(top.filter, "nobody");
	assert_order(&top, "name", "");
	assert_int_equal(eg_top_sort_parse("size"), -1);
	eg_top_clear(&top);
}

/* What is no answer of an agent makes no rows, and no crash. */
static void test_odd_answers(void **state)
{
	struct eg_top top = {0};

	(void)state;
	take(&top, 1, "{}", "[]");
	assert_int_equal(top.shown_count, 0);
	take(&top, 2, "{\"apps\":[3,{\"app\":7,\"sockets\":\"x\"}]}", "{\"usage\":[null,{\"app\":null}]}");
	assert_int_equal(top.shown_count, 2);
	assert_string_equal(top.rows[0].app, "?");
	eg_top_clear(&top);
}

static void test_usage(void **state)
{
	OUTCOME terminal, sort, interval, count;

	(void)state;
	RUN(&terminal, "top --count 1", NULL);
	assert_int_equal(terminal.status, EG_EXIT_USAGE);
	RUN(&sort, "top -b --sort size", NULL);
	assert_has(sort.err, "--sort is one of: rate cap denied live name");
	RUN(&interval, "top -b --interval 1ms", NULL);
	assert_has(interval.err, "from 100ms on");
	RUN(&count, "top -b -n 0", NULL);
	assert_int_equal(count.status, EG_EXIT_USAGE);
	assert_int_equal(count.fake.request_count, 0);
}

/* The first sample is not printed: it has no rates. */
static void test_batch(void **state)
{
	OUTCOME o;

	(void)state;
	RUN(&o, "top -b -n 1 -d 100ms --sort name", reply("200 OK", first), reply("200 OK", usage), reply("200 OK", second),
	    reply("200 OK", usage));
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_has(o.fake.requests[0], "GET /v1/apps ");
	assert_has(o.fake.requests[3], "GET /v1/usage ");
	assert_has(o.out, "APP  STATE    LIVE");
	assert_has(o.out, "\na    killed      7");
	assert_lacks(o.out, "\nAPP");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates), cmocka_unit_test(test_caps),   cmocka_unit_test(test_order_and_filter),
		cmocka_unit_test(test_odd_answers), cmocka_unit_test(test_usage), cmocka_unit_test(test_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

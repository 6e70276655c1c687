// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_report.c - from events to a page: numbers, bounds, and strings that want to be more than text
 */
#include "test_cli_fixture.h"

#include "../../agent/cli/report.h"

#define SECOND 1000000000ull
#define FROM   (1798761600 * SECOND) /* 2027-01-01T00:00:00Z */
#define REPORT EG_CLEANUP(eg_cleanup_report) struct eg_report

/* 96 bins of a minute each. */
static struct eg_report *fresh(void)
{
	struct eg_report *report;

	assert_int_equal(eg_report_new(FROM, FROM + 96 * 60 * SECOND, &report), 0);
	return report;
}

static void tell(struct eg_report *report, const char *line)
{
	assert_int_equal(eg_report_event(report, line, strlen(line)), 0);
}

static __attribute__((noinline)) char *page(const struct eg_report *report)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	eg_report_page(out, report, "x", "host");
	fclose(out);
	return text;
}

static double sum(const double *bins)
{
	double all = 0;

	for (int i = 0; i < EG_REPORT_BINS; i++)
		all += bins[i];
	return all;
}

#define FLOW(time, id, phase, out, in, more)                                                                    \
	"{\"ts\":\"2027-01-01T" time "Z\",\"type\":\"flow\",\"app\":\"a\",\"flow_id\":\"" id "\",\"phase\":\"" phase \
	"\",\"direction\":\"egress\",\"proto\":\"tcp\",\"dst\":\"10.0.0.1\",\"dst_port\":443,\"bytes_out\":" #out     \
	",\"bytes_in\":" #in more "}"

/* Each byte once, in the time between the events that it came between. */
static void test_flows(void **state)
{
	REPORT *report = fresh();
	struct eg_report_app *app;

	(void)state;
	tell(report, FLOW("00:10:00", "1", "start", 0, 0, ""));
	tell(report, FLOW("00:12:00", "1", "update", 200, 20, ""));
	tell(report, FLOW("00:12:30", "1", "end", 260, 20, ""));
	app = eg_report_app(report, "a");
	assert_int_equal(app->bytes_out, 260);
	assert_int_equal(app->bytes_in, 20);
	assert_true(app->out[10] > 99 && app->out[10] < 101);
	assert_true(app->out[12] > 59 && app->out[12] < 61);
	assert_true(sum(app->out) > 259 && sum(app->out) < 261);
	assert_int_equal(app->destinations.count, 1);
	assert_string_equal(app->destinations.items[0].key, "tcp 10.0.0.1:443");
	assert_int_equal(app->destinations.items[0].count, 1);
	assert_int_equal(json_object_size(report->flows), 0);
}

/* A flow from before, of which only the part in the report's time counts. */
static void test_old_flow(void **state)
{
	REPORT *report = fresh();
	struct eg_report_app *app;

	(void)state;
	tell(report, FLOW("00:10:00", "1", "update", 4000, 0, ",\"start\":\"2026-12-31T23:30:00Z\""));
	app = eg_report_app(report, "a");
	assert_int_equal(app->bytes_out, 1000);
	assert_true(app->out[9] > 99 && app->out[9] < 101);
	assert_true(app->out[10] < 1e-6);
}

static void test_denials_names_lines(void **state)
{
	REPORT *report = fresh();
	struct eg_report_app *app;
	EG_FREE char *text = NULL;

	(void)state;
	for (int i = 0; i < 3; i++)
		tell(report, "{\"ts\":\"2027-01-01T00:05:00Z\",\"type\":\"deny\",\"app\":\"a\",\"proto\":\"udp\","
			     "\"direction\":\"egress\",\"dst\":\"fd00::1\",\"dst_port\":53,\"reason\":\"no_rule\"}");
	tell(report, "{\"ts\":\"2027-01-01T00:06:00Z\",\"type\":\"dns\",\"app\":\"a\",\"name\":\"x.example\","
		     "\"action\":\"refused\",\"reason\":\"dns_name\"}");
	tell(report, "{\"ts\":\"2027-01-01T00:07:00Z\",\"type\":\"kill\",\"app\":\"a\",\"cause\":\"drill\","
		     "\"ticket\":\"INC-7\"}");
	tell(report, "{\"ts\":\"2027-01-01T00:07:30Z\",\"type\":\"alert\",\"app\":\"a\",\"action\":\"relax\",\"cause\":\"3 am\"}");
	tell(report, "{\"ts\":\"2027-01-01T00:08:00Z\",\"type\":\"lost\",\"app\":\"a\",\"events\":12}");
	tell(report, "{\"ts\":\"2027-01-01T00:08:00Z\",\"type\":\"lost\",\"events\":7}");
	tell(report, "no event");
	app = eg_report_app(report, "a");
	assert_int_equal(app->denials, 3);
	assert_int_equal(app->denied[5], 3);
	assert_int_equal(app->lost, 12);
	assert_int_equal(report->lost, 7);
	assert_int_equal(report->odd, 1);
	eg_report_order(report);
	text = page(report);
	assert_has(text, "<td class=\"n\">3</td><td>udp [fd00::1]:53: no_rule</td><td>no egress rule names");
	assert_has(text, "<td>x.example: refused</td><td>the policy does not allow this name");
	assert_has(text, "<line class=\"mark kill\"");
	assert_has(text, "<line class=\"mark relax\"");
	assert_has(text, "ticket=INC-7");
	assert_lacks(text, "ticket=INC-7 ticket=INC-7");
	assert_has(text, "cause=drill");
	assert_has(text, "7 events were lost, 1 lines are no events");
}

/* Whatever an app or a person wrote is text on the page: no tag, no attribute, no control character. */
static void test_hostile_strings(void **state)
{
	static const char *const evil[] = {"<script>", "\"onload=", "'><img src=x>", "</title>", "&lt;b&gt;"};
	REPORT *report = fresh();
	EG_FREE char *text = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		static const char *const types[] = {"flow", "deny", "dns", "kill", NULL};

		for (size_t t = 0; t < 5; t++) {
			const char *type = types[t] ? types[t] : evil[i];
			json_t *event = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "ts",
						  "2027-01-01T00:06:00Z", "type", type, "app", evil[i], "name", evil[i],
						  "sni", evil[i], "comm", evil[i], "dst", evil[i], "reason", evil[i],
						  "action", evil[i], "cause", evil[i], "proto", evil[i], "flow_id", evil[i]);
			char *line = json_dumps(event, 0);

			tell(report, line);
			free(line);
			json_decref(event);
		}
		eg_report_app(report, evil[i])->now = json_pack("{s:s,s:s,s:s,s:[{s:s,s:s,s:i,s:i}]}", "state", evil[i], "owner",
								evil[i], "purpose", "a\033[31m\xe2\x80\xae" "b", "caps", "direction",
								evil[i], "scope", evil[i], "limit", 5, "per_s", 60);
		eg_report_app(report, evil[i])->remembered =
			json_pack("{s:[{s:s,s:s,s:s}]}", "denied", "peer", evil[i], "reason", evil[i], "fix", evil[i]);
	}
	eg_report_order(report);
	text = page(report);
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++)
		if (strcmp(evil[i], "</title>"))
			assert_lacks(text, evil[i]);
	assert_ptr_equal(strstr(strstr(text, "</title>") + 1, "</title>"), strstr(text, "</title></line>"));
	assert_has(text, "&#60;script&#62;");
	assert_has(text, "a?[31m?b");
	assert_lacks(text, "\033");
	assert_lacks(text, "http:");
	assert_has(text, "default-src 'none'");
}

/* Lists and lines end somewhere; what had no place is counted. */
static void test_bounds(void **state)
{
	REPORT *report = fresh();
	struct eg_report_app *app;
	EG_FREE char *text = NULL;
	char line[256];

	(void)state;
	for (int i = 0; i < EG_REPORT_ITEMS_MAX + 10; i++) {
		snprintf(line, sizeof(line), "{\"ts\":\"2027-01-01T00:05:00Z\",\"type\":\"deny\",\"app\":\"a\",\"dst\":"
			 "\"10.1.%d.%d\",\"reason\":\"no_rule\"}", i / 250, i % 250);
		tell(report, line);
	}
	for (int i = 0; i < EG_REPORT_LINES_MAX + 5; i++) {
		snprintf(line, sizeof(line), "{\"ts\":\"2027-01-01T00:05:00Z\",\"type\":\"tag\",\"app\":\"a\","
			 "\"cause\":\"n%d\"}", i);
		tell(report, line);
	}
	app = eg_report_app(report, "a");
	assert_int_equal(app->denies.count, EG_REPORT_ITEMS_MAX);
	assert_int_equal(app->denies.rest.count, 10);
	text = page(report);
	assert_has(text, "the newest 400 of 405");
	assert_has(text, "cause=n404");
	assert_lacks(text, "cause=n4<");
	assert_has(text, "and 2033 more, elsewhere");
}

static void test_usage(void **state)
{
	OUTCOME none, both, since, format;

	(void)state;
	RUN(&none, "report", NULL);
	assert_has(none.err, "name an app, or say --all");
	RUN(&both, "report app-x --all", NULL);
	assert_int_equal(both.status, EG_EXIT_USAGE);
	RUN(&since, "report app-x --since yesterday", NULL);
	assert_has(since.err, "'yesterday'");
	RUN(&format, "report app-x -o json", NULL);
	assert_int_equal(format.status, EG_EXIT_USAGE);
	assert_int_equal(format.fake.request_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows),		cmocka_unit_test(test_old_flow),
		cmocka_unit_test(test_denials_names_lines), cmocka_unit_test(test_hostile_strings),
		cmocka_unit_test(test_bounds),		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

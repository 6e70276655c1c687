// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_commands.c - what commands ask the agent, print, and exit with
 */
#include "test_cli_fixture.h"
#include "spool_fixture.h"

#define FORBIDDEN reply("403 Forbidden", "{\"error\":{\"code\":\"forbidden\",\"message\":\"Not you.\"}}")
#define NOT_FOUND reply("404 Not Found", "{\"error\":{\"code\":\"not_found\",\"message\":\"There is no app.\"}}")
#define OK(body)  reply("200 OK", body)

/* Body of the n-th request. */
static const char *body(const struct outcome *o, size_t n)
{
	return strstr(o->fake.requests[n], "\r\n\r\n") + 4;
}

/* ---- Exit statuses ---------------------------------------------------------------------------- */

static void assert_exit(const char *answer, int status)
{
	OUTCOME o;

	RUN(&o, "app app-x", answer);
	assert_int_equal(o.status, status);
	if (status)
		assert_string_equal(o.out, "");
}

static void test_exit_status(void **state)
{
	OUTCOME o;

	(void)state;
	assert_exit(OK("{\"app\":\"app-x\"}"), EG_EXIT_OK);
	assert_exit(FORBIDDEN, EG_EXIT_REFUSED);
	assert_exit(NOT_FOUND, EG_EXIT_NOT_FOUND);
	assert_exit(reply("409 C", "{\"error\":{\"code\":\"c\",\"message\":\"m\"}}"), EG_EXIT_CONFLICT);
	assert_exit(reply("412 C", "{\"error\":{\"code\":\"c\",\"message\":\"m\"}}"), EG_EXIT_CONFLICT);
	assert_exit(reply("400 C", "{\"error\":{\"code\":\"c\",\"message\":\"m\"}}"), EG_EXIT_USAGE);
	assert_exit(reply("500 C", "{\"error\":{\"code\":\"c\",\"message\":\"m\"}}"), EG_EXIT_FAILED);
	assert_exit(OK("nonsense"), EG_EXIT_FAILED);
	RUN(&o, "app APP!", NULL);
	assert_int_equal(o.status, EG_EXIT_USAGE);
	assert_int_equal(o.fake.request_count, 0);
	assert_has(o.err, "'APP!' is not an app's name");
}

/* What an agent, or an app through it, says can't be more than text. */
static void test_output_is_clean(void **state)
{
	OUTCOME apps, events, error, lines, json;

	(void)state;
	RUN(&apps, "apps", OK("{\"apps\":[{\"app\":\"a\\u001b[31m\",\"state\":\"enforce\",\"owner\":\"x\\nforged\"}]}"));
	assert_has(apps.out, "a?[31m");
	assert_has(apps.out, "x?forged");
	RUN(&events, "events",
	    OK("{\"ts\":\"2027-01-31T12:00:05.123456789Z\",\"type\":\"deny\",\"app\":\"a\",\"comm\":\"\\u001b]0;t\\u0007\","
	       "\"pid\":3,\"uid\":4,\"reason\":\"no_rule\",\"proto\":\"tcp\",\"dst\":\"fd00::1\",\"dst_port\":443}\n"));
	assert_string_equal(events.out, "2027-01-31 12:00:05.123Z  deny     a                    "
					"no_rule tcp to [fd00::1]:443 by ?]0;t?[3] uid 4\n");
	RUN(&error, "apps", reply("500 X", "{\"error\":{\"code\":\"c\",\"message\":\"a\\u001b[2Jb\\nc\"}}"));
	assert_string_equal(error.err, "egret: a?[2Jb?c [c]\n");
	/* JSON says the same to programs, in other letters */
	RUN(&lines, "events -o ndjson", OK("{\"comm\":\"\xc2\x9b" "31m\"}\n"));
	assert_string_equal(lines.out, "{\"comm\":\"\\u009b31m\"}\n");
	RUN(&json, "apps -o json", OK("{\"apps\":[{\"app\":\"\xe2\x80\xae\"}]}"));
	assert_has(json.out, "\"\\u202e\"");
}

/* Programs get what the API says, unchanged. */
static void test_json_is_the_api_s(void **state)
{
	EG_JSON json_t *json = NULL, *expected = NULL;
	static const char text[] = "{\"apps\":[{\"app\":\"a\",\"unheard_of\":[1,null,{\"x\":\"\\u001b\"}]}]}";
	OUTCOME o;

	(void)state;
	RUN(&o, "apps -o json", OK(text));
	json = json_loads(o.out, 0, NULL);
	expected = json_loads(text, 0, NULL);
	assert_true(json_equal(json, expected));
	assert_lacks(o.out, "\033");
}

/* Numbers and lists may be missing, null, or of another type. */
static void test_odd_answers(void **state)
{
	static const char *const commands[] = {"status", "apps", "app x", "usage", "denied", "explain x 10.0.0.1:1",
					       "kill x", "restore x", "tag c x", "policy get x", "relax x --for 0 --reason r"};
	static const char *const answers[] = {
		"{}", "[]",
		"{\"agent\":null,\"enforcement\":{},\"apps\":[null,3,{\"labels\":[],\"cgroups\":{},\"bytes_out\":-1}],"
		"\"holds\":[null],\"maps\":[{\"max\":0}],\"policy_errors\":[1],\"alarms\":[{}],\"denied\":[1],\"usage\":[[]],"
		"\"notes\":[1],\"grant\":{\"name\":\"x\",\"rest_s\":-1},\"grants\":[null,{\"rest_s\":9e9}],"
		"\"rules\":[null],\"caps\":[{\"limit\":0}],\"reasons\":{\"x\":1},\"lifted\":7,\"policy\":3,\"verdict\":{}}"};

	(void)state;
	for (size_t c = 0; c < sizeof(commands) / sizeof(commands[0]); c++) {
		for (size_t a = 0; a < 3; a++) {
			OUTCOME o;

			RUN(&o, commands[c], OK(answers[a]));
			assert_int_equal(o.status, EG_EXIT_OK);
		}
	}
}

/* ---- kill ------------------------------------------------------------------------------------------ */

#define KILLED(more)                                                                                          \
	OK("{\"apps\":[{\"app\":\"app-x\",\"already\":false,\"sockets\":3,\"flows\":5" more "}],\"count\":1," \
	   "\"durable\":true,\"stored_us\":12,\"took_us\":900,\"sockets\":3,\"flows\":5}")

static void test_kill(void **state)
{
	OUTCOME o, unseen, lost;

	(void)state;
	RUN(&o, "kill app-x --reason leak --ticket T-1", KILLED(""));
	assert_int_equal(o.status, EG_EXIT_OK);
	assert_int_equal(o.fake.request_count, 1);
	assert_has(o.fake.requests[0], "POST /v1/apps/app-x/kill HTTP/1.1");
	assert_string_equal(body(&o, 0), "{\"reason\":\"leak\",\"ticket\":\"T-1\"}");
	assert_has(o.out, "killed app-x\n");
	assert_has(o.out, "3 sockets, 5 flows");
	assert_has(o.out, "12 us");
	assert_has(o.out, "on disk");
	assert_string_equal(o.err, "");
	RUN(&unseen, "kill app-x", KILLED(",\"seen\":false"));
	assert_has(unseen.err, "no app app-x was seen on this host yet");
	RUN(&lost, "kill app-x", OK("{\"apps\":[],\"count\":1,\"durable\":false}"));
	assert_has(lost.err, "NOT ON DISK");
	assert_lacks(lost.out, "on disk");
}

static void test_kill_many(void **state)
{
	static const char many[] = "{\"apps\":[{\"app\":\"a\"},{\"app\":\"b\"}],\"count\":2,\"durable\":true}";
	OUTCOME yes, all, dry, changed;

	(void)state;
	RUN(&yes, "kill --label team=hr --yes 2", OK(many));
	assert_int_equal(yes.status, EG_EXIT_OK);
	assert_has(yes.fake.requests[0], "POST /v1/kill HTTP/1.1");
	assert_string_equal(body(&yes, 0), "{\"labels\":\"team=hr\",\"expect\":2}");
	RUN(&all, "kill --all --yes 2", OK(many));
	assert_string_equal(body(&all, 0), "{\"all\":true,\"expect\":2}");
	RUN(&dry, "kill --all --dry-run", OK(many));
	assert_string_equal(body(&dry, 0), "{\"all\":true,\"dry_run\":true}");
	assert_has(dry.out, "2 meant; nothing was done.");
	RUN(&changed, "kill --all --yes 3", reply("409 C", "{\"error\":{\"code\":\"count_changed\",\"message\":\"m\"}}"));
	assert_int_equal(changed.status, EG_EXIT_CONFLICT);
}

static void assert_usage(const char *arguments, const char *words)
{
	OUTCOME o;

	RUN(&o, arguments, NULL);
	assert_int_equal(o.fake.request_count, 0);
	assert_int_equal(o.status, EG_EXIT_USAGE);
	assert_has(o.err, words);
	assert_string_equal(o.out, "");
}

/* None of these may kill anybody. */
static void test_kill_usage(void **state)
{
	(void)state;
	assert_usage("kill", "say which");
	assert_usage("kill x --all", "only one of");
	assert_usage("kill --all --label a=b --yes 1", "only one of");
	assert_usage("kill --label =b --yes 1", "\"=b\"");
	assert_usage("kill --all --yes many", "'many'");
	assert_usage("kill --all --yes -1", "'-1'");
	assert_usage("kill --all --yes 1x", "'1x'");
	assert_usage("kill --all --yes 99999999999999999999", "number of apps");
	assert_usage("kill x --yes 1", "--yes goes with --all and --label");
	assert_usage("kill x --bpffs /x", "--bpffs goes with --direct");
	assert_usage("kill --label a=b --direct", "labels are in the agent's policies");
	assert_usage("kill x --direct --dry-run", "neither --dry-run nor --yes");
}

/* Tests have no terminal on stdin: then nothing is asked, and nothing is done. */
static void test_kill_without_terminal(void **state)
{
	(void)state;
	assert_non_null(freopen("/dev/null", "r", stdin));
	assert_usage("kill --all", "there is no terminal to ask on");
	assert_usage("kill --label a=b", "there is no terminal to ask on");
}

/* ---- restore, relax --------------------------------------------------------------------------------- */

static void test_restore(void **state)
{
	OUTCOME one, all;

	(void)state;
	RUN(&one, "restore app-x --reason fine",
	    OK("{\"app\":\"app-x\",\"lifted\":[\"local\"],\"remaining\":[{\"app\":\"app-x\",\"layer\":\"control\","
	       "\"time\":\"2027-01-31T12:00:05.1Z\",\"actor\":\"etcd\",\"durable\":true}],\"durable\":false,\"state\":\"killed\"}"));
	assert_has(one.fake.requests[0], "POST /v1/apps/app-x/restore HTTP/1.1");
	assert_string_equal(body(&one, 0), "{\"reason\":\"fine\"}");
	assert_has(one.out, "Still in force:");
	assert_has(one.out, "control");
	assert_has(one.err, "not on disk");
	RUN(&all, "restore --all", OK("{\"app\":\"*\",\"lifted\":[\"local\"],\"remaining\":[],\"durable\":true}"));
	assert_has(all.fake.requests[0], "POST /v1/restore HTTP/1.1");
	assert_string_equal(body(&all, 0), "{}");
	assert_has(all.out, "every app");
	assert_usage("restore", "say which");
	assert_usage("restore x --all", "only one of");
}

static void test_relax(void **state)
{
	OUTCOME o;

	(void)state;
	RUN(&o, "relax app-x --for 15m --reason why", OK("{\"app\":\"app-x\",\"relax_until\":\"2027-01-31T12:00:05.1Z\"}"));
	assert_string_equal(body(&o, 0), "{\"for\":\"15m\",\"reason\":\"why\"}");
	assert_has(o.out, "until 2027-01-31 12:00:05Z");
	assert_usage("relax x --for 15m", "--reason");
	assert_usage("relax x --for 0", "--reason");
	assert_usage("relax x --reason y", "--for");
	assert_usage("relax x --for 15 --reason y", "'15'");
}

/* ---- explain, denied, events --------------------------------------------------------------------------- */

static void test_explain(void **state)
{
	OUTCOME deny, audit, in, name, grant;

	(void)state;
	RUN(&deny, "explain app-x [fd00::1]:443 --proto udp",
	    OK("{\"verdict\":\"deny\",\"reason\":\"no_rule\",\"sentence\":\"s\",\"fix\":\"do this\"}"));
	assert_int_equal(deny.status, EG_EXIT_NO);
	assert_has(deny.fake.requests[0],
		   "GET /v1/explain?app=app-x&dest=%5Bfd00::1%5D:443&proto=udp&direction=egress HTTP/1.1");
	assert_has(deny.out, "do this");
	RUN(&name, "explain app-x sheets.googleapis.com:443",
	    OK("{\"verdict\":\"allow\",\"reason\":\"allowed\",\"sentence\":\"s\",\"rule\":\"sheets\",\"grant\":null,"
	       "\"notes\":[\"verify-sni: m\"],\"grants\":[{\"name\":\"sheets.googleapis.com\","
	       "\"address\":\"192.0.2.7\",\"age_s\":5,\"rest_s\":295,\"expired\":false}]}"));
	assert_int_equal(name.status, EG_EXIT_OK);
	assert_has(name.fake.requests[0], "dest=sheets.googleapis.com:443&");
	assert_has(name.out, "verify-sni: m");
	assert_has(name.out, "sheets.googleapis.com  192.0.2.7");
	assert_has(name.out, "4m 55s");
	RUN(&grant, "explain app-x 192.0.2.7:443",
	    OK("{\"verdict\":\"allow\",\"grant\":{\"name\":\"a\\u001b.example\",\"rest_s\":60,\"expired\":false}}"));
	assert_has(grant.out, "a?.example, for another 1m");
	assert_usage("explain x a.example", "tcp needs a port: a.example:443");
	RUN(&audit, "explain app-x 10.0.0.1 -p icmp", OK("{\"verdict\":\"audit\",\"reason\":\"no_rule\"}"));
	assert_int_equal(audit.status, EG_EXIT_OK); /* it would pass */
	RUN(&in, "explain app-x 10.0.0.1:80 --ingress", OK("{\"verdict\":\"allow\"}"));
	assert_has(in.fake.requests[0], "proto=tcp&direction=ingress");
	assert_usage("explain x 10.0.0.1", "tcp needs a port: 10.0.0.1:443");
	assert_usage("explain x fd00::1", "tcp needs a port: [fd00::1]:443");
	assert_usage("explain x 10.0.0.1: --proto udp", "needs a port");
	assert_usage("explain x 10.0.0.1:1 --proto sctp", "'sctp'");
}

/* The newest of many, and all of them for programs. */
static void test_grants(void **state)
{
	static char many[16384];
	size_t used = (size_t)sprintf(many, "{\"app\":\"a\",\"names\":true,\"grants\":{\"used\":40,\"max\":512,"
					    "\"evicted\":3,\"list\":[");
	EG_JSON json_t *json = NULL, *want = NULL;
	OUTCOME o, programs, none;

	(void)state;
	for (int i = 0; i < 40; i++)
		used += (size_t)sprintf(many + used, "%s{\"name\":\"n%d.example\",\"address\":\"192.0.2.%d\","
						     "\"age_s\":%d,\"rest_s\":60,\"expired\":%s}", i ? "," : "", i, i,
					i, i == 1 ? "true" : "false");
	strcpy(many + used, "]}}");
	RUN(&o, "app a", OK(many));
	assert_has(o.fake.requests[0], "GET /v1/apps/a?grants=1 HTTP/1.1");
	assert_has(o.out, "40 of at most 512 addresses from DNS; 3 made room while they were good");
	assert_has(o.out, "NAME         ADDRESS     AGE     REST\n");
	assert_has(o.out, "n0.example   192.0.2.0    0s       1m\n");
	assert_has(o.out, "n1.example   192.0.2.1    1s  expired\n");
	assert_has(o.out, "n29.example");
	assert_lacks(o.out, "n30.example");
	assert_has(o.out, "and 10 more");
	RUN(&programs, "app a -o json", OK(many));
	json = json_loads(programs.out, 0, NULL);
	want = json_loads(many, 0, NULL);
	assert_true(json_equal(json, want));
	RUN(&none, "app a", OK("{\"app\":\"a\",\"names\":false,\"grants\":{\"used\":0,\"max\":512,\"evicted\":0,"
			       "\"list\":[]}}"));
	assert_lacks(none.out, "DNS");
}

static void assert_line(const char *event, const char *end)
{
	OUTCOME o;

	RUN(&o, "events", OK(event));
	assert_has(o.out, end);
}

static void test_names_in_events(void **state)
{
	OUTCOME flows;

	(void)state;
#define DNS "{\"ts\":\"2027-01-31T12:00:05Z\",\"type\":\"dns\",\"app\":\"a\",\"proto\":\"udp\","
	assert_line(DNS "\"direction\":\"ingress\",\"src\":\"10.0.0.2\",\"src_port\":53,\"dst\":\"10.0.0.5\","
		    "\"dst_port\":4,\"action\":\"learned\",\"name\":\"a.example\",\"qtype\":\"A\","
		    "\"addresses\":[\"192.0.2.1\",\"192.0.2.2\"],"
		    "\"address_count\":17,\"ttl\":60,\"verdict\":\"allow\",\"pid\":3,\"uid\":4,\"comm\":\"curl\"}\n",
		    "learned a.example A 192.0.2.1, 192.0.2.2 (17 in all) for 1m, udp from 10.0.0.2:53 to 10.0.0.5:4 "
		    "by curl[3] uid 4\n");
	assert_line(DNS "\"direction\":\"egress\",\"dst\":\"10.0.0.2\",\"dst_port\":53,\"action\":\"refused\","
		    "\"name\":\"evil\\u001b.example\",\"qtype\":\"TYPE99\",\"reason\":\"dns_name\","
		    "\"verdict\":\"audit\"}\n",
		    "refused evil?.example TYPE99 dns_name, udp to 10.0.0.2:53 (let through: audit)\n");
	assert_line("{\"type\":\"dns\"}\n", "- ?, - to ?\n");
#define FLOW "{\"ts\":\"2027-01-31T12:00:05Z\",\"type\":\"flow\",\"phase\":\"start\",\"app\":\"a\",\"flow_id\":\"1\"," \
	     "\"proto\":\"tcp\",\"dst\":\"192.0.2.1\",\"dst_port\":443,"
	assert_line(FLOW "\"name\":\"a.example\",\"sni\":\"a.example\",\"verified\":true}\n",
		    "192.0.2.1:443 (a.example, verified)");
	assert_line(FLOW "\"name\":\"a.example\",\"sni\":\"b.example\"}\n",
		    "192.0.2.1:443 (a.example, asked for b.example)");
	RUN(&flows, "flows a", OK(FLOW "\"sni\":\"b.example\",\"verified\":false}\n"));
	assert_has(flows.out, "192.0.2.1:443 (b.example)");
}

static void test_denied(void **state)
{
	OUTCOME o, none;

	(void)state;
	RUN(&o, "denied app-x --last 10m",
	    OK("{\"denied\":[{\"app\":\"app-x\",\"direction\":\"ingress\",\"peer\":\"fd00::9\",\"port\":8080,\"proto\":\"tcp\","
	       "\"reason\":\"no_ingress_rule\",\"sentence\":\"s\",\"count\":7,\"last\":\"2020-01-01T00:00:00Z\",\"audited\":true}]}"));
	assert_has(o.fake.requests[0], "GET /v1/denied?app=app-x&last=10m HTTP/1.1");
	assert_has(o.out, "from fd00::9 to port 8080");
	assert_has(o.out, "no_ingress_rule (audit)");
	RUN(&none, "denied", OK("{\"denied\":[]}"));
	assert_string_equal(none.out, "Nothing was denied.\n");
	assert_usage("denied --last yesterday", "'yesterday'");
}

static const char flow_lines[] =
	"{\"ts\":\"2027-01-31T12:00:01Z\",\"type\":\"flow\",\"phase\":\"start\",\"app\":\"a\",\"flow_id\":\"1-1-1\",\"bytes_out\":1}\n"
	"{\"ts\":\"2027-01-31T12:00:02Z\",\"type\":\"flow\",\"phase\":\"start\",\"app\":\"a\",\"flow_id\":\"1-1-2\",\"bytes_out\":2}\n"
	"{\"ts\":\"2027-01-31T12:00:03Z\",\"type\":\"flow\",\"phase\":\"end\",\"app\":\"a\",\"flow_id\":\"1-1-1\",\"bytes_out\":3}\n";

static void test_flows(void **state)
{
	EG_JSON json_t *json = NULL;
	const json_t *flows;
	OUTCOME o, lines;

	(void)state;
	RUN(&o, "flows a -o json", OK(flow_lines));
	assert_has(o.fake.requests[0], "GET /v1/events?app=a&type=flow&last=10m&limit=");
	json = json_loads(o.out, 0, NULL);
	flows = json_object_get(json, "flows");
	assert_int_equal(json_array_size(flows), 2); /* each once, as it was last */
	assert_string_equal(eg_json_text(json_array_get(flows, 0), "flow_id"), "1-1-2");
	assert_int_equal(eg_json_u64(json_array_get(flows, 1), "bytes_out"), 3);
	RUN(&lines, "flows -o ndjson", OK(flow_lines));
	assert_string_equal(lines.out, flow_lines);
}

/* One that is open has lasted until now, whenever it was told of last; one that ended as long as it says. */
static void test_how_long_flows_last(void **state)
{
	OUTCOME open, ended;

	(void)state;
	RUN(&open, "flows", OK("{\"ts\":\"2020-01-31T12:00:01Z\",\"type\":\"flow\",\"phase\":\"start\",\"flow_id\":\"1-1-1\","
			       "\"start\":\"2020-01-31T12:00:01Z\",\"duration_ms\":0}\n"));
	assert_has(open.out, "open");
	assert_null(strstr(open.out, " ms "));
	assert_has(open.out, "d ");
	RUN(&ended, "flows", OK("{\"ts\":\"2020-01-31T12:00:01Z\",\"type\":\"flow\",\"phase\":\"end\",\"flow_id\":\"1-1-1\","
				"\"start\":\"2020-01-31T12:00:01Z\",\"duration_ms\":62000}\n"));
	assert_has(ended.out, " 1m 2s ");
}

/* The incident's ticket is what a kill is looked up by; the one of an app's policy would be in every line. */
static void test_tickets_in_events(void **state)
{
	OUTCOME o;

	(void)state;
	RUN(&o, "events", OK("{\"ts\":\"2027-01-31T12:00:01Z\",\"type\":\"kill\",\"app\":\"a\",\"ticket\":\"INC-7\"}\n"
			     "{\"ts\":\"2027-01-31T12:00:01Z\",\"type\":\"policy\",\"app\":\"a\",\"ticket\":\"SEC-1\"}\n"));
	assert_has(o.out, "ticket=INC-7");
	assert_null(strstr(o.out, "SEC-1"));
}

static void test_events(void **state)
{
	EG_JSON json_t *json = NULL;
	OUTCOME follow, all, since;

	(void)state;
	RUN(&follow, "events -f -o json", OK(flow_lines));
	assert_has(follow.fake.requests[0], "GET /v1/events?follow=1&limit=0 HTTP/1.1");
	assert_string_equal(follow.out, flow_lines); /* a stream is lines, not a document */
	assert_int_equal(follow.status, EG_EXIT_UNREACHABLE); /* it had no reason to end */
	RUN(&all, "events -o json --type flow,deny --limit 5", OK(flow_lines));
	assert_has(all.fake.requests[0], "GET /v1/events?type=flow,deny&limit=5 HTTP/1.1");
	json = json_loads(all.out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(json, "events")), 3);
	RUN(&since, "events -f --last 1h", OK(""));
	assert_has(since.fake.requests[0], "GET /v1/events?follow=1&last=1h HTTP/1.1");
	assert_usage("events --limit few", "'few'");
}

static void add_event(struct bytes *b, uint64_t n, const char *ts, const char *type, const char *app)
{
	char text[256];
	struct eg_spool_frame frame = {.n = n, .class = EG_SPOOL_OTHER, .text = text};

	frame.len = (uint32_t)snprintf(text, sizeof(text),
				       "{\"ts\":\"%s\",\"type\":\"%s\",\"event_id\":\"h-1-%u\",\"app\":\"%s\"}\n", ts,
				       type, (unsigned)n, app);
	b->data = realloc(b->data, b->len + EG_SPOOL_HEAD_LEN + frame.len);
	assert_non_null(b->data);
	eg_spool_frame_encode(b->data + b->len, 1, &frame);
	memcpy(b->data + b->len + EG_SPOOL_HEAD_LEN, text, frame.len);
	b->len += EG_SPOOL_HEAD_LEN + frame.len;
}

/* Of a spool that lies there: filters, the newest, what is missing and what is none. */
static void test_events_of_a_spool(void **state)
{
	struct bytes first = {0}, second = {0};
	char dir[] = "/tmp/egret-test-spool.XXXXXX", command[128], path[160];
	OUTCOME all, some, newest, recent, gone;

	(void)state;
	assert_non_null(mkdtemp(dir));
	add_event(&first, 1, "2026-01-01T00:00:00Z", "deny", "a");
	add_event(&first, 2, "2026-01-01T00:00:01Z", "flow", "a");
	add_event(&second, 5, "2026-01-01T00:00:02Z", "flow", "b");
	put_segment(dir, 1, 1, first);
	put_segment(dir, 1, 5, second);
#define SPOOL(outcome, options)                                                                \
	do {                                                                                   \
		snprintf(command, sizeof(command), "events --spool %s -o ndjson %s", dir, options); \
		RUN(outcome, command);                                                         \
	} while (0)
	SPOOL(&all, "");
	assert_int_equal(all.status, EG_EXIT_OK);
	assert_has(all.out, "h-1-1");
	assert_has(all.out, "h-1-2");
	assert_has(all.out, "h-1-5");
	assert_has(all.err, "2 events between these are not there any more");
	SPOOL(&some, "a --type kill,flow");
	assert_has(some.out, "h-1-2");
	assert_null(strstr(some.out, "h-1-1"));
	assert_null(strstr(some.out, "h-1-5"));
	SPOOL(&newest, "--limit 1");
	assert_has(newest.out, "h-1-5");
	assert_null(strstr(newest.out, "h-1-2"));
	SPOOL(&recent, "--last 1m");
	assert_string_equal(recent.out, "");
	RUN(&gone, "events --spool /nowhere/spool");
	assert_int_equal(gone.status, EG_EXIT_FAILED);
	assert_has(gone.err, "/nowhere/spool: No such file");
	assert_usage("events -f --spool /tmp", "--follow");
	assert_usage("events --spool /tmp -l team=a", "labels");
#undef SPOOL
	for (unsigned n = 1; n <= 5; n += 4) {
		snprintf(path, sizeof(path), "%s/events-%010u-%012u.spool", dir, 1, n);
		assert_int_equal(unlink(path), 0);
	}
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status),	 cmocka_unit_test(test_output_is_clean),
		cmocka_unit_test(test_json_is_the_api_s), cmocka_unit_test(test_odd_answers),
		cmocka_unit_test(test_kill),		 cmocka_unit_test(test_kill_many),
		cmocka_unit_test(test_kill_usage),	 cmocka_unit_test(test_kill_without_terminal),
		cmocka_unit_test(test_restore),		 cmocka_unit_test(test_relax),
		cmocka_unit_test(test_explain),		 cmocka_unit_test(test_denied),
		cmocka_unit_test(test_grants),		 cmocka_unit_test(test_names_in_events),
		cmocka_unit_test(test_how_long_flows_last), cmocka_unit_test(test_tickets_in_events),
		cmocka_unit_test(test_flows),		 cmocka_unit_test(test_events),
		cmocka_unit_test(test_events_of_a_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

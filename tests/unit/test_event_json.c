// SPDX-License-Identifier: Apache-2.0
#include "events_fixture.h"

#include <arpa/inet.h>
#include <errno.h>

#include "../../agent/core/event_json.h"
#include "../../agent/lib/revname.h"

/* 2026-01-31T00:00:00Z minus 5 s: so that the sample's boot_ns is on the dot. */
#define UTC_0 (1769817600ull * 1000000000u)

static struct eg_event_stamp stamp;
static const char meta_text[] = ",\"app\":\"a-1\",\"owner\":\"o\"";

static int setup(void **state)
{
	(void)state;
	eg_event_stamp_init(&stamp, "host-1.example");
	eg_event_stamp_number(&stamp, 17, 5);
	stamp.utc_offset_ns = (int64_t)UTC_0 - 5000000000;
	return 0;
}

static json_t *parse(const char *text, const char *end)
{
	json_error_t error;
	json_t *o = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, &error);

	if (!o)
		fail_msg("%s: %.*s", error.text, (int)(end - text), text);
	return o;
}

static json_t *render_named(const struct eg_event *e, const struct eg_event_named *named)
{
	static char buf[EG_EVENT_LINE_MAX];
	char *end = eg_event_json(buf, &stamp, e, named, meta_text, sizeof(meta_text) - 1);

	assert_true(end - buf < EG_EVENT_FIXED_MAX);
	assert_int_equal(end[-1], '\n');
	assert_null(memchr(buf, '\n', (size_t)(end - buf - 1)));
	return parse(buf, end);
}

static json_t *render(const struct eg_event *e)
{
	return render_named(e, NULL);
}

static void same(json_t *got, const char *want)
{
	json_t *expected = json_loads(want, 0, NULL);
	char *text = json_dumps(got, JSON_COMPACT);

	assert_non_null(expected);
	if (!json_equal(got, expected))
		fail_msg("got  %s\nwant %s", text, want);
	free(text);
	json_decref(expected);
	json_decref(got);
}

static void flow_end(void **state)
{
	struct eg_event e = sample_flow(EG_EVENT_FLOW_END);

	(void)state;
	same(render(&e),
	     "{\"schema\":1,\"ts\":\"2026-01-31T00:00:00.000000000Z\",\"type\":\"flow\",\"event_id\":\"host-1.example-17-5\","
	     "\"host\":\"host-1.example\",\"app\":\"a-1\",\"owner\":\"o\",\"seq\":7,\"pid\":4321,\"uid\":1000,"
	     "\"comm\":\"curl\",\"direction\":\"egress\",\"proto\":\"tcp\",\"src\":\"10.0.0.5\",\"src_port\":40000,"
	     "\"dst\":\"10.20.0.15\",\"dst_port\":5432,\"phase\":\"end\",\"flow_id\":\"3-2-12\",\"verdict\":\"allow\","
	     "\"bytes_out\":1000,\"bytes_in\":2000,\"packets_out\":10,\"packets_in\":20,"
	     "\"start\":\"2026-01-30T23:59:58.500000000Z\",\"duration_ms\":1500,\"rtt_us\":250,\"retransmits\":1}");
	assert_int_equal(stamp.n, 6);
}

static void audited_flow_of_a_killed_task(void **state)
{
	struct eg_event e = sample_flow(EG_EVENT_FLOW_START);
	json_t *o;

	(void)state;
	e.audited = 1;
	e.reason = EG_REASON_NO_RULE_PORT;
	e.pid = 0;
	e.flags = EG_FLOW_LOOPBACK;
	o = render(&e);
	assert_string_equal(text_of(o, "verdict"), "audit");
	assert_string_equal(text_of(o, "reason"), "no_rule_port");
	assert_string_equal(text_of(o, "phase"), "start");
	assert_true(json_is_true(json_object_get(o, "loopback")));
	assert_null(json_object_get(o, "pid"));
	assert_null(json_object_get(o, "uid"));
	assert_null(json_object_get(o, "comm"));
	json_decref(o);
}

static void denied_connect(void **state)
{
	struct eg_event e = sample_deny();

	(void)state;
	same(render(&e),
	     "{\"schema\":1,\"ts\":\"2026-01-31T00:00:00.000000000Z\",\"type\":\"deny\",\"event_id\":\"host-1.example-17-5\","
	     "\"host\":\"host-1.example\",\"app\":\"a-1\",\"owner\":\"o\",\"seq\":7,\"pid\":4321,\"uid\":1000,"
	     "\"comm\":\"curl\",\"direction\":\"egress\",\"proto\":\"tcp\",\"dst\":\"10.20.0.15\",\"dst_port\":5432,"
	     "\"verdict\":\"deny\",\"reason\":\"no_rule\",\"hook\":\"connect\",\"bytes_out\":60,\"packets_out\":1}");
}

static void icmp_has_type_and_code(void **state)
{
	struct eg_event e = sample_deny();
	json_t *o;

	(void)state;
	e.proto = IPPROTO_ICMPV6;
	e.hook = EG_HOOK_PACKET;
	e.dir = EG_DIR_INGRESS;
	e.src_port = 128;
	e.dst_port = 0;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", e.src.b), 1);
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", e.dst.b), 1);
	o = render(&e);
	assert_string_equal(text_of(o, "proto"), "icmpv6");
	assert_string_equal(text_of(o, "direction"), "ingress");
	assert_string_equal(text_of(o, "src"), "2001:db8::1");
	assert_string_equal(text_of(o, "dst"), "fe80::1");
	assert_int_equal(number_of(o, "icmp_type"), 128);
	assert_true(json_is_integer(json_object_get(o, "icmp_code")));
	assert_null(json_object_get(o, "src_port"));
	json_decref(o);
}

static void cap(void **state)
{
	struct eg_event e = {
		.boot_ns = 5000000000u, .seq = 1, .app = 3, .gen = 2, .type = EG_EVENT_CAP, .reason = EG_REASON_CAP_EGRESS,
		.percent = 80, .rule = EG_RULE_NONE, .limit = 52428800, .used = 41943040, .window_ns = 3600000000000u,
		.window_end_utc_ns = UTC_0 + 3600000000000u,
	};

	(void)state;
	same(render(&e),
	     "{\"schema\":1,\"ts\":\"2026-01-31T00:00:00.000000000Z\",\"type\":\"cap\",\"event_id\":\"host-1.example-17-5\","
	     "\"host\":\"host-1.example\",\"app\":\"a-1\",\"owner\":\"o\",\"seq\":1,\"direction\":\"egress\","
	     "\"reason\":\"cap_egress\",\"percent\":80,\"limit_bytes\":52428800,\"used_bytes\":41943040,\"window_s\":3600,"
	     "\"window_end\":\"2026-01-31T01:00:00.000000000Z\"}");
}

static void rate_expire_kill(void **state)
{
	struct eg_event e = {.boot_ns = 1, .seq = 1, .type = EG_EVENT_RATE, .reason = EG_REASON_RATE_EGRESS};
	json_t *o;

	(void)state;
	e.limit = 65536ull * 8 * 1000000000 / 10000000; /* 10 Mbit/s */
	o = render(&e);
	assert_int_equal(number_of(o, "limit_bits_per_s"), 10000000);
	json_decref(o);
	e.reason = EG_REASON_NEW_FLOWS;
	e.limit = 60000000000u / 100;
	o = render(&e);
	assert_int_equal(number_of(o, "limit_flows_per_min"), 100);
	json_decref(o);
	e.reason = EG_REASON_DNS_RATE;
	o = render(&e);
	assert_int_equal(number_of(o, "limit_queries_per_min"), 100);
	json_decref(o);
	e = (struct eg_event){.type = EG_EVENT_EXPIRE, .reason = EG_REASON_EXPIRED};
	o = render(&e);
	assert_string_equal(text_of(o, "type"), "expire");
	assert_null(json_object_get(o, "direction"));
	json_decref(o);
	e = (struct eg_event){.type = EG_EVENT_KILL, .reason = EG_REASON_CAP_INGRESS, .dir = EG_DIR_INGRESS};
	o = render(&e);
	assert_string_equal(text_of(o, "type"), "kill");
	assert_string_equal(text_of(o, "layer"), "auto");
	json_decref(o);
}

static void numbers_out_of_the_enums(void **state)
{
	struct eg_event e;
	json_t *o;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	json_decref(render(&e));
	e = sample_deny();
	e.reason = EG_REASONS_MAX - 1;
	e.hook = 99;
	e.proto = 132;
	o = render(&e);
	assert_string_equal(text_of(o, "reason"), "unknown_63");
	assert_string_equal(text_of(o, "hook"), "unknown_99");
	assert_string_equal(text_of(o, "proto"), "132");
	json_decref(o);
}

/* ---- Names --------------------------------------------------------------------------- */

/* As the tables hold it. */
static void put_rev(char *to, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		to[i] = name[len - 1 - i];
}

static void flow_with_names(void **state)
{
	struct eg_event_named n = {.e = sample_flow(EG_EVENT_FLOW_START)};
	json_t *o;

	(void)state;
	o = render_named(&n.e, &n);
	assert_null(json_object_get(o, "name"));
	assert_null(json_object_get(o, "sni"));
	assert_null(json_object_get(o, "verified"));
	json_decref(o);
	put_rev(n.name, "sheets.googleapis.com");
	n.e.flags = EG_FLOW_NAMED | EG_FLOW_VERIFIED; /* no hello yet: nothing was verified that could be shown */
	o = render_named(&n.e, &n);
	assert_string_equal(text_of(o, "name"), "sheets.googleapis.com");
	assert_null(json_object_get(o, "verified"));
	json_decref(o);
	put_rev(n.sni, "docs.googleapis.com");
	n.e.flags = EG_FLOW_NAMED;
	o = render_named(&n.e, &n);
	assert_string_equal(text_of(o, "sni"), "docs.googleapis.com");
	assert_true(json_is_false(json_object_get(o, "verified")));
	json_decref(o);
	n.e.flags |= EG_FLOW_VERIFIED;
	o = render_named(&n.e, &n);
	assert_true(json_is_true(json_object_get(o, "verified")));
	json_decref(o);
	n.e.type = EG_EVENT_DENY;
	n.e.reason = EG_REASON_SNI_DENIED;
	n.e.flags = EG_FLOW_NAMED;
	o = render_named(&n.e, &n);
	assert_string_equal(text_of(o, "reason"), "sni_denied");
	assert_string_equal(text_of(o, "name"), "sheets.googleapis.com");
	assert_string_equal(text_of(o, "sni"), "docs.googleapis.com");
	assert_true(json_is_false(json_object_get(o, "verified")));
	json_decref(o);
}

/* An answer of the resolver 10.20.0.15 to 10.0.0.5. */
static struct eg_event_named sample_dns(uint8_t reason, enum eg_dir dir)
{
	struct eg_event_named n = {.e = sample_deny()};

	n.e.type = EG_EVENT_DNS;
	n.e.reason = reason;
	n.e.dir = (uint8_t)dir;
	n.e.hook = EG_HOOK_PACKET;
	n.e.rule = EG_RULE_DNS;
	n.e.proto = IPPROTO_UDP;
	n.e.dst_port = 53;
	put_rev(n.name, "a.example.com");
	n.dns.qtype = 1;
	return n;
}

static void dns_learned(void **state)
{
	struct eg_event_named n = sample_dns(EG_REASON_NONE, EG_DIR_INGRESS);

	(void)state;
	n.e.seen = (struct eg_volume){0};
	n.dns.ttl_s = 300;
	n.dns.addr_count = 2;
	n.dns.addr[0] = n.e.dst;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", n.dns.addr[1].b), 1);
	same(render_named(&n.e, &n),
	     "{\"schema\":1,\"ts\":\"2026-01-31T00:00:00.000000000Z\",\"type\":\"dns\","
	     "\"event_id\":\"host-1.example-17-5\","
	     "\"host\":\"host-1.example\",\"app\":\"a-1\",\"owner\":\"o\",\"seq\":7,"
	     "\"pid\":4321,\"uid\":1000,"
	     "\"comm\":\"curl\",\"direction\":\"ingress\",\"proto\":\"udp\",\"dst\":\"10.20.0.15\",\"dst_port\":53,"
	     "\"action\":\"learned\",\"name\":\"a.example.com\",\"qtype\":\"A\","
	     "\"addresses\":[\"10.20.0.15\",\"2001:db8::1\"],\"address_count\":2,\"ttl\":300,\"verdict\":\"allow\"}");
}

static void dns_actions(void **state)
{
	static const struct {
		uint8_t reason;
		enum eg_dir dir;
		const char *action, *wire;
	} cases[] = {
		{EG_REASON_DNS_NAME, EG_DIR_EGRESS, "refused", "dns_name"},
		{EG_REASON_DNS_TYPE, EG_DIR_EGRESS, "refused", "dns_type"},
		{EG_REASON_DNS_RATE, EG_DIR_EGRESS, "refused", "dns_rate"},
		{EG_REASON_DNS_MALFORMED, EG_DIR_EGRESS, "refused", "dns_malformed"},
		{EG_REASON_DNS_MALFORMED, EG_DIR_INGRESS, "dropped", "dns_malformed"},
		{EG_REASON_DNS_PRIVATE, EG_DIR_INGRESS, "dropped", "dns_private"},
		{EG_REASON_DNS_SHORTAGE, EG_DIR_INGRESS, "dropped", "dns_shortage"},
		{EG_REASON_DNS_UNASKED, EG_DIR_INGRESS, "forged", "dns_unasked"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_event_named n = sample_dns(cases[i].reason, cases[i].dir);
		json_t *o = render_named(&n.e, &n);

		assert_string_equal(text_of(o, "type"), "dns");
		assert_string_equal(text_of(o, "action"), cases[i].action);
		assert_string_equal(text_of(o, "reason"), cases[i].wire);
		assert_string_equal(text_of(o, "verdict"), "deny");
		assert_string_equal(text_of(o, "name"), "a.example.com");
		assert_int_equal(number_of(o, "bytes_out"), 60);
		assert_null(json_object_get(o, "addresses"));
		assert_null(json_object_get(o, "ttl"));
		json_decref(o);
		n.e.audited = 1;
		o = render(&n.e); /* the shorter record: what could not be parsed has no name */
		assert_string_equal(text_of(o, "action"), cases[i].action);
		assert_string_equal(text_of(o, "verdict"), "audit");
		assert_null(json_object_get(o, "name"));
		assert_null(json_object_get(o, "qtype"));
		json_decref(o);
	}
}

static void dns_types(void **state)
{
	static const struct {
		uint16_t number;
		const char *text;
	} cases[] = {
		{1, "A"}, {28, "AAAA"}, {65, "HTTPS"}, {64, "SVCB"}, {257, "CAA"}, {123, "TYPE123"},
		{65535, "TYPE65535"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_event_named n = sample_dns(EG_REASON_DNS_TYPE, EG_DIR_EGRESS);
		json_t *o;

		n.dns.qtype = cases[i].number;
		o = render_named(&n.e, &n);
		assert_string_equal(text_of(o, "qtype"), cases[i].text);
		json_decref(o);
	}
}

/* More addresses than the record holds, and names of bytes that no name has, up to their very end. */
static void hostile_names(void **state)
{
	struct eg_event_named n = sample_dns(EG_REASON_NONE, EG_DIR_INGRESS);
	json_t *o;

	(void)state;
	n.dns.addr_count = UINT16_MAX;
	memset(n.dns.addr, 0xff, sizeof(n.dns.addr));
	memset(n.name, 'x', sizeof(n.name));
	o = render_named(&n.e, &n);
	assert_int_equal(json_array_size(json_object_get(o, "addresses")), EG_EVENT_ADDRS);
	assert_int_equal(number_of(o, "address_count"), UINT16_MAX);
	assert_int_equal(strlen(text_of(o, "name")), EG_NAME_SIZE);
	json_decref(o);
	n = (struct eg_event_named){.e = sample_flow(EG_EVENT_FLOW_END)};
	memset(n.name, 0xff, sizeof(n.name));
	memset(n.sni, '"', sizeof(n.sni));
	n.pad = 0xffffffff;
	o = render_named(&n.e, &n);
	assert_int_equal(strlen(text_of(o, "name")), EG_NAME_SIZE);
	assert_int_equal(strspn(text_of(o, "name"), "?"), EG_NAME_SIZE);
	assert_int_equal(strspn(text_of(o, "sni"), "?"), sizeof(n.sni));
	json_decref(o);
	n = (struct eg_event_named){.e = sample_flow(EG_EVENT_FLOW_END), .name = "z\n\033\\\"\x7f\xc3\xa9 \1a"};
	o = render_named(&n.e, &n);
	assert_string_equal(text_of(o, "name"), "a?????????z");
	json_decref(o);
	memset(&n, 0xff, sizeof(n));
	for (unsigned type = 0; type < 256; type++) {
		n.e.type = (uint8_t)type;
		json_decref(render_named(&n.e, &n));
	}
}

static void names_both_ways(void **state)
{
	static const char *const good[] = {"a", "sheets.googleapis.com", "_x._tcp.a-b.c9", "1.2.3.4a"};
	static const char *const bad[] = {
		"", ".", "a..b", ".a", "a b", "*.a", "10.0.0.1", "7", "a.7", "fd00::1", "\xc3\xa9.de",
	};
	char rev[EG_NAME_SIZE], text[EG_NAME_SIZE + 1], name[EG_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(eg_revname_from_text(good[i], strlen(good[i]), rev), 0);
		assert_string_equal(eg_revname_text(rev, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eg_revname_from_text(bad[i], strlen(bad[i]), rev), -EINVAL);
	assert_int_equal(eg_revname_from_text("A.Example.COM.", 14, rev), 0);
	assert_string_equal(rev, "moc.elpmaxe.a");
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 50 == 49 ? '.' : 'x';
	assert_int_equal(eg_revname_from_text(name, EG_NAME_MAX, rev), 0);
	assert_int_equal(strlen(rev), EG_NAME_MAX);
	assert_int_equal(eg_revname_from_text(name, EG_NAME_MAX + 1, rev), -EINVAL);
	memset(name, 'x', 64);
	assert_int_equal(eg_revname_from_text(name, 63, rev), 0);
	assert_int_equal(eg_revname_from_text(name, 64, rev), -EINVAL);
}

static void any_bytes_in_strings(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"\"\\/\b\f\n\r\t\x01\x7f", "\"\\/\b\f\n\r\t\x01\x7f"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x9c", "\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x9c"},
		{"a\xff" "b", "a\xef\xbf\xbd" "b"},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* too large */
		{"cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static char buf[EG_EVENT_LINE_MAX];
		struct eg_event_meta meta = {.labels_json = "{\"k\":\"v\"}"};
		char *end = buf;
		json_t *o;

		strcpy(meta.owner, cases[i].in);
		*end++ = '{';
		end = eg_out_lit(end, "\"x\":1");
		end = eg_event_meta_json(end, &meta);
		*end++ = '}';
		o = parse(buf, end);
		assert_string_equal(text_of(o, "owner"), cases[i].out);
		assert_string_equal(text_of(json_object_get(o, "labels"), "k"), "v");
		assert_null(json_object_get(o, "app"));
		assert_null(json_object_get(o, "cgroup"));
		json_decref(o);
	}
}

static void meta_stays_within_its_bound(void **state)
{
	char *buf = malloc(EG_EVENT_META_MAX);
	struct eg_event_meta meta;

	(void)state;
	memset(&meta, 0x01, sizeof(meta)); /* six bytes each, and no NUL anywhere */
	memset(meta.labels_json, ' ', sizeof(meta.labels_json));
	assert_true((size_t)(eg_event_meta_json(buf, &meta) - buf) <= EG_EVENT_META_MAX);
	free(buf);
}

static void long_comm_without_nul(void **state)
{
	struct eg_event e = sample_flow(EG_EVENT_FLOW_END);
	json_t *o;

	(void)state;
	memset(e.comm, 'x', sizeof(e.comm));
	o = render(&e);
	assert_string_equal(text_of(o, "comm"), "xxxxxxxxxxxxxxxx");
	json_decref(o);
}

static void hosts(void **state)
{
	(void)state;
	eg_event_stamp_init(&stamp, "a\"b c\n\xff-._9");
	assert_string_equal(stamp.host, "a_b_c__-._9");
	eg_event_stamp_init(&stamp, "");
	assert_string_equal(stamp.host, "localhost");
	eg_event_stamp_init(&stamp, NULL);
	assert_string_equal(stamp.host, "localhost");
}

static void loss(void **state)
{
	struct eg_loss sum = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	static char buf[EG_EVENT_LINE_MAX];

	(void)state;
	same(parse(buf, eg_event_json_loss(buf, &stamp, UTC_0, "lost", "ring_full", &sum, meta_text,
					   sizeof(meta_text) - 1)),
	     "{\"schema\":1,\"ts\":\"2026-01-31T00:00:00.000000000Z\",\"type\":\"lost\",\"event_id\":\"host-1.example-17-5\","
	     "\"host\":\"host-1.example\",\"app\":\"a-1\",\"owner\":\"o\",\"cause\":\"ring_full\",\"events\":1,"
	     "\"flow_events\":2,\"deny_events\":3,\"flow_ends\":4,\"bytes_out\":5,\"bytes_in\":6,\"packets_out\":7,"
	     "\"packets_in\":8,\"denied_bytes\":9}");
}

static void head_is_read_back(void **state)
{
	static char buf[EG_EVENT_LINE_MAX];
	struct eg_event e = sample_deny();
	char *end = eg_event_json(buf, &stamp, &e, NULL, meta_text, sizeof(meta_text) - 1);
	struct eg_event_head head;

	(void)state;
	assert_true(eg_event_head_parse(buf, (size_t)(end - buf), &head));
	assert_memory_equal(head.ts, "2026-01-31T00:00:00.000000000Z", EG_OUT_TS_MAX);
	assert_int_equal(head.type_len, 4);
	assert_memory_equal(head.type, "deny", 4);
	assert_int_equal(head.epoch, 17);
	assert_int_equal(head.n, 5);
	assert_int_equal(head.app_len, 3);
	assert_memory_equal(head.app, "a-1", 3);
	/* Cut anywhere before the app: no line of ours, or one without an app, never beyond the end. */
	for (size_t len = 0; len < (size_t)(end - buf); len++) {
		char *cut = malloc(len);

		memcpy(cut, buf, len);
		if (eg_event_head_parse(cut, len, &head) && head.app)
			assert_memory_equal(head.app, "a-1", 3);
		free(cut);
	}
	assert_false(eg_event_head_parse("{\"schema\":1}\n", 13, &head));
}

static void types(void **state)
{
	(void)state;
	assert_true(eg_event_type_known("flow", 4));
	assert_true(eg_event_type_known("suppressed", 10));
	assert_true(eg_event_type_known("dns", 3));
	assert_true(eg_event_type_known("restore", 7));
	assert_false(eg_event_type_known("flo", 3));
	assert_false(eg_event_type_known("", 0));
	assert_false(eg_event_type_known("unknown", 7));
}

static void text_of_numbers_and_times(void **state)
{
	static const uint64_t values[] = {0, 9, 10, 99, 100, 12345, UINT32_MAX, UINT64_MAX};
	struct eg_out_clock clock = {0};
	char buf[64], want[64];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		*eg_out_u64(buf, values[i]) = '\0';
		snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
		assert_string_equal(buf, want);
	}
	*eg_out_ts(buf, &clock, 0) = '\0';
	assert_string_equal(buf, "1970-01-01T00:00:00.000000000Z");
	*eg_out_ts(buf, &clock, 1709251199999999999ull) = '\0'; /* a leap day */
	assert_string_equal(buf, "2024-02-29T23:59:59.999999999Z");
	*eg_out_ts(buf, &clock, UINT64_MAX) = '\0';
	assert_string_equal(buf, "2554-07-21T23:34:33.709551615Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(flow_end, setup),
		cmocka_unit_test_setup(audited_flow_of_a_killed_task, setup),
		cmocka_unit_test_setup(denied_connect, setup),
		cmocka_unit_test_setup(icmp_has_type_and_code, setup),
		cmocka_unit_test_setup(cap, setup),
		cmocka_unit_test_setup(rate_expire_kill, setup),
		cmocka_unit_test_setup(numbers_out_of_the_enums, setup),
		cmocka_unit_test_setup(flow_with_names, setup),
		cmocka_unit_test_setup(dns_learned, setup),
		cmocka_unit_test_setup(dns_actions, setup),
		cmocka_unit_test_setup(dns_types, setup),
		cmocka_unit_test_setup(hostile_names, setup),
		cmocka_unit_test(names_both_ways),
		cmocka_unit_test_setup(any_bytes_in_strings, setup),
		cmocka_unit_test_setup(meta_stays_within_its_bound, setup),
		cmocka_unit_test_setup(long_comm_without_nul, setup),
		cmocka_unit_test_setup(hosts, setup),
		cmocka_unit_test_setup(loss, setup),
		cmocka_unit_test_setup(head_is_read_back, setup),
		cmocka_unit_test(types),
		cmocka_unit_test(text_of_numbers_and_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Each packet shape through the guard's programs: verdict, counter and event. */
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define OUT  "eg_guard_out"
#define IN   "eg_guard_in"
#define PASS (-1)
#define DROP 2
#define APP  "10.1.0.2"
#define SRV  "10.1.0.3"
#define BAD  "10.1.0.4"
#define APP6 "fd00:1::2"
#define SRV6 "fd00:1::3"
#define BAD6 "fd00:1::4"
#define SYN  0x02
#define ACK  0x10

static struct fx *begin(void **state)
{
	struct fx *fx = fx_reset(state);

	fx_guard(fx, FX_GEN);
	return fx;
}

static void expect(struct fx *fx, const char *program, struct fx_packet packet, int verdict)
{
	assert_int_equal(fx_run(fx, program, &packet), verdict);
}

/* Which end of a packet begins at its IP header; later ones have no ports. */
static struct fx_packet fragment(struct fx_packet packet, unsigned offset, bool more)
{
	unsigned units = offset / 8;

	packet.data[14 + 6] = (unsigned char)((more ? 0x20 : 0) | units >> 8);
	packet.data[14 + 7] = (unsigned char)units;
	return packet;
}

/* Puts a fragment header in front of what follows the IPv6 header. */
static struct fx_packet fragment6(struct fx_packet packet, unsigned offset, bool more)
{
	unsigned char *at = packet.data + 14 + 40;

	memmove(at + 8, at, packet.len - 14 - 40);
	memset(at, 0, 8);
	at[0] = packet.data[14 + 6];
	at[2] = (unsigned char)(offset >> 8);
	at[3] = (unsigned char)(offset | more);
	packet.data[14 + 6] = 44;
	packet.len += 8;
	return packet;
}

/* An ICMP error from src to dst about a packet. */
static struct fx_packet about(const char *src, const char *dst, uint8_t type, const struct fx_packet *quoted)
{
	struct fx_packet packet = fx_icmp(src, dst, type);

	packet.len -= 8;
	memcpy(packet.data + packet.len, quoted->data + 14, 48);
	packet.len += 48;
	return packet;
}

static void passes_what_a_rule_names_and_its_answers(void **state)
{
	struct fx *fx = begin(state);
	struct eg_event e[4];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	fx_rule(fx, EG_DIR_EGRESS, SRV6, 128, IPPROTO_UDP, 53, 53, 1);
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, SYN, 0), PASS);
	expect(fx, IN, fx_tcp(SRV, 443, APP, 4000, SYN | ACK, 0), PASS);
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, ACK, 100), PASS);
	expect(fx, OUT, fx_udp(APP6, 4000, SRV6, 53, 100), PASS);
	expect(fx, IN, fx_udp(SRV6, 53, APP6, 4000, 100), PASS);
	assert_int_equal(fx_events(fx, e, 4), 0);
	assert_int_equal(fx_counters(fx).bytes_out, 0); /* the hook counts */
	assert_int_equal(fx_counters(fx).flows, 0);
}

static void denies_what_leaves_for_elsewhere(void **state)
{
	struct fx *fx = begin(state);
	struct eg_event e[8];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	expect(fx, OUT, fx_tcp(APP, 4000, BAD, 443, SYN, 0), DROP);
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 444, SYN, 0), DROP);
	expect(fx, OUT, fx_udp(APP, 4000, SRV, 443, 10), DROP);
	expect(fx, OUT, fx_tcp(APP6, 4000, BAD6, 443, SYN, 0), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 4);
	assert_int_equal(fx_events(fx, e, 8), 4);
	assert_int_equal(e[0].type, EG_EVENT_DENY);
	assert_int_equal(e[0].hook, EG_HOOK_GUARD);
	assert_int_equal(e[0].reason, EG_REASON_NETNS_GUARD);
	assert_int_equal(e[0].dir, EG_DIR_EGRESS);
	assert_int_equal(e[0].dst_port, 443);
	assert_int_equal(e[0].seen.bytes_out, 40); /* without the Ethernet header */
	assert_int_equal(e[0].uid, fx->uid);
}

static void denies_what_comes_from_elsewhere(void **state)
{
	struct fx *fx = begin(state);
	struct eg_event e[8];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	expect(fx, IN, fx_tcp(BAD, 443, APP, 4000, ACK, 10), DROP);
	expect(fx, IN, fx_udp(BAD6, 443, APP6, 4000, 10), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_INGRESS, EG_REASON_NO_INGRESS_RULE), 2);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 0);
	assert_int_equal(fx_events(fx, e, 8), 2);
	assert_int_equal(e[0].hook, EG_HOOK_GUARD);
	assert_int_equal(e[0].dir, EG_DIR_INGRESS);
}

static void services_answer_those_they_admit(void **state)
{
	struct fx *fx = begin(state);

	fx_rule(fx, EG_DIR_INGRESS, SRV, 32, IPPROTO_TCP, 8080, 8080, 0);
	expect(fx, IN, fx_tcp(SRV, 5000, APP, 8080, SYN, 0), PASS);
	expect(fx, OUT, fx_tcp(APP, 8080, SRV, 5000, SYN | ACK, 0), PASS);
	expect(fx, OUT, fx_tcp(APP, 8080, SRV, 5000, ACK, 100), PASS);
	expect(fx, IN, fx_tcp(SRV, 5000, APP, 8081, SYN, 0), DROP);
	expect(fx, OUT, fx_tcp(APP, 8080, BAD, 5000, ACK, 0), DROP);
}

static void a_syn_is_no_answer(void **state)
{
	struct fx *fx = begin(state);

	fx_rule(fx, EG_DIR_INGRESS, SRV, 32, IPPROTO_TCP, 8080, 8080, 0);
	fx_rule(fx, EG_DIR_EGRESS, BAD, 32, IPPROTO_TCP, 443, 443, 0);
	expect(fx, OUT, fx_tcp(APP, 8080, SRV, 22, SYN, 0), DROP);
	expect(fx, IN, fx_tcp(BAD, 443, APP, 4000, SYN, 0), DROP);
	expect(fx, IN, fx_tcp(BAD, 443, APP, 4000, ACK, 0), PASS);
}

static void icmp_by_rule_and_its_answers(void **state)
{
	struct fx *fx = begin(state);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_ICMP, 8, 8, 0);
	fx_rule(fx, EG_DIR_EGRESS, SRV6, 128, IPPROTO_ICMPV6, 128, 128, 0);
	expect(fx, OUT, fx_icmp(APP, SRV, 8), PASS);
	expect(fx, IN, fx_icmp(SRV, APP, 0), PASS);
	expect(fx, OUT, fx_icmp(APP6, SRV6, 128), PASS);
	expect(fx, IN, fx_icmp(SRV6, APP6, 129), PASS);
	expect(fx, OUT, fx_icmp(APP, SRV, 0), DROP);
	expect(fx, IN, fx_icmp(SRV, APP, 8), DROP);
	expect(fx, OUT, fx_icmp(APP, BAD, 8), DROP);
	expect(fx, IN, fx_icmp(BAD6, APP6, 129), DROP);
}

static void errors_only_about_what_is_allowed(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet sent = fx_tcp(APP, 4000, SRV, 443, ACK, 30), got = fx_tcp(SRV, 443, APP, 4000, ACK, 30);
	struct fx_packet bad = fx_tcp(APP, 4000, BAD, 443, ACK, 30), from_bad = fx_udp(BAD, 443, APP, 4000, 30);
	struct fx_packet sent6 = fx_udp(APP6, 4000, SRV6, 443, 30), bad6 = fx_udp(APP6, 4000, BAD6, 443, 30);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	fx_rule(fx, EG_DIR_EGRESS, SRV6, 128, IPPROTO_UDP, 443, 443, 0);
	expect(fx, IN, about("10.1.0.1", APP, 3, &sent), PASS); /* a router's */
	expect(fx, IN, about("10.1.0.1", APP, 3, &bad), DROP);
	expect(fx, IN, about("10.1.0.1", "10.1.0.9", 3, &sent), DROP);
	expect(fx, IN, about("fd00:1::1", APP6, 2, &sent6), PASS);
	expect(fx, IN, about("fd00:1::1", APP6, 2, &bad6), DROP);
	expect(fx, OUT, about(APP, SRV, 3, &got), PASS);
	expect(fx, OUT, about(APP, BAD, 3, &got), DROP); /* what it quotes didn't come from there */
	expect(fx, OUT, about(APP, BAD, 3, &from_bad), DROP);
}

static void neighbours_are_found(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet arp = {.len = 60}, solicit = fx_icmp(APP6, "ff02::1", 135), far = solicit;
	struct fx_packet report = fx_icmp(APP6, "ff02::16", 143), igmp = fx_udp(APP, 0, "224.0.0.22", 0, 8), away = igmp;

	arp.data[12] = 0x08;
	arp.data[13] = 0x06;
	solicit.data[14 + 7] = 255;
	report.data[14 + 7] = 1;
	igmp.data[14 + 8] = away.data[14 + 8] = 1;
	igmp.data[14 + 9] = away.data[14 + 9] = IPPROTO_IGMP;
	away.data[14 + 16] = 10; /* to a host */
	expect(fx, OUT, arp, PASS);
	expect(fx, IN, arp, PASS);
	expect(fx, OUT, solicit, PASS);
	expect(fx, IN, solicit, PASS);
	expect(fx, OUT, report, PASS);
	expect(fx, OUT, igmp, PASS);
	expect(fx, OUT, away, DROP);
	expect(fx, OUT, far, DROP); /* hop limit 64: from beyond the link */
	eg_kern_app(fx->kern, FX_SLOT)->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_LOCAL);
	expect(fx, OUT, arp, DROP);
	expect(fx, OUT, solicit, DROP);
}

static void what_is_not_ip_stays(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet vlan = fx_udp(APP, 4000, SRV, 53, 10), mpls = vlan, ipip = vlan, cut = vlan;
	struct fx_packet routed = fx_udp(APP6, 4000, SRV6, 53, 10);

	fx_rule(fx, EG_DIR_EGRESS, "0.0.0.0", 0, IPPROTO_UDP, 0, 65535, 0);
	fx_rule(fx, EG_DIR_EGRESS, "::", 0, IPPROTO_UDP, 0, 65535, 0);
	expect(fx, OUT, cut, PASS);
	vlan.data[12] = 0x81;
	vlan.data[13] = 0x00;
	mpls.data[12] = 0x88;
	mpls.data[13] = 0x47;
	ipip.data[14 + 9] = 4;
	cut.data[14] = 0x4f; /* claims options beyond its end */
	routed.data[14 + 6] = 43;
	expect(fx, OUT, vlan, DROP);
	expect(fx, OUT, mpls, DROP);
	expect(fx, OUT, ipip, DROP);
	expect(fx, OUT, cut, DROP);
	expect(fx, OUT, routed, DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 5);
}

static void loopback_is_never_on_a_wire(void **state)
{
	struct fx *fx = begin(state);

	fx_rule(fx, EG_DIR_EGRESS, "0.0.0.0", 0, IPPROTO_TCP, 0, 65535, 0);
	expect(fx, OUT, fx_tcp(APP, 4000, "127.0.0.1", 80, SYN, 0), DROP);
	expect(fx, OUT, fx_tcp("127.0.0.1", 4000, SRV, 80, SYN, 0), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 2);
}

static void fragments_go_where_a_rule_has_their_protocol(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet good = fx_udp(APP, 4000, SRV, 53, 1000), port = fx_udp(APP, 4000, SRV, 54, 1000);
	struct fx_packet bad = fx_udp(APP, 4000, BAD, 53, 1000), tcp = fx_tcp(APP, 4000, SRV, 53, ACK, 1000);
	struct fx_packet good6 = fx_udp(APP6, 4000, SRV6, 53, 1000), bad6 = fx_udp(APP6, 4000, BAD6, 53, 1000);
	struct fx_packet port6 = fx_udp(APP6, 4000, SRV6, 54, 1000), answer = fx_udp(SRV, 53, APP, 4000, 1000);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 53, 53, 0);
	fx_rule(fx, EG_DIR_EGRESS, SRV6, 128, IPPROTO_UDP, 53, 53, 0);
	expect(fx, OUT, fragment(good, 0, true), PASS);
	expect(fx, OUT, fragment(good, 1008, false), PASS);
	expect(fx, OUT, fragment(port, 0, true), DROP);
	expect(fx, OUT, fragment(tcp, 1008, false), DROP);
	expect(fx, OUT, fragment(bad, 0, true), DROP);
	expect(fx, OUT, fragment(bad, 1008, false), DROP);
	expect(fx, IN, fragment(answer, 0, true), PASS);
	expect(fx, IN, fragment(answer, 1008, false), PASS);
	expect(fx, OUT, fragment6(good6, 0, true), PASS);
	expect(fx, OUT, fragment6(good6, 1008, false), PASS);
	expect(fx, OUT, fragment6(port6, 0, true), DROP);
	expect(fx, OUT, fragment6(bad6, 0, true), DROP);
	expect(fx, OUT, fragment6(bad6, 1008, true), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 7);
}

/* A source route in a later fragment goes on to a host that nobody judged. */
static void a_source_route_is_refused(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet p = fx_udp(APP, 4000, SRV, 53, 100);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 0, 65535, 0);
	expect(fx, OUT, p, PASS);
	p.data[14] = 0x47;
	memcpy(p.data + 14 + 20, (unsigned char[]){131, 7, 4, 10, 1, 0, 4, 0}, 8);
	expect(fx, OUT, p, DROP);
	expect(fx, OUT, fragment(p, 1008, false), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 2);
}

static void standing_keeps_its_reason(void **state)
{
	struct fx *fx = begin(state);
	struct eg_app_ctl *ctl = &eg_kern_app(fx->kern, FX_SLOT)->ctl;
	struct eg_ruleset *ruleset = fx_ruleset(fx);
	struct eg_event e[4];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	ctl->kill = EG_KILL_WORD(FX_GEN, EG_HOLD_LOCAL);
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, ACK, 0), DROP);
	expect(fx, IN, fx_tcp(SRV, 443, APP, 4000, ACK, 0), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED), 1);
	assert_int_equal(fx_denied(fx, EG_DIR_INGRESS, EG_REASON_KILLED), 1);
	assert_int_equal(fx_events(fx, e, 4), 2);
	assert_int_equal(e[0].hook, EG_HOOK_GUARD);
	ctl->kill = 0;
	ctl->flags = EG_APP_NETNS_ADMIN;
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, ACK, 0), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_ADMIN), 1);
	ctl->flags = 0;
	ruleset->expires_utc_ns = 1;
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, ACK, 0), DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_EXPIRED), 1);
}

static void audit_lets_through_and_tells_now_and_then(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet p = fx_udp(APP, 4000, BAD, 53, 10);
	struct eg_event e[8];

	fx_ruleset(fx)->mode = EG_MODE_AUDIT;
	p.repeat = 20;
	expect(fx, OUT, p, PASS);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 0);
	assert_int_equal(fx_audited(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 20);
	assert_int_equal(fx_events(fx, e, 8), 1);
	assert_int_equal(e[0].audited, 1);
	assert_int_equal(e[0].hook, EG_HOOK_GUARD);
}

static void copies_go_against_a_meter_of_its_own(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet p = fx_udp(APP, 4000, SRV, 53, 72); /* 100 bytes */
	struct eg_ruleset *ruleset = fx_ruleset(fx);
	struct eg_event e[64];
	unsigned n;

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 53, 53, 0);
	ruleset->meters[0] = (struct eg_meter_conf){
		.limit = 1000, .per_ns = 86400ull * 1000000000ull, .rule = EG_RULE_NONE, .kind = EG_METER_BYTES,
		.action = EG_CAP_KILL,
	};
	ruleset->meters_out = 1;
	p.repeat = 7;
	assert_int_equal(fx_run(fx, "eg_egress", &p), 1);
	fx_events(fx, e, 64);
	p.repeat = 14; /* twice as many: beyond the cap, of which the hook knows nothing */
	expect(fx, OUT, p, DROP);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NETNS_GUARD), 4);
	assert_int_equal(eg_kern_app(fx->kern, FX_SLOT)->state.auto_kill, 0);
	n = fx_events(fx, e, 64);
	assert_int_equal(n, 4);
	for (unsigned i = 0; i < n; i++) { /* nothing is told of the cap itself */
		assert_int_equal(e[i].type, EG_EVENT_DENY);
		assert_int_equal(e[i].hook, EG_HOOK_GUARD);
	}
	assert_int_equal(fx_counters(fx).bytes_out, 700);
}

static void segments_count_with_their_headers(void **state)
{
	struct fx *fx = begin(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, ACK, 1000);
	struct eg_meter meter;
	uint32_t key = FX_SLOT * EG_METERS_PER_APP;

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	fx_ruleset(fx)->meters[0] = (struct eg_meter_conf){
		.limit = 10000, .per_ns = 86400ull * 1000000000ull, .rule = EG_RULE_NONE, .kind = EG_METER_BYTES,
	};
	fx_ruleset(fx)->meters_out = 1;
	p.gso_segs = 4;
	p.gso_size = 250;
	expect(fx, OUT, p, PASS);
	assert_int_equal(bpf_map_lookup_elem(eg_kern_map_fd(fx->kern, EG_MAP_GUARD_METERS), &key, &meter), 0);
	assert_int_equal(EG_METER_USED(meter.word), 1000 + 4 * 40);
	assert_int_equal(bpf_map_lookup_elem(eg_kern_map_fd(fx->kern, EG_MAP_METERS), &key, &meter), 0);
	assert_int_equal(meter.word, 0);
}

static void without_an_app_nothing_passes(void **state)
{
	struct fx *fx = begin(state);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	fx_guard(fx, FX_GEN + 1);
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, SYN, 0), DROP);
	fx_unguard(fx);
	expect(fx, OUT, fx_tcp(APP, 4000, SRV, 443, SYN, 0), DROP);
	expect(fx, IN, fx_tcp(SRV, 443, APP, 4000, ACK, 0), DROP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_what_a_rule_names_and_its_answers),
		cmocka_unit_test(denies_what_leaves_for_elsewhere),
		cmocka_unit_test(denies_what_comes_from_elsewhere),
		cmocka_unit_test(services_answer_those_they_admit),
		cmocka_unit_test(a_syn_is_no_answer),
		cmocka_unit_test(icmp_by_rule_and_its_answers),
		cmocka_unit_test(errors_only_about_what_is_allowed),
		cmocka_unit_test(neighbours_are_found),
		cmocka_unit_test(what_is_not_ip_stays),
		cmocka_unit_test(loopback_is_never_on_a_wire),
		cmocka_unit_test(fragments_go_where_a_rule_has_their_protocol),
		cmocka_unit_test(a_source_route_is_refused),
		cmocka_unit_test(standing_keeps_its_reason),
		cmocka_unit_test(audit_lets_through_and_tells_now_and_then),
		cmocka_unit_test(copies_go_against_a_meter_of_its_own),
		cmocka_unit_test(segments_count_with_their_headers),
		cmocka_unit_test(without_an_app_nothing_passes),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

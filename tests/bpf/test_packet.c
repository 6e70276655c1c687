// SPDX-License-Identifier: Apache-2.0
/* Each packet shape through the loaded packet programs: verdict, counter and event. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define OUT "eg_egress"
#define IN  "eg_ingress"
#define APP "10.1.0.2"
#define SRV "10.1.0.3"
#define APP6 "fd00:1::2"
#define SRV6 "fd00:1::3"
#define SYN 0x02
#define ACK 0x10

static void allows_what_a_rule_names(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);
	struct eg_event e[4];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 3);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_counters(fx).bytes_out, 40);
	assert_int_equal(fx_counters(fx).packets_out, 1);
	assert_int_equal(fx_counters(fx).flows, 1);
	assert_int_equal(fx_events(fx, e, 4), 1);
	assert_int_equal(e[0].type, EG_EVENT_FLOW_START);
	assert_int_equal(e[0].rule, 3);
	assert_int_equal(e[0].dst_port, 443);
	assert_int_equal(e[0].uid, fx->uid);
}

static void denies_what_no_rule_names(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, "10.1.0.4", 443, SYN, 0);
	struct eg_event e[4];

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE), 1);
	assert_int_equal(fx_counters(fx).bytes_out, 0);
	assert_int_equal(fx_events(fx, e, 4), 1);
	assert_int_equal(e[0].type, EG_EVENT_DENY);
	assert_int_equal(e[0].reason, EG_REASON_NO_RULE);
	assert_int_equal(e[0].seq, 1);
}

static void denies_another_port_and_protocol(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 444, SYN, 0);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 440, 443, 0);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	p = fx_udp(APP, 4000, SRV, 443, 10);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE_PORT), 2);
	p = fx_tcp(APP, 4000, SRV, 440, SYN, 0);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
}

static void ipv6_takes_the_same_path(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp(APP6, 4000, SRV6, 53, 100);

	fx_rule(fx, EG_DIR_EGRESS, "fd00:1::", 64, IPPROTO_UDP, 53, 53, 0);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_counters(fx).bytes_out, 148);
	p = fx_udp(APP6, 4000, "fd00:2::3", 53, 100);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE), 1);
}

static void icmp_echo_by_rule_only(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_icmp(APP, SRV, 8);

	assert_int_equal(fx_run(fx, OUT, &p), 0);
	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_ICMP, 8, 8, 0);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	p = fx_icmp(APP, SRV, 13);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE_PORT), 1);
}

static void denies_what_it_cannot_parse(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p;

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 0, 65535, 0);
	fx_rule(fx, EG_DIR_EGRESS, SRV6, 128, IPPROTO_TCP, 0, 65535, 0);
	p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);
	p.data[14] = 0x44; /* header of 16 bytes */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);
	p.len -= 1; /* TCP header cut */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);
	p.data[14 + 20 + 12] = 0x40; /* TCP header of 16 bytes */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_UNPARSABLE), 3);
	p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);
	p.data[14 + 9] = 132; /* SCTP */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_PROTOCOL), 1);
}

static void denies_fragments(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 0, 65535, 0);
	p.data[14 + 6] = 0x20; /* more fragments */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	p.data[14 + 6] = 0x00;
	p.data[14 + 7] = 0x01; /* offset 8 */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_FRAGMENT), 2);
	p.data[14 + 7] = 0;
	p.data[14 + 6] = 0x40; /* don't fragment */
	assert_int_equal(fx_run(fx, OUT, &p), 1);
}

/* Puts an extension header of 8 bytes between the IPv6 header and TCP. */
static struct fx_packet extended(uint8_t kind)
{
	struct fx_packet p = fx_tcp(APP6, 4000, SRV6, 443, SYN, 0);
	unsigned char *ip = p.data + 14;

	memmove(ip + 48, ip + 40, 20);
	memset(ip + 40, 0, 8);
	ip[40] = ip[6];
	ip[6] = kind;
	ip[5] = 28;
	p.len += 8;
	return p;
}

static void walks_ipv6_extension_headers(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p;

	fx_rule(fx, EG_DIR_EGRESS, SRV6, 128, IPPROTO_TCP, 443, 443, 0);
	p = extended(60); /* destination options */
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	p = extended(43); /* routing */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_EXT_HEADER), 1);
	p = extended(44); /* fragment */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_FRAGMENT), 1);
	p = extended(60);
	p.data[14 + 41] = 255; /* longer than we walk */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_EXT_HEADER), 2);
}

static void ip_options_move_the_ports(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	memmove(p.data + 14 + 24, p.data + 14 + 20, 20);
	memset(p.data + 14 + 20, 1, 4);
	p.data[14] = 0x46;
	p.len += 4;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	p.data[14 + 24 + 3] = 0xbc; /* port 444 where the header really ends */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE_PORT), 1);
}

static void standing_comes_before_rules(void **state)
{
	struct fx *fx = fx_reset(state);
	struct eg_app *app = eg_kern_app(fx->kern, FX_SLOT);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	app->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_LOCAL);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED), 1);
	app->ctl.kill = EG_KILL_WORD(FX_GEN + 1, EG_HOLD_LOCAL); /* another tenant's */
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	app->ctl.kill = 0;
	eg_kern_host(fx->kern)->kill_all = EG_HOLD_CONTROL;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED_ALL), 1);
	eg_kern_host(fx->kern)->kill_all = 0;
	app->ctl.flags = EG_APP_DELETED;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_POLICY_DELETED), 1);
	app->ctl.flags = 0;
	app->ctl.ruleset = 0;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_POLICY), 1);
	app->ctl.ruleset = (uint64_t)(fx->uid + 1) << 32; /* half a change */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_INTERNAL), 1);
}

/* It passes over the control plane's kill, until its end, and over no other. */
static void an_override_has_an_end(void **state)
{
	struct fx *fx = fx_reset(state);
	struct eg_app *app = eg_kern_app(fx->kern, FX_SLOT);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	app->ctl.override_until_boot_ns = ~0ull;
	app->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_CONTROL);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	app->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_CONTROL | EG_HOLD_LOCAL);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	app->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_AUTO);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	app->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_CONTROL);
	app->ctl.override_until_boot_ns = 1; /* long ago */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED), 3);
	app->ctl.override_until_boot_ns = 0;
}

static void expiry_is_latched(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);
	struct eg_event e[8];
	uint64_t later = fx_ruleset(fx)->expires_utc_ns;

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	fx_ruleset(fx)->expires_utc_ns = 1;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	fx_ruleset(fx)->expires_utc_ns = later; /* as if the clock went back */
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_EXPIRED), 2);
	assert_int_equal(fx_events(fx, e, 8), 3); /* expire once, deny twice */
	assert_int_equal(e[0].type, EG_EVENT_EXPIRE);
}

static void audit_lets_rules_through_but_no_kill(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, "10.1.0.9", 443, SYN, 0);

	fx_ruleset(fx)->mode = EG_MODE_AUDIT;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_audited(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE), 1);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE), 0);
	assert_int_equal(fx_counters(fx).packets_out, 1);
	eg_kern_app(fx->kern, FX_SLOT)->ctl.kill = EG_KILL_WORD(FX_GEN, EG_HOLD_AUTO);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	eg_kern_app(fx->kern, FX_SLOT)->ctl.relax_until_boot_ns = ~0ull;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED), 2);
}

static void unknown_cgroups_get_what_the_host_says(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, SYN, 0);

	fx_untag(fx);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	fx_unknown(fx, EG_UNKNOWN_DENY);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_denied_at(fx, EG_APP_UNKNOWN, EG_DIR_EGRESS, EG_REASON_UNKNOWN_CGROUP), 2);
	fx_unknown(fx, EG_UNKNOWN_PASS);
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	eg_kern_host(fx->kern)->flags = EG_HOST_EARLY;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
}

static void ingress_needs_a_rule(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp("10.1.0.9", 999, APP, 8080, 10);

	assert_int_equal(fx_run(fx, IN, &p), 0);
	assert_int_equal(fx_denied(fx, EG_DIR_INGRESS, EG_REASON_NO_INGRESS_RULE), 1);
	fx_rule(fx, EG_DIR_INGRESS, "10.1.0.9", 32, IPPROTO_UDP, 8080, 8081, 0);
	assert_int_equal(fx_run(fx, IN, &p), 1);
	assert_int_equal(fx_counters(fx).bytes_in, 38);
	p = fx_udp("10.1.0.9", 8080, APP, 999, 10); /* the ports the other way round */
	assert_int_equal(fx_run(fx, IN, &p), 0);
}

static void volume_counts_headers_of_each_segment(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_tcp(APP, 4000, SRV, 443, ACK, 1400);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	p.gso_segs = 3;
	p.gso_size = 500;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_counters(fx).bytes_out, 1400 + 3 * 40);
	assert_int_equal(fx_counters(fx).packets_out, 3);
}

static void cap_lets_not_one_byte_over(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp(APP, 4000, SRV, 53, 72); /* 100 bytes */
	struct eg_ruleset *ruleset = fx_ruleset(fx);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 53, 53, 0);
	ruleset->meters[0] = (struct eg_meter_conf){
		.limit = 1050, .per_ns = 86400ull * 1000000000ull, .rule = EG_RULE_NONE, .kind = EG_METER_BYTES,
	};
	ruleset->meters_out = 1;
	p.repeat = 50;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_counters(fx).bytes_out, 1000);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_CAP_EGRESS), 40);
	p = fx_udp(APP, 4000, SRV, 53, 22); /* 50 bytes: just what is left */
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(fx_counters(fx).bytes_out, 1050);
}

static void cap_tells_80_and_100_percent_once(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp(APP, 4000, SRV, 53, 72);
	struct eg_ruleset *ruleset = fx_ruleset(fx);
	struct eg_event e[64];
	unsigned caps = 0, n;

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 53, 53, 0);
	ruleset->meters[2] = (struct eg_meter_conf){
		.limit = 1000, .per_ns = 86400ull * 1000000000ull, .rule = EG_RULE_NONE, .kind = EG_METER_BYTES,
		.action = EG_CAP_ALERT, .state = 2,
	};
	ruleset->meters_out = 3;
	p.repeat = 20;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
	assert_int_equal(fx_counters(fx).bytes_out, 2000);
	n = fx_events(fx, e, 64);
	for (unsigned i = 0; i < n; i++) {
		if (e[i].type != EG_EVENT_CAP)
			continue;
		assert_int_equal(e[i].percent, caps ? 100 : 80);
		caps++;
	}
	assert_int_equal(caps, 2);
}

static void cap_kill_is_latched(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp(APP, 4000, SRV, 53, 72);
	struct eg_ruleset *ruleset = fx_ruleset(fx);
	struct eg_app *app = eg_kern_app(fx->kern, FX_SLOT);

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_UDP, 53, 53, 0);
	ruleset->meters[0] = (struct eg_meter_conf){
		.limit = 150, .per_ns = 86400ull * 1000000000ull, .rule = EG_RULE_NONE, .kind = EG_METER_BYTES,
		.action = EG_CAP_KILL,
	};
	ruleset->meters_out = 1;
	p.repeat = 5;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	assert_int_equal(app->state.auto_kill, 1);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_CAP_EGRESS), 1);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_KILLED), 3);
	ruleset->meters_out = 0;
	app->ctl.auto_cleared = 1;
	p.repeat = 1;
	assert_int_equal(fx_run(fx, OUT, &p), 1);
}

static void new_flows_are_counted_once_each(void **state)
{
	struct fx *fx = fx_reset(state);
	struct eg_ruleset *ruleset = fx_ruleset(fx);
	uint64_t each = 6ull * 1000000000ull; /* ten a minute */
	unsigned passed = 0;

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 0);
	ruleset->meters[1] = (struct eg_meter_conf){
		.limit = 10 * each, .per_ns = each, .rule = EG_RULE_NONE, .kind = EG_METER_FLOWS, .state = 1,
	};
	ruleset->meters_flows = 2;
	for (uint16_t port = 0; port < 15; port++) {
		struct fx_packet p = fx_tcp(APP, (uint16_t)(4000 + port), SRV, 443, SYN, 0);

		p.repeat = 3; /* a SYN and its retransmissions are one flow */
		passed += fx_run(fx, OUT, &p) == 1;
	}
	assert_int_equal(passed, 10);
	assert_int_equal(fx_counters(fx).flows, 10);
}

static void over_the_event_budget_is_counted(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet p = fx_udp(APP, 4000, "10.1.0.9", 53, 72);
	struct eg_losses losses;
	struct eg_event e[64];
	uint32_t slot = FX_SLOT;
	unsigned told;

	eg_kern_host(fx->kern)->event_ns = 1000000000ull * 3600;
	eg_kern_host(fx->kern)->event_burst_ns = 1000000000ull * 3600 * 5;
	p.repeat = 30;
	assert_int_equal(fx_run(fx, OUT, &p), 0);
	told = fx_events(fx, e, 64);
	assert_int_equal(told, 5);
	assert_int_equal(e[4].seq, 5);
	assert_int_equal(bpf_map_lookup_elem(eg_kern_map_fd(fx->kern, EG_MAP_LOSSES), &slot, &losses), 0);
	assert_int_equal(losses.by[EG_LOSS_SUPPRESSED].deny_events, 25);
	assert_int_equal(losses.by[EG_LOSS_SUPPRESSED].denied_bytes, 2500);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE), 30);
}

static void recent_denials_are_kept_apart(void **state)
{
	struct fx *fx = fx_reset(state);
	struct eg_denied_tab tab;
	uint32_t slot = FX_SLOT;
	struct fx_packet p = fx_udp(APP, 4000, "10.1.0.9", 53, 72);
	unsigned found = 0;

	p.repeat = 7;
	fx_run(fx, OUT, &p);
	p = fx_tcp(APP, 4000, "10.1.0.8", 22, SYN, 0);
	fx_run(fx, OUT, &p);
	assert_int_equal(bpf_map_lookup_elem(eg_kern_map_fd(fx->kern, EG_MAP_DENIED), &slot, &tab), 0);
	for (unsigned i = 0; i < EG_DENIED_SLOTS; i++) {
		if (tab.e[i].count == 7 && tab.e[i].port == 53 && tab.e[i].proto == IPPROTO_UDP)
			found |= 1;
		if (tab.e[i].count == 1 && tab.e[i].port == 22)
			found |= 2;
	}
	assert_int_equal(found, 3);
}

static void explain_asks_the_same_tables(void **state)
{
	struct fx *fx = fx_reset(state);
	struct eg_question q = {.app = FX_SLOT, .dir = EG_DIR_EGRESS, .proto = IPPROTO_TCP, .port = 443};

	fx_rule(fx, EG_DIR_EGRESS, SRV, 32, IPPROTO_TCP, 443, 443, 5);
	q.peer.b[10] = q.peer.b[11] = 0xff;
	inet_pton(AF_INET, SRV, &q.peer.b[12]);
	assert_int_equal(eg_kern_explain(fx->kern, &q), 0);
	assert_int_equal(q.reason, EG_REASON_NONE);
	assert_int_equal(q.rule, 5);
	q.port = 80;
	assert_int_equal(eg_kern_explain(fx->kern, &q), 0);
	assert_int_equal(q.reason, EG_REASON_NO_RULE_PORT);
	assert_int_equal(fx_denied(fx, EG_DIR_EGRESS, EG_REASON_NO_RULE_PORT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_what_a_rule_names),
		cmocka_unit_test(denies_what_no_rule_names),
		cmocka_unit_test(denies_another_port_and_protocol),
		cmocka_unit_test(ipv6_takes_the_same_path),
		cmocka_unit_test(icmp_echo_by_rule_only),
		cmocka_unit_test(denies_what_it_cannot_parse),
		cmocka_unit_test(denies_fragments),
		cmocka_unit_test(walks_ipv6_extension_headers),
		cmocka_unit_test(ip_options_move_the_ports),
		cmocka_unit_test(standing_comes_before_rules),
		cmocka_unit_test(an_override_has_an_end),
		cmocka_unit_test(expiry_is_latched),
		cmocka_unit_test(audit_lets_rules_through_but_no_kill),
		cmocka_unit_test(unknown_cgroups_get_what_the_host_says),
		cmocka_unit_test(ingress_needs_a_rule),
		cmocka_unit_test(volume_counts_headers_of_each_segment),
		cmocka_unit_test(cap_lets_not_one_byte_over),
		cmocka_unit_test(cap_tells_80_and_100_percent_once),
		cmocka_unit_test(cap_kill_is_latched),
		cmocka_unit_test(new_flows_are_counted_once_each),
		cmocka_unit_test(over_the_event_budget_is_counted),
		cmocka_unit_test(recent_denials_are_kept_apart),
		cmocka_unit_test(explain_asks_the_same_tables),
	};

	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

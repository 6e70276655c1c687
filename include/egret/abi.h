/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * egret/abi.h - everything that the kernel side and the user side both see
 *
 * Each word has one writer. "agent": egretd, and `egret kill --direct` for
 * eg_app_ctl.kill. "kernel": the BPF programs. Nobody does read-modify-write
 * on a word that the other side writes.
 *
 * Clocks. boot = CLOCK_BOOTTIME, utc = CLOCK_REALTIME; utc = boot +
 * eg_host_ctl.utc_offset_ns. All times are nanoseconds unless the name says
 * otherwise. Ports are in host byte order, addresses in network byte order,
 * IPv4 always as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
 *
 * Within one EG_ABI_MAJOR maps only grow at their end, so that programs N and
 * N-1 run on the same pinned maps. Padding is explicit and zero. Sizes and
 * offsets are asserted at the end, in both compilations, and a test compares
 * them with the BTF of the built object.
 */
#ifndef EGRET_ABI_H
#define EGRET_ABI_H

#include <linux/types.h>

#define EG_ABI_MAJOR 1
#define EG_ABI_MINOR 0

#define EG_APP_NAME_LEN   64 /* a name has at most 63 bytes, and NUL */
#define EG_COMM_LEN       16
#define EG_METERS_PER_APP 16 /* meters one ruleset can use */
#define EG_DENIED_SLOTS   32 /* distinct recent denials kept for each app */
#define EG_CGROUP_DEPTH   16 /* levels below the cgroup2 mount that are walked */
#define EG_APP_UNKNOWN    0u /* slot that accounts for cgroups of no app */

enum eg_reason {
#define EG_REASON(sym, text, why) EG_REASON_##sym,
#include <egret/reasons.def>
#undef EG_REASON
	EG_REASON_COUNT_
};

/* Reasons are counted in arrays of this size on pinned maps. */
#define EG_REASONS_MAX 64

enum eg_dir { EG_DIR_EGRESS, EG_DIR_INGRESS, EG_DIR_COUNT_ };

/* In programs that aren't loaded yet: in whose place the agent puts the kernel's functions of these names. */
#define EG_CALL_CAST_TO_KERN_CTX 2000000001
#define EG_CALL_RDONLY_CAST	 2000000002

/* IPv4 as ::ffff:a.b.c.d; network byte order. */
struct eg_addr {
	union {
		__u8 b[16];
		__u32 w_be[4];
		__u64 d_be[2];
	};
};

/* ---- Rules: lpm -> matches, under a fresh table id for each ruleset --------- */

/*
 * Key of map `rules` (LPM trie). prefixlen counts the 32 bits of table: 32 + 96 + n for an
 * IPv4 /n. A ruleset has a table for each direction, and one that says which rules take an
 * address that is not public from a DNS answer (`private`): there EG_SERVICE is a rule's number.
 */
enum eg_rule_table { EG_TABLE_EGRESS = EG_DIR_EGRESS, EG_TABLE_INGRESS = EG_DIR_INGRESS, EG_TABLE_PRIVATE, EG_TABLE_COUNT_ };
#define EG_TABLE_OF(uid, table) ((__u32)(uid) * 4u + (__u32)(table))
#define EG_UID_OF(table)        ((__u32)(table) / 4u)
#define EG_UID_MAX              (1u << 30)

struct eg_rule_key {
	__u32 prefixlen;
	__u32 table_be; /* big endian, so that it sorts before the address */
	struct eg_addr addr;
};

/* Value of map `rules`: matches[first .. first + count), sorted by lo, disjoint. */
struct eg_rule_span {
	__u32 first;
	__u32 count; /* 0 .. EG_MATCHES_MAX; 0: a hole in a shorter prefix */
};

/* ---- Names: map `names` (LPM trie), one entry for each name that a policy writes ----------- */

/*
 * A DNS name as the tables hold it: lower case, dots between labels, no dot at the end,
 * backwards, NUL behind it and to the end. So "*.example.com" is the prefix "moc.elpmaxe.", and a
 * name itself the prefix that ends with its NUL. RFC 1035 (2.3.4) allows 253 bytes; the trie of
 * the kernel has 256 for a key, so names of more than 251 bytes are refused everywhere.
 */
#define EG_NAME_MAX  251
#define EG_NAME_SIZE 252

struct eg_name_key {
	__u32 prefixlen; /* 32 bits of table, and 8 for each byte */
	__u32 table_be; /* ruleset uid */
	char text[EG_NAME_SIZE];
};

/* What the rules that name it allow; a longer name carries what shorter wildcards around it allow. */
struct eg_name_rules {
	struct eg_rule_span span; /* count 0: may be asked, is never granted (`ask_only`); or EG_NAME_REFUSED */
	struct eg_rule_span private_span; /* the same of the rules that have a `private` list */
};

#define EG_NAME_REFUSED 0xffffffffu /* as a count: as if it were not there, whatever wildcard is around it */

#define EG_MATCHES_MAX   4096 /* intervals one prefix can carry; bounds the search */
#define EG_MATCH_STEPS   13   /* ceil(log2(EG_MATCHES_MAX)) + 1 */

/* protocol and port (for ICMP: type) as one number that sorts */
#define EG_SERVICE(proto, port) ((__u32)(proto) << 16 | (__u32)(port))

/* Entry of map `matches` (mmapable array). Written whole before it is published. */
struct eg_match {
	__u32 lo; /* EG_SERVICE, inclusive */
	__u32 hi; /* EG_SERVICE, inclusive; same protocol as lo */
	__u16 rule; /* index of the first rule in file order that allows it */
	__u16 flags; /* EG_MATCH_* */
	__u8 meter_out; /* the rule's own meters, 1-based into eg_ruleset.meters; 0 none */
	__u8 meter_in;
	__u8 meter_flows;
	__u8 pad;
};

#define EG_MATCH_SNI     (1u << 0) /* "tls": "verify-sni" */
#define EG_MATCH_CONNECT (1u << 1) /* "http": "verify-connect" */
#define EG_MATCH_VERIFY  (EG_MATCH_SNI | EG_MATCH_CONNECT)

enum eg_meter_kind {
	EG_METER_BYTES, /* limit bytes in a window of per_ns */
	EG_METER_RATE, /* token bucket: ns_per_unit for a byte, burst_ns deep */
	EG_METER_FLOWS, /* token bucket: ns_per_unit for a new flow, burst_ns deep */
	EG_METER_DNS, /* the same for a DNS query */
};

enum eg_cap_action { EG_CAP_DROP, EG_CAP_ALERT, EG_CAP_KILL };

struct eg_meter_conf {
	__u64 limit; /* BYTES: bytes, 1 .. 2^47. RATE and FLOWS: burst, in ns of credit */
	__u64 per_ns; /* BYTES: window, in ns. RATE: ns for 2^16 bytes. FLOWS: ns for one flow */
	__u32 rule; /* index of the rule it belongs to, or EG_RULE_NONE for the app */
	__u8 kind; /* enum eg_meter_kind */
	__u8 action; /* enum eg_cap_action */
	__u8 state; /* index of its eg_meter within the app's block of EG_METERS_PER_APP */
	__u8 dir; /* enum eg_dir */
};

#define EG_RULE_NONE 0xffffu /* no rule of the policy: the state or a built-in decided */
#define EG_RULE_SELF 0xfffeu /* the app's own loopback ("self") */
#define EG_RULE_GUARDRAIL 0xfffcu /* what the host's configuration never allows: what it covers is refused */
#define EG_RULE_DNS  0xfffdu /* one of the policy's resolvers: what is asked and answered is looked at */

enum eg_mode { EG_MODE_ENFORCE, EG_MODE_AUDIT };

#define EG_RULESET_SELF     (1u << 0) /* the app's own loopback is allowed */
#define EG_RULESET_RAW      (1u << 1) /* raw sockets may be made; each packet is still judged */
#define EG_RULESET_LOG_FULL (1u << 2) /* "log": "full": no roll-up of allowed flows */
#define EG_RULESET_NAMES    (1u << 3) /* some rule has names: addresses may be granted */
#define EG_RULESET_ADMIN    (1u << 4) /* allow_netns_admin: answers count in any network namespace */

/* Record types that may be asked for (RFC 1035, 2782, 3596, 8659, 9460): bits of eg_ruleset.dns_types. */
#define EG_DNS_TYPES(X)                                                                                                \
	X(A, 1) X(NS, 2) X(CNAME, 5) X(SOA, 6) X(PTR, 12) X(MX, 15) X(TXT, 16) X(AAAA, 28) X(SRV, 33) X(SVCB, 64)      \
	X(HTTPS, 65) X(CAA, 257)
enum eg_dns_type_bit {
#define X(name, number) EG_DNS_BIT_##name,
	EG_DNS_TYPES(X)
#undef X
	EG_DNS_BIT_COUNT_
};

/*
 * Entry of map `rulesets` (mmapable array). Written whole before any app points at
 * it, unchanged afterwards, used again only after an RCU grace period.
 * meters_*: up to four meters for every flow of the app, one byte each, 1-based,
 * lowest byte first, 0 ends the list; the top byte stays 0 for the rule's own.
 */
struct eg_ruleset {
	__u32 uid; /* never 0, never used twice on one set of maps; below EG_UID_MAX */
	__u32 app; /* slot */
	__u64 expires_utc_ns;
	__u32 flags; /* EG_RULESET_* */
	__u32 mode; /* enum eg_mode */
	__u32 bind_first; /* matches[]: TCP ports that some ingress rule admits somebody to */
	__u32 bind_count;
	__u32 meters_out;
	__u32 meters_in;
	__u32 meters_flows;
	__u32 rule_count;
	__u32 match_first; /* the agent's: its stretch of matches[], and whose policy it is (SHA-256) */
	__u32 match_count;
	__u32 name_first; /* matches[]: every service that some rule with names allows */
	__u32 name_count;
	__u32 dns_types; /* 1 << enum eg_dns_type_bit */
	__u32 meters_dns; /* list: what a query takes from */
	__u8 policy_hash[32];
	__u64 reserved[3];
	struct eg_meter_conf meters[EG_METERS_PER_APP];
};

/* ---- Apps: map `apps` (mmapable array), indexed by slot ---------------------- */

#define EG_HOLD_LOCAL   (1u << 0)
#define EG_HOLD_CONTROL (1u << 1)
#define EG_HOLD_AUTO    (1u << 2) /* an auto hold that the agent has recorded */

#define EG_KILL_WORD(gen, layers) ((__u64)(gen) << 32 | (__u64)(layers))

#define EG_APP_DELETED     (1u << 0) /* policy deleted: deny all */
#define EG_APP_NETNS_ADMIN (1u << 1) /* admin of its netns without a guard: deny all */

struct eg_app_ctl { /* writer: agent. One cache line; each word is stored at once */
	__u64 ruleset; /* uid << 32 | index into rulesets; 0: no policy yet */
	__u64 kill; /* EG_KILL_WORD; in force while its gen is this slot's and layers != 0 */
	__u64 relax_until_boot_ns; /* break glass: audit until then */
	__u64 auto_cleared; /* auto kills up to this number are lifted */
	__u32 gen; /* generation of the slot; 0: free */
	__u32 flags; /* EG_APP_* */
	__u64 override_until_boot_ns; /* until then EG_HOLD_CONTROL in `kill` is passed over */
	__u64 pad[2];
};

struct eg_app_state { /* writer: kernel */
	__u64 auto_kill; /* number of kills by cap so far; in force while > auto_cleared */
	__u64 expired_uid; /* ruleset uid that was seen to expire: latched; the agent latches anew after a reboot */
	__u64 event_seq; /* number of the last event of this app */
	__u64 flow_seq; /* number of the last flow of this app */
	__u64 budget_ns; /* event budget: theoretical arrival time (boot) */
	__u64 noise_ns; /* the same for what outsiders cause */
	__u64 rate_event_ns; /* last `rate` event (boot) */
	__u32 sockets; /* live sockets made by the app */
	__u32 peers; /* live entries in map `peers` */
	__u32 grant_head; /* places taken in `grant_order` so far */
	__u32 grants; /* live entries in map `grants` */
	__u64 grants_evicted; /* of grants that were still good */
	__u64 dns_learned; /* answers that granted something */
	__u32 peers_untimed; /* of peers: those that have no timer */
	__u32 pad32;
	__u64 pad[4];
};

struct eg_app {
	struct eg_app_ctl ctl;
	struct eg_app_state state;
};

/* Map `app_names` (hash): what --direct and a restarted agent find an app by. */
struct eg_app_name {
	char name[EG_APP_NAME_LEN]; /* NUL padded */
};
struct eg_app_ref {
	__u32 app; /* slot */
	__u32 gen;
};

/* Map `meters` (array): index = slot * EG_METERS_PER_APP + eg_meter_conf.state. */
struct eg_meter { /* writer: kernel; the agent seeds it while no live ruleset uses it */
	__u64 word; /* BYTES: low 16 bits of window << 48 | bytes used. Else: arrival time (boot) */
	__u64 window; /* BYTES: number of the window, utc / per_ns; never decreases */
	__u64 window_end_utc_ns;
	__u64 announced; /* EG_METER_SAYS of the window and limit that it is about | EG_METER_* */
};

#define EG_METER_WARNED 1 /* 80 % told */
#define EG_METER_FULL   2 /* 100 % told: something was refused, or nothing is left */
/* A limit that was changed is another: it is told of anew, and there may be room again. */
#define EG_METER_SAYS(window, limit) \
	((__u64)(window) << 18 | (((limit) ^ (limit) >> 16 ^ (limit) >> 32) & 0xffffull) << 2)
#define EG_METER_SAYS_WINDOW(announced) ((announced) >> 18)

#define EG_METER_USED(word) ((word) & 0xffffffffffffull)

/* ---- Host: maps `host_ctl` (mmapable, agent) and `host_state` (kernel) ------ */

#define EG_HOST_EARLY (1u << 0) /* early boot: everything below the roots is denied */
#define EG_HOST_LATE  (1u << 1) /* NAT may sit behind connect(): leave rules to the packet hook */

/* How far the log has come, in the rings: records up to `end` of that epoch are of what was read up to these places. */
struct eg_log_mark {
	__u64 epoch;
	__u64 end; /* 0: nothing is said; stored last */
	__u64 events;
	__u64 flow_events;
};

struct eg_host_ctl {
	__u32 abi_major;
	__u32 abi_minor;
	__u64 kill_all; /* EG_HOLD_* of holds on every app; 0: none */
	__s64 utc_offset_ns;
	__u64 host_netns_cookie; /* SO_NETNS_COOKIE of the agent's network namespace */
	__u32 flags; /* EG_HOST_* */
	__u32 so_mark; /* 0, or the mark that sock_create sets on tagged sockets */
	__u32 sockets_max; /* per app */
	__u32 peers_max; /* per app; map `peers` holds max_apps * peers_max */
	__u64 event_ns; /* event budget: one event each event_ns ... */
	__u64 event_burst_ns; /* ... with a burst of this many ns of credit */
	__u64 update_ns; /* a flow's periodic update; 0: none */
	__u64 udp_idle_ns; /* UDP replies are accepted, and a peer kept, this long */
	__u32 tag_epoch; /* raised when a cgroup's tag changes: sockets look theirs up again */
	__u32 generation; /* counts starts of the agent on these maps */
	__u32 next_uid; /* the next ruleset's uid: none is used twice on one set of maps */
	__u32 grants_max; /* per app; map `grant_order` holds max_apps * grants_max */
	__u64 grant_floor_ns; /* an address is granted for its TTL, but at least ... */
	__u64 grant_ceiling_ns; /* ... and at most this long */
	struct eg_log_mark log_mark;
	__u64 reserved[6]; /* zero; for later minor versions, as in the structs below */
};

struct eg_host_state {
	__u64 boot_ns; /* when the first packet of this tick came */
	__u64 tick; /* jiffies: in which boot_ns was read */
};

/* ---- Cgroups: map `cgroups` (hash), key = cgroup id -------------------------- */

enum eg_unknown { EG_UNKNOWN_DENY, EG_UNKNOWN_AUDIT, EG_UNKNOWN_PASS };

#define EG_CGROUP_ROOT      (1u << 0) /* a managed root; `unknown` says what untagged gets */
#define EG_CGROUP_AMBIGUOUS (1u << 1) /* two policies match: denied */
#define EG_CGROUP_EXPLICIT  (1u << 2) /* tagged by name through the API, not by a glob */

struct eg_cgroup {
	__u32 app; /* slot */
	__u32 gen;
	__u32 flags; /* EG_CGROUP_* */
	__u32 unknown; /* enum eg_unknown, of a root */
	__u64 reserved;
};

/* ---- Guards: map `guards` (hash), key = ifindex of the host end of an app's veth ---- */

struct eg_guard {
	__u32 app; /* slot */
	__u32 gen;
	__u64 told_ns; /* writer: kernel. Last event about what audit let through (boot, coarse) */
};

/* ---- Counters and losses: one value for each slot ---------------------------- */

/* Map `counters` (per-CPU array): what passed. Sum over CPUs. */
struct eg_counters {
	__u64 bytes_out;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 packets_in;
	__u64 flows; /* flows begun */
	__u64 pad;
};

/* Map `reasons` (array): what did not pass, or would not have. */
struct eg_reason_count {
	__u64 denied; /* packets, connects, binds, sockets */
	__u64 denied_bytes;
	__u64 audited; /* let through by audit mode, relax or unknown_cgroup */
};
struct eg_reasons {
	struct eg_reason_count by[2][EG_REASONS_MAX]; /* [enum eg_dir][enum eg_reason] */
};

/* Map `losses` (array): events that were not delivered, with what they would have said. */
enum eg_loss_cause { EG_LOSS_SUPPRESSED, EG_LOSS_RING_FULL, EG_LOSS_COUNT_ };
struct eg_loss {
	__u64 events;
	__u64 flow_events; /* of which flow start, update, end */
	__u64 deny_events;
	__u64 flow_ends;
	__u64 bytes_out; /* of flows whose end was lost: what no event that was delivered told */
	__u64 bytes_in;
	__u64 packets_out;
	__u64 packets_in;
	__u64 denied_bytes;
};
struct eg_losses {
	struct eg_loss by[EG_LOSS_COUNT_];
};

/* Map `denied` (array): recent distinct denials, works with the log path dead. */
struct eg_denied {
	struct eg_addr peer;
	__u16 port; /* the peer's for egress, the local one for ingress; ICMP: type */
	__u8 proto;
	__u8 dir; /* enum eg_dir */
	__u8 reason; /* enum eg_reason */
	__u8 audited;
	__u16 pad;
	__u32 pid;
	__u32 uid;
	__u64 count; /* 0: free */
	__u64 bytes;
	__u64 first_boot_ns;
	__u64 last_boot_ns;
	char comm[EG_COMM_LEN];
};
struct eg_denied_tab {
	struct eg_denied e[EG_DENIED_SLOTS];
};

/* ---- Flows --------------------------------------------------------------------- */

enum eg_flow_state {
	EG_FLOW_NONE,
	EG_FLOW_ADMITTED, /* judged at connect and counted as new; no packet yet */
	EG_FLOW_OPEN,
	EG_FLOW_ENDED, /* its end was told; what still comes is told at once */
};

#define EG_FLOW_LOOPBACK (1u << 0)
#define EG_FLOW_LISTENER (1u << 1) /* handshakes on a listening socket, all peers together */
#define EG_FLOW_OTHERS   (1u << 2) /* peers without an entry of their own */
#define EG_FLOW_AUDITED  (1u << 3) /* let through, though `reason` would deny it */
#define EG_FLOW_STARTED  (1u << 4) /* its start was told */
#define EG_FLOW_NAMED    (1u << 5) /* allowed by a grant; the name is with the socket, or with the grant */
#define EG_FLOW_LOOK     (1u << 6) /* the first data is still to be looked at (of a resolver: all data) */
#define EG_FLOW_SNI      (1u << 7) /* the first data named a server, which is with the socket */
#define EG_FLOW_VERIFY   (1u << 8) /* no data passes unless it named one that the rule allows ... */
#define EG_FLOW_CONNECT  (1u << 9) /* ... by HTTP CONNECT instead of a ClientHello */
#define EG_FLOW_VERIFIED (1u << 10) /* it did */

struct eg_volume {
	__u64 bytes_out;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 packets_in;
};

struct eg_flow { /* writer: kernel */
	struct eg_addr peer;
	struct eg_addr local;
	__u16 peer_port;
	__u16 local_port;
	__u8 proto;
	__u8 origin; /* enum eg_dir: who began it */
	__u8 state; /* enum eg_flow_state */
	__u8 reason; /* enum eg_reason of the cached verdict */
	__u32 uid; /* ruleset the verdict came from; 0: judge again */
	__u16 rule;
	__u16 flags; /* EG_FLOW_* */
	__u32 meters_out; /* lists as in eg_ruleset, the rule's own included */
	__u32 meters_in;
	__u64 id; /* slot << 40 | number */
	__u64 start_boot_ns;
	__u64 last_out_ns; /* boot, coarse */
	__u64 last_in_ns;
	__u64 report_ns; /* boot, coarse: next update is due */
	__u64 name_hash; /* of the name that the grant was for; 0: no grant */
	__u32 grant_way; /* ... and its way */
	__u32 rtt_us; /* TCP's own, set at its end: smoothed, 0 unknown */
	__u32 retransmits;
	__u32 pad;
	struct eg_volume seen;
	struct eg_volume told; /* part of seen that the last event delivered carried */
};

#define EG_SOCK_COUNTED  (1u << 0) /* counted in eg_app_state.sockets */
#define EG_SOCK_HOST_NS  (1u << 1) /* lives in the host's network namespace */
#define EG_SOCK_NS_KNOWN (1u << 2) /* the bit before is valid: sock_create saw the socket */
#define EG_SOCK_SOCKOPS  (1u << 3) /* sockops tells the end of its flow */
#define EG_SOCK_NAMED    (1u << 4) /* UDP: connect() named a peer */
#define EG_SOCK_SEVERAL  (1u << 5) /* UDP: more than once, or sendto() did */
#define EG_SOCK_NESTED   (1u << 6) /* its network namespace is owned by a user namespace below the host's */

/* On whose behalf: the app, and the task that made the socket. */
struct eg_who {
	__u32 app; /* slot */
	__u32 gen; /* 0: not tagged */
	__u32 pid;
	__u32 user; /* uid */
	__u64 cgroup_id;
	char comm[EG_COMM_LEN];
};

/* Value of map `socks` (sk_storage). */
struct eg_sock { /* writer: kernel */
	struct eg_who who;
	__u32 flags; /* EG_SOCK_* */
	__u32 tag_epoch; /* eg_host_ctl.tag_epoch when the tag was found */
	struct eg_flow flow; /* TCP: the connection. Else: the first peer */
	struct eg_flow others; /* peers without an entry of their own, handshakes of a listener */
};

/* Map `peers` (hash): the further peers of a socket that is not TCP. */
struct eg_peer_key {
	__u64 cookie; /* SO_COOKIE of the socket */
	struct eg_addr peer;
	__u16 port;
	__u8 proto;
	__u8 pad[5];
};

/* Value of map `sock_names` (sk_storage): of the flow kept with the socket. */
struct eg_sock_names { /* writer: kernel */
	__u32 data_seq; /* TCP: sequence number of the first byte of data */
	__u8 data_known; /* 1: data_seq is valid */
	__u8 held_again; /* how often the same was held back */
	__u16 held_len; /* bytes of data that were held back last */
	char name[EG_NAME_SIZE]; /* as in eg_name_key.text: what the address was granted for; "": nothing */
	char sni[EG_NAME_SIZE]; /* the same, of the ClientHello or the CONNECT */
};

/* ---- DNS: questions of a socket, and the addresses that answers granted ----------------------- */

#define EG_ASKED_MAX 32 /* questions of one socket that can be open at once; older ones are forgotten */

struct eg_asked_one {
	__u64 name_hash; /* of the lower-case name; 0: free */
	__u64 asked_ns; /* boot */
	struct eg_addr resolver; /* as the packet hook saw it, so behind a DNAT */
	__u16 port; /* host order */
	__u16 id;
	__u16 type;
	__u16 pad;
};

/* Value of map `asked` (sk_storage). */
struct eg_asked { /* writer: kernel */
	__u32 next;
	__u32 pad;
	struct eg_asked_one q[EG_ASKED_MAX];
};

#define EG_GRANT_WAYS 4 /* names that one address can be granted for at once */

/* Key of map `grants`. */
struct eg_grant_key {
	__u32 app; /* slot */
	__u32 gen;
	struct eg_addr addr;
	__u32 way; /* 0 .. EG_GRANT_WAYS - 1 */
	__u32 pad;
};

struct eg_grant { /* writer: kernel. The name never changes; another one is another entry */
	__u64 learned_boot_ns;
	__u64 expires_boot_ns;
	__u64 name_hash;
	__u32 order; /* its place in `grant_order`, not yet modulo grants_max */
	char text[EG_NAME_SIZE]; /* as in eg_name_key: the name that was asked */
};

/* Entry of map `grant_order` (array): index = slot * grants_max + place % grants_max. */
struct eg_grant_order {
	struct eg_addr addr;
	__u32 way;
	__u32 gen;
};

/* ---- Events: ring buffers `events` (deny, cap, kill ...) and `flow_events` ---- */

enum eg_event_type {
	EG_EVENT_NONE,
	EG_EVENT_FLOW_START,
	EG_EVENT_FLOW_UPDATE,
	EG_EVENT_FLOW_END,
	EG_EVENT_DENY,
	EG_EVENT_CAP,
	EG_EVENT_RATE,
	EG_EVENT_KILL, /* by a cap whose action is kill */
	EG_EVENT_EXPIRE,
	EG_EVENT_DNS, /* reason NONE: an answer granted addresses; else what was refused */
	EG_EVENT_COUNT_
};

enum eg_hook { /* where it was decided */
	EG_HOOK_PACKET,
	EG_HOOK_CONNECT,
	EG_HOOK_SENDMSG,
	EG_HOOK_BIND,
	EG_HOOK_CREATE,
	EG_HOOK_GUARD,
	EG_HOOK_SETSOCKOPT,
	EG_HOOK_COUNT_
};

struct eg_event {
	__u64 boot_ns;
	__u64 seq; /* per app, from 1, without holes other than losses */
	__u32 app; /* slot */
	__u32 gen;
	__u32 uid; /* ruleset */
	__u32 pid;
	__u32 user; /* uid */
	__u8 type; /* enum eg_event_type */
	__u8 reason; /* enum eg_reason */
	__u8 hook; /* enum eg_hook */
	__u8 dir; /* enum eg_dir: of the flow, or of the packet denied */
	__u8 proto;
	__u8 audited; /* 1: would have been denied */
	__u16 rule;
	__u16 flags; /* EG_FLOW_* */
	__u16 src_port; /* ICMP: type */
	__u16 dst_port; /* ICMP: code */
	__u16 percent; /* CAP: 80 or 100 */
	__u32 pad;
	struct eg_addr src; /* who began the flow, or sent the packet */
	struct eg_addr dst;
	__u64 cgroup_id;
	__u64 flow_id;
	__u64 start_boot_ns;
	struct eg_volume seen; /* of the flow so far; DENY: bytes of the packet, as sent or received */
	__u64 limit; /* CAP: bytes, RATE: ns for 2^16 bytes, NEW_FLOWS: ns for one flow */
	__u64 used; /* CAP: bytes; DENY for a connection's first data: the socket's cookie */
	__u64 window_ns; /* CAP: length of the window */
	__u64 window_end_utc_ns; /* CAP */
	__u32 rtt_us; /* TCP smoothed, 0 unknown */
	__u32 retransmits;
	char comm[EG_COMM_LEN];
};

#define EG_EVENT_ADDRS 15

/* The longer record: an event that has names or addresses to tell. */
struct eg_event_named {
	struct eg_event e;
	char name[EG_NAME_SIZE]; /* as in eg_name_key.text; DNS: the name that was asked */
	__u32 pad;
	union {
		char sni[EG_NAME_SIZE + 4]; /* flows and denials: what the ClientHello or the CONNECT names */
		struct {
			__u32 ttl_s; /* DNS: the smallest */
			__u16 qtype;
			__u16 addr_count; /* in the answer; addr[] has the first EG_EVENT_ADDRS of them */
			struct eg_addr addr[EG_EVENT_ADDRS];
		} dns;
	};
};

/* ---- Questions to the loaded program (BPF_PROG_TEST_RUN) ----------------------- */

struct eg_question { /* context of program `eg_explain` */
	__u32 app; /* in: slot */
	__u8 dir; /* in: enum eg_dir */
	__u8 proto; /* in: IPPROTO_* */
	__u16 port; /* in: the peer's for egress, the local one for ingress; ICMP: type */
	struct eg_addr peer; /* in */
	__u32 reason; /* out: enum eg_reason; NONE: allowed */
	__u32 rule; /* out: index, or EG_RULE_* */
	__u32 uid; /* out: ruleset asked */
	__u32 audited; /* out: 1: let through by audit all the same */
	__u32 prefix_seen; /* out: 1: some rule names the address */
	__u32 flags; /* out: EG_MATCH_* of the rule */
	__u32 way; /* out: 1 + way of the grant that allows it; 0: none did */
	__u32 by_name; /* in: 1: ask about `name` instead of `peer` */
	char name[EG_NAME_SIZE]; /* in: as in eg_name_key.text */
	__u32 other; /* in: 1 + index of a ruleset to ask instead of the one in force; 0: that */
};

/* Context of program `eg_learn`: grants an address as an answer would (prefetch). */
struct eg_lesson {
	__u32 app; /* in: slot */
	__u32 gen;
	struct eg_addr addr;
	__u32 ttl_s;
	__u32 result; /* out: enum eg_reason */
	__u64 name_hash; /* in: FNV-1a of the name, forwards */
	char name[EG_NAME_SIZE]; /* in: as in eg_name_key.text */
	__u32 granted; /* out: 1: the name did not have the address yet */
};

/* Context of program `eg_reap`: looks at so many UDP peers that have no timer, and ends those that are idle. */
struct eg_reaping {
	__u32 look;
	__u32 pad[9]; /* the kernel takes no packet that is shorter than an IP header */
};

#define EG_ABI_ASSERT(c) _Static_assert(c, #c)
EG_ABI_ASSERT(EG_REASON_COUNT_ <= EG_REASONS_MAX);
EG_ABI_ASSERT(EG_DNS_BIT_COUNT_ <= 32);
EG_ABI_ASSERT(sizeof(struct eg_name_key) == 260);
EG_ABI_ASSERT(sizeof(struct eg_name_rules) == 16);
EG_ABI_ASSERT(sizeof(struct eg_sock_names) == 512);
EG_ABI_ASSERT(sizeof(struct eg_asked_one) == 40);
EG_ABI_ASSERT(sizeof(struct eg_asked) == 8 + 40 * EG_ASKED_MAX);
EG_ABI_ASSERT(sizeof(struct eg_grant_key) == 32);
EG_ABI_ASSERT(sizeof(struct eg_grant) == 280);
EG_ABI_ASSERT(sizeof(struct eg_grant_order) == 24);
EG_ABI_ASSERT(sizeof(struct eg_event_named) == 712);
EG_ABI_ASSERT(sizeof(struct eg_lesson) == 296);
EG_ABI_ASSERT(sizeof(struct eg_addr) == 16);
EG_ABI_ASSERT(sizeof(struct eg_rule_key) == 24);
EG_ABI_ASSERT(sizeof(struct eg_rule_span) == 8);
EG_ABI_ASSERT(sizeof(struct eg_match) == 16);
EG_ABI_ASSERT(sizeof(struct eg_meter_conf) == 24);
EG_ABI_ASSERT(sizeof(struct eg_ruleset) == 512);
EG_ABI_ASSERT(sizeof(struct eg_app_ctl) == 64);
EG_ABI_ASSERT(sizeof(struct eg_app_state) == 128);
EG_ABI_ASSERT(sizeof(struct eg_meter) == 32);
EG_ABI_ASSERT(sizeof(struct eg_host_ctl) == 192);
EG_ABI_ASSERT(sizeof(struct eg_cgroup) == 24);
EG_ABI_ASSERT(sizeof(struct eg_guard) == 16);
EG_ABI_ASSERT(sizeof(struct eg_denied) == 80);
EG_ABI_ASSERT(sizeof(struct eg_flow) == 184);
EG_ABI_ASSERT(sizeof(struct eg_sock) == 416);
EG_ABI_ASSERT(sizeof(struct eg_peer_key) == 32);
EG_ABI_ASSERT(sizeof(struct eg_event) == 200);
EG_ABI_ASSERT(sizeof(struct eg_question) == 312);
EG_ABI_ASSERT(sizeof(struct eg_reaping) == 40);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "event_json.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>

#include "event_names.h"

/* A string with its length, so that writing it is one memcpy. */
struct text {
	const char *s;
	size_t len;
};

#define TEXT(literal) {literal, sizeof(literal) - 1}

/* Type, and what follows from it alone. */
static const struct text type_texts[EG_EVENT_COUNT_] = {
	[EG_EVENT_NONE] = TEXT("unknown"),	  [EG_EVENT_FLOW_START] = TEXT("flow"),
	[EG_EVENT_FLOW_UPDATE] = TEXT("flow"),	  [EG_EVENT_FLOW_END] = TEXT("flow"),
	[EG_EVENT_DENY] = TEXT("deny"),		  [EG_EVENT_CAP] = TEXT("cap"),
	[EG_EVENT_RATE] = TEXT("rate"),		  [EG_EVENT_KILL] = TEXT("kill"),
	[EG_EVENT_EXPIRE] = TEXT("expire"),	  [EG_EVENT_DNS] = TEXT("dns"),
};

static const struct text reason_texts[EG_REASON_COUNT_] = {
#define EG_REASON(sym, wire, why) TEXT(wire),
#include <egret/reasons.def>
#undef EG_REASON
};

static const struct text hook_texts[EG_HOOK_COUNT_] = {
	[EG_HOOK_PACKET] = TEXT("packet"),   [EG_HOOK_CONNECT] = TEXT("connect"),
	[EG_HOOK_SENDMSG] = TEXT("sendmsg"), [EG_HOOK_BIND] = TEXT("bind"),
	[EG_HOOK_CREATE] = TEXT("create"),   [EG_HOOK_GUARD] = TEXT("guard"),
	[EG_HOOK_SETSOCKOPT] = TEXT("setsockopt"),
};

/* Types that the agent itself posts or writes, beside those of the kernel. */
static const struct text other_types[] = {
	TEXT("restore"), TEXT("policy"), TEXT("alert"), TEXT("agent"), TEXT("lost"), TEXT("suppressed"),
};

static char *put_text(char *p, const struct text *text)
{
	return eg_out_bytes(p, text->s, text->len);
}

/* Kernel memory is not trusted to hold a number that the enum knows. */
static char *put_enum(char *p, const struct text *texts, unsigned count, unsigned value)
{
	if (value < count)
		return put_text(p, &texts[value]);
	p = eg_out_lit(p, "unknown_");
	return eg_out_u64(p, value);
}

/* Receivers keep integers in 64 bits with a sign, and refuse the line of a larger one. */
static char *put_number(char *p, const char *name, size_t name_len, uint64_t value)
{
	p = eg_out_bytes(p, name, name_len);
	return eg_out_u64(p, value <= INT64_MAX ? value : INT64_MAX);
}

#define NUMBER(p, name, value) put_number((p), ",\"" name "\":", sizeof(",\"" name "\":") - 1, (value))

static char *put_string(char *p, const char *name, const char *value, size_t max)
{
	if (!value[0])
		return p;
	p = eg_out_lit(p, ",\"");
	p = eg_out_bytes(p, name, strlen(name));
	p = eg_out_lit(p, "\":\"");
	p = eg_out_escaped(p, value, strnlen(value, max));
	*p++ = '"';
	return p;
}

void eg_event_stamp_init(struct eg_event_stamp *stamp, const char *host)
{
	size_t len = 0;

	*stamp = (struct eg_event_stamp){0};
	for (; host && host[len] && len < sizeof(stamp->host) - 1; len++) {
		unsigned char c = (unsigned char)host[len];

		stamp->host[len] = (c < 0x80 && (isalnum(c) || strchr("._-", c))) ? (char)c : '_';
	}
	if (!len)
		memcpy(stamp->host, "localhost", sizeof("localhost"));
	eg_event_stamp_number(stamp, 0, 1);
}

void eg_event_stamp_number(struct eg_event_stamp *stamp, uint64_t epoch, uint64_t n)
{
	int len;

	stamp->epoch = epoch;
	stamp->n = n;
	len = snprintf(stamp->ids, sizeof(stamp->ids), "\",\"event_id\":\"%s-%llu-", stamp->host,
		       (unsigned long long)epoch);
	stamp->ids_len = (size_t)len;
}

char *eg_event_meta_json(char *p, const struct eg_event_meta *meta)
{
	size_t labels_len = strnlen(meta->labels_json, sizeof(meta->labels_json));

	p = put_string(p, "app", meta->app, sizeof(meta->app));
	p = put_string(p, "owner", meta->owner, sizeof(meta->owner));
	p = put_string(p, "ticket", meta->ticket, sizeof(meta->ticket));
	p = put_string(p, "catalog_id", meta->catalog_id, sizeof(meta->catalog_id));
	p = put_string(p, "request_id", meta->request_id, sizeof(meta->request_id));
	if (labels_len) {
		p = eg_out_lit(p, ",\"labels\":");
		p = eg_out_bytes(p, meta->labels_json, labels_len);
	}
	p = put_string(p, "cgroup", meta->cgroup, sizeof(meta->cgroup));
	p = put_string(p, "rule", meta->rule_id, sizeof(meta->rule_id));
	p = put_string(p, "policy_rev", meta->policy_rev, sizeof(meta->policy_rev));
	return meta->log_full ? eg_out_lit(p, ",\"log\":\"full\"") : p;
}

static char *put_head(char *p, struct eg_event_stamp *stamp, uint64_t utc_ns, const char *type, size_t type_len)
{
	p = eg_out_lit(p, EG_EVENT_BEGIN);
	p = eg_out_ts(p, &stamp->clock, utc_ns);
	p = eg_out_lit(p, "\",\"type\":\"");
	p = eg_out_bytes(p, type, type_len);
	p = eg_out_bytes(p, stamp->ids, stamp->ids_len);
	p = eg_out_u64(p, stamp->n++);
	p = eg_out_lit(p, "\",\"host\":\"");
	p = eg_out_bytes(p, stamp->host, strlen(stamp->host));
	*p++ = '"';
	return p;
}

static char *put_task(char *p, const struct eg_event *e)
{
	if (!e->pid)
		return p;
	p = NUMBER(p, "pid", e->pid);
	p = NUMBER(p, "uid", e->user);
	return put_string(p, "comm", e->comm, sizeof(e->comm));
}

static char *put_proto(char *p, uint8_t proto)
{
	p = eg_out_lit(p, ",\"proto\":\"");
	switch (proto) {
	case IPPROTO_TCP:
		p = eg_out_lit(p, "tcp");
		break;
	case IPPROTO_UDP:
		p = eg_out_lit(p, "udp");
		break;
	case IPPROTO_ICMP:
		p = eg_out_lit(p, "icmp");
		break;
	case IPPROTO_ICMPV6:
		p = eg_out_lit(p, "icmpv6");
		break;
	default:
		p = eg_out_u64(p, proto);
	}
	*p++ = '"';
	return p;
}

static bool addr_set(const struct eg_addr *addr)
{
	return (addr->d_be[0] | addr->d_be[1]) != 0;
}

/* Of the other end. */
static char *put_network(char *p, const struct eg_networks *networks, const struct eg_event *e)
{
	const struct eg_network *network = eg_networks_find(networks, e->dir == EG_DIR_EGRESS ? &e->dst : &e->src);

	return network ? eg_out_bytes(p, network->text, network->text_len) : p;
}

/* Who to whom. A connect knows no source yet; a refused socket knows neither. */
static char *put_tuple(char *p, const struct eg_event_stamp *stamp, const struct eg_event *e)
{
	bool icmp = e->proto == IPPROTO_ICMP || e->proto == IPPROTO_ICMPV6;

	if (!e->proto)
		return p;
	p = put_proto(p, e->proto);
	if (addr_set(&e->src)) {
		p = eg_out_lit(p, ",\"src\":\"");
		p = eg_out_addr(p, &e->src);
		*p++ = '"';
	}
	if (!icmp && e->src_port)
		p = NUMBER(p, "src_port", e->src_port);
	if (addr_set(&e->dst)) {
		p = eg_out_lit(p, ",\"dst\":\"");
		p = eg_out_addr(p, &e->dst);
		*p++ = '"';
	}
	if (!icmp && e->dst_port)
		p = NUMBER(p, "dst_port", e->dst_port);
	if (icmp) {
		p = NUMBER(p, "icmp_type", e->src_port);
		p = NUMBER(p, "icmp_code", e->dst_port);
	}
	return stamp->networks ? put_network(p, stamp->networks, e) : p;
}

static char *put_verdict(char *p, const char *verdict, const struct eg_event *e)
{
	p = eg_out_lit(p, ",\"verdict\":\"");
	p = eg_out_bytes(p, verdict, strlen(verdict));
	*p++ = '"';
	if (e->reason == EG_REASON_NONE)
		return p;
	p = eg_out_lit(p, ",\"reason\":\"");
	p = put_enum(p, reason_texts, EG_REASON_COUNT_, e->reason);
	*p++ = '"';
	return p;
}

static char *put_volume(char *p, const struct eg_volume *v)
{
	p = NUMBER(p, "bytes_out", v->bytes_out);
	p = NUMBER(p, "bytes_in", v->bytes_in);
	p = NUMBER(p, "packets_out", v->packets_out);
	return NUMBER(p, "packets_in", v->packets_in);
}

/* Slot, generation and number: opaque to readers, and too wide for a JSON number in some of them. */
static char *put_flow_id(char *p, const struct eg_event *e)
{
	p = eg_out_lit(p, ",\"flow_id\":\"");
	p = eg_out_u64(p, e->app);
	*p++ = '-';
	p = eg_out_u64(p, e->gen);
	*p++ = '-';
	p = eg_out_u64(p, e->flow_id & ((1ull << 40) - 1));
	*p++ = '"';
	return p;
}

static char *put_flow(char *p, struct eg_event_stamp *stamp, const struct eg_event *e,
		      const struct eg_event_named *named)
{
	uint64_t start_utc_ns = e->start_boot_ns + (uint64_t)stamp->utc_offset_ns;

	if (e->type == EG_EVENT_FLOW_START)
		p = eg_out_lit(p, ",\"phase\":\"start\"");
	else if (e->type == EG_EVENT_FLOW_UPDATE)
		p = eg_out_lit(p, ",\"phase\":\"update\"");
	else
		p = eg_out_lit(p, ",\"phase\":\"end\"");
	p = put_flow_id(p, e);
	p = eg_event_names_json(p, e, named);
	p = put_verdict(p, e->audited ? "audit" : "allow", e);
	p = put_volume(p, &e->seen);
	if (e->start_boot_ns) {
		p = eg_out_lit(p, ",\"start\":\"");
		p = eg_out_ts(p, &stamp->start_clock, start_utc_ns);
		*p++ = '"';
		p = NUMBER(p, "duration_ms",
			   e->boot_ns > e->start_boot_ns ? (e->boot_ns - e->start_boot_ns) / 1000000 : 0);
	}
	if (e->rtt_us)
		p = NUMBER(p, "rtt_us", e->rtt_us);
	if (e->type == EG_EVENT_FLOW_END && e->proto == IPPROTO_TCP)
		p = NUMBER(p, "retransmits", e->retransmits);
	if (e->flags & EG_FLOW_LOOPBACK)
		p = eg_out_lit(p, ",\"loopback\":true");
	if (e->flags & EG_FLOW_LISTENER)
		p = eg_out_lit(p, ",\"listener\":true");
	if (e->flags & EG_FLOW_OTHERS)
		p = eg_out_lit(p, ",\"others\":true");
	return p;
}

/* Of one packet. */
static char *put_packet(char *p, const struct eg_event *e)
{
	if (e->seen.packets_out || e->seen.bytes_out) {
		p = NUMBER(p, "bytes_out", e->seen.bytes_out);
		p = NUMBER(p, "packets_out", e->seen.packets_out);
	}
	if (e->seen.packets_in || e->seen.bytes_in) {
		p = NUMBER(p, "bytes_in", e->seen.bytes_in);
		p = NUMBER(p, "packets_in", e->seen.packets_in);
	}
	return p;
}

static char *put_deny(char *p, const struct eg_event *e, const struct eg_event_named *named)
{
	p = eg_event_names_json(p, e, named);
	p = put_verdict(p, e->audited ? "audit" : "deny", e);
	p = eg_out_lit(p, ",\"hook\":\"");
	p = put_enum(p, hook_texts, EG_HOOK_COUNT_, e->hook);
	*p++ = '"';
	return put_packet(p, e);
}

static char *put_dns(char *p, const struct eg_event *e, const struct eg_event_named *named)
{
	const char *verdict = e->reason == EG_REASON_NONE ? "allow" : e->audited ? "audit" : "deny";

	p = eg_event_dns_json(p, e, named);
	p = put_verdict(p, verdict, e);
	return put_packet(p, e);
}

static char *put_rate(char *p, const struct eg_event *e)
{
	if (!e->limit)
		return p;
	if (e->reason == EG_REASON_NEW_FLOWS)
		return NUMBER(p, "limit_flows_per_min", 60000000000u / e->limit);
	if (e->reason == EG_REASON_DNS_RATE)
		return NUMBER(p, "limit_queries_per_min", 60000000000u / e->limit);
	return NUMBER(p, "limit_bits_per_s", 65536ull * 8 * 1000000000 / e->limit);
}

/* cap, rate, kill, expire: about the app's limits or life. */
static char *put_notice(char *p, struct eg_event_stamp *stamp, const struct eg_event *e)
{
	if (e->reason != EG_REASON_NONE) {
		p = eg_out_lit(p, ",\"reason\":\"");
		p = put_enum(p, reason_texts, EG_REASON_COUNT_, e->reason);
		*p++ = '"';
	}
	if (e->type == EG_EVENT_RATE)
		return put_rate(p, e);
	if (e->type == EG_EVENT_KILL)
		p = eg_out_lit(p, ",\"layer\":\"auto\"");
	if (e->percent)
		p = NUMBER(p, "percent", e->percent);
	if (e->limit) {
		p = NUMBER(p, "limit_bytes", e->limit);
		p = NUMBER(p, "used_bytes", e->used);
	}
	if (e->window_ns)
		p = NUMBER(p, "window_s", e->window_ns / 1000000000u);
	if (e->window_end_utc_ns) {
		p = eg_out_lit(p, ",\"window_end\":\"");
		p = eg_out_ts(p, &stamp->start_clock, e->window_end_utc_ns);
		*p++ = '"';
	}
	return p;
}

char *eg_event_json(char *p, struct eg_event_stamp *stamp, const struct eg_event *e,
		    const struct eg_event_named *named, const char *meta, size_t meta_len)
{
	const struct text *type = &type_texts[e->type < EG_EVENT_COUNT_ ? e->type : EG_EVENT_NONE];

	p = put_head(p, stamp, e->boot_ns + (uint64_t)stamp->utc_offset_ns, type->s, type->len);
	p = eg_out_bytes(p, meta, meta_len);
	p = NUMBER(p, "seq", e->seq);
	p = put_task(p, e);
	if (e->type != EG_EVENT_EXPIRE) {
		if (e->dir == EG_DIR_EGRESS)
			p = eg_out_lit(p, ",\"direction\":\"egress\"");
		else
			p = eg_out_lit(p, ",\"direction\":\"ingress\"");
	}
	p = put_tuple(p, stamp, e);
	switch (e->type) {
	case EG_EVENT_FLOW_START:
	case EG_EVENT_FLOW_UPDATE:
	case EG_EVENT_FLOW_END:
		p = put_flow(p, stamp, e, named);
		break;
	case EG_EVENT_DENY:
		p = put_deny(p, e, named);
		break;
	case EG_EVENT_DNS:
		p = put_dns(p, e, named);
		break;
	default:
		p = put_notice(p, stamp, e);
	}
	return eg_out_lit(p, "}\n");
}

char *eg_event_json_members(char *p, struct eg_event_stamp *stamp, uint64_t utc_ns, const char *type,
			    const char *members, size_t members_len)
{
	p = put_head(p, stamp, utc_ns, type, strlen(type));
	p = eg_out_bytes(p, members, members_len);
	return eg_out_lit(p, "}\n");
}

char *eg_event_json_loss(char *p, struct eg_event_stamp *stamp, uint64_t utc_ns, const char *type,
			 const char *cause, const struct eg_loss *sum, const char *meta, size_t meta_len)
{
	p = put_head(p, stamp, utc_ns, type, strlen(type));
	p = eg_out_bytes(p, meta, meta_len);
	p = put_string(p, "cause", cause, 32);
	p = NUMBER(p, "events", sum->events);
	p = NUMBER(p, "flow_events", sum->flow_events);
	p = NUMBER(p, "flow_ends", sum->flow_ends);
	p = NUMBER(p, "deny_events", sum->deny_events);
	p = NUMBER(p, "bytes_out", sum->bytes_out);
	p = NUMBER(p, "bytes_in", sum->bytes_in);
	p = NUMBER(p, "packets_out", sum->packets_out);
	p = NUMBER(p, "packets_in", sum->packets_in);
	p = NUMBER(p, "denied_bytes", sum->denied_bytes);
	return eg_out_lit(p, "}\n");
}

static bool text_is(const struct text *text, const char *s, size_t len)
{
	return text->len == len && memcmp(text->s, s, len) == 0;
}

bool eg_event_type_known(const char *type, size_t len)
{
	for (size_t i = 1; i < EG_EVENT_COUNT_; i++)
		if (text_is(&type_texts[i], type, len))
			return true;
	for (size_t i = 0; i < sizeof(other_types) / sizeof(other_types[0]); i++)
		if (text_is(&other_types[i], type, len))
			return true;
	return false;
}

// SPDX-License-Identifier: Apache-2.0
#include "event_names.h"

#include "../lib/revname.h"
#include "event_out.h"

static char *put_name(char *p, const char *member, const char *rev, size_t size)
{
	if (!rev[0])
		return p;
	p = eg_out_lit(p, ",\"");
	p = eg_out_bytes(p, member, strlen(member));
	p = eg_out_lit(p, "\":\"");
	p += eg_revname_put(p, rev, size);
	*p++ = '"';
	return p;
}

char *eg_event_names_json(char *p, const struct eg_event *e, const struct eg_event_named *named)
{
	if (!named)
		return p;
	p = put_name(p, "name", named->name, sizeof(named->name));
	if (!named->sni[0])
		return p;
	p = put_name(p, "sni", named->sni, sizeof(named->sni));
	if (e->flags & EG_FLOW_VERIFIED)
		return eg_out_lit(p, ",\"verified\":true");
	return eg_out_lit(p, ",\"verified\":false");
}

static const char *dns_action(const struct eg_event *e)
{
	if (e->reason == EG_REASON_NONE)
		return "learned";
	if (e->reason == EG_REASON_DNS_UNASKED)
		return "forged";
	return e->dir == EG_DIR_EGRESS ? "refused" : "dropped";
}

/* RFC 3597 has a name for a type without one. */
static char *put_qtype(char *p, uint16_t qtype)
{
	if (!qtype)
		return p;
	p = eg_out_lit(p, ",\"qtype\":\"");
	switch (qtype) {
#define X(name, number)                       \
	case number:                          \
		p = eg_out_lit(p, #name "\""); \
		return p;
		EG_DNS_TYPES(X)
#undef X
	default:
		p = eg_out_lit(p, "TYPE");
		p = eg_out_u64(p, qtype);
		*p++ = '"';
		return p;
	}
}

static char *put_addresses(char *p, const struct eg_event_named *named)
{
	unsigned count = named->dns.addr_count;

	if (!count)
		return p;
	p = eg_out_lit(p, ",\"addresses\":[");
	for (unsigned i = 0; i < count && i < EG_EVENT_ADDRS; i++) {
		if (i)
			*p++ = ',';
		*p++ = '"';
		p = eg_out_addr(p, &named->dns.addr[i]);
		*p++ = '"';
	}
	*p++ = ']';
	p = eg_out_lit(p, ",\"address_count\":");
	p = eg_out_u64(p, count);
	p = eg_out_lit(p, ",\"ttl\":");
	return eg_out_u64(p, named->dns.ttl_s);
}

char *eg_event_dns_json(char *p, const struct eg_event *e, const struct eg_event_named *named)
{
	const char *action = dns_action(e);

	p = eg_out_lit(p, ",\"action\":\"");
	p = eg_out_bytes(p, action, strlen(action));
	*p++ = '"';
	if (!named)
		return p;
	p = put_name(p, "name", named->name, sizeof(named->name));
	p = put_qtype(p, named->dns.qtype);
	return put_addresses(p, named);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * compile_service.c - what a rule says about protocol, ports and types, as segments
 */
#include <netinet/in.h>

#include "compile_impl.h"

static int add_icmp(struct eg_segments *segments, const struct eg_policy_rule *rule, bool v6, uint32_t owner)
{
	const uint32_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	const uint32_t echo = v6 ? 128 : 8;
	bool any = rule->types_any;
	int r = 0;

	for (size_t i = 0; i < rule->type_count; i++)
		any |= rule->types[i] == EG_POLICY_ICMP_ANY;
	if (any)
		return eg_segments_add(segments, EG_SERVICE(proto, 0), EG_SERVICE(proto, 255), owner);
	if (!rule->type_count)
		return eg_segments_add(segments, EG_SERVICE(proto, echo), EG_SERVICE(proto, echo), owner);
	for (size_t i = 0; !r && i < rule->type_count; i++)
		r = eg_segments_add(segments, EG_SERVICE(proto, rule->types[i]), EG_SERVICE(proto, rule->types[i]), owner);
	return r;
}

int eg_services_add(struct eg_segments *segments, const struct eg_policy_rule *rule, unsigned families, uint32_t owner)
{
	int r = 0;

	if (rule->proto == IPPROTO_ICMP) {
		if (families & EG_COMPILE_V4)
			r = add_icmp(segments, rule, false, owner);
		if (!r && families & EG_COMPILE_V6)
			r = add_icmp(segments, rule, true, owner);
		return r;
	}
	for (size_t i = 0; !r && i < rule->port_count; i++)
		r = eg_segments_add(segments, EG_SERVICE(rule->proto, rule->ports[i].lo),
				    EG_SERVICE(rule->proto, rule->ports[i].hi), owner);
	return r;
}

/* On loopback the port may be translated, by a DNAT in the app's namespace: so all of them are the resolver's. */
int eg_services_add_dns(struct eg_segments *segments, bool loopback)
{
	const uint32_t lo = loopback ? 0 : 53, hi = loopback ? 65535 : 53;
	int r = eg_segments_add(segments, EG_SERVICE(IPPROTO_UDP, lo), EG_SERVICE(IPPROTO_UDP, hi), EG_RULE_DNS);

	if (!r)
		r = eg_segments_add(segments, EG_SERVICE(IPPROTO_TCP, lo), EG_SERVICE(IPPROTO_TCP, hi), EG_RULE_DNS);
	return r;
}

int eg_services_add_guardrail(struct eg_segments *segments)
{
	return eg_segments_add(segments, 0, EG_SERVICE(IPPROTO_RAW, 65535), EG_RULE_GUARDRAIL);
}

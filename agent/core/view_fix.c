// SPDX-License-Identifier: Apache-2.0
/*
 * view_fix.c - what to do about a refusal, for `explain` and `denied`
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"

static const struct {
	const char *name;
	uint8_t number;
} protos[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}};

const char *eg_proto_name(uint8_t number, char fallback[16])
{
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		if (protos[i].number == number)
			return protos[i].name;
	}
	if (number == IPPROTO_ICMPV6)
		return "icmp";
	snprintf(fallback, 16, "%u", number);
	return fallback;
}

bool eg_proto_number(const char *name, uint8_t *ret)
{
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		if (strcmp(protos[i].name, name) == 0) {
			*ret = protos[i].number;
			return true;
		}
	}
	return false;
}

/* The rule that would allow it, to paste; "" where no rule can. */
static void rule_text(const struct eg_fix *fix, char *ret, size_t size)
{
	bool out = fix->dir == EG_DIR_EGRESS;
	char fallback[16];
	const char *proto = eg_proto_name(fix->proto, fallback);

	ret[0] = '\0';
	if (fix->proto == IPPROTO_TCP || fix->proto == IPPROTO_UDP)
		snprintf(ret, size, "add to \"%s\": {\"%s\": [\"%s\"], \"proto\": \"%s\", \"ports\": [%u]}",
			 out ? "egress" : "ingress", out ? "to" : "from", fix->peer, proto, fix->port);
	else if (strcmp(proto, "icmp") == 0)
		snprintf(ret, size, "add to \"%s\": {\"%s\": [\"%s\"], \"proto\": \"icmp\"}",
			 out ? "egress" : "ingress", out ? "to" : "from", fix->peer);
}

/* About names, where no address can be pasted. The table of denials knows the resolver, not the name. */
static const char *names_text(uint32_t reason)
{
	switch (reason) {
	case EG_REASON_GRANT_EXPIRED:
		return "the app has to look the name up again; a longer \"grant_floor\" in egretd's configuration "
		       "suits apps that remember addresses for longer";
	case EG_REASON_DNS_NAME:
		return "add the name (it is in the event: `egret events --type dns`) to the \"to\" of a rule, or, if "
		       "it is only to be asked, to \"dns\": {\"ask_only\": [...]}";
	case EG_REASON_DNS_TYPE:
		return "add the type (it is in the event: `egret events --type dns`) to \"dns\": {\"types\": [...]}";
	case EG_REASON_DNS_RATE:
		return "raise \"dns\": {\"rate\": ...}, if the app needs that many queries";
	case EG_REASON_DNS_PRIVATE:
		return "if the answer is meant (split horizon, a private endpoint), add its network to the rule's "
		       "\"private\"";
	case EG_REASON_HELLO_MISSING:
		return "if the app speaks no TLS there, give it a rule without \"tls\" (or \"http\") for this";
	case EG_REASON_SNI_MISSING:
		return "let the client send the server's name (SNI), or leave \"tls\" out of the rule";
	case EG_REASON_SNI_DENIED:
		return "add the server's name (it is in the event: `egret events --type deny`) to the rule, if the "
		       "app may reach it";
	default:
		return "";
	}
}

json_t *eg_fix_json(const struct eg_fix *fix)
{
	char text[768] = "", rule[512];

	switch (fix->reason) {
	case EG_REASON_BIND_PORT:
		snprintf(text, sizeof(text),
			 "add to \"ingress\": {\"from\": [...], \"proto\": \"tcp\", \"ports\": [%u]}", fix->port);
		break;
	case EG_REASON_NO_RULE:
	case EG_REASON_NO_RULE_PORT:
	case EG_REASON_NO_INGRESS_RULE:
	case EG_REASON_NETNS_GUARD:
		rule_text(fix, text, sizeof(text));
		break;
	case EG_REASON_NO_GRANT:
		rule_text(fix, rule, sizeof(rule));
		snprintf(text, sizeof(text),
			 "let the app look the name up by DNS queries of its own to the policy's resolvers (`egret "
			 "doctor` finds what keeps it from that)%s%s", rule[0] ? ", or " : "", rule);
		break;
	default:
		snprintf(text, sizeof(text), "%s", names_text(fix->reason));
	}
	return text[0] ? json_string(text) : json_null();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * view_verdict.c - why a destination is allowed or refused
 *
 * The verdict is the loaded program's own; only the hints around it (which rule comes near,
 * what to write) are found here, in the policy's text.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/cleanup.h"
#include "../lib/revname.h"
#include "agent_impl.h"
#include "clock.h"

struct query {
	const char *dest;
	bool by_name;
	bool by_prefix;
	char name[EG_NAME_SIZE]; /* as in eg_name_key.text */
	struct eg_addr addr;
	struct eg_cidr cidr;
	uint16_t port;
	uint8_t proto;
	enum eg_dir dir;
	const char *proto_text;
};

/* NAME:PORT, or NAME. */
static bool parse_name(const char *dest, struct query *ret)
{
	const char *colon = strrchr(dest, ':');
	size_t len = colon ? (size_t)(colon - dest) : strlen(dest);
	unsigned long port = 0;
	char *end;

	if (colon) {
		port = colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
		if (!port || port > UINT16_MAX || *end)
			return false;
	}
	ret->port = (uint16_t)port;
	ret->by_name = true;
	return eg_revname_from_text(dest, len, ret->name) == 0;
}

/* "10.0.0.0/8:443", "[fd00::]/8:443" or "[fd00::/8]:443", and without a port. */
static bool parse_prefix(const char *dest, struct eg_cidr *ret, uint16_t *ret_port)
{
	const char *slash = strchr(dest, '/'), *colon = slash ? strrchr(slash, ':') : NULL;
	size_t len = colon ? (size_t)(colon - dest) : strlen(dest), used = 0;
	char text[EG_ADDR_TEXT], *end;
	unsigned long port = 0;

	if (!slash || len >= sizeof(text))
		return false;
	for (size_t i = 0; i < len; i++)
		if (dest[i] != '[' && dest[i] != ']')
			text[used++] = dest[i];
	text[used] = '\0';
	if (colon) {
		port = colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
		if (!port || port > UINT16_MAX || *end)
			return false;
	}
	*ret_port = (uint16_t)port;
	return eg_cidr_from_text(text, ret) == 0;
}

static int query_parse(const char *dest, const char *proto, const char *dir, struct query *ret, struct eg_error *err)
{
	if (!dest)
		dest = "";
	*ret = (struct query){.dest = dest, .proto_text = proto ? proto : "tcp"};
	if (!eg_proto_number(ret->proto_text, &ret->proto))
		return eg_error_set(err, 400, "bad_query", "proto is tcp, udp or icmp, not \"%s\".", proto);
	if (dir && strcmp(dir, "egress") != 0 && strcmp(dir, "ingress") != 0)
		return eg_error_set(err, 400, "bad_query", "direction is egress or ingress, not \"%s\".", dir);
	ret->dir = dir && strcmp(dir, "ingress") == 0 ? EG_DIR_INGRESS : EG_DIR_EGRESS;
	ret->by_prefix = strchr(dest, '/');
	if (ret->by_prefix
		    ? !parse_prefix(dest, &ret->cidr, &ret->port)
		    : eg_addr_port_from_text(dest, &ret->addr, &ret->port) < 0 && !parse_name(dest, ret))
		return eg_error_set(
			err, 400, "bad_query",
			"dest is ADDRESS:PORT, [ADDRESS]:PORT, PREFIX:PORT, [PREFIX]:PORT, NAME:PORT or (for icmp) "
			"ADDRESS, PREFIX or NAME, not \"%s\".",
			dest);
	if (ret->by_name && ret->dir == EG_DIR_INGRESS)
		return eg_error_set(err, 400, "bad_query",
				    "Who reaches the app is known by address, not by name: \"%s\".", dest);
	if (ret->proto != IPPROTO_ICMP && !ret->port)
		return eg_error_set(err, 400, "bad_query", "Say which port: %s:PORT.", dest);
	if (ret->proto == IPPROTO_ICMP) {
		bool v4 = ret->by_name || eg_addr_v4mapped(ret->by_prefix ? &ret->cidr.addr : &ret->addr);

		ret->port = v4 ? 8 : 128; /* echo request */
		ret->proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	}
	return 0;
}

/* Whether a name as a policy writes it covers the one asked. */
static bool name_covers(const char *text, const char *asked)
{
	bool wildcard = strncmp(text, "*.", 2) == 0;
	char rev[EG_NAME_SIZE];
	size_t len;

	if (wildcard)
		text += 2;
	if (eg_revname_from_text(text, strlen(text), rev) < 0)
		return false;
	len = strlen(rev);
	return strncmp(rev, asked, len) == 0 && asked[len] == (wildcard ? '.' : '\0');
}

/* Whether the rule names what is asked about, whatever the service. */
static bool rule_names(const json_t *rule, const char *key, const struct query *query)
{
	const struct eg_cidr wanted = {.addr = query->addr, .bits = 128};
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rule, key), i, item) {
		const char *text = json_string_value(item);
		struct eg_cidr cidr;

		if (text && query->by_name && name_covers(text, query->name))
			return true;
		if (text && !query->by_name && eg_cidr_from_text(text, &cidr) == 0 && eg_cidr_covers(&cidr, &wanted))
			return true;
	}
	return false;
}

#define NAMES_MAX 4

/* "a.example, *.b.example ..." of a rule; "" if it has no names. */
static void rule_name_list(const json_t *rule, char *ret, size_t size)
{
	size_t used = 0, count = 0, i;
	json_t *item;

	ret[0] = '\0';
	json_array_foreach(json_object_get(rule, "to"), i, item) {
		const char *text = json_string_value(item);
		char rev[EG_NAME_SIZE];
		int n;

		if (!text || strcmp(text, "self") == 0)
			continue;
		if (strncmp(text, "*.", 2) == 0 ? eg_revname_from_text(text + 2, strlen(text + 2), rev) < 0 :
						  eg_revname_from_text(text, strlen(text), rev) < 0)
			continue;
		if (count == NAMES_MAX)
			text = "...";
		n = snprintf(ret + used, size - used, "%s%s", used ? ", " : "", text);
		if (n < 0 || (size_t)n >= size - used) {
			ret[used] = '\0'; /* what there is is whole */
			return;
		}
		used += (size_t)n;
		if (count++ == NAMES_MAX)
			return;
	}
}

static bool rule_has_port(const json_t *rule, uint16_t port)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rule, "ports"), i, item) {
		unsigned lo = (unsigned)json_integer_value(item), hi = lo;

		if (json_is_string(item) && sscanf(json_string_value(item), "%u-%u", &lo, &hi) == 1)
			hi = lo;
		if (port >= lo && port <= hi)
			return true;
	}
	return false;
}

#define NEAREST_MAX 3

/* Why the rule comes near; false: it doesn't. */
static bool near_text(const json_t *rule, const struct query *query, uint32_t reason, char *ret, size_t size)
{
	const char *direction = query->dir == EG_DIR_EGRESS ? "egress" : "ingress";
	const char *proto = json_string_value(json_object_get(rule, "proto"));
	bool port = proto && strcmp(proto, query->proto_text) == 0 && rule_has_port(rule, query->port);
	bool peer = rule_names(rule, query->dir == EG_DIR_EGRESS ? "to" : "from", query);
	char names[400];

	if (strcmp(json_string_value(json_object_get(rule, "direction")), direction) != 0)
		return false;
	if (port && (reason == EG_REASON_NO_GRANT || reason == EG_REASON_GRANT_EXPIRED)) {
		rule_name_list(rule, names, sizeof(names));
		snprintf(ret, size, "allows this port for addresses that the app learns from DNS for %s", names);
		return names[0] != '\0';
	}
	snprintf(ret, size, "%s", peer ? query->by_name ? "names it, for other ports or another protocol" :
							  "names the address, for other ports or another protocol" :
					 "names the port, for other addresses");
	return peer != port;
}

/* Rules that name the address for another service, or the service for other addresses. */
static json_t *nearest_json(const struct eg_applied *now, const struct query *query, uint32_t reason)
{
	json_t *rules = eg_rules_json(now), *list = json_array(), *rule;
	char why[512];
	size_t i;

	json_array_foreach(rules, i, rule) {
		if (json_array_size(list) < NEAREST_MAX && near_text(rule, query, reason, why, sizeof(why)))
			json_array_append_new(list, json_pack("{s:O,s:s}", "id", json_object_get(rule, "id"), "why",
							      why));
	}
	json_decref(rules);
	return list;
}

/* A cap that is used up refuses what the rules allow. */
static uint32_t used_up(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_question *question)
{
	for (size_t i = 0; entry->now && i < entry->now->meter_count; i++) {
		const struct eg_meter_conf *conf = &entry->now->meters[i].conf;
		uint64_t window, used;

		if (conf->kind == EG_METER_BYTES && conf->action != EG_CAP_ALERT &&
		    (conf->rule == EG_RULE_NONE || conf->rule == question->rule) &&
		    eg_usage_of(agent, entry->slot, conf, &window, &used) == 0 && used >= conf->limit)
			return conf->dir == EG_DIR_EGRESS ? EG_REASON_CAP_EGRESS : EG_REASON_CAP_INGRESS;
	}
	return EG_REASON_NONE;
}

/* Those that count what goes this way: the app's, and the rule's own. */
static json_t *caps_json(struct eg_agent *agent, const struct eg_entry *entry, const char *rule)
{
	json_t *caps = eg_caps_json(agent, entry);

	for (size_t i = json_array_size(caps); i-- > 0;) {
		const char *scope = json_string_value(json_object_get(json_array_get(caps, i), "scope"));

		if (strcmp(scope, "app") != 0 && (!rule || strcmp(scope, rule) != 0))
			json_array_remove(caps, i);
	}
	return caps;
}

#define CAUSES                                                                                                  \
	". Likely causes: the app remembers an address for longer than it is good; or it was looked up "        \
	"otherwise than by the app's own DNS query: through nscd, nss-resolve, /etc/hosts or DNS over HTTPS"

static char *sentence(const struct eg_entry *entry, const struct query *query, const struct eg_question *answer,
		      uint32_t reason, const char *rule)
{
	const char *verb = query->dir == EG_DIR_EGRESS ? "reach" : "be reached from";
	char *text;
	int n;

	if (reason == EG_REASON_NONE)
		n = asprintf(&text, "%s may %s %s over %s: rule \"%s\" allows it", entry->name, verb, query->dest,
			     query->proto_text, rule ? rule : "?");
	else
		n = asprintf(&text, "%s %s %s %s over %s: %s%s", entry->name,
			     answer->audited ? "may for now (audit)" : "may not", verb, query->dest, query->proto_text,
			     eg_reason_sentence(reason),
			     reason == EG_REASON_NO_GRANT || reason == EG_REASON_GRANT_EXPIRED ? CAUSES : "");
	return n < 0 ? NULL : text;
}

/* What an allowed flow still has to do. */
static const char *verify_name(uint32_t flags)
{
	return flags & EG_MATCH_SNI ? "verify-sni" : flags & EG_MATCH_CONNECT ? "verify-connect" : NULL;
}

static json_t *notes_json(const struct eg_question *answer)
{
	json_t *notes = json_array();

	if (answer->flags & EG_MATCH_SNI)
		json_array_append_new(notes, json_string("verify-sni: the ClientHello must name one of the rule's "
							 "names"));
	if (answer->flags & EG_MATCH_CONNECT)
		json_array_append_new(notes, json_string("verify-connect: the HTTP CONNECT must name one of the rule's "
							 "names"));
	return notes;
}

/* The grant that allows an address; null: none was needed. */
static json_t *way_json(struct eg_agent *agent, const struct eg_entry *entry, const struct query *query,
			const struct eg_question *answer)
{
	const struct eg_grant_key key = {
		.app = entry->slot, .gen = entry->gen, .addr = query->addr, .way = answer->way - 1,
	};

	return answer->way && !query->by_name ? eg_grant_json(agent, &key) : json_null();
}

/* Of an address; null: it is in none that has a name. */
static json_t *network_json(const struct eg_agent *agent, const struct query *query)
{
	const struct eg_config *config = eg_agent_config(agent);
	const struct eg_network *network = query->by_name ? NULL : eg_networks_find(config->networks, &query->addr);

	if (!network)
		return json_null();
	return json_pack("{s:s,s:s*,s:s*}", "name", network->name, "region", network->region[0] ? network->region : NULL,
			 "owner", network->owner[0] ? network->owner : NULL);
}

static json_t *explain_json(struct eg_agent *agent, const struct eg_entry *entry, const struct query *query,
			    const struct eg_question *answer)
{
	const struct eg_applied *now = entry->now;
	const char *rule = eg_applied_rule_id(now, answer->rule), *verdict;
	uint32_t reason = answer->reason;
	EG_FREE char *text = NULL;
	char peer[EG_NAME_SIZE + 1];
	struct eg_fix fix;

	if (reason == EG_REASON_NONE)
		reason = used_up(agent, entry, answer);
	fix = (struct eg_fix){reason, peer, query->port, query->proto, query->dir};
	verdict = reason == EG_REASON_NONE ? "allow" : answer->audited ? "audit" : "deny";
	if (query->by_name)
		eg_revname_text(query->name, peer);
	else
		eg_addr_to_text(&query->addr, peer);
	text = sentence(entry, query, answer, reason, rule);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s?,s:s?,s:s,s:o,s:o,s:o,s:o,s:s?,s:o,s:o,s:o}", "app", entry->name,
			 "dest", query->dest, "proto", query->proto_text, "direction",
			 query->dir == EG_DIR_EGRESS ? "egress" : "ingress", "verdict", verdict, "reason",
			 eg_reason_name(reason), "sentence", text, "rule", rule, "state",
			 eg_registry_state(agent, entry), "fix", eg_fix_json(&fix), "caps",
			 caps_json(agent, entry, rule), "expires",
			 now ? eg_time_json(now->expires_utc_ns) : json_null(), "nearest",
			 reason == EG_REASON_NONE ? json_array() : nearest_json(now, query, reason), "verify",
			 verify_name(answer->flags), "notes", notes_json(answer), "grant",
			 way_json(agent, entry, query, answer), "network", network_json(agent, query));
}

/* What DNS has to say about it. Without lock: a name's grants are found among all of the app. */
static int add_grants(struct eg_agent *agent, uint32_t slot, uint32_t gen, const struct query *query, json_t *answer)
{
	json_t *list;
	const char *verdict = json_string_value(json_object_get(answer, "verdict"));
	int r = 0;

	if (query->by_name)
		r = eg_grants_list(agent, slot, gen, query->name, &list);
	else if (query->dir == EG_DIR_EGRESS)
		list = eg_grants_of_address(agent, slot, gen, &query->addr);
	else
		list = json_array();
	if (r < 0)
		return r;
	if (query->by_name && !json_array_size(list) && strcmp(verdict, "deny") != 0)
		json_array_append_new(json_object_get(answer, "notes"),
				      json_string("no address is granted for this name now: the answer to the app's "
						  "own DNS query grants those that it has"));
	json_object_set_new(answer, "grants", list);
	return 0;
}

/* "self" is not for what somebody else has on the host's loopback. Under lock. */
static void take_back_self(struct eg_agent *agent, const struct eg_entry *entry, struct eg_question *answer)
{
	if (answer->reason != EG_REASON_NONE || answer->rule != EG_RULE_SELF)
		return;
	answer->rule = EG_RULE_NONE;
	answer->reason = answer->dir == EG_DIR_INGRESS ? EG_REASON_NO_INGRESS_RULE :
			 answer->prefix_seen	       ? EG_REASON_NO_RULE_PORT :
							 EG_REASON_LOOPBACK;
	answer->audited = strcmp(eg_registry_state(agent, entry), "audit") == 0;
}

int eg_agent_explain(struct eg_agent *agent, const char *app, const char *dest, const char *proto, const char *dir,
		     json_t **ret, struct eg_error *err)
{
	struct eg_question question = {0};
	const struct eg_entry *entry;
	json_t *answer = NULL;
	struct query query;
	bool others_loopback;
	uint32_t gen = 0;
	int r = query_parse(dest, proto, dir, &query, err);

	if (r < 0)
		return r;
	if (query.by_prefix) {
		const struct eg_prefix_query prefix = {dest,        query.cidr, query.port,
						       query.proto, query.dir,  query.proto_text};

		return eg_explain_prefix(agent, app, &prefix, ret, err);
	}
	others_loopback = !query.by_name && eg_loopback_addr(&query.addr) && !eg_loopback_own(agent, app, query.proto, query.port);
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry) {
		gen = entry->gen;
		question = (struct eg_question){
			.app = entry->slot,
			.dir = (uint8_t)query.dir,
			.proto = query.proto,
			.port = query.port,
			.peer = query.addr,
			.by_name = query.by_name,
		};
		memcpy(question.name, query.name, sizeof(question.name));
		r = eg_kern_explain(agent->kern, &question);
		if (!r && others_loopback)
			take_back_self(agent, entry, &question);
		answer = r < 0 ? NULL : explain_json(agent, entry, &query, &question);
	}
	pthread_mutex_unlock(&agent->lock);
	if (!entry)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	if (answer)
		r = add_grants(agent, question.app, gen, &query, answer);
	if (r < 0) {
		json_decref(answer);
		return eg_error_set(err, 500, "kernel", "The kernel could not be asked: %s.", strerror(-r));
	}
	*ret = answer;
	return 0;
}

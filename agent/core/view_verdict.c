// SPDX-License-Identifier: Apache-2.0
/*
 * view_verdict.c - why a destination is allowed or refused, and what was refused lately
 *
 * The verdict is the loaded program's own; only the hints around it (which rule comes near,
 * what to write) are found here, in the policy's text.
 */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/units.h"
#include "agent_impl.h"
#include "clock.h"
#include "netns.h"

static const struct {
	const char *name;
	uint8_t number;
} protos[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}};

static const char *proto_name(uint8_t number, char fallback[16])
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

/* The rule that would allow it, as text to paste. NULL where no rule can. */
static json_t *fix_json(uint32_t reason, const char *peer, uint16_t port, uint8_t proto, enum eg_dir dir)
{
	char fallback[16], text[256];
	const char *name = proto_name(proto, fallback);

	if (reason == EG_REASON_BIND_PORT) {
		snprintf(text, sizeof(text), "add to \"ingress\": {\"from\": [...], \"proto\": \"tcp\", \"ports\": [%u]}", port);
		return json_string(text);
	}
	if (reason != EG_REASON_NO_RULE && reason != EG_REASON_NO_RULE_PORT && reason != EG_REASON_NO_INGRESS_RULE &&
	    reason != EG_REASON_NETNS_GUARD)
		return json_null();
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
		snprintf(text, sizeof(text), "add to \"%s\": {\"%s\": [\"%s\"], \"proto\": \"%s\", \"ports\": [%u]}",
			 dir == EG_DIR_EGRESS ? "egress" : "ingress", dir == EG_DIR_EGRESS ? "to" : "from", peer, name,
			 port);
	else if (strcmp(name, "icmp") == 0)
		snprintf(text, sizeof(text), "add to \"%s\": {\"%s\": [\"%s\"], \"proto\": \"icmp\"}",
			 dir == EG_DIR_EGRESS ? "egress" : "ingress", dir == EG_DIR_EGRESS ? "to" : "from", peer);
	else
		return json_null();
	return json_string(text);
}

/* ---- Explain ----------------------------------------------------------------------------------- */

struct query {
	const char *dest;
	struct eg_addr addr;
	uint16_t port;
	uint8_t proto;
	enum eg_dir dir;
	const char *proto_text;
};

static int query_parse(const char *dest, const char *proto, const char *dir, struct query *ret, struct eg_error *err)
{
	*ret = (struct query){.dest = dest, .proto_text = proto ? proto : "tcp"};
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		if (strcmp(ret->proto_text, protos[i].name) == 0)
			ret->proto = protos[i].number;
	}
	if (!ret->proto)
		return eg_error_set(err, 400, "bad_query", "proto is tcp, udp or icmp, not \"%s\".", proto);
	if (dir && strcmp(dir, "egress") != 0 && strcmp(dir, "ingress") != 0)
		return eg_error_set(err, 400, "bad_query", "direction is egress or ingress, not \"%s\".", dir);
	ret->dir = dir && strcmp(dir, "ingress") == 0 ? EG_DIR_INGRESS : EG_DIR_EGRESS;
	if (!dest || eg_addr_port_from_text(dest, &ret->addr, &ret->port) < 0)
		return eg_error_set(err, 400, "bad_query",
				    "dest is ADDRESS:PORT, [ADDRESS]:PORT or (for icmp) ADDRESS, not \"%s\"; this version "
				    "does not look up names.",
				    dest ? dest : "");
	if (ret->proto != IPPROTO_ICMP && !ret->port)
		return eg_error_set(err, 400, "bad_query", "Say which port: %s:PORT.", dest);
	if (ret->proto == IPPROTO_ICMP) {
		ret->port = eg_addr_v4mapped(&ret->addr) ? 8 : 128; /* echo request */
		ret->proto = eg_addr_v4mapped(&ret->addr) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	}
	return 0;
}

static bool rule_names(const json_t *rule, const char *key, const struct eg_addr *addr)
{
	const struct eg_cidr wanted = {.addr = *addr, .bits = 128};
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rule, key), i, item) {
		struct eg_cidr cidr;

		if (json_is_string(item) && eg_cidr_from_text(json_string_value(item), &cidr) == 0 &&
		    eg_cidr_covers(&cidr, &wanted))
			return true;
	}
	return false;
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

/* Rules that name the address for another service, or the service for other addresses. */
static json_t *nearest_json(const struct eg_applied *now, const struct query *query)
{
	const char *direction = query->dir == EG_DIR_EGRESS ? "egress" : "ingress";
	json_t *rules = eg_rules_json(now), *list = json_array(), *rule;
	size_t i;

	json_array_foreach(rules, i, rule) {
		bool same_proto = strcmp(json_string_value(json_object_get(rule, "proto")) ?: "", query->proto_text) == 0;
		bool address = rule_names(rule, query->dir == EG_DIR_EGRESS ? "to" : "from", &query->addr);
		bool port = same_proto && rule_has_port(rule, query->port);

		if (strcmp(json_string_value(json_object_get(rule, "direction")), direction) != 0 ||
		    json_array_size(list) >= NEAREST_MAX || address == port)
			continue;
		json_array_append_new(list, json_pack("{s:O,s:s}", "id", json_object_get(rule, "id"), "why",
						      address ? "names the address, for other ports or another protocol" :
								"names the port, for other addresses"));
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

static json_t *explain_json(struct eg_agent *agent, const struct eg_entry *entry, const struct query *query,
			    const struct eg_question *answer)
{
	const struct eg_applied *now = entry->now;
	const char *rule = eg_applied_rule_id(now, answer->rule), *verdict;
	uint32_t reason = answer->reason;
	char peer[EG_ADDR_TEXT], sentence[400];

	if (reason == EG_REASON_NONE)
		reason = used_up(agent, entry, answer);
	verdict = reason == EG_REASON_NONE ? "allow" : answer->audited ? "audit" : "deny";
	eg_addr_to_text(&query->addr, peer);
	if (reason == EG_REASON_NONE)
		snprintf(sentence, sizeof(sentence), "%s may %s %s over %s: rule \"%s\" allows it", entry->name,
			 query->dir == EG_DIR_EGRESS ? "reach" : "be reached from", query->dest, query->proto_text,
			 rule ? rule : "?");
	else
		snprintf(sentence, sizeof(sentence), "%s %s %s %s over %s: %s", entry->name,
			 answer->audited ? "may for now (audit)" : "may not",
			 query->dir == EG_DIR_EGRESS ? "reach" : "be reached from", query->dest, query->proto_text,
			 eg_reason_sentence(reason));
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:o,s:o,s:o,s:o}", "app", entry->name, "dest", query->dest,
			 "proto", query->proto_text, "direction", query->dir == EG_DIR_EGRESS ? "egress" : "ingress",
			 "verdict", verdict, "reason", eg_reason_name(reason), "sentence", sentence, "rule",
			 rule ? json_string(rule) : json_null(), "state", eg_registry_state(agent, entry), "fix",
			 fix_json(reason, peer, query->port, query->proto, query->dir), "caps",
			 eg_caps_json(agent, entry), "expires", now ? eg_time_json(now->expires_utc_ns) : json_null(),
			 "nearest", reason == EG_REASON_NONE ? json_array() : nearest_json(now, query));
}

/* Whether some process of the app shares the agent's network namespace. */
static bool in_host_netns(struct eg_agent *agent, const char *app)
{
	EG_CLEANUP(eg_cleanup_netns_set) struct eg_netns_set set = {0};
	EG_CLOSE int self = eg_netns_open_self();
	EG_FREE uint64_t *ids = NULL;
	const struct eg_entry *entry;
	uint64_t inode = 0;
	size_t count = 0;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry && eg_tags_ids(agent, entry->slot, true, &ids, &count) < 0)
		count = 0;
	pthread_mutex_unlock(&agent->lock);
	for (size_t i = 0; i < count; i++) {
		EG_CLOSE int fd = eg_cgroupfs_open_id(agent->cgroupfs, ids[i]);

		if (fd >= 0)
			eg_netns_set_add_cgroup(&set, fd);
	}
	if (self < 0 || eg_netns_inode(self, &inode) < 0)
		return true;
	for (size_t i = 0; i < set.count; i++) {
		if (set.items[i].inode == inode)
			return true;
	}
	return false;
}

int eg_agent_explain(struct eg_agent *agent, const char *app, const char *dest, const char *proto, const char *dir,
		     json_t **ret, struct eg_error *err)
{
	struct eg_question question;
	const struct eg_entry *entry;
	struct query query;
	int r = query_parse(dest, proto, dir, &query, err);
	bool shared;

	if (r < 0)
		return r;
	shared = eg_addr_loopback(&query.addr) && in_host_netns(agent, app);
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (!entry) {
		pthread_mutex_unlock(&agent->lock);
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	}
	question = (struct eg_question){
		.app = entry->slot,
		.dir = (uint8_t)query.dir,
		.proto = query.proto,
		.port = query.port,
		.peer = query.addr,
		.host_netns = shared,
	};
	r = eg_kern_explain(agent->kern, &question);
	if (!r)
		*ret = explain_json(agent, entry, &query, &question);
	pthread_mutex_unlock(&agent->lock);
	return r < 0 ? eg_error_set(err, 500, "kernel", "The loaded program could not be asked: %s.", strerror(-r)) : 0;
}

/* ---- Denied -------------------------------------------------------------------------------------- */

struct denials {
	struct eg_agent *agent;
	uint64_t since_boot_ns;
	json_t *list;
};

static json_t *denial_json(const struct eg_entry *entry, const struct eg_denied *d, uint64_t offset)
{
	char peer[EG_ADDR_TEXT], comm[EG_COMM_LEN + 1] = "", fallback[16];

	memcpy(comm, d->comm, EG_COMM_LEN);
	for (char *c = comm; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	eg_addr_to_text(&d->peer, peer);
	return json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:i,s:i,s:s,s:b,s:o}", "app",
			 entry ? entry->name : "", "direction", d->dir == EG_DIR_EGRESS ? "egress" : "ingress", "peer",
			 peer, "port", (int)d->port, "proto", proto_name(d->proto, fallback), "reason",
			 eg_reason_name(d->reason), "sentence", eg_reason_sentence(d->reason), "count",
			 (json_int_t)d->count, "bytes", (json_int_t)d->bytes, "first",
			 eg_time_json(d->first_boot_ns + offset), "last", eg_time_json(d->last_boot_ns + offset), "pid",
			 (int)d->pid, "uid", (int)d->uid, "comm", comm, "audited", d->audited, "fix",
			 fix_json(d->reason, peer, d->port, d->proto, (enum eg_dir)d->dir));
}

static void add_denials(const struct denials *denials, uint32_t slot, const struct eg_entry *entry)
{
	struct eg_denied_tab tab;
	uint64_t offset = (uint64_t)eg_clock_utc_offset_ns();

	if (bpf_map_lookup_elem(eg_kern_map_fd(denials->agent->kern, EG_MAP_DENIED), &slot, &tab))
		return;
	for (size_t i = 0; i < EG_DENIED_SLOTS; i++) {
		if (tab.e[i].count && tab.e[i].last_boot_ns >= denials->since_boot_ns)
			json_array_append_new(denials->list, denial_json(entry, &tab.e[i], offset));
	}
}

static void denials_of(void *ctx, struct eg_entry *entry)
{
	add_denials(ctx, entry->slot, entry);
}

int eg_agent_denied(struct eg_agent *agent, const char *app, uint64_t since_ns, json_t **ret, struct eg_error *err)
{
	uint64_t now = eg_clock_boot_ns();
	struct denials denials = {.agent = agent, .since_boot_ns = since_ns && since_ns < now ? now - since_ns : 0};
	const struct eg_entry *entry = NULL;

	denials.list = json_array();
	if (app) {
		pthread_mutex_lock(&agent->lock);
		entry = eg_registry_find(agent, app);
		if (entry)
			add_denials(&denials, entry->slot, entry);
		pthread_mutex_unlock(&agent->lock);
		if (!entry) {
			json_decref(denials.list);
			return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
		}
	} else {
		add_denials(&denials, EG_APP_UNKNOWN, NULL);
		eg_apps_each(agent, denials_of, &denials);
	}
	*ret = json_pack("{s:o}", "denied", denials.list);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../lib/policy_impl.h"
#include "cli.h"

/* ---- Destinations: one peer, all its ports --------------------------------------------------- */

struct dest {
	const struct eg_seen_one *one; /* the first of them */
	const char *text; /* name or address */
	bool named;
	bool verify; /* "verify-sni", as the policy in force asks for it */
	unsigned *ports; /* sorted, each once */
	size_t port_count;
	char *service; /* of which rules are made: destinations with the same one share a rule */
	json_t *privates; /* addresses that the name had, and that are not public */
};

struct dests {
	struct dest *list;
	size_t count;
};

static void dests_clear(struct dests *dests)
{
	for (size_t i = 0; i < dests->count; i++) {
		free(dests->list[i].ports);
		free(dests->list[i].service);
		json_decref(dests->list[i].privates);
	}
	free(dests->list);
}

/* What was let through: by a rule, or by audit. */
static bool counts(const struct eg_seen_one *one)
{
	return !one->dns && !one->own && one->allowed + one->audited + one->spared > 0;
}

/* seen is sorted by name before address, so that the addresses of a name stand together. */
static bool same_dest(const struct eg_seen_one *a, const struct eg_seen_one *b)
{
	if (a->ingress != b->ingress || strcmp(a->proto, b->proto) != 0 || !a->name != !b->name)
		return false;
	return strcmp(a->name ? a->name : a->peer_text, b->name ? b->name : b->peer_text) == 0;
}

static int add_port(struct dest *dest, unsigned port)
{
	size_t at = 0;
	unsigned *ports;

	while (at < dest->port_count && dest->ports[at] < port)
		at++;
	if (at < dest->port_count && dest->ports[at] == port)
		return 0;
	ports = reallocarray(dest->ports, dest->port_count + 1, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	dest->ports = ports;
	memmove(ports + at + 1, ports + at, (dest->port_count - at) * sizeof(*ports));
	ports[at] = port;
	dest->port_count++;
	return 0;
}

/* Answers with such an address are granted only inside the rule's "private". */
static bool is_private(const struct eg_addr *addr)
{
	static const char *const ranges[] = {"10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16",
					     "100.64.0.0/10", "127.0.0.0/8",   "169.254.0.0/16",
					     "fc00::/7",      "fe80::/10",     "::1"};
	const struct eg_cidr inner = {.addr = *addr, .bits = 128};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct eg_cidr outer;

		if (!eg_cidr_from_text(ranges[i], &outer) && eg_cidr_covers(&outer, &inner))
			return true;
	}
	return false;
}

/* Whether a rule of the policy in force verifies that name. */
static bool was_verified(const json_t *base, const struct eg_seen_one *one)
{
	json_t *rule, *name;
	size_t i, j;

	json_array_foreach(json_object_get(base, "egress"), i, rule) {
		if (!json_object_get(rule, "tls") || !one->name || strcmp(one->proto, "tcp") != 0)
			continue;
		json_array_foreach(json_object_get(rule, "to"), j, name)
			if (eg_policy_name_covers(json_string_value(name), one->name))
				return true;
	}
	return false;
}

static int take(struct dests *dests, const json_t *base, const struct eg_seen_one *one)
{
	struct dest *dest = dests->count ? &dests->list[dests->count - 1] : NULL;
	int r;

	if (!dest || !same_dest(dest->one, one)) {
		struct dest *list = reallocarray(dests->list, dests->count + 1, sizeof(*list));

		if (!list)
			return -ENOMEM;
		dests->list = list;
		dest = &list[dests->count++];
		*dest = (struct dest){.one = one, .text = one->name ? one->name : one->peer_text, .named = one->name,
				      .verify = was_verified(base, one), .privates = json_array()};
	}
	r = add_port(dest, one->port);
	if (!r && dest->named && is_private(&one->peer))
		r = json_array_append_new(dest->privates, json_string(one->peer_text)) ? -ENOMEM : 0;
	return r;
}

/* ---- Services -------------------------------------------------------------------------------------- */

static bool is_icmp(const struct dest *dest)
{
	return strcmp(dest->one->proto, "icmp") == 0;
}

/* 443, or "8080-8090". Of ICMP the types, or NULL where that is echo, which needs none. */
static json_t *ports_json(const struct dest *dest)
{
	json_t *list = json_array();
	bool echo = true;

	for (size_t i = 0; i < dest->port_count;) {
		unsigned lo = dest->ports[i], hi = lo;

		echo = echo && (lo == 8 || lo == 128);
		for (i++; !is_icmp(dest) && i < dest->port_count && dest->ports[i] == hi + 1; i++)
			hi++;
		json_array_append_new(list, hi == lo ? json_integer(lo) : json_sprintf("%u-%u", lo, hi));
	}
	if (!is_icmp(dest) || !echo)
		return list;
	json_decref(list);
	return NULL;
}

static int describe(struct dests *dests)
{
	for (size_t i = 0; i < dests->count; i++) {
		struct dest *dest = &dests->list[i];
		EG_JSON json_t *ports = ports_json(dest);
		EG_FREE char *text = ports ? json_dumps(ports, JSON_COMPACT) : strdup("");

		if (!text || asprintf(&dest->service, "%d %d %s %d %d %s", dest->one->ingress, !dest->named,
				      dest->one->proto, dest->verify, json_array_size(dest->privates) > 0, text) < 0) {
			dest->service = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- Rules -------------------------------------------------------------------------------------------- */

/* "names-tcp-443", and a number behind it where that was given already. */
static void name_rule(const struct dest *dest, json_t *ids, char *ret, size_t size)
{
	const char *kind = dest->one->ingress ? "from" : dest->named ? "names" : "hosts";
	char stem[64];

	if (is_icmp(dest))
		snprintf(stem, sizeof(stem), "%s-icmp", kind);
	else
		snprintf(stem, sizeof(stem), "%s-%s-%u", kind, dest->one->proto, dest->ports[0]);
	snprintf(ret, size, "%s", stem);
	for (unsigned n = 2; json_object_get(ids, ret); n++)
		snprintf(ret, size, "%s-%u", stem, n);
	json_object_set_new(ids, ret, json_true());
}

static json_t *new_rule(const struct dest *dest, const char *id)
{
	json_t *ports = ports_json(dest);

	return json_pack("{s:s,s:[],s:s,s:o*,s:s*}", "id", id, dest->one->ingress ? "from" : "to", "proto",
			 dest->one->proto, is_icmp(dest) ? "types" : "ports", ports, "tls",
			 dest->verify ? "verify-sni" : NULL);
}

static void add_to(json_t *rule, const struct dest *dest)
{
	json_t *privates = json_object_get(rule, "private"), *address, *known;
	size_t i, j;

	json_array_append_new(json_object_get(rule, dest->one->ingress ? "from" : "to"), json_string(dest->text));
	if (!privates && json_array_size(dest->privates)) {
		privates = json_array();
		json_object_set_new(rule, "private", privates);
	}
	json_array_foreach(dest->privates, i, address) {
		bool there = false;

		json_array_foreach(privates, j, known)
			there |= json_equal(known, address);
		if (!there)
			json_array_append(privates, address);
	}
}

static void add_evidence(json_t *evidence, const char *id, const struct eg_seen *seen, const struct dest *dest)
{
	for (size_t i = 0; i < seen->count; i++) {
		const struct eg_seen_one *one = &seen->ones[i];

		if (counts(one) && same_dest(dest->one, one))
			json_array_append_new(evidence, json_pack("{s:s,s:s,s:s,s:s,s:i,s:s*,s:I,s:I,s:s,s:s}", "rule",
								  id, "direction", one->ingress ? "ingress" : "egress",
								  "proto", one->proto, "peer", one->peer_text, "port",
								  (int)one->port, "name", one->name, "flows",
								  (json_int_t)one->allowed + (json_int_t)one->audited, "bytes",
								  (json_int_t)one->bytes, "first", one->first, "last",
								  one->last));
	}
}

/* A rule for each service, in the order of its first destination. */
static void make_rules(const struct dests *dests, const struct eg_seen *seen, json_t *egress, json_t *ingress,
		       json_t *evidence)
{
	EG_JSON json_t *rules = json_object(), *ids = json_object();

	for (size_t i = 0; i < dests->count; i++) {
		const struct dest *dest = &dests->list[i];
		json_t *rule = json_object_get(rules, dest->service);
		char id[80];

		if (!rule) {
			name_rule(dest, ids, id, sizeof(id));
			rule = new_rule(dest, id);
			json_object_set_new(rules, dest->service, rule);
			json_array_append(dest->one->ingress ? ingress : egress, rule);
		}
		add_to(rule, dest);
		add_evidence(evidence, eg_json_text(rule, "id"), seen, dest);
	}
}

json_t *eg_suggest(const json_t *base, const struct eg_seen *seen, json_t **ret_evidence)
{
	EG_CLEANUP(dests_clear) struct dests dests = {0};
	EG_JSON json_t *egress = json_array(), *ingress = json_array(), *evidence = json_array();
	json_t *policy = json_deep_copy(base);
	int r = policy && egress && ingress && evidence ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < seen->count; i++)
		if (counts(&seen->ones[i]))
			r = take(&dests, base, &seen->ones[i]);
	if (!r)
		r = describe(&dests);
	if (r) {
		json_decref(policy);
		return NULL;
	}
	make_rules(&dests, seen, egress, ingress, evidence);
	json_object_del(policy, "egress");
	json_object_del(policy, "ingress");
	if (json_array_size(egress))
		json_object_set(policy, "egress", egress);
	if (json_array_size(ingress))
		json_object_set(policy, "ingress", ingress);
	json_object_set_new(policy, "mode", json_string("enforce"));
	*ret_evidence = EG_TAKE_PTR(evidence);
	return policy;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * policy_rule.c - rules of egress and ingress
 */
#include <netinet/in.h>
#include <string.h>

#include "policy_impl.h"

#define ID_MAX_LEN 64
#define ID_BYTES   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

#define FIELD(field) offsetof(struct eg_policy_rule, field)

/* ---- Readers of keys ------------------------------------------------------------------------------------ */

static void read_id(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	const char *fix = "Write 1 to 64 of A-Z a-z 0-9 . _ -";
	const char *text = eg_policy_string(reader, at, value, "a text", fix);
	char shown[EG_POLICY_SHOWN];

	if (!text)
		return;
	if (!*text || strlen(text) > ID_MAX_LEN || text[strspn(text, ID_BYTES)]) {
		eg_policy_error(reader, at, fix, "%s can't be the id of a rule", eg_policy_show(text, shown));
		return;
	}
	*(char **)into = strdup(text);
	if (!*(char **)into)
		eg_policy_no_memory(reader);
}

static void read_dests(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	eg_policy_read_dests(reader, at, value, into);
}

static void read_wrong_dests(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			     void *into)
{
	const struct eg_policy_rule *rule = into;
	bool egress = rule->dir == EG_DIR_EGRESS;

	(void)value;
	eg_policy_error_key(reader, at, egress ? "Write \"to\"" : "Write \"from\"",
			    egress ? "An egress rule says where the app may connect to" :
				     "An ingress rule says where connections may come from");
}

static void read_tls(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {"verify-sni"};

	if (eg_policy_choice(reader, at, value, names, 1) == 0)
		*(bool *)into = true;
}

static void read_http(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const names[] = {"verify-connect"};

	if (eg_policy_choice(reader, at, value, names, 1) == 0)
		*(bool *)into = true;
}

static void read_limits(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	eg_policy_read_limits(reader, at, value, into, true);
}

static const struct eg_policy_key egress_keys[] = {
	{"id", read_id, FIELD(id), 0},
	{"to", read_dests, 0, EG_POLICY_REQUIRED},
	{"proto", eg_policy_read_proto, 0, 0},
	{"ports", eg_policy_read_ports, 0, 0},
	{"types", eg_policy_read_types, 0, 0},
	{"tls", read_tls, FIELD(verify_sni), 0},
	{"http", read_http, FIELD(verify_connect), 0},
	{"private", eg_policy_read_private, 0, 0},
	{"prefetch", eg_policy_read_bool, FIELD(prefetch), 0},
	{"limits", read_limits, FIELD(limits), 0},
	{"from", read_wrong_dests, 0, EG_POLICY_REFUSED},
};

static const struct eg_policy_key ingress_keys[] = {
	{"id", read_id, FIELD(id), 0},
	{"from", read_dests, 0, EG_POLICY_REQUIRED},
	{"proto", eg_policy_read_proto, 0, 0},
	{"ports", eg_policy_read_ports, 0, 0},
	{"types", eg_policy_read_types, 0, 0},
	{"limits", read_limits, FIELD(limits), 0},
	{"to", read_wrong_dests, 0, EG_POLICY_REFUSED},
};

/* ---- Keys that need or exclude each other --------------------------------------------------------------- */

/* Speaks of the key, if it is there. */
static void refuse_key(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object,
		       const char *key, const char *fix, const char *why)
{
	const struct eg_policy_at here = {at, key, 0};

	if (json_object_get(object, key))
		eg_policy_error_key(reader, &here, fix, "%s", why);
}

static void check_self(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object)
{
	static const char *const keys[] = {"proto", "ports", "types", "tls", "http", "private", "prefetch", "limits"};

	for (size_t i = 0; i < EG_POLICY_COUNT(keys); i++)
		refuse_key(reader, at, object, keys[i], "Leave the key out",
			   "A rule for \"self\" is about all of the app's own loopback");
}

static void check_icmp(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object)
{
	refuse_key(reader, at, object, "ports", "Leave the key out, or give \"types\"", "ICMP has no ports");
	refuse_key(reader, at, object, "tls", "Leave the key out", "ICMP carries no TLS");
	refuse_key(reader, at, object, "http", "Leave the key out", "ICMP carries no HTTP");
}

static void check_ports(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object,
			const struct eg_policy_rule *rule)
{
	if (!json_object_get(object, "ports"))
		eg_policy_error(reader, at, "Add \"ports\": [443], or \"ports\": \"any\"",
				"The key \"ports\" is missing; TCP and UDP need it");
	refuse_key(reader, at, object, "types", "Leave the key out", "Only ICMP has types");
	if (rule->proto == IPPROTO_TCP)
		return;
	refuse_key(reader, at, object, "tls", "Leave the key out, or write \"proto\": \"tcp\"",
		   "\"verify-sni\" is for TCP only");
	refuse_key(reader, at, object, "http", "Leave the key out, or write \"proto\": \"tcp\"",
		   "\"verify-connect\" is for TCP only");
}

/* A rule of addresses alone. */
static void check_addresses(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object)
{
	refuse_key(reader, at, object, "tls", "Leave the key out, or give names",
		   "\"verify-sni\" needs DNS names in \"to\"");
	refuse_key(reader, at, object, "http", "Leave the key out, or give names",
		   "\"verify-connect\" needs the DNS names that a CONNECT may ask the proxy for in \"to\"");
	refuse_key(reader, at, object, "private", "Leave the key out, or give names",
		   "\"private\" is about the answers for DNS names, and \"to\" has none");
	refuse_key(reader, at, object, "prefetch", "Leave the key out, or give names",
		   "\"prefetch\" is about DNS names, and \"to\" has none");
}

static bool has_exact_name(const struct eg_policy_rule *rule)
{
	for (size_t i = 0; i < rule->name_count; i++)
		if (strncmp(rule->names[i], "*.", 2))
			return true;
	return false;
}

/* A rule with names. */
static void check_names(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object,
			const struct eg_policy_rule *rule)
{
	if (rule->verify_sni && rule->verify_connect)
		refuse_key(reader, at, object, "http", "Keep one; a rule for each, if both are meant",
			   "The first data of a connection can't be a ClientHello and a CONNECT");
	if (rule->prefetch && !has_exact_name(rule))
		refuse_key(reader, at, object, "prefetch", "Leave the key out, or give exact names",
			   "Nobody can look up a wildcard, and \"to\" has no other name");
	if (!rule->verify_connect || rule->proto != IPPROTO_TCP)
		return;
	if (!rule->cidr_count)
		refuse_key(reader, at, object, "http", "Add the proxy's address to \"to\"",
			   "\"verify-connect\" needs the addresses of the proxy in \"to\"");
	refuse_key(reader, at, object, "private", "Leave the key out", "It is the proxy that looks up the names of this rule");
	refuse_key(reader, at, object, "prefetch", "Leave the key out", "It is the proxy that looks up the names of this rule");
}

static void check_id(struct eg_policy_reader *reader, const struct eg_policy_at *at, const struct eg_policy_rule *rule)
{
	const struct eg_policy_at here = {at, "id", 0};

	if (rule->id && !strcmp(rule->id, "self"))
		eg_policy_error(reader, &here, "Choose another id", "In events \"self\" is the app's own loopback");
	if (rule->id && !strcmp(rule->id, "dns"))
		eg_policy_error(reader, &here, "Choose another id", "In events \"dns\" is what goes to the resolvers");
}

static void check_rule(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *object,
		       const struct eg_policy_rule *rule)
{
	if (rule->self && !rule->cidr_count && !rule->name_count) {
		check_self(reader, at, object);
		return;
	}
	check_id(reader, at, rule);
	if (!json_object_get(object, "proto"))
		eg_policy_error(reader, at, "Add \"proto\": \"tcp\", \"udp\" or \"icmp\"",
				"The key \"proto\" is missing");
	if (rule->proto == IPPROTO_ICMP)
		check_icmp(reader, at, object);
	else if (rule->proto)
		check_ports(reader, at, object, rule);
	if (rule->dir != EG_DIR_EGRESS)
		return;
	if (rule->name_count)
		check_names(reader, at, object, rule);
	else if (rule->cidr_count)
		check_addresses(reader, at, object);
}

/* ---- Rules ------------------------------------------------------------------------------------------------ */

static void read_rule(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      struct eg_policy_rule *rule)
{
	bool egress = rule->dir == EG_DIR_EGRESS;
	size_t errors = reader->errors;

	if (eg_policy_object(reader, at, value, egress ? egress_keys : ingress_keys,
			     egress ? EG_POLICY_COUNT(egress_keys) : EG_POLICY_COUNT(ingress_keys), rule))
		check_rule(reader, at, value, rule);
	if (!rule->id && reader->errors == errors && asprintf(&rule->id, "%s[%zu]", at->up->key, at->index) < 0) {
		rule->id = NULL;
		eg_policy_no_memory(reader);
	}
}

static void read_list(struct eg_policy_reader *reader, const json_t *list, enum eg_dir dir)
{
	const struct eg_policy_at at = {NULL, dir == EG_DIR_EGRESS ? "egress" : "ingress", 0};
	struct eg_policy *policy = reader->policy;

	for (size_t i = 0; i < json_array_size(list) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {&at, NULL, i};
		struct eg_policy_rule *rule = &policy->rules[policy->rule_count++];

		rule->dir = dir;
		read_rule(reader, &here, json_array_get(list, i), rule);
	}
}

/* "egress": [] reads as "nothing" to one and as "anything" to another; so it is refused. */
static bool check_list(struct eg_policy_reader *reader, const json_t *list, const char *key)
{
	const struct eg_policy_at at = {NULL, key, 0};
	char fix[128];

	if (!list || json_is_null(list))
		return true; /* null was reported */
	if (json_is_array(list) && !json_array_size(list)) {
		snprintf(fix, sizeof(fix), "Leave the key out: unset %s allows nothing", key);
		eg_policy_error(reader, &at, fix, "This list is empty");
		return false;
	}
	return eg_policy_list(reader, &at, list, EG_POLICY_RULES_MAX, "a list of rules", "Write [{...}]");
}

static int compare_ids(const void *a, const void *b)
{
	const struct eg_policy_rule *x = *(const struct eg_policy_rule *const *)a;
	const struct eg_policy_rule *y = *(const struct eg_policy_rule *const *)b;
	int order = strcmp(x->id, y->id);

	return order ? order : (x > y) - (x < y);
}

/* Ids name rules in events, so one name is one rule in both directions. */
static void check_ids(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;
	EG_FREE const struct eg_policy_rule **rules = calloc(policy->rule_count + 1, sizeof(*rules));
	size_t count = 0;

	if (!rules) {
		eg_policy_no_memory(reader);
		return;
	}
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].id)
			rules[count++] = &policy->rules[i];
	qsort(rules, count, sizeof(*rules), compare_ids);
	for (size_t i = 1; i < count && !eg_policy_full(reader); i++) {
		size_t n = (size_t)(rules[i] - policy->rules), first = (size_t)(rules[i - 1] - policy->rules);
		bool egress = n < policy->egress_count, first_egress = first < policy->egress_count;
		const struct eg_policy_at list = {NULL, egress ? "egress" : "ingress", 0};
		const struct eg_policy_at rule = {&list, NULL, egress ? n : n - policy->egress_count};
		const struct eg_policy_at at = {&rule, "id", 0};

		if (!strcmp(rules[i]->id, rules[i - 1]->id))
			eg_policy_error(reader, &at, "Give each rule an id of its own",
					"The id \"%s\" is that of %s[%zu] too", rules[i]->id,
					first_egress ? "egress" : "ingress",
					first_egress ? first : first - policy->egress_count);
	}
}

void eg_policy_read_rules(struct eg_policy_reader *reader, const json_t *egress, const json_t *ingress)
{
	bool good = check_list(reader, egress, "egress");
	struct eg_policy *policy = reader->policy;
	size_t count;

	if (!check_list(reader, ingress, "ingress") || !good)
		return;
	count = json_array_size(egress) + json_array_size(ingress);
	if (count > EG_POLICY_RULES_MAX) {
		eg_policy_error(reader, &(struct eg_policy_at){NULL, "ingress", 0}, "Merge rules",
				"There are %zu rules; at most %d are accepted", count, EG_POLICY_RULES_MAX);
		return;
	}
	policy->rules = calloc(count + 1, sizeof(*policy->rules));
	if (!policy->rules) {
		eg_policy_no_memory(reader);
		return;
	}
	read_list(reader, egress, EG_DIR_EGRESS);
	policy->egress_count = policy->rule_count;
	read_list(reader, ingress, EG_DIR_INGRESS);
	check_ids(reader);
}

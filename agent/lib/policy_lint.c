// SPDX-License-Identifier: Apache-2.0
/*
 * policy_lint.c - what is allowed to be written, and is seldom meant
 */
#include <netinet/in.h>
#include <string.h>

#include "policy_impl.h"

#define LONG_NS	     (60 * 24 * 3600 * 1000000000ull)
#define SHADOW_STEPS 4000000 /* comparisons that the search for shadowed rules may cost: about 20 ms */

/* ---- Destinations ----------------------------------------------------------------------------------------- */

enum {
	ALL4,
	ALL6,
	METADATA4,
	METADATA6,
	LOOPBACK4,
	LOOPBACK6,
	LINK4,
	LINK6,
	PRIVATE1,
	PRIVATE2,
	PRIVATE3,
	PRIVATE4,
	PRIVATE6,
	SPECIAL_COUNT
};

struct special {
	struct eg_cidr cidr;
	enum eg_lint lint;
	const char *fix;
	const char *message; /* behind the prefix */
};

static void fill_specials(struct special ret[SPECIAL_COUNT])
{
	static const char *const texts[] = {
		[ALL4] = "0.0.0.0/0",
		[ALL6] = "::/0",
		[METADATA4] = "169.254.169.254",
		[METADATA6] = "fd00:ec2::254",
		[LOOPBACK4] = "127.0.0.0/8",
		[LOOPBACK6] = "::1",
		[LINK4] = "169.254.0.0/16",
		[LINK6] = "fe80::/10",
		[PRIVATE1] = "10.0.0.0/8",
		[PRIVATE2] = "172.16.0.0/12",
		[PRIVATE3] = "192.168.0.0/16",
		[PRIVATE4] = "100.64.0.0/10",
		[PRIVATE6] = "fc00::/7",
	};

	for (size_t i = 0; i < SPECIAL_COUNT; i++) {
		eg_cidr_from_text(texts[i], &ret[i].cidr);
		switch (i) {
		case ALL4:
		case ALL6:
			ret[i].lint = EG_LINT_ANY_ADDRESS;
			ret[i].message = "allows every address of its family";
			ret[i].fix = "Name the networks that the app needs";
			break;
		case METADATA4:
		case METADATA6:
			ret[i].lint = EG_LINT_METADATA;
			ret[i].message = "holds the cloud's metadata service, which hands out credentials";
			ret[i].fix = "Leave it out, unless the app is to act as the host";
			break;
		case LINK4:
		case LINK6:
			ret[i].lint = EG_LINT_LINK_LOCAL;
			ret[i].message = "is link-local: whoever shares the link can have such an address";
			ret[i].fix = "Name an address of the network";
			break;
		case PRIVATE1 ... PRIVATE6:
			ret[i].lint = EG_LINT_PRIVATE_NETWORK;
			ret[i].message = "holds a whole private range: every host inside";
			ret[i].fix = "Name the networks that the app needs";
			break;
		default:
			ret[i].lint = EG_LINT_LOOPBACK;
			ret[i].message = "is the host's loopback: services there trust whoever reaches them";
			ret[i].fix = "Leave it out; \"self\", the app's own loopback, is on by default";
		}
	}
}

/* Elements of `to` that are addresses come in the order of rule->cidrs. */
static size_t element_of(const json_t *list, size_t cidr)
{
	struct eg_cidr unused;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!eg_cidr_from_text(json_string_value(json_array_get(list, i)), &unused) && cidr-- == 0)
			return i;
	return 0;
}

const json_t *eg_policy_rule_json(const struct eg_policy *policy, size_t number, struct eg_policy_at *ret_list,
				  struct eg_policy_at *ret_rule)
{
	bool egress = number < policy->egress_count;

	*ret_list = (struct eg_policy_at){NULL, egress ? "egress" : "ingress", 0};
	*ret_rule = (struct eg_policy_at){ret_list, NULL, egress ? number : number - policy->egress_count};
	return json_array_get(json_object_get(policy->json, ret_list->key), ret_rule->index);
}

/* Which special range it holds, or lies in where that is enough; SPECIAL_COUNT: none. */
static size_t special_of(const struct special *specials, const struct eg_cidr *cidr)
{
	for (size_t i = 0; i < SPECIAL_COUNT; i++)
		if (eg_cidr_covers(cidr, &specials[i].cidr) ||
		    (i >= LOOPBACK4 && i <= LINK6 && eg_cidr_covers(&specials[i].cidr, cidr)))
			return i;
	return SPECIAL_COUNT;
}

static bool is_wide(const struct eg_cidr *cidr)
{
	return eg_addr_v4mapped(&cidr->addr) && cidr->bits >= 96 ? cidr->bits < 96 + 8 : cidr->bits < 32;
}

static void lint_cidr(struct eg_policy_reader *reader, const struct special *specials, size_t number, size_t cidr)
{
	const struct eg_policy_rule *rule = &reader->policy->rules[number];
	const struct eg_cidr *here = &rule->cidrs[cidr];
	struct eg_policy_at list, at_rule, at_list, at;
	char text[EG_ADDR_TEXT];
	const json_t *json;
	size_t kind = special_of(specials, here);
	bool wide = is_wide(here) && kind > ALL6;

	if ((kind == SPECIAL_COUNT && !wide) || (rule->dir == EG_DIR_INGRESS && !wide && kind > ALL6))
		return;
	json = eg_policy_rule_json(reader->policy, number, &list, &at_rule);
	at_list = (struct eg_policy_at){&at_rule, rule->dir == EG_DIR_EGRESS ? "to" : "from", 0};
	at = (struct eg_policy_at){&at_list, NULL, element_of(json_object_get(json, at_list.key), cidr)};
	eg_cidr_to_text(here, text);
	if (wide)
		eg_policy_lint_add(reader, EG_LINT_WIDE_PREFIX, &at, "Name the networks that the app needs",
				   "%s is more than one network: whole regions of the Internet", text);
	if (kind < SPECIAL_COUNT && (rule->dir == EG_DIR_EGRESS || kind <= ALL6))
		eg_policy_lint_add(reader, specials[kind].lint, &at, specials[kind].fix, "%s %s", text,
				   specials[kind].message);
}

static void lint_dests(struct eg_policy_reader *reader)
{
	struct special specials[SPECIAL_COUNT];

	fill_specials(specials);
	for (size_t i = 0; i < reader->policy->rule_count; i++)
		for (size_t j = 0; j < reader->policy->rules[i].cidr_count && !eg_policy_full(reader); j++)
			lint_cidr(reader, specials, i, j);
}

/* ---- Shadowed rules ---------------------------------------------------------------------------------------- */

static bool has_cidr(const struct eg_policy_rule *rule, const struct eg_cidr *cidr, size_t *steps)
{
	for (size_t i = 0; i < rule->cidr_count; i++, ++*steps)
		if (eg_cidr_covers(&rule->cidrs[i], cidr))
			return true;
	return false;
}

bool eg_policy_name_covers(const char *wildcard, const char *name)
{
	const char *below = wildcard + 1; /* with its dot */
	size_t len = strlen(name), tail = strlen(below);

	return !strcmp(wildcard, name) ||
	       (!strncmp(wildcard, "*.", 2) && len > tail && !strcmp(name + len - tail, below));
}

static bool has_name(const struct eg_policy_rule *rule, const char *name, size_t *steps)
{
	for (size_t i = 0; i < rule->name_count; i++, ++*steps)
		if (eg_policy_name_covers(rule->names[i], name))
			return true;
	return false;
}

/* Several ranges may cover it together. */
static bool has_ports(const struct eg_policy_rule *rule, struct eg_policy_ports ports, size_t *steps)
{
	uint32_t lo = ports.lo;
	bool found = true;

	while (found && lo <= ports.hi) {
		found = false;
		for (size_t i = 0; i < rule->port_count; i++, ++*steps)
			if (rule->ports[i].lo <= lo && rule->ports[i].hi >= lo) {
				lo = rule->ports[i].hi + 1u;
				found = true;
			}
	}
	return found;
}

static bool has_types(const struct eg_policy_rule *rule, const struct eg_policy_rule *inner)
{
	if (rule->types_any || inner->types_any)
		return rule->types_any;
	if (!inner->type_count)
		return !rule->type_count;
	for (size_t i = 0; i < inner->type_count; i++)
		if (!memchr(rule->types, inner->types[i], rule->type_count))
			return false;
	return true;
}

/* Whether `rule` alone allows all that `inner` does. */
static bool has_rule(const struct eg_policy_rule *rule, const struct eg_policy_rule *inner, size_t *steps)
{
	++*steps;
	if (rule->dir != inner->dir || rule->proto != inner->proto || rule->verify_sni > inner->verify_sni ||
	    rule->verify_connect != inner->verify_connect || rule->prefetch < inner->prefetch ||
	    (inner->private_count && inner->name_count))
		return false;
	if (inner->proto == IPPROTO_ICMP && !has_types(rule, inner))
		return false;
	for (size_t i = 0; i < inner->cidr_count; i++)
		if (*steps >= SHADOW_STEPS || !has_cidr(rule, &inner->cidrs[i], steps))
			return false;
	for (size_t i = 0; i < inner->name_count; i++)
		if (*steps >= SHADOW_STEPS || !has_name(rule, inner->names[i], steps))
			return false;
	for (size_t i = 0; i < inner->port_count; i++)
		if (*steps >= SHADOW_STEPS || !has_ports(rule, inner->ports[i], steps))
			return false;
	return true;
}

/* Quadratic, so it ends when it has cost enough: what is missing then is advice. */
static void lint_shadows(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;
	size_t steps = 0;

	for (size_t i = 1; i < policy->rule_count && !eg_policy_full(reader); i++) {
		struct eg_policy_at list, at;
		size_t j = i < policy->egress_count ? 0 : policy->egress_count;

		while (j < i && steps < SHADOW_STEPS && !has_rule(&policy->rules[j], &policy->rules[i], &steps))
			j++;
		if (steps >= SHADOW_STEPS)
			return;
		if (j == i)
			continue;
		eg_policy_rule_json(policy, i, &list, &at);
		eg_policy_lint_add(reader,
				   has_rule(&policy->rules[i], &policy->rules[j], &steps) ? EG_LINT_RULE_DUPLICATE :
											    EG_LINT_RULE_SHADOWED,
				   &at, "Drop it, or put it first if it is to count its own traffic",
				   "Rule %s allows nothing that %s before it doesn't, so it is never used",
				   policy->rules[i].id, policy->rules[j].id);
	}
}

/* ---- What is missing ----------------------------------------------------------------------------------------- */

static bool capped(const struct eg_policy *policy)
{
	bool all = policy->egress_count > 0;

	for (size_t i = 0; i < policy->egress_count; i++)
		all &= policy->rules[i].self || policy->rules[i].limits.egress_count;
	return all || policy->limits.egress_count;
}

static void lint_missing(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;

	if (!policy->owner)
		eg_policy_lint_add(reader, EG_LINT_NO_OWNER, NULL, "Add \"owner\"",
				   "No owner is named: nobody to ask when it is cut off");
	if (!policy->ticket)
		eg_policy_lint_add(reader, EG_LINT_NO_TICKET, NULL, "Add \"ticket\"",
				   "No ticket is named: nobody sees who approved this");
	if (!policy->cgroup_count)
		eg_policy_lint_add(reader, EG_LINT_NO_CGROUPS, NULL,
				   "Add \"cgroups\", or tag the app's cgroup when it starts",
				   "No cgroups are named: the policy takes hold of nothing by itself");
	if (policy->egress_count && !capped(policy))
		eg_policy_lint_add(reader, EG_LINT_NO_CAP, NULL,
			       "Add \"limits\": {\"egress\": {\"bytes\": \"50MiB\", \"per\": \"1h\", \"action\": \"drop\"}}",
			       "No cap on egress: what the app may reach, it may send any amount to");
}

static void lint_ports(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;

	for (size_t i = 0; i < policy->egress_count && !eg_policy_full(reader); i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];
		struct eg_policy_at list, at_rule, at = {&at_rule, "ports", 0};
		bool any = false;

		for (size_t j = 0; j < rule->port_count; j++)
			any |= rule->ports[j].lo <= 1 && rule->ports[j].hi == 65535;
		if (!any)
			continue;
		eg_policy_rule_json(policy, i, &list, &at_rule);
		eg_policy_lint_add(reader, EG_LINT_ANY_PORT, &at, "Name the ports that the app needs",
				   "Rule %s allows every port, DNS and SSH among them", rule->id);
	}
}

void eg_policy_lint_lifetime(const struct eg_policy *policy, const char *text, size_t len, uint64_t now_utc_ns,
			     struct eg_diags *diags)
{
	struct eg_policy_reader reader = {.policy = (struct eg_policy *)policy};
	const struct eg_policy_at at = {NULL, "expires", 0};

	if (policy->expires_utc_ns <= now_utc_ns || policy->expires_utc_ns - now_utc_ns <= LONG_NS)
		return;
	eg_policy_lint_add(&reader, EG_LINT_LONG_EXPIRY, &at, "Write an earlier moment, and renew it",
			   "It expires in more than 60 days: nobody looks at it until then");
	eg_policy_report(&reader, false, text, len, diags);
}

void eg_policy_lint(const struct eg_policy *policy, const char *text, size_t len, struct eg_diags *diags)
{
	struct eg_policy_reader reader = {.policy = (struct eg_policy *)policy}; /* which nothing here changes */

	lint_missing(&reader);
	lint_dests(&reader);
	lint_ports(&reader);
	eg_policy_lint_names(&reader);
	lint_shadows(&reader);
	eg_policy_report(&reader, false, text, len, diags);
}

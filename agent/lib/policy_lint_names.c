// SPDX-License-Identifier: Apache-2.0
/*
 * policy_lint_names.c - names that say more than their writer meant, or that another rule opens
 */
#include <netinet/in.h>
#include <string.h>

#include "policy_impl.h"

#define STEPS 2000000 /* comparisons that the search for what defeats a check may cost, as in policy_lint.c */

/* ---- Names that anybody can have ------------------------------------------------------------------------- */

/*
 * A few of the suffixes below which anybody can register (publicsuffix.org has thousands):
 * those where clouds and hosters put their customers, and country codes with a second level.
 */
static const char *const shared_suffixes[] = {
	"ac.jp",
	"ac.nz",
	"ac.uk",
	"ac.za",
	"co.id",
	"co.il",
	"co.in",
	"co.jp",
	"co.ke",
	"co.kr",
	"co.nz",
	"co.th",
	"co.uk",
	"co.za",
	"com.ar",
	"com.au",
	"com.bd",
	"com.br",
	"com.cn",
	"com.co",
	"com.eg",
	"com.hk",
	"com.mx",
	"com.my",
	"com.ng",
	"com.pe",
	"com.ph",
	"com.pk",
	"com.pl",
	"com.sa",
	"com.sg",
	"com.tr",
	"com.tw",
	"com.ua",
	"com.vn",
	"edu.au",
	"edu.cn",
	"go.jp",
	"go.kr",
	"gob.mx",
	"gov.au",
	"gov.br",
	"gov.in",
	"gov.uk",
	"ltd.uk",
	"me.uk",
	"ne.jp",
	"net.au",
	"net.br",
	"net.cn",
	"net.in",
	"net.uk",
	"nhs.uk",
	"or.jp",
	"or.kr",
	"org.au",
	"org.br",
	"org.cn",
	"org.in",
	"org.nz",
	"org.uk",
	"org.za",
	"plc.uk",
	"sch.uk",
	"akamaized.net",
	"amazonaws.com",
	"appspot.com",
	"azureedge.net",
	"azurefd.net",
	"azurewebsites.net",
	"blob.core.windows.net",
	"blogspot.com",
	"cloudapp.net",
	"cloudfront.net",
	"cloudfunctions.net",
	"core.windows.net",
	"digitaloceanspaces.com",
	"edgekey.net",
	"fastly.net",
	"firebaseapp.com",
	"fly.dev",
	"github.io",
	"githubusercontent.com",
	"gitlab.io",
	"herokuapp.com",
	"netlify.app",
	"ngrok.io",
	"onrender.com",
	"pages.dev",
	"r2.dev",
	"run.app",
	"s3.amazonaws.com",
	"storage.googleapis.com",
	"trafficmanager.net",
	"vercel.app",
	"web.app",
	"windows.net",
	"workers.dev",
};

static bool is_shared(const char *suffix)
{
	if (!strchr(suffix, '.'))
		return true;
	for (size_t i = 0; i < EG_POLICY_COUNT(shared_suffixes); i++)
		if (!strcmp(suffix, shared_suffixes[i]))
			return true;
	return false;
}

/* Elements of `to` that are names come in the order of rule->names. */
static size_t element_of(const json_t *list, size_t name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct eg_cidr unused;

		if (eg_cidr_from_text(json_string_value(json_array_get(list, i)), &unused) && name-- == 0)
			return i;
	}
	return 0;
}

static void lint_wildcards(struct eg_policy_reader *reader, size_t number)
{
	const struct eg_policy_rule *rule = &reader->policy->rules[number];
	struct eg_policy_at list, at_rule, at_to = {&at_rule, "to", 0};

	for (size_t i = 0; i < rule->name_count && !eg_policy_full(reader); i++) {
		const char *name = rule->names[i];
		struct eg_policy_at at = {&at_to, NULL, 0};
		const json_t *json;

		if (strncmp(name, "*.", 2) || !is_shared(name + 2))
			continue;
		json = eg_policy_rule_json(reader->policy, number, &list, &at_rule);
		at.index = element_of(json_object_get(json, "to"), i);
		eg_policy_lint_add(reader, EG_LINT_PUBLIC_SUFFIX, &at, "Name the hosts that the app needs",
			       "\"%s\" is everybody's: whoever registers a name below %s can be reached", name, name + 2);
	}
}

/* ---- Private answers ---------------------------------------------------------------------------------------- */

static const char *const metadata[] = {"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16",
				       "fd00:ec2::254"};

static void lint_privates(struct eg_policy_reader *reader, size_t number)
{
	const struct eg_policy_rule *rule = &reader->policy->rules[number];
	struct eg_policy_at list, at_rule, at_private = {&at_rule, "private", 0};

	if (rule->private_count)
		eg_policy_rule_json(reader->policy, number, &list, &at_rule);
	for (size_t i = 0; i < rule->private_count && !eg_policy_full(reader); i++) {
		const struct eg_policy_at at = {&at_private, NULL, i};
		char text[EG_ADDR_TEXT];
		struct eg_cidr cidr;
		size_t j = 0;

		while (j < EG_POLICY_COUNT(metadata) &&
		       (eg_cidr_from_text(metadata[j], &cidr) || !eg_cidr_covers(&rule->privates[i], &cidr)))
			j++;
		if (j < EG_POLICY_COUNT(metadata))
			eg_policy_lint_add(reader, EG_LINT_PRIVATE_METADATA, &at,
					   "Leave it out, or name the networks without it",
					   "%s holds %s, a cloud's metadata service, which is never granted to a name",
					   eg_cidr_to_text(&rule->privates[i], text), metadata[j]);
	}
}

/* ---- Rules that open what another one verifies -------------------------------------------------------------- */

static bool shares_port(const struct eg_policy_rule *a, const struct eg_policy_rule *b)
{
	for (size_t i = 0; i < a->port_count; i++)
		for (size_t j = 0; j < b->port_count; j++)
			if (a->ports[i].lo <= b->ports[j].hi && b->ports[j].lo <= a->ports[i].hi)
				return true;
	return false;
}

static bool is_for_all(const struct eg_policy_rule *rule)
{
	for (size_t i = 0; i < rule->cidr_count; i++)
		if (!rule->cidrs[i].bits || (rule->cidrs[i].bits == 96 && eg_addr_v4mapped(&rule->cidrs[i].addr)))
			return true;
	return false;
}

static bool has_name(const struct eg_policy_rule *open, const struct eg_policy_rule *rule, size_t *steps)
{
	for (size_t i = 0; i < open->name_count && *steps < STEPS; i++)
		for (size_t j = 0; j < rule->name_count; j++, ++*steps)
			if (eg_policy_name_covers(open->names[i], rule->names[j]))
				return true;
	return false;
}

/* Whether what answers for the names may hold, or the rule's own prefixes, overlaps with a prefix of the other. */
static bool has_address(const struct eg_policy_rule *open, const struct eg_policy_rule *rule, size_t *steps)
{
	for (size_t i = 0; i < open->cidr_count && *steps < STEPS; i++) {
		for (size_t j = 0; j < rule->private_count; j++, ++*steps)
			if (eg_cidr_covers(&open->cidrs[i], &rule->privates[j]) ||
			    eg_cidr_covers(&rule->privates[j], &open->cidrs[i]))
				return true;
		for (size_t j = 0; j < rule->cidr_count; j++, ++*steps)
			if (eg_cidr_covers(&open->cidrs[i], &rule->cidrs[j]))
				return true;
	}
	return false;
}

/* Any rule that allows is enough: what every address, or the same name, may have needs no ClientHello. */
static void lint_defeated(struct eg_policy_reader *reader, size_t number, size_t *steps)
{
	const struct eg_policy *policy = reader->policy;
	const struct eg_policy_rule *open = &policy->rules[number];
	bool all = is_for_all(open);
	struct eg_policy_at list, at;

	if (open->proto != IPPROTO_TCP || open->verify_sni || open->verify_connect)
		return;
	for (size_t i = 0; i < policy->egress_count && *steps < STEPS; i++, ++*steps) {
		const struct eg_policy_rule *rule = &policy->rules[i];
		bool sure = all || (rule->verify_sni && has_name(open, rule, steps));

		if (!rule->verify_sni || !shares_port(open, rule) || (!sure && !has_address(open, rule, steps)))
			continue;
		eg_policy_rule_json(policy, number, &list, &at);
		if (sure)
			eg_policy_lint_add(reader, EG_LINT_SNI_DEFEATED, &at,
					   "Name other ports or names, or the networks that the app needs",
					   "Rule %s allows %s, so what %s says about \"verify-sni\" is never asked",
					   open->id, all ? "every address" : "the same name", rule->id);
		else
			eg_policy_lint_add(
				reader, EG_LINT_SNI_OPEN, &at,
				"Name other ports, or addresses beside those of the names",
				"Rule %s allows addresses that %s may have: there \"verify-sni\" is not asked",
				open->id, rule->id);
		return;
	}
}

static bool has_names(const struct eg_policy *policy)
{
	for (size_t i = 0; i < policy->egress_count; i++)
		if (policy->rules[i].name_count && !policy->rules[i].verify_connect)
			return true;
	return false;
}

static void lint_resolving(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;
	const struct eg_policy_at dns = {NULL, "dns", 0}, *at = policy->dns.set ? &dns : NULL;

	if (!has_names(policy))
		return;
	if (!policy->dns.resolver_count)
		eg_policy_lint_add(
			reader, EG_LINT_DNS_HOST_RESOLVER, at, "Add \"dns\": {\"resolvers\": [...]} to be sure whom",
			"There are names and no resolvers: the host's own are asked, and without any it is an error");
	if (!policy->dns.ask_only_count)
		eg_policy_lint_add(reader, EG_LINT_SEARCH_LIST, at,
				   "Add \"ask_only\" to \"dns\", with the suffixes of that list",
				   "Where resolv.conf has a search list, a look-up may end at a name that is refused");
}

static void lint_nothing_to_ask(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;
	const struct eg_policy_at at = {NULL, "dns", 0};

	for (size_t i = 0; i < policy->egress_count; i++)
		if (policy->rules[i].name_count)
			return;
	if (policy->dns.set && !policy->dns.ask_only_count && policy->mode != EG_MODE_AUDIT)
		eg_policy_lint_add(reader, EG_LINT_DNS_UNUSED, &at,
				   "Leave the key out, or name what may be asked in a rule or in \"ask_only\"",
				   "No rule has names, so the resolvers may be asked for nothing");
}

void eg_policy_lint_names(struct eg_policy_reader *reader)
{
	size_t steps = 0;

	for (size_t i = 0; i < reader->policy->egress_count && !eg_policy_full(reader); i++) {
		lint_wildcards(reader, i);
		lint_privates(reader, i);
		lint_defeated(reader, i, &steps);
	}
	lint_nothing_to_ask(reader);
	lint_resolving(reader);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * policy_lint_names.c - names that say more than their writer meant, or that another rule opens
 */
#include <netinet/in.h>
#include <string.h>

#include "policy_impl.h"

/* ---- Names that anybody can have ------------------------------------------------------------------------- */

/*
 * A few of the suffixes below which anybody can register (publicsuffix.org has thousands):
 * those where clouds and hosters put their customers, and country codes with a second level.
 */
static const char *const shared_suffixes[] = {
	"ac.uk", "co.uk", "gov.uk", "org.uk", "com.au", "net.au", "org.au", "co.jp", "ne.jp", "or.jp", "com.br", "co.in",
	"co.kr", "co.nz", "co.za", "com.cn", "com.mx", "com.sg", "com.tr", "com.tw", "akamaized.net", "amazonaws.com",
	"appspot.com", "azureedge.net", "azurefd.net", "azurewebsites.net", "blob.core.windows.net", "blogspot.com",
	"cloudapp.net", "cloudfront.net", "cloudfunctions.net", "core.windows.net", "digitaloceanspaces.com",
	"edgekey.net", "fastly.net", "firebaseapp.com", "fly.dev", "github.io", "githubusercontent.com", "gitlab.io",
	"herokuapp.com", "netlify.app", "ngrok.io", "onrender.com", "pages.dev", "r2.dev", "run.app", "s3.amazonaws.com",
	"storage.googleapis.com", "trafficmanager.net", "vercel.app", "web.app", "windows.net", "workers.dev",
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
		eg_policy_warn(reader, &at, "Name the hosts that the app needs",
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
			eg_policy_warn(reader, &at, "Leave it out, or name the networks without it",
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

/* Any rule that allows is enough: what every address may have needs no ClientHello. */
static void lint_defeated(struct eg_policy_reader *reader, size_t number)
{
	const struct eg_policy *policy = reader->policy;
	const struct eg_policy_rule *open = &policy->rules[number];
	struct eg_policy_at list, at;

	if (open->proto != IPPROTO_TCP || open->verify_sni || open->verify_connect || !is_for_all(open))
		return;
	for (size_t i = 0; i < policy->egress_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (!rule->verify_sni || !shares_port(open, rule))
			continue;
		eg_policy_rule_json(policy, number, &list, &at);
		eg_policy_warn(reader, &at, "Name other ports, or the networks that the app needs",
			       "Rule %s allows every address, so what %s says about \"verify-sni\" is never asked", open->id,
			       rule->id);
		return;
	}
}

static void lint_nothing_to_ask(struct eg_policy_reader *reader)
{
	const struct eg_policy *policy = reader->policy;
	const struct eg_policy_at at = {NULL, "dns", 0};

	for (size_t i = 0; i < policy->egress_count; i++)
		if (policy->rules[i].name_count)
			return;
	if (policy->dns.set && !policy->dns.ask_only_count)
		eg_policy_warn(reader, &at, "Leave the key out, or name what may be asked in a rule or in \"ask_only\"",
			       "No rule has names, so the resolvers may be asked for nothing");
}

void eg_policy_lint_names(struct eg_policy_reader *reader)
{
	for (size_t i = 0; i < reader->policy->egress_count && !eg_policy_full(reader); i++) {
		lint_wildcards(reader, i);
		lint_privates(reader, i);
		lint_defeated(reader, i);
	}
	lint_nothing_to_ask(reader);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * guardrails.c - read from the configuration, held against policies, put into them
 *
 * Destinations and rules are written as in a policy, so they are read as one: a policy of nobody,
 * made up around them.
 */
#include "guardrails.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/units.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define DAY_NS	     (86400 * UINT64_C(1000000000))
#define DAYS_MAX     3650

static const struct word {
	const char *text;
	uint32_t demand;
} required[] = {
	{"cap", EG_DEMAND_CAP},
	{"verify-sni", EG_DEMAND_VERIFY_SNI},
	{"owner", EG_DEMAND_OWNER},
	{"ticket", EG_DEMAND_TICKET},
}, forbidden[] = {
	{"audit", EG_DEMAND_NO_AUDIT},
	{"raw_sockets", EG_DEMAND_NO_RAW_SOCKETS},
	{"allow_netns_admin", EG_DEMAND_NO_NETNS_ADMIN},
};

/* ---- Rules ---------------------------------------------------------------------------------------------- */

/* Takes egress. The error's first sentence, behind the key. */
static int read_rules(const char *key, json_t *egress, struct eg_policy **ret, char *why, size_t size)
{
	EG_CLEANUP(eg_diags_clear) struct eg_diags diags = {0};
	json_t *policy = json_pack("{s:i,s:s,s:s,s:o}", "version", EG_POLICY_VERSION, "app", "guardrails", "expires",
				   "2500-01-01T00:00:00Z", "egress", egress);
	EG_FREE char *text = policy ? json_dumps(policy, JSON_COMPACT) : NULL;
	int r = text ? eg_policy_parse(NULL, text, strlen(text), ret, &diags) : -ENOMEM;

	json_decref(policy);
	for (size_t i = 0; r == -EINVAL && i < diags.count; i++) {
		if (diags.items[i].level != EG_DIAG_ERROR)
			continue;
		snprintf(why, size, "%s: %s: %s (%s)", key, diags.items[i].path, diags.items[i].message, diags.items[i].fix);
		break;
	}
	return r;
}

static int read_allow(const json_t *value, struct eg_guardrails *ret, char *why, size_t size)
{
	int r = read_rules("always_allow", json_deep_copy(value), &ret->allow, why, size);

	for (size_t i = 0; !r && i < ret->allow->rule_count; i++) {
		if (!ret->allow->rules[i].self && !ret->allow->rules[i].limits.egress_count &&
		    !ret->allow->rules[i].limits.ingress_count && !ret->allow->rules[i].limits.new_flows)
			continue;
		snprintf(why, size, "always_allow[%zu]: \"self\" and limits are a policy's own business", i);
		r = -EINVAL;
	}
	return r;
}

static int read_deny(const json_t *value, struct eg_guardrails *ret, char *why, size_t size)
{
	json_t *rule = json_pack("{s:O,s:s,s:s}", "to", value, "proto", "tcp", "ports", "any");
	int r = read_rules("always_deny", json_pack("[o]", rule), &ret->denied, why, size);
	const struct eg_policy_rule *all;

	if (r)
		return r;
	all = &ret->denied->rules[0];
	if (all->self) {
		snprintf(why, size, "always_deny: \"self\" is turned off by a policy (\"self\": false), not here");
		return -EINVAL;
	}
	ret->deny = (struct eg_policy_guard){
		.cidrs = all->cidrs,
		.cidr_count = all->cidr_count,
		.names = all->names,
		.name_count = all->name_count,
	};
	return 0;
}

/* ---- Ceilings -------------------------------------------------------------------------------------------- */

static int read_words(const char *key, const json_t *list, const struct word *words, size_t count, uint32_t *demands,
		      char *why, size_t size)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		size_t w = 0;

		while (w < count && (!text || strcmp(text, words[w].text) != 0))
			w++;
		if (w == count) {
			snprintf(why, size, "%s: \"%s\" is not known; there are \"%s\", \"%s\" and others, see egretd(8)", key,
				 text ? text : "?", words[0].text, words[1].text);
			return -EINVAL;
		}
		*demands |= words[w].demand;
	}
	return 0;
}

static int read_ceiling_key(const char *key, const json_t *value, struct eg_ceiling *ret, char *why, size_t size)
{
	char text[200];

	if (!strcmp(key, "labels") && json_is_string(value)) {
		if (!eg_labels_parse(json_string_value(value), &ret->labels, text, sizeof(text)))
			return 0;
		snprintf(why, size, "ceilings: labels: %s", text);
		return -EINVAL;
	}
	if (!strcmp(key, "require") && json_is_array(value))
		return read_words("ceilings: require", value, required, COUNT(required), &ret->demands, why, size);
	if (!strcmp(key, "forbid") && json_is_array(value))
		return read_words("ceilings: forbid", value, forbidden, COUNT(forbidden), &ret->demands, why, size);
	if (!strcmp(key, "max_lifetime_days") && json_integer_value(value) > 0 && json_integer_value(value) <= DAYS_MAX) {
		ret->max_lifetime_ns = (uint64_t)json_integer_value(value) * DAY_NS;
		return 0;
	}
	snprintf(why, size, "ceilings: \"%s\": there are \"labels\" (a selector), \"require\" and \"forbid\" (lists) and "
			    "\"max_lifetime_days\" (1 to %d)", key, DAYS_MAX);
	return -EINVAL;
}

static int read_ceilings(const json_t *value, struct eg_guardrails *ret, char *why, size_t size)
{
	size_t count = json_array_size(value);
	int r = 0;

	if (!json_is_array(value) || count > EG_CEILINGS_MAX) {
		snprintf(why, size, "ceilings: a list is wanted, of at most %d", EG_CEILINGS_MAX);
		return -EINVAL;
	}
	ret->ceilings = calloc(count + 1, sizeof(*ret->ceilings));
	if (!ret->ceilings)
		return -ENOMEM;
	for (size_t i = 0; !r && i < count; i++) {
		const char *key;
		json_t *member;

		ret->ceiling_count++;
		if (!json_object_size(json_array_get(value, i))) {
			snprintf(why, size, "ceilings[%zu]: an object is wanted", i);
			return -EINVAL;
		}
		json_object_foreach(json_array_get(value, i), key, member) {
			r = r ? r : read_ceiling_key(key, member, &ret->ceilings[i], why, size);
		}
	}
	return r;
}

/* ---- All of it --------------------------------------------------------------------------------------------- */

static int read_key(const char *key, const json_t *value, struct eg_guardrails *ret, char *why, size_t size)
{
	bool rules = !strcmp(key, "always_deny") || !strcmp(key, "always_allow");

	if (rules && !json_array_size(value)) {
		snprintf(why, size, "%s: a list is wanted, with something in it", key);
		return -EINVAL;
	}
	if (rules)
		return key[7] == 'd' ? read_deny(value, ret, why, size) : read_allow(value, ret, why, size);
	if (!strcmp(key, "ceilings"))
		return read_ceilings(value, ret, why, size);
	snprintf(why, size, "\"%s\" is not a key; there are \"always_deny\", \"always_allow\" and \"ceilings\"", key);
	return -EINVAL;
}

static int fill_hash(const json_t *value, struct eg_guardrails *ret)
{
	EG_FREE char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
	struct sha256_ctx sha;

	if (!text)
		return -ENOMEM;
	sha256_init(&sha);
	sha256_update(&sha, strlen(text), (const uint8_t *)text);
	sha256_digest(&sha, sizeof(ret->hash), ret->hash);
	memcpy(ret->deny.hash, ret->hash, sizeof(ret->deny.hash));
	return 0;
}

int eg_guardrails_parse(const json_t *value, struct eg_guardrails **ret, char *why, size_t size)
{
	EG_CLEANUP(eg_cleanup_guardrails) struct eg_guardrails *guardrails = calloc(1, sizeof(*guardrails));
	const char *key;
	json_t *member;
	int r = 0;

	if (!guardrails)
		return -ENOMEM;
	if (!json_is_object(value)) {
		snprintf(why, size, "an object is wanted, such as {\"always_deny\": [\"169.254.169.254\"]}");
		return -EINVAL;
	}
	json_object_foreach((json_t *)value, key, member) {
		r = r ? r : read_key(key, member, guardrails, why, size);
	}
	if (!r)
		r = fill_hash(value, guardrails);
	if (!r)
		*ret = EG_TAKE_PTR(guardrails);
	return r;
}

void eg_guardrails_free(struct eg_guardrails *guardrails)
{
	if (!guardrails)
		return;
	eg_policy_free(guardrails->denied);
	eg_policy_free(guardrails->allow);
	for (size_t i = 0; i < guardrails->ceiling_count; i++)
		eg_labels_free(guardrails->ceilings[i].labels);
	free(guardrails->ceilings);
	free(guardrails);
}

/* ---- Against a policy --------------------------------------------------------------------------------------- */

static void refuse(struct eg_diags *diags, const char *path, const char *fix, const char *what)
{
	struct eg_diag diag = {.level = EG_DIAG_ERROR};

	snprintf(diag.path, sizeof(diag.path), "%s", path);
	snprintf(diag.message, sizeof(diag.message), "The host's guardrails %s", what);
	snprintf(diag.fix, sizeof(diag.fix), "%s", fix);
	eg_diags_add(diags, &diag);
}

static void check_names(const struct eg_policy *policy, struct eg_diags *diags)
{
	char path[40];

	for (size_t i = 0; i < policy->egress_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (!rule->name_count || rule->verify_sni || rule->verify_connect)
			continue;
		snprintf(path, sizeof(path), "egress[%zu]", i);
		refuse(diags, path, "Add \"tls\": \"verify-sni\" to the rule", "demand proof of the server's name for every name");
	}
}

static void check_ceiling(const struct eg_ceiling *ceiling, const struct eg_policy *policy, uint64_t now_utc_ns,
			  struct eg_diags *diags)
{
	uint64_t max = ceiling->max_lifetime_ns;
	char what[80];

	if (ceiling->demands & EG_DEMAND_CAP && !policy->limits.egress_count)
		refuse(diags, "limits.egress", "Add {\"limits\": {\"egress\": {\"bytes\": ..., \"per\": ...}}}", "demand a cap");
	if (ceiling->demands & EG_DEMAND_VERIFY_SNI)
		check_names(policy, diags);
	if (ceiling->demands & EG_DEMAND_OWNER && !policy->owner)
		refuse(diags, "owner", "Add \"owner\"", "demand an owner");
	if (ceiling->demands & EG_DEMAND_TICKET && !policy->ticket)
		refuse(diags, "ticket", "Add \"ticket\"", "demand a ticket");
	if (ceiling->demands & EG_DEMAND_NO_AUDIT && policy->mode == EG_MODE_AUDIT)
		refuse(diags, "mode", "Write \"enforce\"", "forbid the audit mode");
	if (ceiling->demands & EG_DEMAND_NO_RAW_SOCKETS && policy->raw_sockets)
		refuse(diags, "raw_sockets", "Leave the key out", "forbid raw sockets");
	if (ceiling->demands & EG_DEMAND_NO_NETNS_ADMIN && policy->allow_netns_admin)
		refuse(diags, "allow_netns_admin", "Leave the key out", "forbid it");
	if (max && policy->expires_utc_ns > now_utc_ns && policy->expires_utc_ns - now_utc_ns > max) {
		snprintf(what, sizeof(what), "let a policy live for %" PRIu64 " days at most", max / DAY_NS);
		refuse(diags, "expires", "Write an earlier time", what);
	}
}

int eg_guardrails_check(const struct eg_guardrails *guardrails, const struct eg_policy *policy, uint64_t now_utc_ns,
			struct eg_diags *diags)
{
	size_t before = diags->errors;

	for (size_t i = 0; guardrails && i < guardrails->ceiling_count; i++) {
		const struct eg_ceiling *ceiling = &guardrails->ceilings[i];

		if (!ceiling->labels || eg_labels_match(ceiling->labels, policy->labels))
			check_ceiling(ceiling, policy, now_utc_ns, diags);
	}
	return diags->errors == before ? 0 : -EINVAL;
}

int eg_guardrails_apply(const struct eg_guardrails *guardrails, struct eg_policy *policy)
{
	if (!guardrails)
		return 0;
	policy->guard = &guardrails->deny;
	return guardrails->allow ? eg_policy_add_rules(policy, guardrails->allow) : 0;
}

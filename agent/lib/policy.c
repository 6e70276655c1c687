// SPDX-License-Identifier: Apache-2.0
#include "policy.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <string.h>

#include "jsonpos.h"
#include "policy_impl.h"
#include "units.h"

#define NS_PER_S 1000000000ull

_Static_assert(EG_JSONPOS_DEPTH == EG_POLICY_DEPTH_MAX, "the scanner keeps the limit on nesting");

/* ---- Life of a policy ------------------------------------------------------------------------------------- */

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

static void rule_clear(struct eg_policy_rule *rule)
{
	free(rule->id);
	free(rule->cidrs);
	free(rule->privates);
	free(rule->ports);
	free_texts(rule->names, rule->name_count);
}

void eg_policy_free(struct eg_policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->rule_count; i++)
		rule_clear(&policy->rules[i]);
	free(policy->rules);
	free_texts(policy->cgroups, policy->cgroup_count);
	free_texts(policy->dns.ask_only, policy->dns.ask_only_count);
	free(policy->dns.resolvers);
	free(policy->alerts);
	free(policy->owner);
	free(policy->ticket);
	free(policy->purpose);
	free(policy->catalog_id);
	free(policy->request_id);
	json_decref(policy->labels);
	json_decref(policy->json);
	free(policy);
}

static void *duplicate(const void *items, size_t count, size_t size)
{
	void *copy = calloc(count + 1, size);

	if (copy && count)
		memcpy(copy, items, count * size);
	return copy;
}

static int rule_copy(const struct eg_policy_rule *from, struct eg_policy_rule *ret)
{
	struct eg_policy_rule rule = *from;

	rule.id = strdup(from->id);
	rule.cidrs = duplicate(from->cidrs, from->cidr_count, sizeof(*from->cidrs));
	rule.privates = duplicate(from->privates, from->private_count, sizeof(*from->privates));
	rule.ports = duplicate(from->ports, from->port_count, sizeof(*from->ports));
	rule.names = calloc(from->name_count + 1, sizeof(*rule.names));
	rule.name_count = 0;
	while (rule.names && rule.name_count < from->name_count) {
		rule.names[rule.name_count] = strdup(from->names[rule.name_count]);
		if (!rule.names[rule.name_count])
			break;
		rule.name_count++;
	}
	if (!rule.id || !rule.cidrs || !rule.privates || !rule.ports || !rule.names ||
	    rule.name_count < from->name_count) {
		rule_clear(&rule);
		return -ENOMEM;
	}
	*ret = rule;
	return 0;
}

int eg_policy_add_rules(struct eg_policy *policy, const struct eg_policy *from)
{
	size_t room = policy->rule_count + from->rule_count + 1;
	struct eg_policy_rule *rules = reallocarray(policy->rules, room, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	policy->rules = rules;
	for (size_t i = 0; i < from->rule_count; i++) {
		if (rule_copy(&from->rules[i], &rules[policy->rule_count]))
			return -ENOMEM;
		policy->rule_count++;
	}
	return 0;
}

bool eg_policy_app_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < EG_APP_NAME_LEN && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len &&
	       !strchr("._-", name[0]);
}

const char *eg_policy_rule_id(const struct eg_policy *policy, uint32_t rule)
{
	if (rule == EG_RULE_SELF)
		return "self";
	if (rule == EG_RULE_DNS)
		return "dns";
	if (rule == EG_RULE_GUARDRAIL)
		return "guardrail";
	return rule < policy->rule_count ? policy->rules[rule].id : NULL;
}

/* ---- From text to JSON ------------------------------------------------------------------------------------ */

static int refuse_large(size_t len, struct eg_diags *diags)
{
	struct eg_diag diag = {.level = EG_DIAG_ERROR, .fix = "Write wider prefixes, or several policies"};
	char has[32], limit[32];

	snprintf(diag.message, sizeof(diag.message), "The text has %s; the limit is %s",
		 eg_units_bytes_text(len, has, sizeof(has)),
		 eg_units_bytes_text(EG_POLICY_BYTES_MAX, limit, sizeof(limit)));
	eg_diags_add(diags, &diag);
	return -EINVAL;
}

/* The scanner has found nothing, so that all that is left for jansson is keys given twice. */
static int refuse_json(const char *text, size_t len, const json_error_t *error, struct eg_diags *diags)
{
	struct eg_diag diag = {0};

	if (json_error_code(error) == json_error_out_of_memory)
		return -ENOMEM;
	if (json_error_code(error) != json_error_duplicate_key ||
	    !eg_jsonpos_duplicate(text, len, (size_t)error->position, &diag)) {
		diag = (struct eg_diag){.level = EG_DIAG_ERROR, .fix = "Correct the JSON"};
		diag.line = error->line > 0 ? (unsigned)error->line : 1;
		diag.column = error->column > 0 ? (unsigned)error->column : 1;
		snprintf(diag.message, sizeof(diag.message), "%.*s", (int)strcspn(error->text, "'\""), error->text);
	}
	eg_diags_add(diags, &diag);
	return -EINVAL;
}

static int load(const char *text, size_t len, json_t **ret, struct eg_diags *diags)
{
	struct eg_diag diag;
	json_error_t error;

	if (len > EG_POLICY_BYTES_MAX)
		return refuse_large(len, diags);
	if (eg_jsonpos_check(text, len, &diag)) {
		eg_diags_add(diags, &diag);
		return -EINVAL;
	}
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	return *ret ? 0 : refuse_json(text, len, &error, diags);
}

static int hash_piece(const char *piece, size_t size, void *userdata)
{
	sha256_update(userdata, size, (const uint8_t *)piece);
	return 0;
}

/* In pieces: the canonical text itself is needed by nobody here. */
static int hash_json(const json_t *json, uint8_t ret[32])
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	if (json_dump_callback(json, hash_piece, &sha, JSON_COMPACT | JSON_SORT_KEYS))
		return -ENOMEM;
	sha256_digest(&sha, 32, ret);
	return 0;
}

int eg_policy_parse(const char *file, const char *text, size_t len, struct eg_policy **ret, struct eg_diags *diags)
{
	EG_CLEANUP(eg_cleanup_policy) struct eg_policy *policy = calloc(1, sizeof(*policy));
	struct eg_policy_reader reader = {.policy = policy};
	int r;

	if (!policy)
		return -ENOMEM;
	if (file && !diags->file)
		diags->file = strdup(file);
	policy->self = true;
	policy->dns.types = EG_POLICY_DNS_TYPES;
	r = load(text, len, &policy->json, diags);
	if (r)
		return r;
	eg_policy_read(&reader, policy->json);
	r = eg_policy_report(&reader, !reader.errors, text, len, diags);
	if (r || reader.errors)
		return r ? r : -EINVAL;
	r = hash_json(policy->json, policy->hash);
	if (!r)
		*ret = EG_TAKE_PTR(policy);
	return r;
}

/* ---- Lifetime --------------------------------------------------------------------------------------------- */

int eg_policy_check_lifetime(const struct eg_policy *policy, const char *text, size_t len, uint64_t now_utc_ns,
			     uint64_t max_lifetime_ns, struct eg_diags *diags)
{
	struct eg_policy_reader reader = {0};
	const struct eg_policy_at at = {NULL, "expires", 0};
	uint64_t last = now_utc_ns > UINT64_MAX - max_lifetime_ns ? UINT64_MAX : now_utc_ns + max_lifetime_ns;
	char moment[48], span[48], fix[96];
	int r;

	if (policy->expires_utc_ns > now_utc_ns && policy->expires_utc_ns <= last)
		return 0;
	eg_units_moment_text(last - last % NS_PER_S, moment, sizeof(moment));
	snprintf(fix, sizeof(fix), "Write \"%s\" or an earlier moment ahead", moment);
	if (policy->expires_utc_ns > last)
		eg_policy_error(&reader, &at, fix, "The policy would live longer than %s, which this host allows",
				eg_units_span_text(max_lifetime_ns, span, sizeof(span)));
	else
		eg_policy_error(&reader, &at, fix, "The policy expired at %s",
				eg_units_moment_text(policy->expires_utc_ns, moment, sizeof(moment)));
	r = eg_policy_report(&reader, false, text, len, diags);
	return r ? r : -EINVAL;
}

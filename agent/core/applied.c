// SPDX-License-Identifier: Apache-2.0
/*
 * applied.c - what is remembered of a policy in force
 *
 * Not the parsed tree, which takes many times the memory of its text: the text, the names
 * that events and views ask for, and what has to be deleted from the kernel's tables.
 */
#include <stdlib.h>
#include <string.h>

#include "agent_impl.h"

static const char *const source_names[] = {
	[EG_SOURCE_NONE] = "none",
	[EG_SOURCE_DIRECTORY] = "directory",
	[EG_SOURCE_SOCKET] = "socket",
	[EG_SOURCE_ETCD] = "etcd",
	[EG_SOURCE_HTTPS] = "https",
};

const char *eg_source_name(enum eg_source source)
{
	return source_names[source];
}

enum eg_source eg_source_parse(const char *name)
{
	for (int i = EG_SOURCE_NONE + 1; i < EG_SOURCE_COUNT_; i++) {
		if (strcmp(name, source_names[i]) == 0)
			return (enum eg_source)i;
	}
	return EG_SOURCE_NONE;
}

static int copy(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -1 : 0;
}

static int copy_rules(struct eg_applied *applied, const struct eg_policy *policy)
{
	applied->rule_ids = calloc(policy->rule_count + 1, sizeof(*applied->rule_ids));
	if (!applied->rule_ids)
		return -1;
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (copy(&applied->rule_ids[i], policy->rules[i].id))
			return -1;
		applied->rule_count++;
	}
	return 0;
}

static int copy_cgroups(struct eg_applied *applied, const struct eg_policy *policy)
{
	applied->cgroups = calloc(policy->cgroup_count + 1, sizeof(*applied->cgroups));
	if (!applied->cgroups)
		return -1;
	for (size_t i = 0; i < policy->cgroup_count; i++) {
		if (copy(&applied->cgroups[i], policy->cgroups[i]))
			return -1;
		applied->cgroup_count++;
	}
	return 0;
}

static int copy_meters(struct eg_applied *applied, const struct eg_policy *policy, const struct eg_compiled *compiled)
{
	applied->meters = calloc(compiled->meter_count + 1, sizeof(*applied->meters));
	if (!applied->meters)
		return -1;
	for (size_t i = 0; i < compiled->meter_count; i++) {
		struct eg_metered *metered = &applied->meters[i];

		metered->conf = compiled->ruleset.meters[i];
		if (metered->conf.rule != EG_RULE_NONE && copy(&metered->scope, policy->rules[metered->conf.rule].id))
			return -1;
		applied->meter_count++;
	}
	return 0;
}

static int copy_resolvers(struct eg_applied *applied, const struct eg_compiled *compiled)
{
	applied->resolvers = calloc(compiled->resolver_count + 1, sizeof(*applied->resolvers));
	if (!applied->resolvers)
		return -1;
	if (compiled->resolver_count)
		memcpy(applied->resolvers, compiled->resolvers, compiled->resolver_count * sizeof(*applied->resolvers));
	applied->resolver_count = compiled->resolver_count;
	applied->resolvers_of_host = compiled->resolvers_of_host;
	return 0;
}

/* The exact names of rules that want them looked up ahead. */
static int copy_prefetch(struct eg_applied *applied, const struct eg_policy *policy)
{
	size_t room = 0;

	for (size_t i = 0; i < policy->rule_count; i++)
		room += policy->rules[i].prefetch ? policy->rules[i].name_count : 0;
	if (!room)
		return 0;
	applied->prefetch = calloc(room, sizeof(*applied->prefetch));
	if (!applied->prefetch)
		return -1;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		for (size_t j = 0; rule->prefetch && j < rule->name_count; j++) {
			if (strncmp(rule->names[j], "*.", 2) == 0)
				continue;
			if (copy(&applied->prefetch[applied->prefetch_count], rule->names[j]))
				return -1;
			applied->prefetch_count++;
		}
	}
	return 0;
}

static int copy_alerts(struct eg_applied *applied, const struct eg_policy *policy)
{
	if (!policy->alert_count)
		return 0;
	applied->alerts = calloc(policy->alert_count, sizeof(*applied->alerts));
	if (!applied->alerts)
		return -1;
	memcpy(applied->alerts, policy->alerts, policy->alert_count * sizeof(*applied->alerts));
	applied->alert_count = policy->alert_count;
	return 0;
}

static int copy_texts(struct eg_applied *applied, const struct eg_policy *policy, const struct eg_provenance *from)
{
	char hex[17];

	for (size_t i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", policy->hash[i]);
	snprintf(applied->rev, sizeof(applied->rev), "%llu-%s", (unsigned long long)from->number, hex);
	applied->text = json_dumps(policy->json, JSON_COMPACT | JSON_SORT_KEYS);
	applied->labels = json_deep_copy(policy->labels);
	applied->labels_json = json_dumps(policy->labels, JSON_COMPACT | JSON_SORT_KEYS);
	if (!applied->text || !applied->labels || !applied->labels_json)
		return -1;
	applied->text_len = strlen(applied->text);
	return copy(&applied->origin, from->origin) || copy(&applied->owner, policy->owner) ||
	       copy(&applied->ticket, policy->ticket) || copy(&applied->purpose, policy->purpose) ||
	       copy(&applied->catalog_id, policy->catalog_id) || copy(&applied->request_id, policy->request_id);
}

struct eg_applied *eg_applied_new(const struct eg_policy *policy, const struct eg_compiled *compiled,
				  const struct eg_provenance *from)
{
	struct eg_applied *applied = calloc(1, sizeof(*applied));

	if (!applied)
		return NULL;
	applied->source = from->source;
	applied->number = from->number;
	applied->expires_utc_ns = policy->expires_utc_ns;
	applied->mode = policy->mode;
	applied->log_full = policy->log_full;
	applied->allow_netns_admin = policy->allow_netns_admin;
	memcpy(applied->hash, policy->hash, sizeof(applied->hash));
	if (copy_texts(applied, policy, from) || copy_rules(applied, policy) || copy_cgroups(applied, policy) ||
	    copy_meters(applied, policy, compiled) || copy_resolvers(applied, compiled) || copy_prefetch(applied, policy) ||
	    copy_alerts(applied, policy)) {
		eg_applied_free(applied);
		return NULL;
	}
	return applied;
}

void eg_tables_free(struct eg_tables *tables)
{
	if (!tables)
		return;
	free(tables->keys);
	free(tables->names);
	free(tables);
}

void eg_applied_free(struct eg_applied *applied)
{
	if (!applied)
		return;
	for (size_t i = 0; i < applied->rule_count; i++)
		free(applied->rule_ids[i]);
	for (size_t i = 0; i < applied->cgroup_count; i++)
		free(applied->cgroups[i]);
	for (size_t i = 0; i < applied->meter_count; i++)
		free(applied->meters[i].scope);
	for (size_t i = 0; i < applied->prefetch_count; i++)
		free(applied->prefetch[i]);
	free(applied->prefetch);
	free(applied->alerts);
	free(applied->rule_ids);
	free(applied->cgroups);
	free(applied->meters);
	free(applied->resolvers);
	eg_tables_free(applied->tables);
	free(applied->origin);
	free(applied->text);
	free(applied->owner);
	free(applied->ticket);
	free(applied->purpose);
	free(applied->catalog_id);
	free(applied->request_id);
	free(applied->labels_json);
	json_decref(applied->labels);
	free(applied);
}

const char *eg_applied_rule_id(const struct eg_applied *applied, uint32_t rule)
{
	if (rule == EG_RULE_SELF)
		return "self";
	if (rule == EG_RULE_DNS)
		return "dns";
	if (rule == EG_RULE_GUARDRAIL)
		return "guardrail";
	return applied && rule < applied->rule_count ? applied->rule_ids[rule] : NULL;
}

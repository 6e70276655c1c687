// SPDX-License-Identifier: Apache-2.0
#include "compile.h"

#include <errno.h>
#include <netinet/in.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "compile_impl.h"

_Static_assert(EG_POLICY_RULES_MAX < EG_RULE_DNS, "a rule's number is not one of the reserved ones");
_Static_assert(EG_POLICY_CAPS_MAX < sizeof(uint32_t), "the top byte of a list of meters is the rule's own");

int eg_compile_refuse(const struct eg_policy *policy, size_t rule, const char *part, struct eg_diags *diags,
		      const char *fix, const char *format, ...)
{
	struct eg_diag diag = {.level = EG_DIAG_ERROR};
	va_list args;

	va_start(args, format);
	vsnprintf(diag.message, sizeof(diag.message), format, args);
	va_end(args);
	snprintf(diag.fix, sizeof(diag.fix), "%s", fix);
	if (rule < policy->rule_count) {
		bool egress = policy->rules[rule].dir == EG_DIR_EGRESS;

		diag.line = policy->rules[rule].line;
		diag.column = policy->rules[rule].column;
		snprintf(diag.path, sizeof(diag.path), "%s[%zu]%s%s", egress ? "egress" : "ingress",
			 egress ? rule : rule - policy->egress_count, part ? "." : "", part ? part : "");
	} else if (part) {
		snprintf(diag.path, sizeof(diag.path), "%s", part);
	}
	eg_diags_add(diags, &diag);
	return -EINVAL;
}

/* ---- Resolvers ---------------------------------------------------------------------------- */

/* The first rule whose names the app looks up, or EG_RULE_NONE: what a proxy is asked for, the proxy looks up. */
static size_t first_named(const struct eg_policy *policy)
{
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].name_count && !policy->rules[i].verify_connect)
			return i;
	return EG_RULE_NONE;
}

static bool asks_for_names(const struct eg_policy *policy)
{
	return policy->dns.set || first_named(policy) != EG_RULE_NONE;
}

bool eg_compile_needs_resolvers(const struct eg_policy *policy)
{
	return asks_for_names(policy) && !policy->dns.resolver_count;
}

static int refuse_without_resolver(const struct eg_policy *policy, struct eg_diags *diags)
{
	size_t rule = first_named(policy);

	return eg_compile_refuse(policy, rule, rule == EG_RULE_NONE ? "dns" : "to", diags,
				 "Add \"dns\": {\"resolvers\": [\"10.0.0.2\"]}, or a nameserver to the host's resolv.conf",
				 "No resolver is known: the policy names none, and the host has none");
}

/* Two policies with the same text and other resolvers, or guardrails, are not the same. */
static void add_to_hash(struct eg_ruleset *ruleset, const void *data, size_t len)
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, sizeof(ruleset->policy_hash), ruleset->policy_hash);
	sha256_update(&sha, len, data);
	sha256_digest(&sha, sizeof(ruleset->policy_hash), ruleset->policy_hash);
}

static int fill_resolvers(const struct eg_policy *policy, const struct eg_resolvers *host, struct eg_compiled *compiled,
			  struct eg_diags *diags)
{
	const struct eg_addr *addr = policy->dns.resolvers;
	size_t count = policy->dns.resolver_count;

	if (!asks_for_names(policy))
		return 0;
	compiled->resolvers_of_host = !count;
	if (!count && host) {
		addr = host->addr;
		count = host->count;
	}
	if (!count && !(host && host->may_lack))
		return refuse_without_resolver(policy, diags);
	compiled->resolvers = calloc(count + 1, sizeof(*addr));
	if (!compiled->resolvers)
		return -ENOMEM;
	if (count)
		memcpy(compiled->resolvers, addr, count * sizeof(*addr));
	compiled->resolver_count = count;
	compiled->ruleset.dns_types = policy->dns.types;
	if (compiled->resolvers_of_host)
		add_to_hash(&compiled->ruleset, compiled->resolvers, count * sizeof(*addr));
	return 0;
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void mark_rules(const struct eg_policy *policy, struct eg_rule_mark *ret)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (policy->rules[i].verify_sni)
			ret[i].flags |= EG_MATCH_SNI;
		if (policy->rules[i].verify_connect)
			ret[i].flags |= EG_MATCH_CONNECT;
	}
}

static void fill_ruleset(const struct eg_policy *policy, struct eg_ruleset *ret)
{
	ret->expires_utc_ns = policy->expires_utc_ns;
	ret->mode = (uint32_t)policy->mode;
	ret->rule_count = (uint32_t)policy->rule_count;
	if (policy->self)
		ret->flags |= EG_RULESET_SELF;
	if (policy->raw_sockets)
		ret->flags |= EG_RULESET_RAW;
	if (policy->allow_netns_admin)
		ret->flags |= EG_RULESET_ADMIN;
	if (policy->log_full)
		ret->flags |= EG_RULESET_LOG_FULL;
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].self)
			ret->flags |= EG_RULESET_SELF;
	memcpy(ret->policy_hash, policy->hash, sizeof(ret->policy_hash));
	if (policy->guard)
		add_to_hash(ret, policy->guard->hash, sizeof(policy->guard->hash));
}

/* The TCP ports that some ingress rule admits somebody to: what the app may listen on. */
static int compile_bind(const struct eg_policy *policy, struct eg_spans *spans, struct eg_ruleset *ret,
			struct eg_diags *diags)
{
	EG_CLEANUP(eg_segments_clear) struct eg_segments segments = {0};
	size_t last = EG_RULE_NONE;
	uint32_t span;
	int r = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (rule->dir != EG_DIR_INGRESS || rule->proto != IPPROTO_TCP)
			continue;
		last = i;
		for (size_t j = 0; !r && j < rule->port_count; j++)
			r = eg_segments_add(&segments, EG_SERVICE(IPPROTO_TCP, rule->ports[j].lo),
					    EG_SERVICE(IPPROTO_TCP, rule->ports[j].hi), EG_RULE_NONE);
	}
	if (!r)
		r = eg_spans_intern(spans, &segments, &span);
	if (r == -E2BIG || r == -ENOSPC)
		return eg_compile_refuse(policy, last, "ports", diags, "Write neighbouring ports as ranges",
					 "The ingress rules have more than %u ranges of TCP ports", EG_MATCHES_MAX);
	if (r)
		return r;
	ret->bind_first = spans->items[span].first;
	ret->bind_count = spans->items[span].count;
	return 0;
}

static int compile_tables(const struct eg_policy *policy, struct eg_spans *spans, struct eg_compiled *compiled,
			  struct eg_diags *diags)
{
	int r = eg_compile_prefixes(policy, spans, compiled, diags);

	if (!r)
		r = eg_compile_names(policy, spans, compiled, diags);
	if (!r)
		r = eg_compile_name_services(policy, spans, &compiled->ruleset, diags);
	if (!r)
		r = compile_bind(policy, spans, &compiled->ruleset, diags);
	if (r)
		return r;
	compiled->match_count = spans->match_count;
	compiled->ruleset.match_count = (uint32_t)spans->match_count;
	compiled->matches = EG_TAKE_PTR(spans->matches);
	return 0;
}

int eg_compile(const struct eg_policy *policy, const struct eg_resolvers *host, struct eg_compiled **ret,
	       struct eg_diags *diags)
{
	EG_CLEANUP(eg_cleanup_compiled) struct eg_compiled *compiled = calloc(1, sizeof(*compiled));
	EG_FREE struct eg_rule_mark *marks = calloc(policy->rule_count + 1, sizeof(*marks));
	EG_CLEANUP(eg_spans_clear) struct eg_spans spans = {0};
	int r;

	if (!compiled || !marks || eg_spans_init(&spans, marks))
		return -ENOMEM;
	fill_ruleset(policy, &compiled->ruleset);
	mark_rules(policy, marks);
	r = fill_resolvers(policy, host, compiled, diags);
	if (!r)
		r = eg_compile_meters(policy, &compiled->ruleset, &compiled->meter_count, marks, diags);
	if (!r)
		r = compile_tables(policy, &spans, compiled, diags);
	if (r)
		return r;
	*ret = EG_TAKE_PTR(compiled);
	return 0;
}

void eg_compiled_free(struct eg_compiled *compiled)
{
	if (!compiled)
		return;
	free(compiled->prefixes);
	free(compiled->names);
	free(compiled->name_texts);
	free(compiled->matches);
	free(compiled->resolvers);
	free(compiled);
}

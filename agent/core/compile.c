// SPDX-License-Identifier: Apache-2.0
#include "compile.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "compile_impl.h"

_Static_assert(EG_POLICY_RULES_MAX < EG_RULE_SELF, "a rule's number is not one of the reserved ones");
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

/* What the language has and this version can't hold an app to must not look as if it did. */
static int refuse_unenforced(const struct eg_policy *policy, struct eg_diags *diags)
{
	int r = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct eg_policy_rule *rule = &policy->rules[i];

		if (rule->name_count)
			r = eg_compile_refuse(policy, i, rule->dir == EG_DIR_EGRESS ? "to" : "from", diags,
					      "Give addresses or CIDR prefixes instead, or leave the rule out",
					      "DNS names are not enforced by this version; \"%s\" would be denied",
					      rule->names[0]);
		if (rule->verify_sni)
			r = eg_compile_refuse(policy, i, "tls", diags, "Leave \"tls\" out",
					      "\"verify-sni\" is not enforced by this version");
		if (rule->verify_connect)
			r = eg_compile_refuse(policy, i, "http", diags, "Leave \"http\" out",
					      "\"verify-connect\" is not enforced by this version");
	}
	return r;
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
	if (policy->log_full)
		ret->flags |= EG_RULESET_LOG_FULL;
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].self)
			ret->flags |= EG_RULESET_SELF;
	memcpy(ret->policy_hash, policy->hash, sizeof(ret->policy_hash));
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
		r = compile_bind(policy, spans, &compiled->ruleset, diags);
	if (r)
		return r;
	compiled->match_count = spans->match_count;
	compiled->ruleset.match_count = (uint32_t)spans->match_count;
	compiled->matches = EG_TAKE_PTR(spans->matches);
	return 0;
}

int eg_compile(const struct eg_policy *policy, struct eg_compiled **ret, struct eg_diags *diags)
{
	EG_CLEANUP(eg_cleanup_compiled) struct eg_compiled *compiled = calloc(1, sizeof(*compiled));
	EG_FREE struct eg_rule_meters *meters = calloc(policy->rule_count + 1, sizeof(*meters));
	EG_CLEANUP(eg_spans_clear) struct eg_spans spans = {0};
	int r;

	if (!compiled || !meters || eg_spans_init(&spans, meters))
		return -ENOMEM;
	r = refuse_unenforced(policy, diags);
	if (r)
		return r;
	fill_ruleset(policy, &compiled->ruleset);
	r = eg_compile_meters(policy, &compiled->ruleset, &compiled->meter_count, meters, diags);
	if (r)
		return r;
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
	free(compiled->matches);
	free(compiled);
}

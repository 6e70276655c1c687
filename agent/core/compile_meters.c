// SPDX-License-Identifier: Apache-2.0
/*
 * compile_meters.c - limits of a policy as meters of its ruleset
 *
 * A list of meters is taken from in order, and a byte cap gives back what a later meter
 * refused, while a token bucket doesn't: so caps come before the rate.
 */
#include <errno.h>
#include <stdbool.h>

#include "compile_impl.h"

#define NS_PER_S     1000000000ull
#define RATE_UNIT    65536ull /* eg_meter_conf.per_ns of a rate is the time of so many bytes */
#define BURST_MIN_NS 100000000ull

/* Meters that a list of the whole app has room for; the fourth byte is the rule's own. */
#define LIST_MAX 3

struct filler {
	const struct eg_policy *policy;
	struct eg_ruleset *ruleset;
	struct eg_diags *diags;
	size_t count;
	size_t rule; /* whose limits these are; EG_RULE_NONE: the app's */
};

/* Adds a meter; *ret is its number from 1. */
static int add(struct filler *f, const struct eg_meter_conf *conf, uint8_t *ret)
{
	if (f->count >= EG_METERS_PER_APP)
		return eg_compile_refuse(f->policy, f->rule, "limits", f->diags,
					 "Drop a limit, or let rules share one at the top of the policy",
					 "The policy has more than %d limits (those of its rules counted)",
					 EG_METERS_PER_APP);
	f->ruleset->meters[f->count] = *conf;
	f->ruleset->meters[f->count].rule = (uint32_t)f->rule;
	*ret = (uint8_t)++f->count;
	return 0;
}

static int add_cap(struct filler *f, const struct eg_policy_cap *cap, enum eg_dir dir, uint8_t *ret)
{
	const struct eg_meter_conf conf = {
		.limit = cap->bytes,
		.per_ns = cap->per_ns,
		.kind = EG_METER_BYTES,
		.action = (uint8_t)cap->action,
		.dir = (uint8_t)dir,
	};

	return add(f, &conf, ret);
}

/*
 * Rounded against the app. The burst lets the largest GSO packet through at any rate: 64 KiB
 * and, since bytes are wire bytes, a header for each of its segments, an eighth of that.
 */
static int add_rate(struct filler *f, uint64_t bits, uint8_t *ret)
{
	const uint64_t per_ns = (RATE_UNIT * 8 * NS_PER_S + bits - 1) / bits;
	const uint64_t packet_ns = per_ns + per_ns / 8;
	const struct eg_meter_conf conf = {
		.limit = packet_ns > BURST_MIN_NS ? packet_ns : BURST_MIN_NS,
		.per_ns = per_ns,
		.kind = EG_METER_RATE,
		.action = EG_CAP_DROP,
		.dir = EG_DIR_EGRESS,
	};

	return add(f, &conf, ret);
}

/* A bucket of exactly `count` flows or queries: so many at once pass, one more does not. */
static int add_count(struct filler *f, uint64_t count, uint64_t per_ns, enum eg_meter_kind kind, uint8_t *ret)
{
	const uint64_t one_ns = (per_ns + count - 1) / count;
	const struct eg_meter_conf conf = {
		.limit = one_ns * count,
		.per_ns = one_ns,
		.kind = (uint8_t)kind,
		.action = EG_CAP_DROP,
		.dir = EG_DIR_EGRESS,
	};

	return add(f, &conf, ret);
}

static int add_rule(struct filler *f, const struct eg_policy_limits *limits, struct eg_rule_mark *ret)
{
	int r = 0;

	if (limits->egress_count > 1 || limits->ingress_count > 1)
		return eg_compile_refuse(f->policy, f->rule, "limits", f->diags,
					 "Give one, or give several at the top of the policy",
					 "A rule can have one cap in each direction");
	if (limits->egress_rate_bits)
		return eg_compile_refuse(f->policy, f->rule, "limits.egress_rate", f->diags,
					 "Give it at the top of the policy", "A rule can't have a rate of its own");
	if (limits->egress_count)
		r = add_cap(f, &limits->egress[0], EG_DIR_EGRESS, &ret->meter_out);
	if (!r && limits->ingress_count)
		r = add_cap(f, &limits->ingress[0], EG_DIR_INGRESS, &ret->meter_in);
	if (!r && limits->new_flows)
		r = add_count(f, limits->new_flows, limits->new_flows_per_ns, EG_METER_FLOWS, &ret->meter_flows);
	return r;
}

/* Number into the n-th byte of a list. */
static void append(uint32_t *list, size_t n, uint8_t number)
{
	*list |= (uint32_t)number << 8 * n;
}

static int add_app(struct filler *f, const struct eg_policy_limits *limits)
{
	struct eg_ruleset *ruleset = f->ruleset;
	uint8_t number = 0;
	int r = 0;

	if (limits->egress_count + !!limits->egress_rate_bits > LIST_MAX || limits->ingress_count > LIST_MAX)
		return eg_compile_refuse(f->policy, EG_RULE_NONE, "limits", f->diags, "Drop one",
					 "An app can have at most %d caps in each direction (the egress rate is one)",
					 LIST_MAX);
	for (size_t i = 0; !r && i < limits->egress_count; i++) {
		r = add_cap(f, &limits->egress[i], EG_DIR_EGRESS, &number);
		append(&ruleset->meters_out, i, number);
	}
	if (!r && limits->egress_rate_bits) {
		r = add_rate(f, limits->egress_rate_bits, &number);
		append(&ruleset->meters_out, limits->egress_count, number);
	}
	for (size_t i = 0; !r && i < limits->ingress_count; i++) {
		r = add_cap(f, &limits->ingress[i], EG_DIR_INGRESS, &number);
		append(&ruleset->meters_in, i, number);
	}
	if (!r && limits->new_flows) {
		r = add_count(f, limits->new_flows, limits->new_flows_per_ns, EG_METER_FLOWS, &number);
		append(&ruleset->meters_flows, 0, number);
	}
	if (!r && f->policy->dns.rate) {
		r = add_count(f, f->policy->dns.rate, f->policy->dns.rate_per_ns, EG_METER_DNS, &number);
		append(&ruleset->meters_dns, 0, number);
	}
	return r;
}

int eg_compile_meters(const struct eg_policy *policy, struct eg_ruleset *ruleset, size_t *ret_count,
		      struct eg_rule_mark *ret_by_rule, struct eg_diags *diags)
{
	struct filler f = {.policy = policy, .ruleset = ruleset, .diags = diags, .rule = EG_RULE_NONE};
	int r = add_app(&f, &policy->limits);

	for (size_t i = 0; !r && i < policy->rule_count; i++) {
		f.rule = i;
		r = add_rule(&f, &policy->rules[i].limits, &ret_by_rule[i]);
	}
	if (!r)
		*ret_count = f.count;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guardrails.h - what the host's configuration says of every policy, whoever wrote it
 *
 * {"always_deny": ["169.254.169.254", "*.evil.example"],
 *  "always_allow": [{"id": "ntp", "to": ["10.0.0.3"], "proto": "udp", "ports": [123]}],
 *  "ceilings": [{"labels": "sensitivity=high", "require": ["cap", "verify-sni"], "max_lifetime_days": 30}]}
 *
 * What is denied is denied in audit mode, too. The rules that allow are added to each policy, behind
 * its own. A policy beyond a ceiling is refused; one that is in force already when the ceiling comes
 * stays so, with an alarm.
 */
#ifndef EG_CORE_GUARDRAILS_H
#define EG_CORE_GUARDRAILS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/cleanup.h"
#include "../lib/diag.h"
#include "../lib/labels.h"
#include "../lib/policy.h"

#define EG_CEILINGS_MAX 64

enum eg_ceiling_demand {
	EG_DEMAND_CAP = 1u << 0, /* limits.egress with a cap */
	EG_DEMAND_VERIFY_SNI = 1u << 1, /* of TCP rules with names; or verify-connect */
	EG_DEMAND_OWNER = 1u << 2,
	EG_DEMAND_TICKET = 1u << 3,
	EG_DEMAND_NO_AUDIT = 1u << 4,
	EG_DEMAND_NO_RAW_SOCKETS = 1u << 5,
	EG_DEMAND_NO_NETNS_ADMIN = 1u << 6,
};

struct eg_ceiling {
	struct eg_labels *labels; /* NULL: every policy's */
	uint32_t demands; /* enum eg_ceiling_demand */
	uint64_t max_lifetime_ns; /* 0: the host's max_lifetime_days alone */
};

struct eg_guardrails {
	struct eg_policy_guard deny;
	struct eg_policy *denied; /* which owns what `deny` points to; NULL: nothing */
	struct eg_policy *allow; /* whose rules are added; NULL: none */
	struct eg_ceiling *ceilings;
	size_t ceiling_count;
	uint8_t hash[32]; /* of all of it */
};

/* value: under "guardrails". 0; -EINVAL with a sentence in why, which begins with the key; -ENOMEM. */
int eg_guardrails_parse(const json_t *value, struct eg_guardrails **ret, char *why, size_t size);
void eg_guardrails_free(struct eg_guardrails *guardrails);
EG_DEFINE_CLEANUP(guardrails, struct eg_guardrails *, eg_guardrails_free);

/* Whether the policy is within the ceilings. Adds an error for each that it is beyond: 0 or -EINVAL. NULL is fine. */
int eg_guardrails_check(const struct eg_guardrails *guardrails, const struct eg_policy *policy, uint64_t now_utc_ns,
			struct eg_diags *diags);

/* Puts them into the policy, before it is compiled; guardrails has to outlive it. 0 or -ENOMEM. NULL is fine. */
int eg_guardrails_apply(const struct eg_guardrails *guardrails, struct eg_policy *policy);

#endif

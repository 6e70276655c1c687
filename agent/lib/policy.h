/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - a policy as read from its JSON: checked, in numbers, not yet compiled
 *
 * Pure: reads no clock, no file. Every error says where (line, column, path) and what to
 * write instead. egret-policy(5) is the reference of the language.
 */
#ifndef EG_LIB_POLICY_H
#define EG_LIB_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "addr.h"
#include "alert.h"
#include "cleanup.h"
#include "diag.h"

#define EG_POLICY_VERSION     1
#define EG_POLICY_BYTES_MAX   (16u << 20) /* of text */
#define EG_POLICY_DEPTH_MAX   16 /* nesting of the JSON */
#define EG_POLICY_RULES_MAX   10000 /* egress and ingress together */
#define EG_POLICY_DESTS_MAX   1000000 /* addresses, names and private prefixes in all rules */
#define EG_POLICY_PORTS_MAX   256 /* in one rule */
#define EG_POLICY_CGROUPS_MAX 64
#define EG_POLICY_LABELS_MAX  32
#define EG_POLICY_CAPS_MAX    3 /* meters in one direction: caps, and the egress rate */
#define EG_POLICY_ICMP_ANY    0xffu /* in types: all */
#define EG_POLICY_DNS_MAX     256 /* resolvers, suffixes */

/* Types of record that may be asked for whatever the policy says: bits of eg_ruleset.dns_types. */
#define EG_POLICY_DNS_TYPES                                                                                            \
	(1u << EG_DNS_BIT_A | 1u << EG_DNS_BIT_AAAA | 1u << EG_DNS_BIT_CNAME | 1u << EG_DNS_BIT_HTTPS |                \
	 1u << EG_DNS_BIT_SVCB)

struct eg_policy_cap {
	uint64_t bytes; /* 1 .. 2^47 */
	uint64_t per_ns; /* 1 s .. 31 d, whole seconds */
	enum eg_cap_action action;
};

struct eg_policy_limits {
	struct eg_policy_cap egress[EG_POLICY_CAPS_MAX];
	struct eg_policy_cap ingress[EG_POLICY_CAPS_MAX];
	size_t egress_count; /* of a rule: at most 1 */
	size_t ingress_count;
	uint64_t egress_rate_bits; /* a second; 0: none; never of a rule */
	uint64_t new_flows; /* in new_flows_per_ns; 0: none */
	uint64_t new_flows_per_ns;
};

struct eg_policy_ports {
	uint16_t lo;
	uint16_t hi;
};

struct eg_policy_rule {
	char *id; /* as given, or "egress[2]" */
	enum eg_dir dir;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP (of both families); 0: a rule for "self" alone */
	bool self; /* "self" is among `to` */
	struct eg_cidr *cidrs;
	size_t cidr_count;
	char **names; /* "sheets.googleapis.com", "*.slack.com" */
	size_t name_count;
	struct eg_cidr *privates; /* what answers for the names may hold beside public addresses */
	size_t private_count;
	bool prefetch; /* its exact names are looked up ahead */
	struct eg_policy_ports *ports; /* TCP, UDP: at least one; "any" is 0-65535 */
	size_t port_count;
	uint8_t types[64]; /* ICMP: what the app may begin with; none: echo */
	size_t type_count;
	bool types_any;
	bool verify_sni; /* "tls": "verify-sni" */
	bool verify_connect; /* "http": "verify-connect" */
	struct eg_policy_limits limits;
	unsigned line; /* of the rule's object in the text */
	unsigned column;
};

struct eg_policy_dns {
	bool set; /* "dns" is there */
	struct eg_addr *resolvers; /* none: the host's */
	size_t resolver_count;
	uint64_t rate; /* queries in rate_per_ns; 0: any number */
	uint64_t rate_per_ns;
	char **ask_only; /* suffixes that may be asked and are never granted */
	size_t ask_only_count;
	uint32_t types; /* 1 << enum eg_dns_type_bit */
};

/* What the host forbids to every app. Names as in rules. */
struct eg_policy_guard {
	const struct eg_cidr *cidrs;
	size_t cidr_count;
	char *const *names;
	size_t name_count;
	uint8_t hash[32]; /* of all that the host says, that another policy is compiled when it changes */
};

struct eg_policy {
	char app[EG_APP_NAME_LEN];
	char *owner; /* these may be NULL */
	char *ticket;
	char *purpose;
	char *catalog_id;
	char *request_id;
	json_t *labels; /* object of strings; never NULL */
	uint64_t expires_utc_ns;
	enum eg_mode mode;
	bool self; /* the app's own loopback; default true */
	bool raw_sockets;
	bool log_full;
	bool allow_netns_admin;
	char **cgroups;
	size_t cgroup_count;
	struct eg_policy_rule *rules; /* egress in file order, then ingress: a rule's number in events */
	size_t rule_count;
	size_t egress_count; /* of which egress */
	bool ingress_set; /* "ingress" is there */
	struct eg_alert *alerts;
	size_t alert_count;
	struct eg_policy_dns dns;
	struct eg_policy_limits limits;
	const struct eg_policy_guard *guard; /* borrowed; NULL: none */
	json_t *json; /* the whole document */
	uint8_t hash[32]; /* SHA-256 of the canonical JSON: sorted keys, no white space */
};

/*
 * Reads text (len bytes, need not end in NUL). 0, or -EINVAL with at least one error in
 * diags, or -ENOMEM. Warnings may be added in either case. file is for the diagnostics.
 */
int eg_policy_parse(const char *file, const char *text, size_t len, struct eg_policy **ret, struct eg_diags *diags);
void eg_policy_free(struct eg_policy *policy);
EG_DEFINE_CLEANUP(policy, struct eg_policy *, eg_policy_free);

/*
 * What depends on the host: expiry past (now) or beyond max_lifetime_ns ahead. Adds an
 * error; needs the text for its place. 0 or -EINVAL.
 */
int eg_policy_check_lifetime(const struct eg_policy *policy, const char *text, size_t len, uint64_t now_utc_ns,
			     uint64_t max_lifetime_ns, struct eg_diags *diags);

/*
 * What a careful reader would ask about: see lint.def. Errors among them are for who writes the policy
 * (diags->errors says it): a policy that is in force already stays.
 */
void eg_policy_lint(const struct eg_policy *policy, const char *text, size_t len, struct eg_diags *diags);
/* The same, of what depends on the time. */
void eg_policy_lint_lifetime(const struct eg_policy *policy, const char *text, size_t len, uint64_t now_utc_ns,
			     struct eg_diags *diags);

/* Adds copies of all rules of another policy behind those it has. 0 or -ENOMEM. */
int eg_policy_add_rules(struct eg_policy *policy, const struct eg_policy *from);

/* Whether it can be an app's name: [a-z0-9][a-z0-9._-]{0,62}. */
bool eg_policy_app_name(const char *name);

/* Name of a rule's number in events: its id, "self" for EG_RULE_SELF, "dns", "guardrail", or NULL. */
const char *eg_policy_rule_id(const struct eg_policy *policy, uint32_t rule);

#endif

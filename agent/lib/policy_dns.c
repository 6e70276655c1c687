// SPDX-License-Identifier: Apache-2.0
/*
 * policy_dns.c - whom the app may ask for names, for what, how often, and which answers count
 */
#include <string.h>

#include "policy_impl.h"

static void read_resolvers(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into)
{
	const char *wanted = "the address of a resolver";
	struct eg_policy_dns *dns = into;

	if (!eg_policy_list(reader, at, value, EG_POLICY_DNS_MAX, "a list of addresses", "Write [\"10.0.0.2\"]"))
		return;
	dns->resolvers = calloc(json_array_size(value), sizeof(*dns->resolvers));
	if (!dns->resolvers) {
		eg_policy_no_memory(reader);
		return;
	}
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};
		struct eg_cidr cidr;

		if (!eg_policy_cidr(reader, &here, json_array_get(value, i), wanted, &cidr))
			continue;
		if (cidr.bits != 128)
			eg_policy_error(reader, &here, "Write each resolver's address", "A prefix is not %s", wanted);
		else
			dns->resolvers[dns->resolver_count++] = cidr.addr;
	}
}

static void read_rate(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	struct eg_policy_dns *dns = into;

	eg_policy_count_rate(reader, at, value, "Write a number in a time, such as \"60/min\"", &dns->rate,
			     &dns->rate_per_ns);
}

/* A suffix stands for itself and all below it, so "*." in front of it would say too little. */
static void read_suffix(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *text,
			struct eg_policy_dns *dns)
{
	EG_FREE char *name = eg_policy_name(reader, at, text);
	char shown[EG_POLICY_SHOWN], fix[EG_POLICY_SHOWN + 16];

	if (!name)
		return;
	if (!strncmp(name, "*.", 2)) {
		snprintf(fix, sizeof(fix), "Write %s", eg_policy_show(name + 2, shown));
		eg_policy_error(reader, at, fix, "A suffix has no wildcard: it is the name and all below it");
	} else {
		dns->ask_only[dns->ask_only_count++] = EG_TAKE_PTR(name);
	}
}

static void read_suffixes(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into)
{
	const char *fix = "Write [\"corp.example.com\"]";
	struct eg_policy_dns *dns = into;

	if (!eg_policy_list(reader, at, value, EG_POLICY_DNS_MAX, "a list of DNS names", fix))
		return;
	dns->ask_only = calloc(json_array_size(value), sizeof(*dns->ask_only));
	if (!dns->ask_only) {
		eg_policy_no_memory(reader);
		return;
	}
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};
		const char *text = eg_policy_string(reader, &here, json_array_get(value, i), "a DNS name", fix);

		if (text)
			read_suffix(reader, &here, text, dns);
	}
}

static void read_types(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const char *const types[] = {
#define X(name, number) [EG_DNS_BIT_##name] = #name,
		EG_DNS_TYPES(X)
#undef X
	};
	struct eg_policy_dns *dns = into;

	if (!eg_policy_list(reader, at, value, EG_POLICY_DNS_MAX, "a list of record types", "Write [\"SRV\", \"TXT\"]"))
		return;
	for (size_t i = 0; i < json_array_size(value) && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};
		int type = eg_policy_choice(reader, &here, json_array_get(value, i), types, EG_POLICY_COUNT(types));

		if (type >= 0)
			dns->types |= 1u << type;
	}
}

void eg_policy_read_dns(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into)
{
	static const struct eg_policy_key keys[] = {
		{"resolvers", read_resolvers, 0, 0},
		{"rate", read_rate, 0, 0},
		{"ask_only", read_suffixes, 0, 0},
		{"types", read_types, 0, 0},
	};
	struct eg_policy_dns *dns = into;

	dns->set = eg_policy_object(reader, at, value, keys, EG_POLICY_COUNT(keys), dns);
}

void eg_policy_read_private(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			    void *into)
{
	struct eg_policy_rule *rule = into;
	size_t count = json_array_size(value);

	if (!eg_policy_list(reader, at, value, EG_POLICY_DESTS_MAX, "a list of prefixes", "Write [\"10.0.0.0/8\"]"))
		return;
	reader->dests += count;
	if (reader->dests > EG_POLICY_DESTS_MAX) {
		eg_policy_error(reader, at, "Write wider prefixes",
				"The rules up to this one have %zu addresses and names; at most %d are accepted",
				reader->dests, EG_POLICY_DESTS_MAX);
		return;
	}
	rule->privates = reallocarray(NULL, count, sizeof(*rule->privates));
	if (!rule->privates) {
		eg_policy_no_memory(reader);
		return;
	}
	for (size_t i = 0; i < count && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		if (eg_policy_cidr(reader, &here, json_array_get(value, i), "an address or a prefix",
				   &rule->privates[rule->private_count]))
			rule->private_count++;
	}
}

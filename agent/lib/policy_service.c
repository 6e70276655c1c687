// SPDX-License-Identifier: Apache-2.0
/*
 * policy_service.c - which service a rule is about: protocol, ports, ICMP types
 */
#include <netinet/in.h>
#include <string.h>

#include "policy_impl.h"

#define PORTS_WANTED "a list of ports, such as [443, \"8080-8090\"], or \"any\""
#define PORTS_FIX    "Write [443], [\"8080-8090\"] or \"any\""
#define TYPES_WANTED "a list of ICMP types, such as [8], or \"any\""
#define TYPES_FIX    "Write [8] or \"any\""

void eg_policy_read_proto(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into)
{
	static const char *const names[] = {"tcp", "udp", "icmp"};
	static const uint8_t numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	const char *text = json_string_value(value);
	struct eg_policy_rule *rule = into;
	int choice;

	if (text && (!strcmp(text, "any") || !strcmp(text, "all") || !strcmp(text, "*"))) {
		eg_policy_error(reader, at, "Write a rule for each of \"tcp\", \"udp\" and \"icmp\"",
				"A rule is about one protocol");
		return;
	}
	if (text && (!strcmp(text, "icmpv6") || !strcmp(text, "icmp6") || !strcmp(text, "ipv6-icmp"))) {
		eg_policy_error(reader, at, "Write \"icmp\"", "\"icmp\" covers both families");
		return;
	}
	choice = eg_policy_choice(reader, at, value, names, EG_POLICY_COUNT(names));
	if (choice >= 0)
		rule->proto = numbers[choice];
}

/* ---- Ports -------------------------------------------------------------------------------------------- */

/* Decimal digits from *text on; false without any. Stops to count far above 65535. */
static bool take_number(const char **text, uint32_t *ret)
{
	const char *c = *text;
	uint32_t n = 0;

	for (; *c >= '0' && *c <= '9'; c++)
		n = n > 1000000 ? n : n * 10 + (uint32_t)(*c - '0');
	if (c == *text)
		return false;
	*text = c;
	*ret = n;
	return true;
}

/* Both ends as they were given; false if it is no port or range at all. */
static bool parse_range(const char *text, uint32_t *ret_lo, uint32_t *ret_hi)
{
	if (!take_number(&text, ret_lo))
		return false;
	*ret_hi = *ret_lo;
	if (*text == '-') {
		text++;
		if (!take_number(&text, ret_hi))
			return false;
	}
	return !*text;
}

/* Whether the range holds ports only. */
static bool check_range(struct eg_policy_reader *reader, const struct eg_policy_at *at, uint32_t lo, uint32_t hi)
{
	char fix[64];

	if (lo == 0) {
		eg_policy_error(reader, at, hi == 65535 ? "Write \"any\"" : "Write a port from 1 to 65535",
				"0 is not a port");
	} else if (lo > 65535 || hi > 65535) {
		eg_policy_error(reader, at, "Write a port from 1 to 65535", "%s%u is not a port",
				lo > 1000000 || hi > 1000000 ? "A number above " : "", lo > 65535 ? lo : hi);
	} else if (lo > hi) {
		snprintf(fix, sizeof(fix), "Write \"%u-%u\"", hi, lo);
		eg_policy_error(reader, at, fix, "The range %u-%u runs backwards", lo, hi);
	} else {
		return true;
	}
	return false;
}

/* One element of the list. False after an error. */
static bool read_port(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      struct eg_policy_ports *ret)
{
	const char *text = json_string_value(value);
	char shown[EG_POLICY_SHOWN];
	uint32_t lo, hi;

	if (json_is_integer(value)) {
		json_int_t number = json_integer_value(value);

		if (number < 0 || number > 1000000) {
			eg_policy_error(reader, at, "Write a port from 1 to 65535",
					"%" JSON_INTEGER_FORMAT " is not a port", number);
			return false;
		}
		lo = hi = (uint32_t)number;
	} else if (!text) {
		eg_policy_wanted(reader, at, value, "a port", PORTS_FIX);
		return false;
	} else if (!strcmp(text, "any")) {
		*ret = (struct eg_policy_ports){0, 65535};
		return true;
	} else if (!parse_range(text, &lo, &hi)) {
		eg_policy_error(reader, at, PORTS_FIX, "%s is neither a port, a range of ports nor \"any\"",
				eg_policy_show(text, shown));
		return false;
	}
	*ret = (struct eg_policy_ports){(uint16_t)lo, (uint16_t)hi};
	return check_range(reader, at, lo, hi);
}

void eg_policy_read_ports(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into)
{
	struct eg_policy_rule *rule = into;
	bool any = json_is_string(value) && !strcmp(json_string_value(value), "any");
	size_t count = any ? 1 : json_array_size(value);

	if (!any && !eg_policy_list(reader, at, value, EG_POLICY_PORTS_MAX, PORTS_WANTED, PORTS_FIX))
		return;
	rule->ports = reallocarray(NULL, count, sizeof(*rule->ports));
	if (!rule->ports) {
		eg_policy_no_memory(reader);
		return;
	}
	for (size_t i = 0; i < count && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		if (read_port(reader, any ? at : &here, any ? value : json_array_get(value, i),
			      &rule->ports[rule->port_count]))
			rule->port_count++;
	}
}

/* ---- ICMP types ----------------------------------------------------------------------------------------- */

/* 255 is reserved in both families, and stands for all in struct eg_policy_rule. */
static void read_type(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      struct eg_policy_rule *rule)
{
	const char *text = json_string_value(value);
	json_int_t type = json_integer_value(value);

	if (text && !strcmp(text, "any"))
		rule->types_any = true;
	else if (!json_is_integer(value))
		eg_policy_wanted(reader, at, value, "an ICMP type or \"any\"", TYPES_FIX);
	else if (type < 0 || type >= EG_POLICY_ICMP_ANY)
		eg_policy_error(reader, at, "Write a type from 0 to 254, or \"any\"",
				"%" JSON_INTEGER_FORMAT " is not an ICMP type", type);
	else
		rule->types[rule->type_count++] = (uint8_t)type;
}

void eg_policy_read_types(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into)
{
	struct eg_policy_rule *rule = into;

	if (json_is_string(value) && !strcmp(json_string_value(value), "any")) {
		rule->types_any = true;
		return;
	}
	if (!eg_policy_list(reader, at, value, sizeof(rule->types), TYPES_WANTED, TYPES_FIX))
		return;
	for (size_t i = 0; i < json_array_size(value); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		read_type(reader, &here, json_array_get(value, i), rule);
	}
}

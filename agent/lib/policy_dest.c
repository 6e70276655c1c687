// SPDX-License-Identifier: Apache-2.0
/*
 * policy_dest.c - whom a rule is about: addresses, prefixes, DNS names, "self"
 */
#include <ctype.h>
#include <string.h>

#include "policy_impl.h"

#define LABEL_MAX_LEN 63
#define EXAMPLE       "Write an address, a prefix such as \"10.0.0.0/8\", or a DNS name"

_Static_assert(EG_NAME_MAX == 251, "name_fault says how many");

/* ---- Names ------------------------------------------------------------------------------------------- */

/* What is wrong with a name in normal form (RFC 1123, and '_'), or NULL. */
static const char *name_fault(const char *name)
{
	const char *label = strncmp(name, "*.", 2) ? name : name + 2;

	if (strlen(name) > EG_NAME_MAX)
		return "has more than the 251 bytes that a name can have here";
	for (;;) {
		size_t len = strcspn(label, ".");

		if (strchr(label, '*'))
			return "has a * that is not the whole leftmost label, as in \"*.example.com\"";
		if (len == 0)
			return "has an empty label";
		if (len > LABEL_MAX_LEN)
			return "has a label of more than 63 bytes";
		if (label[0] == '-' || label[len - 1] == '-')
			return "has a label that begins or ends with -";
		if (strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") < len)
			return "has a character that no DNS name has";
		if (!label[len])
			return NULL;
		label += len + 1;
	}
}

/* Whether the last label is a number: then an IPv4 address was meant (WHATWG URL, "ends in a number"). */
static bool ends_in_number(const char *name)
{
	const char *label = strrchr(name, '.');

	label = label ? label + 1 : name;
	return *label && !label[strspn(label, "0123456789")];
}

static char *normal_name(const char *text)
{
	size_t len = strlen(text);
	char *name = strdup(text);

	if (!name)
		return NULL;
	for (char *c = name; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	return name;
}

static bool ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

char *eg_policy_name(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *text)
{
	EG_FREE char *name = normal_name(text);
	char shown[EG_POLICY_SHOWN];
	const char *why;

	if (!name) {
		eg_policy_no_memory(reader);
		return NULL;
	}
	eg_policy_show(text, shown);
	if (!ascii(text)) {
		eg_policy_error(reader, at, "Write its A-label, such as \"xn--bcher-kva.example\"",
				"%s has characters outside ASCII, which are not sent in DNS", shown);
		return NULL;
	}
	why = name_fault(name);
	if (why) {
		eg_policy_error(reader, at, EXAMPLE, "%s %s", shown, why);
		return NULL;
	}
	return EG_TAKE_PTR(name);
}

/* ---- What is no address --------------------------------------------------------------------------------- */

/* Speaks of what people take for a destination: a URL, a host with its port, brackets, a broken address. */
static bool report_no_name(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *text)
{
	const char *scheme = strstr(text, "://"), *colon = strrchr(text, ':');
	char shown[EG_POLICY_SHOWN], fix[160];

	eg_policy_show(text, shown);
	if (!*text) {
		eg_policy_error(reader, at, EXAMPLE, "This text is empty");
	} else if (!strcmp(text, "*")) {
		eg_policy_error(reader, at, "Write \"0.0.0.0/0\" and \"::/0\" if you mean every address",
				"\"*\" is no destination");
	} else if (scheme) {
		snprintf(fix, sizeof(fix), "Write \"%.*s\"", (int)strcspn(scheme + 3, "/:"), scheme + 3);
		eg_policy_error(reader, at, ascii(fix) && strlen(fix) < 100 ? fix : EXAMPLE,
				"%s is a URL; a host is wanted", shown);
	} else if (colon && colon != text && strchr(text, ':') == colon && colon[1] &&
		   isdigit((unsigned char)colon[1]) && !colon[1 + strspn(colon + 1, "0123456789")]) {
		eg_policy_error(reader, at, "Write the port into \"ports\"", "%s has a port", shown);
	} else if (text[0] == '[') {
		eg_policy_error(reader, at, "Write the address without brackets, and a port into \"ports\"",
				"%s has brackets", shown);
	} else if (strchr(text, '/')) {
		eg_policy_error(reader, at, EXAMPLE, "%s is not a CIDR prefix", shown);
	} else if (colon) {
		eg_policy_error(reader, at, EXAMPLE, "%s is not an IPv6 address", shown);
	} else if (ends_in_number(text)) {
		eg_policy_error(reader, at, "Write four numbers from 0 to 255, without leading zeros",
				"%s is not an IPv4 address", shown);
	} else {
		return false;
	}
	return true;
}

/* r is what eg_cidr_from_text said (not -EINVAL). */
static void report_cidr(struct eg_policy_reader *reader, const struct eg_policy_at *at, int r, const char *text,
			const struct eg_cidr *cidr)
{
	char shown[EG_POLICY_SHOWN], masked[EG_ADDR_TEXT], fix[EG_ADDR_TEXT + 16];

	eg_policy_show(text, shown);
	if (r == -EDOM) {
		snprintf(fix, sizeof(fix), "Write \"%s\"", eg_cidr_to_text(cidr, masked));
		eg_policy_error(reader, at, fix, "%s has bits set behind its prefix", shown);
	} else {
		eg_policy_error(reader, at,
				strchr(text, ':') ? "Write a length from /0 to /128" : "Write a length from /0 to /32",
				"The prefix length in %s is out of range", shown);
	}
}

bool eg_policy_cidr(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		    const char *wanted, struct eg_cidr *ret)
{
	const char *text = eg_policy_string(reader, at, value, wanted, "Write it in double quotes");
	char shown[EG_POLICY_SHOWN];
	int r;

	if (!text)
		return false;
	r = eg_cidr_from_text(text, ret);
	if (r == -EINVAL && !report_no_name(reader, at, text))
		eg_policy_error(reader, at, "Write an address, or a prefix such as \"10.0.0.0/8\"", "%s is not %s",
				eg_policy_show(text, shown), wanted);
	else if (r && r != -EINVAL)
		report_cidr(reader, at, r, text, ret);
	return !r;
}

/* ---- Lists ---------------------------------------------------------------------------------------------- */

static void read_name(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *text, size_t room,
		      struct eg_policy_rule *rule)
{
	char shown[EG_POLICY_SHOWN];
	char *name;

	if (report_no_name(reader, at, text))
		return;
	if (rule->dir == EG_DIR_INGRESS) {
		eg_policy_error(reader, at, "Write the address or prefix",
				"%s is a DNS name; who may connect is told by address", eg_policy_show(text, shown));
		return;
	}
	if (!rule->names)
		rule->names = calloc(room, sizeof(*rule->names));
	if (!rule->names) {
		eg_policy_no_memory(reader);
		return;
	}
	name = eg_policy_name(reader, at, text);
	if (name)
		rule->names[rule->name_count++] = name;
}

static void read_dest(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, size_t room,
		      struct eg_policy_rule *rule)
{
	const char *text = eg_policy_string(reader, at, value, "an address, a prefix or a DNS name",
					    "Write it in double quotes");
	struct eg_cidr cidr;
	int r;

	if (!text)
		return;
	r = eg_cidr_from_text(text, &cidr);
	if (!r)
		rule->cidrs[rule->cidr_count++] = cidr;
	else if (r != -EINVAL)
		report_cidr(reader, at, r, text, &cidr);
	else if (strcmp(text, "self"))
		read_name(reader, at, text, room, rule);
	else if (rule->dir == EG_DIR_EGRESS)
		rule->self = true;
	else
		eg_policy_error(reader, at, "Leave the rule out",
				"The app's own loopback needs no ingress rule; \"self\" stands in \"to\" alone");
}

void eg_policy_read_dests(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  struct eg_policy_rule *rule)
{
	size_t count = json_array_size(value);
	const char *key = rule->dir == EG_DIR_EGRESS ? "to" : "from";
	char fix[64];

	snprintf(fix, sizeof(fix), "Write \"%s\": [\"10.0.0.1\"]", key);
	if (!eg_policy_list(reader, at, value, EG_POLICY_DESTS_MAX, "a list of addresses, prefixes or names", fix))
		return;
	reader->dests += count;
	if (reader->dests > EG_POLICY_DESTS_MAX) {
		eg_policy_error(reader, at, "Write wider prefixes, or several apps",
				"The rules up to this one have %zu addresses and names; at most %d are accepted",
				reader->dests, EG_POLICY_DESTS_MAX);
		return;
	}
	rule->cidrs = reallocarray(NULL, count, sizeof(*rule->cidrs));
	if (!rule->cidrs) {
		eg_policy_no_memory(reader);
		return;
	}
	for (size_t i = 0; i < count && !eg_policy_full(reader); i++) {
		const struct eg_policy_at here = {at, NULL, i};

		read_dest(reader, &here, json_array_get(value, i), count, rule);
	}
	if (rule->self && count > 1)
		eg_policy_error(reader, at, "Write \"to\": [\"self\"] in a rule of its own",
				"\"self\" stands beside other destinations");
}

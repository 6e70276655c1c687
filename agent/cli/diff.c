// SPDX-License-Identifier: Apache-2.0
#include "diff.h"

#include <stdarg.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/units.h"
#include "cli.h"

static void compare(json_t *changes, const char *path, json_t *before, json_t *after);

/* ---- Order of keys ------------------------------------------------------------------------- */

static const char *const key_order[] = {
	"version", "app",   "owner", "ticket",	    "purpose",	   "catalog_id",	"request_id",
	"labels",  "expires", "mode", "log",	    "cgroups",	   "self",		"raw_sockets",
	"allow_netns_admin", "id",   "to",    "from",	    "proto",	   "ports",		"types",
	"tls",	   "http",  "private", "bytes",	    "per",	   "when",		"over",
	"action",  "egress", "ingress", "egress_rate", "new_flows",	   "resolvers",		"rate",
	"dns",	   "limits", "alerts",
};
#define KEYS (sizeof(key_order) / sizeof(key_order[0]))

static size_t rank(const char *key)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(key, key_order[i]) == 0)
			return i;
	return KEYS;
}

static json_t *ordered_object(const json_t *object)
{
	json_t *copy = json_object(), *value;
	const char *key;

	for (size_t i = 0; i < KEYS; i++) {
		value = json_object_get(object, key_order[i]);
		if (value)
			json_object_set_new(copy, key_order[i], eg_diff_ordered(value));
	}
	json_object_foreach((json_t *)object, key, value)
		if (rank(key) == KEYS)
			json_object_set_new(copy, key, eg_diff_ordered(value));
	return copy;
}

json_t *eg_diff_ordered(const json_t *json)
{
	json_t *copy, *item;
	size_t i;

	if (json_is_object(json))
		return ordered_object(json);
	if (!json_is_array(json))
		return json_deep_copy(json);
	copy = json_array();
	json_array_foreach(json, i, item)
		json_array_append_new(copy, eg_diff_ordered(item));
	return copy;
}

/* ---- Changes ---------------------------------------------------------------------------------- */

static char *__attribute__((format(printf, 1, 2))) text(const char *format, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, format);
	n = vasprintf(&s, format, args);
	va_end(args);
	return n < 0 ? NULL : s;
}

static void add_change(json_t *changes, const char *path, json_t *before, json_t *after)
{
	json_array_append_new(changes, json_pack("{s:s,s:s,s:O*,s:O*}", "op",
						 !before ? "add" : !after ? "remove" : "change", "path", path, "old",
						 before, "new", after));
}

/* ---- Lists as sets ------------------------------------------------------------------------------ */

/* Which kind of text the member has: what is written in more than one way is compared as a number. */
enum kind { KIND_TEXT, KIND_PEER, KIND_BYTES, KIND_SPAN, KIND_MOMENT, KIND_RATE, KIND_BITS };

static enum kind kind_of(const char *path)
{
	static const struct {
		const char *key;
		enum kind kind;
	} kinds[] = {
		{"to", KIND_PEER},       {"from", KIND_PEER},      {"private", KIND_PEER},     {"resolvers", KIND_PEER},
		{"ask_only", KIND_PEER}, {"bytes", KIND_BYTES},    {"per", KIND_SPAN},         {"expires", KIND_MOMENT},
		{"rate", KIND_RATE},     {"new_flows", KIND_RATE}, {"egress_rate", KIND_BITS},
	};
	const char *dot = strrchr(path, '.'), *key = dot ? dot + 1 : path;

	if (strncmp(path, "labels.", 7) == 0)
		return KIND_TEXT;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].key, key) == 0)
			return kinds[i].kind;
	return KIND_TEXT;
}

/* "10.0.0.1" for "10.0.0.1/32", "api.example" for "API.example.". */
static json_t *peer_meant(const char *text)
{
	char buffer[EG_ADDR_TEXT];
	struct eg_cidr cidr;
	json_t *name;
	size_t len = strlen(text);

	if (!eg_cidr_from_text(text, &cidr))
		return json_string(eg_cidr_to_text(&cidr, buffer));
	name = json_stringn(text, len > 1 && text[len - 1] == '.' ? len - 1 : len);
	for (char *c = (char *)json_string_value(name); c && *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
	return name;
}

/* What a text means, as a new reference; NULL: nothing but itself. */
static json_t *meant(const char *text, enum kind kind)
{
	uint64_t number = 0, per = 0;

	switch (kind) {
	case KIND_PEER:
		return peer_meant(text);
	case KIND_BYTES:
		return eg_units_bytes(text, &number) ? NULL : json_integer((json_int_t)number);
	case KIND_SPAN:
		return eg_units_span(text, &number) ? NULL : json_integer((json_int_t)number);
	case KIND_MOMENT:
		return eg_units_moment(text, &number) ? NULL : json_integer((json_int_t)number);
	case KIND_BITS:
		return eg_units_bitrate(text, &number) ? NULL : json_integer((json_int_t)number);
	case KIND_RATE:
		return eg_units_count_rate(text, &number, &per)
			       ? NULL
			       : json_pack("[I,I]", (json_int_t)number, (json_int_t)per);
	case KIND_TEXT:
		break;
	}
	return NULL;
}

/* What is the same has the same text: 443 is "443". NULL without memory. */
static char *identity(const json_t *item, enum kind kind)
{
	EG_JSON json_t *other = json_is_string(item) ? meant(json_string_value(item), kind) : NULL;

	if (json_is_integer(item) && kind == KIND_TEXT)
		other = json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(item));
	return json_dumps(other ? other : item, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static bool same(const json_t *a, const json_t *b, enum kind kind)
{
	EG_FREE char *text_a = identity(a, kind), *text_b = identity(b, kind);

	return text_a && text_b && strcmp(text_a, text_b) == 0;
}

/* What is in `list` and not in `other`. A list may have a million addresses. */
static json_t *without(const json_t *list, const json_t *other, enum kind kind)
{
	EG_JSON json_t *known = json_object();
	json_t *rest = json_array(), *item;
	size_t i;

	json_array_foreach(other, i, item) {
		EG_FREE char *key = identity(item, kind);

		if (key)
			json_object_set_new(known, key, json_true());
	}
	json_array_foreach(list, i, item) {
		EG_FREE char *key = identity(item, kind);

		if (!key || !json_object_get(known, key))
			json_array_append(rest, item);
	}
	return rest;
}

static void compare_sets(json_t *changes, const char *path, json_t *before, json_t *after)
{
	enum kind kind = kind_of(path);
	EG_JSON json_t *added = without(after, before, kind), *removed = without(before, after, kind);

	if (json_array_size(added) || json_array_size(removed))
		json_array_append_new(changes, json_pack("{s:s,s:s,s:O,s:O}", "op", "change", "path", path, "added", added,
							 "removed", removed));
}

/* ---- Rules ----------------------------------------------------------------------------------------- */

/* {id: place}; a rule without an id goes by its place. */
static json_t *places_of(const json_t *rules)
{
	json_t *places = json_object(), *rule;
	char number[32];
	size_t i;

	json_array_foreach(rules, i, rule) {
		const char *id = json_string_value(json_object_get(rule, "id"));

		snprintf(number, sizeof(number), "%zu", i);
		json_object_set_new(places, id ? id : number, json_integer((json_int_t)i));
	}
	return places;
}

static json_t *rule_at(const json_t *rules, const json_t *place)
{
	return place ? json_array_get(rules, (size_t)json_integer_value(place)) : NULL;
}

static void compare_rules(json_t *changes, const char *key, json_t *before, json_t *after)
{
	EG_JSON json_t *old_places = places_of(before), *new_places = places_of(after);
	json_int_t last = -1;
	const char *name;
	bool moved = false;
	json_t *place;

	json_object_foreach(old_places, name, place) {
		EG_FREE char *path = text("%s[%s]", key, name);
		json_t *there = json_object_get(new_places, name);

		if (path && there)
			compare(changes, path, rule_at(before, place), rule_at(after, there));
		else if (path)
			add_change(changes, path, rule_at(before, place), NULL);
		moved = moved || (there && json_integer_value(there) < last);
		last = there ? json_integer_value(there) : last;
	}
	json_object_foreach(new_places, name, place) {
		EG_FREE char *path = text("%s[%s]", key, name);

		if (path && !json_object_get(old_places, name))
			add_change(changes, path, NULL, rule_at(after, place));
	}
	if (moved)
		json_array_append_new(changes, json_pack("{s:s,s:s}", "op", "order", "path", key));
}

/* ---- Everything -------------------------------------------------------------------------------------- */

/* Whether leaving the key out means the same. */
static bool is_default(const char *path, const json_t *value)
{
	const char *text = json_string_value(value), *dot = strrchr(path, '.');

	if (strcmp(path, "$schema") == 0)
		return true;
	if (strcmp(path, "mode") == 0)
		return text && strcmp(text, "enforce") == 0;
	if (strcmp(path, "log") == 0)
		return text && strcmp(text, "rollup") == 0;
	if (strcmp(path, "self") == 0)
		return json_is_true(value);
	if (strcmp(path, "raw_sockets") == 0 || strcmp(path, "allow_netns_admin") == 0 ||
	    (dot && strcmp(dot, ".prefetch") == 0))
		return json_is_false(value);
	return dot && strcmp(dot, ".action") == 0 && text && strcmp(text, "drop") == 0;
}

static void compare_key(json_t *changes, const char *path, const char *key, json_t *before, json_t *after)
{
	EG_FREE char *below = path[0] ? text("%s.%s", path, key) : strdup(key);
	json_t *old = json_object_get(before, key), *now = json_object_get(after, key);
	bool rules = !path[0] && (strcmp(key, "egress") == 0 || strcmp(key, "ingress") == 0);

	if (!below)
		return;
	if (rules && (!old || json_is_array(old)) && (!now || json_is_array(now)))
		compare_rules(changes, key, old, now);
	else if (old && now)
		compare(changes, below, old, now);
	else if (!is_default(below, old ? old : now))
		add_change(changes, below, old, now);
}

static void compare_objects(json_t *changes, const char *path, json_t *before, json_t *after)
{
	EG_JSON json_t *both = json_object(), *sorted = NULL;
	const char *key;
	json_t *value;

	json_object_update(both, before);
	json_object_update(both, after);
	sorted = eg_diff_ordered(both);
	json_object_foreach(sorted, key, value)
		compare_key(changes, path, key, before, after);
}

/* A cap is a list of one. False: it is no such pair. */
static bool compare_caps(json_t *changes, const char *path, json_t *before, json_t *after)
{
	json_t *list = json_is_array(before) ? before : after, *one = json_array_get(list, 0);

	if (!json_is_array(list) || json_array_size(list) != 1 || !json_is_object(one) ||
	    !json_is_object(list == before ? after : before))
		return false;
	compare_objects(changes, path, list == before ? one : before, list == before ? after : one);
	return true;
}

static void compare(json_t *changes, const char *path, json_t *before, json_t *after)
{
	if (json_is_object(before) && json_is_object(after))
		compare_objects(changes, path, before, after);
	else if (json_is_object(before) != json_is_object(after) && compare_caps(changes, path, before, after))
		return;
	else if (json_is_array(before) && json_is_array(after))
		compare_sets(changes, path, before, after);
	else if (!same(before, after, kind_of(path)))
		add_change(changes, path, before, after);
}

json_t *eg_diff_policies(const json_t *before, const json_t *after)
{
	EG_JSON json_t *nothing = json_object();
	json_t *changes = json_array();

	if (changes && nothing)
		compare_objects(changes, "", before ? (json_t *)before : nothing, (json_t *)after);
	return changes;
}

/* ---- Printing ---------------------------------------------------------------------------------------- */

static char *value_text(const json_t *value)
{
	EG_JSON json_t *ordered = eg_diff_ordered(value);

	return json_dumps(ordered, JSON_ENCODE_ANY);
}

static void print_items(const struct eg_cli *cli, enum eg_style style, const char *sign, const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		EG_FREE char *value = value_text(item);

		fputs("    ", cli->out);
		eg_cli_style(cli, style, sign);
		eg_cli_say(cli, " %s", value ? value : "?");
	}
}

static void print_change(const struct eg_cli *cli, const json_t *change)
{
	const char *op = eg_json_text(change, "op"), *path = eg_json_text(change, "path");
	json_t *before = json_object_get(change, "old"), *after = json_object_get(change, "new");
	EG_FREE char *old = before ? value_text(before) : NULL, *now = after ? value_text(after) : NULL;

	fputs("  ", cli->out);
	if (strcmp(op, "add") == 0) {
		eg_cli_style(cli, EG_STYLE_GOOD, "+");
		eg_cli_say(cli, " %s: %s", path, now ? now : "?");
	} else if (strcmp(op, "remove") == 0) {
		eg_cli_style(cli, EG_STYLE_BAD, "-");
		eg_cli_say(cli, " %s: %s", path, old ? old : "?");
	} else if (strcmp(op, "order") == 0) {
		eg_cli_style(cli, EG_STYLE_WARN, "~");
		eg_cli_say(cli, " %s: the rules stand in another order", path);
	} else {
		eg_cli_style(cli, EG_STYLE_WARN, "~");
		if (before)
			eg_cli_say(cli, " %s: %s -> %s", path, old ? old : "?", now ? now : "?");
		else
			eg_cli_say(cli, " %s:", path);
		print_items(cli, EG_STYLE_BAD, "-", json_object_get(change, "removed"));
		print_items(cli, EG_STYLE_GOOD, "+", json_object_get(change, "added"));
	}
}

void eg_diff_print(const struct eg_cli *cli, const json_t *changes)
{
	json_t *change;
	size_t i;

	json_array_foreach(changes, i, change)
		print_change(cli, change);
}

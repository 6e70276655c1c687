// SPDX-License-Identifier: Apache-2.0
#include "diff.h"

#include <stdarg.h>
#include <string.h>

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

/* What is the same has the same text: 443 is "443". NULL without memory. */
static char *identity(const json_t *item)
{
	EG_JSON json_t *number = NULL;

	if (json_is_integer(item)) {
		number = json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(item));
		item = number;
	}
	return json_dumps(item, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static bool same(const json_t *a, const json_t *b)
{
	EG_FREE char *text_a = identity(a), *text_b = identity(b);

	return text_a && text_b && strcmp(text_a, text_b) == 0;
}

/* What is in `list` and not in `other`. A list may have a million addresses. */
static json_t *without(const json_t *list, const json_t *other)
{
	EG_JSON json_t *known = json_object();
	json_t *rest = json_array(), *item;
	size_t i;

	json_array_foreach(other, i, item) {
		EG_FREE char *key = identity(item);

		if (key)
			json_object_set_new(known, key, json_true());
	}
	json_array_foreach(list, i, item) {
		EG_FREE char *key = identity(item);

		if (!key || !json_object_get(known, key))
			json_array_append(rest, item);
	}
	return rest;
}

static void compare_sets(json_t *changes, const char *path, json_t *before, json_t *after)
{
	EG_JSON json_t *added = without(after, before), *removed = without(before, after);

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
	else
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

static void compare(json_t *changes, const char *path, json_t *before, json_t *after)
{
	if (json_is_object(before) && json_is_object(after))
		compare_objects(changes, path, before, after);
	else if (json_is_array(before) && json_is_array(after))
		compare_sets(changes, path, before, after);
	else if (!same(before, after))
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

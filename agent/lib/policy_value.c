// SPDX-License-Identifier: Apache-2.0
/*
 * policy_value.c - values of a policy by their type: objects, lists, texts, choices
 */
#include <string.h>

#include "policy_impl.h"

#define TEXT_MAX 255 /* bytes of owner, purpose and the like: they go into events */

static const char *type_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		break;
	}
	return "null";
}

void eg_policy_wanted(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      const char *wanted, const char *fix)
{
	eg_policy_error(reader, at, fix, "This is %s, and %s is wanted", type_of(value), wanted);
}

/* ---- Objects ---------------------------------------------------------------------------------------- */

static void unknown_key(struct eg_policy_reader *reader, const struct eg_policy_at *at,
			const struct eg_policy_key *keys, size_t count)
{
	const char *nearest;
	char shown[EG_POLICY_SHOWN], fix[sizeof(((struct eg_diag *)0)->fix)], place[32] = "of a policy";
	size_t used;

	while (count && keys[count - 1].flags & EG_POLICY_REFUSED)
		count--;
	nearest = eg_policy_nearest(at->key, &keys->name, count, sizeof(*keys));
	if (at->up && at->up->key)
		snprintf(place, sizeof(place), "of \"%s\"", at->up->key);
	else if (at->up)
		snprintf(place, sizeof(place), "here");
	eg_policy_show(at->key, shown);
	used = (size_t)snprintf(fix, sizeof(fix), nearest ? "Did you mean \"%s\"?" : "The keys %s are ",
				nearest ? nearest : place);
	for (size_t i = 0; !nearest && i < count && used < sizeof(fix); i++)
		used += (size_t)snprintf(fix + used, sizeof(fix) - used, "%s%s", i ? ", " : "", keys[i].name);
	if (reader->version > EG_POLICY_VERSION)
		eg_policy_error_key(reader, at, fix,
				    "%s is not a key %s in version %d; this policy says version %" JSON_INTEGER_FORMAT,
				    shown, place, EG_POLICY_VERSION, reader->version);
	else
		eg_policy_error_key(reader, at, fix, "%s is not a key %s", shown, place);
}

static void read_member(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			const struct eg_policy_key *keys, size_t count, void *into)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].name, at->key))
			continue;
		if (json_is_null(value))
			eg_policy_error(reader, at, "Leave the key out", "null is not a value");
		else if (keys[i].read)
			keys[i].read(reader, at, value, (char *)into + keys[i].offset);
		return;
	}
	unknown_key(reader, at, keys, count);
}

bool eg_policy_object(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      const struct eg_policy_key *keys, size_t count, void *into)
{
	const char *key;
	json_t *member;

	if (!json_is_object(value)) {
		eg_policy_wanted(reader, at, value, "an object", "Write {...}");
		return false;
	}
	if (at && !json_object_size(value)) {
		eg_policy_error(reader, at, "Leave the key out", "This object is empty");
		return false;
	}
	json_object_foreach((json_t *)value, key, member) {
		const struct eg_policy_at here = {at, key, 0};

		if (eg_policy_full(reader))
			break;
		read_member(reader, &here, member, keys, count, into);
	}
	for (size_t i = 0; i < count; i++) {
		char fix[64];

		if (!(keys[i].flags & EG_POLICY_REQUIRED) || json_object_get(value, keys[i].name))
			continue;
		snprintf(fix, sizeof(fix), "Add \"%s\"", keys[i].name);
		eg_policy_error(reader, at, fix, "The key \"%s\" is missing", keys[i].name);
	}
	return true;
}

/* ---- Lists, texts, choices ---------------------------------------------------------------------------- */

bool eg_policy_list(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, size_t max,
		    const char *wanted, const char *fix)
{
	if (!json_is_array(value)) {
		eg_policy_wanted(reader, at, value, wanted, fix);
		return false;
	}
	if (json_array_size(value) == 0) {
		eg_policy_error(reader, at, "Leave the key out, or fill the list", "This list is empty");
		return false;
	}
	if (json_array_size(value) > max) {
		eg_policy_error(reader, at, "Leave some out", "This list has %zu elements; at most %zu are accepted",
				json_array_size(value), max);
		return false;
	}
	return true;
}

const char *eg_policy_string(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			     const char *wanted, const char *fix)
{
	if (json_is_string(value))
		return json_string_value(value);
	eg_policy_wanted(reader, at, value, wanted, fix);
	return NULL;
}

int eg_policy_choice(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		     const char *const *names, size_t count)
{
	char list[128] = "", fix[160], shown[EG_POLICY_SHOWN];
	const char *text, *nearest;
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s\"%s\"", i ? " or " : "", names[i]);
	snprintf(fix, sizeof(fix), "Write %s", list);
	text = eg_policy_string(reader, at, value, list, fix);
	if (!text)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], text))
			return (int)i;
	nearest = eg_policy_nearest(text, names, count, sizeof(*names));
	if (nearest)
		snprintf(fix, sizeof(fix), "Did you mean \"%s\"?", nearest);
	eg_policy_error(reader, at, fix, "%s is not known here; %s is wanted", eg_policy_show(text, shown), list);
	return -1;
}

void eg_policy_bad_unit(struct eg_policy_reader *reader, const struct eg_policy_at *at, int r, const char *text,
			const char *what, const char *fix)
{
	char shown[EG_POLICY_SHOWN];

	eg_policy_show(text, shown);
	if (r == -EDOM)
		eg_policy_error(reader, at, fix, "The unit in %s is unknown or missing", shown);
	else if (r == -ERANGE)
		eg_policy_error(reader, at, fix, "The number in %s is zero or out of range", shown);
	else
		eg_policy_error(reader, at, fix, "%s is not %s", shown, what);
}

/* ---- Readers --------------------------------------------------------------------------------------------- */

void eg_policy_read_text(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into)
{
	const char *text = eg_policy_string(reader, at, value, "a text", "Put it in double quotes");
	char **ret = into;

	if (!text)
		return;
	if (!*text || strlen(text) > TEXT_MAX) {
		eg_policy_error(reader, at, *text ? "Write a shorter one" : "Leave the key out",
				*text ? "This text has more than %d bytes" : "This text is empty", TEXT_MAX);
		return;
	}
	if (!eg_policy_plain(text)) {
		eg_policy_error(reader, at, "Write it in one line of plain text",
				"This text has a line break or another control character");
		return;
	}
	*ret = strdup(text);
	if (!*ret)
		eg_policy_no_memory(reader);
}

void eg_policy_read_bool(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into)
{
	if (json_is_boolean(value))
		*(bool *)into = json_is_true(value);
	else
		eg_policy_wanted(reader, at, value, "true or false", "Write true or false, without quotes");
}

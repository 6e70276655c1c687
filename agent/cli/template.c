// SPDX-License-Identifier: Apache-2.0
#include "template.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../lib/cleanup.h"

#define NESTING_MAX 16 /* of the policy's JSON, and of defaults in defaults */
#define NAME_SIZE   64

static const char *const built_in[] = {"app", "owner", "ticket", "expires"};
#define BUILT_IN (sizeof(built_in) / sizeof(built_in[0]))

struct filler {
	const json_t *parameters;
	const json_t *values;
	char *message; /* filled once something was wrong */
	size_t size;
};

bool eg_template_name(const char *name)
{
	return name[0] && name[0] != '-' && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

/* The first one is kept: it is the cause of the others. */
static void __attribute__((format(printf, 2, 3))) fault(struct filler *filler, const char *format, ...)
{
	va_list args;

	if (filler->message[0])
		return;
	va_start(args, format);
	vsnprintf(filler->message, filler->size, format, args);
	va_end(args);
}

/* ---- Values --------------------------------------------------------------------------------- */

static bool is_built_in(const char *name)
{
	for (size_t i = 0; i < BUILT_IN; i++)
		if (strcmp(built_in[i], name) == 0)
			return true;
	return false;
}

static const char *default_of(const struct filler *filler, const char *name)
{
	return json_string_value(json_object_get(json_object_get(filler->parameters, name), "default"));
}

/* What was given is text as it is; only a default may hold places. */
static const char *value_of(struct filler *filler, const char *name, bool *ret_default)
{
	const char *given = json_string_value(json_object_get(filler->values, name)), *value;

	*ret_default = !given;
	value = given ? given : default_of(filler, name);
	if (!value)
		fault(filler, "the template uses ${%s} and says nothing about it", name);
	return value;
}

/* "${" of the next place, and its name; NULL: there is none. */
static const char *next_place(const char *text, char name[NAME_SIZE], const char **ret_after)
{
	const char *place = strstr(text, "${"), *end = place ? strchr(place, '}') : NULL;
	size_t len = end ? (size_t)(end - place) - 2 : 0;

	if (!len || len >= NAME_SIZE)
		return NULL;
	memcpy(name, place + 2, len);
	name[len] = '\0';
	*ret_after = end + 1;
	return place;
}

static void expand(struct filler *filler, const char *text, unsigned depth, FILE *out)
{
	const char *place, *after;
	char name[NAME_SIZE];

	if (depth > NESTING_MAX)
		return fault(filler, "the template's defaults refer to each other without end");
	while ((place = next_place(text, name, &after))) {
		bool is_default;
		const char *value = value_of(filler, name, &is_default);

		fwrite(text, 1, (size_t)(place - text), out);
		if (value && is_default)
			expand(filler, value, depth + 1, out);
		else if (value)
			fputs(value, out);
		text = after;
	}
	fputs(text, out);
}

/* Caller frees; NULL without memory, which was noted. */
static char *expanded(struct filler *filler, const char *text)
{
	char *value = NULL;
	size_t size;
	FILE *out = open_memstream(&value, &size);

	if (out)
		expand(filler, text, 0, out);
	if (!out || fclose(out)) {
		free(value);
		value = NULL;
		fault(filler, "out of memory");
	}
	return value;
}

/* ---- The policy ------------------------------------------------------------------------------- */

static json_t *fill(struct filler *filler, const json_t *json, unsigned depth);

static bool empty(const json_t *json)
{
	return !json || (json_is_string(json) && !json_string_length(json)) ||
	       (json_is_array(json) && !json_array_size(json)) || (json_is_object(json) && !json_object_size(json));
}

/* "a, b" is two elements where a place stands alone. */
static void add_parts(struct filler *filler, json_t *list, const char *text)
{
	EG_FREE char *value = expanded(filler, text);
	char *rest = value, *part;

	while (rest && (part = strsep(&rest, ","))) {
		part += strspn(part, " ");
		part[strcspn(part, " ")] = '\0';
		if (*part)
			json_array_append_new(list, json_string(part));
	}
}

static bool is_place(const char *text)
{
	const char *after;
	char name[NAME_SIZE];

	return text && next_place(text, name, &after) == text && !*after;
}

static json_t *fill_list(struct filler *filler, const json_t *json, unsigned depth)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach(json, i, item) {
		const char *text = json_string_value(item);
		json_t *filled;

		if (is_place(text)) {
			add_parts(filler, list, text);
			continue;
		}
		filled = fill(filler, item, depth + 1);
		if (empty(filled))
			json_decref(filled);
		else
			json_array_append_new(list, filled);
	}
	return list;
}

static json_t *fill_object(struct filler *filler, const json_t *json, unsigned depth)
{
	json_t *object = json_object(), *item;
	const char *key;

	json_object_foreach((json_t *)json, key, item) {
		json_t *filled = fill(filler, item, depth + 1);

		if (empty(filled))
			json_decref(filled);
		else
			json_object_set_new(object, key, filled);
	}
	return object;
}

static json_t *fill(struct filler *filler, const json_t *json, unsigned depth)
{
	EG_FREE char *text = NULL;

	if (depth > NESTING_MAX) {
		fault(filler, "the template is nested too deeply");
		return NULL;
	}
	if (json_is_array(json))
		return fill_list(filler, json, depth);
	if (json_is_object(json))
		return fill_object(filler, json, depth);
	if (!json_is_string(json))
		return json_deep_copy(json);
	text = expanded(filler, json_string_value(json));
	return text ? json_string(text) : NULL;
}

/* ---- What was given ------------------------------------------------------------------------------ */

/* "a, b" of the names in an object that are the template's own. */
static void list_parameters(const json_t *parameters, char *ret, size_t size)
{
	json_t *about;
	const char *name;
	size_t used = 0;

	ret[0] = '\0';
	json_object_foreach((json_t *)parameters, name, about)
		if (used < size)
			used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "", name);
}

static void check_values(struct filler *filler)
{
	char known[256], missing[256] = "";
	json_t *value;
	const char *name;
	size_t used = 0;

	list_parameters(filler->parameters, known, sizeof(known));
	json_object_foreach((json_t *)filler->values, name, value)
		if (!is_built_in(name) && !json_object_get(filler->parameters, name))
			fault(filler, "this template has no parameter '%s'; it has %s", name, known);
	json_object_foreach((json_t *)filler->parameters, name,
			    value) if (!default_of(filler, name) && empty(json_object_get(filler->values, name)) &&
				       used < sizeof(missing)) used +=
		(size_t)snprintf(missing + used, sizeof(missing) - used, "%s%s=%s", used ? " --set " : "", name,
				 json_string_value(json_object_get(value, "example")) ?: "VALUE");
	if (used)
		fault(filler, "this template also needs, for example, --set %s", missing);
}

json_t *eg_template_fill(const json_t *template, const json_t *values, char *message, size_t size)
{
	struct filler filler = {.parameters = json_object_get(template, "parameters"), .values = values,
				.message = message, .size = size};
	const json_t *policy = json_object_get(template, "policy");
	json_t *filled = NULL;

	message[0] = '\0';
	if (!json_is_object(policy) || !json_is_object(filler.parameters))
		fault(&filler, "this is no template: it lacks \"policy\" or \"parameters\"");
	else
		check_values(&filler);
	if (!message[0])
		filled = fill(&filler, policy, 0);
	if (!message[0] && filled)
		return filled;
	fault(&filler, "out of memory");
	json_decref(filled);
	return NULL;
}

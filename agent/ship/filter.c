// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <string.h>

#include "../lib/glob.h"

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static bool is_among(char *const *list, const char *word)
{
	for (; list && *list; list++) {
		if (strcmp(*list, word) == 0)
			return true;
	}
	return false;
}

static bool matches_any(char *const *globs, const char *app)
{
	for (; *globs; globs++) {
		if (eg_glob_match(*globs, app))
			return true;
	}
	return false;
}

/* Events that have no verdict (a kill, a policy) are not chosen by it. */
static bool has_verdict(const struct eg_sink_config *sink, const char *verdict)
{
	return !sink->verdicts || !verdict[0] || is_among(sink->verdicts, verdict);
}

enum eg_way eg_filter(const struct eg_sink_config *sink, const json_t *event)
{
	const char *type = text_of(event, "type"), *app = text_of(event, "app"), *verdict = text_of(event, "verdict");

	if (sink->types && !is_among(sink->types, type))
		return EG_WAY_OUT;
	if (sink->apps && (!app[0] || !matches_any(sink->apps, app)))
		return EG_WAY_OUT;
	if (!has_verdict(sink, verdict))
		return EG_WAY_OUT;
	if (sink->flows_full || strcmp(type, "flow") != 0 || strcmp(verdict, "deny") == 0 ||
	    strcmp(text_of(event, "log"), "full") == 0)
		return EG_WAY_NOW;
	return EG_WAY_ROLLUP;
}

// SPDX-License-Identifier: Apache-2.0
#include "diag.h"

#include <stdio.h>
#include <stdlib.h>

void eg_diags_clear(struct eg_diags *diags)
{
	free(diags->file);
	free(diags->items);
	*diags = (struct eg_diags){0};
}

void eg_diags_add(struct eg_diags *diags, const struct eg_diag *diag)
{
	struct eg_diag *items;

	if (diag->level == EG_DIAG_ERROR)
		diags->errors++;
	if (diags->count == EG_DIAGS_MAX) {
		diags->dropped++;
		return;
	}
	items = reallocarray(diags->items, diags->count + 1, sizeof(*items));
	if (!items) {
		diags->dropped++;
		return;
	}
	diags->items = items;
	diags->items[diags->count++] = *diag;
}

static const char *const level_names[] = {
	[EG_DIAG_ERROR] = "error",
	[EG_DIAG_WARNING] = "warning",
	[EG_DIAG_INFO] = "info",
};

static json_t *diag_json(const char *file, const struct eg_diag *diag)
{
	return json_pack("{s:s,s:s,s:s*,s:i,s:i,s:s,s:s,s:s}", "level", level_names[diag->level],
			 "code", diag->code ? diag->code : "invalid", "file", file, "line",
			 (int)diag->line, "column", (int)diag->column, "path", diag->path, "message", diag->message,
			 "fix", diag->fix);
}

static json_t *diags_json(const struct eg_diags *diags, enum eg_diag_level last)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < diags->count; i++) {
		json_t *item;

		if (diags->items[i].level > last)
			continue;
		item = diag_json(diags->file, &diags->items[i]);
		if (!item || json_array_append_new(list, item)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *eg_diags_json(const struct eg_diags *diags)
{
	return diags_json(diags, EG_DIAG_INFO);
}

json_t *eg_diags_warnings_json(const struct eg_diags *diags)
{
	return diags_json(diags, EG_DIAG_WARNING);
}

const char *eg_diag_text(const struct eg_diags *diags, const struct eg_diag *diag, char *ret, size_t size)
{
	char place[32] = "";

	if (diag->line)
		snprintf(place, sizeof(place), "%u:%u: ", diag->line, diag->column);
	snprintf(ret, size, "%s%s%s%s: %s%s%s%s%s%s%s%s%s", diags->file ? diags->file : "", diags->file ? ":" : "",
		 place[0] ? place : (diags->file ? " " : ""), level_names[diag->level], diag->path,
		 diag->path[0] ? ": " : "", diag->message, diag->fix[0] ? " (" : "", diag->fix, diag->fix[0] ? ")" : "",
		 diag->code ? " [" : "", diag->code ? diag->code : "", diag->code ? "]" : "");
	return ret;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * render SCHEMA < NDJSON: each event in that schema (egret, ecs, ocsf), as egret-ship would send it; or its
 * severity and Community ID, for "facts". For the end-to-end tests, which check it by rules of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/ship/schema.h"

static json_t *facts(const json_t *event)
{
	char id[EG_COMMUNITY_ID_LEN];
	int r = eg_community_id(event, id);

	return json_pack("{s:i,s:s*}", "severity", (int)eg_schema_severity(event), "community_id", r ? NULL : id);
}

static int render_line(const char *schema, const char *line, size_t len)
{
	static const char *const names[EG_SCHEMA_COUNT_] = {"egret", "ecs", "ocsf"};
	json_t *event = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL), *made = NULL;

	if (strcmp(schema, "facts") == 0)
		made = facts(event);
	for (int i = 0; i < EG_SCHEMA_COUNT_; i++)
		if (strcmp(schema, names[i]) == 0 && eg_schema_render((enum eg_sink_schema)i, event, &made) < 0)
			made = NULL;
	json_decref(event);
	if (!made || json_dumpf(made, stdout, JSON_COMPACT) < 0) {
		fprintf(stderr, "render: not rendered: %.*s\n", (int)len, line);
		json_decref(made);
		return -1;
	}
	json_decref(made);
	return putchar('\n') == EOF ? -1 : 0;
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int r = 0;

	if (argc != 2)
		return 2;
	while (!r && (len = getline(&line, &size, stdin)) > 0)
		r = render_line(argv[1], line, (size_t)len);
	free(line);
	return r ? 1 : 0;
}

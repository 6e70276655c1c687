/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.h - pieces of the API's JSON as people read them: states, times, holds, caps
 */
#ifndef EG_CLI_SHOW_H
#define EG_CLI_SHOW_H

#include "cli.h"

/* Of an app's state: "killed", "enforce" ... */
enum eg_style eg_show_state_style(const char *state);

/* A cell with a moment to the second, or "-". */
void eg_show_moment(struct eg_table *table, const json_t *object, const char *key);
/* A cell with "3m 12s ago" of a moment. */
void eg_show_ago(struct eg_table *table, const json_t *object, const char *key);
/* A cell with an array's first items. */
void eg_show_list(struct eg_table *table, const json_t *array, size_t most);
/* "team=hr,env=prod" of an object of strings. */
void eg_show_labels(struct eg_table *table, const json_t *labels);

/* Tables of a whole array, with their titles; nothing if it is empty. heading: a line before it. */
void eg_show_holds(const struct eg_cli *cli, const char *heading, const json_t *holds);
/* caps: of one app. */
void eg_show_caps(const struct eg_cli *cli, const char *heading, const json_t *caps);
/* The same into a table "APP|DIRECTION|SCOPE|>USED|>LIMIT|>%|WINDOW|RESETS|ACTION". */
void eg_show_cap_rows(struct eg_table *table, const char *app, const json_t *caps);
#define EG_SHOW_CAPS_TITLES "DIRECTION|SCOPE|>USED|>LIMIT|>%|WINDOW|RESETS|ACTION"

/* alerts: of one app. */
void eg_show_alerts(const struct eg_cli *cli, const char *heading, const json_t *alerts);

/* The newest `most` of a list of grants, and how many more there are; nothing if it is empty. */
void eg_show_grants(const struct eg_cli *cli, const char *heading, const json_t *grants, size_t most);

/* Sentences for what a reason's wire text means; NULL if it isn't known. */
const char *eg_show_reason(const char *wire);

/* UTC now, ns. */
uint64_t eg_show_now_ns(void);

#endif

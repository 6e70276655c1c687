/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top.h - the apps by what they do now: what `egret top` shows, however it shows it
 *
 * A sample is what the agent answers at one moment; rates are what changed since the sample
 * before it. eg_top_arrange() then chooses and orders the rows that are shown.
 */
#ifndef EG_CLI_TOP_H
#define EG_CLI_TOP_H

#include <egret/abi.h>

#include "cli.h"

enum eg_top_sort { EG_TOP_RATE, EG_TOP_CAP, EG_TOP_DENIED, EG_TOP_LIVE, EG_TOP_NAME, EG_TOP_SORT_COUNT_ };

extern const char *const eg_top_sorts[EG_TOP_SORT_COUNT_]; /* "rate" ... */
#define EG_TOP_SORTS "rate cap denied live name"

struct eg_top_row {
	char app[EG_APP_NAME_LEN];
	char state[16];
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t denied;
	uint64_t sockets;
	uint64_t out_per_s; /* these three since the sample before; 0 in the first one */
	uint64_t in_per_s;
	uint64_t denied_per_s;
	int cap_percent; /* of the cap of which the most is used; -1: no cap */
};

struct eg_top {
	struct eg_top_row *rows; /* all, by name */
	size_t count;
	const struct eg_top_row **shown; /* of rows */
	size_t shown_count;
	struct eg_top_row sum; /* rates and sockets of all */
	size_t killed;
	enum eg_top_sort sort;
	char filter[EG_APP_NAME_LEN]; /* shown are apps whose name or state has it; "": all */
	uint64_t when_ns; /* monotonic, of the sample; 0: there is none */
};

/*
 * Takes answers of /v1/apps and /v1/usage as the next sample, and arranges it. -ENOMEM: the
 * sample of before stays.
 */
int eg_top_take(struct eg_top *top, const json_t *apps, const json_t *usage, uint64_t now_ns);
/* After sort or filter has changed. */
void eg_top_arrange(struct eg_top *top);
/* -1: no such order. */
int eg_top_sort_parse(const char *text);
void eg_top_clear(struct eg_top *top);

/* Asks the agent for the next sample. 0, or what eg_client_call says. */
int eg_top_sample(struct eg_cli *cli, struct eg_top *top, struct eg_error *err);

/* Runs on the terminal until the user has enough. An exit status. */
int eg_top_screen(struct eg_cli *cli, struct eg_top *top, uint64_t interval_ns);

#endif

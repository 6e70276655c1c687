/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what happened to apps in a span of time, as one HTML page
 *
 * report_data.c gathers it from events, one by one, into a bounded amount of memory;
 * report_page.c writes the page, report_svg.c its charts. Events carry strings that apps chose
 * (comm, name, sni) and sentences that people wrote: nothing of them reaches the page but through
 * eg_report_text().
 */
#ifndef EG_CLI_REPORT_H
#define EG_CLI_REPORT_H

#include <egret/abi.h>

#include "cli.h"

#define EG_REPORT_BINS	    96
#define EG_REPORT_ITEMS_MAX 2048 /* of one list of one app */
#define EG_REPORT_LINES_MAX 400 /* of one app, the newest */
#define EG_REPORT_APPS_MAX  20000

/* What is counted by a key: a destination, a denial, a name. */
struct eg_report_item {
	char *key; /* also what is shown */
	char *detail; /* or NULL */
	uint64_t count;
	uint64_t bytes_out;
	uint64_t bytes_in;
};

struct eg_report_items {
	struct eg_report_item *items;
	size_t count;
	size_t room;
	json_t *index; /* key -> place */
	struct eg_report_item rest; /* what had no place */
};

/* A kill, a policy change, an alert ... */
struct eg_report_line {
	uint64_t ts_ns;
	char type[16];
	char *text;
};

struct eg_report_app {
	char name[EG_APP_NAME_LEN];
	json_t *now; /* what /v1/apps/APP says; NULL: it is gone */
	json_t *remembered; /* what /v1/denied says: what the kernel remembers, whatever the log does; or NULL */
	double out[EG_REPORT_BINS];
	double in[EG_REPORT_BINS];
	double denied[EG_REPORT_BINS];
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t denials;
	uint64_t lost; /* events that were not told, of which the log knows */
	struct eg_report_items destinations;
	struct eg_report_items denies;
	struct eg_report_items names;
	struct eg_report_line *lines; /* a ring of EG_REPORT_LINES_MAX; NULL: none yet */
	size_t line_count; /* ever */
};

struct eg_report {
	uint64_t from_ns;
	uint64_t to_ns;
	struct eg_report_app **apps; /* in the order they came; see eg_report_order() */
	size_t count;
	size_t room;
	json_t *index; /* name -> place */
	json_t *flows; /* flow_id -> [ts, bytes_out, bytes_in], of flows that have not ended */
	uint64_t events;
	uint64_t odd; /* lines that are no event */
	uint64_t lost; /* as of an app, where the log doesn't say whose */
};

int eg_report_new(uint64_t from_ns, uint64_t to_ns, struct eg_report **ret);
void eg_report_free(struct eg_report *report);
EG_DEFINE_CLEANUP(report, struct eg_report *, eg_report_free);

/* One line of the log. 0 or -ENOMEM. */
int eg_report_event(struct eg_report *report, const char *line, size_t len);
/* The app, made if it isn't known; NULL without memory, or beyond EG_REPORT_APPS_MAX. */
struct eg_report_app *eg_report_app(struct eg_report *report, const char *name);
/* Most traffic first; items by bytes, then by count. After the last event. */
void eg_report_order(struct eg_report *report);

/* The whole page. title: an app's name, or "all apps". */
void eg_report_page(FILE *out, const struct eg_report *report, const char *title, const char *host);

/* ---- Between report_page.c and report_svg.c ---------------------------------------------------- */

/* Text, cleaned as for a terminal and escaped for HTML's text and attributes. NULL: nothing. */
void eg_report_text(FILE *out, const char *text);

void eg_report_svg_traffic(FILE *out, const struct eg_report *report, const struct eg_report_app *app);
void eg_report_svg_denied(FILE *out, const struct eg_report *report, const struct eg_report_app *app);
/* Use of one cap of the app's, window by window, below its limit. */
void eg_report_svg_cap(FILE *out, const struct eg_report *report, const struct eg_report_app *app, const json_t *cap);

#endif

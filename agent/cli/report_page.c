// SPDX-License-Identifier: Apache-2.0
/*
 * report_page.c - the page of a report: no script, nothing loaded, readable on paper and in the dark
 */
#include <inttypes.h>
#include <string.h>

#include "../lib/units.h"
#include "event.h"
#include "report.h"
#include "show.h"
#include "text.h"

#define SECTIONS_MAX 20 /* apps with charts of their own; the others are in the table */
#define ITEMS_SHOWN  25

/* The policy is for a browser that finds a mistake here before we do. */
static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\n";

static const char style[] =
	"<style>\n"
	":root{--bg:#fff;--fg:#1b1f24;--dim:#626b76;--line:#d9dee4;--out:#2166ac;--in:#2e8b57;--bad:#c0392b;--warn:#b9770e;"
	"--use:#9ecae1}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e4e8ec;--dim:#98a2ad;--line:#343b43;--out:#6aaee8;"
	"--in:#5fc48d;--bad:#f0766a;--warn:#e3b04b;--use:#2d5f86}}\n"
	"@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--out:#2166ac;--in:#2e8b57;--bad:#c0392b;"
	"--warn:#8a5a00;--use:#9ecae1}section{break-before:page}section:first-of-type,svg,tr{break-before:auto;"
	"break-inside:avoid}}\n"
	"body{background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;"
	"padding:0 1rem}\n"
	"h1{font-size:1.6rem;margin:0}h2{font-size:1.25rem;margin:2.2rem 0 .3rem;border-top:2px solid var(--line);"
	"padding-top:1rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}\n"
	"p{margin:.3rem 0}.dim{color:var(--dim)}.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--in)}\n"
	"table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.2rem .5rem;"
	"border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}"
	"th{color:var(--dim);font-weight:600}\n"
	".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
	"dl{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:.8rem 0}dt{color:var(--dim);font-size:.8rem}"
	"dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}\n"
	"ol{font:12px/1.5 ui-monospace,monospace;list-style:none;padding:0;margin:.3rem 0;overflow-wrap:anywhere}"
	"ol li{border-left:3px solid var(--line);padding-left:.5rem;margin:.15rem 0}"
	"li.kill,li.expire,li.lost{border-color:var(--bad)}li.cap,li.rate,li.alert,li.relax,li.suppressed{"
	"border-color:var(--warn)}li.policy,li.restore{border-color:var(--out)}\n"
	"svg{display:block;width:100%;height:auto;margin:.3rem 0}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}\n"
	".grid{stroke:var(--line);stroke-width:.5}.base{stroke:var(--dim)}.out rect{fill:var(--out)}.in rect{fill:var(--in)}"
	".denied rect{fill:var(--bad)}.use{fill:var(--use)}.limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:6 3}\n"
	".mark{stroke:var(--out);stroke-width:1.2;stroke-dasharray:2 2}.mark.kill,.mark.expire{stroke:var(--bad);"
	"stroke-width:2;stroke-dasharray:none}.mark.cap,.mark.relax{stroke:var(--warn)}\n"
	"</style>\n";

void eg_report_text(FILE *out, const char *text)
{
	EG_FREE char *clean = text ? eg_text_clean(text) : NULL;

	for (const char *c = clean; c && *c; c++) {
		if (strchr("&<>\"'", *c))
			fprintf(out, "&#%d;", *c);
		else
			fputc(*c, out);
	}
}

/* ---- Pieces ------------------------------------------------------------------------------------- */

static void number_cell(FILE *out, const char *text)
{
	fputs("<td class=\"n\">", out);
	eg_report_text(out, text);
	fputs("</td>", out);
}

static void bytes_cell(FILE *out, uint64_t bytes)
{
	char text[32];

	number_cell(out, eg_units_bytes_text(bytes, text, sizeof(text)));
}

static void count_cell(FILE *out, uint64_t count)
{
	fprintf(out, "<td class=\"n\">%" PRIu64 "</td>", count);
}

static void text_cell(FILE *out, const char *text)
{
	fputs("<td>", out);
	eg_report_text(out, text);
	fputs("</td>", out);
}

static void fact(FILE *out, const char *name, const char *class, const char *text)
{
	if (!text || !text[0])
		return;
	fprintf(out, "<div><dt>%s</dt><dd class=\"%s\">", name, class);
	eg_report_text(out, text);
	fputs("</dd></div>\n", out);
}

static void count_fact(FILE *out, const char *name, const char *class, uint64_t count)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, count);
	fact(out, name, class, text);
}

static void bytes_fact(FILE *out, const char *name, uint64_t bytes)
{
	char text[32];

	fact(out, name, "", eg_units_bytes_text(bytes, text, sizeof(text)));
}

static const char *state_class(const char *state)
{
	switch (eg_show_state_style(state)) {
	case EG_STYLE_GOOD:
		return "good";
	case EG_STYLE_WARN:
		return "warn";
	case EG_STYLE_BAD:
		return "bad";
	default:
		return "dim";
	}
}

static const char *state_of(const struct eg_report_app *app)
{
	const char *state = eg_json_text(app->now, "state");

	return state ? state : "not on this host now";
}

/* "and 12 more" below a table of which the first ITEMS_SHOWN were shown. */
static void say_rest(FILE *out, const struct eg_report_items *items)
{
	uint64_t more = items->rest.count;

	for (size_t i = ITEMS_SHOWN; i < items->count; i++)
		more += items->items[i].count;
	if (more)
		fprintf(out, "<p class=\"dim\">and %" PRIu64 " more, elsewhere</p>\n", more);
}

/* ---- An app's lists --------------------------------------------------------------------------------- */

static void destinations(FILE *out, const struct eg_report_items *items)
{
	if (!items->count)
		return;
	fputs("<h3>Where to</h3>\n<table><tr><th>Peer<th>Name<th class=\"n\">Flows<th class=\"n\">Sent"
	      "<th class=\"n\">Received</tr>\n", out);
	for (size_t i = 0; i < items->count && i < ITEMS_SHOWN; i++) {
		fputs("<tr>", out);
		text_cell(out, items->items[i].key);
		text_cell(out, items->items[i].detail);
		count_cell(out, items->items[i].count);
		bytes_cell(out, items->items[i].bytes_out);
		bytes_cell(out, items->items[i].bytes_in);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
	say_rest(out, items);
}

/* detail is a reason's wire text. */
static void counted(FILE *out, const char *heading, const char *what, const struct eg_report_items *items)
{
	if (!items->count)
		return;
	fprintf(out, "<h3>%s</h3>\n<table><tr><th class=\"n\">Times<th>%s<th>Meaning</tr>\n", heading, what);
	for (size_t i = 0; i < items->count && i < ITEMS_SHOWN; i++) {
		fputs("<tr>", out);
		count_cell(out, items->items[i].count);
		text_cell(out, items->items[i].key);
		text_cell(out, items->items[i].detail ? eg_show_reason(items->items[i].detail) : NULL);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
	say_rest(out, items);
}

/* From the kernel's table, so also what the log had no room for. */
static void fixes(FILE *out, const json_t *denied)
{
	json_t *denial;
	size_t i;

	if (!json_array_size(denied))
		return;
	fputs("<h3>What the kernel remembers of it, and what to do</h3>\n"
	      "<table><tr><th class=\"n\">Times<th>Peer<th>Reason<th>What to do</tr>\n", out);
	json_array_foreach(denied, i, denial) {
		const char *fix = eg_json_text(denial, "fix");
		EG_FREE char *peer = eg_event_end(denial, "peer", "port");

		if (i == ITEMS_SHOWN)
			break;
		fputs("<tr>", out);
		count_cell(out, eg_json_u64(denial, "count"));
		text_cell(out, peer);
		text_cell(out, eg_json_text(denial, "reason"));
		text_cell(out, fix ? fix : eg_json_text(denial, "sentence"));
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
	if (json_array_size(denied) > ITEMS_SHOWN)
		fprintf(out, "<p class=\"dim\">and %zu more</p>\n", json_array_size(denied) - ITEMS_SHOWN);
}

/* type is one of the agent's own words, but the page does not rely on that. */
static void lines(FILE *out, const struct eg_report_app *app)
{
	size_t kept = app->line_count < EG_REPORT_LINES_MAX ? app->line_count : EG_REPORT_LINES_MAX;

	if (!kept)
		return;
	fputs("<h3>Kills, policy changes, alerts</h3>\n", out);
	if (app->line_count > kept)
		fprintf(out, "<p class=\"dim\">the newest %zu of %zu</p>\n", kept, app->line_count);
	fputs("<ol>\n", out);
	for (size_t i = app->line_count - kept; i < app->line_count; i++) {
		const struct eg_report_line *line = &app->lines[i % EG_REPORT_LINES_MAX];

		fputs("<li class=\"", out);
		eg_report_text(out, line->type);
		fputs("\">", out);
		eg_report_text(out, line->text);
		fputs("</li>\n", out);
	}
	fputs("</ol>\n", out);
}

static void caps(FILE *out, const struct eg_report *report, const struct eg_report_app *app)
{
	json_t *cap;
	size_t i;

	json_array_foreach(json_object_get(app->now, "caps"), i, cap) {
		const char *direction = eg_json_text(cap, "direction"), *scope = eg_json_text(cap, "scope");
		char used[32], limit[32], per[48];

		fputs("<h3>Cap: ", out);
		eg_report_text(out, direction);
		if (scope && strcmp(scope, "app") != 0) {
			fputs(" of ", out);
			eg_report_text(out, scope);
		}
		fprintf(out, ", %s of %s used in this window of %s</h3>\n",
			eg_units_bytes_text(eg_json_u64(cap, "used"), used, sizeof(used)),
			eg_units_bytes_text(eg_json_u64(cap, "limit"), limit, sizeof(limit)),
			eg_units_span_text(eg_json_u64(cap, "per_s") * 1000000000, per, sizeof(per)));
		if (scope && strcmp(scope, "app") == 0) /* the bytes of others are not told apart here */
			eg_report_svg_cap(out, report, app, cap);
	}
}

/* ---- The page --------------------------------------------------------------------------------------------- */

static void facts(FILE *out, const struct eg_report_app *app)
{
	const char *state = state_of(app);
	char expires[64];
	const char *moment = eg_json_text(app->now, "expires");

	fputs("<dl>\n", out);
	fact(out, "State", state_class(state), state);
	bytes_fact(out, "Sent", app->bytes_out);
	bytes_fact(out, "Received", app->bytes_in);
	count_fact(out, "Denials in the log", app->denials ? "bad" : "", app->denials);
	if (app->lost)
		count_fact(out, "Events not told", "warn", app->lost);
	fact(out, "Owner", "", eg_json_text(app->now, "owner"));
	fact(out, "Ticket", "", eg_json_text(app->now, "ticket"));
	fact(out, "Purpose", "", eg_json_text(app->now, "purpose"));
	fact(out, "Policy", "", eg_json_text(app->now, "policy_rev"));
	fact(out, "Expires", "", moment ? eg_text_moment(moment, 0, expires, sizeof(expires)) : NULL);
	fputs("</dl>\n", out);
}

static void section(FILE *out, const struct eg_report *report, const struct eg_report_app *app)
{
	fputs("<section>", out);
	if (report->count > 1) { /* else the page's title says it */
		fputs("<h2>", out);
		eg_report_text(out, app->name);
		fputs("</h2>\n", out);
	}
	facts(out, app);
	fputs("<h3>Traffic</h3>\n", out);
	eg_report_svg_traffic(out, report, app);
	if (app->line_count)
		fputs("<p class=\"dim\">Upright lines: kill or expiry red, policy or restore blue, cap or relax amber.</p>\n",
		      out);
	caps(out, report, app);
	if (app->denials) {
		fputs("<h3>Denials</h3>\n", out);
		eg_report_svg_denied(out, report, app);
	}
	destinations(out, &app->destinations);
	counted(out, "What was denied", "Where to, and why", &app->denies);
	fixes(out, json_object_get(app->remembered, "denied"));
	counted(out, "DNS", "Name, and what became of it", &app->names);
	lines(out, app);
	fputs("</section>\n", out);
}

static void overview(FILE *out, const struct eg_report *report)
{
	fputs("<table><tr><th>App<th>State<th class=\"n\">Sent<th class=\"n\">Received<th class=\"n\">Denials</tr>\n", out);
	for (size_t i = 0; i < report->count; i++) {
		const struct eg_report_app *app = report->apps[i];
		const char *state = state_of(app);

		fputs("<tr>", out);
		text_cell(out, app->name);
		fprintf(out, "<td class=\"%s\">", state_class(state));
		eg_report_text(out, state);
		fputs("</td>", out);
		bytes_cell(out, app->bytes_out);
		bytes_cell(out, app->bytes_in);
		count_cell(out, app->denials);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
	if (report->count > SECTIONS_MAX)
		fprintf(out, "<p class=\"dim\">The %d with the most traffic follow.</p>\n", SECTIONS_MAX);
}

void eg_report_page(FILE *out, const struct eg_report *report, const char *title, const char *host)
{
	char from[64], to[64], from_text[64], to_text[64];

	fputs(head, out);
	fputs("<title>Egret: ", out);
	eg_report_text(out, title);
	fputs("</title>\n", out);
	fputs(style, out);
	fputs("</head><body>\n<h1>Egress of ", out);
	eg_report_text(out, title);
	fputs("</h1>\n<p class=\"dim\">on ", out);
	eg_report_text(out, host);
	eg_units_moment_text(report->from_ns, from, sizeof(from));
	eg_units_moment_text(report->to_ns, to, sizeof(to));
	fprintf(out, ", from %s to %s (UTC), out of %" PRIu64 " events</p>\n",
		eg_text_moment(from, 0, from_text, sizeof(from_text)), eg_text_moment(to, 0, to_text, sizeof(to_text)),
		report->events);
	if (report->lost || report->odd)
		fprintf(out, "<p class=\"warn\">The log is not whole: %" PRIu64 " events were lost, %" PRIu64
			     " lines are no events.</p>\n", report->lost, report->odd);
	if (!report->count)
		fputs("<p>Nothing happened in that time.</p>\n", out);
	if (report->count > 1)
		overview(out, report);
	for (size_t i = 0; i < report->count && i < SECTIONS_MAX; i++)
		section(out, report, report->apps[i]);
	fputs("</body></html>\n", out);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * report_svg.c - a report's charts, as SVG inside the page
 *
 * All charts have the same width and time axis, so that what lies above one another happened at
 * the same time. Colours are classes of the page's style sheet.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/units.h"
#include "report.h"

#define SECOND 1000000000ull
#define WIDTH  900.0
#define LEFT   82.0 /* of the plot: labels stand before it */
#define RIGHT  890.0
#define TOP    8.0
#define AXIS   18.0 /* below the plot */
#define TICKS  6

static double x_of(double bin)
{
	return LEFT + (RIGHT - LEFT) * bin / EG_REPORT_BINS;
}

static double x_of_ns(const struct eg_report *report, uint64_t ns)
{
	double share = ((double)ns - (double)report->from_ns) / ((double)report->to_ns - (double)report->from_ns);

	return x_of((share < 0 ? 0 : share > 1 ? 1 : share) * EG_REPORT_BINS);
}

static double most(const double *bins)
{
	double found = 0;

	for (int i = 0; i < EG_REPORT_BINS; i++)
		if (bins[i] > found)
			found = bins[i];
	return found;
}

static double bin_seconds(const struct eg_report *report)
{
	return ((double)report->to_ns - (double)report->from_ns) / SECOND / EG_REPORT_BINS;
}

static void begin(FILE *out, double height, const char *what)
{
	fprintf(out, "<svg role=\"img\" aria-label=\"%s\" viewBox=\"0 0 %g %g\">\n", what, WIDTH, TOP + height + AXIS);
}

static void label(FILE *out, double x, double y, const char *anchor, const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	eg_report_text(out, text);
	fputs("</text>\n", out);
}

/* Times below the plot; days, too, where it is longer than one. */
static void axis(FILE *out, const struct eg_report *report, double height)
{
	const char *format = report->to_ns - report->from_ns > 86400 * SECOND ? "%b %d %H:%M" : "%H:%M:%S";

	for (int i = 0; i <= TICKS; i++) {
		uint64_t ns = report->from_ns + (report->to_ns - report->from_ns) / TICKS * (uint64_t)i;
		time_t seconds = (time_t)(ns / SECOND);
		double x = x_of((double)EG_REPORT_BINS * i / TICKS);
		char text[32];
		struct tm tm;

		strftime(text, sizeof(text), format, gmtime_r(&seconds, &tm));
		fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/>\n", x, x, TOP, TOP + height);
		label(out, x, TOP + height + 13, i == 0 ? "start" : i == TICKS ? "end" : "middle", text);
	}
}

static void line_at(FILE *out, const char *class, double y)
{
	fprintf(out, "<line class=\"%s\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>\n", class, LEFT, RIGHT, y, y);
}

/* up: bars grow from base to smaller y. */
static void bars(FILE *out, const char *class, const double *bins, double base, double height, double top, bool up)
{
	if (top <= 0)
		return;
	fprintf(out, "<g class=\"%s\">\n", class);
	for (int i = 0; i < EG_REPORT_BINS; i++) {
		double h = height * bins[i] / top;

		if (bins[i] <= 0)
			continue;
		h = h < 0.7 ? 0.7 : h; /* something is seen */
		fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", x_of(i) + 0.5,
			up ? base - h : base, x_of(1) - x_of(0) - 1, h);
	}
	fputs("</g>\n", out);
}

static bool is_marked(const char *type)
{
	static const char *const types[] = {"kill", "restore", "expire", "policy", "relax", "cap"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static void marks(FILE *out, const struct eg_report *report, const struct eg_report_app *app, double height)
{
	size_t count = app->line_count < EG_REPORT_LINES_MAX ? app->line_count : EG_REPORT_LINES_MAX;

	for (size_t i = 0; i < count; i++) {
		const struct eg_report_line *line = &app->lines[i];
		double x = x_of_ns(report, line->ts_ns);

		if (!is_marked(line->type))
			continue;
		fprintf(out, "<line class=\"mark %s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"><title>", line->type, x, x,
			TOP, TOP + height);
		eg_report_text(out, line->text);
		fputs("</title></line>\n", out);
	}
}

static const char *rate_text(double per_bin, double seconds, char *ret, size_t size)
{
	char bytes[32];

	snprintf(ret, size, "%s/s", eg_units_bytes_text((uint64_t)(per_bin / seconds + 0.5), bytes, sizeof(bytes)));
	return ret;
}

void eg_report_svg_traffic(FILE *out, const struct eg_report *report, const struct eg_report_app *app)
{
	double half = 70, middle = TOP + half, seconds = bin_seconds(report);
	double up = most(app->out), down = most(app->in), top = up > down ? up : down;
	char text[64];

	begin(out, 2 * half, "Traffic over time: sent above the line, received below it");
	axis(out, report, 2 * half);
	bars(out, "out", app->out, middle, half, top, true);
	bars(out, "in", app->in, middle, half, top, false);
	line_at(out, "base", middle);
	marks(out, report, app, 2 * half);
	label(out, LEFT - 6, TOP + 9, "end", rate_text(top, seconds, text, sizeof(text)));
	label(out, LEFT - 6, middle - 6, "end", "sent");
	label(out, LEFT - 6, middle + 14, "end", "received");
	label(out, LEFT - 6, TOP + 2 * half, "end", rate_text(top, seconds, text, sizeof(text)));
	fputs("</svg>\n", out);
}

void eg_report_svg_denied(FILE *out, const struct eg_report *report, const struct eg_report_app *app)
{
	double height = 60, top = most(app->denied);
	char text[64];

	begin(out, height, "Denials over time");
	axis(out, report, height);
	bars(out, "denied", app->denied, TOP + height, height, top, true);
	line_at(out, "base", TOP + height);
	marks(out, report, app, height);
	snprintf(text, sizeof(text), "%.0f", top);
	label(out, LEFT - 6, TOP + 9, "end", text);
	label(out, LEFT - 6, TOP + height, "end", "denied");
	fputs("</svg>\n", out);
}

/* ---- A cap ------------------------------------------------------------------------------------------ */

/*
 * Use at the end of each bin, in the window that it ends in. What the kernel says is used now
 * corrects the last window, which may have begun before the report's time.
 */
static void cap_use(const struct eg_report *report, const double *bins, const json_t *cap, double ret[EG_REPORT_BINS])
{
	double per = (double)eg_json_u64(cap, "per_s") * SECOND, sum = 0, missing;
	double start = (double)report->from_ns, width = ((double)report->to_ns - start) / EG_REPORT_BINS;
	double window = 0, last = floor((double)report->to_ns / per);

	for (int i = 0; i < EG_REPORT_BINS; i++) {
		double now = floor((start + width * (i + 1)) / per);

		if (i == 0 || now > window)
			sum = 0;
		window = now;
		sum += bins[i];
		ret[i] = sum;
	}
	missing = (double)eg_json_u64(cap, "used") - sum;
	for (int i = 0; i < EG_REPORT_BINS; i++)
		if (missing > 0 && floor((start + width * (i + 1)) / per) >= last)
			ret[i] += missing;
}

void eg_report_svg_cap(FILE *out, const struct eg_report *report, const struct eg_report_app *app, const json_t *cap)
{
	const char *direction = eg_json_text(cap, "direction");
	const double *bins = direction && strcmp(direction, "ingress") == 0 ? app->in : app->out;
	double height = 80, limit = (double)eg_json_u64(cap, "limit"), use[EG_REPORT_BINS], top;
	char text[64];

	if (!eg_json_u64(cap, "per_s") || limit <= 0)
		return;
	cap_use(report, bins, cap, use);
	top = most(use) > limit ? most(use) : limit;
	begin(out, height, "Use of a cap, window by window, below its limit");
	axis(out, report, height);
	fprintf(out, "<polygon class=\"use\" points=\"%.1f,%.1f", LEFT, TOP + height);
	for (int i = 0; i < EG_REPORT_BINS; i++)
		fprintf(out, " %.1f,%.1f %.1f,%.1f", x_of(i), TOP + height - height * use[i] / top, x_of(i + 1),
			TOP + height - height * use[i] / top);
	fprintf(out, " %.1f,%.1f\"/>\n", RIGHT, TOP + height);
	line_at(out, "base", TOP + height);
	line_at(out, "limit", TOP + height - height * limit / top);
	label(out, LEFT - 6, TOP + height - height * limit / top + 9, "end",
	      eg_units_bytes_text((uint64_t)limit, text, sizeof(text)));
	label(out, LEFT - 6, TOP + height, "end", "used");
	fputs("</svg>\n", out);
}

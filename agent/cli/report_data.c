// SPDX-License-Identifier: Apache-2.0
/*
 * report_data.c - from events to a report's numbers
 *
 * A flow event has the sums of its flow so far, so what counts is what was added since the event
 * before it, spread evenly over the time between the two; what was before the report's time is
 * cut off.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/units.h"
#include "event.h"
#include "report.h"

/* ---- Lists ------------------------------------------------------------------------------------ */

/* The key's item, which is made if there is room; else the rest. NULL without memory. */
static struct eg_report_item *item(struct eg_report_items *items, const char *key, const char *detail)
{
	const json_t *place = json_object_get(items->index, key);
	struct eg_report_item *made;

	if (place)
		return &items->items[json_integer_value(place)];
	if (items->count == EG_REPORT_ITEMS_MAX)
		return &items->rest;
	if (items->count == items->room) {
		size_t room = items->room ? items->room * 2 : 16;
		struct eg_report_item *larger = reallocarray(items->items, room, sizeof(*larger));

		if (!larger)
			return NULL;
		items->items = larger;
		items->room = room;
	}
	if (!items->index && !(items->index = json_object()))
		return NULL;
	made = &items->items[items->count];
	*made = (struct eg_report_item){.key = strdup(key), .detail = detail ? strdup(detail) : NULL};
	if (!made->key || json_object_set_new(items->index, key, json_integer((json_int_t)items->count))) {
		free(made->key);
		free(made->detail);
		return NULL;
	}
	items->count++;
	return made;
}

static void clear_items(struct eg_report_items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		free(items->items[i].key);
		free(items->items[i].detail);
	}
	free(items->items);
	json_decref(items->index);
}

static int by_weight(const void *a, const void *b)
{
	const struct eg_report_item *x = a, *y = b;
	uint64_t p = x->bytes_out + x->bytes_in, q = y->bytes_out + y->bytes_in;

	if (p != q)
		return p > q ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->key, y->key);
}

static void order_items(struct eg_report_items *items)
{
	if (items->count)
		qsort(items->items, items->count, sizeof(*items->items), by_weight);
}

/* ---- The report -------------------------------------------------------------------------------- */

int eg_report_new(uint64_t from_ns, uint64_t to_ns, struct eg_report **ret)
{
	EG_CLEANUP(eg_cleanup_report) struct eg_report *report = calloc(1, sizeof(*report));

	if (!report || !(report->index = json_object()) || !(report->flows = json_object()))
		return -ENOMEM;
	report->from_ns = from_ns;
	report->to_ns = to_ns;
	*ret = EG_TAKE_PTR(report);
	return 0;
}

static void free_app(struct eg_report_app *app)
{
	clear_items(&app->destinations);
	clear_items(&app->denies);
	clear_items(&app->names);
	for (size_t i = 0; app->lines && i < EG_REPORT_LINES_MAX; i++)
		free(app->lines[i].text);
	free(app->lines);
	json_decref(app->now);
	json_decref(app->remembered);
	free(app);
}

void eg_report_free(struct eg_report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->count; i++)
		free_app(report->apps[i]);
	free(report->apps);
	json_decref(report->index);
	json_decref(report->flows);
	free(report);
}

struct eg_report_app *eg_report_app(struct eg_report *report, const char *name)
{
	const json_t *place = json_object_get(report->index, name);
	struct eg_report_app *app;

	if (place)
		return report->apps[json_integer_value(place)];
	if (report->count == EG_REPORT_APPS_MAX)
		return NULL;
	if (report->count == report->room) {
		size_t room = report->room ? report->room * 2 : 16;
		struct eg_report_app **larger = reallocarray(report->apps, room, sizeof(struct eg_report_app *));

		if (!larger)
			return NULL;
		report->apps = larger;
		report->room = room;
	}
	app = calloc(1, sizeof(*app));
	if (!app || json_object_set_new(report->index, name, json_integer((json_int_t)report->count))) {
		free(app);
		return NULL;
	}
	snprintf(app->name, sizeof(app->name), "%s", name);
	report->apps[report->count++] = app;
	return app;
}

static int by_traffic(const void *a, const void *b)
{
	const struct eg_report_app *x = *(const struct eg_report_app *const *)a;
	const struct eg_report_app *y = *(const struct eg_report_app *const *)b;
	uint64_t p = x->bytes_out + x->bytes_in, q = y->bytes_out + y->bytes_in;

	if (p != q)
		return p > q ? -1 : 1;
	if (x->denials != y->denials)
		return x->denials > y->denials ? -1 : 1;
	return strcmp(x->name, y->name);
}

void eg_report_order(struct eg_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		order_items(&report->apps[i]->destinations);
		order_items(&report->apps[i]->denies);
		order_items(&report->apps[i]->names);
	}
	if (report->count)
		qsort(report->apps, report->count, sizeof(struct eg_report_app *), by_traffic);
	json_object_clear(report->index); /* the places have changed */
}

/* ---- Over time ----------------------------------------------------------------------------------- */

/* Adds the part of the amount that falls into the report's time, which is returned. */
static double spread(const struct eg_report *report, double bins[EG_REPORT_BINS], uint64_t from, uint64_t to,
		     double amount)
{
	double start = (double)report->from_ns, width = ((double)report->to_ns - start) / EG_REPORT_BINS;
	double a = ((double)from - start) / width, b = ((double)to - start) / width, added = 0;

	if (b < 0 || b >= EG_REPORT_BINS + 1 || amount <= 0)
		return 0;
	if (b - a < 1e-6) { /* at one moment */
		bins[b < EG_REPORT_BINS ? (int)b : EG_REPORT_BINS - 1] += amount;
		return amount;
	}
	for (int bin = a < 0 ? 0 : (int)a; bin < EG_REPORT_BINS && bin < b; bin++) {
		double low = bin > a ? bin : a, high = bin + 1 < b ? bin + 1 : b;

		bins[bin] += amount * (high - low) / (b - a);
		added += amount * (high - low) / (b - a);
	}
	return added;
}

/* ---- Events ---------------------------------------------------------------------------------------- */

/* "tcp 10.0.0.1:443", "tcp from 10.0.0.9 to port 8080". */
static char *route(const json_t *event)
{
	const char *direction = eg_json_text(event, "direction"), *proto = eg_json_text(event, "proto");
	bool ingress = direction && strcmp(direction, "ingress") == 0;
	EG_FREE char *end = eg_event_end(event, ingress ? "src" : "dst", ingress ? "" : "dst_port");
	char *text;
	int n;

	if (ingress)
		n = asprintf(&text, "%s from %s to port %llu", proto ? proto : "-", end ? end : "?",
			     (unsigned long long)eg_json_u64(event, "dst_port"));
	else
		n = asprintf(&text, "%s %s", proto ? proto : "-", end ? end : "?");
	return n < 0 ? NULL : text;
}

static uint64_t moment(const json_t *event, const char *key)
{
	const char *text = eg_json_text(event, key);
	uint64_t ns = 0;

	return text && eg_units_moment(text, &ns) == 0 ? ns : 0;
}

struct delta {
	uint64_t since_ns;
	uint64_t out;
	uint64_t in;
	bool first;
};

/* What the flow has more than when it was last told. 0 or -ENOMEM. */
static int flow_delta(struct eg_report *report, const json_t *event, uint64_t ts, struct delta *ret)
{
	const char *id = eg_json_text(event, "flow_id"), *phase = eg_json_text(event, "phase");
	uint64_t out = eg_json_u64(event, "bytes_out"), in = eg_json_u64(event, "bytes_in"), start = moment(event, "start");
	const json_t *before = id ? json_object_get(report->flows, id) : NULL;
	uint64_t was_out = (uint64_t)json_integer_value(json_array_get(before, 1));
	uint64_t was_in = (uint64_t)json_integer_value(json_array_get(before, 2));

	*ret = (struct delta){
		.since_ns = before ? (uint64_t)json_integer_value(json_array_get(before, 0)) : start ? start : ts,
		.out = out > was_out ? out - was_out : 0,
		.in = in > was_in ? in - was_in : 0,
		.first = !before,
	};
	if (!id)
		return 0;
	if (phase && strcmp(phase, "end") == 0) {
		json_object_del(report->flows, id);
		return 0;
	}
	return json_object_set_new(report->flows, id,
				   json_pack("[I,I,I]", (json_int_t)ts, (json_int_t)out, (json_int_t)in))
		       ? -ENOMEM
		       : 0;
}

static int on_flow(struct eg_report *report, struct eg_report_app *app, const json_t *event, uint64_t ts)
{
	EG_FREE char *key = route(event);
	struct eg_report_item *destination = key ? item(&app->destinations, key, eg_event_peer_name(event)) : NULL;
	struct delta delta;
	uint64_t out, in;

	if (!destination || flow_delta(report, event, ts, &delta))
		return -ENOMEM;
	out = (uint64_t)(spread(report, app->out, delta.since_ns, ts, (double)delta.out) + 0.5);
	in = (uint64_t)(spread(report, app->in, delta.since_ns, ts, (double)delta.in) + 0.5);
	app->bytes_out += out;
	app->bytes_in += in;
	destination->bytes_out += out;
	destination->bytes_in += in;
	destination->count += delta.first;
	return 0;
}

static int on_deny(struct eg_report *report, struct eg_report_app *app, const json_t *event, uint64_t ts)
{
	const char *reason = eg_json_text(event, "reason"), *name = eg_event_peer_name(event);
	const char *verdict = eg_json_text(event, "verdict");
	bool passed = verdict && strcmp(verdict, "audit") == 0;
	EG_FREE char *to = route(event), *key = NULL;
	struct eg_report_item *denied;

	if (!to || asprintf(&key, "%s%s%s: %s%s", to, name ? " " : "", name ? name : "", reason ? reason : "?",
			    passed ? " (audit: let through)" : "") < 0) {
		key = NULL;
		return -ENOMEM;
	}
	denied = item(&app->denies, key, reason);
	if (!denied)
		return -ENOMEM;
	denied->count++;
	app->denials++;
	spread(report, app->denied, ts, ts, 1);
	return 0;
}

static int on_dns(struct eg_report_app *app, const json_t *event)
{
	const char *name = eg_json_text(event, "name"), *action = eg_json_text(event, "action");
	EG_FREE char *key = NULL;
	struct eg_report_item *found;

	if (asprintf(&key, "%s: %s", name ? name : "?", action ? action : "?") < 0) {
		key = NULL;
		return -ENOMEM;
	}
	found = item(&app->names, key, eg_json_text(event, "reason"));
	if (!found)
		return -ENOMEM;
	found->count++;
	return 0;
}

static bool tells_loss(const char *type)
{
	return strcmp(type, "lost") == 0 || strcmp(type, "suppressed") == 0;
}

/* A relax is told by an alert, and marked as what it is. */
static const char *kind_of(const json_t *event, const char *type)
{
	const char *action = eg_json_text(event, "action");

	return strcmp(type, "alert") == 0 && action && strncmp(action, "relax", 5) == 0 ? "relax" : type;
}

static int on_other(struct eg_report_app *app, const json_t *event, const char *type, uint64_t ts)
{
	struct eg_report_line *line;

	if (!app->lines && !(app->lines = calloc(EG_REPORT_LINES_MAX, sizeof(*app->lines))))
		return -ENOMEM;
	line = &app->lines[app->line_count++ % EG_REPORT_LINES_MAX];
	free(line->text);
	line->text = eg_event_line(event);
	line->ts_ns = ts;
	snprintf(line->type, sizeof(line->type), "%s", kind_of(event, type));
	return line->text ? 0 : -ENOMEM;
}

int eg_report_event(struct eg_report *report, const char *line, size_t len)
{
	EG_JSON json_t *event = json_loadb(line, len, 0, NULL);
	const char *name = eg_json_text(event, "app"), *type = eg_json_text(event, "type");
	uint64_t ts = moment(event, "ts");
	struct eg_report_app *app;

	if (!type || !ts) {
		report->odd++;
		return 0;
	}
	report->events++;
	app = name ? eg_report_app(report, name) : NULL;
	if (tells_loss(type))
		*(app ? &app->lost : &report->lost) += eg_json_u64(event, "events");
	if (!app)
		return name && report->count < EG_REPORT_APPS_MAX ? -ENOMEM : 0;
	if (strcmp(type, "flow") == 0)
		return on_flow(report, app, event, ts);
	if (strcmp(type, "deny") == 0)
		return on_deny(report, app, event, ts);
	if (strcmp(type, "dns") == 0)
		return on_dns(app, event);
	return on_other(app, event, type, ts);
}

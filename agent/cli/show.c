// SPDX-License-Identifier: Apache-2.0
#include "show.h"

#include <string.h>
#include <time.h>

#include <egret/abi.h>

#include "../lib/units.h"
#include "text.h"

#define SECOND 1000000000ull

enum eg_style eg_show_state_style(const char *state)
{
	static const struct {
		const char *state;
		enum eg_style style;
	} styles[] = {
		{"enforce", EG_STYLE_GOOD}, {"allow", EG_STYLE_GOOD},	 {"killed", EG_STYLE_BAD},
		{"deny", EG_STYLE_BAD},	    {"expired", EG_STYLE_WARN},	 {"deleted", EG_STYLE_WARN},
		{"audit", EG_STYLE_WARN},   {"no_policy", EG_STYLE_WARN},
	};

	for (size_t i = 0; state && i < sizeof(styles) / sizeof(styles[0]); i++)
		if (strcmp(state, styles[i].state) == 0)
			return styles[i].style;
	return EG_STYLE_NONE;
}

uint64_t eg_show_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

void eg_show_moment(struct eg_table *table, const json_t *object, const char *key)
{
	const char *moment = eg_json_text(object, key);
	char text[64];

	eg_table_cell(table, EG_STYLE_NONE, moment ? eg_text_moment(moment, 0, text, sizeof(text)) : NULL);
}

void eg_show_ago(struct eg_table *table, const json_t *object, const char *key)
{
	const char *moment = eg_json_text(object, key);
	uint64_t then, now = eg_show_now_ns();
	char text[64];

	if (!moment || eg_units_moment(moment, &then)) {
		eg_table_cell(table, EG_STYLE_NONE, moment);
		return;
	}
	if (now < then + SECOND)
		eg_table_cell(table, EG_STYLE_NONE, "now");
	else
		eg_table_cellf(table, EG_STYLE_NONE, "%s ago",
			       eg_units_span_text((now - then) / SECOND * SECOND, text, sizeof(text)));
}

void eg_show_list(struct eg_table *table, const json_t *array, size_t most)
{
	EG_FREE char *text = eg_json_list(array, most);

	eg_table_cell(table, EG_STYLE_NONE, text);
}

void eg_show_labels(struct eg_table *table, const json_t *labels)
{
	EG_FREE char *text = NULL;
	const char *key;
	json_t *value;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return eg_table_cell(table, EG_STYLE_NONE, "out of memory");
	json_object_foreach((json_t *)labels, key, value)
		fprintf(out, "%s%s=%s", ftell(out) ? "," : "", key, json_is_string(value) ? json_string_value(value) : "?");
	if (fclose(out))
		return eg_table_cell(table, EG_STYLE_NONE, "out of memory");
	eg_table_cell(table, EG_STYLE_NONE, text);
}

void eg_show_holds(const struct eg_cli *cli, const char *heading, const json_t *holds)
{
	EG_TABLE struct eg_table *table = NULL;
	json_t *hold;
	size_t i;

	if (!json_array_size(holds) || !(table = eg_table_new("APP|LAYER|SINCE|BY|REASON|TICKET|ON DISK")))
		return;
	json_array_foreach(holds, i, hold) {
		const char *app = eg_json_text(hold, "app");
		bool durable = eg_json_true(hold, "durable");

		eg_table_cell(table, EG_STYLE_BAD, app && strcmp(app, "*") == 0 ? "* (every app)" : app);
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(hold, "layer"));
		eg_show_moment(table, hold, "time");
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(hold, "actor"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(hold, "reason"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(hold, "ticket"));
		eg_table_cell(table, durable ? EG_STYLE_NONE : EG_STYLE_BAD, durable ? "yes" : "not yet");
	}
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "%s", heading);
	eg_table_print(table, cli->out, cli->color, "  ");
}

void eg_show_cap_rows(struct eg_table *table, const char *app, const json_t *caps)
{
	json_t *cap;
	size_t i;

	json_array_foreach(caps, i, cap) {
		uint64_t used = eg_json_u64(cap, "used"), limit = eg_json_u64(cap, "limit");
		uint64_t percent = limit ? (uint64_t)((double)used * 100 / (double)limit) : 0;
		char span[64];

		if (app)
			eg_table_cell(table, EG_STYLE_NONE, app);
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(cap, "direction"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(cap, "scope"));
		eg_table_bytes(table, used);
		eg_table_bytes(table, limit);
		eg_table_cellf(table, percent >= 100 ? EG_STYLE_BAD : percent >= 80 ? EG_STYLE_WARN : EG_STYLE_NONE,
			       "%llu", (unsigned long long)percent);
		eg_table_cell(table, EG_STYLE_NONE,
			      eg_units_span_text(eg_json_u64(cap, "per_s") * SECOND, span, sizeof(span)));
		eg_show_moment(table, cap, "window_end");
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(cap, "action"));
	}
}

void eg_show_caps(const struct eg_cli *cli, const char *heading, const json_t *caps)
{
	EG_TABLE struct eg_table *table = NULL;

	if (!json_array_size(caps) || !(table = eg_table_new(EG_SHOW_CAPS_TITLES)))
		return;
	eg_show_cap_rows(table, NULL, caps);
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "%s", heading);
	eg_table_print(table, cli->out, cli->color, "  ");
}

void eg_show_alerts(const struct eg_cli *cli, const char *heading, const json_t *alerts)
{
	EG_TABLE struct eg_table *table = NULL;
	json_t *alert;
	size_t i;

	if (!json_array_size(alerts) || !(table = eg_table_new("WHEN|>NOW|>OVER|WITHIN|ACTION|FROM|")))
		return;
	json_array_foreach(alerts, i, alert) {
		const char *when = eg_json_text(alert, "alert");
		const char *keys[] = {"value", "over"};
		char span[64];

		eg_table_cell(table, EG_STYLE_NONE, when);
		for (size_t k = 0; k < 2; k++) {
			if (when && strstr(when, "bytes"))
				eg_table_bytes(table, eg_json_u64(alert, keys[k]));
			else
				eg_table_cellf(table, EG_STYLE_NONE, "%llu", (unsigned long long)eg_json_u64(alert, keys[k]));
		}
		eg_table_cell(table, EG_STYLE_NONE,
			      eg_units_span_text(eg_json_u64(alert, "window_s") * SECOND, span, sizeof(span)));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(alert, "action"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(alert, "from"));
		eg_table_cell(table, EG_STYLE_BAD, eg_json_true(alert, "firing") ? "firing" : NULL);
	}
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "%s", heading);
	eg_table_print(table, cli->out, cli->color, "  ");
}

static const char *seconds_text(const json_t *object, const char *key, char *ret, size_t size)
{
	uint64_t s = eg_json_u64(object, key);

	if (!s)
		return "0s";
	return eg_units_span_text(s < UINT64_MAX / SECOND ? s * SECOND : UINT64_MAX, ret, size);
}

void eg_show_grants(const struct eg_cli *cli, const char *heading, const json_t *grants, size_t most)
{
	EG_TABLE struct eg_table *table = NULL;
	size_t count = json_array_size(grants), i;
	json_t *grant;
	char text[64];

	if (!count || !(table = eg_table_new("NAME|ADDRESS|>AGE|>REST")))
		return;
	json_array_foreach(grants, i, grant) {
		bool expired = eg_json_true(grant, "expired");

		if (i == most)
			break;
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(grant, "name"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(grant, "address"));
		eg_table_cell(table, EG_STYLE_NONE, seconds_text(grant, "age_s", text, sizeof(text)));
		eg_table_cell(table, expired ? EG_STYLE_DIM : EG_STYLE_NONE,
			      expired ? "expired" : seconds_text(grant, "rest_s", text, sizeof(text)));
	}
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "%s", heading);
	eg_table_print(table, cli->out, cli->color, "  ");
	if (count > most)
		eg_cli_say(cli, "  and %zu more (-o json has them all)", count - most);
}

const char *eg_show_reason(const char *wire)
{
	static const struct {
		const char *wire;
		const char *why;
	} reasons[] = {
#define EG_REASON(sym, text, sentence) {text, sentence},
#include <egret/reasons.def>
#undef EG_REASON
	};

	for (size_t i = 0; wire && i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(wire, reasons[i].wire) == 0)
			return reasons[i].why;
	return NULL;
}

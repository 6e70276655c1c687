// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_status.c - egret status
 */
#include <inttypes.h>
#include <string.h>

#include "../lib/hold.h"
#include "../lib/units.h"
#include "commands.h"
#include "show.h"

#define SECOND 1000000000ull

static void row(struct eg_table *table, enum eg_style style, const char *name, const char *value)
{
	eg_table_cell(table, EG_STYLE_BOLD, name);
	eg_table_cell(table, style, value);
}

static void agent_row(struct eg_table *table, const json_t *status)
{
	const json_t *agent = json_object_get(status, "agent");
	const char *version = eg_json_text(agent, "version"), *host = eg_json_text(status, "host");
	char up[64];

	eg_table_cell(table, EG_STYLE_BOLD, "agent");
	eg_table_cellf(table, EG_STYLE_NONE, "%s on %s, pid %" PRIu64 ", up %s", version ? version : "?",
		       host ? host : "?", eg_json_u64(agent, "pid"),
		       eg_units_span_text(eg_json_u64(agent, "uptime_s") * SECOND, up, sizeof(up)));
}

/* Of the hold on every app. Without a control plane an admin lifts what one has left, too. */
static const char *who_lifts_all(const json_t *status)
{
	bool follows = json_is_object(json_object_get(status, "control")), control = false, here = false;
	json_t *hold;
	size_t i;

	json_array_foreach(json_object_get(status, "holds"), i, hold) {
		const char *app = eg_json_text(hold, "app"), *layer = eg_json_text(hold, "layer");

		if (!app || strcmp(app, EG_HOLD_ALL_APPS) != 0)
			continue;
		if (follows && layer && strcmp(layer, "control") == 0)
			control = true;
		else
			here = true;
	}
	if (control && here)
		return "holds on EVERY app are in force: 'egret restore --all' and 'egret fleet restore --all' lift them";
	if (control)
		return "the control plane holds EVERY app: 'egret fleet restore --all' lifts it";
	return "a hold on EVERY app is in force: 'egret restore --all' lifts it";
}

static void enforcement_rows(struct eg_table *table, const json_t *status)
{
	bool ok = eg_json_true(status, "enforcement_ok");
	json_t *root;
	size_t i;

	row(table, ok ? EG_STYLE_GOOD : EG_STYLE_BAD, "enforcement", ok ? "on" : "NOT COMPLETE: see 'egret doctor'");
	json_array_foreach(json_object_get(status, "enforcement"), i, root) {
		const char *path = eg_json_text(root, "root"), *unknown = eg_json_text(root, "unknown");
		bool attached = eg_json_true(root, "attached");

		eg_table_cell(table, EG_STYLE_BOLD, "  root");
		eg_table_cellf(table, attached ? EG_STYLE_NONE : EG_STYLE_BAD, "%s %s, unknown cgroups: %s",
			       path ? path : "?", attached ? "attached" : "NOT ATTACHED", unknown ? unknown : "?");
	}
	if (eg_json_true(status, "kill_all"))
		row(table, EG_STYLE_BAD, "kill", who_lifts_all(status));
}

/* "120: 117 enforce, 3 killed", without what is none. */
static void apps_row(struct eg_table *table, const json_t *status)
{
	static const char *const kinds[] = {"enforce", "audit", "killed", "expired", "deleted", "unpoliced"};
	const json_t *apps = json_object_get(status, "apps");
	EG_FREE char *text = NULL;
	size_t size, said = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	fprintf(out, "%" PRIu64, eg_json_u64(apps, "total"));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t n = eg_json_u64(apps, kinds[i]);

		if (n)
			fprintf(out, "%s%" PRIu64 " %s", said++ ? ", " : ": ", n, kinds[i]);
	}
	fclose(out);
	row(table, EG_STYLE_NONE, "apps", text);
}

static void kernel_row(struct eg_table *table, const json_t *status)
{
	const json_t *kernel = json_object_get(status, "kernel");
	const char *release = eg_json_text(kernel, "release"), *lockdown = eg_json_text(kernel, "lockdown");

	eg_table_cell(table, EG_STYLE_BOLD, "kernel");
	eg_table_cellf(table, EG_STYLE_NONE, "%s, BTF %s, lockdown %s, BPF LSM %s", release ? release : "?",
		       eg_json_true(kernel, "btf") ? "yes" : "no", lockdown ? lockdown : "?",
		       eg_json_true(kernel, "lsm_bpf") ? "on" : "off");
}

static void maps_row(struct eg_table *table, const json_t *status)
{
	EG_FREE char *text = NULL;
	size_t size, i, said = 0;
	json_t *map;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	json_array_foreach(json_object_get(status, "maps"), i, map) {
		uint64_t used = eg_json_u64(map, "used"), max = eg_json_u64(map, "max");
		const char *name = eg_json_text(map, "name");

		fprintf(out, "%s%s %.0f%%", said++ ? ", " : "", name ? name : "?",
			max ? (double)used * 100 / (double)max : 0);
	}
	fclose(out);
	row(table, EG_STYLE_NONE, "maps", text);
}

static void events_rows(struct eg_table *table, const json_t *status)
{
	const json_t *events = json_object_get(status, "events"), *unknown = json_object_get(status, "unknown");
	const char *dir = eg_json_text(events, "log_dir");
	uint64_t lost = eg_json_u64(events, "lost");
	char bytes[48];

	eg_table_cell(table, EG_STYLE_BOLD, "events");
	eg_table_cellf(table, lost ? EG_STYLE_WARN : EG_STYLE_NONE,
		       "%" PRIu64 " written, %" PRIu64 " lost, %" PRIu64 " suppressed, %" PRIu64 " dropped by quota",
		       eg_json_u64(events, "written"), lost, eg_json_u64(events, "suppressed"),
		       eg_json_u64(events, "dropped_by_quota"));
	eg_table_cell(table, EG_STYLE_BOLD, "  log");
	eg_table_cellf(table, EG_STYLE_NONE, "%s, %s", dir ? dir : "?",
		       eg_units_bytes_text(eg_json_u64(events, "log_bytes"), bytes, sizeof(bytes)));
	eg_table_cell(table, EG_STYLE_BOLD, "unknown");
	eg_table_cellf(table, EG_STYLE_NONE, "%" PRIu64 " denied, %" PRIu64 " audited in cgroups of no app",
		       eg_json_u64(unknown, "denied"), eg_json_u64(unknown, "audited"));
}

/* No row where no control plane is configured. */
static void control_row(struct eg_table *table, const json_t *status)
{
	const json_t *control = json_object_get(status, "control");
	const char *source = eg_json_text(control, "source"), *endpoint = eg_json_text(control, "endpoint");
	bool connected = eg_json_true(control, "connected");

	if (!source)
		return;
	eg_table_cell(table, EG_STYLE_BOLD, "control");
	eg_table_cellf(table, connected ? EG_STYLE_NONE : EG_STYLE_BAD,
		       "%s, %s%s, revision %" PRIu64 ", %" PRIu64 " policies, %zu errors", source,
		       connected ? "connected to " : "not connected", connected && endpoint ? endpoint : "",
		       eg_json_u64(control, "revision"), eg_json_u64(control, "policies"),
		       json_array_size(json_object_get(control, "errors")));
}

static void print_alarms(const struct eg_cli *cli, const json_t *alarms)
{
	json_t *alarm;
	size_t i;

	if (!json_array_size(alarms))
		return;
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "Alarms:");
	json_array_foreach(alarms, i, alarm) {
		fputs("  ", cli->out);
		eg_cli_style(cli, EG_STYLE_BAD, "!");
		eg_cli_say(cli, " %s", json_is_string(alarm) ? json_string_value(alarm) : "?");
	}
}

static void print_policy_errors(const struct eg_cli *cli, const json_t *errors)
{
	json_t *error;
	size_t i;

	if (!json_array_size(errors))
		return;
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "Policy files that are wrong (what was in force before still is):");
	json_array_foreach(errors, i, error) {
		const char *file = eg_json_text(error, "file"), *message = eg_json_text(error, "message");

		eg_cli_say(cli, "  %s: %s", file ? file : "?", message ? message : "?");
		eg_cli_diagnostics(cli->out, json_object_get(error, "diagnostics"), file);
	}
}

int eg_cmd_status(struct eg_cli *cli)
{
	EG_TABLE struct eg_table *table = NULL;
	EG_JSON json_t *status = NULL;
	int r = eg_cli_get(cli, "/v1/status", &status);

	if (r || eg_cli_json(cli, status))
		return r;
	table = eg_table_new("|");
	if (!table)
		return eg_cli_no_memory(cli);
	agent_row(table, status);
	enforcement_rows(table, status);
	apps_row(table, status);
	kernel_row(table, status);
	maps_row(table, status);
	events_rows(table, status);
	control_row(table, status);
	eg_table_print(table, cli->out, cli->color, "");
	eg_show_holds(cli, "Kills in force:", json_object_get(status, "holds"));
	print_alarms(cli, json_object_get(status, "alarms"));
	print_policy_errors(cli, json_object_get(status, "policy_errors"));
	return EG_EXIT_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_apps.c - egret apps, app, usage
 */
#include <inttypes.h>

#include "../lib/units.h"
#include "commands.h"
#include "show.h"
#include "which.h"

#define GUARDS_SHOWN 8
#define GRANTS_SHOWN 30

/* ---- apps --------------------------------------------------------------------------- */

static void app_row(struct eg_table *table, const json_t *app)
{
	const char *state = eg_json_text(app, "state");

	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(app, "app"));
	eg_table_cell(table, eg_show_state_style(state), state);
	eg_table_bytes(table, eg_json_u64(app, "bytes_out"));
	eg_table_bytes(table, eg_json_u64(app, "bytes_in"));
	eg_table_number(table, eg_json_u64(app, "flows"));
	eg_table_number(table, eg_json_u64(app, "denied"));
	eg_table_number(table, eg_json_u64(app, "sockets"));
	eg_show_moment(table, app, "expires");
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(app, "owner"));
	eg_show_labels(table, json_object_get(app, "labels"));
}

int eg_cmd_apps(struct eg_cli *cli)
{
	const char *labels;
	EG_TABLE struct eg_table *table = NULL;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	json_t *app;
	size_t i;
	int r = eg_cli_check_labels(cli, &labels);

	if (!r)
		r = eg_cli_get(cli, path = eg_client_path("/v1/apps", "labels", labels, NULL), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	table = eg_table_new("APP|STATE|>OUT|>IN|>FLOWS|>DENIED|>SOCKETS|EXPIRES|OWNER|LABELS");
	if (!table)
		return eg_cli_no_memory(cli);
	json_array_foreach(json_object_get(answer, "apps"), i, app)
		app_row(table, app);
	if (eg_table_rows(table))
		eg_table_print(table, cli->out, cli->color, "");
	else
		eg_cli_say(cli, labels ? "No app has these labels." : "There are no apps on this host yet.");
	return EG_EXIT_OK;
}

/* ---- app ------------------------------------------------------------------------------ */

static void text_row(struct eg_table *table, const char *name, const char *value)
{
	if (!value || !value[0])
		return;
	eg_table_cell(table, EG_STYLE_BOLD, name);
	eg_table_cell(table, EG_STYLE_NONE, value);
}

static void moment_row(struct eg_table *table, const char *name, const json_t *app, const char *key)
{
	if (!eg_json_text(app, key))
		return;
	eg_table_cell(table, EG_STYLE_BOLD, name);
	eg_show_moment(table, app, key);
}

static void head_rows(struct eg_table *table, const json_t *app)
{
	const char *state = eg_json_text(app, "state"), *why = eg_json_text(app, "why");
	EG_FREE char *guards = eg_json_list(json_object_get(app, "guards"), GUARDS_SHOWN);

	text_row(table, "app", eg_json_text(app, "app"));
	eg_table_cell(table, EG_STYLE_BOLD, "state");
	eg_table_cell(table, eg_show_state_style(state), state);
	text_row(table, "why", why);
	text_row(table, "guarded on", guards && guards[0] ? guards : NULL);
	text_row(table, "netns admin", eg_json_text(app, "netns_problem"));
	moment_row(table, "relaxed until", app, "relax_until");
	text_row(table, "purpose", eg_json_text(app, "purpose"));
	text_row(table, "owner", eg_json_text(app, "owner"));
	text_row(table, "ticket", eg_json_text(app, "ticket"));
	eg_table_cell(table, EG_STYLE_BOLD, "labels");
	eg_show_labels(table, json_object_get(app, "labels"));
	text_row(table, "policy", eg_json_text(app, "policy_rev"));
	text_row(table, "source", eg_json_text(app, "source"));
	moment_row(table, "expires", app, "expires");
}

static void traffic_rows(struct eg_table *table, const json_t *app)
{
	const json_t *cgroups = json_object_get(app, "cgroups");
	char out[48], in[48];
	json_t *path;
	size_t i;

	json_array_foreach(cgroups, i, path) {
		if (i)
			eg_table_blank(table);
		else
			eg_table_cell(table, EG_STYLE_BOLD, "cgroups");
		eg_table_cell(table, EG_STYLE_NONE, json_string_value(path));
	}
	eg_table_cell(table, EG_STYLE_BOLD, "sent");
	eg_table_cellf(table, EG_STYLE_NONE, "%s in %" PRIu64 " packets",
		       eg_units_bytes_text(eg_json_u64(app, "bytes_out"), out, sizeof(out)),
		       eg_json_u64(app, "packets_out"));
	eg_table_cell(table, EG_STYLE_BOLD, "received");
	eg_table_cellf(table, EG_STYLE_NONE, "%s in %" PRIu64 " packets",
		       eg_units_bytes_text(eg_json_u64(app, "bytes_in"), in, sizeof(in)), eg_json_u64(app, "packets_in"));
	eg_table_cell(table, EG_STYLE_BOLD, "flows");
	eg_table_cellf(table, EG_STYLE_NONE, "%" PRIu64 " begun; %" PRIu64 " sockets open, %" PRIu64 " UDP peers",
		       eg_json_u64(app, "flows"), eg_json_u64(app, "sockets"), eg_json_u64(app, "peers"));
	eg_table_cell(table, EG_STYLE_BOLD, "denied");
	eg_table_cellf(table, EG_STYLE_NONE, "%" PRIu64 ", and %" PRIu64 " let through by audit",
		       eg_json_u64(app, "denied"), eg_json_u64(app, "audited"));
}

static void learned_row(struct eg_table *table, const json_t *app)
{
	const json_t *grants = json_object_get(app, "grants");
	uint64_t used = eg_json_u64(grants, "used"), evicted = eg_json_u64(grants, "evicted");

	if (!used && !evicted && !eg_json_true(app, "names"))
		return;
	eg_table_cell(table, EG_STYLE_BOLD, "learned");
	eg_table_cellf(table, evicted ? EG_STYLE_WARN : EG_STYLE_NONE,
		       "%" PRIu64 " of at most %" PRIu64 " addresses from DNS; %" PRIu64
		       " made room while they were good", used, eg_json_u64(grants, "max"), evicted);
}

static void print_rules(const struct eg_cli *cli, const json_t *rules)
{
	EG_TABLE struct eg_table *table = NULL;
	json_t *rule;
	size_t i;

	if (!json_array_size(rules) || !(table = eg_table_new("RULE|DIRECTION|PROTO|PORTS|TO / FROM")))
		return;
	json_array_foreach(rules, i, rule) {
		const json_t *peers = json_object_get(rule, "to");

		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(rule, "id"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(rule, "direction"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(rule, "proto"));
		eg_show_list(table, json_object_get(rule, "ports"), 6);
		eg_show_list(table, peers ? peers : json_object_get(rule, "from"), 6);
	}
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "Rules:");
	eg_table_print(table, cli->out, cli->color, "  ");
}

static void print_reasons(const struct eg_cli *cli, const json_t *reasons)
{
	EG_TABLE struct eg_table *table = NULL;
	const char *reason;
	json_t *counts;

	if (!json_object_size(reasons) || !(table = eg_table_new("REASON|>EGRESS|>INGRESS|>AUDITED|WHAT IT MEANS")))
		return;
	json_object_foreach((json_t *)reasons, reason, counts) {
		eg_table_cell(table, EG_STYLE_NONE, reason);
		eg_table_number(table, eg_json_u64(counts, "egress"));
		eg_table_number(table, eg_json_u64(counts, "ingress"));
		eg_table_number(table, eg_json_u64(counts, "audited"));
		eg_table_cell(table, EG_STYLE_NONE, eg_show_reason(reason));
	}
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "Denied, by reason:");
	eg_table_print(table, cli->out, cli->color, "  ");
}

int eg_cmd_app(struct eg_cli *cli)
{
	EG_TABLE struct eg_table *table = NULL;
	EG_FREE char *base = NULL, *path = NULL;
	EG_JSON json_t *app = NULL;
	const char *name;
	int r = eg_cli_app(cli, 0, &name);

	if (!r)
		base = eg_which_path(name, NULL);
	if (!r && !base)
		return eg_cli_no_memory(cli);
	if (!r)
		r = eg_cli_get(cli, path = eg_client_path(base, "grants", "1", NULL), &app);
	if (r || eg_cli_json(cli, app))
		return r;
	table = eg_table_new("|");
	if (!table)
		return eg_cli_no_memory(cli);
	head_rows(table, app);
	traffic_rows(table, app);
	learned_row(table, app);
	eg_table_print(table, cli->out, cli->color, "");
	eg_show_holds(cli, "Kills in force:", json_object_get(app, "holds"));
	print_rules(cli, json_object_get(app, "rules"));
	eg_show_grants(cli, "Learned from DNS:", json_object_get(json_object_get(app, "grants"), "list"), GRANTS_SHOWN);
	eg_show_caps(cli, "Caps:", json_object_get(app, "caps"));
	eg_show_alerts(cli, "Alerts:", json_object_get(app, "alerts"));
	print_reasons(cli, json_object_get(app, "reasons"));
	return EG_EXIT_OK;
}

/* ---- usage ------------------------------------------------------------------------------- */

static void usage_rows(struct eg_table *traffic, struct eg_table *caps, const json_t *app)
{
	eg_table_cell(traffic, EG_STYLE_NONE, eg_json_text(app, "app"));
	eg_table_bytes(traffic, eg_json_u64(app, "bytes_out"));
	eg_table_bytes(traffic, eg_json_u64(app, "bytes_in"));
	eg_table_number(traffic, eg_json_u64(app, "packets_out"));
	eg_table_number(traffic, eg_json_u64(app, "packets_in"));
	eg_table_number(traffic, eg_json_u64(app, "flows"));
	eg_show_cap_rows(caps, eg_json_text(app, "app"), json_object_get(app, "caps"));
}

int eg_cmd_usage(struct eg_cli *cli)
{
	EG_TABLE struct eg_table *traffic = NULL, *caps = NULL;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	const char *name = NULL, *labels;
	json_t *app;
	size_t i;
	int r = eg_cli_app(cli, 0, &name);

	if (!r)
		r = eg_cli_check_labels(cli, &labels);
	if (!r)
		r = eg_cli_get(cli, path = eg_client_path("/v1/usage", "app", name, "labels", labels, NULL), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	traffic = eg_table_new("APP|>OUT|>IN|>PACKETS OUT|>PACKETS IN|>FLOWS");
	caps = eg_table_new("APP|" EG_SHOW_CAPS_TITLES);
	if (!traffic || !caps)
		return eg_cli_no_memory(cli);
	json_array_foreach(json_object_get(answer, "usage"), i, app)
		usage_rows(traffic, caps, app);
	eg_table_print(traffic, cli->out, cli->color, "");
	if (eg_table_rows(caps)) {
		eg_cli_say(cli, "%s", "");
		eg_table_print(caps, cli->out, cli->color, "");
	}
	return EG_EXIT_OK;
}

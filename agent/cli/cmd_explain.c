// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_explain.c - egret explain, denied
 */
#include <inttypes.h>
#include <string.h>

#include "../lib/units.h"
#include "cmd_explain.h"
#include "commands.h"
#include "show.h"

#define SECOND       1000000000ull
#define GRANTS_SHOWN 30

/* ---- explain ---------------------------------------------------------------------------- */

bool eg_explain_has_port(const char *dest)
{
	const char *bracket = strrchr(dest, ']'), *colon = strchr(bracket ? bracket : dest, ':');

	const char *slash = strchr(dest, '/');

	if (slash)
		return strchr(slash, ':') && slash[strlen(slash) - 1] != ':';
	/* Two colons without brackets are an IPv6 address. */
	return colon && colon[1] && !strchr(colon + 1, ':');
}

static void print_nearest(const struct eg_cli *cli, const json_t *nearest)
{
	EG_TABLE struct eg_table *table = NULL;
	json_t *rule;
	size_t i;

	if (!json_array_size(nearest) || !(table = eg_table_new("RULE|WHY NOT")))
		return;
	json_array_foreach(nearest, i, rule) {
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(rule, "id"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(rule, "why"));
	}
	eg_cli_say(cli, "%s", "");
	eg_cli_say(cli, "The nearest rules:");
	eg_table_print(table, cli->out, cli->color, "  ");
}

static void grant_row(struct eg_table *table, const json_t *grant)
{
	const char *name = eg_json_text(grant, "name");
	uint64_t rest = eg_json_u64(grant, "rest_s");
	char text[64];

	if (!name)
		return;
	eg_table_cell(table, EG_STYLE_BOLD, "granted for");
	if (eg_json_true(grant, "expired") || rest > UINT64_MAX / SECOND)
		eg_table_cell(table, EG_STYLE_NONE, name);
	else
		eg_table_cellf(table, EG_STYLE_NONE, "%s, for another %s", name,
			       eg_units_span_text(rest * SECOND, text, sizeof(text)));
}

static void note_rows(struct eg_table *table, const json_t *notes)
{
	json_t *note;
	size_t i;

	json_array_foreach(notes, i, note) {
		eg_table_cell(table, EG_STYLE_BOLD, "note");
		eg_table_cell(table, EG_STYLE_NONE, json_string_value(note));
	}
}

static void print_verdict(const struct eg_cli *cli, const json_t *answer)
{
	const char *verdict = eg_json_text(answer, "verdict"), *reason = eg_json_text(answer, "reason");
	const char *sentence = eg_json_text(answer, "sentence"), *rule = eg_json_text(answer, "rule");
	const char *fix = eg_json_text(answer, "fix");
	EG_TABLE struct eg_table *table = eg_table_new("|");

	if (!table)
		return;
	eg_table_cell(table, EG_STYLE_BOLD, "verdict");
	eg_table_cell(table, eg_show_state_style(verdict), verdict);
	if (rule) {
		eg_table_cell(table, EG_STYLE_BOLD, "rule");
		eg_table_cell(table, EG_STYLE_NONE, rule);
	}
	eg_table_cell(table, EG_STYLE_BOLD, "because");
	eg_table_cellf(table, EG_STYLE_NONE, "%s (%s)", sentence ? sentence : "?", reason ? reason : "?");
	grant_row(table, json_object_get(answer, "grant"));
	note_rows(table, json_object_get(answer, "notes"));
	if (fix) {
		eg_table_cell(table, EG_STYLE_BOLD, "fix");
		eg_table_cell(table, EG_STYLE_NONE, fix);
	}
	eg_table_cell(table, EG_STYLE_BOLD, "app is");
	eg_table_cell(table, eg_show_state_style(eg_json_text(answer, "state")), eg_json_text(answer, "state"));
	if (eg_json_text(answer, "expires")) {
		eg_table_cell(table, EG_STYLE_BOLD, "expires");
		eg_show_moment(table, answer, "expires");
	}
	eg_table_print(table, cli->out, cli->color, "");
	print_nearest(cli, json_object_get(answer, "nearest"));
	eg_show_grants(cli, "Learned from DNS:", json_object_get(answer, "grants"), GRANTS_SHOWN);
	eg_show_caps(cli, "Caps that count it:", json_object_get(answer, "caps"));
}

/* The parts of a prefix. */
static void print_parts(const struct eg_cli *cli, const json_t *answer)
{
	EG_TABLE struct eg_table *table = eg_table_new("FROM|TO|VERDICT|RULE|REASON");
	uint64_t left_out = eg_json_u64(answer, "left_out");
	json_t *part;
	size_t i;

	if (!table)
		return;
	json_array_foreach(json_object_get(answer, "parts"), i, part) {
		const char *verdict = eg_json_text(part, "verdict");

		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(part, "first"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(part, "last"));
		eg_table_cell(table, eg_show_state_style(verdict), verdict);
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(part, "rule"));
		eg_table_cell(table, EG_STYLE_NONE, eg_json_text(part, "reason"));
	}
	eg_cli_say(cli, "%s", eg_json_text(answer, "sentence") ?: "?");
	eg_table_print(table, cli->out, cli->color, "  ");
	if (left_out)
		eg_cli_say(cli, "  and %" PRIu64 " more", left_out);
	eg_cli_say(cli, "Note: %s.", json_string_value(json_array_get(json_object_get(answer, "notes"), 0)) ?: "");
	eg_show_caps(cli, "Caps of the app and its rules:", json_object_get(answer, "caps"));
}

int eg_cmd_explain(struct eg_cli *cli)
{
	const char *dest = eg_cli_operand(cli, 1), *proto = eg_cli_option(cli, "proto"), *name, *verdict;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	int r = eg_cli_app(cli, 0, &name);

	if (r)
		return r;
	proto = proto ? proto : "tcp";
	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 && strcmp(proto, "icmp") != 0)
		return eg_cli_usage(cli, "--proto is tcp, udp or icmp, not '%s'", proto);
	if (strcmp(proto, "icmp") != 0 && !eg_explain_has_port(dest))
		return eg_cli_usage(cli, "%s needs a port: %s%s%s:443 (or --proto icmp)", proto,
				    strchr(dest, ':') && dest[0] != '[' ? "[" : "", dest,
				    strchr(dest, ':') && dest[0] != '[' ? "]" : "");
	path = eg_client_path("/v1/explain", "app", name, "dest", dest, "proto", proto, "direction",
			      eg_cli_option(cli, "ingress") ? "ingress" : "egress", NULL);
	r = eg_cli_get(cli, path, &answer);
	if (r)
		return r;
	if (!eg_cli_json(cli, answer))
		json_object_get(answer, "parts") ? print_parts(cli, answer) : print_verdict(cli, answer);
	verdict = eg_json_text(answer, "verdict");
	return verdict && (strcmp(verdict, "deny") == 0 || strcmp(verdict, "mixed") == 0) ? EG_EXIT_NO : EG_EXIT_OK;
}

/* ---- denied -------------------------------------------------------------------------------- */

static void peer_cell(struct eg_table *table, const json_t *denial)
{
	const char *peer = eg_json_text(denial, "peer"), *direction = eg_json_text(denial, "direction");
	const char *proto = eg_json_text(denial, "proto");
	uint64_t port = eg_json_u64(denial, "port");
	bool v6 = peer && strchr(peer, ':'), icmp = proto && strncmp(proto, "icmp", 4) == 0;

	if (direction && strcmp(direction, "ingress") == 0)
		eg_table_cellf(table, EG_STYLE_NONE, icmp ? "from %s" : "from %s to port %" PRIu64, peer ? peer : "?",
			       port);
	else if (icmp || !port)
		eg_table_cell(table, EG_STYLE_NONE, peer);
	else
		eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s:%" PRIu64, v6 ? "[" : "", peer ? peer : "?", v6 ? "]" : "",
			       port);
}

static void denial_row(struct eg_table *table, const json_t *denial)
{
	const char *comm = eg_json_text(denial, "comm"), *fix = eg_json_text(denial, "fix");
	bool audited = eg_json_true(denial, "audited");
	uint64_t pid = eg_json_u64(denial, "pid");

	eg_table_number(table, eg_json_u64(denial, "count"));
	eg_show_ago(table, denial, "last");
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(denial, "app"));
	eg_table_cell(table, EG_STYLE_NONE, eg_json_text(denial, "proto"));
	peer_cell(table, denial);
	eg_table_cellf(table, audited ? EG_STYLE_WARN : EG_STYLE_BAD, "%s%s",
		       eg_json_text(denial, "reason") ? eg_json_text(denial, "reason") : "?", audited ? " (audit)" : "");
	if (pid)
		eg_table_cellf(table, EG_STYLE_NONE, "%s[%" PRIu64 "]", comm ? comm : "?", pid);
	else
		eg_table_cell(table, EG_STYLE_NONE, NULL);
	eg_table_cell(table, EG_STYLE_NONE, fix ? fix : eg_json_text(denial, "sentence"));
}

int eg_cmd_denied(struct eg_cli *cli)
{
	const char *name = NULL, *last = eg_cli_option(cli, "last");
	EG_TABLE struct eg_table *table = NULL;
	EG_JSON json_t *answer = NULL;
	EG_FREE char *path = NULL;
	json_t *denial;
	size_t i;
	int r = eg_cli_app(cli, 0, &name);

	if (!r)
		r = eg_cli_check_span(cli, "last");
	if (!r)
		r = eg_cli_get(cli, path = eg_client_path("/v1/denied", "app", name, "last", last, NULL), &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	table = eg_table_new(">COUNT|LAST|APP|PROTO|DESTINATION|REASON|PROCESS|WHAT TO DO");
	if (!table)
		return eg_cli_no_memory(cli);
	json_array_foreach(json_object_get(answer, "denied"), i, denial)
		denial_row(table, denial);
	if (eg_table_rows(table))
		eg_table_print(table, cli->out, cli->color, "");
	else
		eg_cli_say(cli, "Nothing was denied%s%s.", last ? " in the last " : "", last ? last : "");
	return EG_EXIT_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_doctor.c - egret doctor
 */
#include <string.h>

#include "commands.h"
#include "cli.h"
#include "doctor.h"
#include "show.h"
#include "text.h"

/* Asks without saying what went wrong: that becomes a finding. */
static int ask(struct eg_cli *cli, struct eg_doctor *doctor, const char *path, json_t **ret)
{
	struct eg_client_request request = {.method = "GET", .path = path};
	struct eg_error err = {0};
	int r = eg_client_call(cli->client, &request, ret, &err);

	if (r)
		eg_doctor_fail(doctor, "agent", NULL, "%s", err.message);
	eg_error_clear(&err);
	return r;
}

static void ask_agent(struct eg_cli *cli, struct eg_doctor *doctor, json_t **ret_status, json_t **ret_apps)
{
	const json_t *status;
	const char *version;

	if (ask(cli, doctor, "/v1/status", ret_status))
		return;
	status = *ret_status;
	version = eg_json_text(json_object_get(status, "agent"), "version");
	eg_doctor_ok(doctor, "agent", "egretd %s answers on %s", version ? version : "?", cli->socket);
	if (version && strcmp(version, EG_VERSION) != 0)
		eg_doctor_warn(doctor, "agent", "Restart egretd after an upgrade", "egretd is %s, and egret " EG_VERSION,
			       version);
	eg_doctor_status(doctor, status, eg_show_now_ns());
	if (!ask(cli, doctor, "/v1/apps", ret_apps))
		eg_doctor_apps(doctor, *ret_apps, eg_show_now_ns());
}

static void print_findings(const struct eg_cli *cli, const struct eg_doctor *doctor)
{
	json_t *finding;
	size_t i;

	json_array_foreach(doctor->findings, i, finding) {
		const char *level = eg_json_text(finding, "level"), *fix = eg_json_text(finding, "fix");

		if (strcmp(level, "ok") == 0)
			eg_cli_style(cli, EG_STYLE_GOOD, "ok  ");
		else if (strcmp(level, "warn") == 0)
			eg_cli_style(cli, EG_STYLE_WARN, "warn");
		else
			eg_cli_style(cli, EG_STYLE_BAD, "FAIL");
		eg_cli_say(cli, "  %-12s %s", eg_json_text(finding, "check"), eg_json_text(finding, "message"));
		if (fix)
			eg_cli_say(cli, "                    -> %s", fix);
	}
	if (!doctor->failures && !doctor->warnings)
		eg_cli_say(cli, "All is well.");
	else
		eg_cli_say(cli, "%u failed, %u to look at.", doctor->failures, doctor->warnings);
}

int eg_cmd_doctor(struct eg_cli *cli)
{
	bool strict = eg_cli_option(cli, "strict") != NULL;
	EG_JSON json_t *findings = json_array(), *status = NULL, *apps = NULL, *answer = NULL;
	struct eg_doctor doctor = {.findings = findings};
	const char *bpffs = eg_cli_option(cli, "bpffs"), *state_dir = eg_cli_option(cli, "state-dir");

	if (!findings)
		return eg_cli_no_memory(cli);
	ask_agent(cli, &doctor, &status, &apps);
	if (!state_dir)
		state_dir = eg_json_text(status, "state_dir"); /* where this agent has its own */
	if (!bpffs)
		bpffs = eg_json_text(status, "bpffs");
	eg_doctor_files(&doctor, cli->socket, bpffs ? bpffs : EG_BPFFS, state_dir ? state_dir : EG_STATE_DIR);
	if (status) {
		eg_doctor_probe(&doctor, status);
		eg_doctor_unix(&doctor, status, apps);
		eg_doctor_others(&doctor, status, apps);
		eg_doctor_outside(&doctor, status);
	}
	eg_doctor_lookups(&doctor, eg_cli_option(cli, "root"), apps);
	eg_doctor_clock(&doctor);
	eg_doctor_nat(&doctor);
	answer = json_pack("{s:b,s:i,s:i,s:O}", "ok", doctor.failures == 0, "failures", (int)doctor.failures, "warnings",
			   (int)doctor.warnings, "findings", findings);
	if (!eg_cli_json(cli, answer))
		print_findings(cli, &doctor);
	return doctor.failures || (strict && doctor.warnings) ? EG_EXIT_NO : EG_EXIT_OK;
}

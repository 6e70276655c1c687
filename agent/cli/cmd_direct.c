// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_direct.c - egret kill --direct
 *
 * First the store, since that is what cuts; then the record, which the agent merges when it
 * runs again and without which a restore, a restart or a reboot would forget the kill. Each is
 * tried whatever became of the other, and each is reported.
 */
#include <inttypes.h>
#include <string.h>

#include "../lib/hold.h"
#include "cmd_kill.h"
#include "commands.h"
#include "direct.h"
#include "show.h"

struct outcome {
	const char *app; /* or EG_HOLD_ALL_APPS */
	struct eg_direct store;
	bool stored; /* or there is nothing to store to, yet */
	bool recorded;
	const char *bpffs;
	const char *state_dir;
	char store_error[512];
	char record_error[256];
};

static const char *option_or(struct eg_cli *cli, const char *name, const char *otherwise)
{
	const char *value = eg_cli_option(cli, name);

	return value ? value : otherwise;
}

static int check(struct eg_cli *cli, const struct eg_which *which)
{
	if (which->labels)
		return eg_cli_usage(cli, "--direct can't be used with --label: labels are in the agent's policies, the "
				    "kernel knows apps by name only; name them one by one, or use --all");
	if (eg_cli_option(cli, "dry-run") || eg_cli_option(cli, "yes"))
		return eg_cli_usage(cli, "--direct asks nothing, so it takes neither --dry-run nor --yes");
	if (geteuid() != 0) {
		eg_cli_warn(cli, "--direct writes to the kernel's maps and needs root: use sudo");
		return EG_EXIT_REFUSED;
	}
	return EG_EXIT_OK;
}

static void store(struct outcome *o)
{
	struct eg_error err = {0};
	int r = strcmp(o->app, EG_HOLD_ALL_APPS) == 0 ? eg_direct_kill_all(o->bpffs, &o->store, &err)
						      : eg_direct_kill(o->bpffs, o->app, &o->store, &err);

	o->stored = r == 0;
	snprintf(o->store_error, sizeof(o->store_error), "%s", err.message);
	eg_error_clear(&err);
}

static void record(struct eg_cli *cli, struct outcome *o)
{
	struct eg_hold hold = {.layer = EG_HOLD_LOCAL, .uid = getuid(), .time_utc_ns = eg_show_now_ns()};
	char actor[64];
	int r;

	snprintf(actor, sizeof(actor), "uid=%u pid=%d via=direct", getuid(), (int)getpid());
	snprintf(hold.app, sizeof(hold.app), "%s", o->app);
	eg_hold_set_text(hold.actor, sizeof(hold.actor), actor);
	eg_hold_set_text(hold.reason, sizeof(hold.reason), eg_cli_option(cli, "reason"));
	eg_hold_set_text(hold.ticket, sizeof(hold.ticket), eg_cli_option(cli, "ticket"));
	r = eg_hold_direct_append(o->state_dir, &hold);
	o->recorded = r == 0;
	if (r)
		snprintf(o->record_error, sizeof(o->record_error), "%s", strerror(-r));
}

static json_t *outcome_json(const struct outcome *o)
{
	return json_pack("{s:s,s:b,s:b,s:b,s:b,s:b,s:I,s:s?,s:s?}", "app", o->app, "direct", 1, "seen", o->store.seen,
			 "stored", o->stored && o->store.seen, "already", o->store.already, "durable", o->recorded,
			 "stored_us", (json_int_t)o->store.stored_us, "store_error", o->stored ? NULL : o->store_error,
			 "record_error", o->recorded ? NULL : o->record_error);
}

static void say_step(const struct eg_cli *cli, bool ok, const char *name)
{
	eg_cli_style(cli, ok ? EG_STYLE_GOOD : EG_STYLE_BAD, ok ? "ok    " : "FAILED");
	fprintf(cli->out, "  %s ", name);
}

static void say(const struct eg_cli *cli, const struct outcome *o)
{
	bool all = strcmp(o->app, EG_HOLD_ALL_APPS) == 0;

	say_step(cli, o->stored, "store ");
	if (!o->stored)
		eg_cli_say(cli, "%s", o->store_error);
	else if (!o->store.seen)
		eg_cli_say(cli, "%s is not known to the kernel: there is nothing to cut, the record waits for it "
			   "(is the name right?)", o->app);
	else
		eg_cli_say(cli, "%s %s after %" PRIu64 " us: no packet passes any more", all ? "every app" : o->app,
			   o->store.already ? "was killed already, again" : "killed", o->store.stored_us);
	say_step(cli, o->recorded, "record");
	if (o->recorded)
		eg_cli_say(cli, "%s/" EG_HOLD_DIRECT " is on disk; the agent takes it over when it runs", o->state_dir);
	else
		eg_cli_say(cli, "%s/" EG_HOLD_DIRECT ": %s; the kill would not outlive a reboot", o->state_dir,
			   o->record_error);
	if (o->stored && o->store.seen)
		eg_cli_say(cli, "Sockets are not reset, so the app sees them hang; a running agent does that.");
}

int eg_kill_direct(struct eg_cli *cli, const struct eg_which *which)
{
	struct outcome o = {.app = which->all ? EG_HOLD_ALL_APPS : which->app};
	EG_JSON json_t *json = NULL;
	int r = check(cli, which);

	if (r)
		return r;
	o.bpffs = option_or(cli, "bpffs", EG_BPFFS);
	o.state_dir = option_or(cli, "state-dir", EG_STATE_DIR);
	store(&o);
	record(cli, &o);
	json = outcome_json(&o);
	if (!eg_cli_json(cli, json))
		say(cli, &o);
	return o.stored && o.recorded ? EG_EXIT_OK : EG_EXIT_FAILED;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - egretd: reads its command line, then runs, prepares the boot, or detaches
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../lib/json_memory.h"
#include "../lib/log.h"
#include "agent_run.h"
#include "cgroupfs.h"
#include "kern.h"
#include "lookup.h"
#include "options.h"
#include "privileges.h"
#include "rootkeeper.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

static int fail(const struct eg_error *err)
{
	eg_log_err("egretd: %s", err->message);
	return strcmp(err->code, "bad_usage") == 0 ? EXIT_USAGE : EXIT_FAILED;
}

/* ---- Reloading --------------------------------------------------------------------------- */

/* Each configuration that was in force stays, since parts of the agent refer to it. */
#define RELOADS_MAX 4096

struct reloads {
	int argc;
	char **argv;
	struct eg_options kept[RELOADS_MAX];
	size_t count;
};

static const struct eg_config *reload(void *ctx)
{
	struct reloads *reloads = ctx;
	struct eg_error err = {0};

	if (reloads->count == RELOADS_MAX) {
		eg_log_err("the configuration was read %d times: restart egretd to read it once more", RELOADS_MAX);
		return NULL;
	}
	if (eg_options_parse(reloads->argc, reloads->argv, &reloads->kept[reloads->count], &err) < 0) {
		eg_log_err("%s; the configuration stays as it was", err.message);
		eg_error_clear(&err);
		return NULL;
	}
	return reloads->kept[reloads->count++].config;
}

/* ---- What it can be asked to do ------------------------------------------------------------ */

static int run(const struct eg_options *options, struct reloads *reloads)
{
	struct eg_agent *agent;
	struct eg_error err = {0};
	int r;

	signal(SIGPIPE, SIG_IGN);
	eg_agent_block_signals();
	eg_log_set_level(options->config->log_level);
	if (eg_privileges_drop(&err) < 0 || eg_agent_start(options->config, EG_START_RUN, &agent, &err) < 0)
		return fail(&err);
	r = eg_agent_run(agent, reload, reloads);
	eg_agent_stop(agent);
	eg_log_notice("egretd stopped; what was enforced stays enforced");
	return r < 0 ? EXIT_FAILED : 0;
}

static int early(const struct eg_options *options)
{
	struct eg_agent *agent;
	struct eg_error err = {0};

	eg_log_set_level(options->config->log_level);
	if (eg_privileges_drop(&err) < 0 || eg_agent_start(options->config, EG_START_EARLY, &agent, &err) < 0)
		return fail(&err);
	eg_agent_stop(agent);
	eg_log_notice("everything below the managed roots is denied until egretd is up");
	return 0;
}

static void stop_keepers(const struct eg_config *config)
{
	EG_CLEANUP(eg_cleanup_cgroupfs) struct eg_cgroupfs *fs = NULL;

	if (eg_cgroupfs_open(NULL, &fs) < 0)
		return;
	for (size_t i = 0; i < config->root_count; i++) {
		EG_CLEANUP(eg_cleanup_rootkeeper) struct eg_rootkeeper *keeper = NULL;
		char path[PATH_MAX];

		if (eg_cgroupfs_normalize(fs, config->roots[i].path, path) < 0 ||
		    eg_rootkeeper_start(fs, path, false, &keeper) < 0)
			continue;
		eg_rootkeeper_stop(keeper);
	}
}

static int detach_all(const struct eg_options *options)
{
	struct eg_error err = {0};
	EG_CLOSE int lock = -1;

	if (eg_privileges_drop(&err) < 0 || eg_agent_lock(options->config->state_dir, &lock, &err) < 0 ||
	    eg_kern_detach_all(options->config->bpffs, &err) < 0)
		return fail(&err);
	stop_keepers(options->config);
	printf("egretd: detached; nothing is enforced any more\n");
	return 0;
}

int main(int argc, char **argv)
{
	static struct reloads reloads;
	struct eg_options options = {0};
	struct eg_error err = {0};
	int status = 0;

	eg_rootkeeper_main(argc, argv);
	eg_lookup_main(argc, argv);
	eg_json_memory();
	if (eg_options_parse(argc, argv, &options, &err) < 0)
		return fail(&err);
	reloads.argc = argc;
	reloads.argv = argv;
	switch (options.action) {
	case EG_ACTION_RUN:
		status = run(&options, &reloads);
		break;
	case EG_ACTION_EARLY:
		status = early(&options);
		break;
	case EG_ACTION_DETACH_ALL:
		status = detach_all(&options);
		break;
	case EG_ACTION_CHECK_CONFIG:
		printf("%s: the configuration can be used\n", options.config_file);
		break;
	case EG_ACTION_VERSION:
		printf("egretd %s\n", EG_VERSION);
		break;
	case EG_ACTION_HELP:
		fputs(eg_options_help, stdout);
		break;
	}
	for (size_t i = 0; i < reloads.count; i++)
		eg_options_clear(&reloads.kept[i]);
	eg_options_clear(&options);
	return status;
}

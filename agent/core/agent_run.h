/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_run.h - egretd from start to stop; main.c is its caller
 */
#ifndef EG_CORE_AGENT_RUN_H
#define EG_CORE_AGENT_RUN_H

#include "../lib/error.h"
#include "agent.h"
#include "api.h"
#include "config.h"

enum eg_start {
	EG_START_RUN,
	EG_START_EARLY, /* attach deny-all and the holds: for egret-early.service */
};

/*
 * Brings enforcement up; the API answers when this returns. Errors are one sentence; nothing is
 * attached that was not attached before. config has to outlive the agent.
 */
int eg_agent_start(const struct eg_config *config, enum eg_start how, struct eg_agent **ret, struct eg_error *err);

/* To be called before eg_agent_start, so that its threads leave the signals to eg_agent_run. */
void eg_agent_block_signals(void);

/* Reads the configuration again, for SIGHUP. NULL: it can't be used, and that was said. */
typedef const struct eg_config *(*eg_agent_reload_fn)(void *ctx);

/* Serves until SIGTERM or SIGINT. SIGHUP reads the configuration and the policies again. 0 or -errno. */
int eg_agent_run(struct eg_agent *agent, eg_agent_reload_fn reload, void *ctx);

/* Stops serving; enforcement stays. NULL is fine. */
void eg_agent_stop(struct eg_agent *agent);

/* One agent for each state directory: *ret_fd holds the lock. */
int eg_agent_lock(const char *state_dir, int *ret_fd, struct eg_error *err);

/* ---- Between agent.c, agent_loop.c and agent_events.c ------------------------------------ */

void eg_agent_set_host(struct eg_agent *agent); /* what the configuration says to the kernel side */
void eg_agent_merge_direct(struct eg_agent *agent);
int eg_agent_start_events(struct eg_agent *agent);
void eg_agent_api_config(struct eg_agent *agent, struct eg_api_config *ret);

#endif

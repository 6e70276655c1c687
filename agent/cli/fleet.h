/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - the control plane's side of `egret fleet`: where it is, its keys, and the hosts' answers
 *
 * Needs no agent on this machine. Functions that return an exit status have said what is wrong.
 */
#ifndef EG_CLI_FLEET_H
#define EG_CLI_FLEET_H

#include "../lib/control_config.h"
#include "../sync/etcd.h"
#include "cli.h"

#define EG_FLEET_CONFIG "/etc/egret/egret.json"

struct eg_fleet {
	struct eg_cli *cli;
	struct eg_control_config *control;
	struct eg_credentials credentials;
	struct eg_etcd *etcd;  /* NULL: only the states can be asked for, by http */
	struct eg_fetch *http; /* NULL: it is etcd */
};

/* ret: zeroed, and not to be moved; to be closed in every case. only_states: nothing else will be asked of it. */
int eg_fleet_open(struct eg_cli *cli, bool only_states, struct eg_fleet *ret);
void eg_fleet_close(struct eg_fleet *fleet);

/* Says *err and clears it; the exit status for it. */
int eg_fleet_fail(struct eg_fleet *fleet, struct eg_error *err);

/* PREFIX KIND "/" APP, or PREFIX "hosts/" HOST "/" KIND "/" APP with --host; caller frees; NULL without memory. */
char *eg_fleet_key(const struct eg_fleet *fleet, const char *kind, const char *app);
/*
 * Writes the document of an app, with targets and signature as the options say; takes it. *ret_revision: of
 * the store, with it.
 */
int eg_fleet_write(struct eg_fleet *fleet, const char *kind, const char *app, json_t *document, uint64_t *ret_revision);

/* The states of all hosts that are there, by name; new reference. */
int eg_fleet_states(struct eg_fleet *fleet, json_t **ret);
/*
 * Waits, as long as --wait says, until each host that is there has seen the revision, and asks fn of each
 * that has; what is wrong goes to `wrong`, by host. EG_EXIT_OK: none; EG_EXIT_NO.
 */
typedef const char *(*eg_fleet_judge)(const json_t *state, const char *app);
int eg_fleet_wait(struct eg_fleet *fleet, uint64_t revision, const char *app, eg_fleet_judge judge, json_t **ret_wrong,
		  size_t *ret_hosts);

#endif

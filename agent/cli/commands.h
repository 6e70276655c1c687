/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h - the table of commands, and the functions in it
 */
#ifndef EG_CLI_COMMANDS_H
#define EG_CLI_COMMANDS_H

#include "args.h"

#define EG_BPFFS     "/sys/fs/bpf/egret"
#define EG_STATE_DIR "/var/lib/egret"

extern const struct eg_command eg_commands[];
extern const struct eg_option eg_globals[];

/* Each returns an exit status (enum eg_exit). */
int eg_cmd_status(struct eg_cli *cli);
int eg_cmd_apps(struct eg_cli *cli);
int eg_cmd_app(struct eg_cli *cli);
int eg_cmd_usage(struct eg_cli *cli);
int eg_cmd_top(struct eg_cli *cli);
int eg_cmd_report(struct eg_cli *cli);
int eg_cmd_backup(struct eg_cli *cli);
int eg_cmd_restore_state(struct eg_cli *cli);
int eg_cmd_policy_check(struct eg_cli *cli);
int eg_cmd_policy_new(struct eg_cli *cli);
int eg_cmd_policy_suggest(struct eg_cli *cli);
int eg_cmd_policy_plan(struct eg_cli *cli);
int eg_cmd_policy_history(struct eg_cli *cli);
int eg_cmd_policy_rollback(struct eg_cli *cli);
int eg_cmd_policy_renew(struct eg_cli *cli);
int eg_cmd_policy_apply(struct eg_cli *cli);
int eg_cmd_policy_diff(struct eg_cli *cli);
int eg_cmd_policy_get(struct eg_cli *cli);
int eg_cmd_policy_delete(struct eg_cli *cli);
int eg_cmd_explain(struct eg_cli *cli);
int eg_cmd_denied(struct eg_cli *cli);
int eg_cmd_kill(struct eg_cli *cli);
int eg_cmd_restore(struct eg_cli *cli);
int eg_cmd_snapshot(struct eg_cli *cli);
int eg_cmd_relax(struct eg_cli *cli);
int eg_cmd_flows(struct eg_cli *cli);
int eg_cmd_events(struct eg_cli *cli);
int eg_cmd_sinks(struct eg_cli *cli);
int eg_cmd_run(struct eg_cli *cli);
int eg_cmd_tag(struct eg_cli *cli);
int eg_cmd_oci_hook(struct eg_cli *cli);
int eg_cmd_doctor(struct eg_cli *cli);
int eg_cmd_fleet_status(struct eg_cli *cli);
int eg_cmd_fleet_kill(struct eg_cli *cli);
int eg_cmd_fleet_restore(struct eg_cli *cli);
int eg_cmd_fleet_push(struct eg_cli *cli);
int eg_cmd_fleet_delete(struct eg_cli *cli);
int eg_cmd_fleet_get(struct eg_cli *cli);
int eg_cmd_completion(struct eg_cli *cli);
int eg_cmd_complete(struct eg_cli *cli);
int eg_cmd_help(struct eg_cli *cli);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <limits.h>

#include "client.h"
#include "template.h"
#include "top.h"

#define END            {.name = 0}
#define TAKE_OVER      {"take-over", 0, 0, "also if the app's policy came from another source", 0}
#define REASON(help)   {"reason", 0, "TEXT", help, 0}
#define LAST(help)     {"last", 0, "TIME", help, "1m 10m 1h 24h 7d"}
#define SELECTOR(help) {"label", 'l', "SELECTOR", help, 0}
#define FOLLOW         {"follow", 'f', 0, "go on with what comes", 0}
#define LIMIT          {"limit", 0, "N", "at most the newest N", 0}
#define BPFFS          {"bpffs", 0, "DIR", "where the agent pins its maps; default " EG_BPFFS, EG_WORDS_DIR}
#define STATE_DIR      {"state-dir", 0, "DIR", "where the agent keeps its state; default " EG_STATE_DIR, EG_WORDS_DIR}

const struct eg_option eg_globals[] = {
	{"socket", 0, "PATH", "the agent's socket; default $EGRET_SOCKET, or " EG_CLIENT_SOCKET, EG_WORDS_FILE},
	{"output", 'o', "FORMAT", "table for people, json for programs, ndjson for streams", "table json ndjson"},
	{"json", 0, 0, "the same as --output json", 0},
	{"no-color", 0, 0, "no colour, also on a terminal", 0},
	{"help", 'h', 0, "what a command does", 0},
	{"version", 0, 0, "this program's version", 0},
	END,
};

static const struct eg_option apps_options[] = {
	SELECTOR("apps with these labels: team=hr,env!=dev,tier in (a,b)"),
	END,
};

static const struct eg_option check_options[] = {
	{"max-lifetime", 0, "TIME", "how far ahead a policy may expire; default 90d", "30d 90d 365d"},
	{"strict", 0, 0, "warnings fail, too: for pipelines", 0},
	{"online", 0, 0, "ask the agent instead, which knows its host's limits", 0},
	END,
};

static const struct eg_option new_options[] = {
	{"template", 0, "NAME", "which template",
	 "db-view-read-only deny-all llm-agent-sandbox one-service package-registry-build sheets-read-only slack-notify-only "
	 "web-api-client"},
	{"app", 0, "NAME", "the app's name", 0},
	{"owner", 0, "TEXT", "who answers for the app", 0},
	{"ticket", 0, "TEXT", "where it was approved", 0},
	{"set", 0, "NAME=VALUE", "a parameter of the template; may be given often", 0},
	{"expires", 0, "WHEN", "a time from now, or a moment; default 30d", "7d 30d 90d"},
	{"list", 0, 0, "show the templates and their parameters", 0},
	{"templates", 0, "DIR", "where templates are; default $EGRET_TEMPLATES, or " EG_TEMPLATES, EG_WORDS_DIR},
	END,
};

static const struct eg_option seen_options[] = {LAST("events of the last TIME"), LIMIT, END};

static const struct eg_option rollback_options[] = {
	{"for", 0, "TIME", "it expires so long from now; default as it said", "7d 30d 90d"},
	TAKE_OVER,
	END,
};

static const struct eg_option renew_options[] = {
	{"for", 0, "TIME", "it expires so long from now; required", "7d 30d 90d"},
	TAKE_OVER,
	END,
};

static const struct eg_option apply_options[] = {
	TAKE_OVER,
	{"if-match", 0, "REV", "only if this policy_rev is in force", 0},
	{"dry-run", 0, 0, "check, and show what would change", 0},
	END,
};

static const struct eg_option delete_options[] = {TAKE_OVER, END};

static const struct eg_option explain_options[] = {
	{"proto", 'p', "PROTO", "tcp, udp or icmp; default tcp", "tcp udp icmp"},
	{"ingress", 0, 0, "from DEST to the app: its port is the app's own", 0},
	END,
};

static const struct eg_option denied_options[] = {LAST("only what was denied in the last TIME"), END};

static const struct eg_option kill_options[] = {
	SELECTOR("every app with these labels"),
	{"all", 0, 0, "every app on this host, those to come included", 0},
	{"dry-run", 0, 0, "show who is meant, and do nothing", 0},
	{"yes", 0, "N", "don't ask: it is known that N apps are meant", 0},
	REASON("why; in the record and in events"),
	{"ticket", 0, "ID", "case or ticket; in the record and in events", 0},
	{"direct", 0, 0, "without the agent, on the pinned maps; needs root", 0},
	BPFFS,
	STATE_DIR,
	END,
};

static const struct eg_option restore_options[] = {
	{"override", 0, 0, "pass over the control plane's kill for a time (admin)", 0},
	{"for", 0, "TIME", "with --override: 1m to 24h; 0 ends it now", "15m 1h 0"},
	{"all", 0, 0, "lift the hold on all apps (holds on single apps stay)", 0},
	REASON("why; in the record and in events"),
	END,
};

static const struct eg_option snapshot_options[] = {REASON("why; in the file"), END};

static const struct eg_option relax_options[] = {
	{"for", 0, "TIME", "1m to 24h; 0 ends it now", "15m 1h 0"},
	REASON("why; required, in the record and in events"),
	END,
};

static const struct eg_option flows_options[] = {
	FOLLOW,
	LAST("flows of the last TIME; default 10m"),
	LIMIT,
	SELECTOR("of apps with these labels"),
	END,
};

static const struct eg_option usage_options[] = {SELECTOR("of apps with these labels"), END};

static const struct eg_option events_options[] = {
	FOLLOW,
	{"type", 0, "TYPES", "only these, with commas: flow,deny,kill",
	 "flow deny dns cap rate kill restore expire policy relax tag alert agent lost suppressed"},
	LAST("events of the last TIME"),
	LIMIT,
	SELECTOR("of apps with these labels"),
	{"spool", 0, "DIR", "read the log in DIR itself, without an agent", EG_WORDS_DIR},
	END,
};

static const struct eg_option top_options[] = {
	{"batch", 'b', 0, "print tables instead of drawing on the terminal; with -o json a line each", 0},
	{"count", 'n', "N", "so many tables, then end", 0},
	{"interval", 'd', "TIME", "pause between samples; default 2s", "1s 2s 10s"},
	{"sort", 's', "COLUMN", "rate, cap, denied, live or name; default rate", EG_TOP_SORTS},
	SELECTOR("only apps with these labels"),
	END,
};

static const struct eg_option report_options[] = {
	{"all", 0, 0, "every app on this host", 0},
	{"since", 0, "TIME", "of the last TIME; default 24h", "1h 24h 7d 30d"},
	{"write", 'w', "FILE", "into FILE instead of standard output", EG_WORDS_FILE},
	END,
};

static const struct eg_option backup_options[] = {STATE_DIR, END};

static const struct eg_option run_options[] = {
	{"app", 0, "NAME", "the app that the command belongs to; required", EG_WORDS_APP},
	{"policy", 0, "FILE", "apply this policy first", EG_WORDS_FILE},
	{"root", 0, "PATH", "managed root to make the cgroup in; default the agent's first", EG_WORDS_DIR},
	END,
};

static const struct eg_option oci_hook_options[] = {
	{"annotation", 0, "KEY", "the annotation, or Docker's label, that names the app; default egret.app", 0},
	{"require", 0, 0, "a container that names no app does not start", 0},
	{"docker-root", 0, "DIR", "where Docker keeps its containers; default /var/lib/docker", EG_WORDS_DIR},
	END,
};

static const struct eg_option doctor_options[] = {
	BPFFS,
	STATE_DIR,
	{"root", 0, "DIR", "how names are looked up below DIR, as in /proc/PID/root of an app", EG_WORDS_DIR},
	{"strict", 0, 0, "exit 1 also when there is a warning", 0},
	END,
};

#define FLEET_ACCESS                                                                                               \
	{"config", 0, "FILE", "where the control plane is; default $EGRET_FLEET, or the agent's", EG_WORDS_FILE},      \
	{"endpoint", 0, "URL", "a member of the etcd cluster", 0},                                                     \
	{"prefix", 0, "PREFIX", "of the keys; default /egret/", 0},                                                    \
	{"user", 0, "NAME", "who to be there", 0},                                                                     \
	{"password-file", 0, "FILE", "with the user's password", EG_WORDS_FILE},                                       \
	{"ca", 0, "FILE", "who may certify the members", EG_WORDS_FILE},                                               \
	{"cert", 0, "FILE", "our certificate", EG_WORDS_FILE},                                                         \
	{"key", 0, "FILE", "its key", EG_WORDS_FILE}
#define FLEET_WRITE                                                                                                \
	FLEET_ACCESS, {"host", 0, "HOST", "for this host alone", 0},                                                   \
	{"hosts", 0, "PATTERNS", "for hosts with these names: web-*,db-1", 0},                                         \
	{"labels", 0, "SELECTOR", "for hosts with these labels: env=prod", 0},                                         \
	{"sign-key", 0, "FILE", "sign with this Ed25519 key", EG_WORDS_FILE},                                          \
	{"generation", 0, "N", "number of what is signed; default above the last", 0},                                 \
	{"wait", 0, "TIME", "for the hosts to say that it is done; default 10s", "0 10s 1m"}

static const struct eg_option fleet_access[] = {FLEET_ACCESS, END};
static const struct eg_option fleet_push_options[] = {
	FLEET_WRITE, {"take-over", 0, 0, "also if an app's policy came from another source", 0}, END,
};
static const struct eg_option fleet_delete_options[] = {FLEET_WRITE, END};
static const struct eg_option fleet_kill_options[] = {
	FLEET_WRITE,
	{"all", 0, 0, "every app on every host", 0},
	REASON("why; in the record and in events"),
	{"ticket", 0, "ID", "case or ticket; in the record and in events", 0},
	END,
};

#define MANY UINT_MAX

const struct eg_command eg_commands[] = {
	{"status", 0, "how the agent and its enforcement are doing", 0, 0, 0, 0, {0}, eg_cmd_status, false, false, false},
	{"apps", 0, "the apps on this host", 0, apps_options, 0, 0, {0}, eg_cmd_apps, false, false, false},
	{"app", "APP", "one app: state, rules, caps, holds, what was denied", 0, 0, 1, 1, {EG_WORDS_APP}, eg_cmd_app,
	 false, false, false},
	{"policy check", "FILE...", "check policy files",
	 "Works without an agent. A directory stands for its *.json; \"-\" for standard input. Two policies for one app "
	 "are an error. Exits 1 when anything is wrong; warnings count with --strict only.",
	 check_options, 1, MANY, {EG_WORDS_FILE, EG_WORDS_FILE}, eg_cmd_policy_check, false, false, false},
	{"policy new", 0, "write a policy from a template",
	 "Prints a policy that `policy check` accepts, for a file or for `policy apply -`. --list shows what there is.",
	 new_options, 0, 0, {0}, eg_cmd_policy_new, false, false, false},
	{"policy apply", "FILE...", "put policies in force",
	 "The policy is written whole and then switched to at once. Of several files none is applied unless the agent "
	 "finds all of them right.",
	 apply_options, 1, MANY, {EG_WORDS_FILE, EG_WORDS_FILE}, eg_cmd_policy_apply, false, false, false},
	{"policy diff", "FILE", "what applying a file would change",
	 "Compares with the policy in force, rule by rule. Exits 1 when they differ.", 0, 1, 1, {EG_WORDS_FILE},
	 eg_cmd_policy_diff, false, false, false},
	{"policy suggest", "APP", "write the smallest policy that explains what an app did",
	 "From the log, best of an app in audit mode whose policy names resolvers: names before addresses, ports merged, "
	 "nothing widened. The policy goes to standard output, what it stands on to standard error.",
	 seen_options, 1, 1, {EG_WORDS_APP}, eg_cmd_policy_suggest, false, false, false},
	{"policy plan", "FILE", "what a new policy would newly deny or allow of what was seen",
	 "The loaded program is asked about each recorded destination, with the new policy's rules. Exits 1 when something "
	 "that passed would be denied.",
	 seen_options, 1, 1, {EG_WORDS_FILE}, eg_cmd_policy_plan, false, false, false},
	{"policy history", "APP [REV]", "the revisions that were in force, or one of them", 0, 0, 1, 2, {EG_WORDS_APP},
	 eg_cmd_policy_history, false, false, false},
	{"policy rollback", "APP [REV]", "put an earlier revision in force again",
	 "Without REV the last one with another text than what is in force. It is a new revision, belongs to somebody as any "
	 "does, and lifts no kill.",
	 rollback_options, 1, 2, {EG_WORDS_APP}, eg_cmd_policy_rollback, false, false, false},
	{"policy renew", "APP --for TIME", "let the policy in force expire later, the same otherwise", 0, renew_options, 1, 1,
	 {EG_WORDS_APP}, eg_cmd_policy_renew, false, false, false},
	{"policy get", "APP", "print the policy in force", 0, 0, 1, 1, {EG_WORDS_APP}, eg_cmd_policy_get, false, false,
	 false},
	{"policy delete", "APP", "delete an app's policy: everything is denied to it",
	 "The app's tag stays, so it is not an unknown cgroup: it is denied everything. Holds stay in force.",
	 delete_options, 1, 1, {EG_WORDS_APP}, eg_cmd_policy_delete, false, false, false},
	{"explain", "APP DEST", "whether the app may reach DEST, and which rule says so",
	 "DEST is ADDRESS:PORT, [ADDRESS]:PORT, NAME:PORT or, for icmp, ADDRESS; a prefix for an address tells which parts of "
	 "it are allowed. The loaded program itself is asked. Exits 1 when any of it would be denied.",
	 explain_options, 2, 2, {EG_WORDS_APP}, eg_cmd_explain, false, false, false},
	{"denied", "[APP]", "what was denied lately, and what would allow it", 0, denied_options, 0, 1, {EG_WORDS_APP},
	 eg_cmd_denied, false, false, false},
	{"kill", "[APP]", "cut apps off at once, until they are restored",
	 "Kills APP, or with --label or --all several: then it shows which, and asks for their number. An app that was "
	 "never seen can be killed, too: the hold waits for it.",
	 kill_options, 0, 1, {EG_WORDS_APP}, eg_cmd_kill, false, false, false},
	{"restore", "[APP]", "lift a kill",
	 "A responder can lift an own kill for 15 minutes; an admin any but the control plane's.",
	 restore_options, 0, 1, {EG_WORDS_APP}, eg_cmd_restore, false, false, false},
	{"snapshot", "APP", "keep all that is known of an app in one file",
	 "Policy, counters, grants, sockets, processes and recent events, on the agent's host. A kill takes one by itself.",
	 snapshot_options, 1, 1, {EG_WORDS_APP}, eg_cmd_snapshot, false, false, false},
	{"relax", "APP --for TIME --reason TEXT",
	 "break glass: let an app pass for a time, and log what would have been denied",
	 "Turns the app's policy to audit; the kernel turns it back by itself. Kills and expiry still hold.",
	 relax_options, 1, 1, {EG_WORDS_APP}, eg_cmd_relax, false, false, false},
	{"flows", "[APP]", "connections, with their bytes and rules", 0, flows_options, 0, 1, {EG_WORDS_APP}, eg_cmd_flows,
	 true, false, false},
	{"events", "[APP]", "the event log", 0, events_options, 0, 1, {EG_WORDS_APP}, eg_cmd_events, true, false, false},
	{"usage", "[APP]", "traffic and caps", 0, usage_options, 0, 1, {EG_WORDS_APP}, eg_cmd_usage, false, false, false},
	{"top", 0, "the apps by what they do now",
	 "Keys: r c d l n sort by rate, use of cap, denied, live, name; / filters; arrows select; K kills the selected app "
	 "once yes is typed; space pauses; q ends.",
	 top_options, 0, 0, {0}, eg_cmd_top, true, false, false},
	{"report", "{APP | --all}", "a page of HTML: traffic, caps, destinations, denials, kills, DNS",
	 "The page is one file that loads nothing and runs nothing, for mail, tickets and paper.", report_options, 0, 1,
	 {EG_WORDS_APP}, eg_cmd_report, false, false, false},
	{"sinks", "[test NAME]", "where events and alerts go to: state, lag, last error",
	 "With test, sends one event to the sink and says what came back; exits 1 if it was not taken, or, without, when "
	 "egret-ship does not run.",
	 0, 0, 2, {"test"}, eg_cmd_sinks, false, false, false},
	{"backup", "FILE", "keep kills, pushed policies, use of caps and snapshots in a file",
	 "Reads the state directory, whether an agent runs or not. Needs root. tar tzf FILE lists it.", backup_options, 1, 1,
	 {EG_WORDS_FILE}, eg_cmd_backup, false, false, false},
	{"restore-state", "FILE", "bring a backup's kills, policies and their history back",
	 "While egretd is stopped. No kill is lifted by it, and no used cap given back: kills are joined, usage that is "
	 "there stays. The policies become the backup's; those of before are kept aside.",
	 backup_options, 1, 1, {EG_WORDS_FILE}, eg_cmd_restore_state, false, false, false},
	{"run", "--app NAME -- COMMAND [ARGUMENT...]", "run a command as an app",
	 "Makes a cgroup below the managed root, tags it, and runs the command in it once enforcement is on. Needs root. "
	 "Exits with the command's status, 128 + N if signal N ended it, 127 if it was not found, 126 if it can't be run, "
	 "125 if anything failed before.",
	 run_options, 1, MANY, {0}, eg_cmd_run, false, true, false},
	{"tag", "CGROUP APP", "say that a cgroup belongs to an app",
	 "When it returns, the app's policy is in force for all that is in the cgroup and below.", 0, 2, 2,
	 {EG_WORDS_DIR, EG_WORDS_APP}, eg_cmd_tag, false, false, false},
	{"oci-hook", 0, "tag a container's cgroup, as its runtime's createRuntime hook",
	 "Reads the container's state on standard input. When it fails, so does the container's start.", oci_hook_options, 0,
	 0, {0}, eg_cmd_oci_hook, false, false, false},
	{"doctor", 0, "look for what is wrong, and say what to do", "Exits 1 when something failed; warnings count with --strict.",
	 doctor_options, 0, 0, {0}, eg_cmd_doctor, false, false, false},
	{"fleet status", "[APP]", "every host of the control plane: what it has applied, and what is wrong",
	 "From any machine with credentials for etcd. With APP, how it stands on each host. Exits 1 when a host has errors.",
	 fleet_access, 0, 1, {0}, eg_cmd_fleet_status, false, false, false},
	{"fleet kill", "[APP]", "cut an app off on all hosts",
	 "Writes the kill for every host, and waits until each that is there says that it is in force. Exits 1 if one does "
	 "not. A host that is away now does it as soon as it is back.",
	 fleet_kill_options, 0, 1, {0}, eg_cmd_fleet_kill, false, false, false},
	{"fleet restore", "[APP]", "lift the control plane's kill on all hosts", 0, fleet_kill_options, 0, 1, {0},
	 eg_cmd_fleet_restore, false, false, false},
	{"fleet push", "FILE...", "put policies in force on all hosts",
	 "Checks each file first, and waits until every host says that it is applied, or why not. Exits 1 if one does not.",
	 fleet_push_options, 1, MANY, {EG_WORDS_FILE, EG_WORDS_FILE}, eg_cmd_fleet_push, false, false, false},
	{"fleet delete", "APP", "delete an app's policy on all hosts",
	 "Writes that there shall be none, which hosts don't take for a store that lost its content.", fleet_delete_options, 1, 1,
	 {0}, eg_cmd_fleet_delete, false, false, false},
	{"fleet get", "[APP]", "what the control plane says of an app, or of all", 0, fleet_access, 0, 1, {0},
	 eg_cmd_fleet_get, false, false, false},
	{"completion", "SHELL", "print completion for bash, zsh or fish",
	 "For bash: egret completion bash > /etc/bash_completion.d/egret", 0, 1, 1, {"bash zsh fish"}, eg_cmd_completion,
	 false, false, false},
	{"help", "[COMMAND]", "what a command does", 0, 0, 0, 2, {EG_WORDS_COMMAND, EG_WORDS_COMMAND}, eg_cmd_help, false,
	 false, false},
	{"__complete", "[WORD...]", "what can stand here: asked by the shells' completion", 0, 0, 0, MANY, {0},
	 eg_cmd_complete, false, true, true},
	{0},
};

// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <limits.h>

#include "client.h"

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
	{"online", 0, 0, "ask the agent instead, which knows its host's limits", 0},
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

static const struct eg_option flows_options[] = {FOLLOW, LAST("flows of the last TIME; default 10m"), LIMIT, END};

static const struct eg_option events_options[] = {
	FOLLOW,
	{"type", 0, "TYPES", "only these, with commas: flow,deny,kill",
	 "flow deny dns cap rate kill restore expire policy relax tag alert agent lost suppressed"},
	LAST("events of the last TIME"),
	LIMIT,
	{"spool", 0, "DIR", "read the log in DIR itself, without an agent", EG_WORDS_DIR},
	END,
};

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
	 "are an error. Exits 1 when anything is wrong; warnings don't count.",
	 check_options, 1, MANY, {EG_WORDS_FILE, EG_WORDS_FILE}, eg_cmd_policy_check, false, false, false},
	{"policy apply", "FILE...", "put policies in force",
	 "The policy is written whole and then switched to at once. Of several files none is applied unless the agent "
	 "finds all of them right.",
	 apply_options, 1, MANY, {EG_WORDS_FILE, EG_WORDS_FILE}, eg_cmd_policy_apply, false, false, false},
	{"policy diff", "FILE", "what applying a file would change",
	 "Compares with the policy in force, rule by rule. Exits 1 when they differ.", 0, 1, 1, {EG_WORDS_FILE},
	 eg_cmd_policy_diff, false, false, false},
	{"policy get", "APP", "print the policy in force", 0, 0, 1, 1, {EG_WORDS_APP}, eg_cmd_policy_get, false, false,
	 false},
	{"policy delete", "APP", "delete an app's policy: everything is denied to it",
	 "The app's tag stays, so it is not an unknown cgroup: it is denied everything. Holds stay in force.",
	 delete_options, 1, 1, {EG_WORDS_APP}, eg_cmd_policy_delete, false, false, false},
	{"explain", "APP DEST", "whether the app may reach DEST, and which rule says so",
	 "DEST is ADDRESS:PORT, [ADDRESS]:PORT, NAME:PORT or, for icmp, ADDRESS. The loaded program itself is asked. "
	 "Exits 1 when it would be denied.",
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
	{"usage", "[APP]", "traffic and caps", 0, 0, 0, 1, {EG_WORDS_APP}, eg_cmd_usage, false, false, false},
	{"sinks", "[test NAME]", "where events go to: state, lag, last error",
	 "With test, sends one event to the sink and says what came back; exits 1 if it was not taken, or, without, when "
	 "egret-ship does not run.",
	 0, 0, 2, {"test"}, eg_cmd_sinks, false, false, false},
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
	{"doctor", 0, "look for what is wrong, and say what to do", "Exits 1 when something failed; warnings don't count.",
	 doctor_options, 0, 0, {0}, eg_cmd_doctor, false, false, false},
	{"completion", "SHELL", "print completion for bash, zsh or fish",
	 "For bash: egret completion bash > /etc/bash_completion.d/egret", 0, 1, 1, {"bash zsh fish"}, eg_cmd_completion,
	 false, false, false},
	{"help", "[COMMAND]", "what a command does", 0, 0, 0, 2, {EG_WORDS_COMMAND, EG_WORDS_COMMAND}, eg_cmd_help, false,
	 false, false},
	{"__complete", "[WORD...]", "what can stand here: asked by the shells' completion", 0, 0, 0, MANY, {0},
	 eg_cmd_complete, false, true, true},
	{0},
};

// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_run.c - egret run, tag
 *
 * Theory of operation of `run`. The cgroup is made and tagged while it is empty, and the agent
 * answers a tag only once enforcement is on; so the command's first socket is judged already.
 * The parent stays outside of the cgroup, as its supervisor: the child enters and becomes the
 * command. Signals that people and service managers send to the parent go on to the child; those
 * that the terminal sends reach both by themselves, and are not sent twice. A pipe that exec
 * closes tells whether the command began.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../lib/policy.h"
#include "commands.h"
#include "file.h"
#include "policy_put.h"
#include "scope.h"
#include "which.h"

#define EXIT_CANT_EXEC 126
#define EXIT_NOT_FOUND 127

/* ---- Before ------------------------------------------------------------------------------ */

/* Absolute path of the root to use; caller frees. NULL: said why not. */
static char *find_root(struct eg_cli *cli)
{
	EG_JSON json_t *status = NULL;
	const json_t *roots;
	const char *mount, *wanted = eg_cli_option(cli, "root");
	char message[320];
	char *root;

	if (eg_cli_get(cli, "/v1/status", &status))
		return NULL;
	mount = eg_json_text(status, "cgroup2_mount");
	roots = json_object_get(status, "enforcement");
	root = eg_scope_root(mount, roots, wanted, message, sizeof(message));
	if (!root)
		eg_cli_warn(cli, "%s", message);
	return root;
}

static int tag(struct eg_cli *cli, const char *cgroup, const char *app, json_t **ret)
{
	return eg_cli_post(cli, "/v1/tags", json_pack("{s:s,s:s}", "cgroup", cgroup, "app", app), ret);
}

static int apply_policy(struct eg_cli *cli, const char *app)
{
	const char *path = eg_cli_option(cli, "policy");
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	EG_JSON json_t *answer = NULL;
	char name[EG_APP_NAME_LEN];

	if (!path)
		return 0;
	if (eg_file_read(cli, path, &file) || eg_policy_put_name(cli, &file, name))
		return EG_EXIT_RUN;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the command asks for one */
	if (strcmp(name, app) != 0) {
		eg_cli_warn(cli, "%s is the policy of %s, not of %s", path, name, app);
		return EG_EXIT_RUN;
	}
	return eg_policy_put(cli, &file, name, false, NULL, &answer);
}

/* ---- The child ----------------------------------------------------------------------------- */

struct failure {
	int stage; /* 0: entering the cgroup, 1: exec */
	int error;
};

static void __attribute__((noreturn)) tell(int pipe_fd, int stage, int error)
{
	struct failure failure = {stage, error};

	if (write(pipe_fd, &failure, sizeof(failure)) < 0)
		_exit(EG_EXIT_RUN);
	_exit(EG_EXIT_RUN); /* the parent knows better */
}

static void __attribute__((noreturn)) child(const char *cgroup, char **command, int pipe_fd, const sigset_t *mask)
{
	int r = eg_scope_enter(cgroup);

	if (r)
		tell(pipe_fd, 0, -r);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(command[0], command);
	tell(pipe_fd, 1, errno);
}

/* ---- The parent ------------------------------------------------------------------------------ */

/* Waits for the child's exec or its failure, which is said. An exit status, or -1: it runs. */
static int wait_for_exec(struct eg_cli *cli, const char *name, int pipe_fd)
{
	struct failure failure;
	ssize_t n;

	do {
		n = read(pipe_fd, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(failure))
		return -1;
	if (failure.stage == 0) {
		eg_cli_warn(cli, "the cgroup could not be entered: %s", strerror(failure.error));
		return EG_EXIT_RUN;
	}
	eg_cli_warn(cli, "%s: %s", name, strerror(failure.error));
	return failure.error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANT_EXEC;
}

/* Forwards signals until the child has ended; its wait status. */
static int supervise(pid_t pid, const sigset_t *signals)
{
	int status;

	for (;;) {
		siginfo_t info;
		int number = sigwaitinfo(signals, &info);

		if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL)
			kill(pid, number);
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
	}
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void watched_signals(sigset_t *ret)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD};

	sigemptyset(ret);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(ret, numbers[i]);
}

/* Runs the command in the cgroup to its end. */
static int run_in(struct eg_cli *cli, const char *cgroup, char **command)
{
	EG_CLOSE int began = -1, told = -1;
	sigset_t signals, before;
	int fds[2], failed, status;
	pid_t pid;

	fflush(NULL);
	if (pipe2(fds, O_CLOEXEC)) {
		eg_cli_warn(cli, "pipe: %s", strerror(errno));
		return EG_EXIT_RUN;
	}
	began = fds[0];
	told = fds[1];
	watched_signals(&signals);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave us no status to wait for */
	sigprocmask(SIG_BLOCK, &signals, &before);
	pid = fork();
	if (pid < 0) {
		eg_cli_warn(cli, "fork: %s", strerror(errno));
		return EG_EXIT_RUN;
	}
	if (pid == 0)
		child(cgroup, command, told, &before);
	close(EG_TAKE_FD(told));
	failed = wait_for_exec(cli, command[0], began);
	status = supervise(pid, &signals);
	return failed >= 0 ? failed : exit_status(status);
}

static void leave(struct eg_cli *cli, const char *cgroup)
{
	int r = eg_scope_remove(cgroup);

	if (r == -EBUSY)
		eg_cli_warn(cli, "processes or cgroups are still in %s: it stays, and its policy with it", cgroup);
	else if (r)
		eg_cli_warn(cli, "%s could not be removed: %s", cgroup, strerror(-r));
}

/* answer: of a tag. */
static bool is_unpoliced(const json_t *answer)
{
	const char *state = eg_json_text(answer, "state");

	return state && strcmp(state, "no_policy") == 0;
}

static int check_run(struct eg_cli *cli, const char **ret_app)
{
	const char *app = eg_cli_option(cli, "app");

	if (!app)
		return eg_cli_usage(cli, "say which app: --app NAME");
	if (!eg_policy_app_name(app))
		return eg_cli_usage(cli, "'%s' is not an app's name: 1 to 63 of a-z 0-9 . _ -, a letter or digit first",
				    app);
	if (geteuid() != 0) {
		eg_cli_warn(cli, "run makes a cgroup and needs root: use sudo");
		return EG_EXIT_RUN;
	}
	*ret_app = app;
	return 0;
}

int eg_cmd_run(struct eg_cli *cli)
{
	EG_FREE char *root = NULL, *cgroup = NULL;
	EG_JSON json_t *answer = NULL;
	const char *app = NULL;
	int r;

	if (check_run(cli, &app) || apply_policy(cli, app) || !(root = find_root(cli)))
		return EG_EXIT_RUN;
	r = eg_scope_make(root, app, getpid(), &cgroup);
	if (r) {
		eg_cli_warn(cli, "no cgroup can be made in %s: %s", root, strerror(-r));
		return EG_EXIT_RUN;
	}
	if (tag(cli, cgroup, app, &answer)) {
		leave(cli, cgroup);
		return EG_EXIT_RUN;
	}
	if (is_unpoliced(answer))
		eg_cli_warn(cli, "%s has no policy, so everything is denied to it: 'egret policy apply FILE'", app);
	/* Nothing of the connection is to be seen in the child. */
	eg_client_free(EG_TAKE_PTR(cli->client));
	r = run_in(cli, cgroup, cli->args->operands);
	leave(cli, cgroup);
	return r;
}

/* ---- tag ---------------------------------------------------------------------------------------- */

int eg_cmd_tag(struct eg_cli *cli)
{
	EG_JSON json_t *answer = NULL;
	const char *app, *state;
	uint64_t reset;
	int r = eg_cli_app(cli, 1, &app);

	if (!r)
		r = tag(cli, eg_cli_operand(cli, 0), app, &answer);
	if (r || eg_cli_json(cli, answer))
		return r;
	state = eg_json_text(answer, "state");
	reset = eg_json_u64(answer, "reset_sockets");
	eg_cli_say(cli, "%s belongs to %s now; state: %s", eg_cli_operand(cli, 0), app, state ? state : "?");
	if (reset)
		eg_cli_say(cli, "  reset: %" PRIu64 " socket%s that were there before", reset, eg_cli_s(reset));
	if (is_unpoliced(answer))
		eg_cli_warn(cli, "%s has no policy yet, so everything is denied to it: 'egret policy apply FILE'", app);
	return EG_EXIT_OK;
}

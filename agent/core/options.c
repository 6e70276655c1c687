// SPDX-License-Identifier: Apache-2.0
/*
 * options.c - egretd's command line
 *
 * The flags are read twice: for what is to be done and which file to read, and then, over
 * the file, for what they set.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const char eg_options_help[] =
	"Usage: egretd [OPTION]...\n"
	"Keeps micro-apps on this host inside their network allowlists.\n"
	"\n"
	"      --config FILE          read FILE (default: " EG_CONFIG_FILE ", if it is there)\n"
	"      --cgroup-root DIR      manage the cgroups below DIR (may be given again)\n"
	"      --create-cgroup-root   make the managed roots that are missing\n"
	"      --unknown-cgroup WHAT  deny, audit or pass what comes from cgroups of no app\n"
	"      --policy-dir DIR       policies are the *.json files of DIR\n"
	"      --socket PATH          listen for egret and other clients here\n"
	"      --bpffs DIR            pin programs and maps below DIR\n"
	"      --state-dir DIR        keep holds, usage and pushed policies here\n"
	"      --log-dir DIR          write events here\n"
	"      --max-apps N           room for N apps\n"
	"      --max-rules N          room for N addresses in all policies\n"
	"      --log-level LEVEL      error, warning, notice, info or debug\n"
	"\n"
	"      --early                deny everything below the roots and load the holds, then exit:\n"
	"                             for the time of boot before the agent runs\n"
	"      --detach-all           remove every program and map: nothing is enforced any more\n"
	"      --check-config         read flags and file, say what is wrong with them, and exit\n"
	"      --version              print the version and exit\n"
	"      --help                 print this and exit\n"
	"\n"
	"Flags win over the file. egretd(8) tells more.\n";

enum flag {
	FLAG_CONFIG = 256,
	FLAG_ROOT,
	FLAG_CREATE_ROOT,
	FLAG_EARLY,
	FLAG_DETACH_ALL,
	FLAG_CHECK_CONFIG,
	FLAG_VERSION,
	FLAG_HELP,
	FLAG_KEY, /* sets the key of its name, with '_' for '-' */
};

static const struct option flags[] = {
	{"config", required_argument, NULL, FLAG_CONFIG},
	{"cgroup-root", required_argument, NULL, FLAG_ROOT},
	{"create-cgroup-root", no_argument, NULL, FLAG_CREATE_ROOT},
	{"unknown-cgroup", required_argument, NULL, FLAG_KEY},
	{"policy-dir", required_argument, NULL, FLAG_KEY},
	{"socket", required_argument, NULL, FLAG_KEY},
	{"bpffs", required_argument, NULL, FLAG_KEY},
	{"state-dir", required_argument, NULL, FLAG_KEY},
	{"log-dir", required_argument, NULL, FLAG_KEY},
	{"max-apps", required_argument, NULL, FLAG_KEY},
	{"max-rules", required_argument, NULL, FLAG_KEY},
	{"log-level", required_argument, NULL, FLAG_KEY},
	{"early", no_argument, NULL, FLAG_EARLY},
	{"detach-all", no_argument, NULL, FLAG_DETACH_ALL},
	{"check-config", no_argument, NULL, FLAG_CHECK_CONFIG},
	{"version", no_argument, NULL, FLAG_VERSION},
	{"help", no_argument, NULL, FLAG_HELP},
	{0},
};

/* The next flag into *ret, NULL after the last; its value is in optarg. 0 or -EINVAL. */
static int next_flag(int argc, char *const argv[], const struct option **ret, struct eg_error *err)
{
	int index = 0;
	int flag = getopt_long(argc, argv, "+:", flags, &index);

	if (flag == ':')
		return eg_error_set(err, 400, "bad_usage", "%s needs a value; egretd --help shows which", argv[optind - 1]);
	if (flag == '?' && optopt > 0 && optopt < FLAG_CONFIG)
		return eg_error_set(err, 400, "bad_usage", "egretd has no option -%c; see egretd --help", optopt);
	if (flag == '?')
		return eg_error_set(err, 400, "bad_usage", "egretd has no option %s, or it takes no value; see egretd --help",
				    argv[optind - 1]);
	if (flag == -1 && optind < argc)
		return eg_error_set(err, 400, "bad_usage", "egretd takes options only, not \"%s\"; see egretd --help",
				    argv[optind]);
	*ret = flag == -1 ? NULL : &flags[index];
	return 0;
}

struct request {
	enum eg_action action;
	const char *action_flag; /* NULL: none was given */
	const char *config_file;
	bool create_roots;
};

static int note_action(struct request *request, const char *flag, enum eg_action action, struct eg_error *err)
{
	if (request->action_flag && request->action != action)
		return eg_error_set(err, 400, "bad_usage", "--%s and --%s exclude each other; give one of them",
				    request->action_flag, flag);
	request->action = action;
	request->action_flag = flag;
	return 0;
}

/* What is to be done, and by which file. --version and --help end it at once. */
static int read_request(int argc, char *const argv[], struct request *ret, struct eg_error *err)
{
	const struct option *flag = NULL;
	int r;

	for (optind = 0; !(r = next_flag(argc, argv, &flag, err)) && flag;) {
		switch (flag->val) {
		case FLAG_CONFIG:
			ret->config_file = optarg;
			break;
		case FLAG_CREATE_ROOT:
			ret->create_roots = true;
			break;
		case FLAG_EARLY:
			r = note_action(ret, flag->name, EG_ACTION_EARLY, err);
			break;
		case FLAG_DETACH_ALL:
			r = note_action(ret, flag->name, EG_ACTION_DETACH_ALL, err);
			break;
		case FLAG_CHECK_CONFIG:
			r = note_action(ret, flag->name, EG_ACTION_CHECK_CONFIG, err);
			break;
		case FLAG_VERSION:
		case FLAG_HELP:
			ret->action = flag->val == FLAG_VERSION ? EG_ACTION_VERSION : EG_ACTION_HELP;
			return 0;
		}
		if (r)
			return r;
	}
	return r;
}

static int set_key(struct eg_config *config, const char *name, const char *value, struct eg_error *err)
{
	char flag[32], key[32];

	snprintf(flag, sizeof(flag), "--%s", name);
	snprintf(key, sizeof(key), "%s", name);
	for (char *c = key; *c; c++)
		if (*c == '-')
			*c = '_';
	return eg_config_set(config, flag, key, value, err);
}

/* What the flags set, over the file. The first root by flag replaces those of the file. */
static int apply_flags(int argc, char *const argv[], struct eg_config *config, struct eg_error *err)
{
	const struct option *flag = NULL;
	bool roots_given = false;
	int r;

	for (optind = 0; !(r = next_flag(argc, argv, &flag, err)) && flag;) {
		if (flag->val == FLAG_KEY)
			r = set_key(config, flag->name, optarg, err);
		if (flag->val == FLAG_ROOT) {
			if (!roots_given)
				eg_config_clear_roots(config);
			roots_given = true;
			r = eg_config_add_root(config, "--cgroup-root", optarg, err);
		}
		if (r)
			return r;
	}
	return r;
}

static int read_config(int argc, char *const argv[], const struct request *request, const char *file,
		       struct eg_config **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_config) struct eg_config *config = NULL;
	int r = eg_config_load(file, !request->config_file, &config, err);

	if (!r)
		r = apply_flags(argc, argv, config, err);
	if (r)
		return r;
	for (size_t i = 0; request->create_roots && i < config->root_count; i++)
		config->roots[i].create = true;
	r = eg_config_check(config, err);
	if (!r)
		*ret = EG_TAKE_PTR(config);
	return r;
}

int eg_options_parse(int argc, char *const argv[], struct eg_options *ret, struct eg_error *err)
{
	struct request request = {.action = EG_ACTION_RUN};
	struct eg_options options = {0};
	int r;

	opterr = 0;
	r = read_request(argc, argv, &request, err);
	if (r)
		return r;
	options.action = request.action;
	if (request.action != EG_ACTION_VERSION && request.action != EG_ACTION_HELP) {
		const char *file = request.config_file ? request.config_file : EG_CONFIG_FILE;

		options.config_file = strdup(file);
		r = options.config_file ? read_config(argc, argv, &request, file, &options.config, err) : -ENOMEM;
	}
	if (r) {
		eg_options_clear(&options);
		if (r == -ENOMEM)
			eg_error_set(err, 500, "no_memory", "There is no memory for the configuration");
		return r;
	}
	*ret = options;
	return 0;
}

void eg_options_clear(struct eg_options *options)
{
	free(options->config_file);
	eg_config_free(options->config);
	*options = (struct eg_options){0};
}

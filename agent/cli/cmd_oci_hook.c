// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_oci_hook.c - egret oci-hook: a container's cgroup is tagged before its first instruction
 *
 * For container runtimes, as a createRuntime hook (OCI runtime specification, config.md, POSIX-platform
 * Hooks): it runs on the host when the container's namespaces and cgroup are made and nothing of it
 * has been executed, gets the container's state as JSON on standard input, and by failing it makes the
 * container's creation fail. The agent answers a tag only once enforcement is on.
 *
 * Which app it is says an annotation of the container, or of its bundle's config.json, or (Docker, which
 * passes no labels on) a label in what Docker keeps of the container. What the image brings along doesn't
 * count: whoever made it is the app, and would choose another app's rights.
 */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "../lib/policy.h"
#include "commands.h"
#include "file.h"
#include "oci_image.h"

#define ANNOTATION  "egret.app"
#define DOCKER_ROOT "/var/lib/docker"

/* ---- Which app -------------------------------------------------------------------------------------- */

/* An object in a file; NULL: no such file, or none of ours to judge. */
static json_t *load(const char *format, const char *directory, const char *id)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), format, directory, id) >= (int)sizeof(path))
		return NULL;
	return json_load_file(path, 0, NULL);
}

struct named {
	char *app; /* owned; NULL: it belongs to none */
	int by_image; /* 1: the image says so; -ENODATA: it may */
};

static void name_by(struct named *ret, const char *app, int by_image)
{
	ret->app = strdup(app);
	ret->by_image = by_image;
}

static void find_annotation(const json_t *state, const char *key, struct named *ret)
{
	const char *id = eg_json_text(state, "id"), *bundle = eg_json_text(state, "bundle");
	const json_t *annotations = json_object_get(state, "annotations");
	const char *app = eg_json_text(annotations, key);
	EG_JSON json_t *config = NULL;

	if (!app && bundle) {
		config = load("%s/config.json", bundle, "");
		annotations = json_object_get(config, "annotations");
		app = eg_json_text(annotations, key);
	}
	if (app)
		name_by(ret, app, eg_oci_image_annotations(annotations, bundle, id, key, app));
}

static void find_label(const json_t *state, const char *key, const char *docker_root, struct named *ret)
{
	const char *id = eg_json_text(state, "id"), *app;
	EG_JSON json_t *container = NULL;

	if (!eg_oci_plain_id(id))
		return;
	container = load("%s/containers/%s/config.v2.json", docker_root, id);
	app = eg_json_text(json_object_get(json_object_get(container, "Config"), "Labels"), key);
	if (app)
		name_by(ret, app, eg_oci_image_labels(docker_root, container, key, app));
}

static struct named find_app(const struct eg_cli *cli, const json_t *state)
{
	const char *key = eg_cli_option(cli, "annotation"), *docker = eg_cli_option(cli, "docker-root");
	struct named named = {0};

	key = key ? key : ANNOTATION;
	find_annotation(state, key, &named);
	if (!named.app)
		find_label(state, key, docker ? docker : DOCKER_ROOT, &named);
	return named;
}

/* Says what is wrong with the name; 0: nothing. */
static int check_app(struct eg_cli *cli, const struct named *named)
{
	if (!eg_policy_app_name(named->app)) {
		eg_cli_warn(cli, "the container's app is no app's name, which is [a-z0-9][a-z0-9._-]{0,62}");
		return EG_EXIT_USAGE;
	}
	if (!named->by_image)
		return 0;
	eg_cli_warn(cli, "the container's image %s it is app %s, which an image has no right to: name the app where the "
			 "container is run, by an annotation (or, with --annotation, under a key) that the image doesn't have",
		    named->by_image > 0 ? "says that" : "can't be read, and may have said that", named->app);
	return EG_EXIT_NO;
}

/* ---- Which cgroup ------------------------------------------------------------------------------------- */

/* Path of the process below the cgroup2 mount, from its line "0::/PATH"; caller frees. NULL: said why not. */
static char *find_cgroup(struct eg_cli *cli, uint64_t pid)
{
	EG_FREE char *line = NULL; /* whole: what follows a cut might look like the line of another cgroup */
	EG_FCLOSE FILE *file = NULL;
	char path[64], *found = NULL;
	size_t room = 0;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/cgroup", pid);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) == 0)
			found = strdup(line + 4);
	}
	if (!file)
		eg_cli_warn(cli, "%s can't be read: %s", path, strerror(errno));
	else if (!found)
		eg_cli_warn(cli, "process %" PRIu64 " is in no cgroup of version 2", pid);
	else if (!found[0])
		eg_cli_warn(cli, "process %" PRIu64 " is in the root cgroup: set a cgroup for the container", pid);
	if (found && !found[0]) {
		free(found);
		found = NULL;
	}
	return found;
}

/* ---- The hook ------------------------------------------------------------------------------------------- */

static int read_state(struct eg_cli *cli, json_t **ret)
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	json_error_t error;

	if (eg_file_read(cli, "-", &file))
		return EG_EXIT_FAILED;
	*ret = json_loadb(file.text, file.len, 0, &error);
	if (!json_is_object(*ret) || !eg_json_u64(*ret, "pid")) {
		eg_cli_warn(cli, "standard input is not the state of a container that was created: this is a createRuntime "
				 "hook of an OCI runtime");
		return EG_EXIT_USAGE;
	}
	return 0;
}

int eg_cmd_oci_hook(struct eg_cli *cli)
{
	EG_JSON json_t *state = NULL, *answer = NULL;
	EG_FREE char *app = NULL, *cgroup = NULL;
	int r = read_state(cli, &state);
	struct named named;

	if (r)
		return r;
	named = find_app(cli, state);
	app = named.app;
	if (!app) {
		if (!eg_cli_option(cli, "require"))
			return EG_EXIT_OK; /* below a managed root it is denied all the same */
		eg_cli_warn(cli, "the container names no app: set the annotation or label \"%s\"",
			    eg_cli_option(cli, "annotation") ? eg_cli_option(cli, "annotation") : ANNOTATION);
		return EG_EXIT_NO;
	}
	r = check_app(cli, &named);
	if (r)
		return r;
	cgroup = find_cgroup(cli, eg_json_u64(state, "pid"));
	if (!cgroup)
		return EG_EXIT_FAILED;
	return eg_cli_post(cli, "/v1/tags", json_pack("{s:s,s:s,s:I}", "cgroup", cgroup, "app", app, "init",
							(json_int_t)eg_json_u64(state, "pid")), &answer);
}

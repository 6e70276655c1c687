// SPDX-License-Identifier: Apache-2.0
/*
 * roots.c - the managed roots: kept alive, with our programs attached, looked at every second
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"

struct eg_root {
	char *path; /* below the cgroup2 mount */
	const struct eg_config_root *config;
	struct eg_rootkeeper *keeper;
	uint64_t id;
	bool attached;
	int keeper_errno; /* why no process keeps it, said once */
	char why[512]; /* why it is not enforced, or "" */
};

bool eg_roots_has_id(struct eg_agent *agent, uint64_t id)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		if (agent->roots[i].id == id)
			return true;
	}
	return false;
}

/* ---- One root -------------------------------------------------------------------------- */

static enum eg_unknown root_unknown(const struct eg_agent *agent, const struct eg_root *root)
{
	return root->config->unknown_given ? root->config->unknown : eg_agent_config(agent)->unknown;
}

/* An agent before us had no room for a tag, or was told to deny: so it stays until we have given all. */
static bool root_was_short(struct eg_agent *agent, const struct eg_root *root)
{
	struct eg_cgroup before;

	return agent->adopted && root_unknown(agent, root) != EG_UNKNOWN_DENY &&
	       !bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), &root->id, &before) &&
	       before.unknown == EG_UNKNOWN_DENY;
}

/* What untagged cgroups below it get: told before the programs run there. Where tags are missing nothing is let through. */
static int root_tell(struct eg_agent *agent, const struct eg_root *root)
{
	struct eg_cgroup value = {
		.flags = EG_CGROUP_ROOT,
		.unknown = agent->cgroups_full ? EG_UNKNOWN_DENY : root_unknown(agent, root),
	};

	if (bpf_map_update_elem(eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), &root->id, &value, BPF_ANY))
		return -errno;
	return 0;
}

void eg_roots_tell(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		int r = root_tell(agent, &agent->roots[i]);

		if (r < 0)
			eg_log_err("root %s: map cgroups can't be written: %s", agent->roots[i].path, strerror(-r));
	}
}

static int root_attach(struct eg_agent *agent, struct eg_root *root, struct eg_error *err)
{
	char full[PATH_MAX + 64];
	int r = root_tell(agent, root);

	if (r < 0)
		return eg_error_set(err, 500, "kernel", "root %s: map cgroups can't be written: %s", root->path,
				    strerror(-r));
	snprintf(full, sizeof(full), "%s/%s", eg_cgroupfs_mount(agent->cgroupfs), root->path);
	return eg_kern_attach(agent->kern, full, root->id, err);
}

static int root_keep_error(const struct eg_root *root, int r, struct eg_error *err)
{
	if (r == -ENOENT)
		return eg_error_set(err, 500, "no_root",
				    "the managed root %s does not exist; create it, or set \"create\": true for it in "
				    "cgroup_root",
				    root->path);
	return eg_error_set(err, 500, "no_root", "the managed root %s can't be kept: %s", root->path, strerror(-r));
}

static bool paths_nest(const char *a, const char *b)
{
	size_t length = strlen(a);

	return strncmp(a, b, length) == 0 && (b[length] == '\0' || b[length] == '/');
}

static int root_check_nesting(struct eg_agent *agent, const struct eg_root *root, struct eg_error *err)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		const struct eg_root *other = &agent->roots[i];

		if (other->id == root->id || paths_nest(other->path, root->path) || paths_nest(root->path, other->path))
			return eg_error_set(err, 500, "nested_roots", "the managed roots %s and %s lie in one another",
					    other->path, root->path);
	}
	return 0;
}

static int root_start(struct eg_agent *agent, const struct eg_config_root *config, struct eg_root *root,
		      struct eg_error *err)
{
	char path[PATH_MAX];
	int r = eg_cgroupfs_normalize(agent->cgroupfs, config->path, path);

	if (r < 0)
		return eg_error_set(err, 500, "bad_root", "cgroup_root %s is not a cgroup below %s: %s", config->path,
				    eg_cgroupfs_mount(agent->cgroupfs), strerror(-r));
	root->config = config;
	root->path = strdup(path);
	if (!root->path)
		return eg_error_set(err, 500, "no_memory", "out of memory");
	r = eg_rootkeeper_start(agent->cgroupfs, path, config->create, &root->keeper);
	if (r < 0)
		return root_keep_error(root, r, err);
	root->id = eg_rootkeeper_id(root->keeper);
	r = root_check_nesting(agent, root, err);
	if (!r && root_was_short(agent, root)) {
		eg_log_warning("unknown cgroups below %s are denied, as before, until all tags are given", path);
		agent->cgroups_full = true;
	}
	if (!r)
		r = root_attach(agent, root, err);
	root->attached = !r;
	return r;
}

/* ---- All of them ------------------------------------------------------------------------- */

/* Roots that a former configuration managed and this one doesn't. */
static void detach_others(struct eg_agent *agent)
{
	uint64_t ids[EG_CONFIG_ROOTS_MAX * 2];
	size_t count = eg_kern_roots(agent->kern, ids, EG_CONFIG_ROOTS_MAX * 2);

	for (size_t i = 0; i < count && i < EG_CONFIG_ROOTS_MAX * 2; i++) {
		char path[PATH_MAX];

		if (eg_roots_has_id(agent, ids[i]))
			continue;
		if (eg_cgroupfs_path(agent->cgroupfs, ids[i], path) == 0)
			eg_log_notice("%s is no longer a managed root: nothing is enforced there any more", path);
		eg_kern_detach(agent->kern, ids[i]);
		bpf_map_delete_elem(eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), &ids[i]);
	}
}

int eg_roots_start(struct eg_agent *agent, struct eg_error *err)
{
	agent->roots = calloc(eg_agent_config(agent)->root_count, sizeof(*agent->roots));
	if (!agent->roots)
		return eg_error_set(err, 500, "no_memory", "out of memory");
	for (size_t i = 0; i < eg_agent_config(agent)->root_count; i++) {
		struct eg_root *root = &agent->roots[i];
		int r = root_start(agent, &eg_agent_config(agent)->roots[i], root, err);

		agent->root_count += root->path != NULL;
		if (r < 0)
			return r;
	}
	detach_others(agent);
	return 0;
}

void eg_roots_reconfigure(struct eg_agent *agent)
{
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < agent->root_count; i++)
		agent->roots[i].config = &eg_agent_config(agent)->roots[i];
	pthread_mutex_unlock(&agent->lock);
	eg_roots_tell(agent);
}

/* Who asks for the status reads these meanwhile, under lock. */
static void root_state(struct eg_agent *agent, struct eg_root *root, bool attached, const char *why)
{
	pthread_mutex_lock(&agent->lock);
	root->attached = attached;
	snprintf(root->why, sizeof(root->why), "%s", why);
	pthread_mutex_unlock(&agent->lock);
}

/* The programs went with the old cgroup: attach them again, and say so. */
static void root_mend(struct eg_agent *agent, struct eg_root *root, const char *what)
{
	struct eg_error err = {0};
	uint64_t old = root->id, id = 0;
	int r = eg_rootkeeper_renew(root->keeper, root->config->create, &id);

	if (id && id != old) {
		pthread_mutex_lock(&agent->lock);
		root->id = id;
		pthread_mutex_unlock(&agent->lock);
		eg_kern_detach(agent->kern, old);
		bpf_map_delete_elem(eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), &old);
	}
	if (!id) {
		if (root->attached) {
			eg_log_err("root %s is gone (%s): nothing is enforced there", root->path, strerror(-r));
			eg_notice(agent, "alert", NULL, NULL,
				  json_pack("{s:s,s:s,s:s}", "action", "root_lost", "root", root->path, "cause", what));
		}
		root_state(agent, root, false, "the cgroup is gone");
		return;
	}
	r = root_attach(agent, root, &err);
	root_state(agent, root, !r, r ? err.message : "");
	eg_log(r ? EG_LOG_ERR : EG_LOG_WARNING, "root %s: %s; %s", root->path, what,
	       r ? err.message : "programs attached again");
	eg_notice(agent, "agent", NULL, NULL,
		  json_pack("{s:s,s:s,s:s,s:b}", "action", "reattach", "root", root->path, "cause", what, "ok", !r));
	eg_error_clear(&err);
}

static void root_check(struct eg_agent *agent, struct eg_root *root)
{
	int r = eg_rootkeeper_check(root->keeper);

	if (r == -ENOENT || r == -ESTALE) {
		root_mend(agent, root, r == -ENOENT ? "it was removed" : "it was removed and made again");
		return;
	}
	if (r != root->keeper_errno && r < 0)
		eg_log_warning("no process keeps root %s (%s): its cgroup can be removed while it is empty", root->path,
			       strerror(-r));
	pthread_mutex_lock(&agent->lock);
	root->keeper_errno = r;
	pthread_mutex_unlock(&agent->lock);
	if (!eg_kern_attached(agent->kern, root->id))
		root_mend(agent, root, "a program was detached");
}

void eg_roots_check(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->root_count; i++)
		root_check(agent, &agent->roots[i]);
}

void eg_roots_abandon(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		if (agent->roots[i].keeper)
			eg_rootkeeper_stop(agent->roots[i].keeper);
	}
}

void eg_roots_stop(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		eg_rootkeeper_free(agent->roots[i].keeper);
		free(agent->roots[i].path);
	}
	free(agent->roots);
	agent->roots = NULL;
	agent->root_count = 0;
}

bool eg_roots_enforcing(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		if (!agent->roots[i].attached)
			return false;
	}
	return agent->root_count > 0;
}

static const char *const unknown_names[] = {
	[EG_UNKNOWN_DENY] = "deny",
	[EG_UNKNOWN_AUDIT] = "audit",
	[EG_UNKNOWN_PASS] = "pass",
};

/* Programs of others that may change what connect() and sendto() name, on the root or above it. */
static uint32_t count_foreign(struct eg_agent *agent, const struct eg_root *root)
{
	static const enum bpf_attach_type types[] = {
		BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP6_SENDMSG};
	EG_CLOSE int fd = eg_cgroupfs_open_id(agent->cgroupfs, root->id);
	uint32_t foreign = 0;

	for (size_t i = 0; fd >= 0 && i < sizeof(types) / sizeof(types[0]); i++) {
		uint32_t count = 0, ours = root->attached;

		if (!bpf_prog_query(fd, types[i], BPF_F_QUERY_EFFECTIVE, NULL, NULL, &count) && count > ours)
			foreign += count - ours;
	}
	return foreign;
}

json_t *eg_roots_json(struct eg_agent *agent)
{
	json_t *all = json_array();

	for (size_t i = 0; i < agent->root_count; i++) {
		const struct eg_root *root = &agent->roots[i];

		json_array_append_new(all, json_pack("{s:s,s:I,s:b,s:s,s:b,s:i,s:s*}", "root", root->path, "cgroup_id",
						     (json_int_t)root->id, "attached", root->attached, "unknown",
						     unknown_names[root_unknown(agent, root)], "kept", root->keeper_errno == 0,
						     "foreign_programs", (int)count_foreign(agent, root), "problem",
						     root->why[0] ? root->why : NULL));
	}
	return all;
}

const char *eg_roots_of(struct eg_agent *agent, const char *path)
{
	for (size_t i = 0; i < agent->root_count; i++) {
		if (paths_nest(agent->roots[i].path, path))
			return agent->roots[i].path;
	}
	return NULL;
}

size_t eg_roots_ids(struct eg_agent *agent, uint64_t ids[EG_CONFIG_ROOTS_MAX])
{
	for (size_t i = 0; i < agent->root_count; i++)
		ids[i] = agent->roots[i].id;
	return agent->root_count;
}

int eg_roots_watch(struct eg_agent *agent)
{
	int r = 0;

	for (size_t i = 0; !r && i < agent->root_count; i++)
		r = eg_cgwatch_add_root(agent->cgwatch, agent->roots[i].path);
	return r;
}

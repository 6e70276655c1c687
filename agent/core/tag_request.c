// SPDX-License-Identifier: Apache-2.0
/*
 * tag_request.c - POST /v1/tags: a cgroup is an app's because somebody with the right says so
 */
#include <errno.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/policy.h"
#include "agent_impl.h"

/* The cgroup's path and id; it has to lie below a managed root. */
static int find_cgroup(struct eg_agent *agent, const char *cgroup, char path[PATH_MAX], uint64_t *ret_id,
		       struct eg_error *err)
{
	const char *root;
	int r = eg_cgroupfs_normalize(agent->cgroupfs, cgroup, path);

	if (r < 0)
		return eg_error_set(err, 400, "bad_cgroup", "%.200s is not a cgroup below %s%s%s.", cgroup,
				    eg_cgroupfs_mount(agent->cgroupfs), r == -EXDEV ? "" : ": ", r == -EXDEV ? "" : strerror(-r));
	root = eg_roots_of(agent, path);
	if (!root || strcmp(root, path) == 0)
		return eg_error_set(err, 400, "bad_cgroup", "%.200s does not lie below a managed root.", path);
	r = eg_cgroupfs_id(agent->cgroupfs, path, ret_id);
	if (r == -ENOENT)
		return eg_error_set(err, 404, "not_found", "There is no cgroup %.200s.", path);
	if (r < 0)
		return eg_error_set(err, 400, "bad_cgroup", "%.200s can't be used: %s.", path, strerror(-r));
	return 0;
}

static int tag_locked(struct eg_agent *agent, const char *path, uint64_t id, const char *app, struct eg_entry **ret,
		      struct eg_error *err)
{
	int r = eg_registry_get(agent, app, ret, err);

	if (r < 0)
		return r;
	r = eg_tags_give(agent, path, id, *ret);
	if (r < 0)
		return eg_error_set(err, 507, "cgroups_full", "The cgroup can't be tagged: %s.", eg_cgroups_error(r));
	return 0;
}

/* It has to be in that cgroup, or below. */
static int note_init(struct eg_agent *agent, const char *path, pid_t init, struct eg_error *err)
{
	size_t len = strlen(path);
	char at[PATH_MAX];
	int r = eg_cgroupfs_of_pid(init, at);

	if (!r && (strncmp(at, path, len) != 0 || (at[len] && at[len] != '/')))
		return eg_error_set(err, 400, "bad_init", "Process %d is not in the cgroup %.200s.", (int)init, path);
	if (!r)
		r = eg_nsadmin_starting(agent->nsadmin, init);
	return r ? eg_error_set(err, 400, "bad_init", "Process %d can't be looked at: %s.", (int)init, strerror(-r)) : 0;
}

int eg_agent_tag(struct eg_agent *agent, const char *cgroup, const char *app, pid_t init, const struct eg_actor *actor,
		 json_t **ret, struct eg_error *err)
{
	char path[PATH_MAX], state[16], text[64];
	struct eg_entry *entry;
	uint32_t reset;
	uint64_t id = 0;
	int r;

	if (!eg_policy_app_name(app))
		return eg_error_set(err, 400, "bad_name", "An app's name is [a-z0-9][a-z0-9._-]{0,62}.");
	pthread_mutex_lock(&agent->apply);
	r = find_cgroup(agent, cgroup, path, &id, err);
	if (!r && init)
		r = note_init(agent, path, init, err);
	if (!r)
		r = tag_locked(agent, path, id, app, &entry, err);
	if (!r) {
		eg_actor_text(actor, text, sizeof(text));
		snprintf(state, sizeof(state), "%s", eg_registry_state(agent, entry));
		eg_notice(agent, "agent", entry, NULL,
			  json_pack("{s:s,s:s,s:s,s:s}", "action", "tag", "cgroup", path, "actor", text, "state", state));
		eg_log_info("cgroup %s belongs to %s now, by %s", path, app, text);
	}
	pthread_mutex_unlock(&agent->apply);
	if (r < 0)
		return r;
	if (agent->events)
		eg_events_meta_changed(agent->events);
	eg_nsadmin_look_at(agent->nsadmin, app);
	reset = eg_cut_foreign(agent, id);
	eg_reaper_look_later(agent->reaper, id);
	*ret = json_pack("{s:s,s:s,s:I,s:s,s:i}", "app", app, "cgroup", path, "cgroup_id", (json_int_t)id, "state", state,
			 "reset_sockets", (int)reset);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * agent.c - how the agent comes up and goes down
 *
 * The order is what makes it fail closed. On fresh maps the host is marked "early", so that
 * everything below the roots is denied from the moment the programs are attached until the
 * policies and tags are in; the holds are loaded before the first attach. On adopted maps
 * enforcement never stops: each policy that is the same as in the kernel is taken over as it
 * is. Going down leaves everything in force.
 */
#include "agent_impl.h"
#include "alerts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "../lib/log.h"
#include "agent_run.h"
#include "clock.h"
#include "guards.h"
#include "netns.h"
#include "routes.h"
#include "shipper.h"
#include "snapshot.h"
#include "urgent.h"

/* ---- Ground -------------------------------------------------------------------------------- */

static int make_dirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(part, mode) && errno != EEXIST ? -errno : 0;
}

int eg_agent_lock(const char *state_dir, int *ret_fd, struct eg_error *err)
{
	char path[PATH_MAX];
	int r = make_dirs(state_dir, 0700);
	EG_CLOSE int fd = -1;

	if (r < 0)
		return eg_error_set(err, 500, "no_state_dir", "the state directory %s can't be made: %s", state_dir,
				    strerror(-r));
	snprintf(path, sizeof(path), "%s/lock", state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return eg_error_set(err, 500, "no_state_dir", "%s can't be opened: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return eg_error_set(err, 500, "already_running", "another egretd runs on the state directory %s: stop it first",
				    state_dir);
	*ret_fd = EG_TAKE_FD(fd);
	return 0;
}

static void read_boot_id(char *ret, size_t size)
{
	EG_FCLOSE FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(ret, size, "unknown");
	if (file && fgets(ret, (int)size, file))
		ret[strcspn(ret, "\n")] = '\0';
}

static int open_cgroupfs(struct eg_agent *agent, struct eg_error *err)
{
	int r = eg_cgroupfs_open(NULL, &agent->cgroupfs);

	if (r == -ENODEV)
		return eg_error_set(err, 500, "no_cgroup2",
				    "no cgroup v2 hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified");
	if (r < 0)
		return eg_error_set(err, 500, "no_cgroup2", "the cgroup v2 hierarchy can't be used: %s", strerror(-r));
	return 0;
}

static int check_btf(struct eg_error *err)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return eg_error_set(err, 500, "no_btf",
				    "this kernel has no BTF (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF");
	return 0;
}

/* One agent for each set of maps, whatever state directory it was given. */
static int lock_bpffs(struct eg_agent *agent, struct eg_error *err)
{
	int r = eg_kern_prepare(eg_agent_config(agent)->bpffs, err);

	if (r < 0)
		return r;
	agent->bpffs_fd = open(eg_agent_config(agent)->bpffs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (agent->bpffs_fd < 0 || flock(agent->bpffs_fd, LOCK_EX | LOCK_NB))
		return eg_error_set(err, 500, "already_running", "another egretd uses the maps in %s: stop it first",
				    eg_agent_config(agent)->bpffs);
	return 0;
}

static int open_kernel(struct eg_agent *agent, struct eg_error *err)
{
	const struct eg_config *config = eg_agent_config(agent);
	const struct eg_kern_sizes sizes = {
		.max_apps = config->max_apps,
		.max_rules = config->max_rules,
		.max_names = config->max_names,
		.peers_per_app = config->peers_max,
		.grants_per_app = config->grants_max,
		.ring_bytes = config->ring_bytes,
		.priority_ring_bytes = config->priority_ring_bytes,
		.any_family = config->any_family,
		.early = true,
	};
	int r = eg_kern_open(config->bpffs, &sizes, &agent->kern, &agent->adopted, err);

	if (r < 0)
		return r;
	if (agent->adopted && eg_kern_slots(agent->kern) != config->max_apps + 1)
		eg_log_notice("the pinned maps were made for %u apps: max_apps takes effect on fresh maps",
			      eg_kern_slots(agent->kern) - 1);
	return 0;
}

static uint32_t share(const struct eg_agent *agent, enum eg_kern_map map, uint32_t wanted)
{
	uint32_t equal = eg_kern_map_max(agent->kern, map) / eg_kern_slots(agent->kern);

	return wanted < equal ? wanted : equal;
}

struct eg_app_limits eg_agent_app_limits(const struct eg_agent *agent)
{
	const struct eg_config *config = eg_agent_config(agent);

	return (struct eg_app_limits){
		.sockets = config->sockets_max,
		.peers = share(agent, EG_MAP_PEERS, config->peers_max),
		.grants = share(agent, EG_MAP_GRANTS, config->grants_max),
	};
}

void eg_agent_set_host(struct eg_agent *agent)
{
	const struct eg_config *config = eg_agent_config(agent);
	const struct eg_app_limits limits = eg_agent_app_limits(agent);
	struct eg_host_ctl *host = eg_kern_host(agent->kern);
	__u64 cookie;

	host->utc_offset_ns = eg_clock_utc_offset_ns();
	if (eg_netns_cookie((uint64_t *)&cookie) == 0)
		host->host_netns_cookie = cookie;
	if (config->late)
		__atomic_or_fetch(&host->flags, EG_HOST_LATE, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(&host->flags, ~EG_HOST_LATE, __ATOMIC_SEQ_CST);
	host->so_mark = config->so_mark;
	host->sockets_max = limits.sockets;
	host->peers_max = limits.peers;
	host->grants_max = limits.grants;
	host->grant_floor_ns = config->grant_floor_ns;
	host->grant_ceiling_ns = config->grant_ceiling_ns;
	host->event_ns = config->event_ns;
	host->event_burst_ns = config->event_burst_ns;
	host->update_ns = config->flow_update_ns;
	host->udp_idle_ns = config->udp_idle_ns;
}

static void end_early(struct eg_agent *agent)
{
	__atomic_and_fetch(&eg_kern_host(agent->kern)->flags, ~EG_HOST_EARLY, __ATOMIC_SEQ_CST);
}

/* ---- What was before ------------------------------------------------------------------------- */

static void merged(void *ctx, const struct eg_hold *hold)
{
	eg_kill_enforce(ctx, hold);
}

void eg_agent_merge_direct(struct eg_agent *agent)
{
	int r = eg_holds_merge_direct(agent->holds, merged, agent);

	if (r > 0)
		eg_log_notice("merged %d kills that were made without the agent", r);
	if (r < 0 && r != __atomic_exchange_n(&agent->direct_errno, r, __ATOMIC_RELAXED))
		eg_log_err("kills made without the agent can't be read: %s", strerror(-r));
	if (r >= 0)
		__atomic_store_n(&agent->direct_errno, 0, __ATOMIC_RELAXED);
}

static int load_holds(struct eg_agent *agent, struct eg_error *err)
{
	int r = eg_holds_open(eg_agent_config(agent)->state_dir, &agent->holds);

	if (r < 0)
		return eg_error_set(err, 500, "no_holds",
				    "the record of kills in %s can't be read (%s): it is not safe to start without it",
				    eg_agent_config(agent)->state_dir, strerror(-r));
	return 0;
}

/* Everything that has to be true before a program is attached to a root. */
static int prepare(struct eg_agent *agent, struct eg_error *err)
{
	int r = eg_agent_lock(eg_agent_config(agent)->state_dir, &agent->lock_fd, err);

	if (!r)
		r = open_cgroupfs(agent, err);
	if (!r)
		r = check_btf(err);
	if (!r)
		r = lock_bpffs(agent, err);
	if (!r)
		r = open_kernel(agent, err);
	if (r < 0)
		return r;
	eg_agent_set_host(agent);
	r = load_holds(agent, err);
	if (!r)
		r = eg_registry_adopt(agent, err);
	if (r < 0)
		return r;
	r = eg_tables_reserve(agent);
	if (r < 0)
		return eg_error_set(err, 500, "stale_pins",
				    "the pinned maps contradict themselves (%s): run `egretd --detach-all`, then start again",
				    strerror(-r));
	eg_agent_merge_direct(agent); /* before the words are looked at, since these have a record */
	eg_kill_load(agent);
	r = eg_expired_new(&agent->expired);
	if (!r)
		r = eg_expiry_new(agent, &agent->expiry);
	if (!r)
		r = eg_usage_start(agent, &agent->usage);
	if (r < 0)
		return eg_error_set(err, 500, "no_state_dir", "%s can't be read: %s",
				    eg_agent_config(agent)->state_dir, strerror(-r));
	return 0;
}

/* ---- Coming up ----------------------------------------------------------------------------------- */

static int start_events(struct eg_agent *agent, struct eg_error *err)
{
	int r = eg_reaper_start(agent, &agent->reaper);

	if (!r)
		r = eg_resets_start(agent, &agent->resets);
	if (!r)
		r = eg_agent_start_events(agent);
	return r < 0 ? eg_error_set(err, 500, "no_events", "the event log can't be started: %s", strerror(-r)) : 0;
}

static int load_policies(struct eg_agent *agent, struct eg_error *err)
{
	int r;

	pthread_mutex_lock(&agent->apply);
	r = eg_policies_load_stored(agent);
	if (r < 0) {
		agent->store_damaged = true;
		eg_log_err("the stored policies in %s can't be read: %s", eg_agent_config(agent)->state_dir,
			   strerror(-r));
	}
	r = eg_polidir_open(agent, eg_agent_config(agent)->policy_dir, &agent->polidir);
	if (!r)
		eg_polidir_scan(agent->polidir);
	pthread_mutex_unlock(&agent->apply);
	return r < 0 ? eg_error_set(err, 500, "no_memory", "out of memory") : 0;
}

static int load_tags(struct eg_agent *agent, struct eg_error *err)
{
	struct eg_cgwatch_ops ops = eg_tags_watch_ops;
	int r;

	ops.ctx = agent;
	pthread_mutex_lock(&agent->apply);
	agent->patterns_stale = true;
	r = eg_cgwatch_new(agent->cgroupfs, &ops, &agent->cgwatch);
	if (!r)
		r = eg_roots_watch(agent);
	if (!r)
		r = eg_tags_sweep_adopted(agent);
	pthread_mutex_unlock(&agent->apply);
	return r < 0 ? eg_error_set(err, 500, "no_inotify", "the managed roots can't be watched: %s", strerror(-r)) : 0;
}

static int start_api(struct eg_agent *agent, struct eg_error *err)
{
	struct eg_api_config api;

	eg_agent_api_config(agent, &api);
	return eg_api_start(&api, &agent->api, err);
}

static void say_started(struct eg_agent *agent)
{
	int families = eg_kern_families(agent->kern);
	size_t count;

	pthread_mutex_lock(&agent->lock);
	count = agent->count;
	pthread_mutex_unlock(&agent->lock);
	if (families && families != -ECANCELED && families != -EOPNOTSUPP)
		eg_log_warning("BPF LSM is on, but its programs are refused (%s): sockets of AF_PACKET and the like are not",
			       strerror(-families));
	eg_log_notice("enforcement is on: %zu apps below %zu managed roots, %s maps", count, agent->root_count,
		      agent->adopted ? "adopted" : "fresh");
	eg_notice(agent, "agent", NULL, NULL,
		  json_pack("{s:s,s:s,s:b,s:i,s:i,s:O}", "action", "start", "version", EG_VERSION, "adopted",
			    agent->adopted, "apps", (int)count, "roots", (int)agent->root_count, "host_labels",
			    eg_agent_config(agent)->host_labels));
}

static int come_up(struct eg_agent *agent, enum eg_start how, struct eg_error *err)
{
	int r = prepare(agent, err);

	if (!r)
		r = eg_roots_start(agent, err);
	if (r < 0 || how == EG_START_EARLY)
		return r;
	r = start_events(agent, err);
	if (!r)
		r = load_policies(agent, err);
	if (!r)
		r = load_tags(agent, err);
	if (r < 0)
		return r;
	end_early(agent);
	eg_kill_cut_held(agent);
	eg_events_meta_changed(agent->events);
	r = eg_usage_checkpoint_from_now(agent->usage);
	if (!r)
		r = eg_nsadmin_start(agent, &agent->nsadmin);
	if (!r)
		r = eg_prefetch_start(agent, &agent->prefetch);
	if (!r)
		r = eg_shipper_start(agent, &agent->shipper);
	if (!r)
		r = eg_snapshots_start(agent, &agent->snapshots);
	if (!r)
		r = eg_alerts_start(agent, &agent->alerts);
	if (r < 0)
		return eg_error_set(err, 500, "no_thread", "a thread can't be started: %s", strerror(-r));
	r = start_api(agent, err);
	if (r < 0)
		return r;
	if (eg_control_start(agent) < 0)
		return eg_error_set(err, 500, "no_memory", "out of memory");
	__atomic_store_n(&agent->started, true, __ATOMIC_RELEASE);
	say_started(agent);
	return 0;
}

/* Nothing half-started stays: what this start has attached goes. What was there before it stays. */
static void undo(struct eg_agent *agent)
{
	struct eg_error ignored = {0};

	if (!agent->kern || agent->adopted || agent->bpffs_fd < 0)
		return;
	eg_roots_abandon(agent);
	eg_kern_detach_all(eg_agent_config(agent)->bpffs, &ignored);
	eg_error_clear(&ignored);
}

int eg_agent_start(const struct eg_config *config, enum eg_start how, struct eg_agent **ret, struct eg_error *err)
{
	struct eg_agent *agent;
	int r;

	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return eg_error_set(err, 500, "no_memory", "out of memory");
	agent->config = config;
	agent->lock_fd = -1;
	agent->bpffs_fd = -1;
	agent->started_utc_ns = eg_clock_utc_ns();
	agent->started_boot_ns = eg_clock_boot_ns();
	read_boot_id(agent->boot_id, sizeof(agent->boot_id));
	pthread_mutex_init(&agent->apply, NULL);
	eg_urgent_mutex_init(&agent->lock);
	r = come_up(agent, how, err);
	if (r < 0) {
		undo(agent);
		eg_agent_stop(agent);
		return r;
	}
	*ret = agent;
	return 0;
}

/* ---- Going down ------------------------------------------------------------------------------------- */

static void free_tables(struct eg_agent *agent)
{
	while (agent->garbage) {
		struct eg_tables *tables = agent->garbage;

		agent->garbage = tables->next;
		eg_tables_free(tables);
	}
	eg_ranges_clear(&agent->match_ranges);
	eg_ranges_clear(&agent->ruleset_ranges);
	for (size_t i = 0; i < agent->policy_error_count; i++) {
		free(agent->policy_errors[i].file);
		json_decref(agent->policy_errors[i].diagnostics);
	}
	free(agent->policy_errors);
}

void eg_agent_stop(struct eg_agent *agent)
{
	if (!agent)
		return;
	if (agent->started)
		eg_notice(agent, "agent", NULL, NULL, json_pack("{s:s}", "action", "stop"));
	if (agent->events)
		eg_events_quiesce(agent->events);
	eg_control_stop(agent);
	eg_shipper_end_tests(agent->shipper);
	eg_api_stop(agent->api);
	eg_snapshots_stop(agent->snapshots);
	eg_control_free(agent);
	eg_alerts_stop(EG_TAKE_PTR(agent->alerts));
	eg_prefetch_stop(EG_TAKE_PTR(agent->prefetch));
	eg_shipper_stop(EG_TAKE_PTR(agent->shipper)); /* it posts events; what it has no time to send, the next one sends */
	eg_nsadmin_stop(agent->nsadmin);
	eg_guards_free(agent->guards);
	eg_reaper_stop(agent->reaper);
	eg_snapshots_free(EG_TAKE_PTR(agent->snapshots));
	if (agent->kern && agent->garbage)
		eg_tables_collect(agent);
	eg_events_stop(EG_TAKE_PTR(agent->events));
	eg_routes_free(agent->routes);
	eg_resets_stop(agent->resets); /* which events are shown to until then */
	eg_reaper_free(agent->reaper); /* the same */
	eg_usage_stop(agent->usage);
	eg_expired_free(agent->expired);
	eg_expiry_free(agent->expiry);
	eg_cgwatch_free(agent->cgwatch);
	eg_polidir_close(agent->polidir);
	eg_roots_stop(agent);
	eg_holds_close(agent->holds, 2000);
	eg_tags_clear(agent);
	eg_registry_clear(agent);
	free_tables(agent);
	eg_kern_close(agent->kern);
	eg_cgroupfs_close(agent->cgroupfs);
	if (agent->bpffs_fd >= 0)
		close(agent->bpffs_fd);
	if (agent->lock_fd >= 0)
		close(agent->lock_fd);
	pthread_mutex_destroy(&agent->apply);
	pthread_mutex_destroy(&agent->lock);
	free(agent);
}

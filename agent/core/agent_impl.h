/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_impl.h - what the parts of struct eg_agent share; see agent.h for the outside
 *
 * Locks. `apply` serialises what changes policies and tags, and may be held for long (a
 * million rules). `lock` guards the registry (entries, their policies, tags) and is held for
 * microseconds. Order: apply, then lock. A kill takes `lock` alone. Entries are created,
 * changed and freed with both held, so that either one is enough for reading; a pointer to an
 * entry is good for as long as one of them is held.
 */
#ifndef EG_CORE_AGENT_IMPL_H
#define EG_CORE_AGENT_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <egret/abi.h>

#include "../lib/alert.h"
#include "../lib/diag.h"
#include "../lib/error.h"
#include "agent.h"
#include "cgroupfs.h"
#include "cgwatch.h"
#include "compile.h"
#include "config.h"
#include "events.h"
#include "fills.h"
#include "frames.h"
#include "holds.h"
#include "kern.h"
#include "patterns.h"
#include "ranges.h"
#include "rootkeeper.h"

#define EG_REV_LEN 48

/* A meter of a ruleset: what it meters, by name, so that its usage outlives a revision. */
struct eg_metered {
	char *scope; /* rule id, or NULL for the app */
	struct eg_meter_conf conf;
};

/* What one ruleset takes up in the kernel's tables. */
struct eg_tables {
	uint32_t uid;
	uint32_t index; /* in map `rulesets` */
	uint32_t match_first;
	uint32_t match_count;
	struct eg_rule_key *keys; /* of map `rules`, for their deletion */
	size_t key_count;
	char *names; /* of map `names`, as eg_compiled.name_texts */
	size_t name_bytes;
	size_t name_count;
	struct eg_tables *next; /* in the list of what is to be deleted */
};

/* A policy in force, or the one before it. */
struct eg_applied {
	char rev[EG_REV_LEN]; /* "<number>-<first 16 hex digits of the hash>" */
	uint64_t number;
	enum eg_source source;
	char *origin; /* file name, or NULL */
	char *text; /* canonical JSON */
	size_t text_len;
	char *owner; /* these may be NULL */
	char *ticket;
	char *purpose;
	char *catalog_id;
	char *request_id;
	bool log_full;
	json_t *labels;
	char *labels_json;
	char **rule_ids;
	size_t rule_count;
	char **cgroups;
	size_t cgroup_count;
	uint8_t hash[32]; /* of the policy's text */
	uint64_t expires_utc_ns;
	enum eg_mode mode;
	bool allow_netns_admin;
	struct eg_metered *meters;
	size_t meter_count;
	struct eg_addr *resolvers; /* in force */
	size_t resolver_count;
	bool resolvers_of_host;
	char **prefetch; /* names to be looked up ahead */
	size_t prefetch_count;
	struct eg_alert *alerts;
	size_t alert_count;

	uint32_t uid; /* ruleset */
	struct eg_tables *tables; /* NULL once the policy was replaced */
};

/* What of its quotas was told: fills.c's, main thread. */
struct eg_quotas {
	struct eg_fill_told told[3];
	bool looked;
	uint64_t evicted; /* grants, at the last look */
	uint64_t evicted_boot_ns; /* when one went last; 0: none since the agent's start */
};

struct eg_entry {
	char name[EG_APP_NAME_LEN];
	uint32_t slot;
	uint32_t gen;
	struct eg_applied *now; /* NULL: no policy, or an adopted one whose text has not come yet */
	struct eg_applied *before; /* for events that were made under it */
	bool deleted;
	bool netns_admin; /* a process administers a network namespace of the app's own */
	bool netns_refused; /* EG_APP_NETNS_ADMIN is set */
	uint64_t netns_look; /* number of the look that said so */
	enum eg_frames frames;
	char netns_why[240]; /* why no guard covers the administrator; "" if one does, or there is none */
	uint32_t cut_expired; /* reaper.c's, main thread: ruleset whose end was followed by a cut */
	uint64_t cut_refused; /* the same: packets that caps had refused at its last look */
	struct eg_quotas quotas;
};

/* A live cgroup below a managed root, or one that died lately. */
struct eg_tagged {
	uint64_t id;
	char *path;
	uint32_t slot; /* 0: of no app */
	bool ambiguous;
	bool explicit_tag;
	bool root;
	bool untold; /* the kernel could not be told; it is tried again */
};

struct eg_policy_error {
	char *file;
	char message[320];
	json_t *diagnostics;
};

struct eg_root;
struct eg_reaper;
struct eg_resets;
struct eg_nsadmin;
struct eg_guards;
struct eg_prefetch;
struct eg_shipper;
struct eg_routes;
struct eg_alerts;
struct eg_snapshots;
struct eg_polidir;
struct eg_usage;
struct eg_expired;
struct eg_expiry;
struct eg_api;
struct eg_control;

/* Where sweep.c is in a table that may hold keys that nobody remembers. */
enum { EG_SWEEP_RULES, EG_SWEEP_NAMES, EG_SWEEP_TRIES };
struct eg_sweep {
	bool due;
	bool cursor_set;
	struct eg_name_key cursor; /* or the shorter eg_rule_key */
};
struct eg_grant_sweep {
	bool due; /* to begin */
	bool running;
	bool begun; /* bucket is valid */
	uint32_t bucket;
};

struct eg_agent {
	const struct eg_config *config; /* by eg_agent_config: a reload puts another */
	uint64_t started_utc_ns;
	uint64_t started_boot_ns;
	char boot_id[40];
	int bpffs_fd; /* flock on the maps' directory */
	int lock_fd; /* flock on the state directory: one agent for each */
	struct eg_kern *kern;
	bool adopted;
	bool started; /* enforcement is on, and told */
	struct eg_cgroupfs *cgroupfs;
	struct eg_cgwatch *cgwatch; /* main thread */
	struct eg_holds *holds;
	struct eg_events *events; /* may be NULL while starting and stopping */
	struct eg_reaper *reaper;
	struct eg_resets *resets;
	struct eg_nsadmin *nsadmin;
	struct eg_guards *guards; /* nsadmin's */
	struct eg_prefetch *prefetch;
	struct eg_shipper *shipper;
	struct eg_routes *routes;
	struct eg_alerts *alerts;
	struct eg_snapshots *snapshots;
	struct eg_usage *usage;
	struct eg_expired *expired;
	struct eg_expiry *expiry;
	struct eg_api *api;
	struct eg_control *control; /* NULL until the API is up */
	int direct_errno; /* of the last merge of --direct kills */
	struct eg_polidir *polidir; /* under apply */
	struct eg_root *roots;
	size_t root_count;

	pthread_mutex_t apply;
	pthread_mutex_t lock;

	struct eg_entry **by_slot; /* [slots] */
	struct eg_entry **by_name; /* sorted */
	size_t count;
	uint32_t slots_used; /* highest slot ever used, and one; without the lock: eg_registry_slots */

	struct eg_tagged **tags; /* sorted by id */
	size_t tag_count;
	size_t tag_room;
	struct eg_tagged dead[EG_DEAD_CGROUPS];
	size_t dead_next;
	struct eg_tagged dead_untagged[EG_DEAD_UNTAGGED]; /* their names alone, for events that come late */
	size_t dead_untagged_next;
	void *tags_by_path; /* tsearch(3) tree; under apply */
	struct eg_patterns patterns; /* of the policies in force; under apply */
	bool patterns_stale;
	bool tags_due; /* there was no memory to look at them: eg_tags_make_up */

	struct eg_ranges match_ranges; /* under apply, as what follows */
	struct eg_ranges ruleset_ranges;
	struct eg_tables *garbage;
	size_t rules_used;
	size_t names_used;
	struct eg_sweep sweeps[EG_SWEEP_TRIES];
	struct eg_grant_sweep grant_sweep;
	uint64_t history_next_ns; /* monotonic: no sweep before; under apply */
	unsigned peer_sweeps; /* calls */
	struct stat resolv_conf; /* when it was last looked at */

	struct eg_policy_error *policy_errors; /* under lock */
	size_t policy_error_count;
	char paused_why[256]; /* deletions are paused; "" if not */
	bool store_damaged; /* a stored policy could not be read at start */
	bool cgroups_full;
	size_t cgroups_unwatched; /* by inotify: found by looking */
	size_t loaded; /* policies put in force; under apply, as the next */
	uint64_t loading_told_ns; /* monotonic */
	struct eg_fill_told fills_told[EG_FILLS];
};

/* The configuration in force, for any thread; it stays valid when another takes its place. */
static inline const struct eg_config *eg_agent_config(const struct eg_agent *agent)
{
	return __atomic_load_n(&agent->config, __ATOMIC_ACQUIRE);
}

/* agent.c: what one app may have: as configured, but at most its equal share of the maps. */
struct eg_app_limits {
	uint32_t sockets;
	uint32_t peers;
	uint32_t grants;
};
struct eg_app_limits eg_agent_app_limits(const struct eg_agent *agent);

/* ---- registry.c ------------------------------------------------------------------ */

/* Under lock or apply. NULL: no such app. */
struct eg_entry *eg_registry_find(struct eg_agent *agent, const char *name);
struct eg_entry *eg_registry_at(struct eg_agent *agent, uint32_t slot, uint32_t gen); /* gen 0: whoever has it */

/* Under lock or apply. Place in by_name of the first app whose name comes after this one. */
size_t eg_registry_after(struct eg_agent *agent, const char *name);
uint32_t eg_registry_slots(const struct eg_agent *agent); /* slots_used, for who holds no lock */

/* Under apply. Finds or makes the app, with its holds in force from its first packet. 0 or -ENOSPC, -errno. */
int eg_registry_get(struct eg_agent *agent, const char *name, struct eg_entry **ret, struct eg_error *err);
/* Under apply. Takes up the apps on adopted maps. */
int eg_registry_adopt(struct eg_agent *agent, struct eg_error *err);
/* Under apply. Frees the slots of apps that are deleted, or have no policy, and that nothing refers to any more. */
void eg_registry_sweep(struct eg_agent *agent);
void eg_registry_clear(struct eg_agent *agent);

/* The kill word: adds layers to what is in force, or all that the holds say. Under lock. */
void eg_registry_raise(struct eg_agent *agent, const struct eg_entry *entry, uint32_t layers);
void eg_registry_raise_holds(struct eg_agent *agent, const struct eg_entry *entry);
/* Takes away what was lifted, unless a hold says otherwise; bits that have no record stay. Under lock. */
void eg_registry_lower(struct eg_agent *agent, const struct eg_entry *entry, uint32_t lifted);
/* "killed", "expired", "deleted", "audit", "enforce" or "no_policy". Under lock or apply. */
const char *eg_registry_state(struct eg_agent *agent, const struct eg_entry *entry);

struct eg_app_ctl *eg_entry_ctl(struct eg_agent *agent, const struct eg_entry *entry);
struct eg_app_state *eg_entry_state(struct eg_agent *agent, const struct eg_entry *entry);

/* ---- cut.c: resets sockets; none to be called with lock held -------------------------------- */

struct eg_cut;
struct eg_socket_notes;
/* All of the app's sockets, or only TCP. */
void eg_cut_app(struct eg_agent *agent, const char *name, bool tcp_only, struct eg_cut *ret);
/* The same of all of them, noted as they are found. */
void eg_cut_app_noting(struct eg_agent *agent, const char *name, struct eg_socket_notes *notes, struct eg_cut *ret);
/* All sockets below the managed roots. notes may be NULL. */
void eg_cut_all(struct eg_agent *agent, struct eg_socket_notes *notes, struct eg_cut *ret);
/* The live TCP, not the listeners: they go on in the next window. Returns how many were reset. */
uint32_t eg_cut_live(struct eg_agent *agent, const char *name);
/* The live TCP that the policy in force denies; none with connect_verdict off. Returns how many were reset. */
uint32_t eg_cut_denied(struct eg_agent *agent, const char *name);
/* The live TCP that this rule of the policy in force allows. */
uint32_t eg_cut_rule(struct eg_agent *agent, const char *name, uint32_t rule);
/* Sockets that the tasks in a newly tagged cgroup brought along. */
uint32_t eg_cut_foreign(struct eg_agent *agent, uint64_t cgroup_id);

/* ---- override.c: under lock -------------------------------------------------------------------- */

bool eg_override_on(struct eg_agent *agent, const struct eg_entry *entry);
json_t *eg_override_json(struct eg_agent *agent, const struct eg_entry *entry); /* until when; null: none */
/* Ends it, and tells why. False: there was none. Its sockets are the caller's to reset. */
bool eg_override_end(struct eg_agent *agent, const struct eg_entry *entry, const char *cause);

/* ---- loopback.c ------------------------------------------------------------------------------ */

bool eg_loopback_addr(const struct eg_addr *addr);
/* Whether that port on loopback is the app's own, for "self". Not to be called with lock held. */
bool eg_loopback_own(struct eg_agent *agent, const char *app, uint8_t proto, uint16_t number);

/* ---- tags.c -------------------------------------------------------------------------- */

extern const struct eg_cgwatch_ops eg_tags_watch_ops; /* ctx: the agent, set in a copy. Under apply */
/* Under apply: looks again at every cgroup that the app's patterns match, or matched. */
void eg_tags_patterns_changed(struct eg_agent *agent, const struct eg_applied *before, const struct eg_applied *now);
void eg_tags_make_up(struct eg_agent *agent); /* for looks that found no memory; under apply */
/* Under apply: a tag by hand, in force when this returns. 0, -E2BIG (map full), -ENOMEM. */
int eg_tags_give(struct eg_agent *agent, const char *path, uint64_t id, struct eg_entry *entry);
/* Under apply, once all live cgroups are known: forgets what adopted maps say of others. */
int eg_tags_sweep_adopted(struct eg_agent *agent);
/*
 * Under apply, before the slot is used again: its dead cgroups are not the next owner's. The kernel
 * keeps their tags, whose generation is over, so that sockets which outlived them stay denied.
 */
void eg_tags_disown(struct eg_agent *agent, uint32_t slot);
/* Under apply: those that the kernel had no room for. Every second. */
void eg_tags_tell_again(struct eg_agent *agent);
/* Under apply. Map `cgroups`: dead ones make room. 0, or -errno, which is -E2BIG if all are live. */
int eg_cgroups_put(struct eg_agent *agent, uint64_t id, const struct eg_cgroup *value);
const char *eg_cgroups_error(int r); /* of that */
void eg_cgroups_forget(struct eg_agent *agent, uint64_t id);
/* Under apply. A cgroup that died; its tag stays for now. Owns it. */
void eg_cgroups_bury(struct eg_agent *agent, struct eg_tagged *tagged);
const struct eg_tagged *eg_cgroups_find_dead(const struct eg_agent *agent, uint64_t id); /* under lock; NULL */
/* Under lock or apply. Ids of the app's cgroups, those that died lately included; caller frees. */
int eg_tags_ids(struct eg_agent *agent, uint32_t slot, bool live_only, uint64_t **ret_ids, size_t *ret_count);
bool eg_tags_path(struct eg_agent *agent, uint64_t id, char *ret, size_t size); /* takes lock */
struct eg_tagged *eg_tags_find(struct eg_agent *agent, uint64_t id); /* under lock or apply */
void eg_tags_clear(struct eg_agent *agent);

/* ---- roots.c ------------------------------------------------------------------------------- */

int eg_roots_start(struct eg_agent *agent, struct eg_error *err);
void eg_roots_check(struct eg_agent *agent); /* every second */
void eg_roots_tell(struct eg_agent *agent); /* under apply: the kernel, what unknown cgroups get from now on */
void eg_roots_stop(struct eg_agent *agent); /* keepers and links stay */
void eg_roots_abandon(struct eg_agent *agent); /* ends the keepers */
bool eg_roots_enforcing(struct eg_agent *agent); /* under lock, as eg_roots_json, or on the main thread */
bool eg_roots_has_id(struct eg_agent *agent, uint64_t id);
json_t *eg_roots_json(struct eg_agent *agent);
/* Path of the root that holds path, or is it; or NULL. */
const char *eg_roots_of(struct eg_agent *agent, const char *path);
size_t eg_roots_ids(struct eg_agent *agent, uint64_t ids[EG_CONFIG_ROOTS_MAX]);
/* Lets agent->cgwatch look at all of them: births come at once. Under apply. */
int eg_roots_watch(struct eg_agent *agent);
/* What untagged cgroups get may have changed. */
void eg_roots_reconfigure(struct eg_agent *agent);

/* ---- reaper.c: what follows an event of the kernel, on a thread of its own ------------------ */

int eg_reaper_start(struct eg_agent *agent, struct eg_reaper **ret);
void eg_reaper_stop(struct eg_reaper *reaper); /* ends its thread; events may still be shown to it */
void eg_reaper_free(struct eg_reaper *reaper);
void eg_reaper_observe(struct eg_reaper *reaper, const struct eg_event *e);
/* Every second: finds kills, used up caps and expiries whose event was lost, or came while no agent ran. */
void eg_reaper_check(struct eg_reaper *reaper);
/* Sockets that tasks bring along into a cgroup that was just tagged are cut, now and a little later. NULL is fine. */
void eg_reaper_look_later(struct eg_reaper *reaper, uint64_t cgroup_id);

/* ---- resets.c: connections that end with their first data, on a thread of its own ------------- */

int eg_resets_start(struct eg_agent *agent, struct eg_resets **ret);
void eg_resets_stop(struct eg_resets *resets);
/* Never waits. NULL is fine. */
void eg_resets_observe(struct eg_resets *resets, const struct eg_event *e);

/* ---- nsadmin.c: administrators of their own network namespace, on a thread of its own ----------- */

int eg_nsadmin_start(struct eg_agent *agent, struct eg_nsadmin **ret);
void eg_nsadmin_stop(struct eg_nsadmin *ns);
/* Guards or refuses the app as it is now, before this returns. NULL is fine. */
void eg_nsadmin_look_at(struct eg_nsadmin *ns, const char *app);
/* The process is a container runtime's until it executes something else. 0 or -errno. NULL is fine. */
int eg_nsadmin_starting(struct eg_nsadmin *ns, pid_t pid);

/* ---- prefetch.c: names of rules with `prefetch`, on a thread of its own ------------------------- */

int eg_prefetch_start(struct eg_agent *agent, struct eg_prefetch **ret);
void eg_prefetch_stop(struct eg_prefetch *prefetch);
/* Some policy is another one now. Never waits. NULL is fine. */
void eg_prefetch_changed(struct eg_prefetch *prefetch);

struct eg_prefetch_stats {
	size_t names; /* to be looked up; the same name of several apps counts once */
	size_t failing; /* of which the last look-up failed */
	uint64_t lookups; /* ended, of a name's IPv4 and IPv6 addresses each */
	uint64_t failures;
	uint64_t granted; /* addresses that apps did not have yet */
	uint64_t restarts; /* of the helper */
	int helper_pid; /* 0: none runs */
	char last_error[400]; /* "": there was none */
	uint64_t last_error_utc_ns;
};
/* NULL is fine: all zero. */
void eg_prefetch_stats(struct eg_prefetch *prefetch, struct eg_prefetch_stats *ret);

/* ---- usage.c: caps across a reboot ------------------------------------------------------------ */

/* Reads what the agent before this one wrote. A file that can't be read is as if all was used up. */
int eg_usage_start(struct eg_agent *agent, struct eg_usage **ret);
/* From now on usage is written every second, on a thread of its own. 0 or -errno. */
int eg_usage_checkpoint_from_now(struct eg_usage *usage);
int eg_usage_last_error(const struct eg_usage *usage); /* 0, or -errno while it can not be written */
void eg_usage_stop(struct eg_usage *usage); /* writes a last time, and that it was */
/* What a meter that is new to the kernel begins with. Under apply. */
void eg_usage_seed(struct eg_usage *usage, const char *app, const struct eg_metered *metered,
		   struct eg_meter *ret);
/* A meter of the kernel's that its app is about to lose: what it says is for the next one of its kind. Under apply. */
void eg_usage_keep(struct eg_usage *usage, const char *app, uint32_t slot, const struct eg_metered *metered);
/* Bytes used in the window that a byte cap is in. Under lock or apply. 0 or -errno. */
int eg_usage_of(struct eg_agent *agent, uint32_t slot, const struct eg_meter_conf *conf, uint64_t *ret_window,
		uint64_t *ret_used);

/* ---- ends.c: what ends by time ------------------------------------------------------------------ */

/* Which policy of each app was seen to expire: what the kernel has latched, across reboots. Locks itself. */
int eg_expired_new(struct eg_expired **ret);
void eg_expired_free(struct eg_expired *expired);
void eg_expired_note(struct eg_expired *expired, const char *app, const uint8_t hash[32], uint64_t expires_utc_ns);
bool eg_expired_has(struct eg_expired *expired, const char *app, const uint8_t hash[32]);
/* A line of the usage file; others are passed over. */
void eg_expired_read(struct eg_expired *expired, const char *line);
void eg_expired_print(struct eg_expired *expired, FILE *out);
/* Every second: expiries and ends of relax that no packet has met. Under apply. */
void eg_ends_check(struct eg_agent *agent);

/* ---- expiry.c: ends of policies are told beforehand. Under apply ------------------------------------ */

int eg_expiry_new(struct eg_agent *agent, struct eg_expiry **ret);
void eg_expiry_check(struct eg_expiry *expiry); /* every second */
void eg_expiry_free(struct eg_expiry *expiry);

/* ---- notices.c: events and log lines of the agent's own -------------------------------------------- */

/* Posts an event; fields as of eg_events_post. Fills owner, ticket, labels, policy_rev from entry (may be NULL). */
void eg_notice(struct eg_agent *agent, const char *type, const struct eg_entry *entry, const char *app,
	       json_t *fields);
/* "uid=0 pid=77 via=socket" */
void eg_actor_text(const struct eg_actor *actor, char *ret, size_t size);
json_t *eg_time_json(uint64_t utc_ns); /* RFC 3339 with ns */

/* ---- kill.c and restore.c ------------------------------------------------------------------------------------------ */

/* A hold that is recorded already (merged from --direct, or by a cap): in force, cut, told. */
void eg_kill_enforce(struct eg_agent *agent, const struct eg_hold *hold);
/* A cap whose action is kill was reached: recorded as a hold of the layer auto, cut, told. */
void eg_kill_record_auto(struct eg_agent *agent, const char *app);
/* The agent itself decided so: as above. */
void eg_kill_auto(struct eg_agent *agent, const char *app, const char *reason);
json_t *eg_hold_json(const struct eg_hold_info *info);
json_t *eg_holds_json(struct eg_agent *agent, const char *name); /* of one app, or of "*" */
/* A hold begun now by this actor. */
void eg_kill_hold(struct eg_hold *hold, const char *app, uint32_t layer, const struct eg_actor *actor,
		  const char *reason, const char *ticket);
/* Raises the kill word of every app with a hold, and that of all. At start. */
void eg_kill_load(struct eg_agent *agent);
/* Resets the sockets of apps that were killed while no agent ran. At start, once the tags are known. */
void eg_kill_cut_held(struct eg_agent *agent);

#include "agent_policies.h"
#include "agent_views.h"
#include "agent_control.h"

#endif

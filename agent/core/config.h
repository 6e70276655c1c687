/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the operator decided about this agent
 *
 * Defaults, then the file (JSON, optional), then the flags (options.h). Every error is one
 * sentence that names the file and the key (or the line, where it is no JSON), and says what
 * to write instead. egretd(8) is the reference of the keys.
 */
#ifndef EG_CORE_CONFIG_H
#define EG_CORE_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/alert.h"
#include "../lib/cleanup.h"
#include "../lib/control_config.h"
#include "../lib/error.h"
#include "../lib/labels.h"
#include "../lib/log.h"
#include "guardrails.h"
#include "networks.h"

#define EG_CONFIG_FILE      "/etc/egret/egret.json"
#define EG_CONFIG_ROOTS_MAX 64
#define EG_CONFIG_BYTES_MAX (1u << 20) /* of the file */

struct eg_config_root {
	char *path; /* below the cgroup2 mount, or absolute; without a slash at its end */
	bool create; /* made if missing; else a missing root is an error */
	enum eg_unknown unknown; /* what an untagged cgroup below it gets */
	bool unknown_given; /* for this root; else it follows eg_config.unknown */
};

/* A threshold for all apps, or those whose labels match. */
struct eg_config_alert {
	struct eg_alert alert;
	struct eg_labels *labels; /* NULL: all */
};

/* Every string is owned and, unless it says otherwise, never NULL. */
struct eg_config {
	char *host; /* name in events */
	char *policy_dir;
	char *socket;
	char *bpffs;
	char *state_dir;
	char *log_dir;
	char *resolv_conf; /* where the host's resolvers are */
	char *helper_user; /* whom the look-up helper runs as */
	char *ship_user; /* whom egret-ship runs as */

	struct eg_config_root *roots; /* at least one */
	size_t root_count;
	enum eg_unknown unknown; /* of roots that don't say */

	uint32_t max_apps; /* 1 .. 100,000 */
	uint32_t max_rules; /* addresses in all policies: 1 .. 4,000,000 */
	uint32_t max_names; /* DNS names in all policies: 1 .. 1,000,000 */
	uint64_t max_lifetime_ns; /* of a policy, from now */

	char *metrics_listen; /* "127.0.0.1:9464", "[::1]:9464"; NULL: no port */
	char *metrics_token_file; /* required with metrics_listen; else NULL */

	char *group_admin; /* names of groups; NULL: nobody but root, or nobody at all */
	char *group_responder;
	char *group_viewer;

	json_t *host_labels; /* object of strings, never NULL */
	struct eg_control_config *control; /* NULL: no control plane */
	json_t *routes; /* where alerts go to at once, as eg_routes_config_parse takes it; an empty array: nowhere */
	json_t *sinks; /* where events go to, as eg_sinks_config_parse takes it; an empty array: nowhere */

	struct eg_networks *networks; /* with a name; NULL: none */
	struct eg_guardrails *guardrails; /* NULL: none */
	struct eg_config_alert *alerts;
	size_t alert_count;

	uint64_t snapshot_quota_bytes; /* of all snapshots */
	uint64_t event_quota_bytes; /* of all segments */
	uint64_t event_segment_bytes;
	uint64_t event_ns; /* budget of one app: an event each event_ns ... */
	uint64_t event_burst_ns; /* ... and this much credit */
	uint32_t ring_bytes; /* flow events; a power of two */
	uint32_t priority_ring_bytes; /* deny, cap, kill */

	uint32_t sockets_max; /* of one app */
	uint32_t peers_max; /* of one app: UDP peers with an entry of their own */
	uint32_t grants_max; /* of one app: addresses learned from DNS */
	uint64_t grant_floor_ns; /* an address is granted for its TTL, but at least ... */
	uint64_t grant_ceiling_ns; /* ... and at most this long */
	uint64_t flow_update_ns; /* 0: only start and end */
	uint64_t udp_idle_ns;
	uint32_t so_mark; /* 0: none */
	bool any_family; /* socket_families "off": don't refuse AF_PACKET and the like where that is possible */
	bool late; /* connect_verdict "off": leave the rules to the packet hook */
	enum eg_log_level log_level;
};

/* The defaults alone. 0 or -ENOMEM. */
int eg_config_new(struct eg_config **ret);

/*
 * The defaults and the file over them. may_lack: a missing file is fine. 0, or a negative
 * errno with the sentence in *err (code "bad_config", or "no_config" where it can't be read).
 */
int eg_config_load(const char *file, bool may_lack, struct eg_config **ret, struct eg_error *err);

/* The same with the text at hand; file is its name in errors. A flag may still mend what eg_config_check finds. */
int eg_config_parse(const char *file, const char *text, size_t len, struct eg_config **ret, struct eg_error *err);

/* What can be wrong only once file and flags are put together. */
int eg_config_check(const struct eg_config *config, struct eg_error *err);

/*
 * One of the keys from a flag: flag ("--max-apps") is its name in errors (code "bad_usage"),
 * text its value. Only keys whose value is a text or a number.
 */
int eg_config_set(struct eg_config *config, const char *flag, const char *key, const char *text,
		  struct eg_error *err);
/* Forgets the roots; eg_config_add_root then adds the first. */
void eg_config_clear_roots(struct eg_config *config);
int eg_config_add_root(struct eg_config *config, const char *flag, const char *path, struct eg_error *err);

void eg_config_free(struct eg_config *config);
EG_DEFINE_CLEANUP(config, struct eg_config *, eg_config_free);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - from the kernel's ring buffers to the spool on disk, and to who follows
 *
 * Every function is thread-safe. None that the control path uses (post, observe, stats)
 * waits for a disk, a follower or another app's events.
 *
 * Where an event can be lost, and who counts it:
 *   ring full      the kernel, in map `losses`, with the sums of what was not told. Flow
 *                  events wait in their ring while the disk is slow or full, so that for
 *                  flows this is the only place.
 *   queue full     here (deny and notices wait in a bounded queue), with the same sums
 *   disk quota     here, by class, allowed flows first (evlog.h): bytes and events
 * Each becomes an event: {"type":"suppressed"|"lost","app":...,"cause":...,sums}.
 */
#ifndef EG_CORE_EVENTS_H
#define EG_CORE_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <egret/abi.h>

struct eg_events;
struct eg_evlog_io;
struct eg_networks;

/*
 * What an event's numbers stand for. Filled by the caller's resolver into memory of ours, so
 * nothing has to stay valid afterwards. Strings may hold any bytes; "" is left out.
 */
struct eg_event_meta {
	char app[EG_APP_NAME_LEN];
	char owner[256];
	char ticket[256];
	char catalog_id[256];
	char request_id[256];
	bool log_full; /* the policy wants every flow told: "log":"full" */
	char policy_rev[128];
	char rule_id[128]; /* of e->rule under ruleset e->uid */
	char cgroup[1024]; /* path of e->cgroup_id below the cgroup2 mount */
	char labels_json[4352]; /* a JSON object in one line, valid UTF-8, e.g. {"team":"hr"}; or "" */
};

struct eg_events_config {
	int events_fd; /* map `events`; borrowed until eg_events_stop; -1: none */
	int flow_events_fd; /* map `flow_events`; as before */
	int losses_fd; /* map `losses`; as before */
	struct eg_log_mark *log_mark; /* lives as long as the rings do (event_mark.h); NULL: none */
	const char *host; /* bytes outside [A-Za-z0-9._-] become '_' */
	const char *log_dir; /* made if missing, 0700 */
	bool log_shared; /* group log_gid may read the log: 0750, segments 0640 */
	gid_t log_gid;
	const struct eg_evlog_io *log_io; /* NULL: the real calls (evlog.h) */
	uint64_t quota_bytes; /* of all segments; 0: 1 GiB */
	uint64_t segment_bytes; /* 0: 64 MiB; at most a quarter of the quota */
	uint32_t queue_events; /* bound of the queue; 0: 32768 */

	/* The rest is called on our threads, with ctx. */
	void *ctx;
	/* utc - boot, ns. */
	int64_t (*utc_offset_ns)(void *ctx);
	/* May be NULL. Networks with a name, now; they outlive the log. */
	const struct eg_networks *(*networks)(void *ctx);
	/* Number of slots ever used, at most the size of map `losses`: 0 .. n-1 are read every second. */
	uint32_t (*slots_used)(void *ctx);
	/*
	 * Fills what is known (all of *ret is zero before); false: the slot, in that generation, is
	 * not known. Asked by app, gen, uid, rule and cgroup_id. gen 0: whoever has the slot now
	 * (losses are counted by slot); uid 0: the app's current policy. Answers are remembered
	 * until eg_events_meta_changed, so it may take a lock, but never wait for the log.
	 */
	bool (*resolve)(void *ctx, const struct eg_event *e, struct eg_event_meta *ret);
	/*
	 * May be NULL. Sees each record of ring `events` (deny, dns, cap, rate, kill, expire) when it is
	 * drained, before it is logged and also when the log is stuck: the place to reset the
	 * sockets of an app that the kernel killed or capped. Must be quick: a deny flood comes here.
	 */
	void (*observe)(void *ctx, const struct eg_event *e);
	/*
	 * May be NULL. Sees each event of the agent's own, on the thread that posts it and whatever becomes of it
	 * here; members as of eg_event_json_members, utc_ns its time in the log. Must be quick, and never wait.
	 */
	void (*told)(void *ctx, uint64_t utc_ns, const char *type, const char *members, size_t len);
};

/*
 * Starts the threads. Fails on bad arguments, memory, or rings that can't be mapped: -errno. A log
 * directory that can't be written is not a failure: it is tried again every second and said in
 * stats, since enforcement doesn't need the log.
 */
int eg_events_start(const struct eg_events_config *config, struct eg_events **ret);

/* Takes what is in the rings and queues, writes it (2 s at most), ends the threads. NULL is fine. */
void eg_events_stop(struct eg_events *ev);

/* After a policy, tag or app changed: what was resolved before is asked again. Never blocks. */
void eg_events_meta_changed(struct eg_events *ev);

/*
 * An event of the agent itself: type ("kill", "restore", "policy", "agent", "alert" ...), app or
 * NULL, and an object with the other members (none of schema, ts, type, event_id, host, app), whose
 * reference is taken, also on failure. Nothing is added: owner, ticket, labels and policy_rev are the
 * caller's to give. Never blocks. -ENOBUFS (queue full), -EINVAL (fields is NULL because json_pack
 * failed, or no object), -E2BIG (over 64 KiB) and -ENOMEM are counted in stats as posts_dropped.
 */
int eg_events_post(struct eg_events *ev, const char *type, const char *app, json_t *fields);

/*
 * A raw record as from the ring `events`, observe included; size: that of struct eg_event, or of the
 * struct eg_event_named that it is the beginning of. For tests, and for records of other makers.
 */
void eg_events_feed(struct eg_events *ev, const struct eg_event *e, size_t size);

/* Waits until everything posted or fed before is on disk: 0, or -ETIMEDOUT. For tests. */
int eg_events_sync(struct eg_events *ev, unsigned timeout_ms);

/* ---- Reading: GET /v1/events ---------------------------------------------------- */

/*
 * A query is a cursor on the segments, not a queue: who reads slowly costs nobody anything, and
 * loses lines only when the quota deletes them unread; then the next line is
 * {"type":"lost","cause":"follower","events":N,...}. Lines come oldest first, whole.
 */
struct eg_events_filter {
	const char *app; /* NULL: all */
	const char *types; /* "flow,deny"; NULL: all */
	const struct eg_labels *labels; /* of the event; borrowed as long as the query is open; NULL: all */
	uint64_t last_ns; /* only events of the last ... ; 0: all that is kept */
	uint64_t limit; /* only the newest ... of the history that match; UINT64_MAX: all; 0 with follow: only what comes */
	bool follow; /* go on with what comes */
};

enum eg_query_state {
	EG_QUERY_MORE, /* call again; bytes may have been returned */
	EG_QUERY_WAIT, /* follow: all that is written was read; wait for the fd */
	EG_QUERY_END, /* not follow: that was all; or the log was stopped */
};

struct eg_events_query;

/* -EINVAL: bad filter (unknown type, empty or long app); -EMFILE: too many queries (64); -ENOMEM. */
int eg_events_query_open(struct eg_events *ev, const struct eg_events_filter *filter,
			 struct eg_events_query **ret);

/*
 * Puts up to size bytes (size >= 1; lines may be cut between calls) into buf and their number into
 * *ret_len. Reads at most some MiB per call, so it returns soon. enum eg_query_state, or -errno.
 * Not to be called by two threads at once on one query.
 */
int eg_events_query_read(struct eg_events_query *query, char *buf, size_t size, size_t *ret_len);

/* An eventfd, owned by the query, readable once something was written since the last WAIT. */
int eg_events_query_fd(const struct eg_events_query *query);

/* Every query has to be closed before eg_events_stop is called. NULL is fine. */
void eg_events_query_close(struct eg_events_query *query);

/* Makes every query end (fd readable, read EG_QUERY_END), so that the API's threads can be stopped. */
void eg_events_quiesce(struct eg_events *ev);

/* ---- Numbers: status and metrics -------------------------------------------------- */

struct eg_events_stats {
	uint64_t written; /* events on disk since the start */
	uint64_t written_bytes;
	uint64_t lost; /* ring full and queue full, all apps, since the start */
	uint64_t suppressed; /* over an app's event budget */
	uint64_t posts_dropped; /* of the agent's own events */
	uint64_t unresolved; /* events of an app that the resolver did not know */
	uint64_t dropped_by_quota; /* events evicted */
	uint64_t dropped_vital; /* of them, denials, kills and the like */
	uint64_t dropped_by_quota_bytes;
	uint64_t write_errors;
	uint64_t log_bytes; /* in all segments now */
	uint64_t damaged_bytes; /* found in the log that were no events */
	uint64_t sync_errors; /* of fdatasync: what it may have lost was written again */
	uint64_t unsynced_bytes; /* that the disk may not have yet */
	uint32_t segments;
	uint32_t queue; /* waiting now */
	uint32_t queries; /* open now */
	bool failing; /* the log can't be written now; last_error says why */
	char last_error[256]; /* the last one since the start, or "" */
	char log_dir[256];
};

void eg_events_stats(struct eg_events *ev, struct eg_events_stats *ret);

#endif

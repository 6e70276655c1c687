// SPDX-License-Identifier: Apache-2.0
/*
 * source_etcd.c - follows a prefix of etcd: a range, then a watch from the revision after it
 *
 * Theory of operation. Three prefixes are of this host's concern: policies/, kills/ and
 * hosts/HOST/. They are read as at one revision, which is all that is wanted, and watched from the next
 * one on in one stream. Whatever ends the stream (the member stops, what was asked is compacted away, the
 * token ends, a partition) is answered in the same way: read all again, from the next member if this one
 * does not answer. Nothing can be missed so, and what was gone for a while is seen as it is now.
 *
 * A member that is cut off from the others keeps a watch open and silent. So once every PROBE_S its
 * revision is asked with a read that needs the majority (of this host's state key: one key, cheap); a member
 * that can't answer is left.
 *
 * This host's state is written back by a thread of its own (state.h): a store that is slow to write
 * delays no kill.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "../lib/policy.h"
#include "etcd.h"
#include "report.h"
#include "source.h"
#include "state.h"

#define PROBE_MS 5000

struct source {
	struct eg_sync *sync;
	struct eg_etcd *etcd;
	struct eg_etcd *probe; /* its own client: it must ask the very member that is watched */
	char *prefixes[4]; /* policies/, kills/, hosts/HOST/, NULL */
	char *own_kills;   /* hosts/HOST/kills/ */
	char *state_key;
	uint64_t seen;		   /* revision: kills after it are new */
	uint64_t probe_ms;	   /* the next */
	struct eg_desired desired; /* while all is read */
	int result;		   /* what ended a callback */
};

/* ---- Keys ------------------------------------------------ */

/* Which document a key is; false: none of ours. */
static bool key_parse(const struct source *source, const char *key, struct eg_document_source *ret)
{
	const char *rest = NULL;

	for (int i = 0; i < 3 && !rest; i++) {
		size_t len = strlen(source->prefixes[i]);

		if (strncmp(key, source->prefixes[i], len))
			continue;
		rest = key + len;
		ret->of_host = i == 2;
		ret->kind = i == 1 ? EG_DOCUMENT_KILL : EG_DOCUMENT_POLICY;
	}
	if (!rest)
		return false;
	if (ret->of_host) {
		bool kill = !strncmp(rest, "kills/", 6);

		if (!kill && strncmp(rest, "policies/", 9))
			return false;
		ret->kind = kill ? EG_DOCUMENT_KILL : EG_DOCUMENT_POLICY;
		rest += kill ? 6 : 9;
	}
	ret->app = rest;
	return eg_policy_app_name(rest) || (ret->kind == EG_DOCUMENT_KILL && !strcmp(rest, "*"));
}

static int read_document(const struct source *source, const struct eg_etcd_kv *kv, struct eg_document **ret)
{
	struct eg_document_source from = {.generation = kv->mod_revision};

	*ret = NULL;
	if (!key_parse(source, kv->key, &from)) {
		eg_log_warning("the key %s is none of egret's, and was passed over", kv->key);
		return 0;
	}
	return eg_document_parse(&source->sync->rules, &from, kv->value, kv->value_len, ret);
}

/* ---- All of it ------------------------------------------------ */

static int add_kv(void *ctx, const struct eg_etcd_kv *kv)
{
	struct source *source = ctx;
	struct eg_document *document;
	int r = read_document(source, kv, &document);

	return r || !document ? r : eg_desired_set(&source->desired, document);
}

static int read_all(struct source *source, uint64_t *ret_revision, struct eg_error *err)
{
	int r = 0;

	*ret_revision = 0;
	for (int i = 0; !r && i < 3; i++)
		r = eg_etcd_each(source->etcd, source->prefixes[i], ret_revision, add_kv, source, err);
	if (r)
		eg_desired_clear(&source->desired);
	return r;
}

/* ---- Changes ------------------------------------------------ */

static int take_event(struct source *source, const struct eg_etcd_kv *event, uint64_t revision)
{
	struct eg_document_source from = {0};
	struct eg_document *document = NULL;
	int r;

	if (event->gone)
		return key_parse(source, event->key, &from)
			       ? eg_sync_gone(source->sync, from.kind, from.of_host, from.app, revision)
			       : 0;
	r = read_document(source, event, &document);
	return r || !document ? r : eg_sync_document(source->sync, document, revision);
}

static bool is_kill(const struct source *source, const struct eg_etcd_kv *event)
{
	struct eg_document_source from = {0};

	return key_parse(source, event->key, &from) && from.kind == EG_DOCUMENT_KILL;
}

/* Kills of one answer first: policies may take long to compile. */
static int take_events(struct source *source, const struct eg_etcd_watch *watch)
{
	for (int kills = 1; kills >= 0; kills--) {
		for (size_t i = 0; i < watch->count; i++) {
			int r = is_kill(source, &watch->events[i]) == kills
					? take_event(source, &watch->events[i], watch->revision)
					: 0;

			if (r)
				return r;
		}
	}
	return 0;
}

static int on_watch(void *ctx, const struct eg_etcd_watch *watch)
{
	struct source *source = ctx;

	source->seen = watch->revision;
	eg_sync_begin(source->sync);
	source->result = take_events(source, watch);
	if (!source->result)
		source->result = eg_report_send(source->sync, false);
	if (!source->result && !watch->canceled)
		eg_report_state(source->sync, false);
	eg_sync_end(source->sync);
	return source->result;
}

static int probe(struct source *source)
{
	struct eg_etcd_range range = {0};
	struct eg_error err = {0};
	int r;

	if (eg_sync_now_ms() < source->probe_ms)
		return 0;
	source->probe_ms = eg_sync_now_ms() + PROBE_MS;
	while (strcmp(eg_etcd_endpoint(source->probe), eg_etcd_endpoint(source->etcd)) != 0)
		eg_etcd_next(source->probe);
	r = eg_etcd_get(source->probe, source->state_key, &range, &err);
	if (r >= 0)
		eg_etcd_range_clear(&range);
	else if (strcmp(err.code, "unreachable") != 0)
		r = 0; /* it answers: whatever it says, it is there */
	/* another member answered in its place: the one that is watched is cut off, or gone */
	if (strcmp(eg_etcd_endpoint(source->probe), eg_etcd_endpoint(source->etcd)) != 0)
		r = -EIO;
	eg_error_clear(&err);
	return r < 0 ? -EIO : 0;
}

static int on_idle(void *ctx)
{
	struct source *source = ctx;

	source->result = eg_sync_idle(source->sync);
	if (source->result)
		return 1;
	if (!probe(source))
		return 0;
	eg_etcd_next(source->etcd);
	return 1;
}

/* ---- Kills, while policies are put ------------------------------------------------ */

static int add_kill(void *ctx, const struct eg_etcd_kv *kv)
{
	struct source *source = ctx;
	struct eg_document *document = NULL;
	int r = read_document(source, kv, &document);

	return r || !document ? r : eg_sync_kill(source->sync, document);
}

/* The watch, or the next range, shows them again; then they are no news. */
static int between(void *ctx)
{
	struct source *source = ctx;
	struct eg_error err = {0};
	int r = eg_etcd_since(source->probe, source->prefixes[1], source->seen + 1, add_kill, source, &err);

	if (!r)
		r = eg_etcd_since(source->probe, source->own_kills, source->seen + 1, add_kill, source, &err);
	eg_error_clear(&err);
	return r == -EPIPE ? r : 0;
}

/* ---- The loop ------------------------------------------------ */

/* One range and the watch after it. 0: to be begun again. */
static int follow(struct source *source, unsigned *pause_ms, struct eg_error *err)
{
	struct eg_etcd_stream stream = {
		.prefixes = (const char *const *)source->prefixes,
		.on_watch = on_watch,
		.on_idle = on_idle,
		.ctx = source,
	};
	uint64_t revision;

	if (read_all(source, &revision, err))
		return eg_sync_connection(source->sync, false, eg_etcd_endpoint(source->etcd), err->message);
	*pause_ms = EG_SOURCE_PAUSE_MIN_MS;
	source->sync->connected = true;
	source->sync->message[0] = '\0';
	snprintf(source->sync->endpoint, sizeof(source->sync->endpoint), "%s", eg_etcd_endpoint(source->etcd));
	source->seen = revision;
	source->result = eg_sync_replace(source->sync, &source->desired, revision);
	if (source->result)
		return source->result;
	eg_report_state(source->sync, true);
	source->probe_ms = eg_sync_now_ms() + PROBE_MS;
	stream.from_revision = revision + 1;
	eg_etcd_watch(source->etcd, &stream, err);
	return source->result;
}

static int source_open(struct source *source)
{
	const char *prefix = source->sync->control->prefix, *host = source->sync->host;

	if (asprintf(&source->prefixes[0], "%spolicies/", prefix) < 0 ||
	    asprintf(&source->prefixes[1], "%skills/", prefix) < 0 ||
	    asprintf(&source->prefixes[2], "%shosts/%s/", prefix, host) < 0 ||
	    asprintf(&source->own_kills, "%shosts/%s/kills/", prefix, host) < 0 ||
	    asprintf(&source->state_key, "%sstate/%s", prefix, host) < 0)
		return -ENOMEM;
	if (eg_etcd_new(source->sync->control, &source->sync->credentials, &source->etcd) ||
	    eg_etcd_new(source->sync->control, &source->sync->credentials, &source->probe))
		return -ENOMEM;
	return eg_state_etcd_start(source->sync->control, &source->sync->credentials, source->state_key,
				   &source->sync->state);
}

static void source_close(struct source *source)
{
	eg_state_stop(source->sync->state);
	source->sync->state = NULL;
	eg_etcd_free(source->etcd);
	eg_etcd_free(source->probe);
	eg_desired_clear(&source->desired);
	for (int i = 0; i < 3; i++)
		free(source->prefixes[i]);
	free(source->own_kills);
	free(source->state_key);
}

int eg_source_etcd_run(struct eg_sync *sync)
{
	struct source source = {.sync = sync};
	unsigned pause_ms = EG_SOURCE_PAUSE_MIN_MS;
	int r = source_open(&source);

	sync->between = between;
	sync->between_ctx = &source; /* cppcheck-suppress autoVariables ; nobody looks between after the run */
	while (!r) {
		struct eg_error err = {0};

		r = follow(&source, &pause_ms, &err);
		if (!r) {
			eg_log_info("the watch is begun again: %s", err.message);
			r = eg_source_pause(sync, &pause_ms);
		}
		eg_error_clear(&err);
	}
	source_close(&source);
	return r;
}

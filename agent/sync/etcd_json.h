/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd_json.h - what etcd's JSON gateway (v3) is asked and answers; pure
 *
 * Keys and values are base64, 64-bit numbers are texts, members with their default are left out: a PUT
 * event has no type. Nothing of an answer is believed to be there, or to be of its type.
 */
#ifndef EG_SYNC_ETCD_JSON_H
#define EG_SYNC_ETCD_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eg_etcd_kv {
	char *key;   /* NUL-terminated; a key with a NUL in it is left out */
	char *value; /* NUL-terminated after value_len bytes */
	size_t value_len;
	uint64_t mod_revision;
	bool gone; /* of a watch: it was deleted, or its lease ended */
};

struct eg_etcd_range {
	uint64_t revision; /* of the store, when it answered */
	bool more;
	struct eg_etcd_kv *kvs;
	size_t count;
};

struct eg_etcd_watch {
	bool created;
	bool canceled;
	uint64_t watch_id;
	uint64_t compact_revision; /* of a watch that began before it */
	uint64_t revision;
	char reason[256];	   /* of the cancel, or of an error that ended the stream; "" */
	struct eg_etcd_kv *events; /* in order */
	size_t count;
};

/* The key after all that begin with prefix, for "range_end"; caller frees. */
char *eg_etcd_prefix_end(const char *prefix);
/* {"key", ...}; end NULL: that key alone; limit, revision 0: left out. NULL without memory. */
json_t *eg_etcd_range_body(const char *key, const char *end, uint64_t limit, uint64_t revision);
/* Only keys that were written at this revision or after it. */
json_t *eg_etcd_since_body(const char *key, const char *end, uint64_t since);
json_t *eg_etcd_watch_body(const char *key, const char *end, uint64_t from_revision, uint64_t watch_id);
/* lease 0: none. */
json_t *eg_etcd_put_body(const char *key, const char *value, size_t len, uint64_t lease);

/* 0; -EBADMSG: no such answer; -ENOMEM. */
int eg_etcd_range_parse(const json_t *answer, struct eg_etcd_range *ret);
void eg_etcd_range_clear(struct eg_etcd_range *range);
/* One line of the stream. */
int eg_etcd_watch_parse(const char *line, size_t len, struct eg_etcd_watch *ret);
void eg_etcd_watch_clear(struct eg_etcd_watch *watch);
/* "ID" or "revision" of an answer, as a number; 0: not there. */
uint64_t eg_etcd_number(const json_t *object, const char *member);

#endif

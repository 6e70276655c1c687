/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_config.h - where events go to: one entry of the configuration's "sinks"
 *
 * egretd reads it to refuse what is wrong before it starts anything; egret-ship reads the same text
 * again and acts on it. Secrets are never in it: files are named, and read when they are needed.
 */
#ifndef EG_LIB_SINK_CONFIG_H
#define EG_LIB_SINK_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define EG_SINKS_MAX	 32
#define EG_SINK_NAME_LEN 32 /* [a-z0-9][a-z0-9_-]*, with NUL */

enum eg_sink_type {
	EG_SINK_FILE,
	EG_SINK_HEC, /* Splunk HTTP event collector */
	EG_SINK_ELASTIC, /* Elasticsearch and OpenSearch _bulk */
	EG_SINK_OTLP, /* OpenTelemetry logs, HTTP and JSON */
	EG_SINK_LOKI,
	EG_SINK_SYSLOG, /* RFC 5424 */
	EG_SINK_WEBHOOK, /* NDJSON by POST */
	EG_SINK_COUNT_
};

enum eg_sink_schema { EG_SCHEMA_EGRET, EG_SCHEMA_ECS, EG_SCHEMA_OCSF, EG_SCHEMA_COUNT_ };

/* Every string is owned; NULL where it was not given and has no default. Lists end with NULL; NULL is "all". */
struct eg_sink_config {
	char name[EG_SINK_NAME_LEN];
	enum eg_sink_type type;
	enum eg_sink_schema schema;

	/* Which events */
	char **types; /* "flow", "deny" ... */
	char **apps; /* globs */
	char **verdicts; /* "allow", "deny", "audit" */
	bool flows_full; /* "flows": "full"; else allowed flows are rolled up ... */
	uint64_t rollup_ns; /* ... over this long: 1 s .. 1 h, default 60 s */

	/* What of them */
	char **drop; /* members of the event (native names) that are left out */
	char **hash; /* members replaced by their HMAC-SHA-256 under hash_key_file, 32 hex digits */
	char *hash_key_file;

	/* Where to: url of all but `file` (syslog: unix:/path, udp://, tcp://, tls://host:port) */
	char *url;
	char *proxy; /* http://host:port; NULL: none (the environment is never asked) */
	char *ca_file; /* "tls": {"ca", "cert", "key"}; NULL: the host's */
	char *cert_file;
	char *key_file;
	char *token_file; /* HEC token, bearer token, Elasticsearch ApiKey */
	char *username; /* basic authentication, with password_file */
	char *password_file;
	char *tenant; /* Loki: X-Scope-OrgID */
	json_t *headers; /* object of strings, further HTTP headers; NULL: none */
	char *content_type; /* webhook; default application/x-ndjson */
	bool gzip; /* "compression": "gzip" (default of hec, elasticsearch, loki) or "none" */
	bool ack; /* hec: wait for the indexer's acknowledgement */
	char *index; /* hec, elastic: index (elastic: may hold %Y %m %d of the event's day); default egret-%Y.%m.%d */
	char *source; /* hec */
	char *sourcetype; /* hec */
	json_t *labels; /* loki, otlp: fixed labels / resource attributes, object of strings; NULL: none */
	uint8_t facility; /* syslog: 0 .. 23, default 16 (local0) */
	uint64_t timeout_ns; /* of one request, all of it: 1 s .. 10 min, default 30 s */

	/* How much at once: at most 1,000 events, 512 KiB, and what waited 1 s, by default */
	uint32_t batch_events;
	uint32_t batch_bytes;
	uint64_t batch_ns;
	uint64_t dead_bytes; /* bound of the dead-letter file; default 16 MiB */

	/* file */
	char *path;
	uint64_t rotate_bytes; /* default 64 MiB */
	uint64_t rotate_ns; /* default 1 day; UTC days */
	uint64_t keep_bytes; /* of rotated files; 0: no bound; default 1 GiB */
	uint64_t keep_ns; /* default 30 days */
};

struct eg_sinks_config {
	struct eg_sink_config *sinks;
	size_t count;
};

/*
 * value: the array under "sinks". 0, or -EINVAL with *err filled (code "bad_config"; the sentence names
 * the file `place` and the key, such as sinks[1].tls.ca), or -ENOMEM. Files that are named are not opened.
 */
int eg_sinks_config_parse(const char *place, const json_t *value, struct eg_sinks_config *ret, struct eg_error *err);
void eg_sinks_config_free(struct eg_sinks_config *sinks);

/* Credentials of this sink would cross a network in plain text: fine to somebody, but to be said. */
bool eg_sink_config_exposed(const struct eg_sink_config *sink);

const char *eg_sink_type_name(enum eg_sink_type type); /* "file", "hec", "elasticsearch", "otlp", "loki", "syslog", "webhook" */

#endif

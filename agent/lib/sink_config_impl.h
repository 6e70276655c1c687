/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_config_impl.h - how the values of a sink's keys are read
 */
#ifndef EG_LIB_SINK_CONFIG_IMPL_H
#define EG_LIB_SINK_CONFIG_IMPL_H

#include "sink_config.h"

/* Where a value stands, for errors. */
struct eg_sink_reader {
	const char *place; /* the file */
	size_t index; /* in "sinks" */
	const char *section; /* "", or "tls." */
	struct eg_sink_config *sink;
	struct eg_error *err;
};

struct eg_sink_key {
	const char *name;
	int (*read)(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
	size_t offset; /* in struct eg_sink_config, of the type that read fills */
	uint64_t min;
	uint64_t max;
	unsigned types; /* bits 1 << enum eg_sink_type of those that have it; 0: all */
};

/* Sets the error; returns -EINVAL. text is the rest of a sentence about the key. */
int eg_sink_config_complain(const struct eg_sink_reader *reader, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- sink_config_value.c: readers of one value each ------------------------------------------- */

int eg_sink_config_read_name(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_schema(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_text(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
/* An absolute path. */
int eg_sink_config_read_path(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
/* A list of words of these forms; "types": known types, "verdicts": known verdicts, else names and globs. */
int eg_sink_config_read_list(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
/* An object of strings. */
int eg_sink_config_read_map(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_flows(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_span(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
/* A uint64_t; key->min 0: "off" is 0. */
int eg_sink_config_read_size(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
/* The same into a uint32_t. */
int eg_sink_config_read_size32(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_u32(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_bool(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_compression(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);
int eg_sink_config_read_facility(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value);

/* ---- sink_config_check.c: what can be wrong only once a sink is read whole ----------------------- */

int eg_sink_config_check(const struct eg_sink_reader *reader);

#endif

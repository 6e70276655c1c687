/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_impl.h - how the values of the configuration's keys are read
 */
#ifndef EG_CORE_CONFIG_IMPL_H
#define EG_CORE_CONFIG_IMPL_H

#include "config.h"

/* Where a value stands, for errors. */
struct eg_config_reader {
	struct eg_config *config;
	const char *place; /* the file, or the flag */
	bool flag;
	const char *section; /* "", or "events." */
	struct eg_error *err;
};

struct eg_config_key {
	const char *name;
	int (*read)(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
	size_t offset; /* in struct eg_config, of the type that read fills */
	uint64_t min;
	uint64_t max;
};

/* Sets the error; returns -EINVAL. text is the rest of a sentence about the key. */
int eg_config_complain(const struct eg_config_reader *reader, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define EG_CONFIG_ROOT_WANTED \
	"must be the path of a cgroup below the cgroup2 mount, such as \"microapps.slice\""

/* -EINVAL: no path of a cgroup. */
int eg_config_append_root(struct eg_config *config, const char *path);

/* ---- config_value.c: readers of one value each -------------------------------------------- */

int eg_config_read_text(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_u32(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_mark(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_days(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_size(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_ring(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_span(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
/* The same, and "off" is 0. */
int eg_config_read_span_or_off(const struct eg_config_reader *reader, const struct eg_config_key *key,
			       const json_t *value);
/* "on" is false and "off" is true: fills a bool that says what is left out. */
int eg_config_read_off(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_level(const struct eg_config_reader *reader, const struct eg_config_key *key,
			 const json_t *value);
int eg_config_read_host(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value);
int eg_config_read_listen(const struct eg_config_reader *reader, const struct eg_config_key *key,
			  const json_t *value);
int eg_config_read_labels(const struct eg_config_reader *reader, const struct eg_config_key *key,
			  const json_t *value);

/* "deny", "audit", "pass". */
int eg_config_unknown_of(const struct eg_config_reader *reader, const char *key, const json_t *value,
			 enum eg_unknown *ret);

/* ---- config_alerts.c ----------------------------------------------------------------------- */

int eg_config_read_alerts(const struct eg_config_reader *reader, const struct eg_config_key *key,
			  const json_t *value);
void eg_config_free_alerts(struct eg_config *config);

/* ---- config_key.c --------------------------------------------------------------------------- */

/* Every key of the file, from the root object. */
int eg_config_read_root(const struct eg_config_reader *reader, const json_t *root);
/* A key of the root object that a flag may set, or NULL. */
const struct eg_config_key *eg_config_key_find(const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes_json.h - names of others' choosing in JSON
 *
 * The name of a cgroup or of a file may have any bytes, JSON has UTF-8 alone, and jansson makes nothing of anything
 * else: what is named so would be left out of answers, and hide.
 */
#ifndef EG_CORE_BYTES_JSON_H
#define EG_CORE_BYTES_JSON_H

#include <jansson.h>
#include <stddef.h>

/* A string; what is not UTF-8 becomes U+FFFD, as in events. NULL without memory. */
json_t *eg_bytes_json(const char *bytes, size_t len);

#endif

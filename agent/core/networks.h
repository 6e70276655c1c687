/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks.h - networks that the configuration gives names: {"eu-db": {"cidrs": [...], "region": "eu-1"}}
 *
 * Pure. Prefixes are flattened into one sorted table of ranges, of which each address is in exactly one (the longest
 * prefix wins), so that a look-up is one binary search and needs no memory: it is done for every event.
 */
#ifndef EG_CORE_NETWORKS_H
#define EG_CORE_NETWORKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <egret/abi.h>

#define EG_NETWORKS_MAX	      256
#define EG_NETWORKS_CIDRS_MAX 65536 /* of all together */
#define EG_NETWORK_TEXT_MAX   176 /* members of an event */

struct eg_networks;

struct eg_network {
	char name[64]; /* as a label's value */
	char region[64]; /* the same; "": none */
	char owner[256]; /* "": none */
	char text[EG_NETWORK_TEXT_MAX]; /* `,"network":{"name":"eu-db","region":"eu-1"}` */
	size_t text_len;
	size_t index; /* 0 .. eg_networks_count - 1 */
};

/* value: the object. -EINVAL with a sentence in why that says what is wrong where; -ENOMEM. */
int eg_networks_parse(const json_t *value, struct eg_networks **ret, char *why, size_t size);
void eg_networks_free(struct eg_networks *networks);

/* NULL: it is in none, or networks is NULL. */
const struct eg_network *eg_networks_find(const struct eg_networks *networks, const struct eg_addr *addr);

size_t eg_networks_count(const struct eg_networks *networks); /* NULL: 0 */
/* Whether there is one of that name or, if that is "", in that region. */
bool eg_networks_has(const struct eg_networks *networks, const char *name, const char *region);
const struct eg_network *eg_networks_at(const struct eg_networks *networks, size_t index);

#endif

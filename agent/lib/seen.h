/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.h - events of the log, added up: whom an app reached, or tried to, and how often
 *
 * What `policy suggest` writes rules for, and what `policy plan` asks a new policy about. An
 * event is added once, in the log's order, so that an answer of DNS comes before the flows to
 * its addresses: a flow without a name has the name that its app had last asked the address for.
 */
#ifndef EG_LIB_SEEN_H
#define EG_LIB_SEEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "cleanup.h"

#define EG_SEEN_MAX 20000 /* different ones */

struct eg_seen_one {
	bool ingress;
	bool dns; /* a question for `name`, and no flow */
	bool own; /* loopback, or what goes to a resolver: rule is "self" or "dns" */
	char proto[16];
	struct eg_addr peer;
	char peer_text[EG_ADDR_TEXT];
	unsigned port; /* the peer's; of ingress the app's own; of ICMP the type */
	char *name; /* or NULL */
	uint64_t allowed; /* flows, or questions */
	uint64_t audited; /* the same, let through by audit alone */
	uint64_t spared; /* packets and calls that audit let through: some of them in those flows */
	uint64_t denied; /* packets and calls, for want of a rule */
	uint64_t bytes;
	char first[40]; /* ts */
	char last[40];
};

struct eg_seen {
	struct eg_seen_one *ones;
	size_t count;
	size_t room;
	uint64_t events; /* that were looked at */
	uint64_t left_out; /* of these beyond EG_SEEN_MAX */
	json_t *index; /* text of its key -> place */
	json_t *flows; /* flow_id -> bytes that were counted */
	json_t *names; /* address -> name */
};

/* Zero-initialise; clear frees. */
void eg_seen_clear(struct eg_seen *seen);
/* An event of type flow, deny or dns; others are passed over. 0 or -ENOMEM. */
int eg_seen_add(struct eg_seen *seen, const json_t *event);
/* Sorts: direction, protocol, name, address, port. No event may be added after it. */
void eg_seen_sort(struct eg_seen *seen);

#endif

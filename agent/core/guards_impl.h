/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guards_impl.h - what guards.c and guards_others.c share
 */
#ifndef EG_CORE_GUARDS_IMPL_H
#define EG_CORE_GUARDS_IMPL_H

#include <net/if.h>
#include <pthread.h>
#include <sys/types.h>

#include <egret/abi.h>

#include "guards.h"

/* A namespace as one app uses it. */
struct eg_guards_space {
	uint64_t inode;
	struct eg_guards_owner owner;
	uint64_t seen_ns; /* boot: a process of the app was in it */
	uint64_t looked_ns; /* boot: its links were listed */
	uint64_t others_ns; /* boot: others were looked for */
	bool shared;
	bool living; /* of the last look for others: the app's own */
	pid_t stranger; /* of the last look; 0: none */
	char stranger_app[EG_APP_NAME_LEN];
	bool covered;
	char why[160];
};

struct eg_guards_item {
	uint32_t ifindex;
	struct eg_guards_owner owner;
	uint64_t inode; /* 0: of an agent before this one, not met yet */
	char name[IF_NAMESIZE];
};

struct eg_guards {
	struct eg_agent *agent;
	struct eg_guards_space *spaces; /* sorted by inode */
	size_t space_count;
	size_t space_room;
	size_t next; /* guard to be checked */
	pthread_mutex_t lock; /* of what follows, against readers; the only writer reads without */
	struct eg_guards_item *items;
	size_t count;
	size_t room;
	uint64_t restored;
};

static inline bool eg_guards_same_owner(const struct eg_guards_owner *a, const struct eg_guards_owner *b)
{
	return a->slot == b->slot && a->gen == b->gen;
}

/* Place of the first space with that inode, or where it would be. */
static inline size_t eg_guards_first(const struct eg_guards *guards, uint64_t inode)
{
	size_t low = 0, high = guards->space_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (guards->spaces[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether some interface of the namespace is guarded. */
static inline bool eg_guards_has(const struct eg_guards *guards, uint64_t inode)
{
	for (size_t i = 0; i < guards->count; i++) {
		if (guards->items[i].inode == inode)
			return true;
	}
	return false;
}

/*
 * Looks through the host's processes for others in the namespaces, and sets `shared`. only: NULL
 * for all spaces that were looked at before, or that one.
 */
void eg_guards_look_for_others(struct eg_guards *guards, struct eg_guards_space *only);

#endif

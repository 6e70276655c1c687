/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guards.h - which namespaces are guarded, and for whom
 *
 * One caller at a time, except for the readers at the end.
 */
#ifndef EG_CORE_GUARDS_H
#define EG_CORE_GUARDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eg_agent;
struct eg_netns;
struct eg_guards;

struct eg_guards_owner {
	uint32_t slot;
	uint32_t gen;
};

/* Takes up the guards of adopted maps, with our programs in place of the older ones. 0 or -errno. */
int eg_guards_new(struct eg_agent *agent, struct eg_guards **ret);
/* The guards stay in force. NULL is fine. */
void eg_guards_free(struct eg_guards *guards);

/*
 * Guards the interfaces that lead out of a namespace in which the app has a process. True: what
 * leaves it is judged again, or nothing can. Else why: a clause about the namespace.
 */
bool eg_guards_cover(struct eg_guards *guards, const struct eg_guards_owner *owner, const struct eg_netns *netns,
		     bool anew, char *why, size_t size);
/* After an administrator in it was refused: takes off the guards of namespaces that the app shares with others. */
void eg_guards_release(struct eg_guards *guards, const struct eg_guards_owner *owner);
/* Every second: guards that somebody took off are put back, those without an app or interface go. */
void eg_guards_check(struct eg_guards *guards);

/* ---- Readers: thread-safe, NULL is fine --------------------------------------------------- */

size_t eg_guards_count(struct eg_guards *guards);
uint64_t eg_guards_restored(struct eg_guards *guards); /* put back since the agent's start */
/* Names of the app's interfaces that are guarded. */
json_t *eg_guards_json(struct eg_guards *guards, uint32_t slot, uint32_t gen);

#endif

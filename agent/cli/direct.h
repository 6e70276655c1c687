/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct.h - a kill by one store to the pinned maps, with no agent
 */
#ifndef EG_CLI_DIRECT_H
#define EG_CLI_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include <egret/abi.h>

#include "../lib/error.h"

struct eg_direct {
	bool seen; /* the app has a slot, so a word was stored */
	bool already; /* it was there before */
	uint32_t slot;
	uint32_t gen;
	uint64_t stored_us; /* from opening the maps to the store */
};

/*
 * Adds EG_HOLD_LOCAL to the app's kill word; other layers stay. 0 also when the app isn't known
 * to the kernel (seen is false). -errno with *err: nothing was stored, or it can't be sure.
 */
int eg_direct_kill(const char *bpffs, const char *app, struct eg_direct *ret, struct eg_error *err);

/* The same for every app: eg_host_ctl.kill_all. */
int eg_direct_kill_all(const char *bpffs, struct eg_direct *ret, struct eg_error *err);

/* The store itself; returns what the word was before. Pure. */
uint64_t eg_direct_raise(uint64_t *word, uint32_t gen, uint32_t layers);

#endif

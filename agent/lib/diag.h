/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - what is wrong with a text that somebody wrote: where, what, and the fix
 */
#ifndef EG_LIB_DIAG_H
#define EG_LIB_DIAG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum eg_diag_level { EG_DIAG_ERROR, EG_DIAG_WARNING, EG_DIAG_INFO };

struct eg_diag {
	enum eg_diag_level level;
	const char *code; /* stable, of a lint (lint.def); NULL: "invalid" */
	unsigned line; /* from 1; 0: the text as a whole */
	unsigned column; /* from 1, in bytes */
	char path[160]; /* "egress[1].ports[0]", or "" */
	char message[320]; /* one sentence */
	char fix[240]; /* what to write instead, or "" */
};

#define EG_DIAGS_MAX 100 /* kept; further ones are counted */

/* Zero-initialise; eg_diags_clear frees. */
struct eg_diags {
	char *file; /* name to show, or NULL */
	struct eg_diag *items;
	size_t count;
	size_t dropped;
	size_t errors; /* dropped ones included */
};

void eg_diags_clear(struct eg_diags *diags);
/* Adds a copy. What memory can't be had for is counted as dropped. */
void eg_diags_add(struct eg_diags *diags, const struct eg_diag *diag);
/* [{"level","code","file","line","column","path","message","fix"}...], new reference; NULL without memory. */
json_t *eg_diags_json(const struct eg_diags *diags);
/* The same without what is only for information. */
json_t *eg_diags_warnings_json(const struct eg_diags *diags);
/* "FILE:LINE:COLUMN: error: PATH: MESSAGE (FIX) [CODE]" of one of them. Returns ret. */
const char *eg_diag_text(const struct eg_diags *diags, const struct eg_diag *diag, char *ret, size_t size);

#endif

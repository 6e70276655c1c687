/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - one line on a terminal about work that takes long: how far it is
 *
 * It is there only while standard error is a terminal, begins after PROGRESS_AFTER_NS, so that what is
 * quick never shows it, and is wiped out before anything else is said.
 */
#ifndef EG_CLI_PROGRESS_H
#define EG_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct eg_progress {
	FILE *out; /* NULL: nobody looks */
	const char *what; /* "policies put in force" */
	uint64_t total; /* 0: not known */
	uint64_t begun_ns;
	uint64_t told_ns;
	bool shown;
};

void eg_progress_begin(struct eg_progress *progress, FILE *err, const char *what, uint64_t total);
/* As often as one likes. */
void eg_progress_tell(struct eg_progress *progress, uint64_t done);
/* Says at once what is waited for, of which no more is known until it is there. */
void eg_progress_wait(struct eg_progress *progress);
/* Wipes the line out; what follows may tell again. */
void eg_progress_wipe(struct eg_progress *progress);

#endif

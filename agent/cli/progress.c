// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_AFTER_NS 500000000ull
#define PROGRESS_EVERY_NS 200000000ull

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void eg_progress_begin(struct eg_progress *progress, FILE *err, const char *what, uint64_t total)
{
	*progress = (struct eg_progress){.what = what, .total = total, .begun_ns = now_ns()};
	if (isatty(fileno(err)))
		progress->out = err;
}

void eg_progress_tell(struct eg_progress *progress, uint64_t done)
{
	uint64_t now;

	if (!progress->out)
		return;
	now = now_ns();
	if (now - progress->begun_ns < PROGRESS_AFTER_NS || now - progress->told_ns < PROGRESS_EVERY_NS)
		return;
	progress->told_ns = now;
	progress->shown = true;
	if (progress->total)
		fprintf(progress->out, "\r\033[K%" PRIu64 " of %" PRIu64 " %s", done, progress->total, progress->what);
	else
		fprintf(progress->out, "\r\033[K%" PRIu64 " %s", done, progress->what);
	fflush(progress->out);
}

void eg_progress_wait(struct eg_progress *progress)
{
	if (!progress->out)
		return;
	progress->shown = true;
	fprintf(progress->out, "\r\033[K%s ...", progress->what);
	fflush(progress->out);
}

void eg_progress_wipe(struct eg_progress *progress)
{
	if (!progress->shown)
		return;
	progress->shown = false;
	fputs("\r\033[K", progress->out);
	fflush(progress->out);
}

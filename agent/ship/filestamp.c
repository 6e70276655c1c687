// SPDX-License-Identifier: Apache-2.0
#include "filestamp.h"

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

void eg_filestamp_of(const struct stat *st, struct eg_filestamp *ret)
{
	*ret = (struct eg_filestamp){
		.dev = st->st_dev, .ino = st->st_ino, .size = st->st_size, .mtime = st->st_mtim, .ctime = st->st_ctim};
}

void eg_filestamp_take(const char *path, struct eg_filestamp *ret)
{
	struct stat st;

	*ret = (struct eg_filestamp){0};
	if (stat(path, &st) == 0)
		eg_filestamp_of(&st, ret);
}

bool eg_filestamp_differs(const struct eg_filestamp *stamp, const char *path)
{
	struct eg_filestamp now;

	eg_filestamp_take(path, &now);
	return now.dev != stamp->dev || now.ino != stamp->ino || now.size != stamp->size ||
	       !same_time(&now.mtime, &stamp->mtime) || !same_time(&now.ctime, &stamp->ctime);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filestamp.h - has a file changed since we read it?
 */
#ifndef EG_SHIP_FILESTAMP_H
#define EG_SHIP_FILESTAMP_H

#include <stdbool.h>
#include <sys/stat.h>

/* Zero-initialised: of no file, so that the first look finds a change. */
struct eg_filestamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct timespec ctime;
};

/*
 * Is this another file, or other content, than the stamp says? Follows links, so that a link that is switched to
 * another directory (as Kubernetes does with secrets) counts. A file that is not there has the stamp of no file.
 */
bool eg_filestamp_differs(const struct eg_filestamp *stamp, const char *path);

void eg_filestamp_of(const struct stat *st, struct eg_filestamp *ret);
/* Of a path; of no file where there is none. */
void eg_filestamp_take(const char *path, struct eg_filestamp *ret);

#endif

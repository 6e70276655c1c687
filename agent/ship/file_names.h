/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_names.h - what a file sink's files are called, and which of them are there
 *
 * events.ndjson is written to. One that is full becomes events-20261125T120000Z-000123.ndjson: when it was
 * closed (UTC), and a number one higher than any before, which orders the files whatever the clock did; compressed
 * it has .gz behind that. ".tmp" behind .gz is a compression that was not finished, and worth nothing.
 */
#ifndef EG_SHIP_FILE_NAMES_H
#define EG_SHIP_FILE_NAMES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Made from the sink's path. */
struct eg_file_names {
	char dir[PATH_MAX];
	char stem[NAME_MAX + 1]; /* "events" */
	char ext[NAME_MAX + 1]; /* ".ndjson", or "" */
	char live[NAME_MAX + 1]; /* "events.ndjson" */
};

/* A rotated file. */
struct eg_file_old {
	uint64_t number;
	uint64_t closed_s; /* UTC, as its name says */
	bool plain; /* without .gz; both only between the last two steps of a compression */
	bool gz;
	uint64_t plain_bytes;
	uint64_t gz_bytes;
};

enum eg_file_form { EG_FILE_PLAIN, EG_FILE_GZ, EG_FILE_TMP };

/* -ENAMETOOLONG; -EINVAL: path names no file. */
int eg_file_names_init(const char *path, struct eg_file_names *ret);

void eg_file_names_old(const struct eg_file_names *names, uint64_t closed_s, uint64_t number, enum eg_file_form form,
		       char ret[NAME_MAX + 1]);

/* True: name is one of ours. */
bool eg_file_names_parse(const struct eg_file_names *names, const char *name, struct eg_file_old *ret,
			 enum eg_file_form *ret_form);

/*
 * The rotated files in dirfd, the oldest first; *ret is malloc'd, NULL if there is none. Unfinished compressions are
 * deleted when `tidy`. Symbolic links and the like are passed over. -errno.
 */
int eg_file_names_scan(const struct eg_file_names *names, int dirfd, bool tidy, struct eg_file_old **ret,
		       size_t *ret_count);

#endif

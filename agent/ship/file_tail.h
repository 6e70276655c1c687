/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_tail.h - the end of what a file sink wrote before it was started
 *
 * A sink that was killed may have left half a line; and whole lines whose batch the engine will send again, because
 * the cursor had not moved yet. The half line is cut off. The whole ones are kept in memory until the first line
 * comes that is not among them, so that none is written twice.
 */
#ifndef EG_SHIP_FILE_TAIL_H
#define EG_SHIP_FILE_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EG_FILE_TAIL_MAX (4u << 20) /* bytes of one line, and then some */

/*
 * Cuts off what follows the last newline. 1: *ret_cut bytes went; 0: nothing to do; -EBADMSG: no newline in
 * the last EG_FILE_TAIL_MAX bytes, or not lines of ours: nothing was cut; -errno.
 */
int eg_file_tail_mend(int fd, uint64_t *ret_cut);

struct eg_file_tail;

/*
 * The last max bytes of two files, one behind the other; before: -1 for none. *ret is NULL if both are empty. -errno.
 */
int eg_file_tail_read(int before, int fd, size_t max, struct eg_file_tail **ret);
void eg_file_tail_free(struct eg_file_tail *tail);

/* The whole line (without newline) is there at *at or behind it; *at (0 to begin with) then is the end of it. */
bool eg_file_tail_has(const struct eg_file_tail *tail, const char *line, size_t len, size_t *at);

#endif

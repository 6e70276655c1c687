/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - a token or a password, kept in a file of its own
 *
 * Read when it is needed first, and again when the file changed. It goes into one request header and nowhere else.
 */
#ifndef EG_SHIP_SECRET_H
#define EG_SHIP_SECRET_H

#include <stdbool.h>

#include "../lib/error.h"
#include "filestamp.h"

#define EG_SECRET_MAX 4096 /* bytes of the file */

/* Zero-initialise, then set key and path (borrowed). */
struct eg_secret {
	const char *key; /* of the configuration, for errors: "token_file" */
	const char *path;
	char *text; /* without white space around it: printable ASCII, never empty; NULL until read */
	struct eg_filestamp stamp;
};

/*
 * Reads the file if it is not the one that was read last (or `again`). 1: there is a new text; 0: it is as it was;
 * -errno with *err filled: there is no text now. *err names the key and the file, never what is in it.
 */
int eg_secret_read(struct eg_secret *secret, bool again, struct eg_error *err);

/* Forgets the text: overwritten, then freed. Of a string that is no longer needed, the same. */
void eg_secret_drop(struct eg_secret *secret);
void eg_secret_wipe(char *text);

#endif

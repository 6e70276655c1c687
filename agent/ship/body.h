/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.h - text that grows: the body of a request, or of an answer
 *
 * Once memory is short it says so in `failed` and takes nothing more; ask at the end, not at each step.
 */
#ifndef EG_SHIP_BODY_H
#define EG_SHIP_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Zero-initialise. */
struct eg_body {
	char *data; /* NUL-terminated, beyond len; NULL while nothing was added */
	size_t len;
	size_t size;
	bool failed;
};

void eg_body_add(struct eg_body *body, const void *data, size_t len);
void eg_body_text(struct eg_body *body, const char *text);
/* Up to 255 bytes. */
void eg_body_format(struct eg_body *body, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As JSON: a value, in compact form; a text (valid UTF-8) as a string with its quotes. */
void eg_body_json(struct eg_body *body, const json_t *value);
void eg_body_string(struct eg_body *body, const char *text);
/* The gzip form (RFC 1952) of data, without a time or a name: the same for the same data. */
void eg_body_gzip(struct eg_body *body, const void *data, size_t len);

/* Empty again; keeps the memory. */
void eg_body_reset(struct eg_body *body);
void eg_body_free(struct eg_body *body);

#endif

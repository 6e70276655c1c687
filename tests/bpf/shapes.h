/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shapes.h - messages made by hand: well formed unless asked otherwise
 */
#ifndef EG_TESTS_BPF_SHAPES_H
#define EG_TESTS_BPF_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shape {
	size_t len;
	uint8_t b[20480];
};

void shape_u8(struct shape *m, unsigned value);
void shape_u16(struct shape *m, unsigned value);
void shape_bytes(struct shape *m, const void *bytes, size_t len);
void shape_text(struct shape *m, const char *text);
void shape_fill(struct shape *m, size_t len);
/* Big endian, over what is there. */
void shape_set16(struct shape *m, size_t at, unsigned value);

struct shape_hello {
	const char *name; /* NULL: no server_name */
	unsigned session_len;
	unsigned suites; /* 0: 16 */
	unsigned before; /* extensions before server_name */
	unsigned before_len; /* bytes of data in each */
	unsigned after;
	unsigned after_len;
	bool grease; /* RFC 8701: in suites and extensions */
	bool ech; /* an encrypted_client_hello, before server_name */
	bool no_extensions;
};

/* A ClientHello in one record. Returns where the bytes of its name end (0: none). */
size_t shape_hello(struct shape *m, const struct shape_hello *hello);
/* Sets the record's, the handshake's and the extensions' lengths again after bytes were added at the end. */
void shape_hello_close(struct shape *m);
/* One server_name extension with one name. */
void shape_server_name(struct shape *m, const char *name, size_t len);

#endif

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

/* ---- DNS ---- */

#define SHAPE_QUESTION 0xc00c /* pointer to the question's name */

struct shape_dns {
	const char *name;
	unsigned id;
	unsigned flags;
	unsigned type;
	unsigned records; /* in the answer section; the caller adds them */
	bool edns;
};

/* Header and question, or a whole query. */
void shape_dns(struct shape *m, const struct shape_dns *dns);
/* Labels and the root; no check of anything. */
void shape_dns_name(struct shape *m, const char *name);
/* A record of class IN, its owner a pointer; `m` grows by its data. */
void shape_dns_record(struct shape *m, unsigned owner, unsigned type, uint32_t ttl, const void *data, size_t len);
void shape_dns_opt(struct shape *m);
/* SvcPriority 1, TargetName "."; the parameters follow, then shape_dns_close. Returns where the record is. */
size_t shape_dns_service(struct shape *m, unsigned type, uint32_t ttl);
void shape_dns_param(struct shape *m, unsigned key, const void *value, size_t len);
/* Sets the length of the record at `at`, which ends here. */
void shape_dns_close(struct shape *m, size_t at);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parsers.h - runs the kernel side's parsers on a message, by BPF_PROG_TEST_RUN
 */
#ifndef EG_TESTS_BPF_PARSERS_H
#define EG_TESTS_BPF_PARSERS_H

#include <stddef.h>
#include <stdint.h>

#define PX_MSG_MAX  8192
#define PX_ADDR_MAX 64

enum px_kind { PX_TLS, PX_HTTP, PX_DNS_QUERY, PX_DNS_ANSWER, PX_KIND_COUNT_ };

/* enum eg_hello of bpf/hello.h, which only the kernel side can include. */
enum px_hello { HELLO_OK, HELLO_HELD, HELLO_NOT, HELLO_UNNAMED, HELLO_COUNT_ };

/* What a parser found, the loaded one or the reference. */
struct px_found {
	int result; /* enum px_hello, or of DNS enum eg_reason */
	char name[256]; /* "" unless the result says that there is one */
	uint16_t id; /* what follows is DNS's, when the reason is NONE */
	uint16_t qtype;
	uint16_t rcode;
	uint16_t bare;
	uint32_t addr_count;
	uint32_t ttl_s[PX_ADDR_MAX];
	uint8_t addr[PX_ADDR_MAX][16];
};

struct px;

/* NULL: an error was printed. */
struct px *px_open(void);
void px_close(struct px *px);
const char *px_name(enum px_kind kind);

/*
 * At most PX_MSG_MAX bytes. Behind them the parser sees what earlier messages left. When there is a
 * name, its forms (forwards, backwards, hash) are checked against each other.
 */
void px_run(struct px *px, enum px_kind kind, const void *msg, size_t len, struct px_found *ret);

/* Instructions that the verifier looked at when it loaded the parser. */
unsigned px_verified(const struct px *px, enum px_kind kind);

#endif

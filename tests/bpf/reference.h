/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference.h - the same questions answered by plain C, written from the RFCs
 *
 * Shares no code and no method with bpf/: a mistake has to be made twice to go unseen.
 */
#ifndef EG_TESTS_BPF_REFERENCE_H
#define EG_TESTS_BPF_REFERENCE_H

#include "parsers.h"

void reference_tls(const uint8_t *msg, size_t len, struct px_found *ret);
void reference_http(const uint8_t *msg, size_t len, struct px_found *ret);
void reference_dns_query(const uint8_t *msg, size_t len, struct px_found *ret);
void reference_dns_answer(const uint8_t *msg, size_t len, struct px_found *ret);

/*
 * 0: `text` is a host name and `ret` its lower-case form; -1: it is none. `open`: more may follow, so
 * a last label that is empty or all digits is no fault.
 */
int reference_name(const uint8_t *text, size_t len, int open, char ret[256]);

#endif

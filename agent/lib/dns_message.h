/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_message.h - a DNS query for one name, and what its answer says (RFC 1035)
 *
 * For the look-ups of `prefetch`. Pure, bounded by the message, allocates nothing: it runs where
 * bytes of the network are read, without privileges (lookup_helper.c).
 */
#ifndef EG_LIB_DNS_MESSAGE_H
#define EG_LIB_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#define EG_DNS_A    1
#define EG_DNS_AAAA 28

#define EG_DNS_QUERY_MAX 512
#define EG_DNS_UDP_MAX   1232 /* what we say that we take (EDNS): no fragments on any usual path */
#define EG_DNS_ADDRS_MAX 64

struct eg_dns_question {
	char name[EG_NAME_SIZE]; /* lower case, no dot at its end, NUL-terminated */
	uint16_t type; /* EG_DNS_A or EG_DNS_AAAA */
	uint16_t id;
};

struct eg_dns_address {
	struct eg_addr addr;
	uint32_t ttl_s;
};

struct eg_dns_answer {
	uint8_t rcode;
	bool truncated; /* there may be more than this */
	uint16_t count;
	struct eg_dns_address addrs[EG_DNS_ADDRS_MAX]; /* those beyond are left out */
};

/* Returns the query's length, or -EINVAL: that is no name. edns: with an OPT record (RFC 6891). */
int eg_dns_query(const struct eg_dns_question *question, bool edns, uint8_t ret[EG_DNS_QUERY_MAX]);

/*
 * Takes the addresses of the asked type from the answer section, whatever names their records
 * have: that of the question, or those its CNAMEs lead to. 0; -ENOMSG: it is no answer to this
 * question (another id, name, type or kind of message); -EBADMSG: it breaks off, or contradicts
 * itself. ret is then untouched. A truncated one may break off: then what came before counts.
 */
int eg_dns_answer_read(const uint8_t *message, size_t len, const struct eg_dns_question *question,
		       struct eg_dns_answer *ret);

#endif

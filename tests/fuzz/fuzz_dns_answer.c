// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the answer to a look-up of `prefetch`: what is taken from it is bounded, has the
 * form of the type that was asked, and each address stands in the message as it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/lib/addr.h"
#include "../../agent/lib/dns_message.h"

#define CHECK(condition)             \
	do {                         \
		if (!(condition))    \
			abort();     \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *message, size_t len, const struct eg_dns_question *question)
{
	size_t address_len = question->type == EG_DNS_A ? 4 : 16;
	struct eg_dns_answer answer;

	memset(&answer, 0xa5, sizeof(answer));
	if (eg_dns_answer_read(message, len, question, &answer) < 0) {
		CHECK(answer.count == 0xa5a5);
		return;
	}
	CHECK(answer.count <= EG_DNS_ADDRS_MAX && answer.rcode <= 15);
	CHECK(!answer.rcode || !answer.count);
	for (size_t i = 0; i < answer.count; i++) {
		const struct eg_addr *addr = &answer.addrs[i].addr;

		CHECK(answer.addrs[i].ttl_s <= 0x7fffffff);
		CHECK(eg_addr_v4mapped(addr) == (question->type == EG_DNS_A));
		CHECK(memmem(message, len, &addr->b[16 - address_len], address_len));
	}
}

/*
 * The first byte chooses the type, and whether the head and the question are put in order, without
 * which few inputs would get past them.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eg_dns_question question = {.name = "api.example.com", .id = 0x1234};
	uint8_t head[EG_DNS_QUERY_MAX], *message;
	int len;

	if (!size)
		return 0;
	question.type = data[0] & 1 ? EG_DNS_AAAA : EG_DNS_A;
	if (!(data[0] & 2)) {
		check(data + 1, size - 1, &question);
		return 0;
	}
	len = eg_dns_query(&question, false, head);
	CHECK(len > 0);
	message = malloc((size_t)len + size);
	CHECK(message);
	memcpy(message, head, (size_t)len);
	memcpy(message + len, data + 1, size - 1);
	message[2] |= 0x80;
	message[2] |= data[0] & 4 ? 2 : 0; /* truncated */
	message[7] = data[0] >> 3; /* records */
	check(message, (size_t)len + size - 1, &question);
	free(message);
	return 0;
}

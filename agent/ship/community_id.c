// SPDX-License-Identifier: Apache-2.0
/*
 * community_id.c - one name for a flow, whichever end and whichever tool saw it
 *
 * Community ID v1: SHA-1 over seed, addresses, protocol and ports, with the smaller end first, so that both
 * directions give the same. ICMP has no ports: a message and the one that answers it take their place; a
 * message without an answer has its code there, and keeps its direction.
 */
#include "schema.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <nettle/base64.h>
#include <nettle/sha1.h>

#include "../lib/addr.h"
#include "schema_form.h"

#define SEED 0

struct end {
	struct eg_addr addr;
	uint16_t port;
};

struct flow {
	struct end from, to;
	uint8_t proto;
	bool ports;
	bool one_way;
};

struct pair {
	uint8_t asks;
	uint8_t answers;
};

/* A router's advertisement over IPv4 counts as unasked: so it does in the specification's reference. */
static const struct pair icmp_pairs[] = {{8, 0},   {0, 8},  {13, 14}, {14, 13}, {15, 16},
					 {16, 15}, {10, 9}, {17, 18}, {18, 17}};
static const struct pair icmpv6_pairs[] = {{128, 129}, {129, 128}, {133, 134}, {134, 133}, {135, 136}, {136, 135},
					   {130, 131}, {131, 130}, {139, 140}, {140, 139}, {144, 145}, {145, 144}};

static bool take_u16(const json_t *event, const char *name, uint16_t *ret)
{
	const json_t *value = json_object_get(event, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT16_MAX)
		return false;
	*ret = (uint16_t)json_integer_value(value);
	return true;
}

static bool take_addr(const json_t *event, const char *name, struct eg_addr *ret)
{
	const char *text = json_string_value(json_object_get(event, name));

	return text && eg_addr_from_text(text, ret) == 0;
}

static bool take_icmp(const json_t *event, struct flow *flow)
{
	bool v6 = flow->proto == IPPROTO_ICMPV6;
	const struct pair *pairs = v6 ? icmpv6_pairs : icmp_pairs;
	size_t count = v6 ? sizeof(icmpv6_pairs) / sizeof(pairs[0]) : sizeof(icmp_pairs) / sizeof(pairs[0]);

	if (!take_u16(event, "icmp_type", &flow->from.port) || !take_u16(event, "icmp_code", &flow->to.port))
		return false;
	flow->one_way = true;
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].asks != flow->from.port)
			continue;
		flow->to.port = pairs[i].answers;
		flow->one_way = false;
		break;
	}
	return true;
}

static bool take_flow(const json_t *event, struct flow *ret)
{
	int proto = eg_form_protocol(event);

	if (proto < 0 || !take_addr(event, "src", &ret->from.addr) || !take_addr(event, "dst", &ret->to.addr))
		return false;
	if (eg_addr_v4mapped(&ret->from.addr) != eg_addr_v4mapped(&ret->to.addr))
		return false;
	ret->proto = (uint8_t)proto;
	switch (proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		ret->ports = true;
		return take_icmp(event, ret);
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		ret->ports = true;
		return take_u16(event, "src_port", &ret->from.port) && take_u16(event, "dst_port", &ret->to.port);
	default:
		return true;
	}
}

/* Whether the end that is hashed first is `from`. */
static bool in_order(const struct flow *flow)
{
	int order = memcmp(&flow->from.addr, &flow->to.addr, sizeof(flow->from.addr));

	return flow->one_way || order < 0 || (order == 0 && flow->from.port < flow->to.port);
}

static void hash_flow(const struct flow *flow, uint8_t ret[SHA1_DIGEST_SIZE])
{
	const struct end *first = in_order(flow) ? &flow->from : &flow->to;
	const struct end *second = first == &flow->from ? &flow->to : &flow->from;
	size_t skip = eg_addr_v4mapped(&first->addr) ? 12 : 0; /* IPv4 is hashed as its four bytes */
	const uint16_t seed_be = htobe16(SEED), ports_be[] = {htobe16(first->port), htobe16(second->port)};
	const uint8_t proto[] = {flow->proto, 0};
	struct sha1_ctx sha1;

	sha1_init(&sha1);
	sha1_update(&sha1, sizeof(seed_be), (const uint8_t *)&seed_be);
	sha1_update(&sha1, sizeof(first->addr) - skip, first->addr.b + skip);
	sha1_update(&sha1, sizeof(second->addr) - skip, second->addr.b + skip);
	sha1_update(&sha1, sizeof(proto), proto);
	if (flow->ports)
		sha1_update(&sha1, sizeof(ports_be), (const uint8_t *)ports_be);
	sha1_digest(&sha1, SHA1_DIGEST_SIZE, ret);
}

int eg_community_id(const json_t *event, char ret[EG_COMMUNITY_ID_LEN])
{
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct flow flow = {0};

	_Static_assert(2 + BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) < EG_COMMUNITY_ID_LEN, "room for an id");
	if (!take_flow(event, &flow))
		return -ENOENT;
	hash_flow(&flow, digest);
	memcpy(ret, "1:", 2);
	base64_encode_raw(ret + 2, sizeof(digest), digest);
	ret[2 + BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE)] = 0;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool eg_addr_v4mapped(const struct eg_addr *addr)
{
	return memcmp(addr->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool eg_addr_loopback(const struct eg_addr *addr)
{
	static const struct eg_addr one = {.b = {[15] = 1}};

	return memcmp(addr, &one, sizeof(one)) == 0 || (eg_addr_v4mapped(addr) && addr->b[12] == 127);
}

/* inet_pton(3) takes neither leading zeros nor octal nor zone ids. */
int eg_addr_from_text(const char *text, struct eg_addr *ret)
{
	struct eg_addr addr;

	if (inet_pton(AF_INET, text, addr.b + 12) == 1)
		memcpy(addr.b, v4_prefix, sizeof(v4_prefix));
	else if (inet_pton(AF_INET6, text, addr.b) != 1)
		return -EINVAL;
	*ret = addr;
	return 0;
}

const char *eg_addr_to_text(const struct eg_addr *addr, char ret[EG_ADDR_TEXT])
{
	if (eg_addr_v4mapped(addr))
		inet_ntop(AF_INET, addr->b + 12, ret, EG_ADDR_TEXT);
	else
		inet_ntop(AF_INET6, addr->b, ret, EG_ADDR_TEXT);
	return ret;
}

/* A decimal number without sign or leading zero, at most max. */
static int number_from_text(const char *text, unsigned max, unsigned *ret)
{
	unsigned value = 0;
	size_t digits = 0;

	for (; text[digits] >= '0' && text[digits] <= '9' && digits < 6; digits++)
		value = value * 10 + (unsigned)(text[digits] - '0');
	if (!digits || text[digits] || (text[0] == '0' && digits > 1))
		return -EINVAL;
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* Clears what lies beyond bits; returns whether there was anything. */
static bool mask(struct eg_addr *addr, unsigned bits)
{
	bool had = false;

	for (unsigned i = bits / 8; i < sizeof(addr->b); i++) {
		uint8_t keep = (uint8_t)(i == bits / 8 ? 0xff00u >> bits % 8 : 0);

		had |= (addr->b[i] & ~keep) != 0;
		addr->b[i] = (uint8_t)(addr->b[i] & keep);
	}
	return had;
}

int eg_cidr_from_text(const char *text, struct eg_cidr *ret)
{
	const char *slash = strchr(text, '/');
	struct eg_cidr cidr = {.bits = 128};
	char addr[EG_ADDR_TEXT];
	unsigned bits, base;

	if (!slash) {
		if (eg_addr_from_text(text, &cidr.addr) < 0)
			return -EINVAL;
		*ret = cidr;
		return 0;
	}
	if ((size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (eg_addr_from_text(addr, &cidr.addr) < 0)
		return -EINVAL;
	base = strchr(addr, ':') ? 0 : 96;
	switch (number_from_text(slash + 1, 128 - base, &bits)) {
	case -EINVAL:
		return -EINVAL;
	case -ERANGE:
		return -ERANGE;
	}
	/* "::ffff:10.0.0.0/104" is 10.0.0.0/8; a shorter one would be IPv4 and more */
	if (base == 0 && eg_addr_v4mapped(&cidr.addr) && bits < 96)
		return -ERANGE;
	cidr.bits = (uint8_t)(base + bits);
	if (mask(&cidr.addr, cidr.bits)) {
		*ret = cidr;
		return -EDOM;
	}
	*ret = cidr;
	return 0;
}

const char *eg_cidr_to_text(const struct eg_cidr *cidr, char ret[EG_ADDR_TEXT])
{
	bool v4 = eg_addr_v4mapped(&cidr->addr) && cidr->bits >= 96;
	size_t length;

	eg_addr_to_text(&cidr->addr, ret);
	if (cidr->bits == 128)
		return ret;
	length = strlen(ret);
	snprintf(ret + length, EG_ADDR_TEXT - length, "/%u", v4 ? cidr->bits - 96u : cidr->bits);
	return ret;
}

static bool is_v4(const struct eg_cidr *cidr)
{
	return cidr->bits >= 96 && eg_addr_v4mapped(&cidr->addr);
}

bool eg_cidr_covers(const struct eg_cidr *outer, const struct eg_cidr *inner)
{
	struct eg_addr masked = inner->addr;

	if (inner->bits < outer->bits || is_v4(outer) != is_v4(inner))
		return false;
	mask(&masked, outer->bits);
	return memcmp(&masked, &outer->addr, sizeof(masked)) == 0;
}

int eg_cidr_compare(const struct eg_cidr *a, const struct eg_cidr *b)
{
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : (int)a->bits - (int)b->bits;
}

int eg_addr_port_from_text(const char *text, struct eg_addr *ret, uint16_t *ret_port)
{
	const char *port = NULL, *end = text + strlen(text);
	char addr[EG_ADDR_TEXT];
	unsigned number = 0;
	size_t length;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
	} else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
		end = strchr(text, ':');
		port = end + 1;
	}
	length = (size_t)(end - text);
	if (length >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, length);
	addr[length] = '\0';
	if (port && (number_from_text(port, 65535, &number) < 0 || !number))
		return -EINVAL;
	if (eg_addr_from_text(addr, ret) < 0)
		return -EINVAL;
	*ret_port = (uint16_t)number;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "shapes.h"

void shape_dns_name(struct shape *m, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		shape_u8(m, (unsigned)len);
		shape_bytes(m, name, len);
		name += len + (name[len] == '.');
	}
	shape_u8(m, 0);
}

void shape_dns_opt(struct shape *m)
{
	shape_bytes(m, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
}

void shape_dns(struct shape *m, const struct shape_dns *dns)
{
	m->len = 0;
	shape_u16(m, dns->id);
	shape_u16(m, dns->flags);
	shape_u16(m, 1);
	shape_u16(m, dns->records);
	shape_u16(m, 0);
	shape_u16(m, dns->edns);
	shape_dns_name(m, dns->name);
	shape_u16(m, dns->type);
	shape_u16(m, 1);
	if (dns->edns)
		shape_dns_opt(m);
}

void shape_dns_record(struct shape *m, unsigned owner, unsigned type, uint32_t ttl, const void *data, size_t len)
{
	shape_u16(m, owner);
	shape_u16(m, type);
	shape_u16(m, 1);
	shape_u16(m, ttl >> 16);
	shape_u16(m, ttl);
	shape_u16(m, (unsigned)len);
	shape_bytes(m, data, len);
}

size_t shape_dns_service(struct shape *m, unsigned type, uint32_t ttl)
{
	size_t at = m->len;

	shape_dns_record(m, SHAPE_QUESTION, type, ttl, "\0\1", 3);
	return at;
}

void shape_dns_param(struct shape *m, unsigned key, const void *value, size_t len)
{
	shape_u16(m, key);
	shape_u16(m, (unsigned)len);
	shape_bytes(m, value, len);
}

void shape_dns_close(struct shape *m, size_t at)
{
	shape_set16(m, at + 10, (unsigned)(m->len - at - 12));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * RFC 8446's presentation language, one function for each structure: a slice has the bytes that its
 * length announces, of which only the first few may have come.
 */
#include <string.h>

#include "reference.h"

enum status { FINE, SHORT, BAD };

struct slice {
	const uint8_t *bytes;
	size_t announced;
	size_t came;
};

struct hello {
	int names; /* server_name extensions seen whole */
	struct slice name;
};

static enum status cut(struct slice *from, size_t n, struct slice *ret)
{
	if (n > from->announced)
		return BAD;
	ret->bytes = from->bytes;
	ret->announced = n;
	ret->came = n < from->came ? n : from->came;
	from->bytes += ret->came;
	from->announced -= n;
	from->came -= ret->came;
	return FINE;
}

static enum status number(struct slice *from, size_t size, size_t *ret)
{
	struct slice digits;
	enum status r = cut(from, size, &digits);

	if (r != FINE)
		return r;
	if (digits.came < size)
		return SHORT;
	*ret = 0;
	while (size--)
		*ret = *ret * 256 + *digits.bytes++;
	return FINE;
}

/* opaque x<min..max> whose length takes `size` bytes. */
static enum status vector(struct slice *from, size_t size, size_t min, size_t max, struct slice *ret)
{
	size_t len;
	enum status r = number(from, size, &len);

	if (r != FINE)
		return r;
	if (len < min || len > max)
		return BAD;
	return cut(from, len, ret);
}

/* ServerNameList with one HostName. */
static enum status server_name(struct slice data, struct hello *ret)
{
	struct slice list, name;
	enum status r;
	size_t type;

	if (ret->names || data.announced < 6)
		return BAD;
	r = vector(&data, 2, 4, 65535, &list);
	if (r != FINE)
		return r;
	if (data.announced)
		return BAD;
	r = number(&list, 1, &type);
	if (r != FINE)
		return r;
	if (type != 0)
		return BAD;
	r = vector(&list, 2, 1, 251, &name);
	if (r != FINE)
		return r;
	if (list.announced)
		return BAD;
	if (name.came < name.announced)
		return SHORT;
	ret->names = 1;
	ret->name = name;
	return FINE;
}

static enum status extensions(struct slice hello, struct hello *ret)
{
	struct slice block;
	enum status r;

	if (!hello.announced)
		return FINE;
	r = vector(&hello, 2, 0, 65535, &block);
	if (r != FINE)
		return r;
	if (hello.announced)
		return BAD;
	while (block.announced) {
		struct slice data;
		size_t type;

		r = number(&block, 2, &type);
		if (r == FINE)
			r = vector(&block, 2, 0, 65535, &data);
		if (r == FINE && type == 0)
			r = server_name(data, ret);
		else if (r == FINE && data.came < data.announced)
			r = SHORT;
		if (r != FINE)
			return r;
	}
	return FINE;
}

static enum status client_hello(struct slice hello, struct hello *ret)
{
	struct slice random, session, suites, compression;
	enum status r;
	size_t version;

	r = number(&hello, 2, &version);
	if (r != FINE)
		return r;
	if (version != 0x301 && version != 0x302 && version != 0x303)
		return BAD;
	r = cut(&hello, 32, &random);
	if (r == FINE && random.came < 32)
		r = SHORT;
	if (r == FINE)
		r = vector(&hello, 1, 0, 32, &session);
	if (r == FINE && session.came < session.announced)
		r = SHORT;
	if (r == FINE)
		r = vector(&hello, 2, 2, 65534, &suites);
	if (r == FINE && suites.announced % 2)
		r = BAD;
	if (r == FINE && suites.came < suites.announced)
		r = SHORT;
	if (r == FINE)
		r = vector(&hello, 1, 1, 255, &compression);
	if (r == FINE && compression.came < compression.announced)
		r = SHORT;
	return r == FINE ? extensions(hello, ret) : r;
}

static enum status record(const uint8_t *msg, size_t len, struct hello *ret)
{
	struct slice all = {.bytes = msg, .announced = (size_t)-1, .came = len}, fragment, hello;
	size_t type, version;
	enum status r;

	r = number(&all, 1, &type);
	if (r != FINE)
		return r;
	if (type != 22)
		return BAD;
	r = number(&all, 2, &version);
	if (r != FINE)
		return r;
	if (version != 0x301 && version != 0x302 && version != 0x303)
		return BAD;
	r = vector(&all, 2, 0, 16384, &fragment);
	if (r != FINE)
		return r;
	r = number(&fragment, 1, &type);
	if (r != FINE)
		return r;
	if (type != 1)
		return BAD;
	r = vector(&fragment, 3, 0, 16380, &hello);
	if (r != FINE)
		return r;
	return fragment.announced ? BAD : client_hello(hello, ret);
}

void reference_tls(const uint8_t *msg, size_t len, struct px_found *ret)
{
	struct hello hello = {0};
	enum status r = record(msg, len, &hello);

	memset(ret, 0, sizeof(*ret));
	ret->result = HELLO_NOT;
	if (r == BAD)
		return;
	if (hello.names) {
		if (!reference_name(hello.name.bytes, hello.name.announced, 0, ret->name))
			ret->result = HELLO_OK;
		return;
	}
	if (r == FINE)
		ret->result = HELLO_UNNAMED;
	else if (len < PX_MSG_MAX)
		ret->result = HELLO_HELD;
}

// SPDX-License-Identifier: Apache-2.0
#include "networks.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/cleanup.h"
#include "../lib/labels.h"

#define NONE (-1)

/* An address as two numbers, so that it can be compared and counted with. */
struct point {
	uint64_t hi, lo;
};

struct prefix {
	struct eg_cidr cidr;
	int network;
};

/* From here to the next range. */
struct range {
	struct point start;
	int network; /* NONE: of no network */
};

struct eg_networks {
	struct eg_network *list;
	size_t count;
	struct prefix *prefixes; /* while it is read */
	size_t prefix_count;
	struct range *ranges;
	size_t range_count;
};

EG_DEFINE_CLEANUP(networks, struct eg_networks *, eg_networks_free);

void eg_networks_free(struct eg_networks *networks)
{
	if (!networks)
		return;
	free(networks->list);
	free(networks->prefixes);
	free(networks->ranges);
	free(networks);
}

/* ---- Ranges -------------------------------------------------------------------------------------------- */

static struct point point_of(const struct eg_addr *addr)
{
	return (struct point){be64toh(addr->d_be[0]), be64toh(addr->d_be[1])};
}

static bool before(const struct point *a, const struct point *b)
{
	return a->hi != b->hi ? a->hi < b->hi : a->lo < b->lo;
}

/* The first address behind the prefix; false: there is none. */
static bool end_of(const struct eg_cidr *cidr, struct point *ret)
{
	struct point end = point_of(&cidr->addr);

	if (cidr->bits > 64) {
		end.lo += 1ull << (128 - cidr->bits);
		end.hi += !end.lo;
	} else if (cidr->bits) {
		end.hi += 1ull << (64 - cidr->bits);
	} else {
		return false;
	}
	*ret = end;
	return end.hi || end.lo;
}

/* A range that is empty is overwritten by the one behind it; one like the range before it is part of that. */
static void add_range(struct eg_networks *networks, struct point start, int network)
{
	struct range *last = networks->range_count ? &networks->ranges[networks->range_count - 1] : NULL;

	if (last && !before(&last->start, &start)) {
		last->network = network;
		return;
	}
	if (last && last->network == network)
		return;
	networks->ranges[networks->range_count++] = (struct range){start, network};
}

static bool reaches(const struct prefix *prefix, const struct point *at)
{
	struct point end;

	return !end_of(&prefix->cidr, &end) || before(at, &end);
}

/*
 * Prefixes are nested or apart. Sorted (address, then shorter first) they open in order; before one opens, those that
 * end at or before its start close, and what is around them goes on.
 */
static void flatten(struct eg_networks *networks)
{
	const struct prefix *open[129]; /* one of each length at most */
	struct point end;
	size_t depth = 0;

	for (size_t i = 0; i <= networks->prefix_count; i++) {
		const struct prefix *next = i < networks->prefix_count ? &networks->prefixes[i] : NULL;
		struct point start = next ? point_of(&next->cidr.addr) : (struct point){0};

		while (depth && (!next || !reaches(open[depth - 1], &start))) {
			bool ends = end_of(&open[--depth]->cidr, &end);

			if (ends)
				add_range(networks, end, depth ? open[depth - 1]->network : NONE);
		}
		if (!next)
			break;
		add_range(networks, start, next->network);
		if (depth && eg_cidr_compare(&open[depth - 1]->cidr, &next->cidr) == 0)
			depth--; /* said twice */
		open[depth++] = next;
	}
}

const struct eg_network *eg_networks_find(const struct eg_networks *networks, const struct eg_addr *addr)
{
	const struct point at = point_of(addr);
	size_t low = 0, high;

	if (!networks)
		return NULL;
	high = networks->range_count; /* the first that begins behind `at` is in low .. high */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (before(&at, &networks->ranges[middle].start))
			high = middle;
		else
			low = middle + 1;
	}
	if (!low || networks->ranges[low - 1].network == NONE)
		return NULL;
	return &networks->list[networks->ranges[low - 1].network];
}

size_t eg_networks_count(const struct eg_networks *networks)
{
	return networks ? networks->count : 0;
}

const struct eg_network *eg_networks_at(const struct eg_networks *networks, size_t index)
{
	return &networks->list[index];
}

bool eg_networks_has(const struct eg_networks *networks, const char *name, const char *region)
{
	for (size_t i = 0; i < eg_networks_count(networks); i++) {
		const struct eg_network *network = &networks->list[i];

		if (name[0] ? strcmp(network->name, name) == 0 : strcmp(network->region, region) == 0)
			return true;
	}
	return false;
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

struct reader {
	struct eg_networks *networks;
	const char *name;
	char *why;
	size_t size;
};

static int complain(const struct reader *reader, const char *words, const char *what)
{
	snprintf(reader->why, reader->size, "\"%.64s\" %s%.80s", reader->name, words, what);
	for (char *c = reader->why; *c; c++) { /* a name that is refused may have any bytes */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return -EINVAL;
}

static int read_cidrs(const struct reader *reader, const json_t *list, int network)
{
	struct eg_networks *networks = reader->networks;
	struct prefix *more;
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return complain(reader, "needs \"cidrs\", a list such as [\"10.20.0.0/16\"]", "");
	if (networks->prefix_count + json_array_size(list) > EG_NETWORKS_CIDRS_MAX)
		return complain(reader, "makes too many prefixes: 65536 may be in all networks together", "");
	more = reallocarray(networks->prefixes, networks->prefix_count + json_array_size(list), sizeof(*more));
	if (!more)
		return -ENOMEM;
	networks->prefixes = more;
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);
		struct prefix *prefix = &networks->prefixes[networks->prefix_count];

		if (!text || eg_cidr_from_text(text, &prefix->cidr))
			return complain(reader, "has what is no address or prefix (with no bits behind its length): ", text ? text : "no text");
		prefix->network = network;
		networks->prefix_count++;
	}
	return 0;
}

static int read_word(const struct reader *reader, const json_t *object, const char *key, char *ret, size_t size)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	if (!value)
		return 0;
	if (!text || !text[0] || strlen(text) >= size)
		return complain(reader, "has a wrong text: ", key);
	strcpy(ret, text);
	return 0;
}

static int read_network(const struct reader *reader, const json_t *object, struct eg_network *network)
{
	const char *key;
	json_t *value;
	int r;

	if (!eg_labels_word(reader->name))
		return complain(reader, "can't be a network's name: [A-Za-z0-9._/-]{1,63}", "");
	if (!json_is_object(object))
		return complain(reader, "must be an object, such as {\"cidrs\": [\"10.20.0.0/16\"], \"region\": \"eu-1\"}", "");
	json_object_foreach((json_t *)object, key, value) {
		if (strcmp(key, "cidrs") != 0 && strcmp(key, "region") != 0 && strcmp(key, "owner") != 0)
			return complain(reader, "has a key that is none; there are \"cidrs\", \"region\" and \"owner\", not ", key);
	}
	strcpy(network->name, reader->name);
	r = read_word(reader, object, "region", network->region, sizeof(network->region));
	if (!r && network->region[0] && !eg_labels_word(network->region))
		r = complain(reader, "has a region that is not [A-Za-z0-9._/-]{1,63}", "");
	if (!r)
		r = read_word(reader, object, "owner", network->owner, sizeof(network->owner));
	if (!r)
		r = read_cidrs(reader, json_object_get(object, "cidrs"), (int)network->index);
	/* None of these has a character that JSON escapes. */
	network->text_len = (size_t)snprintf(network->text, sizeof(network->text), ",\"network\":{\"name\":\"%s\"%s%s%s}",
					     network->name, network->region[0] ? ",\"region\":\"" : "", network->region,
					     network->region[0] ? "\"" : "");
	return r;
}

/* Of the same prefix NONE comes first, and gives way to a network. */
static int by_address(const void *a, const void *b)
{
	const struct prefix *one = a, *other = b;
	int order = eg_cidr_compare(&one->cidr, &other->cidr);

	return order ? order : one->network - other->network;
}

/* An IPv6 prefix never holds IPv4, though that is within its numbers: 0.0.0.0/0 is of no network, unless one says so. */
static int add_ipv4(struct eg_networks *networks)
{
	struct prefix *more = reallocarray(networks->prefixes, networks->prefix_count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	networks->prefixes = more;
	more[networks->prefix_count].network = NONE;
	return eg_cidr_from_text("0.0.0.0/0", &more[networks->prefix_count++].cidr);
}

/* What is in two networks is in neither for sure. */
static int check_twice(const struct reader *reader)
{
	const struct eg_networks *networks = reader->networks;
	char text[EG_ADDR_TEXT];

	for (size_t i = 1; i < networks->prefix_count; i++) {
		const struct prefix *a = &networks->prefixes[i - 1], *b = &networks->prefixes[i];

		if (eg_cidr_compare(&a->cidr, &b->cidr) == 0 && a->network != NONE && a->network != b->network) {
			struct reader at = *reader;

			at.name = networks->list[b->network].name;
			return complain(&at, "has a prefix of another network: ", eg_cidr_to_text(&b->cidr, text));
		}
	}
	return 0;
}

static int read_all(struct reader *reader, const json_t *value)
{
	struct eg_networks *networks = reader->networks;
	const char *name;
	json_t *object;
	int r;

	json_object_foreach((json_t *)value, name, object) {
		struct eg_network *network = &networks->list[networks->count];

		network->index = networks->count++;
		reader->name = name;
		r = read_network(reader, object, network);
		if (r)
			return r;
	}
	return 0;
}

int eg_networks_parse(const json_t *value, struct eg_networks **ret, char *why, size_t size)
{
	EG_CLEANUP(eg_cleanup_networks) struct eg_networks *networks = calloc(1, sizeof(*networks));
	struct reader reader = {networks, "", why, size};
	size_t count = json_object_size(value);
	int r;

	if (!json_is_object(value) || count > EG_NETWORKS_MAX) {
		snprintf(why, size, "must be an object of up to %d networks, such as {\"eu-db\": {\"cidrs\": [\"10.20.0.0/16\"]}}",
			 EG_NETWORKS_MAX);
		return -EINVAL;
	}
	if (!networks || !(networks->list = calloc(count + 1, sizeof(*networks->list))))
		return -ENOMEM;
	r = read_all(&reader, value);
	if (r)
		return r;
	r = add_ipv4(networks);
	if (r)
		return r;
	qsort(networks->prefixes, networks->prefix_count, sizeof(*networks->prefixes), by_address);
	r = check_twice(&reader);
	if (r)
		return r;
	networks->ranges = calloc(2 * networks->prefix_count + 1, sizeof(*networks->ranges));
	if (!networks->ranges)
		return -ENOMEM;
	flatten(networks);
	free(EG_TAKE_PTR(networks->prefixes));
	*ret = EG_TAKE_PTR(networks);
	return 0;
}

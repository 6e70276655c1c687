// SPDX-License-Identifier: Apache-2.0
#include "seen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void eg_seen_clear(struct eg_seen *seen)
{
	for (size_t i = 0; i < seen->count; i++)
		free(seen->ones[i].name);
	free(seen->ones);
	json_decref(seen->index);
	json_decref(seen->flows);
	json_decref(seen->names);
	*seen = (struct eg_seen){0};
}

static const char *text(const json_t *event, const char *key)
{
	const char *value = json_string_value(json_object_get(event, key));

	return value ? value : "";
}

static uint64_t number(const json_t *event, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(event, key));
}

static bool is(const json_t *event, const char *key, const char *value)
{
	return strcmp(text(event, key), value) == 0;
}

/* ---- Which one ----------------------------------------------------------------------------- */

static int begin(struct eg_seen *seen)
{
	if (seen->index)
		return 0;
	seen->index = json_object();
	seen->flows = json_object();
	seen->names = json_object();
	return seen->index && seen->flows && seen->names ? 0 : -ENOMEM;
}

static int add_one(struct eg_seen *seen, const struct eg_seen_one *like, const char *key, struct eg_seen_one **ret)
{
	struct eg_seen_one *one;

	if (seen->count == seen->room) {
		size_t room = seen->room ? 2 * seen->room : 64;
		struct eg_seen_one *ones = reallocarray(seen->ones, room, sizeof(*ones));

		if (!ones)
			return -ENOMEM;
		seen->ones = ones;
		seen->room = room;
	}
	one = &seen->ones[seen->count];
	*one = *like;
	one->name = like->name ? strdup(like->name) : NULL;
	if ((like->name && !one->name) ||
	    json_object_set_new(seen->index, key, json_integer((json_int_t)seen->count))) {
		free(one->name);
		return -ENOMEM;
	}
	seen->count++;
	*ret = one;
	return 0;
}

/* *ret NULL: there are too many, and it is none of them. */
static int find(struct eg_seen *seen, const struct eg_seen_one *like, struct eg_seen_one **ret)
{
	char key[512];
	const json_t *place;

	snprintf(key, sizeof(key), "%d%d%d %s %s %u %s", like->ingress, like->dns, like->own, like->proto,
		 like->peer_text, like->port, like->name ? like->name : "");
	place = json_object_get(seen->index, key);
	*ret = NULL;
	if (place) {
		*ret = &seen->ones[json_integer_value(place)];
		return 0;
	}
	if (seen->count < EG_SEEN_MAX)
		return add_one(seen, like, key, ret);
	seen->left_out++;
	return 0;
}

/* ---- What an event says ------------------------------------------------------------------------ */

/* Refused for want of a rule; not by a kill, a cap, a rate or the policy's end, which no rule changes. */
static bool about_rules(const json_t *event)
{
	static const char *const reasons[] = {"no_rule", "no_rule_port", "no_ingress_rule", "no_grant", "grant_expired",
					      "loopback", "dns_name"};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (is(event, "reason", reasons[i]))
			return true;
	return false;
}

/* The bytes that are news: a flow is told several times. *ret_first: the first time. */
static int news_of(struct eg_seen *seen, const json_t *event, uint64_t *ret_bytes, bool *ret_first)
{
	uint64_t bytes = number(event, "bytes_out") + number(event, "bytes_in"), before;
	const char *id = text(event, "flow_id");
	const json_t *counted = json_object_get(seen->flows, id);

	before = (uint64_t)json_integer_value(counted);
	*ret_first = !counted;
	*ret_bytes = bytes > before ? bytes - before : 0;
	return json_object_set_new(seen->flows, id, json_integer((json_int_t)bytes)) ? -ENOMEM : 0;
}

static bool describe(const struct eg_seen *seen, const json_t *event, struct eg_seen_one *ret)
{
	const char *peer, *name = text(event, "name");
	bool icmp = strncmp(text(event, "proto"), "icmp", 4) == 0;
	bool in = is(event, "direction", "ingress");

	/* an answer to who came in without a rule goes out, and is no new destination */
	ret->ingress = in || is(event, "reason", "no_ingress_rule");
	peer = text(event, in ? "src" : "dst");
	if (eg_addr_from_text(peer, &ret->peer))
		return false;
	snprintf(ret->proto, sizeof(ret->proto), "%s", icmp ? "icmp" : text(event, "proto"));
	snprintf(ret->peer_text, sizeof(ret->peer_text), "%s", peer);
	ret->port = (unsigned)number(event, icmp ? "icmp_type" : ret->ingress && !in ? "src_port" : "dst_port");
	ret->own = is(event, "rule", "self") || is(event, "rule", "dns") ||
		   json_is_true(json_object_get(event, "loopback"));
	if (!*name && !ret->ingress)
		name = text(seen->names, peer);
	ret->name = *name ? (char *)name : NULL;
	return true;
}

static void stamp(struct eg_seen_one *one, const json_t *event)
{
	if (!one->first[0])
		snprintf(one->first, sizeof(one->first), "%s", text(event, "ts"));
	snprintf(one->last, sizeof(one->last), "%s", text(event, "ts"));
}

static int add_flow(struct eg_seen *seen, const json_t *event)
{
	struct eg_seen_one like = {0}, *one = NULL;
	uint64_t bytes;
	bool first;
	int r;

	if (json_is_true(json_object_get(event, "listener")) || !describe(seen, event, &like))
		return 0;
	r = news_of(seen, event, &bytes, &first);
	if (!r)
		r = find(seen, &like, &one);
	if (r || !one)
		return r;
	one->bytes += bytes;
	one->allowed += first && is(event, "verdict", "allow");
	one->audited += first && is(event, "verdict", "audit");
	stamp(one, event);
	return 0;
}

static int add_denial(struct eg_seen *seen, const json_t *event)
{
	struct eg_seen_one like = {0}, *one = NULL;
	int r;

	if (!about_rules(event) || !describe(seen, event, &like))
		return 0;
	r = find(seen, &like, &one);
	if (r || !one)
		return r;
	one->spared += is(event, "verdict", "audit");
	one->denied += is(event, "verdict", "deny");
	stamp(one, event);
	return 0;
}

static int note_addresses(struct eg_seen *seen, const json_t *event, const char *name)
{
	json_t *address;
	size_t i;

	json_array_foreach(json_object_get(event, "addresses"), i, address)
		if (json_object_set_new(seen->names, json_string_value(address), json_string(name)))
			return -ENOMEM;
	return 0;
}

/* An answer names addresses; a question that was refused, or let through by audit, asks for a rule. */
static int add_dns(struct eg_seen *seen, const json_t *event)
{
	const char *name = text(event, "name");
	struct eg_seen_one like = {.dns = true, .proto = "dns", .name = (char *)name}, *one;
	bool learned = is(event, "action", "learned");
	int r;

	if (!*name || is(event, "action", "forged"))
		return 0;
	r = note_addresses(seen, event, name);
	if (r || (!learned && (!is(event, "action", "refused") || !about_rules(event))))
		return r;
	r = find(seen, &like, &one);
	if (r || !one)
		return r;
	one->allowed += learned;
	one->audited += !learned && is(event, "verdict", "audit");
	one->denied += !learned && is(event, "verdict", "deny");
	stamp(one, event);
	return 0;
}

int eg_seen_add(struct eg_seen *seen, const json_t *event)
{
	int r = begin(seen);

	if (r)
		return r;
	seen->events++;
	if (is(event, "type", "flow"))
		return add_flow(seen, event);
	if (is(event, "type", "deny"))
		return add_denial(seen, event);
	return is(event, "type", "dns") ? add_dns(seen, event) : 0;
}

/* ---- Order ----------------------------------------------------------------------------------------- */

static int order(const void *a, const void *b)
{
	const struct eg_seen_one *x = a, *y = b;
	int r = x->ingress - y->ingress;

	if (!r)
		r = x->dns - y->dns;
	if (!r)
		r = strcmp(x->proto, y->proto);
	if (!r)
		r = !x->name - !y->name;
	if (!r && x->name)
		r = strcmp(x->name, y->name);
	if (!r)
		r = memcmp(&x->peer, &y->peer, sizeof(x->peer));
	return r ? r : (x->port > y->port) - (x->port < y->port);
}

void eg_seen_sort(struct eg_seen *seen)
{
	if (seen->count)
		qsort(seen->ones, seen->count, sizeof(*seen->ones), order);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * view_prefix.c - what of a prefix is allowed
 *
 * What the rules say changes only where a prefix of theirs, or of the host's loopback, begins or ends.
 * So the loaded program is asked about the first address of each piece between such places, and
 * neighbours with the same answer are put together. Grants are for single addresses: they are not
 * looked for here, which a note says.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/cleanup.h"
#include "agent_impl.h"
#include "guardrails.h"

#define PLACES_MAX 4096 /* a question each: some ms */
#define PARTS_MAX  256 /* told */

/* ---- Addresses as numbers ------------------------------------------------------------------ */

struct places {
	struct eg_addr *list; /* where a piece begins */
	size_t count;
	size_t room;
};

static void places_clear(struct places *places)
{
	free(places->list);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct eg_addr));
}

/* The address after it; false: it was the last one. */
static bool next(const struct eg_addr *addr, struct eg_addr *ret)
{
	*ret = *addr;
	for (size_t i = sizeof(ret->b); i-- > 0;)
		if (++ret->b[i])
			return true;
	return false;
}

static void previous(const struct eg_addr *addr, struct eg_addr *ret)
{
	*ret = *addr;
	for (size_t i = sizeof(ret->b); i-- > 0;)
		if (ret->b[i]--)
			return;
}

static void last_of(const struct eg_cidr *cidr, struct eg_addr *ret)
{
	*ret = cidr->addr;
	for (unsigned bit = cidr->bits; bit < 128; bit++)
		ret->b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

static int add(struct places *places, const struct eg_addr *addr)
{
	if (places->count == places->room) {
		size_t room = places->room ? 2 * places->room : 64;
		struct eg_addr *list = room > 2 * PLACES_MAX ? NULL : reallocarray(places->list, room, sizeof(*list));

		if (!list)
			return room > 2 * PLACES_MAX ? -E2BIG : -ENOMEM;
		places->list = list;
		places->room = room;
	}
	places->list[places->count++] = *addr;
	return 0;
}

/* Where `inner` begins and ends, if that is within `outer`. */
static int add_ends(struct places *places, const struct eg_cidr *outer, const struct eg_cidr *inner)
{
	struct eg_addr last, after;
	struct eg_cidr end;
	int r = 0;

	if (eg_cidr_covers(outer, inner))
		r = add(places, &inner->addr);
	last_of(inner, &last);
	if (r || !next(&last, &after))
		return r;
	end = (struct eg_cidr){.addr = after, .bits = 128};
	return eg_cidr_covers(outer, &end) ? add(places, &after) : 0;
}

static int add_rules(struct places *places, const struct eg_cidr *asked, const struct eg_applied *now, enum eg_dir dir)
{
	json_t *rules = eg_rules_json(now), *rule, *item;
	const char *key = dir == EG_DIR_EGRESS ? "to" : "from";
	size_t i, j;
	int r = 0;

	json_array_foreach(rules, i, rule)
		json_array_foreach(json_object_get(rule, key), j, item) {
			struct eg_cidr cidr;

			if (!r && !eg_cidr_from_text(json_string_value(item), &cidr))
				r = add_ends(places, asked, &cidr);
		}
	json_decref(rules);
	return r;
}

/* What the host's configuration denies and allows to every app. */
static int add_guardrails(struct places *places, const struct eg_cidr *asked, const struct eg_guardrails *guardrails)
{
	const struct eg_policy *allow = guardrails ? guardrails->allow : NULL;
	int r = 0;

	for (size_t i = 0; !r && guardrails && i < guardrails->deny.cidr_count; i++)
		r = add_ends(places, asked, &guardrails->deny.cidrs[i]);
	for (size_t i = 0; allow && i < allow->rule_count; i++)
		for (size_t j = 0; !r && j < allow->rules[i].cidr_count; j++)
			r = add_ends(places, asked, &allow->rules[i].cidrs[j]);
	return r;
}

/* Sorted, each once. */
static int find_places(const struct eg_agent *agent, const struct eg_cidr *asked, const struct eg_applied *now,
		       enum eg_dir dir, struct places *ret)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1"};
	size_t kept = 0;
	int r = add(ret, &asked->addr);

	for (size_t i = 0; !r && i < 2; i++) {
		struct eg_cidr cidr;

		eg_cidr_from_text(loopback[i], &cidr);
		r = add_ends(ret, asked, &cidr);
	}
	for (size_t i = 0; !r && now && i < now->resolver_count; i++)
		r = add_ends(ret, asked, &(struct eg_cidr){.addr = now->resolvers[i], .bits = 128});
	if (!r)
		r = add_guardrails(ret, asked, eg_agent_config(agent)->guardrails);
	if (!r && now)
		r = add_rules(ret, asked, now, dir);
	if (r)
		return r;
	qsort(ret->list, ret->count, sizeof(*ret->list), compare);
	for (size_t i = 1; i < ret->count; i++)
		if (compare(&ret->list[kept], &ret->list[i]))
			ret->list[++kept] = ret->list[i];
	ret->count = kept + 1;
	return ret->count > PLACES_MAX ? -E2BIG : 0;
}

/* ---- Pieces ------------------------------------------------------------------------------------ */

struct piece {
	struct eg_addr first;
	struct eg_addr last;
	struct eg_question answer;
};

static const char *verdict_of(const struct eg_question *answer)
{
	return answer->reason == EG_REASON_NONE ? "allow" : answer->audited ? "audit" : "deny";
}

static json_t *piece_json(const struct piece *piece, const struct eg_applied *now)
{
	char first[EG_ADDR_TEXT], last[EG_ADDR_TEXT];

	return json_pack("{s:s,s:s,s:s,s:s,s:s?}", "first", eg_addr_to_text(&piece->first, first), "last",
			 eg_addr_to_text(&piece->last, last), "verdict", verdict_of(&piece->answer), "reason",
			 eg_reason_name(piece->answer.reason), "rule", eg_applied_rule_id(now, piece->answer.rule));
}

struct parts {
	json_t *list;
	size_t left_out;
	bool some[3]; /* allow, audit, deny */
};

static void parts_add(struct parts *parts, const struct piece *piece, const struct eg_applied *now)
{
	bool allowed = piece->answer.reason == EG_REASON_NONE;

	parts->some[allowed ? 0 : piece->answer.audited ? 1 : 2] = true;
	if (json_array_size(parts->list) < PARTS_MAX)
		json_array_append_new(parts->list, piece_json(piece, now));
	else
		parts->left_out++;
}

/* Under lock. */
static int ask_all(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_prefix_query *query,
		   const struct places *places, struct parts *ret)
{
	struct piece piece = {0};
	int r = 0;

	for (size_t i = 0; !r && i < places->count; i++) {
		struct eg_question question = {.app = entry->slot, .dir = (uint8_t)query->dir, .proto = query->proto,
					       .port = query->port, .peer = places->list[i]};

		r = eg_kern_explain(agent->kern, &question);
		if (!r && i && question.reason == piece.answer.reason && question.rule == piece.answer.rule)
			continue;
		if (i) {
			previous(&places->list[i], &piece.last);
			parts_add(ret, &piece, entry->now);
		}
		piece.first = places->list[i];
		piece.answer = question;
	}
	last_of(&query->cidr, &piece.last);
	parts_add(ret, &piece, entry->now);
	return r;
}

static json_t *answer_json(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_prefix_query *query,
			   const struct parts *parts)
{
	const struct eg_applied *now = entry->now;
	size_t kinds = (size_t)parts->some[0] + parts->some[1] + parts->some[2];
	const char *verdict = kinds > 1 ? "mixed" : parts->some[0] ? "allow" : parts->some[1] ? "audit" : "deny";
	const char *how = kinds > 1        ? "part of it is allowed"
			  : parts->some[0] ? "all of it is allowed"
					   : "none of it is allowed";

	return json_pack(
		"{s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:O,s:I,s:o,s:o,s:[s]}", "app", entry->name, "dest", query->dest, "proto",
		query->proto_text, "direction", query->dir == EG_DIR_EGRESS ? "egress" : "ingress", "verdict", verdict,
		"sentence", json_sprintf("%s over %s: %s", query->dest, query->proto_text, how), "state",
		eg_registry_state(agent, entry), "parts", parts->list, "left_out", (json_int_t)parts->left_out, "caps",
		eg_caps_json(agent, entry), "expires", now ? eg_time_json(now->expires_utc_ns) : json_null(), "notes",
		"addresses that the app learned from DNS are allowed beside these: ask for one, or for the name");
}

int eg_explain_prefix(struct eg_agent *agent, const char *app, const struct eg_prefix_query *query, json_t **ret,
		      struct eg_error *err)
{
	EG_CLEANUP(places_clear) struct places places = {0};
	struct parts parts = {.list = json_array()};
	const struct eg_entry *entry;
	int r = -ENOENT;

	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, app);
	if (entry) {
		r = find_places(agent, &query->cidr, entry->now, query->dir, &places);
		if (!r)
			r = ask_all(agent, entry, query, &places, &parts);
		if (!r)
			*ret = answer_json(agent, entry, query, &parts);
	}
	pthread_mutex_unlock(&agent->lock);
	json_decref(parts.list);
	if (r == -ENOENT)
		return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
	if (r == -E2BIG)
		return eg_error_set(err, 400, "too_many", "More than %d prefixes of the rules lie in %s: ask for less.",
				    PLACES_MAX, query->dest);
	return r < 0 ? eg_error_set(err, 500, "kernel", "The kernel could not be asked: %s.", strerror(-r)) : 0;
}

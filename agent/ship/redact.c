// SPDX-License-Identifier: Apache-2.0
/*
 * redact.c - what a sink is not to learn
 *
 * Members are named as they are in the native event, nested ones with dots: "uid", "comm", "owner",
 * "labels.team", "actor.uid". A label may have dots itself, so every way to read the name is tried. An
 * actor is a text of words, "uid=0 pid=12 via=socket": its words count as members.
 * "refused_name" stands for name and sni of an event that tells of a refusal: what an app asked for
 * in vain may be a typing error or a secret, and is nobody's contact.
 * A hash is the first half of the HMAC-SHA-256 of the value as text, so the same user is the same
 * hash in every member, in every event, and on every host with that key.
 * schema, ts, type, event_id and host stay: without them it is no event.
 */
#include "schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/base16.h>
#include <nettle/hmac.h>

#include "../lib/cleanup.h"

#define HASH_BYTES 16
#define HASH_TEXT  (2 * HASH_BYTES)

struct act {
	const struct hmac_sha256_ctx *hmac; /* NULL: leave it out */
};

static void hash_text(const struct act *act, const char *text, size_t len, char ret[HASH_TEXT + 1])
{
	struct hmac_sha256_ctx hmac = *act->hmac;
	uint8_t digest[HASH_BYTES];

	hmac_sha256_update(&hmac, len, (const uint8_t *)text);
	hmac_sha256_digest(&hmac, sizeof(digest), digest);
	base16_encode_update(ret, sizeof(digest), digest);
	ret[HASH_TEXT] = 0;
}

/* Elements of a list one by one, an object as a whole, null not at all. NULL: out of memory. */
static json_t *hash_of(const struct act *act, json_t *value)
{
	EG_FREE char *text = NULL;
	char hash[HASH_TEXT + 1];
	json_t *list, *element;
	size_t i;

	if (json_is_null(value))
		return json_incref(value);
	if (json_is_string(value)) {
		hash_text(act, json_string_value(value), json_string_length(value), hash);
		return json_string(hash);
	}
	if (!json_is_array(value)) {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
		if (!text)
			return NULL;
		hash_text(act, text, strlen(text), hash);
		return json_string(hash);
	}
	list = json_array();
	json_array_foreach(value, i, element) {
		if (json_array_append_new(list, hash_of(act, element)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int redact_member(const struct act *act, json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!value)
		return 0;
	if (!act->hmac)
		return json_object_del(object, name);
	return json_object_set_new(object, name, hash_of(act, value)) < 0 ? -ENOMEM : 0;
}

/* Word `name=value` of the text; the others stay as they are. */
static int redact_word(const struct act *act, json_t *object, const char *member, const char *name)
{
	const char *text = json_string_value(json_object_get(object, member)), *end;
	size_t name_len = strlen(name), used = 0;
	EG_FREE char *made = malloc(strlen(text) * (HASH_TEXT + 1) + 2);

	if (!made)
		return -ENOMEM;
	for (; *text; text = end + strspn(end, " ")) {
		size_t len = strcspn(text, " ");

		end = text + len;
		if (len > name_len && strncmp(text, name, name_len) == 0 && text[name_len] == '=') {
			if (!act->hmac)
				continue;
			used += (size_t)sprintf(made + used, "%s%s=", used ? " " : "", name);
			hash_text(act, text + name_len + 1, len - name_len - 1, made + used);
			used += HASH_TEXT;
			continue;
		}
		used += (size_t)sprintf(made + used, "%s%.*s", used ? " " : "", (int)len, text);
	}
	made[used] = 0;
	if (!used)
		return json_object_del(object, member);
	return json_object_set_new(object, member, json_string(made)) < 0 ? -ENOMEM : 0;
}

/* path without a dot is a member of object; with dots, each of them may be where a nested name begins. */
static int redact_path(const struct act *act, json_t *object, const char *path, unsigned depth)
{
	int r = redact_member(act, object, path);

	for (const char *dot = strchr(path, '.'); !r && dot && depth; dot = strchr(dot + 1, '.')) {
		EG_FREE char *name = strndup(path, (size_t)(dot - path));
		json_t *below = name ? json_object_get(object, name) : NULL;

		if (!name)
			return -ENOMEM;
		if (json_is_object(below))
			r = redact_path(act, below, dot + 1, depth - 1);
		else if (json_is_string(below) && dot[1])
			r = redact_word(act, object, name, dot + 1);
	}
	return r;
}

static bool kept(const char *path)
{
	static const char *const names[] = {"schema", "ts", "type", "event_id", "host"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(path, names[i]) == 0)
			return true;
	return false;
}

/* It was refused, or would have been. */
static bool is_refusal(const json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	const char *verdict = json_string_value(json_object_get(event, "verdict"));

	return type && verdict && strcmp(verdict, "allow") != 0 &&
	       (strcmp(type, "dns") == 0 || strcmp(type, "deny") == 0);
}

static bool has(char *const *paths, const char *path)
{
	for (; *paths; paths++)
		if (strcmp(*paths, path) == 0)
			return true;
	return false;
}

/* What is named itself is seen to already: a hash of a hash would not be the name's any more. */
static int redact_refused(const struct act *act, json_t *event, char *const *paths)
{
	int r = 0;

	if (!is_refusal(event))
		return 0;
	if (!has(paths, "name"))
		r = redact_member(act, event, "name");
	if (!r && !has(paths, "sni"))
		r = redact_member(act, event, "sni");
	return r;
}

static int redact(const struct act *act, json_t *event, char *const *paths)
{
	int r = 0;

	for (char *const *path = paths; path && *path && !r; path++) {
		if (kept(*path))
			continue;
		if (strcmp(*path, "refused_name") == 0)
			r = redact_refused(act, event, paths);
		else
			r = redact_path(act, event, *path, 4);
	}
	return r;
}

int eg_redact(const struct eg_redaction *redaction, json_t *event)
{
	struct hmac_sha256_ctx hmac;
	int r;

	hmac_sha256_set_key(&hmac, redaction->key_len, redaction->key ? redaction->key : "");
	r = redact(&(struct act){0}, event, redaction->drop);
	return r ? r : redact(&(struct act){.hmac = &hmac}, event, redaction->hash);
}

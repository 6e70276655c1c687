// SPDX-License-Identifier: Apache-2.0
#include "document.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/glob.h"
#include "../lib/hold.h"
#include "../lib/labels.h"
#include "../lib/policy.h"

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

#define bad(doc, ...) eg_error_set(&(doc)->error, 400, "bad_document", __VA_ARGS__)

static const char *what(const struct eg_document *doc)
{
	return doc->kind == EG_DOCUMENT_KILL ? "kill" : "policy";
}

void eg_document_free(struct eg_document *doc)
{
	if (!doc)
		return;
	eg_error_clear(&doc->error);
	free(doc->text);
	free(doc->reason);
	free(doc->ticket);
	free(doc->by);
	free(doc);
}

/* ---- Signatures ------------------------------------------------ */

int eg_document_unwrap(const struct eg_document_rules *rules, const json_t *object, json_t **ret, struct eg_error *err)
{
	const json_t *text = json_object_get(object, "signed");
	const char *signature = json_string_value(json_object_get(object, "signature"));
	json_error_t error;

	if (!text && rules->key_count)
		return eg_error_set(err, 403, "unsigned", "It is not signed, and this host has keys: it was refused.");
	if (!text) {
		*ret = json_incref((json_t *)object);
		return 0;
	}
	if (!json_is_string(text) || !signature || json_object_size(object) != 2)
		return eg_error_set(err, 400, "bad_document",
				    "What is signed must be {\"signed\": TEXT, \"signature\": BASE64}.");
	if (rules->key_count && eg_signature_check(rules->keys, rules->key_count, json_string_value(text),
						   json_string_length(text), signature))
		return eg_error_set(err, 403, "bad_signature",
				    "None of this host's keys made its signature: it was refused.");
	*ret = json_loadb(json_string_value(text), json_string_length(text), JSON_REJECT_DUPLICATES, &error);
	if (!*ret)
		return eg_error_set(err, 400, "bad_document", "The signed text is no JSON: line %d, column %d: %s.",
				    error.line, error.column, error.text);
	return 0;
}

/* ---- Targets ------------------------------------------------ */

static int read_hosts(struct eg_document *doc, const struct eg_document_rules *rules, const json_t *hosts)
{
	bool found = false;
	const json_t *one;
	size_t i;

	if (!json_is_array(hosts) || !json_array_size(hosts))
		return bad(doc, "\"hosts\" must be a list of names of hosts, or patterns such as \"web-*\".");
	json_array_foreach (hosts, i, one) {
		if (!json_is_string(one) || eg_glob_check(json_string_value(one)))
			return bad(doc, "\"hosts\" has what is no name of a host and no pattern.");
		found = found || eg_glob_match(json_string_value(one), rules->host);
	}
	doc->applies = doc->applies && found;
	return 0;
}

static int read_labels(struct eg_document *doc, const struct eg_document_rules *rules, const json_t *text)
{
	struct eg_labels *labels = NULL;
	char why[200] = "";

	if (!json_is_string(text) || eg_labels_parse(json_string_value(text), &labels, why, sizeof(why)))
		return bad(doc, "\"labels\" must select hosts, such as \"env=prod\"%s%s.", why[0] ? ": " : "", why);
	doc->applies = doc->applies && eg_labels_match(labels, rules->host_labels);
	eg_labels_free(labels);
	return 0;
}

/* ---- Members ------------------------------------------------ */

static int read_text(struct eg_document *doc, const char *name, const json_t *value, char **field)
{
	if (!json_is_string(value))
		return bad(doc, "\"%s\" must be a text.", name);
	free(*field);
	*field = strdup(json_string_value(value));
	return *field ? 0 : -ENOMEM;
}

static int read_bool(struct eg_document *doc, const char *name, const json_t *value, bool *field)
{
	if (!json_is_boolean(value))
		return bad(doc, "\"%s\" must be true or false.", name);
	*field = json_is_true(value);
	return 0;
}

static int set_policy(struct eg_document *doc, const json_t *policy)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;

	if (!json_is_object(policy))
		return bad(doc, "\"policy\" must be an object.");
	doc->text = json_dumps(policy, JSON_COMPACT | JSON_SORT_KEYS);
	if (!doc->text)
		return -ENOMEM;
	doc->len = strlen(doc->text);
	sha256_init(&sha);
	sha256_update(&sha, doc->len, (const uint8_t *)doc->text);
	sha256_digest(&sha, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(doc->hash + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

static int read_common(struct eg_document *doc, const struct eg_document_rules *rules, const char *name,
		       const json_t *value)
{
	if (!strcmp(name, "hosts"))
		return read_hosts(doc, rules, value);
	if (!strcmp(name, "labels"))
		return read_labels(doc, rules, value);
	if (!strcmp(name, "app")) {
		if (json_is_string(value) && !strcmp(json_string_value(value), doc->app))
			return 0;
		return bad(doc, "It is for another app than its key: \"app\" must be \"%s\".", doc->app);
	}
	if (!strcmp(name, "generation")) {
		if (!json_is_integer(value) || json_integer_value(value) < 1)
			return bad(doc, "\"generation\" must be a whole number of 1 or more.");
		doc->generation = (uint64_t)json_integer_value(value);
		doc->numbered = true;
		return 0;
	}
	return bad(doc, "\"%.60s\" is no key of a document for a %s.", name, what(doc));
}

static int read_member(struct eg_document *doc, const struct eg_document_rules *rules, const char *name,
		       const json_t *value)
{
	if (doc->kind == EG_DOCUMENT_POLICY) {
		if (!strcmp(name, "policy"))
			return set_policy(doc, value);
		if (!strcmp(name, "deleted"))
			return read_bool(doc, name, value, &doc->deleted);
		if (!strcmp(name, "take_over"))
			return read_bool(doc, name, value, &doc->take_over);
	} else {
		if (!strcmp(name, "killed"))
			return read_bool(doc, name, value, &doc->killed);
		if (!strcmp(name, "reason"))
			return read_text(doc, name, value, &doc->reason);
		if (!strcmp(name, "ticket"))
			return read_text(doc, name, value, &doc->ticket);
		if (!strcmp(name, "by"))
			return read_text(doc, name, value, &doc->by);
	}
	return read_common(doc, rules, name, value);
}

/* ---- Documents ------------------------------------------------ */

static int check_whole(struct eg_document *doc, const json_t *object, bool is_signed)
{
	if (is_signed && (!json_object_get(object, "app") || !doc->numbered))
		return bad(doc, "What is signed must say its \"app\" and its \"generation\", or it could be used "
				"elsewhere or again.");
	if (doc->kind == EG_DOCUMENT_KILL && !json_object_get(object, "killed"))
		return bad(doc, "\"killed\" is missing: true to kill, false to restore.");
	if (doc->kind == EG_DOCUMENT_POLICY && !doc->text == !doc->deleted)
		return bad(doc, "Give either a policy, or {\"policy\": {...}} with a target, or {\"deleted\": true}.");
	return 0;
}

/* A policy without anything around it. */
static bool is_bare(const struct eg_document *doc, const json_t *object)
{
	return doc->kind == EG_DOCUMENT_POLICY && json_object_get(object, "version") &&
	       !json_object_get(object, "policy");
}

/* object: what was in the signature, if there was one. */
static int fill(struct eg_document *doc, const struct eg_document_rules *rules, const json_t *object, bool is_signed)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return bad(doc, "It must be a JSON object.");
	if (is_bare(doc, object) && !is_signed)
		return set_policy(doc, object);
	json_object_foreach ((json_t *)object, name, value) {
		int r = read_member(doc, rules, name, value);

		if (r)
			return r;
	}
	return check_whole(doc, object, is_signed);
}

static struct eg_document *document_new(const struct eg_document_source *from)
{
	struct eg_document *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return NULL;
	doc->kind = from->kind;
	doc->of_host = from->of_host;
	doc->generation = from->generation;
	doc->applies = true;
	snprintf(doc->app, sizeof(doc->app), "%s", from->app);
	return doc;
}

int eg_document_read(const struct eg_document_rules *rules, const struct eg_document_source *from, const json_t *object,
		     struct eg_document **ret)
{
	EG_CLEANUP(eg_cleanup_json) json_t *inner = NULL;
	struct eg_document *doc = document_new(from);
	bool is_signed = json_object_get(object, "signed") != NULL;
	int r = 0;

	if (!doc)
		return -ENOMEM;
	if (is_signed || !from->trusted)
		r = eg_document_unwrap(rules, object, &inner, &doc->error);
	if (!r)
		r = fill(doc, rules, inner ? inner : object, is_signed);
	if (r == -ENOMEM) {
		eg_document_free(doc);
		return r;
	}
	*ret = doc;
	return 0;
}

static size_t word_len(const char *value, size_t len)
{
	while (len && strchr(" \t\r\n", value[len - 1]))
		len--;
	return len;
}

static bool is_word(const char *value, size_t len, const char *word)
{
	return word_len(value, len) == strlen(word) && !strncmp(value, word, strlen(word));
}

/* What can be typed at 3 a.m.: `etcdctl put /egret/kills/APP killed`. NULL: none of those words. */
static json_t *of_word(enum eg_document_kind kind, const char *value, size_t len)
{
	if (kind == EG_DOCUMENT_POLICY)
		return is_word(value, len, "deleted") ? json_pack("{s:b}", "deleted", 1) : NULL;
	if (is_word(value, len, "killed"))
		return json_pack("{s:b}", "killed", 1);
	return is_word(value, len, "restored") ? json_pack("{s:b}", "killed", 0) : NULL;
}

/* The agent names lines and columns: they are to be those of the file that was pushed. */
static int keep_text(struct eg_document *doc, const json_t *object, const char *value, size_t len)
{
	char *text;

	if (doc->error.status || !doc->text || !is_bare(doc, object))
		return 0;
	text = strndup(value, len);
	if (!text)
		return -ENOMEM;
	free(doc->text);
	doc->text = text;
	doc->len = strlen(text);
	return 0;
}

int eg_document_parse(const struct eg_document_rules *rules, const struct eg_document_source *from, const char *value,
		      size_t len, struct eg_document **ret)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = of_word(from->kind, value, len);
	json_error_t error;
	struct eg_document *doc;

	if (!object)
		object = json_loadb(value, len, JSON_REJECT_DUPLICATES, &error);
	if (object) {
		int r = eg_document_read(rules, from, object, ret);

		return r ? r : keep_text(*ret, object, value, len);
	}
	doc = document_new(from);
	if (!doc)
		return -ENOMEM;
	bad(doc, "The document of the %s is no JSON: line %d, column %d: %.160s.", what(doc), error.line, error.column,
	    error.text);
	*ret = doc;
	return 0;
}

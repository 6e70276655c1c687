// SPDX-License-Identifier: Apache-2.0
#include "bundle.h"

#include <errno.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/policy.h"

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

static int add_documents(const struct eg_document_rules *rules, enum eg_document_kind kind, bool trusted,
			 const json_t *list, struct eg_bundle *bundle, struct eg_error *err)
{
	const char *app;
	json_t *object;

	if (list && !json_is_object(list))
		return eg_error_set(err, 400, "bad_bundle", "\"%s\" of the bundle must be an object, by app.",
				    kind == EG_DOCUMENT_KILL ? "kills" : "policies");
	json_object_foreach ((json_t *)list, app, object) {
		const struct eg_document_source from = {
			.kind = kind,
			.app = app,
			.trusted = trusted,
			.generation = bundle->revision,
		};
		struct eg_document *document = NULL;

		if (!eg_policy_app_name(app) && !(kind == EG_DOCUMENT_KILL && !strcmp(app, "*")))
			return eg_error_set(err, 400, "bad_bundle", "The bundle has \"%.80s\", which is no app's name.",
					    app);
		if (eg_document_read(rules, &from, object, &document) || eg_desired_set(&bundle->desired, document))
			return -ENOMEM;
	}
	return 0;
}

static int check_members(const json_t *root, struct eg_error *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(root) || json_integer_value(json_object_get(root, "version")) != 1 ||
	    json_integer_value(json_object_get(root, "revision")) < 1)
		return eg_error_set(err, 400, "bad_bundle",
				    "A bundle is {\"version\": 1, \"revision\": N, ...} with N of 1 or more.");
	json_object_foreach ((json_t *)root, name, value) {
		if (strcmp(name, "version") && strcmp(name, "revision") && strcmp(name, "policies") &&
		    strcmp(name, "kills"))
			return eg_error_set(err, 400, "bad_bundle", "\"%.60s\" is no key of a bundle.", name);
	}
	return 0;
}

/* With keys, either the whole is signed or each document is: *ret_trusted says which. */
static int open_bundle(const struct eg_document_rules *rules, const char *text, size_t len, json_t **ret,
		       bool *ret_trusted, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = NULL;
	json_error_t error;

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return eg_error_set(err, 400, "bad_bundle", "The bundle is no JSON: line %d, column %d: %s.",
				    error.line, error.column, error.text);
	*ret_trusted = json_object_get(root, "signed") != NULL;
	if (*ret_trusted)
		return eg_document_unwrap(rules, root, ret, err);
	*ret = EG_TAKE_PTR(root);
	return 0;
}

int eg_bundle_parse(const struct eg_document_rules *rules, const char *text, size_t len, uint64_t last,
		    struct eg_bundle *ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_json) json_t *root = NULL;
	struct eg_bundle bundle = {0};
	bool trusted = false;
	int r = open_bundle(rules, text, len, &root, &trusted, err);

	if (!r)
		r = check_members(root, err);
	if (r)
		return r;
	bundle.trusted = trusted || !rules->key_count;
	bundle.revision = (uint64_t)json_integer_value(json_object_get(root, "revision"));
	if (bundle.trusted && bundle.revision < last)
		return eg_error_set(err, 409, "stale_bundle",
				    "The bundle has the revision %llu, and %llu was taken before: it was "
				    "refused.",
				    (unsigned long long)bundle.revision, (unsigned long long)last);
	r = add_documents(rules, EG_DOCUMENT_POLICY, trusted, json_object_get(root, "policies"), &bundle, err);
	if (!r)
		r = add_documents(rules, EG_DOCUMENT_KILL, trusted, json_object_get(root, "kills"), &bundle, err);
	if (r) {
		eg_desired_clear(&bundle.desired);
		return r;
	}
	*ret = bundle;
	return 0;
}

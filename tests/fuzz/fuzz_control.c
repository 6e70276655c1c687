// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as what a control plane sends: an answer of etcd, a line of a watch, a document, a bundle, a
 * key. What is taken from them has the form that the rest relies on, and whatever is refused says why.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/sync/bundle.h"
#include "../../agent/sync/etcd_json.h"

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_document(const struct eg_document *doc)
{
	CHECK(strcmp(doc->app, "web") == 0 && doc->generation);
	if (doc->error.status) {
		CHECK(doc->error.code[0] && doc->error.message[0]);
		return;
	}
	if (doc->kind == EG_DOCUMENT_POLICY) {
		CHECK(doc->deleted == !doc->text);
		CHECK(!doc->text || (strlen(doc->text) == doc->len && strlen(doc->hash) == 64));
	}
}

static void fuzz_document(const struct eg_document_rules *rules, enum eg_document_kind kind, const char *text,
			  size_t len)
{
	const struct eg_document_source from = {.kind = kind, .app = "web", .generation = 1};
	struct eg_document *doc = NULL;

	CHECK(eg_document_parse(rules, &from, text, len, &doc) == 0);
	check_document(doc);
	CHECK(!rules->key_count || doc->error.status); /* nothing here is signed by the key */
	eg_document_free(doc);
}

static void fuzz_bundle(const struct eg_document_rules *rules, const char *text, size_t len)
{
	struct eg_bundle bundle = {0};
	struct eg_error err = {0};

	if (eg_bundle_parse(rules, text, len, 5, &bundle, &err)) {
		CHECK(err.status && err.message[0] && !bundle.desired.count);
	} else {
		CHECK(bundle.revision && (!bundle.trusted || bundle.revision >= 5));
		for (size_t i = 1; i < bundle.desired.count; i++)
			CHECK(strcmp(bundle.desired.apps[i - 1]->app, bundle.desired.apps[i]->app) < 0);
	}
	eg_desired_clear(&bundle.desired);
	eg_error_clear(&err);
}

static void fuzz_etcd(const char *text, size_t len)
{
	json_t *root = json_loadb(text, len, 0, NULL);
	struct eg_etcd_watch watch;
	struct eg_etcd_range range;

	if (!eg_etcd_watch_parse(text, len, &watch)) {
		for (size_t i = 0; i < watch.count; i++)
			CHECK(watch.events[i].key && watch.events[i].value &&
			      !watch.events[i].value[watch.events[i].value_len]);
		eg_etcd_watch_clear(&watch);
	}
	if (root && !eg_etcd_range_parse(root, &range)) {
		CHECK(range.revision);
		for (size_t i = 0; i < range.count; i++)
			CHECK(range.kvs[i].key && range.kvs[i].value && !range.kvs[i].value[range.kvs[i].value_len]);
		eg_etcd_range_clear(&range);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct eg_public_key key = {{1}};
	const struct eg_document_rules rules[] = {{.host = "web-1"}, {.host = "web-1", .keys = &key, .key_count = 1}};
	struct eg_public_key parsed;
	uint8_t seed[32];
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	switch (data[0] % 5) {
	case 0:
		fuzz_etcd((const char *)data + 1, size - 1);
		break;
	case 1:
		fuzz_document(&rules[data[0] & 1], EG_DOCUMENT_POLICY, (const char *)data + 1, size - 1);
		break;
	case 2:
		fuzz_document(&rules[data[0] & 1], EG_DOCUMENT_KILL, (const char *)data + 1, size - 1);
		break;
	case 3:
		fuzz_bundle(&rules[data[0] & 1], (const char *)data + 1, size - 1);
		break;
	case 4:
		eg_public_key_parse(text, &parsed);
		eg_private_key_parse(text, seed);
		break;
	}
	free(text);
	return 0;
}

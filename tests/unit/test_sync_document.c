// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/sync/bundle.h"
#include "../../agent/sync/document.h"

/* RFC 8032, 7.1, test 1: the seed; and the PEM forms of it and of its public key as openssl writes them. */
static const char private_pem[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
				  "-----END PRIVATE KEY-----\n";
static const char public_pem[] = "-----BEGIN PUBLIC KEY-----\n"
				 "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
				 "-----END PUBLIC KEY-----\n";
static const char other_pem[] = "-----BEGIN PUBLIC KEY-----\n"
				"MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
				"-----END PUBLIC KEY-----\n";

static struct eg_public_key keys[2];
static json_t *labels;
static struct eg_document_rules open_rules = {.host = "web-1"},
				key_rules = {.host = "web-1", .keys = keys, .key_count = 2};

static int setup(void **state)
{
	(void)state;
	labels = json_pack("{s:s}", "env", "prod");
	open_rules.host_labels = key_rules.host_labels = labels;
	return eg_public_key_parse(other_pem, &keys[0]) || eg_public_key_parse(public_pem, &keys[1]);
}

static int teardown(void **state)
{
	(void)state;
	json_decref(labels);
	return 0;
}

static struct eg_document *read_as(const struct eg_document_rules *rules, enum eg_document_kind kind, const char *text)
{
	const struct eg_document_source from = {.kind = kind, .app = "web", .generation = 7};
	struct eg_document *doc = NULL;

	assert_int_equal(eg_document_parse(rules, &from, text, strlen(text), &doc), 0);
	return doc;
}

static void assert_code(const struct eg_document_rules *rules, enum eg_document_kind kind, const char *text,
			const char *code)
{
	struct eg_document *doc = read_as(rules, kind, text);

	if (strcmp(doc->error.code, code) != 0)
		fail_msg("%s: \"%s\" (%s), not \"%s\"", text, doc->error.code, doc->error.message, code);
	eg_document_free(doc);
}

static char *sign(const char *text)
{
	char signature[EG_SIGNATURE_TEXT], *out;
	json_t *object;
	uint8_t seed[32];

	assert_int_equal(eg_private_key_parse(private_pem, seed), 0);
	assert_int_equal(eg_signature_make(seed, text, strlen(text), signature), 0);
	object = json_pack("{s:s,s:s}", "signed", text, "signature", signature);
	out = json_dumps(object, 0);
	json_decref(object);
	return out;
}

/* ---- Signatures ------------------------------------------------ */

static void signatures(void **state)
{
	char signature[EG_SIGNATURE_TEXT];
	uint8_t seed[32];

	(void)state;
	assert_int_equal(eg_private_key_parse(private_pem, seed), 0);
	assert_int_equal(seed[0], 0x9d);
	assert_int_equal(eg_signature_make(seed, "text", 4, signature), 0);
	assert_int_equal(eg_signature_check(keys, 2, "text", 4, signature), 0);
	assert_int_equal(eg_signature_check(keys, 1, "text", 4, signature), -EBADMSG); /* another key's alone */
	assert_int_equal(eg_signature_check(keys, 0, "text", 4, signature), -EBADMSG);
	assert_int_equal(eg_signature_check(keys, 2, "texT", 4, signature), -EBADMSG);
	assert_int_equal(eg_signature_check(keys, 2, "text", 3, signature), -EBADMSG);
	for (size_t i = 0; i < strlen(signature); i++) {
		char damaged[EG_SIGNATURE_TEXT];

		strcpy(damaged, signature);
		damaged[i] = damaged[i] == 'B' ? 'C' : 'B';
		assert_int_equal(eg_signature_check(keys, 2, "text", 4, damaged), -EBADMSG);
	}
	assert_int_equal(eg_signature_check(keys, 2, "text", 4, ""), -EBADMSG);
}

static void no_keys(void **state)
{
	static const char *const cases[] = {
		"",
		"-----BEGIN PUBLIC KEY-----",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		/* X25519 */
		"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END "
		"PUBLIC KEY-----\n",
	};
	struct eg_public_key key;
	uint8_t seed[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(eg_public_key_parse(cases[i], &key), -EINVAL);
	assert_int_equal(eg_public_key_parse(private_pem, &key), -EINVAL);
	assert_int_equal(eg_private_key_parse(public_pem, seed), -EINVAL);
}

/* ---- Documents ------------------------------------------------ */

#define POLICY "{\"version\": 1, \"app\": \"web\", \"b\": 1, \"a\": [2, 3]}"

static void policies(void **state)
{
	struct eg_document *bare = read_as(&open_rules, EG_DOCUMENT_POLICY, POLICY), *wrapped, *deleted;

	(void)state;
	assert_int_equal(bare->error.status, 0);
	assert_true(bare->applies && !bare->deleted && !bare->numbered && bare->generation == 7);
	assert_string_equal(bare->text, POLICY); /* as it was pushed, so that errors have its lines */
	assert_int_equal(strlen(bare->hash), 64);
	wrapped = read_as(&open_rules, EG_DOCUMENT_POLICY,
			  "{\"policy\": " POLICY ", \"generation\": 9, \"take_over\": true}");
	assert_int_equal(wrapped->error.status, 0);
	assert_true(wrapped->numbered && wrapped->generation == 9 && wrapped->take_over);
	assert_string_equal(wrapped->text, "{\"a\":[2,3],\"app\":\"web\",\"b\":1,\"version\":1}");
	assert_string_equal(wrapped->hash, bare->hash); /* however it is written */
	deleted = read_as(&open_rules, EG_DOCUMENT_POLICY, "deleted\n");
	assert_true(deleted->deleted && !deleted->text && !deleted->error.status);
	eg_document_free(bare);
	eg_document_free(wrapped);
	eg_document_free(deleted);
}

static void kills(void **state)
{
	struct eg_document *doc = read_as(&open_rules, EG_DOCUMENT_KILL, "killed");

	(void)state;
	assert_true(doc->killed && !doc->error.status);
	eg_document_free(doc);
	doc = read_as(&open_rules, EG_DOCUMENT_KILL, " restored");
	assert_string_equal(doc->error.code, "bad_document");
	eg_document_free(doc);
	doc = read_as(&open_rules, EG_DOCUMENT_KILL, "restored \n");
	assert_true(!doc->killed && !doc->error.status);
	eg_document_free(doc);
	doc = read_as(&open_rules, EG_DOCUMENT_KILL,
		      "{\"killed\": true, \"reason\": \"r\", \"ticket\": \"t\", \"by\": \"b\"}");
	assert_true(doc->killed && !doc->error.status);
	assert_string_equal(doc->reason, "r");
	assert_string_equal(doc->ticket, "t");
	assert_string_equal(doc->by, "b");
	eg_document_free(doc);
}

static void bad_documents(void **state)
{
	static const struct {
		enum eg_document_kind kind;
		const char *text;
	} cases[] = {
		{EG_DOCUMENT_POLICY, ""},
		{EG_DOCUMENT_POLICY, "killed"},
		{EG_DOCUMENT_POLICY, "[]"},
		{EG_DOCUMENT_POLICY, "{}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": 1}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"deleted\": true}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"deletd\": true}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"app\": \"other\"}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"policy\": {}}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"generation\": 0}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"generation\": \"1\"}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"hosts\": []}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"hosts\": [\"[a]\"]}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"labels\": \"env=\"}"},
		{EG_DOCUMENT_POLICY, "{\"policy\": {}, \"killed\": true}"},
		{EG_DOCUMENT_KILL, "{}"},
		{EG_DOCUMENT_KILL, "true"},
		{EG_DOCUMENT_KILL, "{\"killed\": 1}"},
		{EG_DOCUMENT_KILL, "{\"killed\": true, \"policy\": {}}"},
		{EG_DOCUMENT_KILL, "{\"killed\": true, \"reason\": 5}"},
		{EG_DOCUMENT_KILL, "deleted"},
		{EG_DOCUMENT_KILL, "{\"signed\": \"{}\"}"},
		{EG_DOCUMENT_KILL, "{\"signed\": \"{}\", \"signature\": \"x\", \"killed\": true}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_code(&open_rules, cases[i].kind, cases[i].text, "bad_document");
}

static void targets(void **state)
{
	static const struct {
		const char *text;
		bool applies;
	} cases[] = {
		{"{\"killed\": true, \"hosts\": [\"web-1\"]}", true},
		{"{\"killed\": true, \"hosts\": [\"db-*\", \"web-?\"]}", true},
		{"{\"killed\": true, \"hosts\": [\"web\"]}", false},
		{"{\"killed\": true, \"labels\": \"env=prod\"}", true},
		{"{\"killed\": true, \"labels\": \"env!=prod\"}", false},
		{"{\"killed\": true, \"labels\": \"env=prod\", \"hosts\": [\"db-*\"]}", false},
		{"{\"killed\": true, \"labels\": \"env=dev\", \"hosts\": [\"web-*\"]}", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_document *doc = read_as(&open_rules, EG_DOCUMENT_KILL, cases[i].text);

		assert_int_equal(doc->error.status, 0);
		assert_int_equal(doc->applies, cases[i].applies);
		eg_document_free(doc);
	}
}

static void signed_documents(void **state)
{
	char *good = sign("{\"app\": \"web\", \"generation\": 3, \"killed\": true}");
	char *elsewhere = sign("{\"app\": \"other\", \"generation\": 3, \"killed\": true}");
	char *nameless = sign("{\"generation\": 3, \"killed\": true}"),
	     *endless = sign("{\"app\": \"web\", \"killed\": true}");
	char *garbled = sign("{");
	struct eg_document *doc = read_as(&key_rules, EG_DOCUMENT_KILL, good);

	(void)state;
	assert_int_equal(doc->error.status, 0);
	assert_true(doc->killed && doc->numbered && doc->generation == 3);
	eg_document_free(doc);
	assert_code(&key_rules, EG_DOCUMENT_KILL, "killed", "unsigned");
	assert_code(&key_rules, EG_DOCUMENT_POLICY, POLICY, "unsigned");
	assert_code(&key_rules, EG_DOCUMENT_POLICY, good, "bad_document"); /* a kill in a policy's place */
	assert_code(&key_rules, EG_DOCUMENT_KILL, elsewhere, "bad_document");
	assert_code(&key_rules, EG_DOCUMENT_KILL, nameless, "bad_document");
	assert_code(&key_rules, EG_DOCUMENT_KILL, endless, "bad_document");
	assert_code(&key_rules, EG_DOCUMENT_KILL, garbled, "bad_document");
	*strstr(good, "true") = 'T';
	assert_code(&key_rules, EG_DOCUMENT_KILL, good, "bad_signature");
	free(good);
	free(elsewhere);
	free(nameless);
	free(endless);
	free(garbled);
}

/* ---- Bundles ------------------------------------------------ */

static int bundle(const struct eg_document_rules *rules, const char *text, uint64_t last, struct eg_bundle *ret,
		  const char *code)
{
	struct eg_error err = {0};
	int r = eg_bundle_parse(rules, text, strlen(text), last, ret, &err);

	assert_string_equal(err.code, code);
	eg_error_clear(&err);
	return r;
}

static void bundles(void **state)
{
	static const char text[] =
		"{\"version\": 1, \"revision\": 5, \"policies\": {\"web\": {\"policy\": {}}, \"bad\": 5}, "
		"\"kills\": {\"*\": {\"killed\": false}}}";
	const struct eg_desired_app *app;
	struct eg_bundle one = {0};
	char *whole = sign(text);

	(void)state;
	assert_int_equal(bundle(&open_rules, text, 5, &one, ""), 0);
	assert_int_equal(one.revision, 5);
	assert_int_equal(one.desired.count, 3);
	app = eg_desired_find(&one.desired, "web");
	assert_int_equal(app->documents[0]->generation, 5);
	assert_int_equal(eg_desired_find(&one.desired, "bad")->documents[0]->error.status,
			 400); /* and the others are not held back */
	assert_non_null(eg_desired_find(&one.desired, "*")->documents[2]);
	eg_desired_clear(&one.desired);
	/* with keys: signed as a whole, or document by document */
	assert_int_equal(bundle(&key_rules, text, 0, &one, ""), 0);
	assert_string_equal(eg_desired_find(&one.desired, "web")->documents[0]->error.code, "unsigned");
	eg_desired_clear(&one.desired);
	assert_int_equal(bundle(&key_rules, whole, 0, &one, ""), 0);
	assert_int_equal(eg_desired_find(&one.desired, "web")->documents[0]->error.status, 0);
	eg_desired_clear(&one.desired);
	assert_int_equal(bundle(&key_rules, whole, 6, &one, "stale_bundle"), -EINVAL);
	*strstr(whole, "web") = 'W';
	assert_int_equal(bundle(&key_rules, whole, 0, &one, "bad_signature"), -EINVAL);
	free(whole);
}

static void bad_bundles(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{}",
		"{\"version\": 2, \"revision\": 1}",
		"{\"version\": 1}",
		"{\"version\": 1, \"revision\": 0}",
		"{\"version\": 1, \"revision\": 1, \"policy\": {}}",
		"{\"version\": 1, \"revision\": 1, \"policies\": []}",
		"{\"version\": 1, \"revision\": 1, \"policies\": {\"*\": {}}}",
		"{\"version\": 1, \"revision\": 1, \"kills\": {\"A\": {}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_bundle one = {0};

		assert_int_equal(bundle(&open_rules, cases[i], 0, &one, "bad_bundle"), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures),	    cmocka_unit_test(no_keys),
		cmocka_unit_test(policies),	    cmocka_unit_test(kills),
		cmocka_unit_test(bad_documents),    cmocka_unit_test(targets),
		cmocka_unit_test(signed_documents), cmocka_unit_test(bundles),
		cmocka_unit_test(bad_bundles),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

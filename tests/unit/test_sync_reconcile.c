// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/sync/reconcile.h"

/* One app, and all that is known of it. */
struct fixture {
	struct eg_desired desired;
	json_t *have;
	json_t *floors;
};

static const struct eg_document_rules rules = {.host = "web-1"};

static void add(struct fixture *f, enum eg_document_kind kind, bool of_host, uint64_t revision, const char *text)
{
	const struct eg_document_source from = {.kind = kind, .app = "web", .of_host = of_host, .generation = revision};
	struct eg_document *doc = NULL;

	assert_int_equal(eg_document_parse(&rules, &from, text, strlen(text), &doc), 0);
	assert_int_equal(eg_desired_set(&f->desired, doc), 0);
}

static void policy(struct fixture *f, const char *text)
{
	add(f, EG_DOCUMENT_POLICY, false, 7, text);
}

static void kill(struct fixture *f, uint64_t revision, const char *text)
{
	add(f, EG_DOCUMENT_KILL, false, revision, text);
}

static void know_policy(struct fixture *f, const char *source, const char *hash)
{
	json_object_set_new(json_object_get(f->have, "policies"), "web",
			    json_pack("{s:s,s:s}", "source", source, "hash", hash));
}

static void know_hold(struct fixture *f, bool killed, int generation)
{
	json_object_set_new(json_object_get(f->have, "holds"), "web",
			    json_pack("{s:b,s:i}", "killed", killed, "generation", generation));
}

static struct eg_steps steps(struct fixture *f)
{
	const struct eg_reconcile reconcile = {.source = "etcd", .have = f->have, .floors = f->floors};
	struct eg_steps ret;

	eg_reconcile_app(&reconcile, "web", eg_desired_find(&f->desired, "web"), &ret);
	return ret;
}

static const char *hash_of(struct fixture *f)
{
	return eg_desired_find(&f->desired, "web")->documents[0]->hash;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->have = json_pack("{s:{},s:{}}", "policies", "holds");
	f->floors = json_object();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	eg_desired_clear(&f->desired);
	json_decref(f->have);
	json_decref(f->floors);
	free(f);
	return 0;
}

#define POLICY "{\"version\": 1}"
#define NUMBERED(n) "{\"policy\": {\"n\": " #n "}, \"generation\": " #n "}"

static void policies(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(steps(f).policy, EG_POLICY_KEEP);
	policy(f, POLICY);
	assert_int_equal(steps(f).policy, EG_POLICY_PUT);
	know_policy(f, "etcd", "0123");
	assert_int_equal(steps(f).policy, EG_POLICY_PUT);
	know_policy(f, "etcd", hash_of(f));
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP);
	know_policy(f, "socket", hash_of(f)); /* the same, but another's: the agent says whether it may be taken */
	assert_int_equal(steps(f).policy, EG_POLICY_PUT);
	eg_desired_remove(&f->desired, EG_DOCUMENT_POLICY, false, "web");
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP); /* not ours to delete */
	know_policy(f, "etcd", "0123");
	assert_int_equal(steps(f).policy, EG_POLICY_MISSING);
	policy(f, "deleted");
	assert_int_equal(steps(f).policy, EG_POLICY_DELETE);
	know_policy(f, "directory", "0123");
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP);
}

static void targeted(void **state)
{
	struct fixture *f = *state;

	know_policy(f, "etcd", "0123");
	policy(f, "{\"policy\": {}, \"hosts\": [\"db-*\"]}");
	assert_int_equal(steps(f).policy, EG_POLICY_MISSING); /* it was for this host, and is no more */
	add(f, EG_DOCUMENT_POLICY, true, 8, "{\"policy\": {\"own\": 1}}");
	assert_int_equal(steps(f).policy, EG_POLICY_PUT);
	policy(f, POLICY);
	assert_true(steps(f).policy_document->of_host);
	add(f, EG_DOCUMENT_POLICY, true, 9, "{broken");
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP); /* not the fleet's in its place */
	assert_string_equal(steps(f).error.code, "bad_document");
}

static void broken(void **state)
{
	struct fixture *f = *state;

	know_policy(f, "etcd", "0123");
	know_hold(f, true, 5);
	policy(f, "{broken");
	kill(f, 9, "{broken");
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP);
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	assert_string_equal(steps(f).error.code, "bad_document");
}

static void rollback(void **state)
{
	struct fixture *f = *state;

	policy(f, NUMBERED(5));
	json_object_set_new(f->floors, "web", json_pack("{s:i,s:s}", "generation", 5, "hash", hash_of(f)));
	assert_int_equal(steps(f).policy, EG_POLICY_PUT); /* the very same: it may be put again */
	policy(f, NUMBERED(4));
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP);
	assert_string_equal(steps(f).error.code, "stale_generation");
	policy(f, "{\"policy\": {\"n\": 6}, \"generation\": 5}");
	assert_string_equal(steps(f).error.code, "stale_generation");
	policy(f, "{\"deleted\": true, \"generation\": 4}");
	know_policy(f, "etcd", "0123");
	assert_int_equal(steps(f).policy, EG_POLICY_KEEP);
	policy(f, NUMBERED(6));
	assert_int_equal(steps(f).policy, EG_POLICY_PUT);
	assert_int_equal(steps(f).error.status, 0);
}

static void kills(void **state)
{
	struct fixture *f = *state;
	struct eg_steps now;

	kill(f, 7, "killed");
	now = steps(f);
	assert_int_equal(now.hold, EG_HOLD_KILL);
	assert_int_equal(now.hold_generation, 7);
	know_hold(f, true, 7);
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	eg_desired_remove(&f->desired, EG_DOCUMENT_KILL, false, "web");
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP); /* a missing key restores nothing */
	kill(f, 9, "killed"); /* once more: it ends what an admin may have overridden */
	now = steps(f);
	assert_int_equal(now.hold, EG_HOLD_KILL);
	assert_int_equal(now.hold_generation, 9);
	kill(f, 6, "restored");
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	assert_string_equal(steps(f).error.code, "stale_generation");
	kill(f, 7, "restored");
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	kill(f, 8, "restored");
	now = steps(f);
	assert_int_equal(now.hold, EG_HOLD_RESTORE);
	assert_int_equal(now.hold_generation, 8);
	know_hold(f, false, 8);
	kill(f, 5, "killed"); /* that arrives late */
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	assert_string_equal(steps(f).error.code, "stale_generation");
	kill(f, 9, "{\"killed\": true, \"hosts\": [\"db-*\"]}");
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	assert_int_equal(steps(f).error.status, 0);
}

/* The fleet's word and this host's own: any kill counts, and a restore has to be newer than both. */
static void two_words(void **state)
{
	struct fixture *f = *state;
	struct eg_steps now;

	kill(f, 5, "killed");
	add(f, EG_DOCUMENT_KILL, true, 7, "restored");
	now = steps(f);
	assert_int_equal(now.hold, EG_HOLD_KILL);
	assert_int_equal(now.hold_generation, 7);
	know_hold(f, true, 7);
	assert_int_equal(steps(f).hold, EG_HOLD_KEEP);
	kill(f, 9, "restored");
	assert_int_equal(steps(f).hold, EG_HOLD_RESTORE);
	assert_int_equal(steps(f).hold_generation, 9);
	add(f, EG_DOCUMENT_KILL, true, 10, "{broken");
	assert_int_equal(steps(f).hold, EG_HOLD_RESTORE); /* what is broken says nothing */
	assert_string_equal(steps(f).error.code, "bad_document");
}

static void pauses(void **state)
{
	static const struct {
		size_t missing;
		size_t ours;
		bool pauses;
	} cases[] = {
		{0, 0, false},	{0, 5, false},	      {1, 1, true},	   {1, 2, false},  {1, 5, false},
		{2, 2, true},	{2, 10, true},	      {2, 19, true},	   {2, 20, false}, {3, 29, true},
		{3, 30, false}, {1000, 10000, false}, {1001, 10000, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(eg_reconcile_pauses(cases[i].missing, cases[i].ours), cases[i].pauses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(policies, setup, teardown),
		cmocka_unit_test_setup_teardown(targeted, setup, teardown),
		cmocka_unit_test_setup_teardown(broken, setup, teardown),
		cmocka_unit_test_setup_teardown(rollback, setup, teardown),
		cmocka_unit_test_setup_teardown(kills, setup, teardown),
		cmocka_unit_test_setup_teardown(two_words, setup, teardown),
		cmocka_unit_test(pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

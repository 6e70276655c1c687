// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/core/prefetch_list.h"

static const struct eg_addr here = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 1}}, there = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 2}};

static void want(struct eg_prefetch_list *list, const char *name, const struct eg_addr *resolver, uint32_t slot, uint32_t uid)
{
	const struct eg_prefetch_sub sub = {.slot = slot, .gen = 1, .uid = uid, .round = list->round};

	assert_int_equal(eg_prefetch_list_want(list, name, resolver, 1, &sub), 0);
}

/* Counts in *ctx what is forgotten. */
static void gone(void *ctx, struct eg_prefetch_job *job)
{
	assert_int_equal(job->sub_count, 0);
	++*(size_t *)ctx;
}

static size_t end(struct eg_prefetch_list *list)
{
	size_t count = 0;

	eg_prefetch_list_end(list, gone, &count);
	return count;
}

static void one_job_for_all_who_want_it_of_the_same_resolvers(void **state)
{
	struct eg_prefetch_list list;

	(void)state;
	eg_prefetch_list_init(&list);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 10);
	want(&list, "a.example", &here, 2, 20);
	want(&list, "a.example", &here, 2, 20); /* in two rules */
	want(&list, "a.example", &there, 3, 30);
	want(&list, "b.example", &here, 1, 10);
	assert_int_equal(end(&list), 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(eg_prefetch_list_ripen(&list, 5), UINT64_MAX);
	assert_int_equal(eg_prefetch_list_ripen(&list, 5), UINT64_MAX); /* busy: not queued twice */
	for (int i = 0; i < 3; i++)
		assert_non_null(eg_prefetch_list_pop(&list));
	assert_null(eg_prefetch_list_pop(&list));
	eg_prefetch_list_clear(&list);
}

static void what_is_wanted_no_more_is_forgotten(void **state)
{
	struct eg_prefetch_list list;
	struct eg_prefetch_job *job;

	(void)state;
	eg_prefetch_list_init(&list);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 10);
	want(&list, "a.example", &here, 2, 20);
	want(&list, "b.example", &here, 2, 20);
	want(&list, "c.example", &here, 3, 30);
	end(&list);
	eg_prefetch_list_ripen(&list, 0);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 10);
	want(&list, "c.example", &here, 3, 30);
	assert_int_equal(end(&list), 1);
	assert_int_equal(list.count, 2);
	for (int i = 0; i < 2; i++) { /* the queue, too */
		job = eg_prefetch_list_pop(&list);
		assert_non_null(job);
		assert_string_not_equal(job->name, "b.example");
		assert_int_equal(job->sub_count, 1);
	}
	assert_null(eg_prefetch_list_pop(&list));
	eg_prefetch_list_begin(&list);
	want(&list, "d.example", &here, 1, 10);
	assert_int_equal(end(&list), 2);
	eg_prefetch_list_ripen(&list, 0);
	assert_string_equal(eg_prefetch_list_pop(&list)->name, "d.example"); /* the queue's end was kept right */
	eg_prefetch_list_clear(&list);
}

static void somebody_new_has_it_looked_up_at_once(void **state)
{
	struct eg_prefetch_list list;
	struct eg_prefetch_job *job;

	(void)state;
	eg_prefetch_list_init(&list);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 10);
	end(&list);
	eg_prefetch_list_ripen(&list, 0);
	job = eg_prefetch_list_pop(&list);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 11); /* another policy of the same app, while it is out */
	end(&list);
	eg_prefetch_list_done(job, 100, 1000);
	assert_int_equal(eg_prefetch_list_ripen(&list, 100), UINT64_MAX);
	assert_ptr_equal(eg_prefetch_list_pop(&list), job);
	eg_prefetch_list_done(job, 200, 1000);
	assert_int_equal(eg_prefetch_list_ripen(&list, 1199), 1200);
	assert_null(eg_prefetch_list_pop(&list));
	assert_int_equal(eg_prefetch_list_ripen(&list, 1200), UINT64_MAX);
	assert_ptr_equal(eg_prefetch_list_pop(&list), job);
	eg_prefetch_list_clear(&list);
}

static void failing_counts_each_once(void **state)
{
	struct eg_prefetch_list list;
	struct eg_prefetch_job *job;

	(void)state;
	eg_prefetch_list_init(&list);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 10);
	end(&list);
	eg_prefetch_list_ripen(&list, 0);
	job = eg_prefetch_list_pop(&list);
	for (int i = 0; i < 3; i++)
		eg_prefetch_list_outcome(&list, job, true);
	assert_int_equal(list.failing, 1);
	assert_int_equal(job->failures, 3);
	eg_prefetch_list_begin(&list);
	want(&list, "a.example", &here, 1, 10);
	want(&list, "a.example", &here, 2, 10); /* for whom it begins anew */
	end(&list);
	assert_int_equal(list.failing, 0);
	eg_prefetch_list_outcome(&list, job, true);
	assert_int_equal(list.failing, 1);
	eg_prefetch_list_begin(&list);
	assert_int_equal(end(&list), 1);
	assert_int_equal(list.failing, 0);
	eg_prefetch_list_clear(&list);
}

static void many_names(void **state)
{
	struct eg_prefetch_list list;
	char name[32];

	(void)state;
	eg_prefetch_list_init(&list);
	for (uint32_t round = 0; round < 2; round++) {
		eg_prefetch_list_begin(&list);
		for (unsigned i = 0; i < 3000; i++) {
			snprintf(name, sizeof(name), "n%u.example", i);
			want(&list, name, &here, i % 7, 1);
		}
		assert_int_equal(end(&list), 0);
		assert_int_equal(list.count, 3000);
	}
	eg_prefetch_list_clear(&list);
	assert_int_equal(list.count, 0);
}

static void pauses_grow_to_a_bound(void **state)
{
	(void)state;
	assert_int_equal(eg_prefetch_backoff_ms(1, 0), 1000);
	assert_int_equal(eg_prefetch_backoff_ms(2, 0), 2000);
	assert_int_equal(eg_prefetch_backoff_ms(1000000, 0), 300000);
	assert_int_equal(eg_prefetch_backoff_ms(1, UINT32_MAX), 800);
	assert_int_equal(eg_prefetch_renewal_ms(60000000000, 0), 30000);
	assert_int_equal(eg_prefetch_renewal_ms(60000000000, UINT32_MAX), 24000);
	assert_int_equal(eg_prefetch_renewal_ms(0, 0), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_job_for_all_who_want_it_of_the_same_resolvers),
		cmocka_unit_test(what_is_wanted_no_more_is_forgotten),
		cmocka_unit_test(somebody_new_has_it_looked_up_at_once),
		cmocka_unit_test(failing_counts_each_once),
		cmocka_unit_test(many_names),
		cmocka_unit_test(pauses_grow_to_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

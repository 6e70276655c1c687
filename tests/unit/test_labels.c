// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/labels.h"

static bool match(const char *text, const json_t *labels)
{
	struct eg_labels *selector = NULL;
	char message[200];
	bool matches;

	if (eg_labels_parse(text, &selector, message, sizeof(message)) < 0)
		fail_msg("\"%s\": %s", text, message);
	matches = eg_labels_match(selector, labels);
	eg_labels_free(selector);
	return matches;
}

static void selectors(void **state)
{
	json_t *hr = json_pack("{s:s,s:s,s:s}", "team", "hr", "env", "prod", "in", "x");

	(void)state;
	assert_true(match("team=hr", hr));
	assert_true(match("team==hr", hr));
	assert_false(match("team=it", hr));
	assert_true(match("team!=it", hr));
	assert_true(match("missing!=it", hr));
	assert_false(match("missing=it", hr));
	assert_true(match("team", hr));
	assert_false(match("!team", hr));
	assert_true(match("!missing", hr));
	assert_true(match("team=hr,env=prod", hr));
	assert_false(match("team=hr,env=dev", hr));
	assert_true(match(" team = hr , env in (dev, prod) ", hr));
	assert_false(match("env notin (dev,prod)", hr));
	assert_true(match("missing notin (dev,prod)", hr));
	assert_true(match("in=x", hr));
	assert_true(match("in in (x)", hr));
	assert_false(match("team=hr", NULL));
	assert_true(match("!team", NULL));
	json_decref(hr);
}

static void bad_selectors(void **state)
{
	static const char *const bad[] = {"",	   ",",	     "team=",	"=hr",	      "team=hr,",   "team in hr",
					  "team in (", "team in ()", "team hr", "team=hr env", "te am=hr",   "!",
					  "team=\"hr\"", "team in (a,)", "!team=hr"};
	char message[200], longest[100];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct eg_labels *selector = NULL;

		message[0] = '\0';
		if (eg_labels_parse(bad[i], &selector, message, sizeof(message)) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_null(selector);
		assert_non_null(strstr(message, "expected at character"));
	}
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_false(eg_labels_word(longest));
	longest[63] = '\0';
	assert_true(eg_labels_word(longest));
	assert_false(eg_labels_word("a b"));
	assert_false(eg_labels_word(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors),
		cmocka_unit_test(bad_selectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent takes from the look-up helper: messages of the one shape, and no others. Whoever
 * took the helper over can send anything.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/lookup.h"

static int ends[2]; /* ours, the helper's */

static int make_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_pair(void **state)
{
	(void)state;
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	return 0;
}

static int heard(const void *message, size_t len, struct eg_lookup_told *ret)
{
	const struct eg_lookup lookup = {.fd = ends[0], .pidfd = -1};

	assert_int_equal(send(ends[1], message, len, 0), (ssize_t)len);
	return eg_lookup_receive(&lookup, ret);
}

static void takes_what_has_the_shape(void **state)
{
	struct eg_lookup_told told = {.id = 7, .end = EG_LOOKUP_ANSWERED, .answer = {.count = EG_DNS_ADDRS_MAX}}, got;

	(void)state;
	assert_int_equal(heard(&told, sizeof(told), &got), 0);
	assert_int_equal(got.id, 7);
	assert_int_equal(got.answer.count, EG_DNS_ADDRS_MAX);
}

static void refuses_what_has_not(void **state)
{
	struct eg_lookup_told told = {.id = 7}, got;
	char longer[sizeof(told) + 1] = {0};

	(void)state;
	told.answer.count = EG_DNS_ADDRS_MAX + 1;
	assert_int_equal(heard(&told, sizeof(told), &got), -EPROTO);
	told.answer.count = 0;
	told.end = EG_LOOKUP_COUNT_;
	assert_int_equal(heard(&told, sizeof(told), &got), -EPROTO);
	told.end = 0;
	assert_int_equal(heard(&told, sizeof(told) - 1, &got), -EPROTO);
	assert_int_equal(heard(longer, sizeof(longer), &got), -EPROTO);
	assert_int_equal(heard("x", 1, &got), -EPROTO);
}

static void tells_nothing_from_the_end(void **state)
{
	const struct eg_lookup lookup = {.fd = ends[0], .pidfd = -1};
	const struct eg_lookup_ask ask = {.id = 1};
	struct eg_lookup_told got;

	(void)state;
	assert_int_equal(eg_lookup_receive(&lookup, &got), -EAGAIN);
	close(ends[1]);
	ends[1] = -1;
	assert_int_equal(eg_lookup_receive(&lookup, &got), -EPIPE);
	assert_int_equal(eg_lookup_send(&lookup, &ask), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_what_has_the_shape, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(refuses_what_has_not, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(tells_nothing_from_the_end, make_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

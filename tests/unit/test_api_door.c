// SPDX-License-Identifier: Apache-2.0
/*
 * The door of a child: who it is for, what may come through it, and that it costs nobody else a place.
 * As root.
 */
#include "api_tests.h"

#include "../../agent/sync/agent_client.h"

static const struct eg_actor child = {
	.role = EG_ROLE_CONTROL,
	.uid = 4711,
	.pid = 99,
	.via = "etcd",
	.source = EG_SOURCE_ETCD,
};

/* The child's end of a new door. */
static int make_door(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(eg_api_door(api, ends[0], &child), 0);
	return ends[1];
}

static void send_fds(int door, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *head;

	if (count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	}
	assert_int_equal(sendmsg(door, &msg, MSG_NOSIGNAL), 1);
}

/* A connection through the door; our end. */
static int dial(int door)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	send_fds(door, &ends[1], 1);
	close(ends[1]);
	return ends[0];
}

static void ask_by_door(int door, const char *request, struct answer *ret)
{
	int fd = dial(door);

	client_say(fd, request);
	client_read(fd, ret);
}

static void refused_by_door(int door, const char *request, int status, const char *code)
{
	struct answer a;

	ask_by_door(door, request, &a);
	check_error(&a, status, code);
	answer_free(&a);
}

static void test_who_it_is(void **state)
{
	struct eg_error err = {0};
	json_t *answer = NULL;
	int door;

	(void)state;
	start();
	door = make_door();
	assert_int_equal(eg_agent_client_get(door, "/v1/control", &answer, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "role")), EG_ROLE_CONTROL);
	assert_int_equal(json_integer_value(json_object_get(answer, "source")), EG_SOURCE_ETCD);
	assert_int_equal(json_integer_value(json_object_get(answer, "uid")), 4711);
	json_decref(answer);
	assert_int_equal(eg_agent_client_get(door, "/v1/status", &answer, &err), 0);
	json_decref(answer);
	/* it is no administrator, and no responder */
	refused_by_door(door, "POST /v1/apps/hr/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 403,
			"forbidden");
	refused_by_door(door, "DELETE /v1/policies/hr HTTP/1.1\r\nHost: x\r\n\r\n", 403, "forbidden");
	refused_by_door(door, "POST /v1/tags HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 403, "forbidden");
	close(door);
}

static void test_nobody_else(void **state)
{
	static const char *const asks[][2] = {
		{"GET", "/v1/control"},
		{"PUT", "/v1/control/policies/hr"},
		{"DELETE", "/v1/control/policies/hr"},
		{"POST", "/v1/control/apps/hr/kill"},
		{"POST", "/v1/control/apps/hr/restore"},
		{"POST", "/v1/control/kill"},
		{"POST", "/v1/control/restore"},
		{"POST", "/v1/control/report"},
	};
	int door;

	(void)state;
	start();
	door = make_door();
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct answer a;

		client_ask(path, asks[i][0], asks[i][1], "", "{}", 2, &a); /* as root */
		check_error(&a, 403, "forbidden");
		answer_free(&a);
	}
	assert_int_equal(atomic_load(&agent.calls), 0);
	close(door);
}

static void test_holds(void **state)
{
	struct eg_document doc = {.app = "hr", .reason = (char *)"why"};
	struct eg_error err = {0};
	int door;

	(void)state;
	start();
	door = make_door();
	assert_int_equal(eg_agent_client_hold(door, &doc, true, 7, &err), 0);
	strcpy(doc.app, "*");
	assert_int_equal(eg_agent_client_hold(door, &doc, false, 8, &err), 0);
	assert_int_equal(atomic_load(&agent.calls), 2);
	assert_int_equal(eg_agent_client_hold(door, &doc, true, 0, &err), -EINVAL);
	assert_string_equal(err.code, "bad_value");
	eg_error_clear(&err);
	strcpy(doc.app, "fail-409");
	assert_int_equal(eg_agent_client_hold(door, &doc, true, 9, &err), -EINVAL);
	assert_string_equal(err.code, "fake_code"); /* the agent's own error comes through */
	assert_int_equal(err.status, 409);
	eg_error_clear(&err);
	close(door);
}

/* A child that sends anything but one stream socket is out. */
static void test_what_may_come(void **state)
{
	(void)state;
	start();
	for (int kind = 0; kind < 4; kind++) {
		int door = make_door(), fds[2], count = kind == 0 ? 0 : kind == 1 ? 2 : 1;
		struct pollfd end = {.fd = door, .events = POLLIN};

		assert_int_equal(kind == 2 ? pipe2(fds, O_CLOEXEC)
					   : socketpair(AF_UNIX, kind == 3 ? SOCK_DGRAM : SOCK_STREAM, 0, fds),
				 0);
		send_fds(door, fds, (size_t)count);
		assert_int_equal(poll(&end, 1, (int)WAIT_MS), 1);
		assert_true(end.revents & POLLHUP);
		close(fds[0]);
		close(fds[1]);
		close(door);
	}
	assert_true(answers());
}

static void test_another_child(void **state)
{
	struct eg_error err = {0};
	json_t *answer = NULL;
	int first, second;

	(void)state;
	start();
	first = make_door();
	second = make_door();
	assert_int_equal(eg_agent_client_get(first, "/v1/control", &answer, &err), -EINVAL);
	assert_string_equal(err.code, "agent_gone");
	eg_error_clear(&err);
	assert_int_equal(eg_agent_client_get(second, "/v1/control", &answer, &err), 0);
	json_decref(answer);
	close(first);
	close(second);
}

/* It fills its own places and nobody else's. */
static void test_its_places(void **state)
{
	int fds[EG_API_CONNS_DOOR], door;
	struct answer a;

	(void)state;
	start();
	door = make_door();
	for (size_t i = 0; i < EG_API_CONNS_DOOR; i++)
		fds[i] = dial(door);
	refused_by_door(door, "GET /v1/control HTTP/1.1\r\nHost: x\r\n\r\n", 503, "busy");
	assert_true(answers());
	for (size_t i = 0; i < EG_API_CONNS_DOOR; i++)
		close(fds[i]);
	do {
		ask_by_door(door, "GET /v1/control HTTP/1.1\r\nHost: x\r\n\r\n", &a);
		if (a.status == 503)
			answer_free(&a);
	} while (!a.body);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	close(door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_may_come, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_child, setup, teardown),
		cmocka_unit_test_setup_teardown(test_its_places, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

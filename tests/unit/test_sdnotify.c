// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/sdnotify.h"

static int manager = -1;

/* Listens at what $NOTIFY_SOCKET will say: a path, or '@' and an abstract name. */
static void listen_at(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, name);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static const char *received(void)
{
	static char text[2048];
	ssize_t len = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static int teardown(void **state)
{
	(void)state;
	close(manager);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static void says_it_all(void **state)
{
	unsigned long long usec;
	char name[64], huge[4096];

	(void)state;
	snprintf(name, sizeof(name), "@egret-sdnotify-%d", (int)getpid());
	listen_at(name);
	assert_int_equal(eg_sdnotify_ready(NULL), 0);
	assert_string_equal(received(), "READY=1");
	assert_int_equal(eg_sdnotify_ready("on\nMAINPID=1"), 0);
	assert_string_equal(received(), "READY=1\nSTATUS=on MAINPID=1");
	assert_int_equal(eg_sdnotify_status("3 apps"), 0);
	assert_string_equal(received(), "STATUS=3 apps");
	assert_int_equal(eg_sdnotify_reloading(), 0);
	assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec > 0);
	assert_int_equal(eg_sdnotify_stopping("bye"), 0);
	assert_string_equal(received(), "STOPPING=1\nSTATUS=bye");
	assert_int_equal(eg_sdnotify_watchdog(), 0);
	assert_string_equal(received(), "WATCHDOG=1");
	memset(huge, 'x', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(eg_sdnotify_status(huge), 0);
	assert_int_equal(strlen(received()), 1023);
}

static void a_path_works_too(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "/tmp/egret-sdnotify-%d", (int)getpid());
	listen_at(name);
	assert_int_equal(eg_sdnotify_ready(NULL), 0);
	assert_string_equal(received(), "READY=1");
	unlink(name);
	assert_int_equal(eg_sdnotify_ready(NULL), -ENOENT);
}

static void without_a_manager(void **state)
{
	(void)state;
	assert_int_equal(eg_sdnotify_ready("on"), 1);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(eg_sdnotify_ready("on"), -EINVAL);
}

static void watchdog_interval(void **state)
{
	char pid[32];

	(void)state;
	assert_int_equal(eg_sdnotify_watchdog_interval_ns(), 0);
	setenv("WATCHDOG_USEC", "3000000", 1);
	assert_int_equal(eg_sdnotify_watchdog_interval_ns(), 1500000000);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(eg_sdnotify_watchdog_interval_ns(), 1500000000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(eg_sdnotify_watchdog_interval_ns(), 0); /* meant for another process */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(says_it_all, teardown),
		cmocka_unit_test_teardown(a_path_works_too, teardown),
		cmocka_unit_test_teardown(without_a_manager, teardown),
		cmocka_unit_test_teardown(watchdog_interval, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

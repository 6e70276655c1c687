// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/starting.h"

/* A child that becomes another program when told to. */
static pid_t begin(int *ret_go)
{
	int pipe_fds[2];
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char byte;

		if (read(pipe_fds[0], &byte, 1) == 1)
			execl("/bin/sleep", "sleep", "60", NULL);
		_exit(1);
	}
	close(pipe_fds[0]);
	*ret_go = pipe_fds[1];
	return pid;
}

static void until_it_executes_something_else(void **state)
{
	static struct eg_starting starting;
	int go;
	pid_t pid = begin(&go);

	(void)state;
	assert_false(eg_starting_has(&starting, pid));
	assert_int_equal(eg_starting_add(&starting, pid), 0);
	assert_true(eg_starting_has(&starting, pid));
	assert_true(eg_starting_has(&starting, pid));
	assert_false(eg_starting_has(&starting, getpid())); /* the same executable, another process */
	assert_int_equal(write(go, "x", 1), 1);
	for (int i = 0; i < 1000 && eg_starting_has(&starting, pid); i++)
		usleep(10000);
	assert_false(eg_starting_has(&starting, pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go);
	assert_int_equal(eg_starting_add(&starting, pid), -ENOENT);
}

static void the_oldest_is_forgotten(void **state)
{
	static struct eg_starting starting;

	(void)state;
	assert_int_equal(eg_starting_add(&starting, getpid()), 0);
	for (int i = 0; i < EG_STARTING_MAX - 1; i++)
		assert_int_equal(eg_starting_add(&starting, getppid()), 0);
	assert_true(eg_starting_has(&starting, getpid()));
	assert_int_equal(eg_starting_add(&starting, getppid()), 0);
	assert_false(eg_starting_has(&starting, getpid()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(until_it_executes_something_else),
		cmocka_unit_test(the_oldest_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

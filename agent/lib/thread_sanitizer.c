// SPDX-License-Identifier: Apache-2.0
/*
 * thread_sanitizer.c - what TSan is not to tell of, in a build with it (make SANITIZE=thread)
 *
 * jansson is not built with TSan. It counts references atomically, but gives them back without acquiring
 * (JSON_INTERNAL_DECREF), and looks at the count before: whoever frees an object seems to race with those who read it
 * while they held it. And a child that clone(2) made by itself (offspring.c) has memory of its own, which TSan does not
 * know.
 */
extern const int eg_thread_sanitizer; /* by its name this file is linked to each program: TSan has a default of its own */
const int eg_thread_sanitizer = 1;

#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:json_decref\nrace:json_delete\nrace:libjansson.so\nrace:become_child\n";
}
#endif

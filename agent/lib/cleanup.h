/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope: a variable declared with EG_CLEANUP(f) is released by f when it
 * leaves scope, on every path. EG_TAKE_PTR and EG_TAKE_FD are where ownership leaves.
 */
#ifndef EG_LIB_CLEANUP_H
#define EG_LIB_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EG_CLEANUP(f) __attribute__((cleanup(f)))

/* Defines eg_cleanup_<name>(type *p) that calls destroy(*p); destroy must accept NULL. */
#define EG_DEFINE_CLEANUP(name, type, destroy)            \
	/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type takes none */ \
	static inline void eg_cleanup_##name(type *p)     \
	{                                                 \
		destroy(*p);                              \
	}                                                 \
	struct eg_cleanup_##name##_needs_semicolon

#define EG_TAKE_PTR(p)                     \
	({                                 \
		__typeof__(p) eg_p_ = (p); \
		(p) = NULL;                \
		eg_p_;                     \
	})

#define EG_TAKE_FD(fd)            \
	({                        \
		int eg_fd_ = (fd); \
		(fd) = -1;        \
		eg_fd_;           \
	})

static inline void eg_cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Keeps errno, so that an error path can close before it reports. */
static inline void eg_cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void eg_cleanup_fclose(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

static inline void eg_cleanup_closedir(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	errno = saved;
}

#define EG_FREE     EG_CLEANUP(eg_cleanup_free)
#define EG_CLOSE    EG_CLEANUP(eg_cleanup_close)
#define EG_FCLOSE   EG_CLEANUP(eg_cleanup_fclose)
#define EG_CLOSEDIR EG_CLEANUP(eg_cleanup_closedir)

#endif

// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_int max_level = EG_LOG_INFO;

void eg_log_set_level(enum eg_log_level level)
{
	atomic_store(&max_level, (int)level);
}

void eg_log(enum eg_log_level level, const char *format, ...)
{
	int saved = errno;
	char line[1024];
	size_t used = 0;
	va_list args;
	int n;

	if ((int)level > atomic_load(&max_level))
		return;
	if (getenv("JOURNAL_STREAM"))
		used = (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
	va_start(args, format);
	n = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	if (n > 0) {
		used += (size_t)n;
		if (used > sizeof(line) - 2)
			used = sizeof(line) - 2;
		line[used++] = '\n';
		if (write(STDERR_FILENO, line, used) < 0)
			errno = saved; /* nobody is left to be told */
	}
	errno = saved;
}

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

/*
 * One message is one line, whatever names and words of others it quotes: those of a receiver, a control plane,
 * a cgroup. Control characters (also U+0080 to U+009F, in UTF-8) would begin another line, or speak to a terminal.
 */
static void make_one_line(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i], next = i + 1 < len ? (unsigned char)text[i + 1] : 0;

		if (c < ' ' || c == 0x7f)
			text[i] = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			text[i] = text[i + 1] = '?';
	}
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
		size_t head = used;

		used += (size_t)n;
		if (used > sizeof(line) - 2)
			used = sizeof(line) - 2;
		make_one_line(line + head, used - head);
		line[used++] = '\n';
		if (write(STDERR_FILENO, line, used) < 0)
			errno = saved; /* nobody is left to be told */
	}
	errno = saved;
}

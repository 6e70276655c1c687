// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. jansson's lexer does not look whether a byte that it read could be kept (lex_save). A string whose
 * closing quote is missing there is read, and written, past its end: a lack of memory becomes a heap that others have
 * written. So there is none: who finds no memory ends, at once. For egretd that is a restart, through which all that is
 * enforced stays; its helpers are started again by it, and read on where they were.
 */
#include "json_memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static void *get(size_t size)
{
	static const char text[] = "out of memory while JSON is read or written: the process ends\n";
	void *memory = malloc(size);

	if (memory || !size)
		return memory;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EG_EXIT_NO_MEMORY);
}

void eg_json_memory(void)
{
	json_set_alloc_funcs(get, free);
}

// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int eg_error_set(struct eg_error *err, int status, const char *code, const char *format, ...)
{
	va_list args;

	eg_error_clear(err);
	err->status = status;
	snprintf(err->code, sizeof(err->code), "%s", code);
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return -EINVAL;
}

void eg_error_clear(struct eg_error *err)
{
	json_decref(err->details);
	*err = (struct eg_error){0};
}

// SPDX-License-Identifier: Apache-2.0
#include "bytes_json.h"

#include <stdlib.h>

#include "../lib/cleanup.h"
#include "event_out.h"

json_t *eg_bytes_json(const char *bytes, size_t len)
{
	json_t *string = json_stringn(bytes, len);
	EG_FREE char *quoted = NULL;
	char *end;

	if (string)
		return string;
	quoted = malloc(len * EG_OUT_ESCAPE_MAX + 2);
	if (!quoted)
		return NULL;
	end = eg_out_lit(quoted, "\"");
	end = eg_out_escaped(end, bytes, len);
	end = eg_out_lit(end, "\"");
	return json_loadb(quoted, (size_t)(end - quoted), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

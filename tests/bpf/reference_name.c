// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <string.h>

#include "reference.h"

#define NAME_MAX_BYTES 251

static int is_label(const char *label, size_t len)
{
	return len >= 1 && len <= 63 && strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") >= len;
}

int reference_name(const uint8_t *text, size_t len, int open, char ret[256])
{
	char name[NAME_MAX_BYTES + 1] = "";
	char *label = name, *dot;

	if (len > NAME_MAX_BYTES || memchr(text, 0, len))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] > 127)
			return -1;
		name[i] = (char)tolower(text[i]);
	}
	while ((dot = strchr(label, '.'))) {
		if (!is_label(label, (size_t)(dot - label)))
			return -1;
		label = dot + 1;
	}
	if (open && !*label)
		return 0;
	if (!is_label(label, strlen(label)))
		return -1;
	if (!open && strspn(label, "0123456789") == strlen(label))
		return -1;
	strcpy(ret, name);
	return 0;
}

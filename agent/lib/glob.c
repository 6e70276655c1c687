// SPDX-License-Identifier: Apache-2.0
#include "glob.h"

#include <errno.h>
#include <string.h>

/* On a mismatch only the last '*' may take one byte more: an earlier one could not do better. */
bool eg_glob_match(const char *pattern, const char *path)
{
	const char *star = NULL, *taken = NULL;

	while (*path) {
		if (*pattern == '*') {
			star = ++pattern;
			taken = path;
		} else if (*pattern == *path || (*pattern == '?' && *path != '/')) {
			pattern++;
			path++;
		} else if (star && *taken != '/') {
			path = ++taken;
			pattern = star;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool part_is_dots(const char *part, size_t length)
{
	return (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
}

int eg_glob_check(const char *pattern)
{
	if (!*pattern || *pattern == '/')
		return -EINVAL;
	for (const char *part = pattern;;) {
		size_t length = strcspn(part, "/");

		if (!length || part_is_dots(part, length))
			return -EINVAL;
		for (size_t i = 0; i < length; i++) {
			if ((unsigned char)part[i] < ' ' || part[i] == 0x7f || part[i] == '[' || part[i] == '\\')
				return -EINVAL;
		}
		if (!part[length])
			return 0;
		part += length + 1;
	}
}

// SPDX-License-Identifier: Apache-2.0
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"

#define BLANK " \t\r\n"

void eg_secret_wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void eg_secret_drop(struct eg_secret *secret)
{
	eg_secret_wipe(EG_TAKE_PTR(secret->text));
	secret->stamp = (struct eg_filestamp){0};
}

static int complain(const struct eg_secret *secret, int r, const char *what, struct eg_error *err)
{
	eg_error_set(err, 400, "bad_credentials", "\"%s\": %.200s %s", secret->key, secret->path, what);
	return r;
}

/* Up to EG_SECRET_MAX + 1 bytes. The stamp is taken first: what is written meanwhile is seen as a change later. */
static ssize_t read_file(struct eg_secret *secret, char *ret, struct eg_error *err)
{
	EG_CLOSE int fd = open(secret->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t len = 0, n;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = -errno;

		return complain(secret, r, strerror(-r), err);
	}
	if (!S_ISREG(st.st_mode))
		return complain(secret, -EINVAL, "is not a regular file", err);
	eg_filestamp_of(&st, &secret->stamp);
	while (len <= EG_SECRET_MAX && (n = read(fd, ret + len, (size_t)(EG_SECRET_MAX + 1 - len))) != 0) {
		if (n < 0) {
			int r = -errno;

			return complain(secret, r, strerror(-r), err);
		}
		len += n;
	}
	return len;
}

/* Anything else could end the header that it goes into, or begin another one. */
static bool is_clean(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return true;
}

static int take(struct eg_secret *secret, const char *text, size_t len, struct eg_error *err)
{
	if (len > EG_SECRET_MAX)
		return complain(secret, -EINVAL, "is too long for a secret", err);
	while (len && strchr(BLANK, text[len - 1]) && text[len - 1])
		len--;
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): len bytes of it were read */
	while (len && strchr(BLANK, *text) && *text) {
		text++;
		len--;
	}
	if (!len)
		return complain(secret, -EINVAL, "is empty", err);
	if (!is_clean(text, len))
		return complain(secret, -EINVAL, "has control characters, or some that are not ASCII", err);
	secret->text = strndup(text, len);
	return secret->text ? 1 : complain(secret, -ENOMEM, "can't be read: no memory is left", err);
}

int eg_secret_read(struct eg_secret *secret, bool again, struct eg_error *err)
{
	char text[EG_SECRET_MAX + 1];
	ssize_t len;
	int r;

	if (secret->text && !again && !eg_filestamp_differs(&secret->stamp, secret->path))
		return 0;
	eg_secret_drop(secret);
	len = read_file(secret, text, err);
	r = len < 0 ? (int)len : take(secret, text, (size_t)len, err);
	explicit_bzero(text, sizeof(text));
	return r;
}

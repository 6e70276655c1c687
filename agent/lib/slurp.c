// SPDX-License-Identifier: Apache-2.0
#include "slurp.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

ssize_t eg_read_up_to(int fd, void *ret, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, (char *)ret + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int eg_write_all(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int eg_slurp(int fd, size_t max, char **ret, size_t *ret_len)
{
	EG_FREE char *text = NULL;
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	len = eg_read_up_to(fd, text, (size_t)st.st_size);
	if (len < 0)
		return (int)len;
	text[len] = '\0';
	*ret = EG_TAKE_PTR(text);
	*ret_len = (size_t)len;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "resolvconf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../lib/addr.h"
#include "../lib/cleanup.h"
#include "../lib/slurp.h"

#define BYTES_MAX (64u << 10)
#define BLANK         " \t"

/* glibc and musl send to the loopback where they are told "any address". */
static void settle(struct eg_addr *addr)
{
	static const struct eg_addr any6, any4 = {.b = {[10] = 0xff, [11] = 0xff}};

	if (!memcmp(addr, &any6, sizeof(any6)))
		addr->b[15] = 1;
	else if (!memcmp(addr, &any4, sizeof(any4)))
		*addr = (struct eg_addr){.b = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
}

static void add(const char *word, size_t len, struct eg_resolvers *ret)
{
	char text[EG_ADDR_TEXT];
	struct eg_addr addr;

	if (len >= sizeof(text))
		return;
	memcpy(text, word, len);
	text[len] = '\0';
	text[strcspn(text, "%")] = '\0'; /* the interface of a link-local address */
	if (eg_addr_from_text(text, &addr))
		return;
	settle(&addr);
	for (size_t i = 0; i < ret->count; i++)
		if (!memcmp(&ret->addr[i], &addr, sizeof(addr)))
			return;
	if (ret->count < EG_RESOLVERS_MAX)
		ret->addr[ret->count++] = addr;
}

void eg_resolvconf_parse(const char *text, size_t len, struct eg_resolvers *ret)
{
	static const char key[] = "nameserver";
	const size_t key_len = sizeof(key) - 1;

	*ret = (struct eg_resolvers){0};
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len;
		size_t at = key_len, word = 0;

		if (line > key_len && !memcmp(text, key, key_len) && strchr(BLANK, text[key_len])) {
			while (at < line && strchr(BLANK, text[at]))
				at++;
			while (at + word < line && !strchr(BLANK "\r#;", text[at + word]))
				word++;
			add(text + at, word, ret);
		}
		len -= line + (end != NULL);
		text += line + (end != NULL);
	}
}

int eg_resolvconf_read(const char *path, struct eg_resolvers *ret)
{
	EG_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	EG_FREE char *text = malloc(BYTES_MAX);
	ssize_t len;

	*ret = (struct eg_resolvers){0};
	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	len = eg_read_up_to(fd, text, BYTES_MAX);
	if (len < 0)
		return (int)len;
	eg_resolvconf_parse(text, (size_t)len, ret);
	return 0;
}

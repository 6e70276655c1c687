// SPDX-License-Identifier: Apache-2.0
#include "sdnotify.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "../lib/cleanup.h"

static int send_state(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	EG_CLOSE int fd = -1;
	size_t len;

	if (!path || !path[0])
		return 1;
	len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(addr.sun_path))
		return -EINVAL;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0'; /* abstract: the length counts, there is no NUL at the end */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	return 0;
}

/* One line of text: a newline would begin another assignment. */
static void put_status(char *to, size_t size, const char *first, const char *status)
{
	int n = snprintf(to, size, "%s%sSTATUS=", first, first[0] ? "\n" : "");

	for (size_t at = (size_t)n; at + 1 < size && *status; at++, status++) {
		to[at] = *status == '\n' ? ' ' : *status;
		to[at + 1] = '\0';
	}
}

static int send_with_status(const char *first, const char *status)
{
	char state[1024];

	if (!status)
		return send_state(first);
	put_status(state, sizeof(state), first, status);
	return send_state(state);
}

int eg_sdnotify_ready(const char *status)
{
	return send_with_status("READY=1", status);
}

int eg_sdnotify_status(const char *status)
{
	return send_with_status("", status);
}

int eg_sdnotify_reloading(void)
{
	struct timespec now;
	char state[64];

	/* Type=notify-reload matches the reload to its request by this time. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
	return send_state(state);
}

int eg_sdnotify_stopping(const char *status)
{
	return send_with_status("STOPPING=1", status);
}

int eg_sdnotify_watchdog(void)
{
	return send_state("WATCHDOG=1");
}

uint64_t eg_sdnotify_watchdog_interval_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(usec, NULL, 10) * 1000 / 2;
}

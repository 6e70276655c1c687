// SPDX-License-Identifier: Apache-2.0
/*
 * Sends 18-byte datagrams, or connects and closes, as fast as one thread can.
 *
 * usage: bench_net udp|connect ADDRESS PORT MILLISECONDS; prints how many a second. Whoever starts it
 * puts it into a cgroup and a network namespace. `bench_net serve` accepts and closes for that long.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static int udp_fd = -1;

static bool send_one(const struct sockaddr_in *to)
{
	static const char payload[18];

	if (udp_fd < 0) {
		udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (udp_fd < 0 || connect(udp_fd, (const struct sockaddr *)to, sizeof(*to)))
			return false;
	}
	return send(udp_fd, payload, sizeof(payload), 0) == sizeof(payload) || errno == ECONNREFUSED;
}

/* Closed with a reset, so that no port is kept waiting. */
static bool connect_one(const struct sockaddr_in *to)
{
	const struct linger linger = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && !connect(fd, (const struct sockaddr *)to, sizeof(*to)) &&
		  !setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));

	if (fd >= 0)
		close(fd);
	return ok;
}

static int serve(const struct sockaddr_in *at, int milliseconds)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)at, sizeof(*at)) || listen(fd, 4096)) {
		fprintf(stderr, "bench_net: %s\n", strerror(errno));
		return 1;
	}
	alarm((unsigned)milliseconds / 1000 + 1); /* its end */
	for (;;) {
		int accepted = accept(fd, NULL, NULL);

		if (accepted >= 0)
			close(accepted);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	bool udp = argc == 5 && strcmp(argv[1], "udp") == 0;
	uint64_t start, end, count = 0, at;

	if (argc != 5 || (!udp && strcmp(argv[1], "connect") != 0 && strcmp(argv[1], "serve") != 0) || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: bench_net udp|connect|serve ADDRESS PORT MILLISECONDS\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	if (strcmp(argv[1], "serve") == 0)
		return serve(&to, atoi(argv[4]));
	start = at = now_ns();
	end = start + (uint64_t)atoi(argv[4]) * 1000000ull;
	for (; at < end; at = now_ns()) {
		for (int i = 0; i < 16; i++, count++) {
			if (!(udp ? send_one(&to) : connect_one(&to))) {
				fprintf(stderr, "bench_net: %s\n", strerror(errno));
				return 1;
			}
		}
	}
	printf("%.0f\n", (double)count * 1e9 / (double)(at - start));
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Flows that send without pause, and when the server's device saw the last packet of them.
 *
 * usage:
 *   bench_kill flows ADDRESS PORT COUNT   connects them, prints "ready", sends on each once a
 *                                         millisecond until all have failed (or a minute is over)
 *   bench_kill sink ADDRESS PORT          accepts and reads
 *   bench_kill last DEVICE PORT           a line on stdin: prints when (CLOCK_REALTIME, ns, as the
 *                                         kernel stamped it) the last TCP packet to the port came
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOWS_MAX 1000
#define LIFE_S    60
#define PAYLOAD   100

static int fail(const char *what)
{
	fprintf(stderr, "bench_kill: %s: %s\n", what, strerror(errno));
	return 1;
}

static int flows(const struct sockaddr_in *to, int count)
{
	static const char payload[PAYLOAD];
	int fds[FLOWS_MAX], live = count;

	if (count < 1 || count > FLOWS_MAX)
		return 2;
	for (int i = 0; i < count; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || connect(fds[i], (const struct sockaddr *)to, sizeof(*to)))
			return fail("connect");
	}
	puts("ready");
	fflush(stdout);
	while (live) {
		for (int i = 0; i < count; i++) {
			if (fds[i] < 0 || send(fds[i], payload, sizeof(payload), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
			    errno == EAGAIN)
				continue;
			close(fds[i]);
			fds[i] = -1;
			live--;
		}
		usleep(1000);
	}
	return 0;
}

static int sink(const struct sockaddr_in *at)
{
	static char data[1 << 16];
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), events = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0 || events < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)at, sizeof(*at)) || listen(fd, FLOWS_MAX) ||
	    epoll_ctl(events, EPOLL_CTL_ADD, fd, &event))
		return fail("listen");
	while (epoll_wait(events, &event, 1, -1) > 0 || errno == EINTR) {
		if (event.data.fd == fd) {
			event.data.fd = accept(fd, NULL, NULL);
			if (event.data.fd >= 0 && epoll_ctl(events, EPOLL_CTL_ADD, event.data.fd, &event))
				return fail("epoll");
		} else if (recv(event.data.fd, data, sizeof(data), 0) <= 0) {
			close(event.data.fd);
		}
	}
	return fail("epoll");
}

/* When the packet came, if it is one that we look for; else 0. */
static uint64_t stamp(int fd, uint16_t port)
{
	unsigned char packet[64];
	char control[256];
	struct sockaddr_ll from;
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof(packet)};
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
	size_t ip = n > 0 ? (packet[0] & 15u) * 4 : 0;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	struct timespec at;

	if (n < (ssize_t)ip + 20 || packet[9] != IPPROTO_TCP || from.sll_pkttype == PACKET_OUTGOING ||
	    (packet[ip + 2] << 8 | packet[ip + 3]) != port || !c)
		return 0;
	memcpy(&at, CMSG_DATA(c), sizeof(at));
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static int last(const char *device, uint16_t port)
{
	const int on = 1, room = 64 << 20;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex(device),
	};
	struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	uint64_t seen = 0, found;
	char line[16];

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		return fail("capture");
	while (poll(wait, 2, -1) > 0) {
		if (wait[0].revents & POLLIN) {
			found = stamp(fd, port);
			seen = found ? found : seen;
		} else if (wait[1].revents) { /* what came is read */
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			printf("%llu\n", (unsigned long long)seen);
			fflush(stdout);
		}
	}
	return fail("poll");
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	const char *command = argc > 3 ? argv[1] : "";

	to.sin_port = htons((uint16_t)atoi(argc > 3 ? argv[3] : "0"));
	if (strcmp(command, "last") == 0)
		return last(argv[2], ntohs(to.sin_port));
	if (argc > 3 && inet_pton(AF_INET, argv[2], &to.sin_addr) == 1) {
		if (strcmp(command, "sink") == 0)
			return sink(&to);
		alarm(LIFE_S);
		if (strcmp(command, "flows") == 0 && argc == 5)
			return flows(&to, atoi(argv[4]));
	}
	fprintf(stderr, "usage: bench_kill flows ADDRESS PORT COUNT | sink ADDRESS PORT | last DEVICE PORT\n");
	return 2;
}

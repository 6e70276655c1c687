// SPDX-License-Identifier: Apache-2.0
/*
 * Sends 18-byte datagrams, connects and closes, or asks a resolver, as fast as one thread can.
 *
 * usage: bench_net udp|connect|dns ADDRESS PORT MILLISECONDS; prints how many a second of its own CPU
 * time (dns: of the clock, for it waits for the server). Whoever starts it puts it into a cgroup and
 * a network namespace. For that long `bench_net serve` accepts and closes, and `bench_net resolve`
 * answers each question with RESOLVED addresses that it never gave before.
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

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
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

#define NAME     "\3api\5bench\7example"
#define RESOLVED 8

/* A question of RFC 1035: header, name, A, IN. */
static const char question[] = "\0\1\1\0\0\1\0\0\0\0\0\0" NAME "\0\0\1\0\1";
#define QUESTION_LEN (sizeof(question) - 1)

/* One question and its answer; the socket lives on, as that of a stub resolver does. */
static bool ask_one(const struct sockaddr_in *to)
{
	static uint16_t id;
	char message[512];
	ssize_t n;

	if (udp_fd < 0) {
		udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (udp_fd < 0 || connect(udp_fd, (const struct sockaddr *)to, sizeof(*to)))
			return false;
	}
	memcpy(message, question, QUESTION_LEN);
	id++;
	memcpy(message, &id, sizeof(id));
	if (send(udp_fd, message, QUESTION_LEN, 0) != (ssize_t)QUESTION_LEN)
		return false;
	n = recv(udp_fd, message, sizeof(message), 0);
	return n > (ssize_t)QUESTION_LEN && !memcmp(message, &id, sizeof(id));
}

/* Addresses from 11.0.0.0 on: public ones, on no network of the test's. */
static int resolve(const struct sockaddr_in *at, int milliseconds)
{
	static uint32_t next = 0x0b000001;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof(*at))) {
		fprintf(stderr, "bench_net: %s\n", strerror(errno));
		return 1;
	}
	alarm((unsigned)milliseconds / 1000 + 1);
	for (;;) {
		static const char record[] = "\300\14\0\1\0\1\0\0\0\74\0\4"; /* the name above, A, IN, 60 s */
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		char message[512];
		ssize_t n = recvfrom(fd, message, sizeof(message) / 2, 0, (struct sockaddr *)&from, &len);

		if (n != (ssize_t)QUESTION_LEN)
			continue;
		message[2] = (char)0x81;
		message[7] = RESOLVED;
		for (int i = 0; i < RESOLVED; i++, n += 16) {
			uint32_t address = htonl(next++);

			memcpy(message + n, record, 12);
			memcpy(message + n + 12, &address, sizeof(address));
		}
		sendto(fd, message, (size_t)n, 0, (const struct sockaddr *)&from, len);
	}
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

/* Does it as often as it can; prints how often a second of that clock. */
static int rate(const struct sockaddr_in *to, bool (*one)(const struct sockaddr_in *), clockid_t clock,
		int milliseconds)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)milliseconds * 1000000ull;
	uint64_t start = clock_ns(clock), count = 0;

	do {
		for (int i = 0; i < 16; i++, count++) {
			if (!one(to)) {
				fprintf(stderr, "bench_net: %s\n", strerror(errno));
				return 1;
			}
		}
	} while (clock_ns(CLOCK_MONOTONIC) < end);
	printf("%.0f\n", (double)count * 1e9 / (double)(clock_ns(clock) - start));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool (*one)(const struct sockaddr_in *);
		int (*server)(const struct sockaddr_in *, int milliseconds);
		clockid_t clock;
	} commands[] = {
		{"udp", send_one, NULL, CLOCK_PROCESS_CPUTIME_ID}, {"connect", connect_one, NULL, CLOCK_PROCESS_CPUTIME_ID},
		{"dns", ask_one, NULL, CLOCK_MONOTONIC}, {"serve", NULL, serve, 0}, {"resolve", NULL, resolve, 0},
	};
	struct sockaddr_in to = {.sin_family = AF_INET};

	for (size_t i = 0; argc == 5 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
			continue;
		to.sin_port = htons((uint16_t)atoi(argv[3]));
		return commands[i].one ? rate(&to, commands[i].one, commands[i].clock, atoi(argv[4])) : commands[i].server(&to, atoi(argv[4]));
	}
	fprintf(stderr, "usage: bench_net udp|connect|dns|serve|resolve ADDRESS PORT MILLISECONDS\n");
	return 2;
}

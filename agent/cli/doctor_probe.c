// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_probe.c - whether a process below a managed root is refused what it must not have: tried
 *
 * Theory of operation. A child goes into a network namespace of its own, in which no route leads
 * anywhere, and tries each socket and each connection there twice: as it is, and in a new cgroup
 * below the root that belongs to no app. What works before and is refused after, a hook has refused;
 * what doesn't work before either says nothing. The refusals are in the event log like anybody's,
 * by the command `egret`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "call32.h"
#include "cli.h"
#include "doctor.h"
#include "scope.h"

#define EG_AF_RDS   21
#define EG_AF_TIPC  30
#define EG_AF_RXRPC 33
#define EG_AF_VSOCK 40
#define EG_AF_SMC   43
#define EG_AF_XDP   44
#define NOWHERE     "192.0.2.1" /* for documentation, RFC 5737 */
#define EG_IPV6_FREEBIND 78

enum kind {
	FAMILY, /* open where BPF LSM is off */
	RAW,
	CONNECT,
	SEND,
	OPTION, /* by which a socket sends with another's address */
	OPTION32, /* the same by a 32-bit call: open where BPF LSM is off */
};

static const struct trial {
	enum kind kind;
	const char *name;
	int family;
	int type;
	int protocol;
	const char *loaded; /* tried only if /proc/net/protocols has it: a look must not load a module */
} trials[] = {
	{FAMILY, "AF_PACKET", AF_PACKET, SOCK_RAW, 0, NULL},
	{FAMILY, "AF_XDP", EG_AF_XDP, SOCK_RAW, 0, NULL},
	{FAMILY, "AF_VSOCK", EG_AF_VSOCK, SOCK_STREAM, 0, "AF_VSOCK"},
	{FAMILY, "AF_RDS", EG_AF_RDS, SOCK_SEQPACKET, 0, "RDS"},
	{FAMILY, "AF_TIPC", EG_AF_TIPC, SOCK_STREAM, 0, "TIPC"},
	{FAMILY, "AF_RXRPC", EG_AF_RXRPC, SOCK_DGRAM, AF_INET, "RXRPC"},
	{FAMILY, "AF_SMC", EG_AF_SMC, SOCK_STREAM, 0, "SMC"},
	{RAW, "raw IPv4", AF_INET, SOCK_RAW, IPPROTO_UDP, NULL},
	{RAW, "raw IPv6", AF_INET6, SOCK_RAW, IPPROTO_UDP, NULL},
	{CONNECT, "a TCP connection", AF_INET, SOCK_STREAM, 0, NULL},
	{SEND, "a datagram", AF_INET, SOCK_DGRAM, 0, NULL},
	{OPTION, "IPV6_FREEBIND", AF_INET6, SOCK_DGRAM, 0, NULL},
	{OPTION32, "IPV6_FREEBIND", AF_INET6, SOCK_DGRAM, 0, NULL},
};
#define TRIALS (sizeof(trials) / sizeof(trials[0]))

struct results {
	int error; /* the probe itself: nothing below counts */
	int before[TRIALS]; /* errno; 0: it worked */
	int inside[TRIALS];
};

/* ---- The child -------------------------------------------------------------------------------- */

static bool may_try(const struct trial *trial)
{
	EG_FCLOSE FILE *f = NULL;
	char line[256], name[32];

	if (!trial->loaded)
		return true;
	f = fopen("/proc/net/protocols", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s", name) == 1 && strcmp(name, trial->loaded) == 0)
			return true;
	}
	return false;
}

static int try_one(const struct trial *trial)
{
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
	EG_CLOSE int fd = -1;
	const int one = 1;
	ssize_t r = 0;

	if (!may_try(trial))
		return EAFNOSUPPORT;
	fd = socket(trial->family, trial->type | SOCK_CLOEXEC, trial->protocol);
	if (fd < 0)
		return errno;
	inet_pton(AF_INET, NOWHERE, &there.sin_addr);
	if (trial->kind == CONNECT)
		r = connect(fd, (struct sockaddr *)&there, sizeof(there));
	else if (trial->kind == SEND)
		r = sendto(fd, "x", 1, 0, (struct sockaddr *)&there, sizeof(there));
	else if (trial->kind == OPTION)
		r = setsockopt(fd, IPPROTO_IPV6, EG_IPV6_FREEBIND, &one, sizeof(one));
	else if (trial->kind == OPTION32)
		return eg_call32_setsockopt(fd, IPPROTO_IPV6, EG_IPV6_FREEBIND, one);
	return r < 0 ? errno : 0;
}

static void __attribute__((noreturn)) child(const char *cgroup, int out)
{
	struct results results = {0};

	if (unshare(CLONE_NEWNET))
		results.error = errno;
	for (size_t i = 0; !results.error && i < TRIALS; i++)
		results.before[i] = try_one(&trials[i]);
	if (!results.error)
		results.error = -eg_scope_enter(cgroup);
	for (size_t i = 0; !results.error && i < TRIALS; i++)
		results.inside[i] = try_one(&trials[i]);
	_exit(write(out, &results, sizeof(results)) != sizeof(results));
}

/* ---- The parent -------------------------------------------------------------------------------- */

static int probe(const char *root, struct results *ret)
{
	EG_FREE char *cgroup = NULL;
	EG_CLOSE int in = -1;
	int ends[2], r, status;
	pid_t pid;

	r = eg_scope_make(root, "egret-doctor", getpid(), &cgroup);
	if (r)
		return r;
	if (pipe2(ends, O_CLOEXEC)) {
		r = -errno;
		eg_scope_remove(cgroup);
		return r;
	}
	in = ends[0];
	pid = fork();
	if (pid == 0)
		child(cgroup, ends[1]);
	r = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (!r && read(in, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		r = -EIO;
	if (pid > 0)
		waitpid(pid, &status, 0);
	eg_scope_remove(cgroup);
	return r ? r : -ret->error;
}

/* Names of the trials of that kind which work inside; *ret_refused: how many worked before and don't now. */
static json_t *open_ones(const struct results *results, enum kind kind, size_t *ret_refused)
{
	json_t *names = json_array();

	*ret_refused = 0;
	for (size_t i = 0; i < TRIALS; i++) {
		if (trials[i].kind != kind || results->before[i])
			continue;
		if (results->inside[i])
			(*ret_refused)++;
		else
			json_array_append_new(names, json_string(trials[i].name));
	}
	return names;
}

static void say_families(struct eg_doctor *doctor, const char *root, const struct results *results)
{
	size_t refused;
	EG_JSON json_t *names = open_ones(results, FAMILY, &refused);
	EG_FREE char *list = eg_json_list(names, TRIALS);

	if (json_array_size(names))
		eg_doctor_warn(doctor, "families",
			       "Make BPF LSM work (see lsm), or take CAP_NET_RAW from apps and restrict socket families by seccomp "
			       "(systemd: RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK)",
			       "below root %s processes can open %s (some of them with CAP_NET_RAW), whose packets no hook of a cgroup sees",
			       root, list ? list : "?");
	else if (refused)
		eg_doctor_ok(doctor, "families", "below root %s sockets that no hook of a cgroup sees are refused", root);
}

static void say_raw(struct eg_doctor *doctor, const char *root, const struct results *results)
{
	size_t refused;
	EG_JSON json_t *names = open_ones(results, RAW, &refused);

	if (json_array_size(names))
		eg_doctor_fail(doctor, "hooks", "Look into egretd's log, and restart it",
			       "below root %s a cgroup of no app was given a raw socket", root);
}

static void say_options(struct eg_doctor *doctor, const char *root, const struct results *results)
{
	size_t refused, refused32;
	EG_JSON json_t *names = open_ones(results, OPTION, &refused), *names32 = open_ones(results, OPTION32, &refused32);

	if (json_array_size(names))
		eg_doctor_fail(doctor, "options", "Look into egretd's log, and restart it",
			       "below root %s nothing refuses IPV6_FREEBIND, by which a socket sends with any address", root);
	else if (json_array_size(names32))
		eg_doctor_warn(doctor, "options",
			       "Make BPF LSM work (see lsm), boot with ia32_emulation=off, or forbid apps 32-bit system calls by seccomp "
			       "(systemd: SystemCallArchitectures=native)",
			       "below root %s processes can set IPV6_FREEBIND by a 32-bit system call, which no hook of a cgroup sees, "
			       "and send to hosts that their policy allows with any IPv6 address as their own (with CAP_NET_RAW any IPv4 "
			       "address)",
			       root);
	else if (refused)
		eg_doctor_ok(doctor, "options", "below root %s sockets can't be told to send with others' addresses: tried", root);
}

/* In its empty namespace only a hook says EPERM. */
static void say_connections(struct eg_doctor *doctor, const char *root, const struct results *results)
{
	bool passed = false;

	for (size_t i = 0; i < TRIALS; i++) {
		if ((trials[i].kind != CONNECT && trials[i].kind != SEND) || results->inside[i] == EPERM)
			continue;
		passed = true;
		eg_doctor_fail(doctor, "hooks", "Look into egretd's log, and restart it",
			       "below root %s nothing refuses %s of a cgroup of no app: %s", root, trials[i].name,
			       strerror(results->inside[i]));
	}
	if (!passed)
		eg_doctor_ok(doctor, "hooks", "below root %s connections of a cgroup of no app are refused: tried", root);
}

static void probe_root(struct eg_doctor *doctor, const json_t *status, const char *root)
{
	const json_t *roots = json_object_get(status, "enforcement");
	struct results results = {0};
	char message[320] = "";
	EG_FREE char *path = eg_scope_root(eg_json_text(status, "cgroup2_mount"), roots, root, message, sizeof(message));
	int r;

	if (!path) {
		eg_doctor_warn(doctor, "hooks", NULL, "root %s can't be tried: %s", root, message);
		return;
	}
	r = probe(path, &results);
	if (r) {
		eg_doctor_warn(doctor, "hooks", "Run egret doctor as root of the host",
			       "what is refused below root %s can't be tried: %s", root, strerror(-r));
		return;
	}
	say_connections(doctor, root, &results);
	say_raw(doctor, root, &results);
	say_families(doctor, root, &results);
	say_options(doctor, root, &results);
}

void eg_doctor_probe(struct eg_doctor *doctor, const json_t *status)
{
	json_t *root;
	size_t i;

	json_array_foreach(json_object_get(status, "enforcement"), i, root) {
		const char *name = eg_json_text(root, "root"), *unknown = eg_json_text(root, "unknown");

		/* elsewhere a cgroup of no app has its freedom, and that is said already */
		if (name && eg_json_true(root, "attached") && unknown && strcmp(unknown, "deny") == 0)
			probe_root(doctor, status, name);
	}
}

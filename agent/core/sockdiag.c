// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. The caller's thread gathers what to look for: the cgroup ids with
 * all that is nested in them, and the network namespaces. One worker thread then goes
 * from namespace to namespace: dump, collect the victims, destroy them in batches
 * (destroying while a dump runs on the same socket isn't possible).
 *
 * Two passes. The first takes the namespaces that threads are in, which is where nearly
 * all sockets are. The second looks at the sockets that are still held: one that was
 * made in a namespace which its owner has left is found only by asking the socket.
 *
 * The kernel finds a UDP socket by address, not by cookie. With SO_REUSEPORT it may find
 * another one of the group first, and says ENOENT. So what was not found is looked for
 * once more: sockets that went away by themselves are told from those that were missed.
 */
#include "sockdiag.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "inetdiag.h"
#include "netns.h"
#include "tasksock.h"

struct cut {
	const struct eg_cut_request *request;
	struct eg_cut *result;
	bool foreign; /* take sockets in inodes that are not of cgroups; else those of cgroups */
	struct eg_idset cgroups;
	struct eg_idset inodes;
	struct eg_netns_set namespaces;
	size_t namespaces_done;
	pid_t *pids;
	size_t pid_count;
};

struct victims {
	const struct cut *cut;
	const struct eg_idset *only; /* cookies; NULL: any */
	struct eg_inetdiag_victim *items;
	size_t count;
	size_t room;
};

static void cut_release(struct cut *cut)
{
	eg_idset_clear(&cut->cgroups);
	eg_idset_clear(&cut->inodes);
	eg_netns_set_clear(&cut->namespaces);
	free(cut->pids);
}

static void free_victims(struct victims *victims)
{
	free(victims->items);
}

static void note(struct eg_cut *result, int r)
{
	if (r >= 0)
		return;
	result->errors++;
	if (!result->first_errno)
		result->first_errno = r;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool wanted(const struct victims *victims, const struct eg_sockdiag_sock *sock)
{
	const struct cut *cut = victims->cut;

	if (victims->only)
		return eg_idset_has(victims->only, sock->cookie);
	if (cut->foreign) {
		if (!eg_idset_has(&cut->inodes, sock->inode) || eg_idset_has(&cut->cgroups, sock->cgroup_id))
			return false;
	} else if (!eg_idset_has(&cut->cgroups, sock->cgroup_id)) {
		return false;
	}
	return !cut->request->filter || cut->request->filter(cut->request->filter_ctx, sock);
}

static int collect(void *ctx, const struct eg_sockdiag_sock *sock, const struct eg_inetdiag_victim *victim)
{
	struct victims *victims = ctx;

	if (!wanted(victims, sock))
		return 0;
	if (victims->count == victims->room) {
		size_t room = victims->room ? victims->room * 2 : 64;
		struct eg_inetdiag_victim *items = reallocarray(victims->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		victims->items = items;
		victims->room = room;
	}
	victims->items[victims->count++] = *victim;
	return 0;
}

/* Reads one table; a kernel without it is no error. */
static int dump(struct eg_inetdiag *diag, int family, int proto, struct victims *victims)
{
	const struct eg_idset *cgroups = victims->cut->foreign ? NULL : &victims->cut->cgroups;
	int r = eg_inetdiag_dump(diag, family, proto, cgroups, collect, victims);

	return r == -EOPNOTSUPP ? 0 : r;
}

static bool is_flow(const struct eg_inetdiag_victim *victim)
{
	return victim->state != TCP_LISTEN && victim->state != TCP_CLOSE && victim->state != TCP_SYN_SENT &&
	       victim->state != TCP_SYN_RECV;
}

/* Listeners last: their end takes those with it that nobody has accepted yet, uncounted. */
static int compare_victims(const void *a, const void *b)
{
	const struct eg_inetdiag_victim *x = a, *y = b;

	return (x->state == TCP_LISTEN) - (y->state == TCP_LISTEN);
}

/* Destroys and counts. The cookies of those that were not found go to ret_lost. */
static void destroy(struct eg_inetdiag *diag, struct victims *victims, struct eg_cut *result,
		    struct eg_idset *ret_lost)
{
	EG_FREE int *errnos = calloc(victims->count + 1, sizeof(*errnos));

	if (!errnos) {
		note(result, -ENOMEM);
		return;
	}
	if (victims->count)
		qsort(victims->items, victims->count, sizeof(*victims->items), compare_victims);
	note(result, eg_inetdiag_destroy(diag, victims->items, victims->count, errnos));
	for (size_t i = 0; i < victims->count; i++) {
		const struct eg_inetdiag_victim *victim = &victims->items[i];

		if (errnos[i] == -ENOENT) {
			note(result, eg_idset_add(ret_lost, victim->cookie));
			continue;
		}
		if (errnos[i]) {
			result->missed++;
			note(result, errnos[i]);
			continue;
		}
		result->sockets++;
		result->tcp += victim->req.sdiag_protocol == IPPROTO_TCP;
		result->udp += victim->req.sdiag_protocol == IPPROTO_UDP;
		result->flows += is_flow(victim);
	}
}

static void cut_table(struct cut *cut, struct eg_inetdiag *diag, int family, int proto)
{
	EG_CLEANUP(free_victims) struct victims first = { .cut = cut };
	EG_CLEANUP(free_victims) struct victims again = { .cut = cut };
	EG_CLEANUP(eg_cleanup_idset) struct eg_idset lost = { 0 };
	EG_CLEANUP(eg_cleanup_idset) struct eg_idset missed = { 0 };
	int r = dump(diag, family, proto, &first);

	note(cut->result, r);
	if (first.count == 0) /* also after an error: what was collected before it is cut */
		return;
	destroy(diag, &first, cut->result, &lost);
	if (lost.count == 0)
		return;
	eg_idset_sort(&lost);
	again.only = &lost;
	note(cut->result, dump(diag, family, proto, &again));
	destroy(diag, &again, cut->result, &missed);
	cut->result->gone += (uint32_t)(lost.count - again.count);
	cut->result->missed += (uint32_t)missed.count;
}

static void cut_namespace(struct cut *cut, const struct eg_netns *netns)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const int protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_RAW };
	struct eg_inetdiag *diag = NULL;
	EG_CLOSE int fd = eg_netns_open(netns);
	int r = fd < 0 ? fd : setns(fd, CLONE_NEWNET) ? -errno : eg_inetdiag_open(&diag);

	if (r != -ESRCH)
		note(cut->result, r);
	if (r)
		return;
	for (size_t p = 0; p < (cut->request->tcp_only ? 1 : sizeof(protos) / sizeof(protos[0])); p++)
		for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++)
			cut_table(cut, diag, families[f], protos[p]);
	eg_inetdiag_close(diag);
	cut->result->namespaces++;
}

static bool is_done(const struct cut *cut)
{
	return cut->request->at_most && cut->result->sockets >= cut->request->at_most;
}

static void cut_new_namespaces(struct cut *cut)
{
	while (cut->namespaces_done < cut->namespaces.count && !is_done(cut))
		cut_namespace(cut, &cut->namespaces.items[cut->namespaces_done++]);
}

static void *work(void *arg)
{
	struct cut *cut = arg;

	cut_new_namespaces(cut);
	for (size_t i = 0; i < cut->pid_count && !is_done(cut); i++) {
		int r = eg_netns_set_add_pid_sockets(&cut->namespaces, cut->pids[i]);

		if (r != -ESRCH)
			note(cut->result, r);
	}
	cut_new_namespaces(cut);
	return NULL;
}

static int add_cgroup(void *ctx, const char *path, int fd, uint64_t id)
{
	(void)path;
	(void)fd;
	return eg_idset_add(ctx, id);
}

/* One cgroup of the request: its id, the ids and processes below. */
static int gather_cgroup(struct cut *cut, const struct eg_cgroupfs *fs, uint64_t id)
{
	EG_CLOSE int fd = eg_cgroupfs_open_id(fs, id);
	EG_FREE pid_t *pids = NULL;
	pid_t *all;
	size_t count = 0;
	int r = eg_idset_add(&cut->cgroups, id);

	if (r)
		return r;
	if (fd < 0) /* removed: no processes, but sockets may live on elsewhere */
		return fd == -ESTALE ? 0 : fd;
	r = eg_cgroupfs_walk(fd, add_cgroup, &cut->cgroups);
	if (r == 0)
		r = eg_cgroupfs_procs(fd, &pids, &count);
	if (r)
		return r;
	all = reallocarray(cut->pids, cut->pid_count + count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	cut->pids = all;
	for (size_t i = 0; i < count; i++)
		all[cut->pid_count++] = pids[i];
	return 0;
}

static void gather_namespaces(struct cut *cut)
{
	EG_CLOSE int self = eg_netns_open_self();

	note(cut->result, self);
	if (self >= 0)
		note(cut->result, eg_netns_set_add_fd(&cut->namespaces, self));
	for (size_t i = 0; i < cut->request->netns_count; i++)
		note(cut->result, eg_netns_set_add_fd(&cut->namespaces, cut->request->netns_fds[i]));
	for (size_t i = 0; i < cut->pid_count; i++) {
		int r = eg_netns_set_add_pid(&cut->namespaces, cut->pids[i]);

		if (r != -ESRCH)
			note(cut->result, r);
	}
}

static int add_inode(void *ctx, pid_t tid, int fd, uint32_t inode)
{
	(void)tid;
	(void)fd;
	return eg_idset_add(ctx, inode);
}

static void gather_inodes(struct cut *cut)
{
	for (size_t i = 0; i < cut->pid_count; i++) {
		int r = eg_tasksock_each(cut->pids[i], add_inode, &cut->inodes);

		if (r != -ESRCH)
			note(cut->result, r);
	}
	eg_idset_sort(&cut->inodes);
}

static int run(const struct eg_cgroupfs *fs, const struct eg_cut_request *request, bool foreign,
	       struct eg_cut *ret_cut)
{
	struct eg_cut result = { 0 };
	EG_CLEANUP(cut_release) struct cut cut = { .request = request, .result = &result, .foreign = foreign };
	uint64_t began_ns = now_ns();
	pthread_t thread;
	int r;

	for (size_t i = 0; i < request->cgroup_count; i++)
		note(&result, gather_cgroup(&cut, fs, request->cgroup_ids[i]));
	eg_idset_sort(&cut.cgroups);
	gather_namespaces(&cut);
	if (foreign)
		gather_inodes(&cut);
	r = pthread_create(&thread, NULL, work, &cut);
	if (r == 0)
		pthread_join(thread, NULL);
	note(&result, -r);
	result.took_ns = now_ns() - began_ns;
	*ret_cut = result;
	return result.first_errno;
}

int eg_sockdiag_cut(const struct eg_cgroupfs *fs, const struct eg_cut_request *request, struct eg_cut *ret_cut)
{
	return run(fs, request, false, ret_cut);
}

int eg_sockdiag_cut_foreign(const struct eg_cgroupfs *fs, const struct eg_cut_request *request,
			    struct eg_cut *ret_cut)
{
	return run(fs, request, true, ret_cut);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. Who has CAP_NET_ADMIN over a namespace can rewrite packets
 * behind the packet hook, and who has CAP_NET_RAW can write frames past it. What counts is the kernel's
 * rule (cap_capable()): starting at the user namespace that owns the network namespace and going up
 * through its parents,
 *  - in the task's own user namespace: its capability sets decide;
 *  - in a namespace whose parent is the task's own and whose owner it is: it has all.
 * We ask what the task can become as well as what it is: a permitted capability can be
 * raised at will, and root of a user namespace gets the bounding set back by execve,
 * unless no_new_privs forbids.
 */
#include "netns.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "tasksock.h"

#define USERNS_LEVELS 33 /* the kernel nests 32 deep */

struct creds {
	unsigned int uids[4]; /* real, effective, saved, fs; as seen from here */
	uint64_t permitted;
	uint64_t bounding;
	unsigned int no_new_privs;
};

static FILE *open_status(pid_t pid, pid_t tid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	return fopen(path, "re");
}

static int read_creds(pid_t pid, pid_t tid, struct creds *ret)
{
	EG_FCLOSE FILE *f = open_status(pid, tid, "status");
	struct creds creds = { 0 };
	unsigned int seen = 0;
	char line[256];

	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (fgets(line, sizeof(line), f)) {
		unsigned int *u = creds.uids;

		if (sscanf(line, "Uid: %u %u %u %u", &u[0], &u[1], &u[2], &u[3]) == 4)
			seen |= 1;
		else if (sscanf(line, "CapPrm: %lx", &creds.permitted) == 1)
			seen |= 2;
		else if (sscanf(line, "CapBnd: %lx", &creds.bounding) == 1)
			seen |= 4;
		else
			sscanf(line, "NoNewPrivs: %u", &creds.no_new_privs);
	}
	if (seen != 7)
		return -ESRCH;
	*ret = creds;
	return 0;
}

/* Whether one of the task's uids is 0 within its own user namespace. */
static bool is_root_inside(pid_t pid, pid_t tid, const struct creds *creds)
{
	EG_FCLOSE FILE *f = open_status(pid, tid, "uid_map");
	unsigned int inside, outside, count;

	if (!f)
		return true; /* can't tell: the careful answer */
	while (fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
		if (inside == 0 && count > 0)
			for (int i = 0; i < 3; i++)
				if (creds->uids[i] == outside)
					return true;
	return false;
}

/* Of CAP_NET_ADMIN and CAP_NET_RAW, those that the task has or can get, as rights over a namespace of another's. */
static int rights_of(pid_t pid, pid_t tid, const struct creds *creds)
{
	uint64_t caps = creds->permitted;

	if (!creds->no_new_privs && is_root_inside(pid, tid, creds))
		caps |= creds->bounding;
	return (caps & 1ull << CAP_NET_ADMIN ? EG_NETNS_ADMIN : 0) | (caps & 1ull << CAP_NET_RAW ? EG_NETNS_RAW : 0);
}

static int open_ns(pid_t pid, pid_t tid, const char *name, uint64_t *ret_inode)
{
	EG_CLOSE int fd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/%s", (int)pid, (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = eg_netns_inode(fd, ret_inode);
	return r ? r : EG_TAKE_FD(fd);
}

/* cap_capable(): which rights has the task, whose user namespace is own, over owner? */
static int rights_over(pid_t pid, pid_t tid, int owner_fd, uint64_t own, const struct creds *creds)
{
	EG_CLOSE int ns = fcntl(owner_fd, F_DUPFD_CLOEXEC, 3);

	for (int level = 0; ns >= 0 && level < USERNS_LEVELS; level++) {
		EG_CLOSE int parent = -1;
		uint64_t inode = 0, parent_inode = 0;
		unsigned int owner_uid;
		int r = eg_netns_inode(ns, &inode);

		if (r)
			return r;
		if (inode == own)
			return rights_of(pid, tid, creds);
		parent = ioctl(ns, NS_GET_PARENT);
		if (parent < 0) /* EPERM: above what we can see, and so above any app */
			return errno == EPERM ? 0 : -errno;
		r = eg_netns_inode(parent, &parent_inode);
		if (r)
			return r;
		if (ioctl(ns, NS_GET_OWNER_UID, &owner_uid))
			return -errno;
		if (parent_inode == own && (owner_uid == creds->uids[0] || owner_uid == creds->uids[1] ||
					    owner_uid == creds->uids[2]))
			return EG_NETNS_ADMIN | EG_NETNS_RAW;
		close(ns);
		ns = EG_TAKE_FD(parent);
	}
	return ns < 0 ? -errno : -ELOOP;
}

struct subject {
	pid_t pid;
	uint64_t here; /* our own network namespace */
	unsigned int rights; /* of its threads so far */
};

static int add_task(void *ctx, pid_t tid)
{
	struct subject *subject = ctx;
	EG_CLOSE int net = -1, user = -1, owner = -1;
	uint64_t net_inode = 0, user_inode = 0;
	struct creds creds = { 0 };
	int r;

	net = open_ns(subject->pid, tid, "net", &net_inode);
	if (net < 0)
		return net == -ESRCH ? 0 : net;
	user = open_ns(subject->pid, tid, "user", &user_inode);
	if (user < 0)
		return user == -ESRCH ? 0 : user;
	owner = ioctl(net, NS_GET_USERNS);
	if (owner < 0) /* EPERM: owned above us, where no app is */
		return errno == EPERM ? 0 : -errno;
	r = read_creds(subject->pid, tid, &creds);
	if (r)
		return r == -ESRCH ? 0 : r;
	r = rights_over(subject->pid, tid, owner, user_inode, &creds);
	if (r < 0)
		return r;
	if (net_inode != subject->here)
		subject->rights |= (unsigned int)r;
	else if (r & EG_NETNS_RAW)
		subject->rights |= EG_NETNS_RAW_HERE;
	return 0;
}

int eg_netns_rights(pid_t pid, unsigned int *ret_rights)
{
	EG_CLOSE int self = eg_netns_open_self();
	struct subject subject = { .pid = pid };
	int r;

	if (self < 0)
		return self;
	r = eg_netns_inode(self, &subject.here);
	if (r == 0)
		r = eg_tasksock_each_task(pid, add_task, &subject);
	if (r < 0)
		return r;
	*ret_rights = subject.rights;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * api_door.c - one message of a child's door: the end of a socketpair, and nothing else
 */
#include "api_impl.h"

#include <string.h>
#include <sys/socket.h>

/* The child may send any descriptor that it can make; only a stream socket of this family is read from. */
static bool is_stream(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return false;
	len = sizeof(type);
	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && domain == AF_UNIX && type == SOCK_STREAM;
}

int eg_api_door_take(int door)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec iov = {&byte, sizeof(byte)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(door, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	EG_CLOSE int fd = -1;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -EPIPE;
	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	/* More than one: the kernel has closed those for which there was no room. */
	if (msg.msg_flags & MSG_CTRUNC || !is_stream(fd))
		return -EPROTO;
	return EG_TAKE_FD(fd);
}

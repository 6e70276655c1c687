// SPDX-License-Identifier: Apache-2.0
/*
 * The Unix socket is bound under another name in its directory, made ready there, and renamed:
 * nobody meets it half-made, and a dead agent's socket is replaced without a moment in which
 * there is none.
 */
#include "api_impl.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../lib/addr.h"

static int bad(struct eg_error *err, const char *path, const char *what, int r)
{
	eg_error_set(err, 500, "bad_socket", "Socket %s: %s: %s.", path, what, strerror(-r));
	return r;
}

static int make_directory(const char *path, struct eg_error *err)
{
	const char *slash = strrchr(path, '/');
	EG_FREE char *dir = slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;

	if (!dir)
		return 0;
	if (mkdir(dir, 0755) < 0)
		return errno == EEXIST ? 0 : bad(err, path, "its directory can't be made", -errno);
	/* The groups must get through, whatever umask we were started with. */
	return chmod(dir, 0755) < 0 ? bad(err, path, "its directory can't be opened to all", -errno) : 0;
}

/* Fails if something is there that is alive, or that isn't a socket. */
static int check_vacant(const struct sockaddr_un *addr, struct eg_error *err)
{
	EG_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return bad(err, addr->sun_path, "can't be made", -errno);
	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : bad(err, addr->sun_path, "can't be looked at", -errno);
	if (!S_ISSOCK(st.st_mode))
		return bad(err, addr->sun_path, "a file that is no socket is in the way", -EEXIST);
	/* EAGAIN: it listens, and its queue is full. */
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN) {
		eg_error_set(err, 500, "socket_in_use", "Another agent listens on %s; stop it or give --socket.",
			     addr->sun_path);
		return -EADDRINUSE;
	}
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : bad(err, addr->sun_path, "is in use", -errno);
}

/* Binds under a name of our own beside path; on failure nothing is left. */
static int bind_beside(const struct sockaddr_un *path, const gid_t groups[EG_ROLE_ADMIN + 1],
		       struct sockaddr_un *ret, int *ret_fd)
{
	EG_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *slash = strrchr(path->sun_path, '/');
	int dir_len = slash ? (int)(slash + 1 - path->sun_path) : 0, n, r;

	if (fd < 0)
		return -errno;
	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%.*s.eg%d", dir_len, path->sun_path, (int)getpid());
	if (n >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	unlink(addr.sun_path); /* of an agent that had our pid */
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	r = eg_api_access(addr.sun_path, groups);
	if (!r && listen(fd, SOMAXCONN) < 0)
		r = -errno;
	if (r) {
		unlink(addr.sun_path);
		return r;
	}
	*ret = addr;
	*ret_fd = EG_TAKE_FD(fd);
	return 0;
}

int eg_api_listen_unix(struct eg_api *api, const char *path, struct eg_error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX}, fresh;
	EG_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return bad(err, path, "a socket's path has 1 to 107 bytes", -ENAMETOOLONG);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	r = make_directory(path, err);
	if (r < 0)
		return r;
	r = check_vacant(&addr, err);
	if (r < 0)
		return r;
	r = bind_beside(&addr, api->groups, &fresh, &fd);
	if (r < 0)
		return bad(err, path, "can't be made", r);
	api->socket = strdup(path);
	if (!api->socket || stat(fresh.sun_path, &st) < 0 || rename(fresh.sun_path, path) < 0) {
		r = api->socket ? -errno : -ENOMEM;
		unlink(fresh.sun_path);
		return bad(err, path, "can't be made", r);
	}
	api->socket_dev = st.st_dev;
	api->socket_ino = st.st_ino;
	api->unix_fd = EG_TAKE_FD(fd);
	return 0;
}

void eg_api_unlisten_unix(struct eg_api *api)
{
	struct stat st;

	if (api->unix_fd < 0)
		return;
	/* Somebody else may have put theirs there meanwhile. */
	if (!lstat(api->socket, &st) && st.st_dev == api->socket_dev && st.st_ino == api->socket_ino)
		unlink(api->socket);
	close(api->unix_fd);
	api->unix_fd = -1;
}

static bool is_loopback(const struct eg_addr *addr)
{
	static const struct eg_addr v6 = {.b = {[15] = 1}};

	return eg_addr_v4mapped(addr) ? addr->b[12] == 127 : !memcmp(addr, &v6, sizeof(v6));
}

static int bad_metrics(struct eg_error *err, const char *listen_on, int r)
{
	eg_error_set(err, 500, "bad_metrics", "metrics_listen \"%s\": %s.", listen_on, strerror(-r));
	return r;
}

int eg_api_listen_tcp(const char *listen_on, int *ret_fd, struct eg_error *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	EG_CLOSE int fd = -1;
	struct eg_addr addr;
	const int one = 1;
	uint16_t port;
	bool is_v4;
	int r;

	if (eg_addr_port_from_text(listen_on, &addr, &port) < 0 || !port || !is_loopback(&addr)) {
		eg_error_set(err, 500, "bad_metrics",
			     "metrics_listen \"%s\" must be a loopback address and a port, such as \"127.0.0.1:9464\".",
			     listen_on);
		return -EINVAL;
	}
	is_v4 = eg_addr_v4mapped(&addr);
	memcpy(&v4.sin_addr, addr.b + 12, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, addr.b, sizeof(v6.sin6_addr));
	v4.sin_port = v6.sin6_port = htons(port);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return bad_metrics(err, listen_on, -errno);
	r = is_v4 ? bind(fd, (const struct sockaddr *)&v4, sizeof(v4)) : bind(fd, (const struct sockaddr *)&v6, sizeof(v6));
	if (r < 0 || listen(fd, 16) < 0)
		return bad_metrics(err, listen_on, -errno);
	*ret_fd = EG_TAKE_FD(fd);
	return 0;
}

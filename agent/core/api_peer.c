// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "../lib/log.h"

#define GROUPS_MAX 65536u /* the kernel's own limit */
#define TOKEN_MIN  16u

static gid_t group_id(const char *role, const char *name)
{
	EG_FREE char *buf = NULL;
	struct group entry, *found = NULL;
	size_t size = 1024;
	int r;

	if (!name)
		return (gid_t)-1;
	do {
		size *= 4;
		free(buf);
		buf = malloc(size);
		r = buf ? getgrnam_r(name, &entry, buf, size, &found) : ENOMEM;
	} while (r == ERANGE && size < 16u << 20);
	if (found)
		return found->gr_gid;
	eg_log_warning("group \"%s\" for the role %s %s%s; until a reload nobody has the role by it", name, role,
		       r ? "can't be looked up: " : "doesn't exist", r ? strerror(r) : "");
	return (gid_t)-1;
}

void eg_api_groups_resolve(const struct eg_api_groups *groups, gid_t ret[EG_ROLE_ADMIN + 1])
{
	ret[EG_ROLE_NONE] = (gid_t)-1;
	ret[EG_ROLE_VIEWER] = group_id("viewer", groups->viewer);
	ret[EG_ROLE_RESPONDER] = group_id("responder", groups->responder);
	ret[EG_ROLE_ADMIN] = group_id("admin", groups->admin);
}

static enum eg_role role_of(gid_t gid, const gid_t groups[EG_ROLE_ADMIN + 1])
{
	for (int role = EG_ROLE_ADMIN; role > EG_ROLE_NONE; role--)
		if (gid != (gid_t)-1 && groups[role] == gid)
			return (enum eg_role)role;
	return EG_ROLE_NONE;
}

/*
 * The supplementary groups come from the socket as well: they are those of the caller at the
 * time of its connect, and no directory service is asked while somebody waits for a kill.
 */
static int supplementary_role(int fd, const gid_t groups[EG_ROLE_ADMIN + 1], enum eg_role *role)
{
	EG_FREE gid_t *gids = NULL;
	socklen_t len = 64 * sizeof(*gids), room;

	do {
		room = len;
		free(gids);
		gids = malloc(room);
		if (!gids)
			return -ENOMEM;
		if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &len)) {
			for (size_t i = 0; i < len / sizeof(*gids); i++)
				if (role_of(gids[i], groups) > *role)
					*role = role_of(gids[i], groups);
			return 0;
		}
	} while (errno == ERANGE && len > room && len <= GROUPS_MAX * sizeof(*gids));
	return -errno;
}

int eg_api_peer(int fd, const gid_t groups[EG_ROLE_ADMIN + 1], struct eg_actor *ret)
{
	struct eg_actor actor = {.via = "socket"};
	socklen_t len = sizeof(struct ucred);
	struct ucred cred;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	actor.uid = cred.uid;
	actor.pid = cred.pid;
	actor.role = cred.uid == 0 ? EG_ROLE_ADMIN : role_of(cred.gid, groups);
	if (actor.role != EG_ROLE_ADMIN) {
		r = supplementary_role(fd, groups, &actor.role);
		if (r < 0)
			return r;
	}
	*ret = actor;
	return 0;
}

int eg_api_token_read(const char *file, char ret[EG_API_TOKEN_MAX + 1], struct eg_error *err)
{
	char text[EG_API_TOKEN_MAX + 2];
	EG_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	size_t len;

	if (n < 0)
		return eg_error_set(err, 500, "bad_metrics", "metrics_token_file %s: %s.", file, strerror(errno));
	for (len = (size_t)n; len && strchr(" \t\r\n", text[len - 1]); len--)
		;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			len = 0;
	if (len < TOKEN_MIN || len > EG_API_TOKEN_MAX)
		return eg_error_set(err, 500, "bad_metrics",
				    "metrics_token_file %s must hold one line of %u to %u visible ASCII characters.",
				    file, TOKEN_MIN, EG_API_TOKEN_MAX);
	memcpy(ret, text, len);
	ret[len] = '\0';
	return 0;
}

bool eg_api_token_matches(const char *header, const char *token)
{
	size_t len = strlen(token), n;
	unsigned char differs;

	if (!header || strncasecmp(header, "Bearer ", 7) || !len)
		return false;
	header += 7;
	n = strlen(header);
	differs = n != len;
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(header[i] ^ token[i % len]);
	return !differs;
}

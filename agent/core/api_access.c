// SPDX-License-Identifier: Apache-2.0
/*
 * api_access.c - who may connect to the socket at all: root, and the groups of the configuration
 *
 * Theory of operation. What a caller may do is decided by its credentials, after accept. But a
 * connection waits in a queue before that, and strangers who may connect can fill it, and so
 * keep a kill waiting. So the kernel keeps them out: the socket is root's, with a POSIX access
 * control list for the groups (acl(5); the attribute's form is that of linux/posix_acl_xattr.h).
 */
#include "api_impl.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "../lib/log.h"

#define ENTRIES_MAX (EG_ROLE_ADMIN + 4)

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[ENTRIES_MAX];
};

static size_t add(struct acl *acl, size_t count, uint16_t tag, uint16_t perm, uint32_t id)
{
	acl->entries[count] = (struct posix_acl_xattr_entry){htole16(tag), htole16(perm), htole32(id)};
	return count + 1;
}

static int by_id(const void *left, const void *right)
{
	const gid_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* The groups that exist, each once, in order; returns how many. */
static size_t distinct(const gid_t groups[EG_ROLE_ADMIN + 1], gid_t ret[EG_ROLE_ADMIN + 1])
{
	size_t count = 0, kept = 0;

	for (int role = EG_ROLE_NONE + 1; role <= EG_ROLE_ADMIN; role++)
		if (groups[role] != (gid_t)-1)
			ret[count++] = groups[role];
	/* cppcheck-suppress uninitvar ; count of them were written */
	qsort(ret, count, sizeof(*ret), by_id);
	for (size_t i = 0; i < count; i++)
		if (!kept || ret[kept - 1] != ret[i])
			ret[kept++] = ret[i];
	return kept;
}

int eg_api_access(const char *path, const gid_t groups[EG_ROLE_ADMIN + 1])
{
	const uint16_t rw = ACL_READ | ACL_WRITE;
	struct acl acl = {.header.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
	gid_t gids[EG_ROLE_ADMIN + 1];
	size_t count = distinct(groups, gids), n = 0;

	n = add(&acl, n, ACL_USER_OBJ, rw, (uint32_t)ACL_UNDEFINED_ID);
	n = add(&acl, n, ACL_GROUP_OBJ, 0, (uint32_t)ACL_UNDEFINED_ID);
	for (size_t i = 0; i < count; i++)
		n = add(&acl, n, ACL_GROUP, rw, gids[i]);
	if (count)
		n = add(&acl, n, ACL_MASK, rw, (uint32_t)ACL_UNDEFINED_ID);
	n = add(&acl, n, ACL_OTHER, 0, (uint32_t)ACL_UNDEFINED_ID);
	if (!setxattr(path, "system.posix_acl_access", &acl, sizeof(acl.header) + n * sizeof(acl.entries[0]), 0))
		return 0;
	if (!count)
		return chmod(path, 0600) ? -errno : 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	eg_log_warning("%s is on a filesystem without access control lists: everybody may connect, which lets strangers "
		       "keep others waiting",
		       path);
	return chmod(path, 0666) ? -errno : 0;
}

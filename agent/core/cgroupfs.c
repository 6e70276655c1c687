// SPDX-License-Identifier: Apache-2.0
#include "cgroupfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS: the handle is the 64-bit id */

struct eg_cgroupfs {
	int fd; /* of the mount, readable: open_by_handle_at refuses O_PATH */
	char *mount;
};

/* The kernel's handle of a kernfs node; struct file_handle with room for the id. */
struct kernfs_handle {
	struct file_handle head;
	unsigned char id[8];
};

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape_octal(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && isdigit(from[2]) && isdigit(from[3])) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool is_cgroup2(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

/*
 * A line of mountinfo: "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw". Returns
 * the mount point if it is the whole cgroup2 hierarchy; it points into line.
 */
static char *whole_cgroup2(char *line)
{
	char *fields[5], *rest = line, *separator;

	separator = strstr(line, " - ");
	if (!separator || strncmp(separator + 3, "cgroup2 ", 8) != 0)
		return NULL;
	*separator = '\0';
	for (int i = 0; i < 5; i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i])
			return NULL;
	}
	if (strcmp(fields[3], "/") != 0)
		return NULL;
	unescape_octal(fields[4]);
	return fields[4];
}

/* Opens the first whole cgroup2 mount that isn't hidden under another mount. */
static int open_from_mountinfo(char **ret_mount)
{
	EG_FCLOSE FILE *f = fopen("/proc/self/mountinfo", "re");
	EG_FREE char *line = NULL;
	size_t room = 0;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		char *mount = whole_cgroup2(line);
		EG_CLOSE int fd = mount ? open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

		if (fd < 0 || !is_cgroup2(fd))
			continue;
		*ret_mount = strdup(mount);
		return *ret_mount ? EG_TAKE_FD(fd) : -ENOMEM;
	}
	return -ENODEV;
}

static int open_given(const char *mount, char **ret_mount)
{
	EG_CLOSE int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = strlen(mount);

	if (fd < 0)
		return -errno;
	if (!is_cgroup2(fd))
		return -ENODEV;
	while (len > 1 && mount[len - 1] == '/')
		len--;
	*ret_mount = strndup(mount, len);
	return *ret_mount ? EG_TAKE_FD(fd) : -ENOMEM;
}

static int handle_id(int fd, uint64_t *ret_id)
{
	struct kernfs_handle handle = { .head.handle_bytes = sizeof(handle.id) };
	int mount_id;

	if (name_to_handle_at(fd, "", &handle.head, &mount_id, AT_EMPTY_PATH))
		return -errno;
	if (handle.head.handle_bytes != sizeof(*ret_id))
		return -ENOTSUP;
	memcpy(ret_id, handle.head.f_handle, sizeof(*ret_id));
	return 0;
}

int eg_cgroupfs_open(const char *mount, struct eg_cgroupfs **ret_fs)
{
	EG_CLEANUP(eg_cleanup_cgroupfs) struct eg_cgroupfs *fs = calloc(1, sizeof(*fs));
	uint64_t by_inode = 0, by_handle = 0;
	int r;

	if (!fs)
		return -ENOMEM;
	fs->fd = mount ? open_given(mount, &fs->mount) : open_from_mountinfo(&fs->mount);
	if (fs->fd < 0)
		return fs->fd;
	r = eg_cgroupfs_fd_id(fs->fd, &by_inode);
	if (r == 0)
		r = handle_id(fs->fd, &by_handle);
	if (r)
		return r;
	if (by_inode != by_handle) /* a 32-bit inode number would be a part of the id only */
		return -ENOTSUP;
	*ret_fs = EG_TAKE_PTR(fs);
	return 0;
}

void eg_cgroupfs_close(struct eg_cgroupfs *fs)
{
	if (!fs)
		return;
	if (fs->fd >= 0)
		close(fs->fd);
	free(fs->mount);
	free(fs);
}

const char *eg_cgroupfs_mount(const struct eg_cgroupfs *fs)
{
	return fs->mount;
}

static bool bad_part(const char *part, size_t len)
{
	if (len == 2 && part[0] == '.' && part[1] == '.')
		return true;
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)part[i]))
			return true;
	return false;
}

int eg_cgroupfs_normalize(const struct eg_cgroupfs *fs, const char *input, char ret_path[PATH_MAX])
{
	size_t mount_len = strlen(fs->mount), used = 0;
	char path[PATH_MAX];

	if (input[0] == '/') {
		if (strncmp(input, fs->mount, mount_len) != 0 ||
		    (input[mount_len] != '/' && input[mount_len] != '\0'))
			return -EXDEV;
		input += mount_len;
	}
	for (;;) {
		size_t len;

		input += strspn(input, "/");
		len = strcspn(input, "/");
		if (len == 0)
			break;
		if (bad_part(input, len))
			return -EINVAL;
		if (len > NAME_MAX || used + len + 2 > sizeof(path))
			return -ENAMETOOLONG;
		if (len != 1 || input[0] != '.') {
			if (used)
				path[used++] = '/';
			memcpy(path + used, input, len);
			used += len;
		}
		input += len;
	}
	if (used == 0)
		return -EINVAL;
	memcpy(ret_path, path, used);
	ret_path[used] = '\0';
	return 0;
}

unsigned int eg_cgroupfs_level(const char *path)
{
	unsigned int level = path[0] ? 1 : 0;

	for (; *path; path++)
		level += *path == '/';
	return level;
}

int eg_cgroupfs_open_at(int dir_fd, const char *path, bool readable)
{
	struct open_how how = {
		.flags = O_DIRECTORY | O_CLOEXEC | (readable ? O_RDONLY : O_PATH),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, dir_fd, path[0] ? path : ".", &how, sizeof(how));

	/* A removed kernfs directory that is still open says ENODEV now and then. */
	return fd >= 0 ? fd : errno == ENODEV ? -ENOENT : -errno;
}

int eg_cgroupfs_open_dir(const struct eg_cgroupfs *fs, const char *path, bool readable)
{
	return eg_cgroupfs_open_at(fs->fd, path, readable);
}

int eg_cgroupfs_open_id(const struct eg_cgroupfs *fs, uint64_t id)
{
	struct kernfs_handle handle = {
		.head.handle_bytes = sizeof(id),
		.head.handle_type = HANDLE_KERNFS,
	};
	int fd;

	memcpy(handle.head.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(fs->fd, &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -ESTALE : -errno;
}

int eg_cgroupfs_fd_id(int dir_fd, uint64_t *ret_id)
{
	struct stat st;

	if (fstat(dir_fd, &st))
		return -errno;
	*ret_id = st.st_ino;
	return 0;
}

int eg_cgroupfs_id(const struct eg_cgroupfs *fs, const char *path, uint64_t *ret_id)
{
	EG_CLOSE int fd = eg_cgroupfs_open_dir(fs, path, false);

	return fd < 0 ? fd : eg_cgroupfs_fd_id(fd, ret_id);
}

int eg_cgroupfs_path(const struct eg_cgroupfs *fs, uint64_t id, char ret_path[PATH_MAX])
{
	EG_CLOSE int fd = eg_cgroupfs_open_id(fs, id);
	char link[64], path[PATH_MAX];
	size_t mount_len = strlen(fs->mount);
	uint64_t now_id = 0;
	ssize_t len;
	int r;

	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	if (strcmp(path, fs->mount) == 0) {
		ret_path[0] = '\0';
		return 0;
	}
	if (strncmp(path, fs->mount, mount_len) != 0 || path[mount_len] != '/')
		return -ESTALE;
	/* A removed one reads "... (deleted)", which could be a name too: ask for the id. */
	r = eg_cgroupfs_id(fs, path + mount_len + 1, &now_id);
	if (r || now_id != id)
		return -ESTALE;
	memmove(ret_path, path + mount_len + 1, (size_t)len - mount_len);
	return 0;
}

int eg_cgroupfs_make(const struct eg_cgroupfs *fs, const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return -EINVAL;
	for (size_t end = 1; end <= len; end++) {
		EG_CLOSE int parent = -1;
		char *name;

		if (path[end] != '/' && path[end] != '\0')
			continue;
		memcpy(part, path, end);
		part[end] = '\0';
		name = strrchr(part, '/');
		if (name)
			*name++ = '\0';
		parent = eg_cgroupfs_open_dir(fs, name ? part : "", false);
		if (parent < 0)
			return parent;
		if (mkdirat(parent, name ? name : part, 0755) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int eg_cgroupfs_remove(const struct eg_cgroupfs *fs, const char *path)
{
	EG_CLOSE int parent = -1;
	char above[PATH_MAX];
	const char *name = strrchr(path, '/');
	size_t len = name ? (size_t)(name - path) : 0;

	if (!path[0] || len >= sizeof(above))
		return -EINVAL;
	memcpy(above, path, len);
	above[len] = '\0';
	parent = eg_cgroupfs_open_dir(fs, above, false);
	if (parent < 0)
		return parent;
	return unlinkat(parent, name ? name + 1 : path, AT_REMOVEDIR) ? -errno : 0;
}

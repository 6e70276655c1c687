// SPDX-License-Identifier: Apache-2.0
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/policy.h"
#include "text.h"

void eg_file_clear(struct eg_file *file)
{
	free(file->name);
	free(file->text);
	*file = (struct eg_file){0};
}

/* Everything there is to read, and a NUL. -EFBIG beyond the limit. */
static int read_all(int fd, char **ret, size_t *ret_len)
{
	EG_FREE char *text = NULL;
	size_t len = 0, room = 0;
	ssize_t n;

	do {
		if (len + 1 >= room) {
			char *grown = realloc(text, room = room ? room * 2 : 65536);

			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		n = read(fd, text + len, room - len - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
		if (len > EG_POLICY_BYTES_MAX)
			return -EFBIG;
	} while (n);
	text[len] = '\0';
	*ret = EG_TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

int eg_file_read(struct eg_cli *cli, const char *path, struct eg_file *ret)
{
	bool input = strcmp(path, "-") == 0;
	EG_CLOSE int fd = input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	int r = fd < 0 ? -errno : read_all(fd, &file.text, &file.len);

	if (r == -EFBIG) {
		eg_cli_warn(cli, "%s: a policy has at most %u MiB", path, EG_POLICY_BYTES_MAX >> 20);
		return EG_EXIT_NO;
	}
	if (r) {
		eg_cli_warn(cli, "%s: %s", path, strerror(-r));
		return r == -ENOENT ? EG_EXIT_USAGE : EG_EXIT_FAILED;
	}
	file.name = eg_text_clean(input ? "<stdin>" : path);
	if (!file.name)
		return eg_cli_no_memory(cli);
	*ret = file;
	file = (struct eg_file){0};
	return EG_EXIT_OK;
}

/* ---- Lists --------------------------------------------------------------------------------- */

void eg_files_clear(struct eg_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->paths[i]);
	free(files->paths);
	*files = (struct eg_files){0};
}

/* Takes path. */
static int add(struct eg_files *files, char *path)
{
	char **paths = reallocarray(files->paths, files->count + 1, sizeof(*paths));

	if (!path || !paths) {
		if (paths)
			files->paths = paths;
		free(path);
		return -ENOMEM;
	}
	files->paths = paths;
	files->paths[files->count++] = path;
	return 0;
}

/* What the agent would read, too: not hidden, "*.json". */
static int is_policy(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int add_directory(struct eg_cli *cli, struct eg_files *files, const char *path)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, is_policy, alphasort), r = 0;
	size_t len = strlen(path);

	if (n < 0) {
		eg_cli_warn(cli, "%s: %s", path, strerror(errno));
		return EG_EXIT_FAILED;
	}
	for (int i = 0; i < n; i++) {
		char *name = NULL;

		if (!r && asprintf(&name, "%s%s%s", path, path[len - 1] == '/' ? "" : "/", entries[i]->d_name) < 0)
			name = NULL;
		if (!r)
			r = add(files, name);
		free(entries[i]);
	}
	free(entries);
	if (r)
		return eg_cli_no_memory(cli);
	if (!n)
		eg_cli_warn(cli, "%s: there is no *.json in this directory", path);
	return n ? EG_EXIT_OK : EG_EXIT_USAGE;
}

int eg_files_list(struct eg_cli *cli, struct eg_files *ret)
{
	EG_CLEANUP(eg_files_clear) struct eg_files files = {0};
	const char *path;
	struct stat st;
	int r = 0;

	for (size_t i = 0; !r && (path = eg_cli_operand(cli, i)); i++) {
		if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			r = add_directory(cli, &files, path);
		else if (add(&files, strdup(path)))
			r = eg_cli_no_memory(cli);
	}
	if (r)
		return r;
	*ret = files;
	files = (struct eg_files){0};
	return EG_EXIT_OK;
}

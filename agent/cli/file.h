/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - files named on the command line, "-" and directories among them
 */
#ifndef EG_CLI_FILE_H
#define EG_CLI_FILE_H

#include "cli.h"

struct eg_file {
	char *name; /* as it is shown */
	char *text; /* ends in a NUL that isn't counted */
	size_t len;
};

void eg_file_clear(struct eg_file *file);

/* Reads "-" (standard input) or a file, of at most EG_POLICY_BYTES_MAX. An exit status; what is wrong was said. */
int eg_file_read(struct eg_cli *cli, const char *path, struct eg_file *ret);

/* Paths, of which a directory stands for its *.json in order of their names. */
struct eg_files {
	char **paths;
	size_t count;
};

void eg_files_clear(struct eg_files *files);
/* From the operands. An exit status; what is wrong (also a directory without any) was said. */
int eg_files_list(struct eg_cli *cli, struct eg_files *ret);

#endif

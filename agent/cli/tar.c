// SPDX-License-Identifier: Apache-2.0
#include "tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"

#define BLOCK 512

/* The header as it is on the medium; numbers are octal text. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char device[16];
	char prefix[155];
	char pad[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* With the field of the sum itself as blanks. */
static unsigned checksum_of(const struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= offsetof(struct header, checksum) && i < offsetof(struct header, type) ? ' ' : bytes[i];
	return sum;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void set_octal(char *field, size_t size, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, number);
	memcpy(field, text, size);
}

/* Of a path the directory goes into the prefix. */
static int set_name(struct header *header, const char *name)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	size_t directory = slash ? (size_t)(slash - name) : 0;

	if (strlen(base) > sizeof(header->name) || directory > sizeof(header->prefix))
		return -ENAMETOOLONG;
	memcpy(header->name, base, strlen(base));
	memcpy(header->prefix, name, directory);
	return 0;
}

static int put(gzFile out, const void *data, size_t len)
{
	return len && gzwrite(out, data, (unsigned)len) != (int)len ? -EIO : 0;
}

int eg_tar_put(gzFile out, const struct eg_tar_file *file)
{
	static const char zeros[BLOCK];
	struct header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}, .user = "root", .group = "root"};
	int r = file->len > EG_TAR_BYTES_MAX ? -EFBIG : set_name(&header, file->name);

	if (r)
		return r;
	set_octal(header.mode, sizeof(header.mode), 0600);
	set_octal(header.uid, sizeof(header.uid), 0);
	set_octal(header.gid, sizeof(header.gid), 0);
	set_octal(header.size, sizeof(header.size), file->len);
	set_octal(header.mtime, sizeof(header.mtime), file->mtime_s & 077777777777);
	set_octal(header.checksum, sizeof(header.checksum) - 1, checksum_of(&header));
	header.checksum[7] = ' ';
	r = put(out, &header, sizeof(header));
	if (!r)
		r = put(out, file->data, file->len);
	return r ? r : put(out, zeros, (BLOCK - file->len % BLOCK) % BLOCK);
}

int eg_tar_end(gzFile out)
{
	static const char zeros[2 * BLOCK];

	return put(out, zeros, sizeof(zeros));
}

/* ---- Reading ----------------------------------------------------------------------------------- */

static int get(gzFile in, void *ret, size_t len)
{
	return gzread(in, ret, (unsigned)len) == (int)len ? 0 : -EBADMSG;
}

static int octal(const char *field, size_t size, uint64_t *ret)
{
	uint64_t number = 0;
	size_t i = 0;

	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		number = number << 3 | (uint64_t)(field[i] - '0');
	if (i == 0 || (i < size && field[i] != '\0' && field[i] != ' '))
		return -EBADMSG;
	*ret = number;
	return 0;
}

static int read_header(const struct header *header, struct eg_tar_file *ret)
{
	uint64_t sum, size;

	if (memcmp(header->magic, "ustar", 6) != 0 || (header->type != '0' && header->type != '\0') ||
	    octal(header->checksum, sizeof(header->checksum), &sum) || sum != checksum_of(header) ||
	    octal(header->size, sizeof(header->size), &size) ||
	    octal(header->mtime, sizeof(header->mtime), &ret->mtime_s))
		return -EBADMSG;
	if (size > EG_TAR_BYTES_MAX)
		return -EFBIG;
	ret->len = size;
	if (header->prefix[0])
		snprintf(ret->name, sizeof(ret->name), "%.155s/%.100s", header->prefix, header->name);
	else
		snprintf(ret->name, sizeof(ret->name), "%.100s", header->name);
	return 0;
}

/* After the blocks of zeros: gzip's own checksum is looked at when its end is read. */
static int read_end(gzFile in)
{
	char rest[BLOCK];
	int n, problem;

	if (get(in, rest, sizeof(rest)))
		return -EBADMSG;
	while ((n = gzread(in, rest, sizeof(rest))) > 0)
		;
	gzerror(in, &problem);
	return n < 0 || (problem != Z_OK && problem != Z_STREAM_END) ? -EBADMSG : 0;
}

int eg_tar_next(gzFile in, struct eg_tar_file *ret)
{
	static const struct header end;
	struct header header;
	struct eg_tar_file file = {0};
	EG_FREE char *data = NULL;
	char pad[BLOCK];
	int r;

	if (get(in, &header, sizeof(header)))
		return -EBADMSG;
	if (memcmp(&header, &end, sizeof(end)) == 0)
		return read_end(in);
	r = read_header(&header, &file);
	if (r)
		return r;
	data = malloc(file.len + 1);
	if (!data)
		return -ENOMEM;
	if ((file.len && get(in, data, file.len)) || (file.len % BLOCK && get(in, pad, BLOCK - file.len % BLOCK)))
		return -EBADMSG;
	data[file.len] = '\0';
	*ret = file;
	ret->data = EG_TAKE_PTR(data);
	return 1;
}

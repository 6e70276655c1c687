// SPDX-License-Identifier: Apache-2.0
#include "hold.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <zlib.h>

#include "cleanup.h"
#include "slurp.h"

#define VERSION 1
#define SUM_LEN 9 /* eight digits and a space */

static const char *const layer_names[EG_HOLD_LAYERS] = { "local", "control", "auto" };

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

const char *eg_hold_layer_name(uint32_t layer)
{
	for (int i = 0; i < EG_HOLD_LAYERS; i++)
		if (layer == 1u << i)
			return layer_names[i];
	return NULL;
}

uint32_t eg_hold_layer_parse(const char *name)
{
	for (int i = 0; i < EG_HOLD_LAYERS; i++)
		if (strcmp(name, layer_names[i]) == 0)
			return 1u << i;
	return 0;
}

bool eg_hold_may_lift(const struct eg_hold *hold, enum eg_hold_role role, uint32_t uid, uint64_t now_utc_ns)
{
	switch (role) {
	case EG_HOLD_BY_RESPONDER:
		/* A clock that was turned back makes no hold younger. */
		return hold->layer == EG_HOLD_LOCAL && !hold->shared && hold->uid == uid &&
		       now_utc_ns >= hold->time_utc_ns && now_utc_ns - hold->time_utc_ns <= EG_HOLD_OWN_NS;
	case EG_HOLD_BY_ADMIN:
		return hold->layer == EG_HOLD_LOCAL || hold->layer == EG_HOLD_AUTO;
	case EG_HOLD_BY_CONTROL:
		return hold->layer == EG_HOLD_CONTROL;
	}
	return false;
}

/* Length of the UTF-8 character at text; 0 if it isn't one (RFC 3629). */
static size_t utf8_len(const unsigned char *text)
{
	size_t len = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	if (len == 0 || text[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0; /* overlong, surrogate, above U+10FFFF */
	return len;
}

void eg_hold_set_text(char *field, size_t size, const char *text)
{
	const unsigned char *from = (const unsigned char *)(text ? text : "");
	size_t used = 0;

	while (*from) {
		size_t len = utf8_len(from);
		bool odd = len == 0 || *from < 0x20 || *from == 0x7f;

		if (len == 0)
			len = 1;
		if (used + len >= size)
			break;
		memcpy(field + used, from, len);
		if (odd)
			field[used] = '?';
		used += len;
		from += len;
	}
	field[used] = '\0';
}

/* [a-z0-9][a-z0-9._-]{0,62}, or all apps. */
static bool is_app(const char *app)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strnlen(app, EG_APP_NAME_LEN);

	if (strcmp(app, EG_HOLD_ALL_APPS) == 0)
		return true;
	return len > 0 && len < EG_APP_NAME_LEN && strchr(first, app[0]) &&
	       strspn(app, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

bool eg_hold_is_valid(const struct eg_hold *hold)
{
	return eg_hold_layer_name(hold->layer) && is_app(hold->app) && hold->generation <= INT64_MAX &&
	       hold->time_utc_ns <= INT64_MAX;
}

int eg_hold_encode(const struct eg_hold_record *record, char *line, size_t size)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = NULL;
	const struct eg_hold *hold = &record->hold;
	const char *layer = eg_hold_layer_name(hold->layer);
	size_t len;
	int n;

	if (!eg_hold_is_valid(hold))
		return -EINVAL;
	object = json_pack("{si ss ss ss sI sI sI ss ss ss sb ss}", "v", VERSION, "op",
			   record->lifted ? "lift" : "hold", "app", hold->app, "layer", layer, "generation",
			   (json_int_t)hold->generation, "time_ns", (json_int_t)hold->time_utc_ns, "uid",
			   (json_int_t)hold->uid, "actor", hold->actor, "reason", hold->reason, "ticket",
			   hold->ticket, "shared", (int)hold->shared, "id", hold->id);
	if (!object)
		return -EINVAL;
	if (size < SUM_LEN + 2)
		return -ENOSPC;
	len = json_dumpb(object, line + SUM_LEN, size - SUM_LEN - 2, JSON_COMPACT);
	if (len == 0)
		return -ENOMEM;
	if (len > size - SUM_LEN - 2)
		return -ENOSPC;
	n = snprintf(line, SUM_LEN, "%08lx", crc32(0, (const Bytef *)line + SUM_LEN, (uInt)len));
	line[n] = ' ';
	memcpy(line + SUM_LEN + len, "\n", 2);
	return (int)(SUM_LEN + len + 1);
}

static bool sum_is_right(const char *line, size_t len)
{
	unsigned long sum = 0;

	if (len <= SUM_LEN || line[SUM_LEN - 1] != ' ')
		return false;
	for (int i = 0; i < SUM_LEN - 1; i++) {
		const char *digits = "0123456789abcdef", *digit = line[i] ? strchr(digits, line[i]) : NULL;

		if (!digit)
			return false;
		sum = sum << 4 | (unsigned long)(digit - digits);
	}
	return sum == crc32(0, (const Bytef *)line + SUM_LEN, (uInt)(len - SUM_LEN));
}

static int take_text(json_t *object, const char *key, char *field, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || strlen(text) >= size)
		return -EBADMSG;
	strcpy(field, text);
	return 0;
}

static int take_number(json_t *object, const char *key, uint64_t max, uint64_t *ret)
{
	json_t *number = json_object_get(object, key);

	if (!json_is_integer(number) || json_integer_value(number) < 0 ||
	    (uint64_t)json_integer_value(number) > max)
		return -EBADMSG;
	*ret = (uint64_t)json_integer_value(number);
	return 0;
}

static int take_hold(json_t *object, struct eg_hold *ret_hold)
{
	const char *layer = json_string_value(json_object_get(object, "layer"));
	struct eg_hold hold = { .layer = layer ? eg_hold_layer_parse(layer) : 0 };
	uint64_t uid;

	if (!hold.layer || take_text(object, "app", hold.app, sizeof(hold.app)) || !is_app(hold.app) ||
	    take_number(object, "generation", INT64_MAX, &hold.generation) ||
	    take_number(object, "time_ns", INT64_MAX, &hold.time_utc_ns) ||
	    take_number(object, "uid", UINT32_MAX, &uid) ||
	    take_text(object, "actor", hold.actor, sizeof(hold.actor)) ||
	    take_text(object, "reason", hold.reason, sizeof(hold.reason)) ||
	    take_text(object, "ticket", hold.ticket, sizeof(hold.ticket)) ||
	    take_text(object, "id", hold.id, sizeof(hold.id)))
		return -EBADMSG;
	hold.uid = (uint32_t)uid;
	hold.shared = json_is_true(json_object_get(object, "shared"));
	*ret_hold = hold;
	return 0;
}

int eg_hold_decode(const char *line, size_t len, struct eg_hold_record *ret_record)
{
	EG_CLEANUP(eg_cleanup_json) json_t *object = NULL;
	struct eg_hold_record record = { 0 };
	const char *op;
	uint64_t version;

	if (!sum_is_right(line, len))
		return -EBADMSG;
	object = json_loadb(line + SUM_LEN, len - SUM_LEN, JSON_REJECT_DUPLICATES, NULL);
	op = json_string_value(json_object_get(object, "op"));
	if (!op || take_number(object, "v", INT64_MAX, &version))
		return -EBADMSG;
	record.lifted = strcmp(op, "lift") == 0;
	if (version != VERSION || (!record.lifted && strcmp(op, "hold") != 0))
		return -ENOTSUP;
	if (take_hold(object, &record.hold))
		return -EBADMSG;
	*ret_record = record;
	return 0;
}

static int set_id(struct eg_hold *hold)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(hold->id + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* Somebody's torn line must not swallow ours. */
static int end_torn_line(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size == 0)
		return 0;
	if (pread(fd, &last, 1, st.st_size - 1) != 1)
		return -EIO;
	return last == '\n' ? 0 : eg_write_all(fd, "\n", 1);
}

int eg_hold_direct_append(const char *state_dir, const struct eg_hold *hold)
{
	struct eg_hold_record record = { .hold = *hold };
	EG_CLOSE int dir = -1, fd = -1;
	char line[EG_HOLD_RECORD_MAX];
	int r = set_id(&record.hold), len;

	if (r)
		return r;
	len = eg_hold_encode(&record, line, sizeof(line));
	if (len < 0)
		return len;
	if (mkdir(state_dir, 0700) && errno != EEXIST)
		return -errno;
	dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = openat(dir, EG_HOLD_DIRECT, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX))
		return -errno;
	r = end_torn_line(fd);
	if (r == 0)
		r = eg_write_all(fd, line, (size_t)len);
	if (r)
		return r;
	return fsync(fd) || fsync(dir) ? -errno : 0;
}

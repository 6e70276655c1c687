// SPDX-License-Identifier: Apache-2.0
/*
 * sink_config_value.c - readers of one value each: its type, its unit, its bounds
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink_config_impl.h"
#include "units.h"

static void *field_of(const struct eg_sink_reader *reader, const struct eg_sink_key *key)
{
	return (char *)reader->sink + key->offset;
}

/* jansson has no NUL inside a string, and only valid UTF-8: what is left are control characters. */
static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

static int set_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int eg_sink_config_read_text(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text)
		return eg_sink_config_complain(reader, key->name, "must be a text");
	if (!text[0] || !is_printable(text) || strlen(text) > key->max)
		return eg_sink_config_complain(reader, key->name, "must have 1 to %" PRIu64 " bytes and no control characters", key->max);
	return set_text(field_of(reader, key), text);
}

int eg_sink_config_read_path(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || text[0] != '/')
		return eg_sink_config_complain(reader, key->name, "must be an absolute path");
	return eg_sink_config_read_text(reader, key, value);
}

int eg_sink_config_read_name(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = text ? strlen(text) : 0;

	if (!len || len >= EG_SINK_NAME_LEN || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len ||
	    text[0] == '-' || text[0] == '_')
		return eg_sink_config_complain(reader, key->name, "must be 1 to %d of a-z 0-9 _ -, the first a letter or a digit",
					EG_SINK_NAME_LEN - 1);
	memcpy(reader->sink->name, text, len + 1);
	return 0;
}

int eg_sink_config_read_schema(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	static const char *const names[EG_SCHEMA_COUNT_] = {
		[EG_SCHEMA_EGRET] = "egret", [EG_SCHEMA_ECS] = "ecs", [EG_SCHEMA_OCSF] = "ocsf"};
	const char *text = json_string_value(value);

	for (enum eg_sink_schema schema = 0; text && schema < EG_SCHEMA_COUNT_; schema++) {
		if (strcmp(text, names[schema]) == 0) {
			reader->sink->schema = schema;
			return 0;
		}
	}
	return eg_sink_config_complain(reader, key->name, "must be \"egret\", \"ecs\" or \"ocsf\"");
}

/* ---- Lists and objects ------------------------------------------------------------------------------ */

/* Of a list whose words are known; NULL: any words. */
static const char *const *words_of(const char *key)
{
	static const char *const types[] = {"flow",   "deny", "cap",   "rate",	"kill", "restore",    "expire",
					    "policy", "dns",  "alert", "agent", "lost", "suppressed", NULL};
	static const char *const verdicts[] = {"allow", "deny", "audit", NULL};

	return strcmp(key, "types") == 0 ? types : strcmp(key, "verdicts") == 0 ? verdicts : NULL;
}

static bool is_known(const char *const *words, const char *word)
{
	if (!words)
		return word[0] && strlen(word) < 128 && is_printable(word);
	for (; *words; words++) {
		if (strcmp(*words, word) == 0)
			return true;
	}
	return false;
}

/* Members that say which event it is: without them no sink could tell two apart. */
static bool is_identity(const char *member)
{
	static const char *const needed[] = {"schema", "ts", "type", "event_id", "host"};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (strcmp(needed[i], member) == 0)
			return true;
	}
	return false;
}

static int check_word(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const char *word)
{
	if (!is_known(words_of(key->name), word))
		return eg_sink_config_complain(reader, key->name, "has \"%.40s\", which is not one of those there are; see egret-ship(8)",
					word);
	if ((strcmp(key->name, "drop") == 0 || strcmp(key->name, "hash") == 0) && is_identity(word))
		return eg_sink_config_complain(reader, key->name, "has \"%s\", which every event needs", word);
	return 0;
}

int eg_sink_config_read_list(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	size_t count = json_array_size(value);
	char **list;

	if (!json_is_array(value) || !count || count > key->max)
		return eg_sink_config_complain(reader, key->name,
					"must be a list of 1 to %" PRIu64 " texts; leave it out where there is nothing to choose",
					key->max);
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*(char ***)field_of(reader, key) = list; /* freed with the sink, also half-filled */
	for (size_t i = 0; i < count; i++) {
		const char *word = json_string_value(json_array_get(value, i));
		int r;

		if (!word)
			word = ""; /* which is no word */
		r = check_word(reader, key, word);
		if (r)
			return r;
		list[i] = strdup(word);
		if (!list[i])
			return -ENOMEM;
	}
	return 0;
}

static bool is_header_name(const char *name)
{
	static const char tchars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return name[0] && strspn(name, tchars) == strlen(name);
}

/* They would carry a secret, or are the protocol's own to say. */
static bool is_own_header(const char *name)
{
	static const char *const own[] = {"authorization", "proxy-authorization", "cookie", "x-api-key", "content-type",
					  "content-length", "content-encoding", "transfer-encoding", "host", "connection"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strcasecmp(own[i], name) == 0)
			return true;
	}
	return false;
}

static int check_member(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const char *name,
			const char *text)
{
	bool headers = strcmp(key->name, "headers") == 0;

	if (!text || !is_printable(text) || strlen(text) > 1024 || strlen(name) > 128 || !name[0] || !is_printable(name))
		return eg_sink_config_complain(reader, key->name, "must have texts of up to 1024 bytes, without control characters");
	if (headers && !is_header_name(name))
		return eg_sink_config_complain(reader, key->name, "has \"%.40s\", which can't be the name of a header", name);
	if (headers && is_own_header(name))
		return eg_sink_config_complain(reader, key->name,
					"has \"%.40s\", which has a key of its own here (secrets: \"token_file\", \"password_file\")",
					name);
	return 0;
}

int eg_sink_config_read_map(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	const char *name;
	json_t *text, *copy;
	int r;

	if (!json_is_object(value) || json_object_size(value) > key->max)
		return eg_sink_config_complain(reader, key->name, "must be an object of up to %" PRIu64 " texts", key->max);
	json_object_foreach((json_t *)value, name, text) {
		r = check_member(reader, key, name, json_string_value(text));
		if (r)
			return r;
	}
	copy = json_deep_copy(value);
	if (!copy)
		return -ENOMEM;
	*(json_t **)field_of(reader, key) = copy;
	return 0;
}

/* ---- Words, numbers, spans ------------------------------------------------------------------------------ */

static int read_choice(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value,
		       const char *yes, const char *no)
{
	const char *text = json_string_value(value);
	bool *field = field_of(reader, key);

	if (!text || (strcmp(text, yes) != 0 && strcmp(text, no) != 0))
		return eg_sink_config_complain(reader, key->name, "must be \"%s\" or \"%s\"", yes, no);
	*field = strcmp(text, yes) == 0;
	return 0;
}

int eg_sink_config_read_flows(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	return read_choice(reader, key, value, "full", "rollup");
}

int eg_sink_config_read_compression(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	return read_choice(reader, key, value, "gzip", "none");
}

int eg_sink_config_read_bool(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	if (!json_is_boolean(value))
		return eg_sink_config_complain(reader, key->name, "must be true or false");
	*(bool *)field_of(reader, key) = json_is_true(value);
	return 0;
}

int eg_sink_config_read_span(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	char least[48], most[48];
	uint64_t ns = 0;

	if (!json_is_string(value) || eg_units_span(json_string_value(value), &ns) || ns < key->min || ns > key->max)
		return eg_sink_config_complain(reader, key->name, "must be a time from %s to %s, such as \"90s\"",
					eg_units_span_text(key->min, least, sizeof(least)),
					eg_units_span_text(key->max, most, sizeof(most)));
	*(uint64_t *)field_of(reader, key) = ns;
	return 0;
}

static int size_of(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value,
		   uint64_t *ret)
{
	const char *text = json_string_value(value);
	char least[48], most[48];
	bool off = !key->min && text && strcmp(text, "off") == 0;

	*ret = 0;
	if (off)
		return 0;
	if (!text || eg_units_bytes(text, ret) || *ret < key->min || *ret > key->max)
		return eg_sink_config_complain(reader, key->name, "must be a size from %s to %s, such as \"64MiB\"%s",
					eg_units_bytes_text(key->min, least, sizeof(least)),
					eg_units_bytes_text(key->max, most, sizeof(most)), key->min ? "" : ", or \"off\"");
	return 0;
}

int eg_sink_config_read_size(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	uint64_t size;
	int r = size_of(reader, key, value, &size);

	if (!r)
		*(uint64_t *)field_of(reader, key) = size;
	return r;
}

int eg_sink_config_read_size32(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	uint64_t size;
	int r = size_of(reader, key, value, &size);

	if (!r)
		*(uint32_t *)field_of(reader, key) = (uint32_t)size;
	return r;
}

static int number_of(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value,
		     uint64_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < key->min || (uint64_t)number > key->max)
		return eg_sink_config_complain(reader, key->name, "must be a whole number from %" PRIu64 " to %" PRIu64, key->min,
					key->max);
	*ret = (uint64_t)number;
	return 0;
}

int eg_sink_config_read_u32(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	uint64_t number = 0;
	int r = number_of(reader, key, value, &number);

	if (!r)
		*(uint32_t *)field_of(reader, key) = (uint32_t)number;
	return r;
}

int eg_sink_config_read_facility(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	uint64_t number = 0;
	int r = number_of(reader, key, value, &number);

	if (!r)
		reader->sink->facility = (uint8_t)number;
	return r;
}

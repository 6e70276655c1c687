// SPDX-License-Identifier: Apache-2.0
/*
 * config_value.c - readers of one value each: its type, its unit, its bounds
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../lib/addr.h"
#include "../lib/labels.h"
#include "../lib/units.h"
#include "config_impl.h"

#define LABELS_MAX 32
#define NS_PER_DAY (86400ull * 1000000000ull)

static void *field_of(const struct eg_config_reader *reader, const struct eg_config_key *key)
{
	return (char *)reader->config + key->offset;
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

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

int eg_config_read_text(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text)
		return eg_config_complain(reader, key->name, "must be a text, such as a path or a name");
	if (!text[0] || !is_printable(text) || strlen(text) > key->max)
		return eg_config_complain(reader, key->name, "must have 1 to %" PRIu64 " bytes and no control characters",
					  key->max);
	return set_text(field_of(reader, key), text);
}

static int integer_of(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value,
		      uint64_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < key->min || (uint64_t)number > key->max)
		return eg_config_complain(reader, key->name, "must be a whole number from %" PRIu64 " to %" PRIu64,
					  key->min, key->max);
	*ret = (uint64_t)number;
	return 0;
}

int eg_config_read_u32(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	uint64_t number = 0;
	int r = integer_of(reader, key, value, &number);

	if (!r)
		*(uint32_t *)field_of(reader, key) = (uint32_t)number;
	return r;
}

/* Marks are bits: they are mostly written in hexadecimal. */
int eg_config_read_mark(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text)
		return eg_config_read_u32(reader, key, value);
	if (strncmp(text, "0x", 2) != 0 || strlen(text) < 3 || strlen(text) > 10 ||
	    text[2 + strspn(text + 2, "0123456789abcdefABCDEF")])
		return eg_config_complain(reader, key->name, "must be a number, or hexadecimal such as \"0x40000\"");
	*(uint32_t *)field_of(reader, key) = (uint32_t)strtoul(text + 2, NULL, 16);
	return 0;
}

int eg_config_read_days(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	uint64_t days = 0;
	int r = integer_of(reader, key, value, &days);

	if (!r)
		*(uint64_t *)field_of(reader, key) = days * NS_PER_DAY;
	return r;
}

static int size_of(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value,
		   uint64_t *ret)
{
	char least[32], most[32];
	uint64_t bytes = 0;
	bool good;

	if (json_is_string(value))
		good = !eg_units_bytes(json_string_value(value), &bytes);
	else
		good = json_is_integer(value) && json_integer_value(value) > 0;
	if (good && json_is_integer(value))
		bytes = (uint64_t)json_integer_value(value);
	if (!good || bytes < key->min || bytes > key->max)
		return eg_config_complain(reader, key->name, "must be a size from %s to %s, such as \"64MiB\"",
					  eg_units_bytes_text(key->min, least, sizeof(least)),
					  eg_units_bytes_text(key->max, most, sizeof(most)));
	*ret = bytes;
	return 0;
}

int eg_config_read_size(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	return size_of(reader, key, value, field_of(reader, key));
}

int eg_config_read_ring(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	uint64_t bytes = 0;
	int r = size_of(reader, key, value, &bytes);

	if (r)
		return r;
	if (bytes & (bytes - 1))
		return eg_config_complain(reader, key->name, "must be a power of two, such as \"4MiB\" or \"16MiB\"");
	*(uint32_t *)field_of(reader, key) = (uint32_t)bytes;
	return 0;
}

int eg_config_read_span(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	char least[32], most[32];
	uint64_t ns = 0;

	if (!json_is_string(value) || eg_units_span(json_string_value(value), &ns) || ns < key->min || ns > key->max)
		return eg_config_complain(reader, key->name, "must be a time from %s to %s, such as \"90s\"",
					  eg_units_span_text(key->min, least, sizeof(least)),
					  eg_units_span_text(key->max, most, sizeof(most)));
	*(uint64_t *)field_of(reader, key) = ns;
	return 0;
}

int eg_config_read_span_or_off(const struct eg_config_reader *reader, const struct eg_config_key *key,
			       const json_t *value)
{
	if (!json_is_string(value) || strcmp(json_string_value(value), "off") != 0)
		return eg_config_read_span(reader, key, value);
	*(uint64_t *)field_of(reader, key) = 0;
	return 0;
}

/* Index of the value in a list of words, or -1. */
static int word_of(const json_t *value, const char *const *words)
{
	const char *text = json_string_value(value);

	for (int i = 0; text && words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	return -1;
}

int eg_config_read_off(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	static const char *const words[] = {"on", "off", NULL};
	int word = word_of(value, words);

	if (word < 0)
		return eg_config_complain(reader, key->name, "must be \"on\" or \"off\"");
	*(bool *)field_of(reader, key) = word == 1;
	return 0;
}

int eg_config_read_level(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	static const char *const words[] = {"error", "warning", "notice", "info", "debug", NULL};
	int word = word_of(value, words);

	if (word < 0)
		return eg_config_complain(reader, key->name,
					  "must be \"error\", \"warning\", \"notice\", \"info\" or \"debug\"");
	*(enum eg_log_level *)field_of(reader, key) = (enum eg_log_level)(EG_LOG_ERR + word);
	return 0;
}

int eg_config_unknown_of(const struct eg_config_reader *reader, const char *key, const json_t *value,
			 enum eg_unknown *ret)
{
	static const char *const words[] = {
		[EG_UNKNOWN_DENY] = "deny",
		[EG_UNKNOWN_AUDIT] = "audit",
		[EG_UNKNOWN_PASS] = "pass",
		NULL,
	};
	int word = word_of(value, words);

	if (word < 0)
		return eg_config_complain(reader, key, "must be \"deny\", \"audit\" or \"pass\"");
	*ret = (enum eg_unknown)word;
	return 0;
}

int eg_config_read_host(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *text = json_string_value(value);

	if (!text || !text[0] || text[strspn(text, allowed)] || strlen(text) > key->max)
		return eg_config_complain(reader, key->name,
					  "must be a name of 1 to %" PRIu64 " letters, digits, dots, hyphens or underscores",
					  key->max);
	return set_text(field_of(reader, key), text);
}

static bool is_loopback(const struct eg_addr *addr)
{
	static const struct eg_addr one = {.b = {[15] = 1}};

	return eg_addr_v4mapped(addr) ? addr->b[12] == 127 : !memcmp(addr, &one, sizeof(one));
}

/* Names of apps are seen here: nothing but loopback. */
int eg_config_read_listen(const struct eg_config_reader *reader, const struct eg_config_key *key,
			  const json_t *value)
{
	const char *text = json_string_value(value);
	struct eg_addr addr;
	uint16_t port;

	if (!text || eg_addr_port_from_text(text, &addr, &port) || !port || !is_loopback(&addr))
		return eg_config_complain(reader, key->name,
					  "must be a loopback address and a port, such as \"127.0.0.1:9464\"");
	return set_text(field_of(reader, key), text);
}

int eg_config_read_labels(const struct eg_config_reader *reader, const struct eg_config_key *key,
			  const json_t *value)
{
	json_t **field = field_of(reader, key);
	const char *name;
	json_t *labels, *one;

	if (!json_is_object(value) || json_object_size(value) > LABELS_MAX)
		return eg_config_complain(reader, key->name, "must be an object of at most %d texts, such as "
					  "{\"region\": \"eu-1\"}", LABELS_MAX);
	json_object_foreach((json_t *)value, name, one)
		if (!eg_labels_word(name) || !json_is_string(one) || !eg_labels_word(json_string_value(one)))
			return eg_config_complain(reader, key->name,
						  "has \"%.63s\", which is no label; give 1 to 63 letters, digits, dots, "
						  "hyphens, slashes or underscores for its key and its value",
						  name);
	labels = json_deep_copy(value);
	if (!labels)
		return -ENOMEM;
	json_decref(*field);
	*field = labels;
	return 0;
}

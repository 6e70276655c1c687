// SPDX-License-Identifier: Apache-2.0
#include "syslog_message.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../lib/cleanup.h"

#define HOST_MAX  255 /* RFC 5424, 6 */
#define MSGID_MAX 32
#define PARAM_MAX 255 /* bytes of one parameter, before escaping; ours are much shorter */
#define CUT_MARK  "..."

EG_DEFINE_CLEANUP(json, json_t *, json_decref);

/* A message as it grows. What would pass the end is left out whole; the header's parts are bounded well below it. */
struct out {
	char *at;
	char *end;
};

static size_t left(const struct out *out)
{
	return (size_t)(out->end - out->at);
}

static void put(struct out *out, const char *text, size_t len)
{
	if (len > left(out))
		return;
	memcpy(out->at, text, len);
	out->at += len;
}

/* How much of text fits into max bytes without cutting a character in two. */
static size_t fit(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* PRINTUSASCII (33 to 126) only; "-" for nothing. */
static void put_word(struct out *out, const char *word, size_t max)
{
	size_t len = strnlen(word, max);

	if (len == 0)
		put(out, "-", 1);
	for (size_t i = 0; i < len; i++)
		put(out, word[i] > 32 && word[i] < 127 ? &word[i] : "_", 1);
}

/* ' name="value"': a quote, a backslash and a closing bracket are escaped (6.3.3), a control character replaced. */
static void put_param(struct out *out, const char *name, const char *value)
{
	size_t len = fit(value, strlen(value), PARAM_MAX);

	put(out, " ", 1);
	put(out, name, strlen(name));
	put(out, "=\"", 2);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c == '"' || c == '\\' || c == ']')
			put(out, "\\", 1);
		put(out, c < 32 || c == 127 ? "_" : &value[i], 1);
	}
	put(out, "\"", 1);
}

static void put_time(struct out *out, uint64_t ts_ns)
{
	time_t seconds = (time_t)(ts_ns / 1000000000u);
	char text[64];
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t)snprintf(text + len, sizeof(text) - len, ".%06" PRIu64 "Z", ts_ns % 1000000000u / 1000);
	put(out, text, len);
}

/* Up to and with the space before MSG. cut: bytes of the whole text, if it does not go in whole; else 0. */
static void put_head(struct out *out, const struct eg_item *item, uint8_t facility, size_t cut)
{
	char number[32];
	int len = snprintf(number, sizeof(number), "<%d>1 ", facility * 8 + (int)item->severity);

	put(out, number, (size_t)len);
	put_time(out, item->ts_ns);
	put(out, " ", 1);
	put_word(out, item->host, HOST_MAX);
	put(out, " egret - ", 9);
	put_word(out, item->type, MSGID_MAX);
	put(out, " [egret@32473", 13);
	put_param(out, "id", item->id);
	put_param(out, "app", item->app);
	put_param(out, "type", item->type);
	if (cut) {
		snprintf(number, sizeof(number), "%zu", cut);
		put_param(out, "cut", number);
	}
	put(out, "] ", 2);
}

static int shorten_string(json_t *string, size_t max)
{
	size_t len = json_string_length(string), keep = fit(json_string_value(string), len, max);
	char text[1024 + sizeof(CUT_MARK)];

	if (keep == len)
		return 0;
	memcpy(text, json_string_value(string), keep);
	memcpy(text + keep, CUT_MARK, sizeof(CUT_MARK));
	return json_string_setn(string, text, keep + strlen(CUT_MARK));
}

/* No string longer than string_max (at most 1024) and its mark, no list longer than list_max. */
static int shorten(json_t *value, size_t string_max, size_t list_max)
{
	const char *key;
	json_t *member;
	size_t i;
	int r = 0;

	if (json_is_string(value))
		return shorten_string(value, string_max);
	while (json_array_size(value) > list_max)
		json_array_remove(value, json_array_size(value) - 1);
	json_array_foreach(value, i, member)
		r |= shorten(member, string_max, list_max);
	json_object_foreach(value, key, member)
		r |= shorten(member, string_max, list_max);
	return r;
}

/* The event in at most max bytes and still JSON; returns its length, 0 if it can't be done. */
static size_t put_shortened(const struct eg_item *item, char *ret, size_t max)
{
	static const struct {
		size_t string;
		size_t list;
	} steps[] = {{1024, 64}, {256, 16}, {128, 8}, {64, 4}, {24, 2}};
	/* A NUL may be in a name that an app sent. */
	EG_CLEANUP(eg_cleanup_json) json_t *event = json_loadb(item->text, item->len, JSON_ALLOW_NUL, NULL);

	for (size_t i = 0; event && i < sizeof(steps) / sizeof(*steps); i++) {
		size_t len;

		if (shorten(event, steps[i].string, steps[i].list))
			return 0;
		len = json_dumpb(event, ret, max, JSON_COMPACT);
		if (len > 0 && len <= max)
			return len;
	}
	return 0;
}

size_t eg_syslog_message_render(const struct eg_item *item, uint8_t facility, char ret[EG_SYSLOG_MESSAGE_MAX])
{
	struct out out = {ret, ret + EG_SYSLOG_MESSAGE_MAX};
	size_t len;

	put_head(&out, item, facility, 0);
	if (item->len <= left(&out)) {
		put(&out, item->text, item->len);
		return (size_t)(out.at - ret);
	}
	out.at = ret;
	put_head(&out, item, facility, item->len);
	len = put_shortened(item, out.at, left(&out));
	if (len > 0)
		return (size_t)(out.at - ret) + len;
	put(&out, item->text, fit(item->text, item->len, left(&out) - strlen(CUT_MARK)));
	put(&out, CUT_MARK, strlen(CUT_MARK));
	return (size_t)(out.at - ret);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * sink_config.c - the keys of a sink
 *
 * One table says which keys there are and which types of sink have them, so that a key of another
 * type is an error that names both, rather than a setting that does nothing.
 */
#include "sink_config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "sink_config_impl.h"

#define NS_PER_S   1000000000ull
#define NS_PER_DAY (86400 * NS_PER_S)
#define MIB	   (1ull << 20)
#define TEXT_MAX   2048

#define FIELD(field) offsetof(struct eg_sink_config, field)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define OF(type)     (1u << EG_SINK_##type)
#define HTTP	     (OF(HEC) | OF(ELASTIC) | OF(OTLP) | OF(LOKI) | OF(WEBHOOK))
#define NETWORK	     (HTTP | OF(SYSLOG))

static const char *const type_names[EG_SINK_COUNT_] = {
	[EG_SINK_FILE] = "file", [EG_SINK_HEC] = "hec",	      [EG_SINK_ELASTIC] = "elasticsearch", [EG_SINK_OTLP] = "otlp",
	[EG_SINK_LOKI] = "loki", [EG_SINK_SYSLOG] = "syslog", [EG_SINK_WEBHOOK] = "webhook",
};

const char *eg_sink_type_name(enum eg_sink_type type)
{
	return type < EG_SINK_COUNT_ ? type_names[type] : "unknown";
}

int eg_sink_config_complain(const struct eg_sink_reader *reader, const char *key, const char *format, ...)
{
	char text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	eg_error_set(reader->err, 400, "bad_config", "%.100s: \"sinks[%zu]%s%s%.64s\" %s", reader->place, reader->index,
		     key[0] ? "." : "", reader->section, key, text);
	for (char *c = reader->err->message; *c; c++) { /* a key that is none of ours may have any bytes */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return -EINVAL;
}

/* ---- Sections ---------------------------------------------------------------------------------- */

static int read_object(const struct eg_sink_reader *reader, const struct eg_sink_key *keys, size_t count,
		       const json_t *object);

static int read_section(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const char *section,
			const struct eg_sink_key *keys, size_t count, const json_t *value)
{
	struct eg_sink_reader inner = *reader;

	if (!json_is_object(value))
		return eg_sink_config_complain(reader, key->name, "must be an object, such as {\"%s\": ...}", keys[0].name);
	inner.section = section;
	return read_object(&inner, keys, count, value);
}

static const struct eg_sink_key tls_keys[] = {
	{"ca", eg_sink_config_read_path, FIELD(ca_file), 0, PATH_MAX - 1, 0},
	{"cert", eg_sink_config_read_path, FIELD(cert_file), 0, PATH_MAX - 1, 0},
	{"key", eg_sink_config_read_path, FIELD(key_file), 0, PATH_MAX - 1, 0},
};

static int read_tls(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	return read_section(reader, key, "tls.", tls_keys, COUNT(tls_keys), value);
}

static const struct eg_sink_key batch_keys[] = {
	{"events", eg_sink_config_read_u32, FIELD(batch_events), 1, 10000, 0},
	{"bytes", eg_sink_config_read_size32, FIELD(batch_bytes), 4096, 8 * MIB, 0},
	{"wait", eg_sink_config_read_span, FIELD(batch_ns), NS_PER_S / 100, 60 * NS_PER_S, 0},
};

static int read_batch(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	return read_section(reader, key, "batch.", batch_keys, COUNT(batch_keys), value);
}

static const struct eg_sink_key rotate_keys[] = {
	{"size", eg_sink_config_read_size, FIELD(rotate_bytes), 64u << 10, 1ull << 40, 0},
	{"every", eg_sink_config_read_span, FIELD(rotate_ns), 60 * NS_PER_S, 366 * NS_PER_DAY, 0},
};

static int read_rotate(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	return read_section(reader, key, "rotate.", rotate_keys, COUNT(rotate_keys), value);
}

static const struct eg_sink_key keep_keys[] = {
	{"size", eg_sink_config_read_size, FIELD(keep_bytes), 0, 1ull << 47, 0},
	{"for", eg_sink_config_read_span, FIELD(keep_ns), 60 * NS_PER_S, 3650 * NS_PER_DAY, 0},
};

static int read_keep(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	return read_section(reader, key, "keep.", keep_keys, COUNT(keep_keys), value);
}

/* ---- A sink ----------------------------------------------------------------------------------------- */

/* Read before the other keys, which depend on it. */
static int skip_type(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	(void)reader, (void)key, (void)value;
	return 0;
}

static int refuse_secret(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	(void)value;
	return eg_sink_config_complain(reader, key->name,
				"would put a secret into the configuration: write it into a file of its own, and name that with \"%s_file\"",
				strcmp(key->name, "api_key") == 0 ? "token" : key->name);
}

static const struct eg_sink_key sink_keys[] = {
	{"name", eg_sink_config_read_name, FIELD(name), 0, EG_SINK_NAME_LEN - 1, 0},
	{.name = "type", .read = skip_type},
	{"schema", eg_sink_config_read_schema, FIELD(schema), 0, 0, 0},
	{"types", eg_sink_config_read_list, FIELD(types), 0, 32, 0},
	{"apps", eg_sink_config_read_list, FIELD(apps), 0, 1024, 0},
	{"verdicts", eg_sink_config_read_list, FIELD(verdicts), 0, 3, 0},
	{"flows", eg_sink_config_read_flows, FIELD(flows_full), 0, 0, 0},
	{"rollup", eg_sink_config_read_span, FIELD(rollup_ns), NS_PER_S, 3600 * NS_PER_S, 0},
	{"drop", eg_sink_config_read_list, FIELD(drop), 0, 64, 0},
	{"hash", eg_sink_config_read_list, FIELD(hash), 0, 64, 0},
	{"hash_key_file", eg_sink_config_read_path, FIELD(hash_key_file), 0, PATH_MAX - 1, 0},
	{"url", eg_sink_config_read_text, FIELD(url), 0, TEXT_MAX, NETWORK},
	{"proxy", eg_sink_config_read_text, FIELD(proxy), 0, TEXT_MAX, NETWORK},
	{.name = "tls", .read = read_tls, .types = NETWORK},
	{"token_file", eg_sink_config_read_path, FIELD(token_file), 0, PATH_MAX - 1, HTTP},
	{"username", eg_sink_config_read_text, FIELD(username), 0, 255, HTTP & ~OF(HEC)},
	{"password_file", eg_sink_config_read_path, FIELD(password_file), 0, PATH_MAX - 1, HTTP & ~OF(HEC)},
	{.name = "token", .read = refuse_secret},
	{.name = "password", .read = refuse_secret},
	{.name = "api_key", .read = refuse_secret},
	{.name = "hash_key", .read = refuse_secret},
	{"tenant", eg_sink_config_read_text, FIELD(tenant), 0, 255, OF(LOKI)},
	{"headers", eg_sink_config_read_map, FIELD(headers), 0, 32, HTTP},
	{"content_type", eg_sink_config_read_text, FIELD(content_type), 0, 255, OF(WEBHOOK)},
	{"compression", eg_sink_config_read_compression, FIELD(gzip), 0, 0, HTTP},
	{"ack", eg_sink_config_read_bool, FIELD(ack), 0, 0, OF(HEC)},
	{"index", eg_sink_config_read_text, FIELD(index), 0, 255, OF(HEC) | OF(ELASTIC)},
	{"source", eg_sink_config_read_text, FIELD(source), 0, 255, OF(HEC)},
	{"sourcetype", eg_sink_config_read_text, FIELD(sourcetype), 0, 255, OF(HEC)},
	{"labels", eg_sink_config_read_map, FIELD(labels), 0, 32, OF(LOKI) | OF(OTLP)},
	{"facility", eg_sink_config_read_facility, FIELD(facility), 0, 23, OF(SYSLOG)},
	{"timeout", eg_sink_config_read_span, FIELD(timeout_ns), NS_PER_S, 600 * NS_PER_S, NETWORK},
	{.name = "batch", .read = read_batch},
	{"dead_letters", eg_sink_config_read_size, FIELD(dead_bytes), 64u << 10, 1ull << 40, 0},
	{"path", eg_sink_config_read_path, FIELD(path), 0, PATH_MAX - 1, OF(FILE)},
	{.name = "rotate", .read = read_rotate, .types = OF(FILE)},
	{.name = "keep", .read = read_keep, .types = OF(FILE)},
};

static const struct eg_sink_key *find_key(const struct eg_sink_key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static int read_object(const struct eg_sink_reader *reader, const struct eg_sink_key *keys, size_t count,
		       const json_t *object)
{
	const char *name;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)object, name, value) {
		const struct eg_sink_key *key = find_key(keys, count, name);

		if (!key)
			return eg_sink_config_complain(reader, name, "is not a key; see egret-ship(8) for those there are");
		if (key->types && !(key->types & (1u << reader->sink->type)))
			return eg_sink_config_complain(reader, name, "is not a key of a sink of the type \"%s\"",
						type_names[reader->sink->type]);
		r = key->read(reader, key, value);
		if (r)
			return r;
	}
	return 0;
}

static int read_type(const struct eg_sink_reader *reader, const json_t *value)
{
	const char *text = json_string_value(value);

	for (enum eg_sink_type type = 0; text && type < EG_SINK_COUNT_; type++) {
		if (strcmp(text, type_names[type]) == 0) {
			reader->sink->type = type;
			return 0;
		}
	}
	return eg_sink_config_complain(reader, "type",
				"must be \"file\", \"hec\", \"elasticsearch\", \"otlp\", \"loki\", \"syslog\" or \"webhook\"");
}

static void set_defaults(struct eg_sink_config *sink)
{
	sink->rollup_ns = 60 * NS_PER_S;
	sink->facility = 16;
	sink->timeout_ns = 30 * NS_PER_S;
	sink->batch_events = 1000;
	sink->batch_bytes = 512u << 10;
	sink->batch_ns = NS_PER_S;
	sink->dead_bytes = 16 * MIB;
	sink->rotate_bytes = 64 * MIB;
	sink->rotate_ns = NS_PER_DAY;
	sink->keep_bytes = 1024 * MIB;
	sink->keep_ns = 30 * NS_PER_DAY;
	sink->gzip = sink->type == EG_SINK_HEC || sink->type == EG_SINK_ELASTIC || sink->type == EG_SINK_LOKI;
}

/* Those of strings, for what was not given. */
static int set_default_texts(struct eg_sink_config *sink)
{
	if (sink->type == EG_SINK_WEBHOOK && !sink->content_type) {
		sink->content_type = strdup("application/x-ndjson");
		if (!sink->content_type)
			return -ENOMEM;
	}
	if (sink->type == EG_SINK_ELASTIC && !sink->index) {
		sink->index = strdup("egret-%Y.%m.%d");
		if (!sink->index)
			return -ENOMEM;
	}
	return 0;
}

static int read_sink(const struct eg_sink_reader *reader, const json_t *value)
{
	int r;

	if (!json_is_object(value))
		return eg_sink_config_complain(reader, "", "must be an object, such as {\"name\": ..., \"type\": ...}");
	r = read_type(reader, json_object_get(value, "type"));
	if (r)
		return r;
	set_defaults(reader->sink);
	r = read_object(reader, sink_keys, COUNT(sink_keys), value);
	if (!r && reader->sink->flows_full && json_object_get(value, "rollup"))
		r = eg_sink_config_complain(reader, "rollup", "contradicts \"flows\": \"full\"");
	if (!r)
		r = eg_sink_config_check(reader);
	return r ? r : set_default_texts(reader->sink);
}

/* ---- All of them -------------------------------------------------------------------------------------- */

static int check_name(const struct eg_sink_reader *reader, const struct eg_sinks_config *sinks)
{
	for (size_t i = 0; i < reader->index; i++) {
		if (strcmp(sinks->sinks[i].name, reader->sink->name) == 0)
			return eg_sink_config_complain(reader, "name", "is \"%s\", as that of sinks[%zu]: its place in the log goes by it",
						reader->sink->name, i);
		if (sinks->sinks[i].path && reader->sink->path && strcmp(sinks->sinks[i].path, reader->sink->path) == 0)
			return eg_sink_config_complain(reader, "path", "is that of sinks[%zu]: two can't write one file", i);
	}
	return 0;
}

int eg_sinks_config_parse(const char *place, const json_t *value, struct eg_sinks_config *ret, struct eg_error *err)
{
	struct eg_sinks_config sinks = {0};
	struct eg_sink_reader reader = {.place = place, .section = "", .err = err};
	size_t count = json_array_size(value);
	int r = 0;

	if (!json_is_array(value))
		return eg_error_set(err, 400, "bad_config", "%.100s: \"sinks\" must be a list of objects", place);
	if (count > EG_SINKS_MAX)
		return eg_error_set(err, 400, "bad_config", "%.100s: \"sinks\" may have %d entries, these are %zu", place,
				    EG_SINKS_MAX, count);
	sinks.sinks = calloc(count ? count : 1, sizeof(*sinks.sinks));
	if (!sinks.sinks)
		return -ENOMEM;
	for (; !r && sinks.count < count; sinks.count++) {
		reader.index = sinks.count;
		reader.sink = &sinks.sinks[sinks.count];
		r = read_sink(&reader, json_array_get(value, sinks.count));
		if (!r)
			r = check_name(&reader, &sinks);
	}
	if (r) {
		eg_sinks_config_free(&sinks);
		return r;
	}
	*ret = sinks;
	return 0;
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static void free_sink(struct eg_sink_config *sink)
{
	char *const texts[] = {
		sink->hash_key_file, sink->url,	     sink->proxy,	  sink->ca_file, sink->cert_file,    sink->key_file,
		sink->token_file,    sink->username, sink->password_file, sink->tenant,	 sink->content_type, sink->index,
		sink->source,	     sink->sourcetype, sink->path,
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	free_list(sink->types);
	free_list(sink->apps);
	free_list(sink->verdicts);
	free_list(sink->drop);
	free_list(sink->hash);
	json_decref(sink->headers);
	json_decref(sink->labels);
}

void eg_sinks_config_free(struct eg_sinks_config *sinks)
{
	for (size_t i = 0; i < sinks->count; i++)
		free_sink(&sinks->sinks[i]);
	free(sinks->sinks);
	*sinks = (struct eg_sinks_config){0};
}

// SPDX-License-Identifier: Apache-2.0
#include "control_config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "glob.h"
#include "units.h"

#define NS_PER_S 1000000000ull

/* Where a value stands, for errors. */
struct reader {
	struct eg_control_config *control;
	const char *place;
	const char *section; /* "control." or "control.tls." */
	struct eg_error *err;
};

static int complain(const struct reader *reader, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int complain(const struct reader *reader, const char *key, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return eg_error_set(reader->err, 400, "bad_config", "%s: \"%s%s\" %s", reader->place, reader->section, key,
			    text);
}

/* ---- Values ------------------------------------------------ */

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

static int read_text(const struct reader *reader, const char *key, const json_t *value, char **field)
{
	const char *text = json_string_value(value);

	if (!text || !text[0] || strlen(text) >= PATH_MAX || !is_plain(text))
		return complain(reader, key, "must be a text without control characters");
	free(*field);
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static int read_list(const struct reader *reader, const char *key, const json_t *value, size_t max, char ***field)
{
	size_t count = json_array_size(value);
	char **list;

	if (!json_is_array(value) || !count || count > max)
		return complain(reader, key, "must be a list of 1 to %zu texts", max);
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	free_list(*field);
	*field = list;
	for (size_t i = 0; i < count; i++) {
		int r = read_text(reader, key, json_array_get(value, i), &list[i]);

		if (r)
			return r;
	}
	return 0;
}

static int read_span(const struct reader *reader, const char *key, const json_t *value, uint64_t min, uint64_t max,
		     uint64_t *field)
{
	uint64_t ns = 0;
	char least[32], most[32];

	if (!json_is_string(value) || eg_units_span(json_string_value(value), &ns) || ns < min || ns > max)
		return complain(reader, key, "must be a time from %s to %s, such as \"60s\"",
				eg_units_span_text(min, least, sizeof(least)),
				eg_units_span_text(max, most, sizeof(most)));
	*field = ns;
	return 0;
}

static int read_source(const struct reader *reader, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || (strcmp(text, "etcd") != 0 && strcmp(text, "https") != 0))
		return complain(reader, "source", "must be \"etcd\" or \"https\"");
	reader->control->source = strcmp(text, "etcd") == 0 ? EG_CONTROL_ETCD : EG_CONTROL_HTTPS;
	return 0;
}

/* Keys below it are made of names of apps and hosts, so its end has to be clear. */
static int read_prefix(const struct reader *reader, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = text ? strlen(text) : 0;

	if (len < 2 || len > 255 || text[0] != '/' || text[len - 1] != '/' || strstr(text, "//") || !is_plain(text))
		return complain(reader, "prefix", "must begin and end with a slash, such as \"/egret/\"");
	return read_text(reader, "prefix", value, &reader->control->prefix);
}

static int read_tls(const struct reader *reader, const json_t *value)
{
	struct eg_control_config *control = reader->control;
	struct reader inner = *reader;
	const char *name;
	json_t *one;
	int r = 0;

	if (!json_is_object(value))
		return complain(reader, "tls", "must be an object, such as {\"ca\": \"/etc/egret/ca.pem\"}");
	inner.section = "control.tls.";
	json_object_foreach ((json_t *)value, name, one) {
		char **field = strcmp(name, "ca") == 0	   ? &control->ca_file
			       : strcmp(name, "cert") == 0 ? &control->cert_file
			       : strcmp(name, "key") == 0  ? &control->key_file
							   : NULL;

		if (!field)
			return complain(&inner, name, "is not a key; there are \"ca\", \"cert\" and \"key\"");
		r = read_text(&inner, name, one, field);
		if (r)
			return r;
	}
	return 0;
}

/* ---- The object ------------------------------------------------ */

static int read_key(const struct reader *reader, const char *name, const json_t *value)
{
	struct eg_control_config *control = reader->control;

	if (!strcmp(name, "source"))
		return read_source(reader, value);
	if (!strcmp(name, "endpoints"))
		return read_list(reader, name, value, EG_CONTROL_ENDPOINTS_MAX, &control->endpoints);
	if (!strcmp(name, "prefix"))
		return read_prefix(reader, value);
	if (!strcmp(name, "username"))
		return read_text(reader, name, value, &control->username);
	if (!strcmp(name, "password_file"))
		return read_text(reader, name, value, &control->password_file);
	if (!strcmp(name, "token_file"))
		return read_text(reader, name, value, &control->token_file);
	if (!strcmp(name, "state_url"))
		return read_text(reader, name, value, &control->state_url);
	if (!strcmp(name, "tls"))
		return read_tls(reader, value);
	if (!strcmp(name, "keys"))
		return read_list(reader, name, value, EG_CONTROL_KEYS_MAX, &control->keys);
	if (!strcmp(name, "apps"))
		return read_list(reader, name, value, EG_CONTROL_GLOBS_MAX, &control->apps);
	if (!strcmp(name, "cgroups"))
		return read_list(reader, name, value, EG_CONTROL_GLOBS_MAX, &control->cgroups);
	if (!strcmp(name, "user"))
		return read_text(reader, name, value, &control->user);
	if (!strcmp(name, "wait"))
		return read_span(reader, name, value, NS_PER_S, 600 * NS_PER_S, &control->wait_ns);
	if (!strcmp(name, "lease"))
		return read_span(reader, name, value, 5 * NS_PER_S, 3600 * NS_PER_S, &control->lease_ns);
	return complain(reader, name, "is not a key; see egretd(8) for those there are");
}

static bool is_url(const char *text, bool plain_too)
{
	const char *host = !strncmp(text, "https://", 8)	       ? text + 8
			   : plain_too && !strncmp(text, "http://", 7) ? text + 7
								       : "";

	return host[0] && !strpbrk(text, " @\"<>");
}

/* A password is sent in the clear to this machine only. */
static bool is_private(const char *url)
{
	const char *host = url + strlen("http://");

	return !strncmp(url, "https://", 8) || !strncmp(host, "127.", 4) || !strncmp(host, "localhost:", 10) ||
	       !strncmp(host, "[::1]:", 6);
}

static int check_endpoints(const struct reader *reader)
{
	const struct eg_control_config *control = reader->control;
	const bool etcd = control->source == EG_CONTROL_ETCD;

	if (!control->endpoints[0])
		return complain(reader, "endpoints", "is missing; give %s",
				etcd ? "the members of the etcd cluster" : "the bundle's URL");
	for (size_t i = 0; control->endpoints[i]; i++) {
		const char *end = control->endpoints[i];

		if (!is_url(end, etcd))
			return complain(reader, "endpoints", "has \"%.100s\"; write %s, and no user in it", end,
					etcd ? "https://HOST:PORT (or http:)" : "https://HOST/PATH");
		if (control->username && !is_private(end))
			return complain(
				reader, "endpoints",
				"has \"%.100s\", where the password would be sent in the clear; write https:, or leave "
				"\"username\" out",
				end);
		if (etcd && strchr(strstr(end, "//") + 2, '/'))
			return complain(reader, "endpoints", "has \"%.100s\"; an endpoint of etcd has no path", end);
		if (!etcd && i)
			return complain(reader, "endpoints", "must be one URL of a bundle with the source \"https\"");
	}
	return 0;
}

/* "https://HOST:PORT" */
static size_t origin_len(const char *url)
{
	size_t scheme = strlen("https://");

	return scheme + strcspn(url + scheme, "/?#");
}

/* The token and the client's certificate go there, which are for the bundle's server alone. */
static int check_state_url(const struct reader *reader)
{
	char *url = reader->control->state_url;
	const char *bundle = reader->control->endpoints[0];
	size_t len;

	if (!url)
		return 0;
	if (reader->control->source == EG_CONTROL_ETCD)
		return complain(reader, "state_url", "is for the source \"https\"; etcd has the states under its prefix");
	if (!is_url(url, false) || strpbrk(url, "?#"))
		return complain(reader, "state_url", "has \"%.100s\"; write https://HOST/PATH, and no query in it", url);
	len = origin_len(url);
	if (len != origin_len(bundle) || strncasecmp(url, bundle, len) != 0)
		return complain(reader, "state_url", "must be on the server of \"endpoints\", %.*s",
				(int)origin_len(bundle), bundle);
	for (len = strlen(url); url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	return 0;
}

static int check_whole(const struct reader *reader)
{
	const struct eg_control_config *control = reader->control;
	const bool etcd = control->source == EG_CONTROL_ETCD;
	int r = check_endpoints(reader);

	if (!r)
		r = check_state_url(reader);
	if (r)
		return r;
	if (!control->username != !control->password_file)
		return complain(reader, control->username ? "username" : "password_file",
				"is given alone; give both or none of "
				"\"username\" and \"password_file\"");
	if (!control->cert_file != !control->key_file)
		return complain(reader, "tls", "must have both \"cert\" and \"key\", or neither");
	if (etcd && control->token_file)
		return complain(reader, "token_file",
				"is for the source \"https\"; etcd takes \"username\" and \"password_file\"");
	if (!etcd && json_object_get(control->json, "prefix"))
		return complain(reader, "prefix", "is for the source \"etcd\"");
	for (size_t i = 0; control->apps[i]; i++) {
		if (eg_glob_check(control->apps[i]) || strchr(control->apps[i], '/'))
			return complain(reader, "apps", "has \"%.100s\", which is no pattern for names of apps",
					control->apps[i]);
	}
	for (size_t i = 0; control->cgroups[i]; i++) {
		if (eg_glob_check(control->cgroups[i]))
			return complain(reader, "cgroups", "has \"%.100s\", which is no path below the cgroup2 mount",
					control->cgroups[i]);
	}
	return 0;
}

static int set_defaults(struct eg_control_config *control)
{
	control->endpoints = calloc(1, sizeof(char *));
	control->keys = calloc(1, sizeof(char *));
	control->apps = calloc(1, sizeof(char *));
	control->cgroups = calloc(1, sizeof(char *));
	control->prefix = strdup("/egret/");
	control->user = strdup("egret-sync");
	control->wait_ns = control->lease_ns = 60 * NS_PER_S;
	return control->endpoints && control->keys && control->apps && control->cgroups && control->prefix &&
			       control->user
		       ? 0
		       : -ENOMEM;
}

static void cleanup(struct eg_control_config **control)
{
	eg_control_config_free(*control);
}

int eg_control_config_parse(const char *place, const json_t *value, struct eg_control_config **ret,
			    struct eg_error *err)
{
	EG_CLEANUP(cleanup) struct eg_control_config *control = calloc(1, sizeof(*control));
	struct reader reader = {.control = control, .place = place, .section = "control.", .err = err};
	const char *name;
	json_t *one;
	int r = control ? set_defaults(control) : -ENOMEM;

	if (r)
		return r;
	if (!json_is_object(value)) {
		reader.section = "";
		return complain(&reader, "control",
				"must be an object, such as {\"source\": \"etcd\", \"endpoints\": [...]}");
	}
	control->json = json_deep_copy(value);
	if (!control->json)
		return -ENOMEM;
	if (!json_object_get(value, "source"))
		return complain(&reader, "source", "is missing; it is \"etcd\" or \"https\"");
	json_object_foreach ((json_t *)value, name, one) {
		r = read_key(&reader, name, one);
		if (r)
			return r;
	}
	r = check_whole(&reader);
	if (!r)
		*ret = EG_TAKE_PTR(control);
	return r;
}

void eg_control_config_free(struct eg_control_config *control)
{
	if (!control)
		return;
	free_list(control->endpoints);
	free_list(control->keys);
	free_list(control->apps);
	free_list(control->cgroups);
	free(control->prefix);
	free(control->username);
	free(control->password_file);
	free(control->token_file);
	free(control->state_url);
	free(control->ca_file);
	free(control->cert_file);
	free(control->key_file);
	free(control->user);
	json_decref(control->json);
	free(control);
}

/* ---- What it may own ------------------------------------------------ */

const char *eg_control_source_name(enum eg_control_source source)
{
	return source == EG_CONTROL_ETCD ? "etcd" : "https";
}

bool eg_control_owns_app(const struct eg_control_config *control, const char *app)
{
	for (size_t i = 0; control->apps[i]; i++) {
		if (eg_glob_match(control->apps[i], app))
			return true;
	}
	return !control->apps[0];
}

/* By text: a pattern is within another only if it begins with the very same parts. */
bool eg_control_owns_cgroup(const struct eg_control_config *control, const char *pattern)
{
	for (size_t i = 0; control->cgroups[i]; i++) {
		size_t len = strlen(control->cgroups[i]);

		if (!strncmp(control->cgroups[i], pattern, len) && (!pattern[len] || pattern[len] == '/'))
			return true;
	}
	return !control->cgroups[0];
}

// SPDX-License-Identifier: Apache-2.0
#include "fleet.h"

#include <curl/curl.h>
#include <string.h>
#include <time.h>

#include "../sync/document.h"
#include "../sync/signature.h"
#include "file.h"

#define CONFIG_ENV "EGRET_FLEET"

/* ---- Where it is ------------------------------------------------ */

/* The object "control" of a configuration, or a file that is that object. */
static int read_config(struct eg_cli *cli, const char *path, bool may_lack, json_t **ret)
{
	EG_CLEANUP(eg_file_clear) struct eg_file file = {0};
	EG_JSON json_t *root = NULL;
	json_error_t error;
	int r;

	*ret = json_object();
	if (may_lack && access(path, R_OK))
		return EG_EXIT_OK;
	r = eg_file_read(cli, path, &file);
	if (r)
		return r;
	root = json_loadb(file.text, file.len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		eg_cli_warn(cli, "%s:%d:%d: %s", path, error.line, error.column, error.text);
		return EG_EXIT_USAGE;
	}
	json_decref(*ret);
	*ret = json_deep_copy(json_object_get(root, "source") ? root : json_object_get(root, "control"));
	if (!*ret)
		*ret = json_object();
	return EG_EXIT_OK;
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_string(value));
}

static json_t *with_flags(struct eg_cli *cli, json_t *control)
{
	const char *endpoint = eg_cli_option(cli, "endpoint"), *ca = eg_cli_option(cli, "ca");
	const char *cert = eg_cli_option(cli, "cert"), *key = eg_cli_option(cli, "key");
	json_t *tls;

	if (endpoint) {
		json_object_set_new(control, "source", json_string("etcd"));
		json_object_set_new(control, "endpoints", json_pack("[s]", endpoint));
	}
	set_text(control, "prefix", eg_cli_option(cli, "prefix"));
	set_text(control, "username", eg_cli_option(cli, "user"));
	set_text(control, "password_file", eg_cli_option(cli, "password-file"));
	/* the hosts' public keys and user are nothing to us */
	json_object_del(control, "keys");
	json_object_del(control, "user");
	if (!ca && !cert && !key)
		return control;
	tls = json_object_get(control, "tls");
	if (!json_is_object(tls)) {
		tls = json_object();
		json_object_set_new(control, "tls", tls);
	}
	set_text(tls, "ca", ca);
	set_text(tls, "cert", cert);
	set_text(tls, "key", key);
	return control;
}

/* Nobody but the server knows how a bundle is made; the states can be read. */
static int check_source(const struct eg_fleet *fleet, bool only_states)
{
	if (fleet->control->source == EG_CONTROL_ETCD || (only_states && fleet->control->state_url))
		return EG_EXIT_OK;
	if (only_states)
		return eg_cli_usage(fleet->cli, "the hosts send their states nowhere: \"control\" has no \"state_url\"");
	return eg_cli_usage(fleet->cli,
			    "the control plane is a bundle by HTTPS, which is changed where it is made: this needs etcd");
}

/* In place: the client keeps pointers to the rest. */
int eg_fleet_open(struct eg_cli *cli, bool only_states, struct eg_fleet *ret)
{
	const char *given = eg_cli_option(cli, "config"), *path = given ? given : getenv(CONFIG_ENV);
	struct eg_error err = {0};
	EG_JSON json_t *control = NULL;
	int r = read_config(cli, path ? path : EG_FLEET_CONFIG, !path, &control);

	if (r)
		return r;
	ret->cli = cli;
	if (!json_object_size(with_flags(cli, control)))
		return eg_cli_usage(
			cli, "where is the control plane? Give --endpoint, or --config FILE with \"control\" in it");
	if (eg_control_config_parse(path ? path : "the command line", control, &ret->control, &err)) {
		eg_cli_warn(cli, "%s", err.message);
		eg_error_clear(&err);
		return EG_EXIT_USAGE;
	}
	r = check_source(ret, only_states);
	if (r)
		return r;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	r = eg_credentials_read(ret->control, &ret->credentials, &err);
	if (!r)
		r = ret->control->source == EG_CONTROL_ETCD ? eg_etcd_new(ret->control, &ret->credentials, &ret->etcd)
							    : eg_fetch_new(&ret->credentials, &ret->http);
	return r ? eg_fleet_fail(ret, &err) : EG_EXIT_OK;
}

void eg_fleet_close(struct eg_fleet *fleet)
{
	eg_etcd_free(fleet->etcd);
	eg_fetch_free(fleet->http);
	eg_credentials_clear(&fleet->credentials);
	eg_control_config_free(fleet->control);
	*fleet = (struct eg_fleet){0};
}

int eg_fleet_fail(struct eg_fleet *fleet, struct eg_error *err)
{
	int status = !err->status				? EG_EXIT_FAILED
		     : !strcmp(err->code, "unreachable")	? EG_EXIT_UNREACHABLE
		     : !strcmp(err->code, "no_credentials")	? EG_EXIT_USAGE
		     : err->status == 401 || err->status == 403 ? EG_EXIT_REFUSED
								: EG_EXIT_FAILED;

	eg_cli_warn(fleet->cli, "%s", err->status ? err->message : "out of memory");
	eg_error_clear(err);
	return status;
}

/* ---- Documents ------------------------------------------------ */

char *eg_fleet_key(const struct eg_fleet *fleet, const char *kind, const char *app)
{
	const char *host = eg_cli_option(fleet->cli, "host");
	char *key = NULL;

	if ((host ? asprintf(&key, "%shosts/%s/%s/%s", fleet->control->prefix, host, kind, app)
		  : asprintf(&key, "%s%s/%s", fleet->control->prefix, kind, app)) < 0)
		return NULL;
	return key;
}

/* "web-*,db-1" */
static json_t *split(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t len = strcspn(text, ",");

		if (len)
			json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == ',');
	}
	return list;
}

/* The last number given there, if what is there is signed. */
static uint64_t last_generation(struct eg_fleet *fleet, const char *key)
{
	struct eg_etcd_range range = {0};
	struct eg_error err = {0};
	EG_JSON json_t *outer = NULL, *inner = NULL;
	const char *text;

	if (eg_etcd_get(fleet->etcd, key, &range, &err) == 1)
		outer = json_loadb(range.kvs[0].value, range.kvs[0].value_len, 0, NULL);
	eg_etcd_range_clear(&range);
	eg_error_clear(&err);
	text = json_string_value(json_object_get(outer, "signed"));
	inner = text ? json_loads(text, 0, NULL) : NULL;
	return (uint64_t)json_integer_value(json_object_get(inner ? inner : outer, "generation"));
}

/* Above the last, and above those of documents that are gone: numbers follow the clock. */
static int next_generation(struct eg_fleet *fleet, const char *key, json_int_t *ret)
{
	const char *given = eg_cli_option(fleet->cli, "generation");
	uint64_t last;

	if (given && (!given[0] || strlen(given) > 18 || given[strspn(given, "0123456789")] || !atoll(given)))
		return eg_cli_usage(fleet->cli, "--generation is a number of 1 or more, not '%s'", given);
	if (given) {
		*ret = atoll(given);
		return EG_EXIT_OK;
	}
	last = last_generation(fleet, key);
	*ret = (json_int_t)time(NULL);
	if ((uint64_t)*ret <= last)
		*ret = (json_int_t)last + 1;
	return EG_EXIT_OK;
}

static int sign(struct eg_fleet *fleet, const char *file, json_t **document)
{
	EG_CLEANUP(eg_file_clear) struct eg_file key = {0};
	EG_FREE char *text = NULL;
	char signature[EG_SIGNATURE_TEXT];
	uint8_t seed[32];
	int r = eg_file_read(fleet->cli, file, &key);

	if (r)
		return r;
	r = eg_private_key_parse(key.text, seed);
	explicit_bzero(key.text, key.len);
	if (r) {
		eg_cli_warn(fleet->cli, "%s is no Ed25519 private key in PEM (openssl genpkey -algorithm ed25519)",
			    file);
		return EG_EXIT_USAGE;
	}
	text = json_dumps(*document, JSON_COMPACT);
	r = text ? eg_signature_make(seed, text, strlen(text), signature) : -ENOMEM;
	explicit_bzero(seed, sizeof(seed));
	if (r)
		return eg_cli_no_memory(fleet->cli);
	json_decref(*document);
	*document = json_pack("{s:s,s:s}", "signed", text, "signature", signature);
	return EG_EXIT_OK;
}

int eg_fleet_write(struct eg_fleet *fleet, const char *kind, const char *app, json_t *document, uint64_t *ret_revision)
{
	struct eg_cli *cli = fleet->cli;
	const char *hosts = eg_cli_option(cli, "hosts"), *labels = eg_cli_option(cli, "labels");
	const char *sign_key = eg_cli_option(cli, "sign-key");
	EG_JSON json_t *owned = document;
	EG_FREE char *key = eg_fleet_key(fleet, kind, app), *text = NULL;
	struct eg_error err = {0};
	json_int_t generation = 0;
	int r;

	if (!owned || !key)
		return eg_cli_no_memory(cli);
	if (hosts)
		json_object_set_new(owned, "hosts", split(hosts));
	set_text(owned, "labels", labels);
	if (sign_key || eg_cli_option(cli, "generation")) {
		r = next_generation(fleet, key, &generation);
		if (r)
			return r;
		json_object_set_new(owned, "app", json_string(app));
		json_object_set_new(owned, "generation", json_integer(generation));
	}
	if (sign_key && (r = sign(fleet, sign_key, &owned)))
		return r;
	text = json_dumps(owned, JSON_INDENT(2));
	if (!text)
		return eg_cli_no_memory(cli);
	return eg_etcd_put(fleet->etcd, key, text, strlen(text), 0, ret_revision, &err) ? eg_fleet_fail(fleet, &err)
											: EG_EXIT_OK;
}

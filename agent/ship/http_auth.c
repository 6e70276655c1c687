// SPDX-License-Identifier: Apache-2.0
/*
 * http_auth.c - who we say we are: the header Authorization
 */
#include <errno.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "http_impl.h"

#define NAME "Authorization: "

void eg_http_auth_init(struct eg_http_auth *auth, const struct eg_sink_config *config, const char *scheme)
{
	auth->config = config;
	auth->scheme = config->username ? "Basic" : scheme;
	auth->secret.key = config->username ? "password_file" : "token_file";
	auth->secret.path = config->username ? config->password_file : config->token_file;
}

/* base64(name ":" password) (RFC 7617); NULL without memory. */
static char *basic(const char *name, const char *password)
{
	size_t len = strlen(name) + 1 + strlen(password);
	char *plain = malloc(len + 1), *coded = malloc(BASE64_ENCODE_RAW_LENGTH(len) + 1);

	if (plain && coded) {
		snprintf(plain, len + 1, "%s:%s", name, password);
		base64_encode_raw(coded, len, (const uint8_t *)plain);
		coded[BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
		eg_secret_wipe(plain);
		return coded;
	}
	free(plain);
	free(coded);
	return NULL;
}

static int make_header(struct eg_http_auth *auth, struct eg_error *err)
{
	const char *name = auth->config->username;
	char *coded = name ? basic(name, auth->secret.text) : NULL;
	const char *value = name ? coded : auth->secret.text;
	size_t size = value ? strlen(NAME) + strlen(auth->scheme) + 1 + strlen(value) + 1 : 0;
	char *header = value ? malloc(size) : NULL;

	if (header)
		snprintf(header, size, NAME "%s %s", auth->scheme, value);
	eg_secret_wipe(coded);
	eg_secret_wipe(auth->header);
	auth->header = header;
	if (header)
		return 0;
	eg_error_set(err, 500, "no_memory", "no memory is left for the credentials");
	return -ENOMEM;
}

int eg_http_auth_renew(struct eg_http_auth *auth, bool again, struct eg_error *err)
{
	int r;

	if (!auth->secret.path)
		return 0;
	r = eg_secret_read(&auth->secret, again, err);
	if (r < 0)
		eg_secret_wipe(EG_TAKE_PTR(auth->header));
	return r < 0 ? r : r > 0 || !auth->header ? make_header(auth, err) : 0;
}

const char *eg_http_auth_value(const struct eg_http_auth *auth)
{
	return auth->header ? auth->header + strlen(NAME) + strlen(auth->scheme) + 1 : NULL;
}

void eg_http_auth_drop(struct eg_http_auth *auth)
{
	eg_secret_drop(&auth->secret);
	eg_secret_wipe(EG_TAKE_PTR(auth->header));
}

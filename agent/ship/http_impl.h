/* SPDX-License-Identifier: Apache-2.0 */
/* http_impl.h - what http.c, http_auth.c and http_files.c share */
#ifndef EG_SHIP_HTTP_IMPL_H
#define EG_SHIP_HTTP_IMPL_H

#include <curl/curl.h>

#include "body.h"
#include "http.h"
#include "secret.h"

#define EG_HTTP_FILES 3 /* authority, certificate, key */

/* Who we say we are. */
struct eg_http_auth {
	const struct eg_sink_config *config;
	const char *scheme; /* of the token */
	struct eg_secret secret; /* token or password; path NULL: none */
	char *header; /* "Authorization: ..."; NULL: none */
};

void eg_http_auth_init(struct eg_http_auth *auth, const struct eg_sink_config *config, const char *scheme);
/* Makes the header, if it is not up to date. -errno with *err filled. */
int eg_http_auth_renew(struct eg_http_auth *auth, bool again, struct eg_error *err);
/* What follows the scheme in the header; NULL: nothing. */
const char *eg_http_auth_value(const struct eg_http_auth *auth);
void eg_http_auth_drop(struct eg_http_auth *auth);

/* As they are now; -errno with *err filled if one of those that are configured can't be read. */
int eg_http_files_check(const struct eg_sink_config *config, struct eg_error *err);
void eg_http_files_take(const struct eg_sink_config *config, struct eg_filestamp ret[EG_HTTP_FILES]);
bool eg_http_files_differ(const struct eg_sink_config *config, const struct eg_filestamp stamps[EG_HTTP_FILES]);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "url.h"

#include <stddef.h>
#include <string.h>

#include "body.h"

static void add_encoded(struct eg_body *body, const char *text)
{
	static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	while (text && *text) {
		size_t plain = strspn(text, unreserved);

		eg_body_add(body, text, plain);
		text += plain;
		if (*text)
			eg_body_format(body, "%%%02X", (unsigned char)*text++);
	}
}

/* Dots alone name another part of the path, also when they are encoded. */
static void add_value(struct eg_body *body, const char *text)
{
	if (text && (strcmp(text, ".") == 0 || strcmp(text, "..") == 0))
		eg_body_text(body, "_");
	else
		add_encoded(body, text);
}

char *eg_url_fill(const char *url, const char *app, const char *owner)
{
	struct eg_body body = {0};

	while (*url) {
		size_t plain = strcspn(url, "{");

		eg_body_add(&body, url, plain);
		url += plain;
		if (strncmp(url, EG_URL_APP, strlen(EG_URL_APP)) == 0) {
			add_value(&body, app);
			url += strlen(EG_URL_APP);
		} else if (strncmp(url, EG_URL_OWNER, strlen(EG_URL_OWNER)) == 0) {
			add_value(&body, owner);
			url += strlen(EG_URL_OWNER);
		} else if (*url) {
			eg_body_add(&body, url++, 1);
		}
	}
	if (!body.failed)
		return body.data;
	eg_body_free(&body);
	return NULL;
}

bool eg_url_asks(const char *url, const char *word)
{
	return strstr(url, word) != NULL;
}

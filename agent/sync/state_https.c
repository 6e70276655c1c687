// SPDX-License-Identifier: Apache-2.0
/*
 * state_https.c - this host's state, sent to the server that the bundle comes from
 *
 * PUT STATE_URL/HOST, with the bundle's certificate authority, client certificate and token: the configuration
 * sees to it that both URLs are of one server. A server has nothing like a lease of etcd's, so the state is sent
 * again every third of the lease, and says in "lease_s" how long the server may take it for true.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "state.h"

#define NS_PER_S   1000000000ull
#define ANSWER_MAX 65536u
#define CALL_MS	   15000u

struct sender {
	const struct eg_control_config *control;
	const struct eg_credentials *credentials;
	struct eg_fetch *http;
	char *url;
	char *about; /* header */
	char *token; /* header; NULL: none */
};

static int send_state(struct sender *sender, const char *text, long *ret_status, struct eg_error *err)
{
	const char *const headers[] = {"Content-Type: application/json", sender->about, sender->token, NULL};
	const struct eg_fetch_ask request = {
		.method = "PUT",
		.url = sender->url,
		.headers = headers,
		.body = text,
		.body_len = strlen(text),
		.max = ANSWER_MAX,
		.timeout_ms = CALL_MS,
	};
	struct eg_fetch_answer answer = {0};
	char why[400] = "";

	if (eg_fetch_send(sender->http, &request, &answer, why, sizeof(why)))
		return eg_error_set(err, 503, "unreachable", "%s.", why);
	*ret_status = answer.status;
	eg_fetch_answer_clear(&answer);
	return 0;
}

static int write_state(void *ctx, const json_t *value, bool fresh, struct eg_error *err)
{
	struct sender *sender = ctx;
	EG_FREE char *text = json_dumps(value, JSON_COMPACT);
	long status = 0;
	int r;

	(void)fresh; /* it has to come in time, not only when it is another one */
	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	r = send_state(sender, text, &status, err);
	if (r || (status >= 200 && status < 300))
		return r;
	return eg_error_set(err, 502, "refused", "PUT %s answered %ld.", sender->url, status);
}

static void sender_free(void *ctx)
{
	struct sender *sender = ctx;

	eg_fetch_free(sender->http);
	free(sender->url);
	free(sender->about);
	if (sender->token)
		explicit_bzero(sender->token, strlen(sender->token));
	free(sender->token);
	free(sender);
}

/* Either may be made in part: they are freed by sender_free. */
static int make_texts(struct sender *sender, const char *host)
{
	const char *token = sender->credentials->token;

	if (asprintf(&sender->url, "%s/%s", sender->control->state_url, host) < 0)
		sender->url = NULL;
	if (asprintf(&sender->about, "Egret-Host: %s", host) < 0)
		sender->about = NULL;
	if (token && asprintf(&sender->token, "Authorization: Bearer %s", token) < 0)
		sender->token = NULL;
	return sender->url && sender->about && !token == !sender->token ? 0 : -ENOMEM;
}

int eg_state_https_start(const struct eg_control_config *control, const struct eg_credentials *credentials,
			 const char *host, struct eg_state **ret)
{
	static const struct eg_state_ops ops = {.where = "its URL", .write = write_state, .free = sender_free};
	struct sender *sender = calloc(1, sizeof(*sender));
	int r;

	if (!sender)
		return -ENOMEM;
	sender->control = control;
	sender->credentials = credentials;
	r = make_texts(sender, host);
	if (!r)
		r = eg_fetch_new(credentials, &sender->http);
	if (r) {
		sender_free(sender);
		return r;
	}
	return eg_state_start(&ops, sender, (unsigned)(control->lease_ns / NS_PER_S / 3), ret);
}

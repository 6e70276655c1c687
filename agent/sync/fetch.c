// SPDX-License-Identifier: Apache-2.0
#include "fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "../lib/cleanup.h"

#define CONNECT_MS 3000
#define USER_TIMEOUT_MS 15000u /* bytes sent that nobody acknowledges */
#define SECRET_MAX (256u << 10)
#define BODY_STEP 65536u

struct eg_fetch {
	CURL *easy;
	const struct eg_credentials *credentials;
};

/* One transfer, for the callbacks. */
struct transfer {
	const struct eg_fetch_ask *ask;
	struct eg_fetch_answer *answer;
	size_t room;
	int result; /* of what ended it */
	uint64_t idle_ms;
};

/* ---- Credentials ------------------------------------------------ */

static int read_file(const char *file, char **ret, struct eg_error *err)
{
	EG_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	EG_FREE char *text = malloc(SECRET_MAX + 1);
	size_t len = 0;
	ssize_t n = fd < 0 ? -1 : 1;
	struct stat st;

	if (!text)
		return -ENOMEM;
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode)))
		return eg_error_set(err, 500, "no_credentials", "%s is no regular file.", file);
	while (n > 0 && len <= SECRET_MAX) {
		n = read(fd, text + len, SECRET_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return eg_error_set(err, 500, "no_credentials", "%s can't be read: %s.", file, strerror(errno));
	if (!len || len > SECRET_MAX || memchr(text, 0, len))
		return eg_error_set(err, 500, "no_credentials", "%s is empty, too large, or no text.", file);
	text[len] = '\0';
	*ret = EG_TAKE_PTR(text);
	return 0;
}

static int read_line(const char *file, char **ret, struct eg_error *err)
{
	int r = read_file(file, ret, err);

	if (r)
		return r;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): r is 0 only with a text */
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return (*ret)[0] ? 0 : eg_error_set(err, 500, "no_credentials", "%s has an empty first line.", file);
}

int eg_credentials_read(const struct eg_control_config *control, struct eg_credentials *ret, struct eg_error *err)
{
	struct eg_credentials c = {0};
	size_t signers = 0;
	int r = 0;

	while (control->keys[signers])
		signers++;
	c.signers = calloc(signers + 1, sizeof(char *));
	if (!c.signers)
		return -ENOMEM;
	if (control->password_file)
		r = read_line(control->password_file, &c.password, err);
	if (!r && control->token_file)
		r = read_line(control->token_file, &c.token, err);
	if (!r && control->ca_file)
		r = read_file(control->ca_file, &c.ca, err);
	if (!r && control->cert_file)
		r = read_file(control->cert_file, &c.cert, err);
	if (!r && control->key_file)
		r = read_file(control->key_file, &c.key, err);
	for (size_t i = 0; !r && i < signers; i++)
		r = read_file(control->keys[i], &c.signers[i], err);
	if (r)
		eg_credentials_clear(&c);
	else
		*ret = c;
	return r;
}

static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void eg_credentials_clear(struct eg_credentials *credentials)
{
	forget(credentials->password);
	forget(credentials->token);
	forget(credentials->key);
	free(credentials->ca);
	free(credentials->cert);
	for (size_t i = 0; credentials->signers && credentials->signers[i]; i++)
		free(credentials->signers[i]);
	free(credentials->signers);
	*credentials = (struct eg_credentials){0};
}

/* ---- Callbacks ------------------------------------------------ */

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	struct eg_fetch_answer *answer = t->answer;
	size_t len = size * count;

	if (t->ask->on_data) {
		t->result = t->ask->on_data(t->ask->ctx, bytes, len) ? -ECANCELED : 0;
		return t->result ? 0 : len;
	}
	if (len > t->ask->max - answer->len) {
		t->result = -EFBIG;
		return 0;
	}
	if (answer->len + len + 1 > t->room) {
		size_t room = answer->len + len + 1 + (answer->len > BODY_STEP ? answer->len : BODY_STEP);
		char *body = realloc(answer->body, room);

		if (!body) {
			t->result = -ENOMEM;
			return 0;
		}
		answer->body = body;
		t->room = room;
	}
	memcpy(answer->body + answer->len, bytes, len);
	answer->len += len;
	answer->body[answer->len] = '\0';
	return len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	char line[300];
	size_t len = size * count;

	if (len < sizeof(line)) {
		memcpy(line, bytes, len);
		line[len] = '\0';
		line[strcspn(line, "\r\n")] = '\0';
		if (!strncasecmp(line, "etag:", 5))
			snprintf(t->answer->etag, sizeof(t->answer->etag), "%.255s",
				 line + 5 + strspn(line + 5, " \t"));
		if (!strncasecmp(line, "retry-after:", 12))
			t->answer->retry_after_s = strtoull(line + 12 + strspn(line + 12, " \t"), NULL, 10);
	}
	return len;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = ctx;
	uint64_t now = now_ms();

	(void)a, (void)b, (void)c, (void)d;
	if (!t->ask->on_idle || now - t->idle_ms < 1000)
		return 0;
	t->idle_ms = now;
	if (!t->ask->on_idle(t->ask->ctx))
		return 0;
	t->result = -ECANCELED;
	return 1;
}

/* A member that vanished without a word is noticed by what we sent it, keep-alive probes included. */
static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	const unsigned timeout = USER_TIMEOUT_MS;

	(void)ctx, (void)purpose;
	return setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout)) ? CURL_SOCKOPT_ERROR
											: CURL_SOCKOPT_OK;
}

/* ---- Sending ------------------------------------------------ */

static void set_blob(CURL *easy, CURLoption option, const char *text)
{
	/* libcurl only reads it, and it outlives the handle. */
	struct curl_blob blob = {
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): so const is taken off without a warning */
		.data = (void *)(uintptr_t)text, .len = text ? strlen(text) : 0, .flags = CURL_BLOB_NOCOPY};

	if (text)
		curl_easy_setopt(easy, option, &blob);
}

static void set_tls(const struct eg_fetch *http)
{
	const struct eg_credentials *c = http->credentials;

	curl_easy_setopt(http->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!c)
		return;
	set_blob(http->easy, CURLOPT_CAINFO_BLOB, c->ca);
	if (c->ca) /* libcurl's default directory would have the host's authorities trusted as well */
		curl_easy_setopt(http->easy, CURLOPT_CAPATH, NULL);
	set_blob(http->easy, CURLOPT_SSLCERT_BLOB, c->cert);
	set_blob(http->easy, CURLOPT_SSLKEY_BLOB, c->key);
}

static void set_request(struct eg_fetch *http, const struct eg_fetch_ask *ask, struct transfer *t, char *message)
{
	CURL *easy = http->easy;

	curl_easy_reset(easy);
	set_tls(http);
	curl_easy_setopt(easy, CURLOPT_URL, ask->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "egret-sync/" EG_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ask->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 5L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, ask->method);
	if (ask->gzip)
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	if (ask->body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ask->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body_len);
	}
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
}

static struct curl_slist *make_headers(const struct eg_fetch_ask *ask)
{
	/* Without a body's type, or a wait for "100 Continue", unless it says so. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; ask->headers && ask->headers[i]; i++)
		list = curl_slist_append(list, ask->headers[i]);
	return list;
}

int eg_fetch_send(struct eg_fetch *http, const struct eg_fetch_ask *ask, struct eg_fetch_answer *ret, char *message,
		 size_t size)
{
	struct eg_fetch_answer answer = {0};
	struct transfer t = {.ask = ask, .answer = &answer, .idle_ms = now_ms()};
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = make_headers(ask);
	CURLcode code;

	set_request(http, ask, &t, why);
	curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(http->easy);
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer.status);
	curl_easy_setopt(http->easy, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	if (code == CURLE_OK && !answer.body)
		answer.body = strdup("");
	if (code == CURLE_OK && answer.body) {
		*ret = answer;
		return 0;
	}
	eg_fetch_answer_clear(&answer);
	snprintf(message, size, "%s: %s", ask->url,
		 t.result == -EFBIG ? "the answer is too large"
		 : why[0]	    ? why
				    : curl_easy_strerror(code));
	return t.result ? t.result : -EIO;
}

void eg_fetch_answer_clear(struct eg_fetch_answer *answer)
{
	free(answer->body);
	*answer = (struct eg_fetch_answer){0};
}

int eg_fetch_new(const struct eg_credentials *credentials, struct eg_fetch **ret)
{
	struct eg_fetch *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->credentials = credentials;
	http->easy = curl_easy_init();
	if (!http->easy) {
		free(http);
		return -ENOMEM;
	}
	*ret = http;
	return 0;
}

void eg_fetch_free(struct eg_fetch *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->easy);
	free(http);
}

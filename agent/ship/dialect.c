// SPDX-License-Identifier: Apache-2.0
#include "dialect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speaker.h"

#define HEADER_MAX 320 /* the longest is Loki's tenant, up to 255 bytes */

/* ---- Where to ------------------------------------------------------------------------------------------- */

static size_t without_end(const char *url, size_t len, const char *end)
{
	size_t n = end ? strlen(end) : 0;

	return n && n <= len && memcmp(url + len - n, end, n) == 0 ? len - n : len;
}

static size_t without_slashes(const char *url, size_t len)
{
	while (len && url[len - 1] == '/')
		len--;
	return len;
}

char *eg_dialect_url(const struct eg_dialect *dialect, const char *url, const char *path)
{
	size_t whole = strcspn(url, "#"), len = strcspn(url, "?#"), base = without_slashes(url, len);
	const char *query = dialect->query ? dialect->query : "";
	bool asks = len < whole;
	char *ret = NULL;

	if (!dialect->path)
		return strndup(url, whole);
	if (without_end(url, base, dialect->path) < base)
		base = without_end(url, base, dialect->path);
	else
		base = without_end(url, base, dialect->alias);
	base = without_slashes(url, base);
	if (asprintf(&ret, "%.*s%s%.*s%s%s", (int)base, url, path ? path : dialect->path, (int)(whole - len), url + len,
		     query[0] ? (asks ? "&" : "?") : "", query) < 0)
		return NULL;
	return ret;
}

/* ---- protocol.h ---------------------------------------------------------------------------------------------- */

int eg_dialect_open(const struct eg_dialect *dialect, const struct eg_sink_config *config, const atomic_bool *stopping,
		    void **ret, struct eg_error *err)
{
	struct eg_speaker *speaker = calloc(1, sizeof(*speaker));
	int r = -ENOMEM;

	if (speaker)
		r = eg_speaker_open(speaker, dialect, config, stopping, err);
	else
		eg_error_set(err, 500, "no_memory", "no memory is left for a sink");
	if (r)
		eg_dialect_close(speaker);
	else
		*ret = speaker;
	return r;
}

void eg_dialect_send(void *sink, const struct eg_item *items, size_t count, struct eg_result *result)
{
	struct eg_speaker *speaker = sink;
	uint64_t deadline = eg_http_now_ns() + speaker->config->timeout_ns;
	char header[HEADER_MAX] = "";
	struct eg_answer answer;

	if (speaker->dialect->header)
		speaker->dialect->header(speaker->config, items, count, header, sizeof(header));
	if (eg_speaker_render(speaker, items, count, result) &&
	    eg_speaker_post(speaker, header, count, deadline, &answer, result))
		speaker->dialect->judge(&answer, count, result);
	eg_speaker_rest(speaker);
}

void eg_dialect_close(void *sink)
{
	struct eg_speaker *speaker = sink;

	if (speaker)
		eg_speaker_close(speaker);
	free(speaker);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * http_files.c - the files of certificates: are they there, and are they still those that we know?
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "http_impl.h"

static void files_of(const struct eg_sink_config *config, const char *ret[EG_HTTP_FILES])
{
	ret[0] = config->ca_file;
	ret[1] = config->cert_file;
	ret[2] = config->key_file;
}

int eg_http_files_check(const struct eg_sink_config *config, struct eg_error *err)
{
	static const char *const keys[EG_HTTP_FILES] = {"tls.ca", "tls.cert", "tls.key"};
	const char *files[EG_HTTP_FILES];

	files_of(config, files);
	for (size_t i = 0; i < EG_HTTP_FILES; i++) {
		EG_CLOSE int fd = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
		int r = files[i] && fd < 0 ? -errno : 0;

		if (r) {
			eg_error_set(err, 400, "bad_tls", "\"%s\": %.200s %s", keys[i], files[i], strerror(-r));
			return r;
		}
	}
	return 0;
}

void eg_http_files_take(const struct eg_sink_config *config, struct eg_filestamp ret[EG_HTTP_FILES])
{
	const char *files[EG_HTTP_FILES];

	files_of(config, files);
	for (size_t i = 0; i < EG_HTTP_FILES; i++) {
		ret[i] = (struct eg_filestamp){0};
		if (files[i])
			eg_filestamp_take(files[i], &ret[i]);
	}
}

bool eg_http_files_differ(const struct eg_sink_config *config, const struct eg_filestamp stamps[EG_HTTP_FILES])
{
	const char *files[EG_HTTP_FILES];

	files_of(config, files);
	for (size_t i = 0; i < EG_HTTP_FILES; i++) {
		if (files[i] && eg_filestamp_differs(&stamps[i], files[i]))
			return true;
	}
	return false;
}

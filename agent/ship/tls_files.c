// SPDX-License-Identifier: Apache-2.0
#include "tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../lib/cleanup.h"

static void files_of(const struct eg_sink_config *config, const char *ret[EG_TLS_FILES])
{
	ret[0] = config->ca_file;
	ret[1] = config->cert_file;
	ret[2] = config->key_file;
}

int eg_tls_files_check(const struct eg_sink_config *config, struct eg_error *err)
{
	static const char *const keys[EG_TLS_FILES] = {"tls.ca", "tls.cert", "tls.key"};
	const char *files[EG_TLS_FILES];

	files_of(config, files);
	for (size_t i = 0; i < EG_TLS_FILES; i++) {
		EG_CLOSE int fd = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
		int r = files[i] && fd < 0 ? -errno : 0;

		if (r) {
			eg_error_set(err, 400, "bad_tls", "\"%s\": %.200s %s", keys[i], files[i], strerror(-r));
			return r;
		}
	}
	return 0;
}

void eg_tls_files_take(const struct eg_sink_config *config, struct eg_tls_files *ret)
{
	const char *files[EG_TLS_FILES];

	files_of(config, files);
	for (size_t i = 0; i < EG_TLS_FILES; i++) {
		ret->stamps[i] = (struct eg_filestamp){0};
		if (files[i])
			eg_filestamp_take(files[i], &ret->stamps[i]);
	}
}

bool eg_tls_files_differ(const struct eg_sink_config *config, const struct eg_tls_files *known)
{
	const char *files[EG_TLS_FILES];

	files_of(config, files);
	for (size_t i = 0; i < EG_TLS_FILES; i++) {
		if (files[i] && eg_filestamp_differs(&known->stamps[i], files[i]))
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_files.h - the files of certificates: are they there, and are they still those that we know?
 */
#ifndef EG_SHIP_TLS_FILES_H
#define EG_SHIP_TLS_FILES_H

#include "../lib/error.h"
#include "../lib/sink_config.h"
#include "filestamp.h"

#define EG_TLS_FILES 3 /* authority, certificate, key */

struct eg_tls_files {
	struct eg_filestamp stamps[EG_TLS_FILES];
};

/* -errno with *err filled if one of those that are configured can't be read. */
int eg_tls_files_check(const struct eg_sink_config *config, struct eg_error *err);

/* As they are now. To be taken before they are read: a change in between is then seen later. */
void eg_tls_files_take(const struct eg_sink_config *config, struct eg_tls_files *ret);
bool eg_tls_files_differ(const struct eg_sink_config *config, const struct eg_tls_files *known);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolvconf.h - the host's resolvers, from resolv.conf(5)
 */
#ifndef EG_CORE_RESOLVCONF_H
#define EG_CORE_RESOLVCONF_H

#include <stddef.h>

#include "compile.h"

/*
 * The addresses on its `nameserver` lines, each once; other lines, and addresses that can't be
 * read, are passed over, as resolvers do. The unspecified address is the host itself.
 */
void eg_resolvconf_parse(const char *text, size_t len, struct eg_resolvers *ret);
/* 0 (also without a nameserver), or -errno with *ret empty. */
int eg_resolvconf_read(const char *path, struct eg_resolvers *ret);

#endif

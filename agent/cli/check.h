/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - a policy judged without an agent
 */
#ifndef EG_CLI_CHECK_H
#define EG_CLI_CHECK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* {"ok", "app" or null, "diagnostics": [...]}, as POST /v1/policies:check answers. NULL without memory. */
json_t *eg_check_text(const char *file, const char *text, size_t len, uint64_t now_ns, uint64_t max_lifetime_ns);

#endif

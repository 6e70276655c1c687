/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EG_CLI_CMD_EXPLAIN_H
#define EG_CLI_CMD_EXPLAIN_H

#include <stdbool.h>

/* Whether a destination as people write it ends in a port: "10.0.0.1:443", "[fd00::1]:443". */
bool eg_explain_has_port(const char *dest);

#endif

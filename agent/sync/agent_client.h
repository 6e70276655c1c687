/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_client.h - what is asked of the agent, through the door that egretd gave
 *
 * Each is one request on a connection of its own: one end of a pair, whose other end goes through the door (see
 * eg_api_door). Debian 12's libcurl can't be given a socket that is connected already, so it is not used
 * here; the other side is the agent, whose answers have a length and end with the connection.
 *
 * 0, or -EINVAL with the agent's own error, or "agent_gone" if it did not answer.
 */
#ifndef EG_SYNC_AGENT_CLIENT_H
#define EG_SYNC_AGENT_CLIENT_H

#include <jansson.h>

#include "document.h"

/* GET of any path that a viewer may read. */
int eg_agent_client_get(int door, const char *path, json_t **ret, struct eg_error *err);
int eg_agent_client_put(int door, const struct eg_document *document, json_t **ret, struct eg_error *err);
int eg_agent_client_delete(int door, const char *app, struct eg_error *err);
int eg_agent_client_hold(int door, const struct eg_document *document, bool kill, uint64_t generation,
			 struct eg_error *err);
int eg_agent_client_report(int door, const json_t *report, struct eg_error *err);

#endif

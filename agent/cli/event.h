/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - an event of the log, for people
 */
#ifndef EG_CLI_EVENT_H
#define EG_CLI_EVENT_H

#include <jansson.h>

/* "2027-01-31 12:00:05.123Z  deny  app-x  ..."; not cleaned. Caller frees; NULL without memory. */
char *eg_event_line(const json_t *event);

/* "10.0.0.1:443", "[fd00::1]:443", "10.0.0.1" of an event's src or dst. Caller frees; NULL without memory. */
char *eg_event_end(const json_t *event, const char *address, const char *port);

/* The name that an event's address was granted for, or that the client asked for there; or NULL. */
const char *eg_event_peer_name(const json_t *event);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_names.h - members of a line that come from names and DNS; see event_json.h
 */
#ifndef EG_CORE_EVENT_NAMES_H
#define EG_CORE_EVENT_NAMES_H

#include <egret/abi.h>

/* Of flows and denials: what the address was granted for, and what the client itself says. named may be NULL. */
char *eg_event_names_json(char *p, const struct eg_event *e, const struct eg_event_named *named);

/* Of dns: what was done, and what was asked and answered, as far as it is known. named may be NULL. */
char *eg_event_dns_json(char *p, const struct eg_event *e, const struct eg_event_named *named);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url.h - a route's URL, with {app} and {owner} for those of the event that goes there
 */
#ifndef EG_SHIP_URL_H
#define EG_SHIP_URL_H

#include <stdbool.h>

#define EG_URL_APP   "{app}"
#define EG_URL_OWNER "{owner}"

/*
 * Percent-encodes all but unreserved characters (RFC 3986), so that a name can neither leave its part of a path nor
 * begin a query. app, owner: NULL is "". Caller frees; NULL without memory. The same text where url has no such word.
 */
char *eg_url_fill(const char *url, const char *app, const char *owner);

/* An event without an app, or of an app without an owner, can't go to a URL that asks for it. */
bool eg_url_asks(const char *url, const char *word);

#endif

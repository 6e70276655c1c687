/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl_options.h - what we ask of libcurl for every connection, whatever is spoken over it
 */
#ifndef EG_SHIP_CURL_OPTIONS_H
#define EG_SHIP_CURL_OPTIONS_H

#include <curl/curl.h>
#include <stdbool.h>

#include "../lib/sink_config.h"

/* Setting an option fails without memory only, or if this libcurl lacks what we can't do without. */
#define EG_CURL_SET(option, value) (bad |= curl_easy_setopt(easy, CURLOPT_##option, value) != CURLE_OK)

/* The proxy, TLS to it and to the receiver, and what threads need. */
bool eg_curl_options_set(const struct eg_sink_config *config, CURL *easy);

#endif

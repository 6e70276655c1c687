/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - policies with places to fill in
 *
 * A template is a file NAME.json with three keys: "about", a line; "policy", a policy in which
 * texts hold ${PARAMETER}; "parameters", which says of each what it is ("about"), and either its
 * "default" or an "example". Without a default it has to be given. app, owner, ticket and
 * expires are every template's. Defaults may hold places, too.
 *
 * A list's element that is a place alone becomes as many elements as the value has parts between
 * commas. What became empty is left out: an element, a key, and then the list or object around it.
 */
#ifndef EG_CLI_TEMPLATE_H
#define EG_CLI_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#ifndef EG_DATA_DIR
#define EG_DATA_DIR "/usr/share/egret"
#endif
#define EG_TEMPLATES EG_DATA_DIR "/templates"

/* Whether it can be a template's name: [a-z0-9][a-z0-9-]*, so that it can't leave the directory. */
bool eg_template_name(const char *name);

/*
 * Fills a template. values: an object of texts. The policy, a new reference; NULL with a sentence
 * (without its full stop) in message.
 */
json_t *eg_template_fill(const json_t *template, const json_t *values, char *message, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels.h - choose apps by their labels: "team=hr,sensitivity in (high,critical),env!=dev,owner"
 *
 * Every part must hold: key=value, key!=value (also true without the key), key in (a,b),
 * key notin (a,b), key (is there), !key (is not). Keys and values: [A-Za-z0-9._/-]{1,63}.
 */
#ifndef EG_LIB_LABELS_H
#define EG_LIB_LABELS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct eg_labels;

/* -EINVAL with a sentence in message (may be NULL); -ENOMEM. */
int eg_labels_parse(const char *text, struct eg_labels **ret, char *message, size_t size);
void eg_labels_free(struct eg_labels *labels);
/* labels: a JSON object of strings, or NULL. */
bool eg_labels_match(const struct eg_labels *selector, const json_t *labels);
/* Whether text may be a label's key or value. */
bool eg_labels_word(const char *text);

#endif

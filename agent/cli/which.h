/* SPDX-License-Identifier: Apache-2.0 */
/*
 * which.h - which apps a command is about: one by its name, some by their labels, or all
 */
#ifndef EG_CLI_WHICH_H
#define EG_CLI_WHICH_H

#include <stdbool.h>
#include <stddef.h>

/* Exactly one is set. */
struct eg_which {
	const char *app;
	const char *labels;
	bool all;
};

/* From an operand, --label and --all, NULL and false where they weren't given. -EINVAL with a sentence in message. */
int eg_which_set(const char *app, const char *labels, bool all, struct eg_which *ret, char *message, size_t size);

/* Whether labels can be parsed. -EINVAL with a sentence in message. */
int eg_which_check_labels(const char *labels, char *message, size_t size);

/* "/v1/apps/APP", and "/VERB" if that isn't NULL. The name was checked. NULL without memory. */
char *eg_which_path(const char *app, const char *verb);

#endif

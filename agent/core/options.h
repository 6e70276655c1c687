/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - egretd's command line, and the configuration that comes of it
 */
#ifndef EG_CORE_OPTIONS_H
#define EG_CORE_OPTIONS_H

#include "../lib/error.h"
#include "config.h"

enum eg_action {
	EG_ACTION_RUN,
	EG_ACTION_EARLY, /* attach deny-all and the holds, then exit */
	EG_ACTION_DETACH_ALL, /* remove every link and pin, then exit */
	EG_ACTION_CHECK_CONFIG, /* it was read without error: nothing else to do */
	EG_ACTION_VERSION,
	EG_ACTION_HELP,
};

/* Zero-initialise; eg_options_clear frees. */
struct eg_options {
	enum eg_action action;
	char *config_file; /* as it was looked for; NULL for version and help */
	struct eg_config *config; /* file and flags; NULL for version and help */
};

/*
 * Reads the flags and the file that they name (or EG_CONFIG_FILE, if it is there). 0, or a
 * negative errno with one sentence in *err (code "bad_usage", or as of eg_config_load) and
 * *ret untouched.
 */
int eg_options_parse(int argc, char *const argv[], struct eg_options *ret, struct eg_error *err);
void eg_options_clear(struct eg_options *options);

/* Text of --help. */
extern const char eg_options_help[];

#endif

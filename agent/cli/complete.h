/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete.h - what can stand next on a command line
 *
 * The shells' scripts only pass on the words; what is possible is found here, in the table of
 * commands, so that completion never knows less or more than the program.
 */
#ifndef EG_CLI_COMPLETE_H
#define EG_CLI_COMPLETE_H

#include <jansson.h>
#include <stddef.h>

#include "args.h"

enum eg_complete {
	EG_COMPLETE_WORDS, /* those in *ret_words */
	EG_COMPLETE_FILES,
	EG_COMPLETE_DIRS,
	EG_COMPLETE_APPS, /* names that the agent knows */
	EG_COMPLETE_OTHER, /* another program's words */
};

/*
 * words[0 .. count - 2] stand before (without "egret"), words[count - 1] is the one to complete, and
 * may be "". *ret_words: [{"word","help"}...], only those that begin like it; new reference.
 */
enum eg_complete eg_complete(const struct eg_command *commands, const struct eg_option *globals,
			     const char *const *words, size_t count, json_t **ret_words);

/* The script for bash, zsh or fish; NULL for another shell. */
const char *eg_complete_script(const char *shell);

#endif

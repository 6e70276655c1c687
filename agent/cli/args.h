/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - commands, options and operands: one table says what there is
 *
 * The same table makes the parser, the help, the completion and (through a test) keeps the
 * manual page complete, so none of them can say what another doesn't know.
 */
#ifndef EG_CLI_ARGS_H
#define EG_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#define EG_ARGS_GIVEN_MAX 32

struct eg_cli;

/*
 * What completes a value or an operand: NULL nothing, or words "tcp udp icmp", or one of these.
 */
#define EG_WORDS_FILE    "@file"
#define EG_WORDS_DIR     "@dir"
#define EG_WORDS_APP     "@app" /* the agent is asked */
#define EG_WORDS_COMMAND "@command"

struct eg_option {
	const char *name; /* "reason" is --reason; NULL ends a list */
	char letter; /* 'f' is -f; 0: none */
	const char *value; /* "TEXT": name of its value; "A=B": may be given often; NULL: a switch */
	const char *help; /* one line */
	const char *words;
};

struct eg_command {
	const char *name; /* "kill", "policy apply"; NULL ends a list */
	const char *operands; /* as in the synopsis: "FILE..."; NULL: none */
	const char *help; /* one line */
	const char *more; /* paragraph, or NULL */
	const struct eg_option *options;
	unsigned min; /* operands */
	unsigned max;
	const char *words[2]; /* of the first operand, and of the others */
	int (*run)(struct eg_cli *cli);
	bool lines; /* -o ndjson is fine */
	bool rest; /* the first operand ends the options: what follows belongs to another program */
	bool hidden;
};

struct eg_args {
	const struct eg_command *command; /* also after an error, if it was known by then */
	const char *group; /* "policy", where its command is missing */
	struct eg_arg {
		const struct eg_option *option;
		const char *value; /* "" of a switch */
	} given[EG_ARGS_GIVEN_MAX];
	size_t given_count;
	const struct eg_option *globals;
	char **operands; /* ends with NULL; strings are argv's */
	size_t operand_count;
};

/*
 * Reads argv[1 ..]. Options may stand anywhere before "--". -EINVAL: message says what is
 * wrong, in one sentence without a full stop. No command at all is fine: command is NULL.
 * *ret is to be cleared in every case.
 */
int eg_args_parse(const struct eg_command *commands, const struct eg_option *globals, int argc, char **argv,
		  struct eg_args *ret, char *message, size_t size);
void eg_args_clear(struct eg_args *args);

/* Value of an option of the command, or of a global one; "" of a switch; NULL if it wasn't given. */
const char *eg_args_value(const struct eg_args *args, const char *name);
bool eg_args_given(const struct eg_args *args, const char *name);

/* The option of that name or letter among a command's (which may be NULL) and the global ones. */
const struct eg_option *eg_args_option(const struct eg_command *command, const struct eg_option *globals,
				       const char *name, size_t len, char letter);
/* The command of one or two words; word2 may be NULL. */
const struct eg_command *eg_args_command(const struct eg_command *commands, const char *word1, const char *word2);
/* Whether there are commands "WORD something". */
bool eg_args_is_group(const struct eg_command *commands, const char *word);

#endif

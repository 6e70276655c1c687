// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"

struct parser {
	const struct eg_command *commands;
	struct eg_args *args;
	char **argv;
	int argc;
	int at;
	char *message;
	size_t size;
};

/* ---- The table ------------------------------------------------------------------------- */

static const struct eg_option *find_option(const struct eg_option *options, const char *name, size_t len, char letter)
{
	for (; options && options->name; options++) {
		if (letter ? options->letter == letter
			   : strlen(options->name) == len && memcmp(options->name, name, len) == 0)
			return options;
	}
	return NULL;
}

const struct eg_option *eg_args_option(const struct eg_command *command, const struct eg_option *globals,
				       const char *name, size_t len, char letter)
{
	const struct eg_option *own = find_option(command ? command->options : NULL, name, len, letter);

	return own ? own : find_option(globals, name, len, letter);
}

const struct eg_command *eg_args_command(const struct eg_command *commands, const char *word1, const char *word2)
{
	size_t len = strlen(word1);

	for (; commands->name; commands++) {
		if (strncmp(commands->name, word1, len) != 0)
			continue;
		if (word2 ? commands->name[len] == ' ' && strcmp(commands->name + len + 1, word2) == 0
			  : commands->name[len] == '\0')
			return commands;
	}
	return NULL;
}

bool eg_args_is_group(const struct eg_command *commands, const char *word)
{
	size_t len = strlen(word);

	for (; commands->name; commands++)
		if (strncmp(commands->name, word, len) == 0 && commands->name[len] == ' ')
			return true;
	return false;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static int __attribute__((format(printf, 2, 3))) fault(struct parser *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->message, p->size, format, args);
	va_end(args);
	return -EINVAL;
}

/* What there is not, and what may have been meant: one like it. open, close: around both. */
static int no_such(struct parser *p, const struct eg_nearest *nearest, const char *whose, const char *what, const char *open,
		   const char *close)
{
	if (!nearest->best)
		return fault(p, "%s %s %s%.*s%s", whose, what, open, (int)nearest->len, nearest->word, close);
	return fault(p, "%s %s %s%.*s%s; did you mean %s%.*s%s?", whose, what, open, (int)nearest->len, nearest->word, close,
		     open, (int)nearest->best_len, nearest->best, close);
}

static void try_options(struct eg_nearest *nearest, const struct eg_option *options)
{
	for (; options && options->name; options++)
		eg_nearest_try(nearest, options->name, strlen(options->name));
}

/* Of the group, or the first words of all. */
static void try_commands(struct eg_nearest *nearest, const struct eg_command *commands, const char *group)
{
	size_t len = group ? strlen(group) : 0;

	for (; commands->name; commands++) {
		if (!group)
			eg_nearest_try(nearest, commands->name, strcspn(commands->name, " "));
		else if (strncmp(commands->name, group, len) == 0 && commands->name[len] == ' ')
			eg_nearest_try(nearest, commands->name + len + 1, strlen(commands->name + len + 1));
	}
}

static const char *command_name(const struct parser *p)
{
	return p->args->command ? p->args->command->name : "egret";
}

/* One that takes pairs: each is another. */
static bool many(const struct eg_option *option)
{
	return option->value && strchr(option->value, '=');
}

/* A global option may be said again (an alias said it first), another not: --label twice is not both. */
static int give(struct parser *p, const struct eg_option *option, const char *value)
{
	struct eg_args *args = p->args;

	for (size_t i = 0; i < args->given_count && !many(option); i++) {
		if (args->given[i].option != option)
			continue;
		if (args->command &&
		    find_option(args->command->options, option->name, strlen(option->name), 0) == option)
			return fault(p, "--%s is given twice", option->name);
		args->given[i].value = value;
		return 0;
	}
	if (args->given_count == EG_ARGS_GIVEN_MAX)
		return fault(p, "too many options");
	args->given[args->given_count++] = (struct eg_arg){option, value};
	return 0;
}

/* value: what is attached ("--for=15m", "-ojson"), or NULL. */
static int take_option(struct parser *p, const struct eg_option *option, const char *value)
{
	if (!option->value)
		return value ? fault(p, "--%s takes no value", option->name) : give(p, option, "");
	if (!value) {
		if (p->at + 1 >= p->argc)
			return fault(p, "--%s needs a value: %s", option->name, option->value);
		value = p->argv[++p->at];
	}
	return give(p, option, value);
}

static int take_long(struct parser *p, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct eg_option *option = eg_args_option(p->args->command, p->args->globals, word, len, 0);

	if (!option) {
		struct eg_nearest nearest = {.word = word, .len = len};

		try_options(&nearest, p->args->command ? p->args->command->options : NULL);
		try_options(&nearest, p->args->globals);
		return no_such(p, &nearest, command_name(p), "has no option", "--", "");
	}
	return take_option(p, option, equals ? equals + 1 : NULL);
}

/* "-f", "-ojson", "-o json", "-fojson". */
static int take_short(struct parser *p, const char *letters)
{
	int r = 0;

	for (; *letters && !r; letters++) {
		const struct eg_option *option =
			eg_args_option(p->args->command, p->args->globals, NULL, 0, *letters);

		if (!option)
			return fault(p, "%s has no option -%c", command_name(p), *letters);
		if (option->value)
			return take_option(p, option, letters[1] ? letters + 1 : NULL);
		r = take_option(p, option, NULL);
	}
	return r;
}

static int take_command(struct parser *p, const char *word)
{
	struct eg_nearest nearest = {.word = word, .len = strlen(word)};
	struct eg_args *args = p->args;

	args->command = args->group ? eg_args_command(p->commands, args->group, word)
				    : eg_args_command(p->commands, word, NULL);
	if (args->command) {
		args->group = NULL;
		return 0;
	}
	if (args->group || !eg_args_is_group(p->commands, word)) {
		try_commands(&nearest, p->commands, args->group);
		return no_such(p, &nearest, args->group ? args->group : "there is",
			       args->group ? "has no command" : "no command", "'", "'");
	}
	args->group = word;
	return 0;
}

static void take_operand(struct parser *p, char *word)
{
	p->args->operands[p->args->operand_count++] = word;
}

static int take_word(struct parser *p, bool *ended)
{
	char *word = p->argv[p->at];

	if (!*ended && strcmp(word, "--") == 0) {
		*ended = true;
		return 0;
	}
	if (!*ended && word[0] == '-' && word[1])
		return word[1] == '-' ? take_long(p, word + 2) : take_short(p, word + 1);
	if (!p->args->command)
		return take_command(p, word);
	if (p->args->command->rest)
		*ended = true;
	take_operand(p, word);
	return 0;
}

static int check_operands(struct parser *p)
{
	const struct eg_command *command = p->args->command;
	size_t count = p->args->operand_count;

	if (!command)
		return 0;
	if (count < command->min)
		return fault(p, "%s needs %s", command->name, command->operands);
	if (count <= command->max)
		return 0;
	if (!command->max)
		return fault(p, "%s takes no operand: '%s'", command->name, p->args->operands[0]);
	return fault(p, "%s takes %s, and no '%s'", command->name, command->operands,
		     p->args->operands[command->max]);
}

int eg_args_parse(const struct eg_command *commands, const struct eg_option *globals, int argc, char **argv,
		  struct eg_args *ret, char *message, size_t size)
{
	struct parser p = {
		.commands = commands, .args = ret, .argv = argv, .argc = argc, .message = message, .size = size};
	bool ended = false;
	int r = 0;

	*ret = (struct eg_args){.globals = globals};
	ret->operands = calloc((size_t)argc + 1, sizeof(*ret->operands));
	if (!ret->operands)
		return fault(&p, "out of memory");
	for (p.at = 1; p.at < argc && !r; p.at++)
		r = take_word(&p, &ended);
	/* Who asks for help gets it, whatever else is missing. */
	if (r || eg_args_given(ret, "help"))
		return r;
	if (ret->group)
		return fault(&p, "%s needs to know what: see 'egret help %s'", ret->group, ret->group);
	return check_operands(&p);
}

void eg_args_clear(struct eg_args *args)
{
	free(args->operands);
	*args = (struct eg_args){0};
}

const char *eg_args_value(const struct eg_args *args, const char *name)
{
	/* A name that no table has is a slip of the programmer's. */
	assert(eg_args_option(args->command, args->globals, name, strlen(name), 0));
	for (size_t i = 0; i < args->given_count; i++)
		if (strcmp(args->given[i].option->name, name) == 0)
			return args->given[i].value;
	return NULL;
}

bool eg_args_given(const struct eg_args *args, const char *name)
{
	return eg_args_value(args, name) != NULL;
}

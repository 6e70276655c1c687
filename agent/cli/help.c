// SPDX-License-Identifier: Apache-2.0
#include "help.h"

#include <string.h>

#include "commands.h"
#include "text.h"

#define WIDTH 78

static void print_options(const struct eg_cli *cli, FILE *out, const struct eg_option *options)
{
	EG_TABLE struct eg_table *table = eg_table_new("|");

	for (; table && options && options->name; options++) {
		char letter[] = {'-', options->letter, ',', ' ', '\0'};

		eg_table_cellf(table, EG_STYLE_NONE, "%s--%s%s%s", options->letter ? letter : "    ", options->name,
			       options->value ? " " : "", options->value ? options->value : "");
		eg_table_cell(table, EG_STYLE_NONE, options->help);
	}
	eg_table_print(table, out, cli->color && out == cli->out, "  ");
}

static void print_commands(const struct eg_cli *cli, FILE *out, const char *group)
{
	EG_TABLE struct eg_table *table = eg_table_new("|");
	size_t len = group ? strlen(group) : 0;

	for (const struct eg_command *c = cli->commands; table && c->name; c++) {
		if (c->hidden || (group && (strncmp(c->name, group, len) != 0 || c->name[len] != ' ')))
			continue;
		eg_table_cellf(table, EG_STYLE_NONE, "%s%s%s", c->name, c->operands ? " " : "",
			       c->operands ? c->operands : "");
		eg_table_cell(table, EG_STYLE_NONE, c->help);
	}
	eg_table_print(table, out, cli->color && out == cli->out, "  ");
}

void eg_help_all(const struct eg_cli *cli, FILE *out)
{
	fputs("usage: egret [OPTION...] COMMAND ...\n\n"
	      "egret keeps apps inside their network policies: this asks the agent, egretd.\n\nCommands:\n",
	      out);
	print_commands(cli, out, NULL);
	fputs("\nOptions of every command:\n", out);
	print_options(cli, out, cli->globals);
	fputs("\nExit status: 0 done, 1 the answer is no, 2 usage, 3 no agent, 4 refused,\n"
	      "5 not found, 6 conflict, 7 failed; of `run`: the command's, or 125.\n"
	      "'egret help COMMAND' says more; so does egret(1).\n",
	      out);
}

/* A paragraph in lines of at most WIDTH. */
static void print_paragraph(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column && column + 1 + len > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%s%.*s", column ? " " : "", (int)len, text);
		column += len + (column != 0);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', out);
}

static void help_command(const struct eg_cli *cli, const struct eg_command *command)
{
	FILE *out = cli->out;

	fprintf(out, "usage: egret %s%s%s%s\n\n", command->name, command->options ? " [OPTION...]" : "",
		command->operands ? " " : "", command->operands ? command->operands : "");
	fprintf(out, "%s: %s\n", command->name, command->help);
	if (command->more) {
		fputc('\n', out);
		print_paragraph(out, command->more);
	}
	if (command->options) {
		fputs("\nOptions:\n", out);
		print_options(cli, out, command->options);
	}
	fputs("\nOptions of every command:\n", out);
	print_options(cli, out, cli->globals);
}

int eg_help(struct eg_cli *cli, const char *name)
{
	if (!name) {
		eg_help_all(cli, cli->out);
		return EG_EXIT_OK;
	}
	for (const struct eg_command *c = cli->commands; c->name; c++) {
		if (strcmp(c->name, name) == 0) {
			help_command(cli, c);
			return EG_EXIT_OK;
		}
	}
	if (!eg_args_is_group(cli->commands, name))
		return eg_cli_usage(cli, "there is no command '%s'", name);
	fprintf(cli->out, "usage: egret %s COMMAND ...\n\nCommands:\n", name);
	print_commands(cli, cli->out, name);
	return EG_EXIT_OK;
}

int eg_cmd_help(struct eg_cli *cli)
{
	const char *word1 = eg_cli_operand(cli, 0), *word2 = eg_cli_operand(cli, 1);
	EG_FREE char *name = NULL;

	if (!word2)
		return eg_help(cli, word1);
	if (asprintf(&name, "%s %s", word1, word2) < 0) {
		name = NULL;
		return eg_cli_no_memory(cli);
	}
	return eg_help(cli, name);
}

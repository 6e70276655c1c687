// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_completion.c - egret completion, and what its scripts ask
 */
#include <string.h>

#include "commands.h"
#include "complete.h"
#include "cli.h"

int eg_cmd_completion(struct eg_cli *cli)
{
	const char *script = eg_complete_script(eg_cli_operand(cli, 0));

	if (!script)
		return eg_cli_usage(cli, "there is completion for bash, zsh and fish, not for '%s'",
				    eg_cli_operand(cli, 0));
	fputs(script, cli->out);
	return EG_EXIT_OK;
}

/* Names of apps; no agent, no names. */
static void print_apps(struct eg_cli *cli, const char *prefix)
{
	struct eg_client_request request = {.method = "GET", .path = "/v1/apps", .wait_s = 2};
	struct eg_error err = {0};
	EG_JSON json_t *answer = NULL;
	json_t *app;
	size_t i;

	if (eg_client_call(cli->client, &request, &answer, &err)) {
		eg_error_clear(&err);
		return;
	}
	json_array_foreach(json_object_get(answer, "apps"), i, app) {
		const char *name = eg_json_text(app, "app");

		if (name && strncmp(name, prefix, strlen(prefix)) == 0)
			eg_cli_say(cli, "%s", name);
	}
}

static void print_words(struct eg_cli *cli, const json_t *words)
{
	json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		const char *help = eg_json_text(word, "help");

		fprintf(cli->out, "%s%s%s\n", eg_json_text(word, "word"), help[0] ? "\t" : "", help);
	}
}

int eg_cmd_complete(struct eg_cli *cli)
{
	const char *const *words = (const char *const *)cli->args->operands;
	size_t count = cli->args->operand_count;
	EG_JSON json_t *found = NULL;

	switch (eg_complete(cli->commands, cli->globals, words, count, &found)) {
	case EG_COMPLETE_WORDS:
		print_words(cli, found);
		break;
	case EG_COMPLETE_FILES:
		fputs(":files\n", cli->out);
		break;
	case EG_COMPLETE_DIRS:
		fputs(":dirs\n", cli->out);
		break;
	case EG_COMPLETE_OTHER:
		fputs(":command\n", cli->out);
		break;
	case EG_COMPLETE_APPS:
		print_apps(cli, count ? words[count - 1] : "");
		break;
	}
	return EG_EXIT_OK;
}

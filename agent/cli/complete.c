// SPDX-License-Identifier: Apache-2.0
#include "complete.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../lib/cleanup.h"

/* What the words before say. */
struct place {
	const struct eg_command *commands;
	const struct eg_option *globals;
	const struct eg_command *command;
	const char *group;
	const struct eg_option *wants; /* an option that waits for its value */
	size_t operands;
	bool ended; /* "--" was there, or the words are another program's */
	bool lost; /* there was a command that doesn't exist */
};

static void add(json_t *words, const char *prefix, const char *word, const char *help)
{
	if (strncmp(word, prefix, strlen(prefix)) == 0)
		json_array_append_new(words, json_pack("{s:s,s:s}", "word", word, "help", help ? help : ""));
}

/* ---- Before ---------------------------------------------------------------------------------- */

static void pass_option(struct place *place, const char *word)
{
	const struct eg_option *option;
	const char *equals = strchr(word, '=');

	if (word[1] == '-')
		option = eg_args_option(place->command, place->globals, word + 2,
					equals ? (size_t)(equals - word - 2) : strlen(word + 2), 0);
	else
		option = word[2] ? NULL : eg_args_option(place->command, place->globals, NULL, 0, word[1]);
	if (option && option->value && !equals)
		place->wants = option;
}

static void pass_word(struct place *place, const char *word)
{
	if (place->wants) {
		place->wants = NULL;
	} else if (!place->ended && strcmp(word, "--") == 0) {
		place->ended = true;
	} else if (!place->ended && word[0] == '-' && word[1]) {
		pass_option(place, word);
	} else if (!place->command) {
		place->command = place->group ? eg_args_command(place->commands, place->group, word)
					      : eg_args_command(place->commands, word, NULL);
		if (!place->command && !place->group && eg_args_is_group(place->commands, word))
			place->group = word;
		else if (!place->command)
			place->lost = true;
	} else {
		place->operands++;
		place->ended = place->ended || place->command->rest;
	}
}

/* ---- Here ------------------------------------------------------------------------------------- */

static void add_options(json_t *words, const char *prefix, const struct eg_option *options)
{
	char word[80];

	for (; options && options->name; options++) {
		snprintf(word, sizeof(word), "--%s", options->name);
		add(words, prefix, word, options->help);
	}
}

/* Commands, or those of a group; a group stands once. */
static void add_commands(json_t *words, const char *prefix, const struct eg_command *commands, const char *group)
{
	size_t len = group ? strlen(group) + 1 : 0;
	const char *last = "";

	for (; commands->name; commands++) {
		const char *rest = commands->name + len, *space;
		EG_FREE char *word = NULL;

		if (commands->hidden || (group && (strncmp(commands->name, group, len - 1) != 0 || rest[-1] != ' ')))
			continue;
		space = strchr(rest, ' ');
		word = space ? strndup(rest, (size_t)(space - rest)) : strdup(rest);
		if (!word || (space && strncmp(last, rest, (size_t)(space - rest) + 1) == 0))
			continue;
		add(words, prefix, word, space ? "" : commands->help);
		last = rest;
	}
}

/* attached: what the words begin with ("--for="), or "". */
static enum eg_complete add_kind(const struct place *place, const char *kind, json_t *words, const char *prefix,
				 const char *attached)
{
	char word[160];

	if (!kind)
		return EG_COMPLETE_WORDS;
	if (strcmp(kind, EG_WORDS_FILE) == 0)
		return EG_COMPLETE_FILES;
	if (strcmp(kind, EG_WORDS_DIR) == 0)
		return EG_COMPLETE_DIRS;
	if (strcmp(kind, EG_WORDS_APP) == 0)
		return EG_COMPLETE_APPS;
	if (strcmp(kind, EG_WORDS_COMMAND) == 0) {
		add_commands(words, prefix, place->commands, NULL);
		return EG_COMPLETE_WORDS;
	}
	while (*kind) {
		size_t len = strcspn(kind, " ");

		snprintf(word, sizeof(word), "%s%.*s", attached, (int)len, kind);
		add(words, prefix, word, NULL);
		kind += len + strspn(kind + len, " ");
	}
	return EG_COMPLETE_WORDS;
}

/* "--for=1": the value, where the shell makes one word of both. */
static enum eg_complete add_attached(const struct place *place, const char *word, json_t *words)
{
	size_t len = strcspn(word, "=");
	const struct eg_option *option = eg_args_option(place->command, place->globals, word + 2, len - 2, 0);
	EG_FREE char *attached = strndup(word, len + 1);

	if (!option || !option->value || !attached)
		return EG_COMPLETE_WORDS;
	return add_kind(place, option->words, words, word, attached);
}

static enum eg_complete add_here(const struct place *place, const char *word, json_t *words)
{
	const struct eg_command *command = place->command;

	if (place->wants)
		return add_kind(place, place->wants->words, words, word, "");
	if (!place->ended && strncmp(word, "--", 2) == 0 && strchr(word, '='))
		return add_attached(place, word, words);
	if (command && command->rest && (place->ended || (word[0] && word[0] != '-')))
		return EG_COMPLETE_OTHER;
	if (!place->ended && word[0] == '-') {
		add_options(words, word, command ? command->options : NULL);
		add_options(words, word, place->globals);
		return EG_COMPLETE_WORDS;
	}
	if (place->lost)
		return EG_COMPLETE_WORDS;
	if (!command) {
		add_commands(words, word, place->commands, place->group);
		return EG_COMPLETE_WORDS;
	}
	if (place->operands >= command->max)
		return EG_COMPLETE_WORDS;
	return add_kind(place, command->words[place->operands > 0], words, word, "");
}

enum eg_complete eg_complete(const struct eg_command *commands, const struct eg_option *globals,
			     const char *const *words, size_t count, json_t **ret_words)
{
	struct place place = {.commands = commands, .globals = globals};

	*ret_words = json_array();
	for (size_t i = 0; i + 1 < count; i++)
		pass_word(&place, words[i]);
	return add_here(&place, count ? words[count - 1] : "", *ret_words);
}

/* ---- Scripts ------------------------------------------------------------------------------------ */

/*
 * `egret __complete -- WORD...` prints what is possible for the last word, a line each, with a tab
 * and a help text; or one line that begins with a colon: ":files", ":dirs", ":command".
 */
static const char bash_script[] =
	"# bash completion for egret: made by `egret completion bash`\n"
	"_egret() {\n"
	"	local word=${COMP_WORDS[COMP_CWORD]} line\n"
	"	COMPREPLY=()\n"
	"	# \"--for=15m\" comes as three words\n"
	"	local -a words=() parts=(\"${COMP_WORDS[@]:1:COMP_CWORD}\")\n"
	"	local i\n"
	"	for ((i = 0; i < ${#parts[@]}; i++)); do\n"
	"		[[ ${parts[i]} == = ]] && continue\n"
	"		words+=(\"${parts[i]}\")\n"
	"	done\n"
	"	[[ $word == = ]] && { word=; words+=(\"\"); }\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"		:files)\n"
	"			compopt -o filenames 2>/dev/null\n"
	"			mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
	"			return ;;\n"
	"		:dirs)\n"
	"			compopt -o filenames 2>/dev/null\n"
	"			mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
	"			return ;;\n"
	"		:command) mapfile -t COMPREPLY < <(compgen -c -f -- \"$word\"); return ;;\n"
	"		*) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
	"		esac\n"
	"	done < <(egret __complete -- \"${words[@]}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _egret egret\n";

static const char zsh_script[] =
	"#compdef egret\n"
	"# zsh completion for egret: made by `egret completion zsh`\n"
	"_egret() {\n"
	"	local line tab=$'\\t'\n"
	"	local -a found\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"		:files) _files; return ;;\n"
	"		:dirs) _files -/; return ;;\n"
	"		:command) _command_names; _files; return ;;\n"
	"		*$tab*) found+=(\"${${line%%$tab*}//:/\\\\:}:${line#*$tab}\") ;;\n"
	"		*) found+=(\"${line//:/\\\\:}\") ;;\n"
	"		esac\n"
	"	done < <(egret __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	"	_describe egret found\n"
	"}\n"
	"if [[ $funcstack[1] == _egret ]]; then\n"
	"	_egret \"$@\"\n"
	"else\n"
	"	compdef _egret egret\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion for egret: made by `egret completion fish`\n"
	"function __egret_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	set -l lines (egret __complete -- $words[2..-1] 2>/dev/null)\n"
	"	switch \"$lines[1]\"\n"
	"		case ':files' ':command'\n"
	"			__fish_complete_path (commandline -ct)\n"
	"		case ':dirs'\n"
	"			__fish_complete_directories (commandline -ct)\n"
	"		case '*'\n"
	"			printf '%s\\n' $lines\n"
	"	end\n"
	"end\n"
	"complete -c egret -f -a '(__egret_complete)'\n";

const char *eg_complete_script(const char *shell)
{
	static const struct {
		const char *shell;
		const char *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		if (strcmp(shell, scripts[i].shell) == 0)
			return scripts[i].script;
	return NULL;
}

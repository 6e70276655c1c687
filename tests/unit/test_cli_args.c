// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_args.c - the command line: options, operands, help and completion from one table, and
 * the manual page beside it
 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/cli/commands.h"
#include "../../agent/cli/complete.h"
#include "../../agent/lib/cleanup.h"

#define MANUAL "agent/cli/egret.1"

static char message[320];

/* Words are split at blanks. They live as long as the program: operands point to them. */
static int parse(const char *words, struct eg_args *args)
{
	static char text[512], *argv[32];
	char *save = NULL;
	int argc = 0;

	snprintf(text, sizeof(text), "egret %s", words);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	message[0] = '\0';
	return eg_args_parse(eg_commands, eg_globals, argc, argv, args, message, sizeof(message));
}

static void assert_bad(const char *words, const char *expected)
{
	EG_CLEANUP(eg_args_clear) struct eg_args args = {0};

	assert_int_equal(parse(words, &args), -EINVAL);
	if (!strstr(message, expected))
		fail_msg("%s: \"%s\" lacks \"%s\"", words, message, expected);
}

static void assert_not_guessed(const char *words)
{
	EG_CLEANUP(eg_args_clear) struct eg_args args = {0};

	assert_int_equal(parse(words, &args), -EINVAL);
	if (strstr(message, "did you mean"))
		fail_msg("%s: %s", words, message);
}

static void assert_value(const char *words, const char *option, const char *expected)
{
	EG_CLEANUP(eg_args_clear) struct eg_args args = {0};

	if (parse(words, &args))
		fail_msg("%s: %s", words, message);
	if (expected)
		assert_string_equal(eg_args_value(&args, option), expected);
	else
		assert_null(eg_args_value(&args, option));
}

/* ---- Parsing ------------------------------------------------------------------------------ */

static void test_commands(void **state)
{
	EG_CLEANUP(eg_args_clear) struct eg_args args = {0};

	(void)state;
	assert_int_equal(parse("kill app-x --reason because", &args), 0);
	assert_string_equal(args.command->name, "kill");
	assert_int_equal(args.operand_count, 1);
	assert_string_equal(args.operands[0], "app-x");
	assert_null(args.operands[1]);
	eg_args_clear(&args);
	assert_int_equal(parse("-o json policy --socket /s apply a b", &args), 0);
	assert_string_equal(args.command->name, "policy apply");
	assert_int_equal(args.operand_count, 2);
	eg_args_clear(&args);
	assert_int_equal(parse("", &args), 0);
	assert_null(args.command);
}

static void test_options(void **state)
{
	(void)state;
	assert_value("kill x --reason=a=b", "reason", "a=b");
	assert_value("kill x --reason --all", "reason", "--all");
	assert_value("apps -lteam=hr", "label", "team=hr");
	assert_value("apps -l team=hr", "label", "team=hr");
	assert_value("events -fo ndjson", "output", "ndjson");
	assert_value("events -fo ndjson", "follow", "");
	assert_value("events -fondjson", "output", "ndjson");
	assert_value("events", "follow", NULL);
	assert_value("status -o json -o table", "output", "table"); /* the last one, so that an alias can be overruled */
	assert_value("--socket /a status --socket /b", "socket", "/b");
	assert_value("kill -- --all", "all", NULL);
}

static void test_faults(void **state)
{
	(void)state;
	assert_bad("nope", "there is no command 'nope'");
	assert_bad("policy nope", "policy has no command 'nope'");
	assert_bad("policy", "policy needs to know what");
	assert_bad("kill x --nope", "kill has no option --nope");
	assert_bad("kill x --nope=3", "kill has no option --nope");
	assert_bad("kill x -z", "kill has no option -z");
	assert_bad("--label x kill", "egret has no option --label");
	assert_bad("kill x --reason", "--reason needs a value: TEXT");
	assert_bad("kill --all=yes", "--all takes no value");
	assert_bad("kill --label a=b --label c=d", "--label is given twice");
	assert_bad("app", "app needs APP");
	assert_bad("app x y", "app takes APP, and no 'y'");
	assert_bad("status x", "status takes no operand: 'x'");
	assert_bad("explain a", "explain needs APP DEST");
	assert_bad("tag a b c", "'c'");
	assert_bad("run --app x", "run needs");
}

/* A slip of the finger is answered with what was meant; what is like nothing is not guessed at. */
static void test_faults_and_what_was_meant(void **state)
{
	(void)state;
	assert_bad("aps", "there is no command 'aps'; did you mean 'apps'?");
	assert_bad("stauts", "there is no command 'stauts'; did you mean 'status'?");
	assert_bad("polcy check", "there is no command 'polcy'; did you mean 'policy'?");
	assert_bad("policy renwe x", "policy has no command 'renwe'; did you mean 'renew'?");
	assert_bad("kill x --reson=y", "kill has no option --reson; did you mean --reason?");
	assert_bad("status --sokcet /x", "status has no option --sokcet; did you mean --socket?");
	assert_not_guessed("xyzzy");
	assert_not_guessed("k");
	assert_not_guessed("policy xyz");
	assert_not_guessed("kill x --nope");
	assert_not_guessed("a-word-that-is-longer-than-any-command-there-could-ever-be");
}

/* What follows belongs to the other program, its options included. */
static void test_rest(void **state)
{
	EG_CLEANUP(eg_args_clear) struct eg_args args = {0};

	(void)state;
	assert_int_equal(parse("run --app x -- ls -l --app y", &args), 0);
	assert_int_equal(args.operand_count, 4);
	assert_string_equal(args.operands[1], "-l");
	assert_string_equal(eg_args_value(&args, "app"), "x");
	eg_args_clear(&args);
	assert_int_equal(parse("run --app x ls --help", &args), 0);
	assert_int_equal(args.operand_count, 2);
	assert_null(eg_args_value(&args, "help"));
}

static void test_help_comes_first(void **state)
{
	EG_CLEANUP(eg_args_clear) struct eg_args args = {0};

	(void)state;
	assert_int_equal(parse("explain --help", &args), 0);
	assert_string_equal(args.command->name, "explain");
	eg_args_clear(&args);
	assert_int_equal(parse("policy --help", &args), 0);
	assert_null(args.command);
	assert_string_equal(args.group, "policy");
}

/* ---- The table --------------------------------------------------------------------------------- */

static void check_options(const char *owner, const struct eg_option *options)
{
	for (const struct eg_option *o = options; o && o->name; o++) {
		assert_non_null(o->help);
		for (const struct eg_option *p = o + 1; p->name; p++)
			if (!strcmp(o->name, p->name) || (o->letter && o->letter == p->letter))
				fail_msg("%s: --%s and --%s collide", owner, o->name, p->name);
		for (const struct eg_option *g = eg_globals; options != eg_globals && g->name; g++)
			if (!strcmp(o->name, g->name) || (o->letter && o->letter == g->letter))
				fail_msg("%s: --%s hides the global --%s", owner, o->name, g->name);
		if (o->words && o->words[0] == '@' && !o->value)
			fail_msg("%s: --%s completes a value that it hasn't", owner, o->name);
	}
}

static void test_table(void **state)
{
	(void)state;
	check_options("egret", eg_globals);
	for (const struct eg_command *c = eg_commands; c->name; c++) {
		check_options(c->name, c->options);
		assert_non_null(c->run);
		assert_non_null(c->help);
		assert_true(c->min <= c->max);
		if (c->max && !c->operands)
			fail_msg("%s: operands without a name", c->name);
	}
}

static char *read_manual(void)
{
	EG_FCLOSE FILE *f = fopen(MANUAL, "r");
	char *text = calloc(1, 1 << 17), *to = text;
	int c;

	if (!f)
		fail_msg(MANUAL ": %s (the tests run from the top of the tree)", strerror(errno));
	while ((c = fgetc(f)) != EOF && to < text + (1 << 17) - 1)
		if (c != '\\') /* "\-\-all" is "--all" */
			*to++ = (char)c;
	return text;
}

static void assert_in_manual(const char *manual, const char *owner, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = manual; (at = strstr(at, text)); at += len)
		if (!strchr("abcdefghijklmnopqrstuvwxyz-", at[len]))
			return;
	fail_msg("%s lacks \"%s\" of %s", MANUAL, text, owner);
}

static void assert_options_in_manual(const char *manual, const char *owner, const struct eg_option *options)
{
	char text[80];

	for (; options && options->name; options++) {
		snprintf(text, sizeof(text), "--%s", options->name);
		assert_in_manual(manual, owner, text);
	}
}

static void test_manual_is_complete(void **state)
{
	EG_FREE char *manual = read_manual();
	char text[80];

	(void)state;
	assert_options_in_manual(manual, "egret", eg_globals);
	for (const struct eg_command *c = eg_commands; c->name; c++) {
		if (c->hidden)
			continue;
		snprintf(text, sizeof(text), "egret %s", c->name);
		assert_in_manual(manual, c->name, text);
		assert_options_in_manual(manual, c->name, c->options);
	}
}

/* ---- Completion ---------------------------------------------------------------------------------- */

/* "" is written as "_". Returns the words found, with blanks between. */
static const char *complete(const char *text, enum eg_complete *ret_kind)
{
	static char found[2048];
	char copy[256], *save = NULL;
	const char *words[32];
	json_t *json = NULL, *item;
	size_t count = 0, i;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[count++] = strcmp(w, "_") ? w : "";
	*ret_kind = eg_complete(eg_commands, eg_globals, words, count, &json);
	found[0] = '\0';
	json_array_foreach(json, i, item) {
		strcat(found, i ? " " : "");
		strcat(found, json_string_value(json_object_get(item, "word")));
	}
	json_decref(json);
	return found;
}

static void assert_words(const char *text, const char *expected)
{
	enum eg_complete kind;
	const char *found = complete(text, &kind);

	if (kind != EG_COMPLETE_WORDS || strcmp(found, expected))
		fail_msg("%s: %d \"%s\" instead of \"%s\"", text, kind, found, expected);
}

static void assert_kind(const char *text, enum eg_complete expected)
{
	enum eg_complete kind;

	complete(text, &kind);
	if (kind != expected)
		fail_msg("%s: %d instead of %d", text, kind, expected);
}

static void test_complete_commands(void **state)
{
	(void)state;
	assert_words("ki", "kill");
	assert_words("po", "policy"); /* once, for its five commands */
	assert_words("policy _", "check new apply diff suggest plan history rollback renew get delete");
	assert_words("policy d", "diff delete");
	assert_words("--socket /x re", "restore relax report restore-state");
	assert_words("__", "");
	assert_words("help ta", "tag");
	assert_words("completion _", "bash zsh fish");
	assert_words("nope _", "");
	assert_words("policy nope _", "");
}

static void test_complete_options(void **state)
{
	(void)state;
	assert_words("kill --re", "--reason");
	assert_words("status --s", "--socket");
	assert_words("--n", "--no-color");
	assert_words("explain a b --proto _", "tcp udp icmp");
	assert_words("explain a b -p t", "tcp");
	assert_words("-o n", "ndjson");
	assert_words("relax x --for=1", "--for=15m --for=1h");
	assert_words("relax x --reason=1", "");
	assert_words("kill x --reason _", ""); /* anybody's text */
	assert_kind("kill -- --re", EG_COMPLETE_APPS); /* no option any more */
	assert_kind("--socket _", EG_COMPLETE_FILES);
	assert_kind("run --root _", EG_COMPLETE_DIRS);
	assert_kind("run --app _", EG_COMPLETE_APPS);
}

static void test_complete_operands(void **state)
{
	(void)state;
	assert_kind("kill _", EG_COMPLETE_APPS);
	assert_kind("kill --reason x _", EG_COMPLETE_APPS);
	assert_words("kill app _", ""); /* one is enough */
	assert_kind("policy check a b _", EG_COMPLETE_FILES);
	assert_kind("tag _", EG_COMPLETE_DIRS);
	assert_kind("tag x _", EG_COMPLETE_APPS);
	assert_kind("run --app x -- _", EG_COMPLETE_OTHER);
	assert_kind("run --app x -- ls --all _", EG_COMPLETE_OTHER);
	assert_words("run --app x --pol", "--policy");
}

/* Every command, option and word of the table can be completed from its first letters. */
static void test_complete_everything(void **state)
{
	char text[160];
	enum eg_complete kind;

	(void)state;
	for (const struct eg_command *c = eg_commands; c->name; c++) {
		if (c->hidden)
			continue;
		snprintf(text, sizeof(text), "%s", c->name);
		if (!strstr(complete(text, &kind), strrchr(c->name, ' ') ? strrchr(c->name, ' ') + 1 : c->name))
			fail_msg("%s is not completed", c->name);
		for (const struct eg_option *o = c->options; o && o->name; o++) {
			snprintf(text, sizeof(text), "%s --%s", c->name, o->name);
			if (!strstr(complete(text, &kind), o->name))
				fail_msg("%s is not completed", text);
		}
	}
}

static void test_scripts(void **state)
{
	(void)state;
	assert_non_null(strstr(eg_complete_script("bash"), "egret __complete --"));
	assert_non_null(strstr(eg_complete_script("zsh"), "egret __complete --"));
	assert_non_null(strstr(eg_complete_script("fish"), "egret __complete --"));
	assert_null(eg_complete_script("tcsh"));
}

/* bash itself runs the script, with a program in egret's place that tells what it was asked. */
static void test_bash_asks(void **state)
{
	static const char script[] =
		"egret() { printf '%s\\n' \"$#\" \"${@: -1}\" >&2; printf 'kill\\thelp\\nkin\\n'; }\n"
		"source /dev/stdin <<<\"$SCRIPT\"\n"
		"COMP_WORDS=(egret relax --for = k); COMP_CWORD=4; _egret\n"
		"[[ ${COMPREPLY[*]} == 'kill kin' ]]";
	char *const argv[] = {"bash", "-c", (char *)script, NULL};
	int status;
	pid_t pid;

	(void)state;
	setenv("SCRIPT", eg_complete_script("bash"), 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unsetenv("SCRIPT");
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),	   cmocka_unit_test(test_options),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_faults_and_what_was_meant),		   cmocka_unit_test(test_rest),
		cmocka_unit_test(test_help_comes_first),   cmocka_unit_test(test_table),
		cmocka_unit_test(test_manual_is_complete), cmocka_unit_test(test_complete_commands),
		cmocka_unit_test(test_complete_options),   cmocka_unit_test(test_complete_operands),
		cmocka_unit_test(test_complete_everything), cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_bash_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

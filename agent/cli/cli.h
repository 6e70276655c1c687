/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - what every command of `egret` is given, and what it ends with
 */
#ifndef EG_CLI_CLI_H
#define EG_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "args.h"
#include "client.h"
#include "table.h"

enum eg_exit {
	EG_EXIT_OK = 0,
	EG_EXIT_NO = 1, /* it worked, and the answer is no */
	EG_EXIT_USAGE = 2,
	EG_EXIT_UNREACHABLE = 3,
	EG_EXIT_REFUSED = 4,
	EG_EXIT_NOT_FOUND = 5,
	EG_EXIT_CONFLICT = 6,
	EG_EXIT_FAILED = 7, /* the agent failed, or something here did */
	EG_EXIT_RUN = 125, /* `run` failed before its command began */
};

enum eg_format { EG_FORMAT_TABLE, EG_FORMAT_JSON, EG_FORMAT_NDJSON };

struct eg_cli {
	const struct eg_args *args;
	const struct eg_command *commands;
	const struct eg_option *globals;
	struct eg_client *client;
	const char *socket;
	enum eg_format format;
	bool color;
	FILE *out;
	FILE *err;
};

EG_DEFINE_CLEANUP(json, json_t *, json_decref);
#define EG_JSON EG_CLEANUP(eg_cleanup_json)

/* The whole program. */
int eg_cli_main(int argc, char **argv);

/* ---- Asking the agent. These say what went wrong, and return an exit status. ---------------- */

/* NULL paths (no memory) are fine. */
int eg_cli_get(struct eg_cli *cli, const char *path, json_t **ret);
/* Takes the reference of body; NULL: json_pack failed, so something given was not UTF-8. */
int eg_cli_post(struct eg_cli *cli, const char *path, json_t *body, json_t **ret);
int eg_cli_call(struct eg_cli *cli, const struct eg_client_request *request, json_t **ret);

/* Says *err (with the diagnostics in it, of `file` if that isn't NULL), clears it; the exit status of r. */
int eg_cli_fail(struct eg_cli *cli, int r, struct eg_error *err, const char *file);
/* "egret: ..." on stderr. */
void eg_cli_warn(struct eg_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, and where help is to be had; EG_EXIT_USAGE. */
int eg_cli_usage(struct eg_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int eg_cli_no_memory(struct eg_cli *cli);

/* ---- What was given ---------------------------------------------------------------------------- */

const char *eg_cli_option(const struct eg_cli *cli, const char *name);
const char *eg_cli_operand(const struct eg_cli *cli, size_t index); /* NULL beyond the last */
/* The operand as an app's name, checked. EG_EXIT_OK, with NULL where there is none; or EG_EXIT_USAGE, said. */
int eg_cli_app(struct eg_cli *cli, size_t index, const char **ret);
/* The option --label, checked; *ret NULL: it wasn't given. EG_EXIT_OK, or EG_EXIT_USAGE, said. */
int eg_cli_check_labels(struct eg_cli *cli, const char **ret);
/* Checks an option that is a span of time ("10m"). */
int eg_cli_check_span(struct eg_cli *cli, const char *name);

/* ---- Printing ---------------------------------------------------------------------------------- */

/* One value and a newline, with jansson's flags. */
void eg_cli_dump(const struct eg_cli *cli, const json_t *json, size_t flags);
/* True: the format is JSON, and it was printed. */
bool eg_cli_json(const struct eg_cli *cli, const json_t *json);
/* The end of a word of which there are n: "" or "s". */
const char *eg_cli_s(uint64_t n);
/* A line on stdout. */
void eg_cli_say(const struct eg_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A word of ours in its style, without a newline. */
void eg_cli_style(const struct eg_cli *cli, enum eg_style style, const char *word);
/* One line for each diagnostic of a JSON array; returns how many are errors. file: where theirs is null. */
size_t eg_cli_diagnostics(FILE *out, const json_t *diagnostics, const char *file);

/* ---- JSON: what is missing or of another type is NULL, 0, false ---------------------------------- */

const char *eg_json_text(const json_t *object, const char *key);
uint64_t eg_json_u64(const json_t *object, const char *key);
bool eg_json_true(const json_t *object, const char *key);
/* "a, b" of an array of strings or numbers, at most `most` of them and then "+3"; caller frees; NULL without memory. */
char *eg_json_list(const json_t *array, size_t most);

#endif

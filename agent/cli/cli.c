// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <curl/curl.h>
#include <locale.h>
#include <stdarg.h>
#include <string.h>

#include "../lib/diag.h"
#include "../lib/policy.h"
#include "../lib/units.h"
#include "commands.h"
#include "help.h"
#include "text.h"
#include "which.h"

/* ---- Saying what is wrong ------------------------------------------------------------- */

void eg_cli_warn(struct eg_cli *cli, const char *format, ...)
{
	EG_FREE char *text = NULL;
	va_list args;

	fflush(cli->out);
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	eg_text_say(cli->err, "egret: %s", text ? text : "out of memory");
}

int eg_cli_usage(struct eg_cli *cli, const char *format, ...)
{
	EG_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	eg_text_say(cli->err, "egret: %s", text ? text : "out of memory");
	eg_text_say(cli->err, "Try 'egret help%s%s'.", cli->args->command ? " " : "",
		    cli->args->command ? cli->args->command->name : "");
	return EG_EXIT_USAGE;
}

int eg_cli_no_memory(struct eg_cli *cli)
{
	eg_cli_warn(cli, "out of memory");
	return EG_EXIT_FAILED;
}

static int exit_of_status(const struct eg_error *err)
{
	switch (err->status) {
	case 400:
	case 422:
		return json_array_size(err->details) ? EG_EXIT_NO : EG_EXIT_USAGE;
	case 413:
		return EG_EXIT_USAGE;
	case 401:
	case 403:
		return EG_EXIT_REFUSED;
	case 404:
		return EG_EXIT_NOT_FOUND;
	case 409:
	case 412:
		return EG_EXIT_CONFLICT;
	default:
		return EG_EXIT_FAILED;
	}
}

static int exit_of(int r, const struct eg_error *err)
{
	switch (r) {
	case -EREMOTEIO:
		return exit_of_status(err);
	case -ECONNREFUSED:
	case -ETIMEDOUT:
		return EG_EXIT_UNREACHABLE;
	case -EACCES:
		return EG_EXIT_REFUSED;
	default:
		return EG_EXIT_FAILED;
	}
}

int eg_cli_fail(struct eg_cli *cli, int r, struct eg_error *err, const char *file)
{
	int status = exit_of(r, err);

	if (err->status)
		eg_cli_warn(cli, "%s [%s]", err->message, err->code);
	else
		eg_cli_warn(cli, "%s", err->message);
	eg_cli_diagnostics(cli->err, err->details, file);
	eg_error_clear(err);
	return status;
}

/* ---- Asking ---------------------------------------------------------------------------- */

int eg_cli_call(struct eg_cli *cli, const struct eg_client_request *request, json_t **ret)
{
	struct eg_error err = {0};
	int r;

	if (!request->path)
		return eg_cli_no_memory(cli);
	r = eg_client_call(cli->client, request, ret, &err);
	return r ? eg_cli_fail(cli, r, &err, NULL) : EG_EXIT_OK;
}

int eg_cli_get(struct eg_cli *cli, const char *path, json_t **ret)
{
	struct eg_client_request request = {.method = "GET", .path = path};

	return eg_cli_call(cli, &request, ret);
}

int eg_cli_post(struct eg_cli *cli, const char *path, json_t *body, json_t **ret)
{
	EG_JSON json_t *owned = body;
	EG_FREE char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	struct eg_client_request request = {.method = "POST", .path = path, .body = text};

	if (!owned)
		return eg_cli_usage(cli, "what is sent to the agent is text in UTF-8");
	if (!text)
		return eg_cli_no_memory(cli);
	request.len = strlen(text);
	return eg_cli_call(cli, &request, ret);
}

/* ---- What was given ----------------------------------------------------------------------- */

const char *eg_cli_option(const struct eg_cli *cli, const char *name)
{
	return eg_args_value(cli->args, name);
}

const char *eg_cli_operand(const struct eg_cli *cli, size_t index)
{
	return index < cli->args->operand_count ? cli->args->operands[index] : NULL;
}

int eg_cli_app(struct eg_cli *cli, size_t index, const char **ret)
{
	const char *app = eg_cli_operand(cli, index);

	if (app && !eg_policy_app_name(app))
		return eg_cli_usage(cli, "'%s' is not an app's name: 1 to 63 of a-z 0-9 . _ -, a letter or digit first",
				    app);
	*ret = app;
	return EG_EXIT_OK;
}

int eg_cli_check_labels(struct eg_cli *cli, const char **ret)
{
	char message[240];

	*ret = eg_cli_option(cli, "label");
	if (*ret && eg_which_check_labels(*ret, message, sizeof(message)))
		return eg_cli_usage(cli, "--label: %s", message);
	return EG_EXIT_OK;
}

int eg_cli_check_span(struct eg_cli *cli, const char *name)
{
	const char *text = eg_cli_option(cli, name);
	uint64_t ns;

	if (text && eg_units_span(text, &ns))
		return eg_cli_usage(cli, "--%s is a time such as 30s, 15m, 2h or 7d, not '%s'", name, text);
	return EG_EXIT_OK;
}

/* ---- Printing ------------------------------------------------------------------------------- */

void eg_cli_dump(const struct eg_cli *cli, const json_t *json, size_t flags)
{
	EG_FREE char *text = json_dumps(json, flags);

	if (text)
		eg_text_json(cli->out, text, strlen(text));
	fputc('\n', cli->out);
}

bool eg_cli_json(const struct eg_cli *cli, const json_t *json)
{
	if (cli->format == EG_FORMAT_TABLE)
		return false;
	eg_cli_dump(cli, json, cli->format == EG_FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
	return true;
}

const char *eg_cli_s(uint64_t n)
{
	return n == 1 ? "" : "s";
}

void eg_cli_say(const struct eg_cli *cli, const char *format, ...)
{
	EG_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	eg_text_say(cli->out, "%s", text ? text : "out of memory");
}

void eg_cli_style(const struct eg_cli *cli, enum eg_style style, const char *word)
{
	fprintf(cli->out, "%s%s%s", eg_style_on(style, cli->color), word, eg_style_off(style, cli->color));
}

static enum eg_diag_level level_of(const char *text)
{
	if (text && strcmp(text, "warning") == 0)
		return EG_DIAG_WARNING;
	return text && strcmp(text, "info") == 0 ? EG_DIAG_INFO : EG_DIAG_ERROR;
}

static void take_text(char *field, size_t size, const json_t *object, const char *key)
{
	const char *text = eg_json_text(object, key);

	snprintf(field, size, "%s", text ? text : "");
}

size_t eg_cli_diagnostics(FILE *out, const json_t *diagnostics, const char *file)
{
	size_t errors = 0, i;
	json_t *item;

	json_array_foreach(diagnostics, i, item) {
		const char *theirs = eg_json_text(item, "file");
		struct eg_diags of = {.file = (char *)(file ? file : theirs)};
		const char *code = eg_json_text(item, "code");
		struct eg_diag diag = {.level = level_of(eg_json_text(item, "level")),
				       .code = code && strcmp(code, "invalid") != 0 ? code : NULL,
				       .line = (unsigned)eg_json_u64(item, "line"),
				       .column = (unsigned)eg_json_u64(item, "column")};
		char text[1024];

		take_text(diag.path, sizeof(diag.path), item, "path");
		take_text(diag.message, sizeof(diag.message), item, "message");
		take_text(diag.fix, sizeof(diag.fix), item, "fix");
		eg_text_say(out, "%s", eg_diag_text(&of, &diag, text, sizeof(text)));
		errors += diag.level == EG_DIAG_ERROR;
	}
	return errors;
}

/* ---- JSON ------------------------------------------------------------------------------------- */

const char *eg_json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

uint64_t eg_json_u64(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

bool eg_json_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

char *eg_json_list(const json_t *array, size_t most)
{
	size_t count = json_array_size(array), size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < count && i < most; i++) {
		const json_t *item = json_array_get(array, i);

		if (i)
			fputs(", ", out);
		if (json_is_integer(item))
			fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(item));
		else
			fputs(json_is_string(item) ? json_string_value(item) : "?", out);
	}
	if (count > most)
		fprintf(out, " +%zu", count - most);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- The program --------------------------------------------------------------------------------- */

/* NO_COLOR: no-color.org */
static bool wants_color(const struct eg_args *args)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !eg_args_given(args, "no-color") && !(no && no[0]) && !(term && strcmp(term, "dumb") == 0) &&
	       isatty(STDOUT_FILENO);
}

static int set_format(struct eg_cli *cli)
{
	const char *text = eg_cli_option(cli, "output");

	if (eg_cli_option(cli, "json"))
		text = "json";
	if (!text || strcmp(text, "table") == 0)
		cli->format = EG_FORMAT_TABLE;
	else if (strcmp(text, "json") == 0)
		cli->format = EG_FORMAT_JSON;
	else if (strcmp(text, "ndjson") == 0 && cli->args->command->lines)
		cli->format = EG_FORMAT_NDJSON;
	else
		return eg_cli_usage(cli, "--output is table or json%s, not '%s'",
				    cli->args->command->lines ? " or ndjson" : "", text);
	return EG_EXIT_OK;
}

static const char *socket_path(const struct eg_args *args)
{
	const char *given = eg_args_value(args, "socket"), *environment = getenv("EGRET_SOCKET");

	if (given)
		return given;
	return environment && environment[0] ? environment : EG_CLIENT_SOCKET;
}

/* Errors of `run` must not look like its command's. */
static int usage_status(const struct eg_args *args)
{
	return args->command && strcmp(args->command->name, "run") == 0 ? EG_EXIT_RUN : EG_EXIT_USAGE;
}

static int run_command(struct eg_cli *cli)
{
	struct eg_error err = {0};
	int status = set_format(cli);

	if (!status && eg_client_new(cli->socket, &cli->client, &err)) {
		eg_cli_warn(cli, "%s", err.message);
		status = EG_EXIT_USAGE;
	}
	if (status)
		return usage_status(cli->args);
	status = cli->args->command->run(cli);
	eg_client_free(cli->client);
	return status;
}

static int run_args(struct eg_cli *cli, bool bad, const char *message)
{
	const struct eg_args *args = cli->args;

	if (bad) {
		eg_cli_usage(cli, "%s", message);
		return usage_status(args);
	}
	if (eg_args_given(args, "version")) {
		eg_cli_say(cli, "egret " EG_VERSION);
		return EG_EXIT_OK;
	}
	if (eg_args_given(args, "help"))
		return eg_help(cli, args->command ? args->command->name : args->group);
	if (!args->command) {
		eg_help_all(cli, cli->err);
		return EG_EXIT_USAGE;
	}
	return run_command(cli);
}

int eg_cli_main(int argc, char **argv)
{
	struct eg_args args;
	struct eg_cli cli = {
		.args = &args, .commands = eg_commands, .globals = eg_globals, .out = stdout, .err = stderr};
	char message[320];
	int r, status;

	setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters; what we print is UTF-8 in any case */
	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return eg_cli_no_memory(&cli);
	r = eg_args_parse(eg_commands, eg_globals, argc, argv, &args, message, sizeof(message));
	cli.socket = socket_path(&args);
	cli.color = wants_color(&args);
	status = run_args(&cli, r < 0, message);
	eg_args_clear(&args);
	if (fflush(stdout) || ferror(stdout)) {
		eg_cli_warn(&cli, "stdout: %s", strerror(errno));
		status = status ? status : EG_EXIT_FAILED;
	}
	curl_global_cleanup();
	return status;
}

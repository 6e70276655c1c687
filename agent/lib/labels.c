// SPDX-License-Identifier: Apache-2.0
#include "labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define WORD_MAX 63

enum term_kind { TERM_EQUAL, TERM_NOT_EQUAL, TERM_IN, TERM_NOT_IN, TERM_THERE, TERM_NOT_THERE };

struct word {
	char text[WORD_MAX + 1];
};

struct term {
	enum term_kind kind;
	struct word key;
	struct word *values;
	size_t count;
};

struct eg_labels {
	struct term *terms;
	size_t count;
};

EG_DEFINE_CLEANUP(labels, struct eg_labels *, eg_labels_free);

void eg_labels_free(struct eg_labels *labels)
{
	if (!labels)
		return;
	for (size_t i = 0; i < labels->count; i++)
		free(labels->terms[i].values);
	free(labels->terms);
	free(labels);
}

static bool word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '/' || c == '-';
}

bool eg_labels_word(const char *text)
{
	size_t length = strlen(text);

	if (!length || length > WORD_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!word_byte(text[i]))
			return false;
	}
	return true;
}

/* ---- Parsing -------------------------------------------------------------------------- */

struct parser {
	const char *text;
	const char *at;
	char *message;
	size_t size;
};

static int refuse(const struct parser *parser, const char *expected)
{
	if (parser->message)
		snprintf(parser->message, parser->size, "%s expected at character %zu of \"%.80s\"", expected,
			 (size_t)(parser->at - parser->text) + 1, parser->text);
	return -EINVAL;
}

static void skip_space(struct parser *parser)
{
	while (*parser->at == ' ')
		parser->at++;
}

static bool take(struct parser *parser, const char *token)
{
	size_t length = strlen(token);

	skip_space(parser);
	if (strncmp(parser->at, token, length) != 0)
		return false;
	parser->at += length;
	return true;
}

static int take_word(struct parser *parser, struct word *ret)
{
	size_t length = 0;

	skip_space(parser);
	while (word_byte(parser->at[length]))
		length++;
	if (!length || length > WORD_MAX)
		return refuse(parser, "a word of 1 to 63 of A-Z a-z 0-9 . _ / -");
	memcpy(ret->text, parser->at, length);
	ret->text[length] = '\0';
	parser->at += length;
	return 0;
}

static int take_value(struct parser *parser, struct term *term)
{
	struct word *values = reallocarray(term->values, term->count + 1, sizeof(*values));
	int r;

	if (!values)
		return -ENOMEM;
	term->values = values;
	r = take_word(parser, &term->values[term->count]);
	if (!r)
		term->count++;
	return r;
}

static int take_list(struct parser *parser, struct term *term)
{
	if (!take(parser, "("))
		return refuse(parser, "\"(\"");
	do {
		int r = take_value(parser, term);

		if (r < 0)
			return r;
	} while (take(parser, ","));
	return take(parser, ")") ? 0 : refuse(parser, "\",\" or \")\"");
}

/* A keyword between spaces, so that a key may begin with its letters. */
static bool take_keyword(struct parser *parser, const char *word)
{
	size_t length = strlen(word);
	const char *at = parser->at;

	if (*at != ' ')
		return false;
	skip_space(parser);
	if (strncmp(parser->at, word, length) == 0 && !word_byte(parser->at[length])) {
		parser->at += length;
		return true;
	}
	parser->at = at;
	return false;
}

static int take_term(struct parser *parser, struct term *term)
{
	int r;

	term->kind = take(parser, "!") ? TERM_NOT_THERE : TERM_THERE;
	r = take_word(parser, &term->key);
	if (r < 0 || term->kind == TERM_NOT_THERE)
		return r;
	if (take_keyword(parser, "in")) {
		term->kind = TERM_IN;
		return take_list(parser, term);
	}
	if (take_keyword(parser, "notin")) {
		term->kind = TERM_NOT_IN;
		return take_list(parser, term);
	}
	if (take(parser, "!="))
		term->kind = TERM_NOT_EQUAL;
	else if (take(parser, "==") || take(parser, "="))
		term->kind = TERM_EQUAL;
	else
		return 0;
	return take_value(parser, term);
}

static int add_term(struct parser *parser, struct eg_labels *labels)
{
	struct term *terms = reallocarray(labels->terms, labels->count + 1, sizeof(*terms));

	if (!terms)
		return -ENOMEM;
	labels->terms = terms;
	terms[labels->count] = (struct term){0};
	return take_term(parser, &terms[labels->count++]);
}

int eg_labels_parse(const char *text, struct eg_labels **ret, char *message, size_t size)
{
	EG_CLEANUP(eg_cleanup_labels) struct eg_labels *labels = calloc(1, sizeof(*labels));
	struct parser parser = {.text = text, .at = text, .message = message, .size = size};

	if (!labels)
		return -ENOMEM;
	do {
		int r = add_term(&parser, labels);

		if (r < 0)
			return r;
	} while (take(&parser, ","));
	skip_space(&parser);
	if (*parser.at)
		return refuse(&parser, "\",\" or the end");
	*ret = EG_TAKE_PTR(labels);
	return 0;
}

/* ---- Matching ---------------------------------------------------------------------------- */

static bool among(const struct term *term, const char *value)
{
	for (size_t i = 0; value && i < term->count; i++) {
		if (strcmp(term->values[i].text, value) == 0)
			return true;
	}
	return false;
}

static bool holds(const struct term *term, const json_t *labels)
{
	const char *value = json_string_value(json_object_get(labels, term->key.text));

	switch (term->kind) {
	case TERM_EQUAL:
	case TERM_IN:
		return among(term, value);
	case TERM_NOT_EQUAL:
	case TERM_NOT_IN:
		return !among(term, value);
	case TERM_THERE:
		return value;
	case TERM_NOT_THERE:
		return !value;
	}
	return false;
}

bool eg_labels_match(const struct eg_labels *selector, const json_t *labels)
{
	for (size_t i = 0; i < selector->count; i++) {
		if (!holds(&selector->terms[i], labels))
			return false;
	}
	return true;
}

// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_S   1000000000ull
#define DETAIL_MAX 240
#define BLANK	   " \t\r\n"

/* What each status says; those that are not here go by their hundred. */
static const struct {
	long status;
	enum eg_outcome outcome;
	const char *words;
} statuses[] = {
	{400, EG_OUTCOME_SPLIT, "can't take the batch"},
	{401, EG_OUTCOME_PAUSE, "refuses our credentials"},
	{403, EG_OUTCOME_PAUSE, "denies us access"},
	{404, EG_OUTCOME_PAUSE, "has nothing at this path; see \"url\""},
	{405, EG_OUTCOME_PAUSE, "takes no POST at this path; see \"url\""},
	{407, EG_OUTCOME_PAUSE, "is behind a proxy that wants credentials"},
	{408, EG_OUTCOME_RETRY, "waited too long for the request"},
	{409, EG_OUTCOME_RETRY, "is at work on the same batch"},
	{413, EG_OUTCOME_SPLIT, "finds the batch too large"},
	{415, EG_OUTCOME_PAUSE, "does not take this content type or compression"},
	{422, EG_OUTCOME_SPLIT, "can't take the batch"},
	{425, EG_OUTCOME_RETRY, "wants the request later"},
	{429, EG_OUTCOME_RETRY, "asks for less"},
	{502, EG_OUTCOME_RETRY, "is a gateway without its receiver"},
	{503, EG_OUTCOME_RETRY, "is too busy, or down"},
	{504, EG_OUTCOME_RETRY, "is a gateway whose receiver does not answer"},
};

/* ---- Words ------------------------------------------------------------------------------------------ */

static size_t secret_at(const struct eg_answer *answer, const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(answer->secrets) / sizeof(answer->secrets[0]); i++) {
		size_t n = answer->secrets[i] ? strlen(answer->secrets[i]) : 0;

		if (n && n <= len && memcmp(text, answer->secrets[i], n) == 0)
			return n;
	}
	return 0;
}

/* One line of printable ASCII: the receiver's words end in logs and on terminals. */
static void clean(const struct eg_answer *answer, const char *text, size_t len, char ret[DETAIL_MAX + 1])
{
	size_t used = 0;

	for (size_t i = 0; i < len && used < DETAIL_MAX;) {
		size_t secret = secret_at(answer, text + i, len - i);
		unsigned char c = (unsigned char)text[i];
		bool blank = c <= ' ';

		if (secret) {
			used += (size_t)snprintf(ret + used, DETAIL_MAX + 1 - used, "%.*s", (int)(DETAIL_MAX - used),
						 "***");
			i += secret;
			continue;
		}
		if (!blank)
			ret[used++] = c < 0x7f ? (char)c : '?';
		else if (used && ret[used - 1] != ' ')
			ret[used++] = ' ';
		i++;
	}
	while (used && ret[used - 1] == ' ')
		used--;
	ret[used] = '\0';
}

void eg_answer_say(const struct eg_answer *answer, struct eg_result *result, enum eg_outcome outcome, const char *words,
		   const char *detail, size_t len)
{
	char text[DETAIL_MAX + 1] = "";

	clean(answer, detail, len, text);
	result->outcome = outcome;
	result->status = answer->status;
	result->retry_after_ns = answer->retry_after_ns;
	snprintf(result->error, sizeof(result->error), "%.80s %s (%ld)%s%s", answer->peer, words, answer->status,
		 text[0] ? ": " : "", text);
}

void eg_answer_tell(const struct eg_answer *answer, struct eg_result *result, enum eg_outcome outcome,
		    const char *words)
{
	static const char page[] = "a page for browsers";

	if (eg_answer_is_page(answer))
		eg_answer_say(answer, result, outcome, words, page, strlen(page));
	else
		eg_answer_say(answer, result, outcome, words, answer->body, answer->len);
}

void eg_answer_odd(const struct eg_answer *answer, struct eg_result *result)
{
	eg_answer_tell(answer, result, EG_OUTCOME_RETRY,
		       eg_answer_is_empty(answer) ? "gives no answer that proves anything"
						  : "gives an answer that is not one of such a receiver");
}

/* ---- Status ------------------------------------------------------------------------------------------ */

static void judge_status(const struct eg_answer *answer, struct eg_result *result)
{
	long status = answer->status;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i].status == status) {
			eg_answer_tell(answer, result, statuses[i].outcome, statuses[i].words);
			return;
		}
	}
	if (status >= 500)
		eg_answer_tell(answer, result, EG_OUTCOME_RETRY, "has a fault");
	else if (status >= 300 && status < 400)
		eg_answer_say(answer, result, EG_OUTCOME_PAUSE,
			      "sends us elsewhere, which is never followed; see \"url\"", answer->location,
			      strlen(answer->location));
	else
		eg_answer_tell(answer, result, EG_OUTCOME_PAUSE, "gives a status that is not one of such a receiver");
}

bool eg_answer_accepted(const struct eg_answer *answer, struct eg_result *result)
{
	bool accepted = answer->status >= 200 && answer->status <= 204;

	result->status = answer->status;
	if (!accepted)
		judge_status(answer, result);
	else if (answer->cut)
		eg_answer_say(answer, result, EG_OUTCOME_RETRY, "gives an answer that is too long to be read", "", 0);
	return accepted && !answer->cut;
}

/* ---- Bodies ------------------------------------------------------------------------------------------ */

json_t *eg_answer_object(const struct eg_answer *answer)
{
	json_t *value = json_loadb(answer->body, answer->len, JSON_ALLOW_NUL, NULL);

	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

bool eg_answer_is_empty(const struct eg_answer *answer)
{
	return strspn(answer->body, BLANK) == answer->len;
}

bool eg_answer_is_page(const struct eg_answer *answer)
{
	const char *text = answer->body;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* byte order mark */
		text += 3;
	text += strspn(text, BLANK);
	return strncasecmp(text, "<!doctype", 9) == 0 || strncasecmp(text, "<html", 5) == 0;
}

/* ---- Retry-After -------------------------------------------------------------------------------------- */

uint64_t eg_answer_retry_after(const char *value, const char *date, int64_t now_s)
{
	const uint64_t most = EG_ANSWER_RETRY_MAX_NS / NS_PER_S;
	size_t digits = strspn(value, "0123456789");
	uint64_t seconds;

	if (digits && !value[digits]) {
		seconds = digits > 9 ? most : strtoull(value, NULL, 10);
	} else {
		int64_t then = curl_getdate(value, NULL), from = date[0] ? curl_getdate(date, NULL) : -1;

		if (from < 0)
			from = now_s;
		if (then < 0 || then <= from)
			return 0;
		seconds = (uint64_t)(then - from);
	}
	return (seconds < most ? seconds : most) * NS_PER_S;
}

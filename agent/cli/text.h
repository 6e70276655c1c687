/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - text on its way to a person's terminal
 *
 * What the agent sends carries names that apps chose (comm) and sentences that people wrote, so
 * nothing of it may reach a terminal as a control sequence, or turn the direction of a line.
 */
#ifndef EG_CLI_TEXT_H
#define EG_CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

/*
 * A copy in which every control character, every one that turns or hides text, and every byte
 * that is not UTF-8 is a '?'. Newlines, too: it is one line. NULL without memory.
 */
char *eg_text_clean(const char *text);

/*
 * Prints JSON that is text in UTF-8. What eg_text_clean takes for odd is escaped (\uXXXX), so that it says the same to
 * a program and nothing to a terminal; blanks between values stay as they are.
 */
void eg_text_json(FILE *out, const char *json, size_t len);

/* Columns that clean text takes on a terminal. Needs LC_CTYPE of a UTF-8 locale for wide ones. */
size_t eg_text_width(const char *text);

/* Prints one line, cleaned as a whole, and its newline. */
void eg_text_say(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "2027-01-31T12:00:05.123456789Z" as "2027-01-31 12:00:05Z"; digits: of the fraction, 0 .. 9. Returns ret. */
const char *eg_text_moment(const char *rfc3339, unsigned digits, char *ret, size_t size);

#endif

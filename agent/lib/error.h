/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error as the API shows it: a stable code for programs, a sentence for people.
 */
#ifndef EG_LIB_ERROR_H
#define EG_LIB_ERROR_H

#include <jansson.h>

struct eg_error {
	int status; /* HTTP status, 400 .. 599; 0: no error */
	char code[32]; /* stable, lower case with underscores */
	char message[512]; /* one sentence: what happened and what to do */
	json_t *details; /* owned; NULL or an array of diagnostics {file,line,column,path,level,message,fix} */
};

/* Fills *err (dropping details that were there) and returns -EINVAL, so that it can be returned at once. */
int eg_error_set(struct eg_error *err, int status, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Frees what *err owns and makes it "no error". */
void eg_error_clear(struct eg_error *err);

#endif

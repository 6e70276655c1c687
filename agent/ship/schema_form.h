/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_form.h - fills in a form in another schema from an event of ours
 *
 * A form remembers which members of the event have found a place; eg_form_end puts the others, whatever
 * they are, under one member of the form. So a member that nobody thought of is never lost, and one that has
 * a wrong type (a hash in the place of a number, after redaction) goes there instead of breaking the schema.
 */
#ifndef EG_SHIP_SCHEMA_FORM_H
#define EG_SHIP_SCHEMA_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define EG_FORM_ACTION_LEN 64
#define EG_FORM_WORD_LEN   64

/* What every event of ours has; strings are borrowed from the event. */
struct eg_form {
	const json_t *event;
	json_t *rest; /* what has found no place yet */
	json_t *out;
	bool failed; /* out of memory */

	const char *type;
	const char *id;
	const char *host; /* "": none */
	const char *app; /* NULL: none */
	const char *verdict; /* NULL: none */
	uint64_t ts_ns;
	bool ingress; /* somebody else began it, so that the app is the destination */
	bool answer; /* a DNS answer: the app began it, though src and dst are those of the packet back */
	bool has_number; /* event_id told them */
	uint64_t epoch;
	uint64_t number;
	char action[EG_FORM_ACTION_LEN]; /* "flow-end", "kill", "alert-relax-end" */
};

/* -EINVAL: no event of ours (ts, type, event_id); -ENOMEM. The event is borrowed until the end. */
int eg_form_begin(struct eg_form *form, const json_t *event);
/* Puts what is left under `rest_name`; *ret: a new reference. -ENOMEM. */
int eg_form_end(struct eg_form *form, const char *rest_name, json_t **ret);
/* Of a form that was begun, or is zero. */
void eg_form_clear(struct eg_form *form);

/* Whether action is `name`, or begins with it and a dash. */
bool eg_form_is(const struct eg_form *form, const char *name);

/* Members of the event. NULL and false: not there, or of another type. */
const char *eg_form_text(const struct eg_form *form, const char *name);
bool eg_form_number(const struct eg_form *form, const char *name, json_int_t *ret);
bool eg_form_moment(const struct eg_form *form, const char *name, uint64_t *ret_utc_ns);
/* It has found its place. */
void eg_form_done(struct eg_form *form, const char *name);

/* path: "a.b.c", made as needed. value is stolen; NULL is out of memory. */
void eg_form_put(struct eg_form *form, const char *path, json_t *value);
/* NULL and "": nothing is put. */
void eg_form_put_text(struct eg_form *form, const char *path, const char *text);
void eg_form_put_int(struct eg_form *form, const char *path, json_int_t value);
void eg_form_put_bool(struct eg_form *form, const char *path, bool value);
/* To the array at path, unless it has it. */
void eg_form_add_text(struct eg_form *form, const char *path, const char *text);

/* Puts the member there and is done with it. False: it is not there, or of another type, or out of range. */
bool eg_form_move_text(struct eg_form *form, const char *name, const char *path);
bool eg_form_move_int(struct eg_form *form, const char *name, const char *path, json_int_t max);
bool eg_form_move_any(struct eg_form *form, const char *name, const char *path);

/* Who did it: member actor, "uid=0 pid=12 via=socket" or {"uid", "pid", "via"}. */
struct eg_form_actor {
	char uid[EG_FORM_WORD_LEN]; /* "": unknown */
	char via[EG_FORM_WORD_LEN];
	json_int_t pid; /* 0: unknown */
	bool whole; /* there was nothing else in it */
};
bool eg_form_actor(const struct eg_form *form, struct eg_form_actor *ret);

/* IANA's number of the event's `proto`; -1: none. */
int eg_form_protocol(const json_t *event);

/* One line for people. */
void eg_form_put_message(struct eg_form *form, const char *path);

#endif

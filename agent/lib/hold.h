/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.h - what a hold (a kill in force) is, who may lift it, and how it is written down
 *
 * A hold belongs to an app (by name, seen or not) or to all apps ("*"), and to one
 * layer. Holds OR together. The agent keeps them in core/holds.h; this part is pure
 * and shared with the CLI, whose `kill --direct` writes records of its own.
 *
 * Records. One line of text each, so that a person can read what was killed:
 *     <8 hex digits: CRC-32 of the rest> <JSON object>\n
 * A line whose sum is wrong is not a record. Lines are appended whole and fsynced; a
 * line without its newline is a torn tail.
 */
#ifndef EG_LIB_HOLD_H
#define EG_LIB_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#define EG_HOLD_ALL_APPS  "*"
#define EG_HOLD_LAYERS    3 /* local, control, auto: bits 0 .. 2 of EG_HOLD_* */
#define EG_HOLD_OWN_NS    (15ull * 60 * 1000000000ull) /* a responder may lift an own hold this long */
#define EG_HOLD_RECORD_MAX 4096 /* bytes of an encoded record, newline and NUL included */
#define EG_HOLD_DIRECT    "holds.direct" /* file in the state directory, written by --direct */

struct eg_hold {
	char app[EG_APP_NAME_LEN]; /* or EG_HOLD_ALL_APPS */
	uint32_t layer; /* exactly one of EG_HOLD_LOCAL, EG_HOLD_CONTROL, EG_HOLD_AUTO */
	uint32_t uid; /* of the actor, for local holds */
	uint64_t generation; /* per app and layer; only ever grows */
	uint64_t time_utc_ns;
	bool shared; /* a second actor asked for it too: nobody's "own" any more */
	char actor[64]; /* as in events: "uid=0 pid=77 via=socket" */
	char reason[256]; /* may be empty */
	char ticket[64]; /* may be empty */
	char id[33]; /* of a --direct record: 32 hex digits; else empty */
};

/* A line of a journal: a hold that begins, or the same layer lifted. */
struct eg_hold_record {
	bool lifted;
	struct eg_hold hold; /* lifted: app, layer, generation, actor, reason, time of the lifting */
};

/* Who asks for a hold to be lifted. */
enum eg_hold_role { EG_HOLD_BY_RESPONDER, EG_HOLD_BY_ADMIN, EG_HOLD_BY_CONTROL };

/* "local", "control", "auto"; NULL if layer is not exactly one layer. */
const char *eg_hold_layer_name(uint32_t layer);
/* The layer of that name; 0 if there is none. */
uint32_t eg_hold_layer_parse(const char *name);

/*
 * Whether the role (a responder with its uid) may lift the hold now: responder: an own
 * local hold for EG_HOLD_OWN_NS; admin: local and auto; control plane: control.
 */
bool eg_hold_may_lift(const struct eg_hold *hold, enum eg_hold_role role, uint32_t uid, uint64_t now_utc_ns);

/*
 * Copies text into a field of size bytes: cut at a whole UTF-8 character, control
 * bytes and bytes that are not UTF-8 become '?'. NULL makes it empty.
 */
void eg_hold_set_text(char *field, size_t size, const char *text);

/* Whether it names an app (or all) and exactly one layer, and its numbers can be written down. */
bool eg_hold_is_valid(const struct eg_hold *hold);

/*
 * Writes the record as a line with its newline and NUL. Returns its length without the
 * NUL, or -EINVAL (not valid, or a field that is not text), -ENOSPC, -ENOMEM.
 */
int eg_hold_encode(const struct eg_hold_record *record, char *line, size_t size);
/*
 * Reads a line of len bytes, without its newline. -EBADMSG: not a whole record.
 * -ENOTSUP: a whole record of a kind that this version doesn't know.
 */
int eg_hold_decode(const char *line, size_t len, struct eg_hold_record *ret_record);

/*
 * For `egret kill --direct`: appends the hold to the direct journal in state_dir and
 * fsyncs file and directory. Gives the record an id. Works with the agent dead, running
 * or merging at the same moment. The directory is made if it is missing. 0 or -errno:
 * then the hold isn't durable and the caller must say so.
 */
int eg_hold_direct_append(const char *state_dir, const struct eg_hold *hold);

#endif

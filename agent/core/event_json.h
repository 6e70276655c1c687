/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_json.h - one event, one line of JSON
 *
 * A pure module: bytes in, bytes out. By hand and not through a JSON library, because it is
 * the agent's hottest path (300,000 lines a second on one core).
 *
 * Every line begins with the same members in the same order, so that a reader can filter
 * without parsing JSON (eg_event_head_parse):
 *   {"schema":1,"ts":"...","type":"...","event_id":"HOST-EPOCH-N","host":"HOST"[,"app":"..."]
 */
#ifndef EG_CORE_EVENT_JSON_H
#define EG_CORE_EVENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egret/abi.h>

#include "event_out.h"
#include "events.h"
#include "networks.h"

#define EG_EVENT_SCHEMA    1
#define EG_EVENT_BEGIN     "{\"schema\":1,\"ts\":\"" /* of each line */
#define EG_EVENT_HOST_LEN  65
#define EG_EVENT_TYPE_LEN  24
#define EG_EVENT_POST_MAX  65536 /* members of one of the agent's own events, as text */
#define EG_EVENT_LINE_MAX  (2048 + EG_EVENT_POST_MAX) /* any line, with '\n' */
#define EG_EVENT_FIXED_MAX 3328 /* a line without its eg_event_meta text or posted members */

/* Upper bound of eg_event_meta_json's output. */
#define EG_EVENT_META_MAX                                                                         \
	(sizeof(((struct eg_event_meta *)0)->labels_json) + 128 +                                 \
	 EG_OUT_ESCAPE_MAX * (sizeof(struct eg_event_meta) - sizeof(((struct eg_event_meta *)0)->labels_json)))

/* What lines of one log have in common, and what changes from line to line. */
struct eg_event_stamp {
	char host[EG_EVENT_HOST_LEN];
	uint64_t epoch;
	uint64_t n; /* number of the next line */
	int64_t utc_offset_ns;
	const struct eg_networks *networks; /* borrowed; NULL: none has a name */
	char ids[2 * EG_EVENT_HOST_LEN + 64]; /* `","event_id":"HOST-EPOCH-` */
	size_t ids_len;
	struct eg_out_clock clock; /* of ts */
	struct eg_out_clock start_clock; /* of start: another second as a rule */
};

/* host: bytes outside [A-Za-z0-9._-] become '_'; "" becomes "localhost". */
void eg_event_stamp_init(struct eg_event_stamp *stamp, const char *host);

/* From here on, lines are numbered n, n + 1 ... in that epoch. */
void eg_event_stamp_number(struct eg_event_stamp *stamp, uint64_t epoch, uint64_t n);

/* The members that come from meta, each with a comma before it: `,"app":"x","owner":...`. */
char *eg_event_meta_json(char *p, const struct eg_event_meta *meta);

/* The longer form of a record of `size` bytes in a ring, or NULL if it is the shorter one. */
static inline const struct eg_event_named *eg_event_named_of(const struct eg_event *e, size_t size)
{
	return size >= sizeof(struct eg_event_named) ? (const struct eg_event_named *)e : NULL;
}

/*
 * A kernel event as a line with '\n'; any bytes in it give valid JSON. named: NULL, or the longer
 * record that e is the beginning of. Uses up a number.
 */
char *eg_event_json(char *p, struct eg_event_stamp *stamp, const struct eg_event *e,
		    const struct eg_event_named *named, const char *meta, size_t meta_len);

/* An event of another maker: members is text such as `,"app":"x","k":1`, or "". Uses up a number. */
char *eg_event_json_members(char *p, struct eg_event_stamp *stamp, uint64_t utc_ns, const char *type,
			    const char *members, size_t members_len);

/* What was not told, and why: `,"cause":"...","events":...`; meta as in eg_event_json. */
char *eg_event_json_loss(char *p, struct eg_event_stamp *stamp, uint64_t utc_ns, const char *type,
			 const char *cause, const struct eg_loss *sum, const char *meta, size_t meta_len);

/* A line that was made before, with the next number of this stamp instead of its own. */
char *eg_event_renumber(char *p, struct eg_event_stamp *stamp, const char *line, size_t len);

/* Types that a filter may name ("flow", "deny" ...). */
bool eg_event_type_known(const char *type, size_t len);

/* What the beginning of a line says; the strings point into it. */
struct eg_event_head {
	const char *ts; /* EG_OUT_TS_MAX bytes: sorts as text */
	const char *type;
	size_t type_len;
	uint64_t epoch;
	uint64_t n;
	const char *app; /* NULL: none */
	size_t app_len;
};

/* False: not a line of ours. */
bool eg_event_head_parse(const char *line, size_t len, struct eg_event_head *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_impl.h - what the parts of the policy's reader share
 *
 * Theory of operation. The text is scanned (jsonpos.h), read by jansson, and then taken apart
 * by tables of keys. A reader that finds something wrong reports it and goes on, so that one
 * run shows every error; whether the policy holds is asked at the end. Readers know the path
 * of what they look at as a chain of structs on the stack, which costs nothing until there is
 * something to say. Places in the text are looked up once, for all findings and rules.
 */
#ifndef EG_LIB_POLICY_IMPL_H
#define EG_LIB_POLICY_IMPL_H

#include "policy.h"

/* Where a value is: a member or an element of what `up` is; NULL is the root. */
struct eg_policy_at {
	const struct eg_policy_at *up;
	const char *key; /* NULL: an element */
	size_t index;
};

struct eg_policy_finding;

enum eg_lint {
#define EG_LINT(name, level, code, when) EG_LINT_##name,
#include "lint.def"
#undef EG_LINT
	EG_LINT_COUNT_
};

struct eg_policy_reader {
	struct eg_policy *policy;
	json_int_t version; /* as given */
	size_t dests; /* so far, in all rules */
	struct eg_policy_finding *findings;
	size_t count;
	size_t errors; /* of them */
	int r; /* -ENOMEM, once memory was missing */
};

/* ---- policy_report.c ---------------------------------------------------------------------------- */

/* The message is a sentence without its full stop; the fix says what to write, or is "". */
void eg_policy_error(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *fix,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same about the key of `at`, not its value. */
void eg_policy_error_key(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *fix,
			 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A lint, with its level and code. */
void eg_policy_lint_add(struct eg_policy_reader *reader, enum eg_lint lint, const struct eg_policy_at *at,
			const char *fix, const char *format, ...) __attribute__((format(printf, 5, 6)));
void eg_policy_no_memory(struct eg_policy_reader *reader);
/* Whether to stop: as many findings as are shown, or no memory. */
bool eg_policy_full(const struct eg_policy_reader *reader);

/*
 * Looks up where the findings, and the policy's rules (if `rules`), stand in the text, moves
 * the findings to diags in the order of the text, and frees them. 0 or -ENOMEM.
 */
int eg_policy_report(struct eg_policy_reader *reader, bool rules, const char *text, size_t len, struct eg_diags *diags);

/* Whether a text has no control characters: nothing that a terminal or a log's reader might obey. */
bool eg_policy_plain(const char *text);
#define EG_POLICY_SHOWN 80
/* Somebody's text for a message: in quotes, cut, without control characters. Returns ret. */
const char *eg_policy_show(const char *text, char ret[EG_POLICY_SHOWN]);
/* The one of names (count of them, `stride` bytes apart) that was probably meant, or NULL. */
const char *eg_policy_nearest(const char *text, const char *const *names, size_t count, size_t stride);

/* ---- policy_value.c: values of any kind ----------------------------------------------------------- */

#define EG_POLICY_REQUIRED (1u << 0)
#define EG_POLICY_REFUSED  (1u << 1) /* known, for its reader to say what to write instead; last in its table */

struct eg_policy_key {
	const char *name;
	void (*read)(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, void *into);
	size_t offset; /* of the target in what the object fills */
	unsigned flags;
};

#define EG_POLICY_COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Each member goes to its key's reader; into is what the object fills. False: it is no object. */
bool eg_policy_object(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      const struct eg_policy_key *keys, size_t count, void *into);
/* Whether it is a list with 1 .. max elements. wanted: "a list of ports". */
bool eg_policy_list(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value, size_t max,
		    const char *wanted, const char *fix);
/* Says that the value is of another type than is wanted. */
void eg_policy_wanted(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		      const char *wanted, const char *fix);
/* The text of a string, or NULL after an error. */
const char *eg_policy_string(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			     const char *wanted, const char *fix);
/* Index into names, or -1 after an error. */
int eg_policy_choice(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		     const char *const *names, size_t count);
/* What a function of units.h said (not 0) about a text. */
void eg_policy_bad_unit(struct eg_policy_reader *reader, const struct eg_policy_at *at, int r, const char *text,
			const char *what, const char *fix);

/* Readers: char *, of up to 255 bytes; bool. */
void eg_policy_read_text(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into);
void eg_policy_read_bool(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			 void *into);

/* ---- Parts ------------------------------------------------------------------------------------------ */

/* policy_top.c: the document. */
void eg_policy_read(struct eg_policy_reader *reader, const json_t *root);

/* policy_rule.c: fills rules[0 .. n) from egress and ingress (either may be NULL). */
void eg_policy_read_rules(struct eg_policy_reader *reader, const json_t *egress, const json_t *ingress);

/* policy_dest.c: `to` and `from`. */
void eg_policy_read_dests(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  struct eg_policy_rule *rule);
/* A CIDR prefix or address alone; false after an error. */
bool eg_policy_cidr(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
		    const char *wanted, struct eg_cidr *ret);
/* The name in normal form, or NULL after an error; free() it. */
char *eg_policy_name(struct eg_policy_reader *reader, const struct eg_policy_at *at, const char *text);

/* policy_service.c: of struct eg_policy_rule. */
void eg_policy_read_proto(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into);
void eg_policy_read_ports(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into);
void eg_policy_read_types(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  void *into);

/* policy_limits.c */
void eg_policy_read_limits(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   struct eg_policy_limits *limits, bool of_rule);

/* "60/min"; false after an error. fix says what to write. */
bool eg_policy_count_rate(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			  const char *fix, uint64_t *ret_count, uint64_t *ret_per_ns);

/* policy_dns.c: of struct eg_policy_dns; of struct eg_policy_rule. */
void eg_policy_read_dns(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			void *into);
void eg_policy_read_private(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			    void *into);

/* policy_lint_names.c */
void eg_policy_lint_names(struct eg_policy_reader *reader);
/* policy_lint.c: whether all that `name` stands for is below the wildcard, or is it. */
bool eg_policy_name_covers(const char *outer, const char *name);
/* The rule's object, and where it is. */
const json_t *eg_policy_rule_json(const struct eg_policy *policy, size_t number, struct eg_policy_at *ret_list,
				  struct eg_policy_at *ret_rule);

/* policy_alerts.c: of struct eg_policy. */
void eg_policy_read_alerts(struct eg_policy_reader *reader, const struct eg_policy_at *at, const json_t *value,
			   void *into);

#endif

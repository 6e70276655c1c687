/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_policies.h - a policy's way through the agent: read, kept, compiled, put into the kernel's
 * tables, switched to. A part of agent_impl.h, which includes it.
 */
#ifndef EG_CORE_AGENT_POLICIES_H
#define EG_CORE_AGENT_POLICIES_H

#include "agent_impl.h"

/* ---- applied.c -------------------------------------------------------------------- */

const char *eg_source_name(enum eg_source source);
enum eg_source eg_source_parse(const char *name); /* NONE: there is no such source */

struct eg_provenance {
	enum eg_source source;
	const char *origin; /* file, or NULL */
	uint64_t number; /* of the revision */
};

/* What is to be remembered of a policy; its kernel side is filled by apply.c. NULL without memory. */
struct eg_applied *eg_applied_new(const struct eg_policy *policy, const struct eg_compiled *compiled,
				  const struct eg_provenance *from);
void eg_applied_free(struct eg_applied *applied);
void eg_tables_free(struct eg_tables *tables);
const char *eg_applied_rule_id(const struct eg_applied *applied, uint32_t rule);

/* ---- tables.c: under apply ------------------------------------------------------------ */

/*
 * Writes the rules, the names and their matches under a fresh ruleset id. 0; -ENOSPC: no room
 * for the rules; -EDQUOT: none for the names; -EOVERFLOW, -ENOMEM, -errno.
 */
int eg_tables_make(struct eg_agent *agent, const struct eg_compiled *compiled, struct eg_tables **ret);
/* Those of a ruleset that is in the kernel already. compiled NULL: which rules it has is not known. */
int eg_tables_adopt(struct eg_agent *agent, const struct eg_ruleset *ruleset, uint32_t index,
		    const struct eg_compiled *compiled, struct eg_tables **ret);
/* Reserves what the rulesets of adopted apps take up, before anything new is placed. 0 or -errno. */
int eg_tables_reserve(struct eg_agent *agent);
/* Hands the tables over to eg_tables_collect. NULL is fine. */
void eg_tables_discard(struct eg_agent *agent, struct eg_tables *tables);
/* Takes back the tables of policies that are no longer in force. */
void eg_tables_collect(struct eg_agent *agent);

/* ---- sweep.c: under apply --------------------------------------------------------------- */

/* Goes on looking for what is due, some thousands of keys at each call. */
void eg_sweep(struct eg_agent *agent);
/* UDP peers for which the kernel had no timer. Takes lock. */
uint64_t eg_peers_untimed(struct eg_agent *agent);
/* Maps `rules` and `names` may hold keys of a ruleset that nobody remembers. */
void eg_sweep_tables_due(struct eg_agent *agent);
/* Map `grants` may hold those of an app that is gone. */
void eg_sweep_grants_due(struct eg_agent *agent);

/* ---- apply.c: all under apply ------------------------------------------------------ */

/*
 * Puts the policy in force for the app: fills the tables under a fresh ruleset id, then
 * switches one word. On failure nothing has changed. *ret_changed: false if the very same
 * policy was in force.
 */
int eg_apply_policy(struct eg_agent *agent, struct eg_entry *entry, const struct eg_policy *policy,
		    const struct eg_compiled *compiled, const struct eg_provenance *from, bool *ret_changed,
		    struct eg_error *err);
/* The ruleset of tables that were made, whole but for its meters' places. Nothing points at it yet. */
void eg_apply_ruleset(struct eg_agent *agent, uint32_t slot, const struct eg_tables *tables,
		      const struct eg_compiled *compiled);
/* What eg_tables_make said (not 0), as an error; returns r. */
int eg_apply_refuse(struct eg_agent *agent, int r, const struct eg_compiled *compiled, struct eg_error *err);
/* Its tables stay until the slot is freed; everything is denied. */
void eg_apply_mark_deleted(struct eg_agent *agent, struct eg_entry *entry);

/* ---- policies.c: under apply ----------------------------------------------------------- */

/* A policy on its way: read, checked, compiled. Zero-initialise. */
struct eg_draft {
	struct eg_policy *policy;
	struct eg_compiled *compiled;
	struct eg_diags diags;
};
void eg_draft_clear(struct eg_draft *draft);
/* Text to tables, changing nothing. at_start: see eg_policy_write. 0 or -errno; *ret is to be cleared in any case. */
int eg_draft_read(struct eg_agent *agent, const char *file, const char *text, size_t len, bool at_start,
		  struct eg_draft *ret);
/* The error of a draft that could not be read; returns it. */
int eg_draft_refuse(const struct eg_draft *draft, struct eg_error *err);

/* A text from a source that wants it to be in force. */
struct eg_policy_write {
	const char *file; /* for diagnostics, or NULL */
	const char *text;
	size_t len;
	const char *expect_app; /* NULL, or the name that the text must have */
	const char *if_match; /* NULL, "*", or the revision that must be in force */
	bool take_over; /* also from another source */
	bool at_start; /* it was in force before: an expiry that has passed is no error */
	bool persisted; /* it comes from the state directory */
	struct eg_provenance from; /* number 0: the next one */
	const char *action; /* "rollback", "renew"; NULL: "apply" */
	const char *of_rev; /* of a rollback: the revision that is in force again */
	const struct eg_actor *actor;
	/* Whether another file of the source that has the same app is still there; NULL: no files. */
	bool (*still_there)(void *ctx, const char *origin);
	void *ctx;
};
struct eg_policy_written {
	char app[EG_APP_NAME_LEN];
	char rev[EG_REV_LEN];
	bool changed;
	size_t rules;
	json_t *warnings; /* owned */
	uint32_t reset_sockets;
};
int eg_policies_write(struct eg_agent *agent, const struct eg_policy_write *write, struct eg_policy_written *ret,
		      struct eg_error *err);
/* Everything is denied from now on; the tag and the holds stay. */
int eg_policies_drop(struct eg_agent *agent, struct eg_entry *entry, const struct eg_actor *actor,
		     const char *why, uint32_t *ret_reset, struct eg_error *err);
/* Compiles it again, under its own revision: the host's part in it is another. 0 or -errno, which was said. */
int eg_policies_write_again(struct eg_agent *agent, const struct eg_entry *entry);
#define EG_HISTORY_DIR "history" /* in the state directory */
/* history.c: records what was just put in force. */
void eg_history_note(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_policy_write *write,
		     const char *rev_before);
/*
 * A record, with its policy: of that revision, or (rev NULL) the newest whose text is not that of
 * other_than (a revision, or ""). 0, -ENOENT, or another -errno.
 */
int eg_history_find(struct eg_agent *agent, const char *app, const char *rev, const char *other_than, json_t **ret);
/* All records, newest first, without their policies. 0 or -errno. */
int eg_history_list(struct eg_agent *agent, const char *app, json_t **ret);
/* history_gone.c: every second; now and then removes those of apps that have had no policy for long. */
void eg_history_sweep(struct eg_agent *agent);
/* Those that the state directory keeps. At start. */
int eg_policies_load_stored(struct eg_agent *agent);

/* ---- host_resolvers.c: under apply ------------------------------------------------------------- */

/* Compiles again what was compiled with the host's resolvers, if these have changed. Every second. */
void eg_host_resolvers_check(struct eg_agent *agent);

/* ---- store.c: policies that came by the socket or from the control plane, on disk ----------------------------------- */

struct eg_store_draft; /* written and fsynced under another name */
int eg_store_prepare(const char *state_dir, const char *app, const struct eg_provenance *from, const char *text,
		     size_t len, struct eg_store_draft **ret);
int eg_store_commit(struct eg_store_draft *draft); /* renames; frees draft */
void eg_store_abandon(struct eg_store_draft *draft);
int eg_store_remove(const char *state_dir, const char *app);
/* A regular file of at most max bytes, NUL-terminated. -EFBIG, -EINVAL (no regular file), -ENOMEM, -errno. */
int eg_store_read_file(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_len);
typedef void (*eg_store_fn)(void *ctx, const char *app, const struct eg_provenance *from, const char *text, size_t len);
int eg_store_each(const char *state_dir, eg_store_fn fn, void *ctx);

/* ---- polidir.c: the watched directory of policies; under apply ---------------------------- */

int eg_polidir_open(struct eg_agent *agent, const char *path, struct eg_polidir **ret);
void eg_polidir_close(struct eg_polidir *dir);
int eg_polidir_fd(const struct eg_polidir *dir); /* inotify */
/* Reads what the inotify fd has. */
void eg_polidir_notice(struct eg_polidir *dir);
/* Reads files that are new or changed, if there may be any. Call after a notice and every second. */
void eg_polidir_scan(struct eg_polidir *dir);
/* The same without asking whether there may be any. */
void eg_polidir_scan_all(struct eg_polidir *dir);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * policies.c - a policy's text on its way into force: read, checked, owned, stored, applied
 */
#include <errno.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/units.h"
#include "agent_impl.h"
#include "clock.h"
#include "resolvconf.h"
#include "sdnotify.h"
#include "sockdiag.h"

#define LOADING_TELL_NS (2 * EG_NS_PER_S)

/* ---- Reading --------------------------------------------------------------------------- */

void eg_draft_clear(struct eg_draft *draft)
{
	eg_policy_free(draft->policy);
	eg_compiled_free(draft->compiled);
	eg_diags_clear(&draft->diags);
}

int eg_draft_refuse(const struct eg_draft *draft, struct eg_error *err)
{
	char text[700];

	for (size_t i = 0; i < draft->diags.count; i++) {
		const struct eg_diag *diag = &draft->diags.items[i];

		if (diag->level != EG_DIAG_ERROR)
			continue;
		eg_error_set(err, 400, "bad_policy", "%s", eg_diag_text(&draft->diags, diag, text, sizeof(text)));
		err->details = eg_diags_json(&draft->diags);
		return -EINVAL;
	}
	return eg_error_set(err, 500, "no_memory", "Out of memory.");
}

/* A file of resolvers that can't be read is one that names none: the compiler says so, where that matters. */
static int compile(struct eg_agent *agent, bool at_start, struct eg_draft *draft)
{
	struct eg_resolvers host = {0};

	if (eg_compile_needs_resolvers(draft->policy))
		eg_resolvconf_read(eg_agent_config(agent)->resolv_conf, &host);
	host.may_lack = at_start; /* the network may be coming up: see host_resolvers.c */
	return eg_compile(draft->policy, &host, &draft->compiled, &draft->diags);
}

/* What is in force already stays so when a ceiling comes down on it: said in the log, and by `policy check`. */
static int within_ceilings(struct eg_agent *agent, bool at_start, uint64_t now, struct eg_draft *draft)
{
	EG_CLEANUP(eg_diags_clear) struct eg_diags beyond = {0};
	int r = eg_guardrails_check(eg_agent_config(agent)->guardrails, draft->policy, now,
				    at_start ? &beyond : &draft->diags);

	for (size_t i = 0; i < beyond.count; i++)
		eg_log_warning("app %s is beyond the host's guardrails: %s", draft->policy->app, beyond.items[i].message);
	return at_start ? 0 : r;
}

int eg_draft_read(struct eg_agent *agent, const char *file, const char *text, size_t len, bool at_start,
		  struct eg_draft *ret)
{
	uint64_t now = eg_clock_utc_ns();
	int r = eg_policy_parse(file, text, len, &ret->policy, &ret->diags);

	if (r < 0)
		return r;
	if (!at_start || ret->policy->expires_utc_ns > now)
		r = eg_policy_check_lifetime(ret->policy, text, len, now, eg_agent_config(agent)->max_lifetime_ns,
					     &ret->diags);
	if (!r)
		r = within_ceilings(agent, at_start, now, ret);
	if (r)
		return r;
	eg_policy_lint(ret->policy, text, len, &ret->diags);
	eg_policy_lint_lifetime(ret->policy, text, len, now, &ret->diags);
	if (ret->diags.errors && !at_start)
		return -EINVAL;
	r = eg_guardrails_apply(eg_agent_config(agent)->guardrails, ret->policy);
	return r ? r : compile(agent, at_start, ret);
}

int eg_agent_policy_check(struct eg_agent *agent, const char *text, size_t len, json_t **ret, struct eg_error *err)
{
	struct eg_draft draft = {0};
	int r = eg_draft_read(agent, NULL, text, len, false, &draft);

	if (r == -ENOMEM) {
		eg_draft_clear(&draft);
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	}
	*ret = json_pack("{s:b,s:s*,s:o}", "ok", r == 0, "app", draft.policy ? draft.policy->app : NULL, "diagnostics",
			 eg_diags_json(&draft.diags));
	eg_draft_clear(&draft);
	return 0;
}

/* ---- Whose is it? ------------------------------------------------------------------------- */

static const struct eg_applied *in_force(const struct eg_entry *entry)
{
	return entry && !entry->deleted ? entry->now : NULL;
}

static int check_owner(const struct eg_policy_write *write, const struct eg_entry *entry, struct eg_error *err)
{
	const struct eg_applied *now = in_force(entry);

	if (!now || write->take_over)
		return 0;
	if (now->source != write->from.source) {
		eg_error_set(err, 409, "owned_elsewhere",
			     "The policy of %s belongs to the source \"%s\"%s%s: change it there, or take it over.",
			     entry->name, eg_source_name(now->source), now->origin ? ", file " : "",
			     now->origin ? now->origin : "");
		return -EEXIST;
	}
	if (now->origin && write->from.origin && strcmp(now->origin, write->from.origin) != 0 && write->still_there &&
	    write->still_there(write->ctx, now->origin)) {
		eg_error_set(err, 409, "duplicate_app",
			     "The files %s and %s are both for the app %s: remove one of them; %s stays in force.",
			     now->origin, write->from.origin, entry->name, now->origin);
		return -EEXIST;
	}
	return 0;
}

static int check_match(const struct eg_policy_write *write, const struct eg_entry *entry, struct eg_error *err)
{
	const struct eg_applied *now = in_force(entry);

	if (!write->if_match || (now && (strcmp(write->if_match, "*") == 0 || strcmp(write->if_match, now->rev) == 0)))
		return 0;
	return eg_error_set(err, 412, "rev_changed", "The revision in force is %s, not %s: look at it first.",
			    now ? now->rev : "none", write->if_match);
}

static int check_name(const struct eg_policy_write *write, const struct eg_policy *policy, struct eg_error *err)
{
	if (!write->expect_app || strcmp(write->expect_app, policy->app) == 0)
		return 0;
	return eg_error_set(err, 400, "app_mismatch", "The policy is for the app %s, not %s.", policy->app,
			    write->expect_app);
}

/* ---- Into force ------------------------------------------------------------------------------ */

/* A source without numbers of its own counts its revisions. */
static uint64_t number_of(const struct eg_policy_write *write, const struct eg_entry *entry,
			  const struct eg_policy *policy)
{
	if (write->from.number)
		return write->from.number;
	if (!entry || !entry->now)
		return 1;
	if (in_force(entry) && memcmp(entry->now->hash, policy->hash, sizeof(policy->hash)) == 0)
		return entry->now->number;
	return entry->now->number + 1;
}

static int store(struct eg_agent *agent, const struct eg_policy_write *write, const char *app,
		 const struct eg_provenance *from, struct eg_store_draft **ret, struct eg_error *err)
{
	int r;

	*ret = NULL;
	if (write->from.source == EG_SOURCE_DIRECTORY || write->persisted)
		return 0;
	r = eg_store_prepare(eg_agent_config(agent)->state_dir, app, from, write->text, write->len, ret);
	if (r < 0)
		eg_error_set(err, 507, "not_stored", "The policy can't be written to %s (%s), so it was not put in force.",
			     eg_agent_config(agent)->state_dir, strerror(-r));
	return r;
}

static void tell_write(struct eg_agent *agent, const struct eg_entry *entry, const struct eg_policy_write *write,
		       const struct eg_policy_written *written, const char *rev_before)
{
	char actor[64], until[64];

	eg_actor_text(write->actor, actor, sizeof(actor));
	eg_units_moment_text(entry->now->expires_utc_ns, until, sizeof(until));
	eg_notice(agent, "policy", entry, NULL,
		  json_pack("{s:s,s:s,s:s,s:s*,s:s*,s:s*,s:s*,s:s,s:s,s:i,s:i}", "action",
			    write->action ? write->action : "apply", "actor", actor, "policy_rev", written->rev,
			    "previous_rev", rev_before, "of_rev", write->of_rev, "source",
			    eg_source_name(write->from.source), "file", write->from.origin, "expires", until, "mode",
			    entry->now->mode == EG_MODE_AUDIT ? "audit" : "enforce", "rules", (int)written->rules,
			    "reset_sockets", (int)written->reset_sockets));
	eg_log_info("app %s: policy %s is in force (%zu rules, until %s), from %s", entry->name, written->rev,
		    written->rules, until, write->from.origin ? write->from.origin : actor);
}

/* The API serves a moment before. */
static bool is_started(const struct eg_agent *agent)
{
	return __atomic_load_n(&agent->started, __ATOMIC_ACQUIRE);
}

static void after_apply(struct eg_agent *agent, struct eg_entry *entry, const struct eg_applied *was, bool revived,
			struct eg_policy_written *written)
{
	if (entry->now != was || revived) {
		if (revived)
			agent->patterns_stale = true;
		eg_tags_patterns_changed(agent, entry->before == was ? was : NULL, entry->now);
	}
	if (agent->events)
		eg_events_meta_changed(agent->events);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): after a change there is one */
	if (written->changed && is_started(agent) && entry->now->mode == EG_MODE_ENFORCE)
		written->reset_sockets = eg_cut_denied(agent, entry->name);
}

static int apply(struct eg_agent *agent, const struct eg_policy_write *write, const struct eg_draft *draft,
		 struct eg_policy_written *ret, struct eg_error *err)
{
	struct eg_entry *entry = eg_registry_find(agent, draft->policy->app);
	const struct eg_applied *was = entry ? entry->now : NULL;
	struct eg_provenance from = write->from;
	struct eg_store_draft *stored = NULL;
	char rev_before[EG_REV_LEN] = "";
	bool revived = entry && entry->deleted;
	int r;

	from.number = number_of(write, entry, draft->policy);
	if (was)
		snprintf(rev_before, sizeof(rev_before), "%s", was->rev);
	r = store(agent, write, draft->policy->app, &from, &stored, err);
	if (!r)
		r = eg_registry_get(agent, draft->policy->app, &entry, err);
	if (!r)
		r = eg_apply_policy(agent, entry, draft->policy, draft->compiled, &from, &ret->changed, err);
	if (r < 0) {
		eg_store_abandon(stored);
		return r;
	}
	if (stored && (r = eg_store_commit(stored)) < 0)
		eg_log_err("app %s: its policy is in force, but may not outlive a restart (%s)", entry->name, strerror(-r));
	snprintf(ret->app, sizeof(ret->app), "%s", entry->name);
	snprintf(ret->rev, sizeof(ret->rev), "%s", entry->now->rev);
	ret->rules = draft->policy->rule_count;
	after_apply(agent, entry, was, revived, ret);
	if (!ret->changed)
		return 0;
	eg_history_note(agent, entry, write, rev_before[0] ? rev_before : NULL);
	tell_write(agent, entry, write, ret, rev_before[0] ? rev_before : NULL);
	return 0;
}

/* A start with very many policies is no silent one, on a terminal and in `systemctl status`. */
static void tell_loading(struct eg_agent *agent)
{
	uint64_t now = eg_clock_mono_ns();
	char text[128];

	if (is_started(agent))
		return;
	if (!agent->loaded++) {
		agent->loading_told_ns = now;
		eg_sdnotify_status("loading policies");
	}
	if (now - agent->loading_told_ns < LOADING_TELL_NS)
		return;
	agent->loading_told_ns = now;
	snprintf(text, sizeof(text), "loading: %zu policies with %zu addresses so far", agent->loaded, agent->rules_used);
	eg_log_notice("%s", text);
	eg_sdnotify_status(text);
}

int eg_policies_write(struct eg_agent *agent, const struct eg_policy_write *write, struct eg_policy_written *ret,
		      struct eg_error *err)
{
	struct eg_draft draft = {0};
	struct eg_policy_written written = {0};
	const struct eg_entry *entry;
	int r = eg_draft_read(agent, write->file, write->text, write->len, write->at_start, &draft);

	if (r < 0) {
		r = eg_draft_refuse(&draft, err);
		eg_draft_clear(&draft);
		return r;
	}
	entry = eg_registry_find(agent, draft.policy->app);
	r = check_name(write, draft.policy, err);
	if (!r && write->actor->role == EG_ROLE_CONTROL)
		r = eg_control_may_own(agent, draft.policy->app, draft.policy, err);
	if (!r)
		r = check_match(write, entry, err);
	if (!r)
		r = check_owner(write, entry, err);
	if (!r)
		r = apply(agent, write, &draft, &written, err);
	if (!r) {
		tell_loading(agent);
		written.warnings = eg_diags_warnings_json(&draft.diags);
		*ret = written;
	}
	eg_draft_clear(&draft);
	return r;
}

int eg_policies_drop(struct eg_agent *agent, struct eg_entry *entry, const struct eg_actor *actor, const char *why,
		     uint32_t *ret_reset, struct eg_error *err)
{
	struct eg_cut done;
	char text[64];
	int r = eg_store_remove(eg_agent_config(agent)->state_dir, entry->name);

	if (r < 0)
		return eg_error_set(err, 500, "not_stored", "The stored policy of %s can't be removed from %s: %s.",
				    entry->name, eg_agent_config(agent)->state_dir, strerror(-r));
	eg_apply_mark_deleted(agent, entry);
	eg_tags_patterns_changed(agent, entry->now, NULL);
	eg_cut_app(agent, entry->name, false, &done);
	eg_actor_text(actor, text, sizeof(text));
	eg_notice(agent, "policy", entry, NULL,
		  json_pack("{s:s,s:s,s:s*,s:i}", "action", "delete", "actor", text, "cause", why, "reset_sockets",
			    (int)done.sockets));
	eg_log_notice("app %s: its policy is deleted, everything is denied (%s)", entry->name, why ? why : text);
	*ret_reset = done.sockets;
	return 0;
}

/* What a caller's policies come from. */
static enum eg_source source_of(const struct eg_actor *actor)
{
	return actor->role == EG_ROLE_CONTROL ? actor->source : EG_SOURCE_SOCKET;
}

/* ---- The socket's ------------------------------------------------------------------------------- */

int eg_agent_policy_put(struct eg_agent *agent, const char *app, const struct eg_policy_put *put,
			const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	struct eg_policy_write write = {
		.text = put->text,
		.len = put->len,
		.expect_app = app,
		.if_match = put->if_match,
		.take_over = put->take_over,
		.from = {.source = source_of(actor), .number = put->number},
		.actor = actor,
	};
	struct eg_policy_written written = {0};
	int r;

	pthread_mutex_lock(&agent->apply);
	r = eg_policies_write(agent, &write, &written, err);
	pthread_mutex_unlock(&agent->apply);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s,s:s,s:b,s:i,s:s,s:o,s:i}", "app", written.app, "policy_rev", written.rev, "changed",
			 written.changed, "rules", (int)written.rules, "source", eg_source_name(write.from.source),
			 "warnings", written.warnings, "reset_sockets", (int)written.reset_sockets);
	return 0;
}

static int delete_locked(struct eg_agent *agent, const char *app, const struct eg_policy_write *like,
			 uint32_t *ret_reset, struct eg_error *err)
{
	struct eg_entry *entry = eg_registry_find(agent, app);
	int r = check_match(like, entry, err);

	if (r < 0)
		return r;
	if (entry && !entry->deleted && !entry->now && eg_entry_ctl(agent, entry)->ruleset) {
		if (like->take_over)
			return eg_policies_drop(agent, entry, like->actor, NULL, ret_reset, err);
		eg_error_set(err, 409, "owned_elsewhere",
			     "%s is enforced as it was before the agent's start, but its source has no policy of it: "
			     "give it back there, or take it over.",
			     app);
		return -EEXIST;
	}
	if (!in_force(entry))
		return eg_error_set(err, 404, "not_found", "There is no policy of %s on this host.", app);
	r = check_owner(like, entry, err);
	return r < 0 ? r : eg_policies_drop(agent, entry, like->actor, NULL, ret_reset, err);
}

int eg_agent_policy_delete(struct eg_agent *agent, const char *app, const char *if_match, bool take_over,
			   const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	const struct eg_policy_write like = {
		.if_match = if_match,
		.take_over = take_over,
		.from = {.source = source_of(actor)},
		.actor = actor,
	};
	uint32_t reset = 0;
	int r;

	pthread_mutex_lock(&agent->apply);
	r = delete_locked(agent, app, &like, &reset, err);
	pthread_mutex_unlock(&agent->apply);
	if (!r)
		*ret = json_pack("{s:s,s:b,s:i}", "app", app, "deleted", 1, "reset_sockets", (int)reset);
	return r;
}

int eg_agent_policy_get(struct eg_agent *agent, const char *app, json_t **ret, struct eg_error *err)
{
	const struct eg_applied *now;

	pthread_mutex_lock(&agent->lock);
	now = in_force(eg_registry_find(agent, app));
	if (now)
		*ret = json_pack("{s:o,s:s,s:s,s:s*}", "policy", json_loadb(now->text, now->text_len, 0, NULL),
				 "policy_rev", now->rev, "source", eg_source_name(now->source), "file", now->origin);
	pthread_mutex_unlock(&agent->lock);
	return now ? 0 : eg_error_set(err, 404, "not_found", "There is no policy of %s on this host.", app);
}

/* ---- Stored ones ------------------------------------------------------------------------------------ */

static const struct eg_actor the_agent = {.role = EG_ROLE_ADMIN, .via = "agent"};

static void load_stored(void *ctx, const char *app, const struct eg_provenance *from, const char *text, size_t len)
{
	struct eg_agent *agent = ctx;
	const struct eg_policy_write write = {
		.text = text,
		.len = len,
		.expect_app = app,
		.at_start = true,
		.persisted = true,
		.from = *from,
		.actor = &the_agent,
	};
	struct eg_policy_written written = {0};
	struct eg_error err = {0};

	if (eg_policies_write(agent, &write, &written, &err) == 0) {
		json_decref(written.warnings);
		return;
	}
	agent->store_damaged = true;
	eg_log_err("the stored policy of %s can't be put in force: %s", app, err.message);
	eg_error_clear(&err);
}

int eg_policies_load_stored(struct eg_agent *agent)
{
	return eg_store_each(eg_agent_config(agent)->state_dir, load_stored, agent);
}

int eg_policies_write_again(struct eg_agent *agent, const struct eg_entry *entry)
{
	const struct eg_applied *now = entry->now;
	EG_FREE char *origin = now->origin ? strdup(now->origin) : NULL;
	EG_FREE char *text = strdup(now->text);
	const struct eg_policy_write write = {
		.file = origin,
		.text = text,
		.len = now->text_len,
		.expect_app = entry->name,
		.take_over = true,
		.at_start = true,
		.persisted = true,
		.from = {.source = now->source, .origin = origin, .number = now->number},
		.actor = &the_agent,
	};
	struct eg_policy_written written = {0};
	struct eg_error err = {0};
	int r;

	if (!text || (now->origin && !origin)) {
		eg_log_err("app %s: its policy stays as it is: out of memory", entry->name);
		return -ENOMEM;
	}
	r = eg_policies_write(agent, &write, &written, &err);
	if (!r)
		json_decref(written.warnings);
	else
		eg_log_err("app %s: its policy can't be put in force as the host has it now: %s", entry->name, err.message);
	eg_error_clear(&err);
	return r;
}

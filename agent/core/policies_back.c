// SPDX-License-Identifier: Apache-2.0
/*
 * policies_back.c - a revision of before in force again, or the one in force for longer
 *
 * Both are a new revision of the socket's, which goes the way of any other: it is checked, belongs to
 * somebody, and lifts no hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/units.h"
#include "agent_impl.h"
#include "clock.h"

#define SECOND_NS 1000000000ull

static void decref(json_t **json)
{
	json_decref(*json);
}

/* for_ns 0: the expiry stays. */
static int write_again(struct eg_agent *agent, const char *app, json_t *policy, const struct eg_policy_back *back,
		       struct eg_policy_write *write, json_t **ret, struct eg_error *err)
{
	struct eg_policy_written written;
	char moment[64], rev[EG_REV_LEN] = "";
	const struct eg_entry *entry = eg_registry_find(agent, app);
	EG_FREE char *text = NULL;
	int r;

	if (back->for_ns) {
		uint64_t until = (eg_clock_utc_ns() + back->for_ns) / SECOND_NS * SECOND_NS;

		json_object_set_new(policy, "expires",
				    json_string(eg_units_moment_text(until, moment, sizeof(moment))));
	}
	text = json_dumps(policy, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	if (entry && entry->now)
		snprintf(rev, sizeof(rev), "%s", entry->now->rev);
	write->text = text;
	write->len = strlen(text);
	write->expect_app = app;
	write->if_match = back->if_match;
	write->take_over = back->take_over;
	write->from.source = EG_SOURCE_SOCKET;
	r = eg_policies_write(agent, write, &written, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s,s:s,s:s*,s:s*,s:b,s:o,s:o,s:i}", "app", written.app, "policy_rev", written.rev,
			 "previous_rev", rev[0] ? rev : NULL, "of", write->of_rev, "changed", written.changed,
			 "expires", json_deep_copy(json_object_get(policy, "expires")), "warnings", written.warnings,
			 "reset_sockets", (int)written.reset_sockets);
	return 0;
}

/* ---- Rollback -------------------------------------------------------------------------------- */

static int not_found(const char *app, const char *rev, int r, struct eg_error *err)
{
	if (r != -ENOENT)
		return eg_error_set(err, 500, "history", "The history of %s can't be read: %s.", app, strerror(-r));
	if (rev)
		return eg_error_set(err, 404, "not_found", "There is no revision %s in the history of %s.", rev, app);
	return eg_error_set(err, 404, "not_found", "There is no earlier policy in the history of %s.", app);
}

static int rollback_locked(struct eg_agent *agent, const char *app, const struct eg_policy_back *back,
			   const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	const struct eg_entry *entry = eg_registry_find(agent, app);
	const struct eg_applied *now = entry && !entry->deleted ? entry->now : NULL;
	EG_CLEANUP(decref) json_t *record = NULL, *policy = NULL;
	struct eg_policy_write write = {.actor = actor, .action = "rollback"};
	int r = eg_history_find(agent, app, back->rev, now ? now->rev : "", &record);

	if (r < 0)
		return not_found(app, back->rev, r, err);
	policy = json_deep_copy(json_object_get(record, "policy"));
	write.of_rev = json_string_value(json_object_get(record, "policy_rev"));
	return write_again(agent, app, policy, back, &write, ret, err);
}

int eg_agent_policy_rollback(struct eg_agent *agent, const char *app, const struct eg_policy_back *back,
			     const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	int r;

	pthread_mutex_lock(&agent->apply);
	r = rollback_locked(agent, app, back, actor, ret, err);
	pthread_mutex_unlock(&agent->apply);
	return r;
}

/* ---- Renew ------------------------------------------------------------------------------------- */

static int renew_locked(struct eg_agent *agent, const char *app, const struct eg_policy_back *back,
			const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	const struct eg_entry *entry = eg_registry_find(agent, app);
	const struct eg_applied *now = entry && !entry->deleted ? entry->now : NULL;
	struct eg_policy_write write = {.actor = actor, .action = "renew"};
	EG_CLEANUP(decref) json_t *policy = NULL;

	if (!now)
		return eg_error_set(err, 404, "not_found", "There is no policy of %s on this host.", app);
	policy = json_loadb(now->text, now->text_len, 0, NULL);
	return write_again(agent, app, policy, back, &write, ret, err);
}

int eg_agent_policy_renew(struct eg_agent *agent, const char *app, const struct eg_policy_back *back,
			  const struct eg_actor *actor, json_t **ret, struct eg_error *err)
{
	int r;

	pthread_mutex_lock(&agent->apply);
	r = renew_locked(agent, app, back, actor, ret, err);
	pthread_mutex_unlock(&agent->apply);
	return r;
}

/* ---- History ------------------------------------------------------------------------------------- */

int eg_agent_policy_history(struct eg_agent *agent, const char *app, const char *rev, json_t **ret,
			    struct eg_error *err)
{
	json_t *list = NULL;
	int r;

	pthread_mutex_lock(&agent->apply);
	r = rev ? eg_history_find(agent, app, rev, NULL, ret) : eg_history_list(agent, app, &list);
	pthread_mutex_unlock(&agent->apply);
	if (r < 0)
		return not_found(app, rev, r, err);
	if (!rev)
		*ret = json_pack("{s:s,s:o}", "app", app, "revisions", list);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * plan.c - what a new policy would have said to what an app did
 *
 * Theory of operation. The log's events of the app are added up (seen.h). Then the policy is
 * compiled and written into the kernel's tables under a fresh ruleset id, as if it were to be
 * applied, only that no app points at it; and the loaded program is asked about each of what was
 * seen, with that ruleset in the place of the one in force. So there is no second implementation
 * of the rules. Then the tables go the way of those of a policy that was replaced.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "../lib/revname.h"
#include "../lib/seen.h"
#include "agent_impl.h"

#define BLOCK_BYTES (64u << 10)
#define EVENT_MAX   (64u << 10) /* of an event */

/* ---- The log ----------------------------------------------------------------------------- */

struct lines {
	char *buffer; /* BLOCK_BYTES + EVENT_MAX */
	size_t len;
};

/* Adds the whole lines, keeps the rest. 0 or -ENOMEM. */
static int lines_take(struct lines *lines, struct eg_seen *seen)
{
	char *line = lines->buffer, *end;
	int r = 0;

	while (!r && (end = memchr(line, '\n', lines->len - (size_t)(line - lines->buffer)))) {
		json_t *event = json_loadb(line, (size_t)(end - line), 0, NULL);

		if (event)
			r = eg_seen_add(seen, event);
		json_decref(event);
		line = end + 1;
	}
	lines->len -= (size_t)(line - lines->buffer);
	memmove(lines->buffer, line, lines->len);
	return lines->len >= EVENT_MAX ? -EBADMSG : r;
}

static int read_log(struct eg_events_query *query, struct eg_seen *seen)
{
	EG_FREE char *buffer = malloc(BLOCK_BYTES + EVENT_MAX);
	struct lines lines = {buffer, 0};
	int r = EG_QUERY_MORE;

	if (!buffer)
		return -ENOMEM;
	while (r == EG_QUERY_MORE) {
		size_t len = 0;

		r = eg_events_query_read(query, buffer + lines.len, BLOCK_BYTES, &len);
		lines.len += len;
		if (r >= 0) {
			int taken = lines_take(&lines, seen);

			r = taken < 0 ? taken : r;
		}
	}
	return r < 0 ? r : 0;
}

static int look_back(struct eg_agent *agent, const char *app, const struct eg_plan_request *request,
		     struct eg_seen *ret, struct eg_error *err)
{
	const struct eg_events_filter filter = {
		.app = app, .types = "flow,deny,dns", .last_ns = request->last_ns, .limit = request->limit,
	};
	struct eg_events_query *query;
	int r = agent->events ? eg_events_query_open(agent->events, &filter, &query) : -EAGAIN;

	if (r == -EMFILE || r == -EAGAIN)
		return eg_error_set(err, 503, "busy", "Too many callers read events now; try again.");
	if (!r) {
		r = read_log(query, ret);
		eg_events_query_close(query);
	}
	if (r < 0)
		return eg_error_set(err, 500, "log", "The event log could not be read: %s.", strerror(-r));
	eg_seen_sort(ret);
	return 0;
}

/* ---- The question ---------------------------------------------------------------------------- */

static uint8_t proto_of(const struct eg_seen_one *one)
{
	uint8_t number;

	if (strcmp(one->proto, "icmp") == 0)
		return eg_addr_v4mapped(&one->peer) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return eg_proto_number(one->proto, &number) ? number : 0;
}

/* Asks one question; *ret_reason NONE: allowed. */
static int ask(struct eg_agent *agent, struct eg_question *question, uint32_t *ret_reason, uint32_t *ret_rule)
{
	int r = eg_kern_explain(agent->kern, question);

	if (r < 0)
		return r;
	*ret_reason = question->reason;
	*ret_rule = question->rule;
	return 0;
}

/*
 * By its address, and if that is refused by the name that the app knew it by: that one's addresses
 * would have been granted. Of a question of DNS only whether the name may be looked up.
 */
static int judge(struct eg_agent *agent, const struct eg_question *like, const struct eg_seen_one *one,
		 uint32_t *ret_reason, uint32_t *ret_rule)
{
	struct eg_question question = *like;
	uint32_t reason, rule;
	int r = 0;

	question.dir = one->ingress ? EG_DIR_INGRESS : EG_DIR_EGRESS;
	question.proto = one->dns ? IPPROTO_UDP : proto_of(one);
	question.port = (uint16_t)one->port;
	question.peer = one->peer;
	if (!one->dns)
		r = ask(agent, &question, ret_reason, ret_rule);
	if (r < 0 || (!one->dns && (*ret_reason == EG_REASON_NONE || !one->name || one->ingress)))
		return r;
	question = *like;
	question.dir = EG_DIR_EGRESS;
	question.proto = one->dns ? IPPROTO_UDP : proto_of(one);
	question.port = (uint16_t)one->port;
	question.by_name = 1;
	if (eg_revname_from_text(one->name, strlen(one->name), question.name) < 0)
		return 0;
	r = ask(agent, &question, &reason, &rule);
	if (r < 0)
		return r;
	if (one->dns)
		*ret_reason = reason == EG_REASON_DNS_NAME ? reason : EG_REASON_NONE;
	else if (reason == EG_REASON_NONE || reason == EG_REASON_NO_RULE_PORT)
		*ret_reason = reason;
	if (one->dns || reason == EG_REASON_NONE)
		*ret_rule = rule;
	return 0;
}

/* ---- The answer --------------------------------------------------------------------------------- */

struct answer {
	json_t *denied; /* newly */
	json_t *allowed;
	uint64_t same_allowed;
	uint64_t same_denied;
};

static json_t *one_json(const struct eg_seen_one *one, const struct eg_policy *policy, uint32_t reason, uint32_t rule)
{
	json_t *made =
		json_pack("{s:s,s:s,s:s*,s:I,s:I,s:I,s:I,s:s,s:s}", "direction", one->ingress ? "ingress" : "egress",
			  "proto", one->proto, "name", one->name, "allowed", (json_int_t)one->allowed, "audited",
			  (json_int_t)one->audited, "denied", (json_int_t)one->denied, "bytes", (json_int_t)one->bytes,
			  "first", one->first, "last", one->last);

	if (!one->dns) {
		json_object_set_new(made, "peer", json_string(one->peer_text));
		json_object_set_new(made, "port", json_integer(one->port));
	}
	if (reason == EG_REASON_NONE) {
		const char *id = eg_policy_rule_id(policy, rule);

		json_object_set_new(made, "rule", id ? json_string(id) : json_null());
	} else {
		json_object_set_new(made, "reason", json_string(eg_reason_name(reason)));
	}
	return made;
}

/*
 * What passed, by a rule or by audit, and would not any more; what was refused, or passed by audit
 * alone, and would be allowed.
 */
static void sort_in(struct answer *answer, const struct eg_seen_one *one, const struct eg_policy *policy,
		    uint32_t reason, uint32_t rule)
{
	bool passes = reason == EG_REASON_NONE;

	if (!passes && one->allowed + one->audited + one->spared)
		json_array_append_new(answer->denied, one_json(one, policy, reason, rule));
	else if (passes && one->denied + one->audited + one->spared)
		json_array_append_new(answer->allowed, one_json(one, policy, reason, rule));
	else if (passes)
		answer->same_allowed++;
	else
		answer->same_denied++;
}

/* What is the app's own, its loopback and its resolvers, is judged with the rest: a policy can take it away. */
static int judge_all(struct eg_agent *agent, const struct eg_draft *draft, const struct eg_seen *seen,
		     const struct eg_tables *tables, struct answer *answer)
{
	const struct eg_entry *entry = eg_registry_find(agent, draft->policy->app);
	const struct eg_question like = {.app = entry ? entry->slot : 0, .other = tables->index + 1};
	int r = 0;

	eg_apply_ruleset(agent, like.app, tables, draft->compiled);
	for (size_t i = 0; !r && i < seen->count; i++) {
		uint32_t reason = EG_REASON_NONE, rule = EG_RULE_NONE;

		r = judge(agent, &like, &seen->ones[i], &reason, &rule);
		if (!r)
			sort_in(answer, &seen->ones[i], draft->policy, reason, rule);
	}
	return r;
}

static int plan(struct eg_agent *agent, const struct eg_draft *draft, const struct eg_seen *seen, struct answer *answer,
		struct eg_error *err)
{
	struct eg_tables *tables = NULL;
	int r;

	pthread_mutex_lock(&agent->apply);
	r = eg_tables_make(agent, draft->compiled, &tables);
	if (!r)
		r = judge_all(agent, draft, seen, tables, answer);
	if (r < 0)
		eg_apply_refuse(agent, r, draft->compiled, err);
	eg_tables_discard(agent, tables);
	pthread_mutex_unlock(&agent->apply);
	return r;
}

static int answer_plan(struct eg_agent *agent, const struct eg_draft *draft, const struct eg_plan_request *request,
		       json_t **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_seen_clear) struct eg_seen seen = {0};
	struct answer answer = {.denied = json_array(), .allowed = json_array()};
	int r = look_back(agent, draft->policy->app, request, &seen, err);

	if (!r)
		r = plan(agent, draft, &seen, &answer, err);
	if (!r)
		*ret = json_pack("{s:s,s:s,s:I,s:I,s:O,s:O,s:I,s:I,s:o}", "app", draft->policy->app, "mode",
				 draft->policy->mode == EG_MODE_AUDIT ? "audit" : "enforce", "events",
				 (json_int_t)seen.events, "left_out", (json_int_t)seen.left_out, "newly_denied",
				 answer.denied, "newly_allowed", answer.allowed, "still_allowed",
				 (json_int_t)answer.same_allowed, "still_denied", (json_int_t)answer.same_denied,
				 "warnings", eg_diags_warnings_json(&draft->diags));
	json_decref(answer.denied);
	json_decref(answer.allowed);
	return r;
}

int eg_agent_policy_plan(struct eg_agent *agent, const struct eg_plan_request *request, json_t **ret,
			 struct eg_error *err)
{
	struct eg_draft draft = {0};
	int r = eg_draft_read(agent, NULL, request->text, request->len, false, &draft);

	r = r < 0 ? eg_draft_refuse(&draft, err) : answer_plan(agent, &draft, request, ret, err);
	eg_draft_clear(&draft);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * schema_ecs.c - Elastic Common Schema 9.4
 *
 * What ECS has a field for goes there, in ECS's type and unit; the rest goes under "egret", with the names
 * of the native event. egretd tells nothing as a user would see it: an app is a service (service.name), the
 * task that made the socket a process, Egret itself agent and observer. schema_ecs_class.c says what kind of
 * event it is.
 */
#include "schema_impl.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../lib/addr.h"

/* ---- Who, where, when ---------------------------------------------------------------------------------- */

static void put_moments(struct eg_form *form)
{
	json_int_t ms;

	eg_form_move_text(form, "ts", "@timestamp");
	if (eg_form_number(form, "duration_ms", &ms) && ms >= 0 && ms <= INT64_MAX / 1000000) {
		eg_form_put_int(form, "event.duration", ms * 1000000);
		eg_form_done(form, "duration_ms");
	}
	if (eg_form_moment(form, "start", &(uint64_t){0}))
		eg_form_move_text(form, "start", "event.start");
	if (eg_form_moment(form, "end", &(uint64_t){0}))
		eg_form_move_text(form, "end", "event.end");
	else if (eg_form_is(form, "flow-end"))
		eg_form_put_text(form, "event.end", eg_form_text(form, "ts"));
}

static void put_maker(struct eg_form *form)
{
	char text[128];

	eg_form_put_text(form, "ecs.version", EG_ECS_VERSION);
	eg_form_move_text(form, "event_id", "event.id");
	if (form->has_number) {
		eg_form_put_int(form, "event.sequence", (json_int_t)form->number);
		snprintf(text, sizeof(text), "%.*s-%llu", 96, form->host, (unsigned long long)form->epoch);
		if (strlen(form->host) <= 96)
			eg_form_put_text(form, "agent.ephemeral_id", text);
	}
	eg_form_put_text(form, "agent.type", "egret");
	eg_form_put_text(form, "agent.version", EG_VERSION);
	eg_form_put_text(form, "agent.id", form->host);
	eg_form_put_text(form, "observer.type", "firewall");
	eg_form_put_text(form, "observer.vendor", "Egret");
	eg_form_put_text(form, "observer.product", "Egret");
	eg_form_put_text(form, "observer.version", EG_VERSION);
	eg_form_put_text(form, "observer.hostname", form->host);
	eg_form_put_text(form, "host.id", form->host);
	eg_form_put_text(form, "host.name", form->host);
	eg_form_put_text(form, "host.os.type", "linux");
	eg_form_add_text(form, "related.hosts", form->host);
	if (form->host[0])
		eg_form_done(form, "host");
}

/* As a list of "key=value", which an index takes whatever the keys are. */
static void put_pairs(struct eg_form *form, const char *member, const char *path)
{
	json_t *pairs = json_object_get(form->event, member), *value;
	const char *key;

	json_object_foreach(pairs, key, value)
		if (!json_is_string(value))
			return;
	json_object_foreach(pairs, key, value) {
		json_t *text = json_sprintf("%s=%s", key, json_string_value(value));

		eg_form_add_text(form, path, json_string_value(text));
		form->failed |= !text;
		json_decref(text);
	}
	if (json_object_size(pairs))
		eg_form_done(form, member);
}

/* A key with dots would become an object in an index: it gets underscores, and is told as it is under egret. */
static void put_labels(struct eg_form *form)
{
	json_t *labels = json_object_get(form->event, "labels"), *value;
	bool whole = json_is_object(labels);
	const char *key;

	json_object_foreach(labels, key, value) {
		char path[EG_FORM_WORD_LEN + 8];

		if (!json_is_string(value) || strlen(key) >= EG_FORM_WORD_LEN || !key[0]) {
			whole = false;
			continue;
		}
		snprintf(path, sizeof(path), "labels.%s", key);
		for (char *dot = path + 7; (dot = strchr(dot, '.')); *dot = '_')
			whole = false;
		eg_form_put(form, path, json_incref(value));
	}
	if (whole)
		eg_form_done(form, "labels");
	else
		put_pairs(form, "labels", "egret.labels");
	put_pairs(form, "host_labels", "egret.host_labels");
}

static void put_people(struct eg_form *form)
{
	char uid[EG_FORM_WORD_LEN];
	struct eg_form_actor actor;

	eg_schema_uid(form, uid, sizeof(uid));
	if (uid[0]) {
		eg_form_put_text(form, "process.user.id", uid);
		eg_form_put_text(form, "user.id", uid);
		eg_form_done(form, "uid");
	}
	eg_form_add_text(form, "related.user", uid);
	eg_form_move_int(form, "pid", "process.pid", INT32_MAX);
	eg_form_move_text(form, "comm", "process.name");
	if (eg_form_actor(form, &actor)) {
		eg_form_put_text(form, "user.id", actor.uid);
		eg_form_add_text(form, "related.user", actor.uid);
		if (actor.pid)
			eg_form_put_int(form, "process.pid", actor.pid);
	}
	eg_form_add_text(form, "related.user", eg_form_text(form, "owner"));
}

static void put_policy(struct eg_form *form)
{
	eg_form_move_text(form, "rule", "rule.id");
	eg_form_move_text(form, "policy_rev", "rule.version");
	if (json_object_get(form->out, "rule"))
		eg_form_put_text(form, "rule.ruleset", form->app);
	if (eg_form_is(form, "cap"))
		eg_form_put_text(form, "rule.category", "volume-cap");
	else if (eg_form_is(form, "rate"))
		eg_form_put_text(form, "rule.category", "rate-limit");
	if (!eg_form_move_text(form, "reason", "event.reason"))
		eg_form_move_text(form, "cause", "event.reason");
	eg_form_move_text(form, "app", "service.name");
	eg_form_move_text(form, "catalog_id", "service.id");
}

/* ---- What --------------------------------------------------------------------------------------------------- */

/* `address` takes anything (a hash, for example), `ip` only addresses. */
static void put_end(struct eg_form *form, const char *name, const char *side)
{
	const char *text = eg_form_text(form, name);
	char path[32], port[16];
	struct eg_addr addr;

	snprintf(port, sizeof(port), "%s_port", name);
	snprintf(path, sizeof(path), "%s.port", side);
	eg_form_move_int(form, port, path, UINT16_MAX);
	if (!text || !text[0])
		return;
	if (eg_addr_from_text(text, &addr) == 0) {
		snprintf(path, sizeof(path), "%s.ip", side);
		eg_form_put_text(form, path, text);
		eg_form_add_text(form, "related.ip", text);
		eg_form_put_text(form, "network.type", eg_addr_v4mapped(&addr) ? "ipv4" : "ipv6");
	}
	snprintf(path, sizeof(path), "%s.address", side);
	eg_form_move_text(form, name, path);
}

/* The source is who began the flow: what an app sent is the source's only if it is the app that began. */
static void put_volume(struct eg_form *form, const char *unit, const char *out, const char *in)
{
	json_int_t sent = 0, received = 0;
	char path[32];
	bool any = false;

	snprintf(path, sizeof(path), "%s.%s", form->ingress ? "destination" : "source", unit);
	if (eg_form_number(form, out, &sent))
		any |= eg_form_move_int(form, out, path, INT64_MAX);
	snprintf(path, sizeof(path), "%s.%s", form->ingress ? "source" : "destination", unit);
	if (eg_form_number(form, in, &received))
		any |= eg_form_move_int(form, in, path, INT64_MAX);
	snprintf(path, sizeof(path), "network.%s", unit);
	if (any && sent >= 0 && received >= 0 && !__builtin_add_overflow(sent, received, &sent))
		eg_form_put_int(form, path, sent);
}

static void put_names(struct eg_form *form)
{
	const char *far = eg_schema_far_end(form, "source", "destination");
	json_t *network = json_object_get(form->event, "network");
	const char *region = json_string_value(json_object_get(network, "region"));
	char path[32];

	eg_form_add_text(form, "related.hosts", eg_form_text(form, "name"));
	eg_form_add_text(form, "related.hosts", eg_form_text(form, "sni"));
	if (!eg_form_is(form, "dns")) {
		snprintf(path, sizeof(path), "%s.domain", far);
		eg_form_move_text(form, "name", path);
	}
	eg_form_move_text(form, "sni", "tls.client.server_name");
	eg_form_put_text(form, "network.name", json_is_string(network) ? json_string_value(network) :
						json_string_value(json_object_get(network, "name")));
	snprintf(path, sizeof(path), "%s.geo.name", far);
	eg_form_put_text(form, path, region);
}

static void put_network(struct eg_form *form)
{
	const char *proto = eg_form_text(form, "proto"), *direction = eg_form_text(form, "direction");
	int number = eg_form_protocol(form->event);
	char text[EG_COMMUNITY_ID_LEN];

	put_end(form, form->answer ? "dst" : "src", "source");
	put_end(form, form->answer ? "src" : "dst", "destination");
	if (direction && (form->ingress || form->answer || strcmp(direction, "egress") == 0)) {
		eg_form_put_text(form, "network.direction", form->ingress ? "ingress" : "egress");
		eg_form_done(form, "direction");
	}
	if (number >= 0) {
		snprintf(text, sizeof(text), "%d", number);
		eg_form_put_text(form, "network.iana_number", text);
		eg_form_put_text(form, "network.transport", number == IPPROTO_ICMPV6 ? "ipv6-icmp" : proto);
		eg_form_done(form, "proto");
	}
	if (eg_community_id(form->event, text) == 0)
		eg_form_put_text(form, "network.community_id", text);
	if (eg_form_is(form, "flow") || eg_form_is(form, "deny") || eg_form_is(form, "dns")) {
		put_volume(form, "bytes", "bytes_out", "bytes_in");
		put_volume(form, "packets", "packets_out", "packets_in");
	}
	put_names(form);
}

static void put_answers(struct eg_form *form, const char *name)
{
	json_t *addresses = json_object_get(form->event, "addresses"), *value, *answers = json_array();
	json_int_t ttl = -1;
	size_t i;

	eg_form_number(form, "ttl", &ttl);
	json_array_foreach(addresses, i, value) {
		const char *text = json_string_value(value);
		struct eg_addr addr;
		json_t *answer;

		if (!text || eg_addr_from_text(text, &addr) < 0)
			continue;
		answer = json_pack("{s:s,s:s,s:s,s:s*}", "data", text, "class", "IN", "type",
				   eg_addr_v4mapped(&addr) ? "A" : "AAAA", "name", name);
		if (ttl >= 0)
			json_object_set_new(answer, "ttl", json_integer(ttl));
		if (json_array_append_new(answers, answer) < 0)
			form->failed = true;
		eg_form_add_text(form, "dns.resolved_ip", text);
		eg_form_add_text(form, "related.ip", text);
	}
	if (json_array_size(answers) && json_array_size(answers) == json_array_size(addresses))
		eg_form_done(form, "addresses");
	if (json_array_size(answers))
		eg_form_put(form, "dns.answers", json_incref(answers));
	json_decref(answers);
}

static void put_dns(struct eg_form *form)
{
	const char *name = eg_form_text(form, "name");

	eg_form_put_text(form, "network.protocol", "dns");
	eg_form_put_text(form, "dns.op_code", "QUERY");
	eg_form_put_text(form, "dns.type", eg_form_is(form, "dns-refused") ? "query" : "answer");
	eg_form_put_text(form, "dns.question.class", "IN");
	eg_form_move_text(form, "qtype", "dns.question.type");
	put_answers(form, name);
	if (eg_form_is(form, "dns-learned") || eg_form_is(form, "dns-prefetched"))
		eg_form_put_text(form, "dns.response_code", "NOERROR");
	eg_form_move_text(form, "name", "dns.question.name");
}

/* Members of one matter, under one name. */
static void put_group(struct eg_form *form)
{
	static const struct {
		const char *action;
		const char *member;
		const char *path;
	} rows[] = {
		{"cap", "percent", "egret.cap.percent"},
		{"cap", "limit_bytes", "egret.cap.limit_bytes"},
		{"cap", "used_bytes", "egret.cap.used_bytes"},
		{"cap", "window_s", "egret.cap.window_s"},
		{"cap", "window_end", "egret.cap.window_end"},
		{"rate", "limit_bits_per_s", "egret.rate.limit_bits_per_s"},
		{"rate", "limit_flows_per_min", "egret.rate.limit_flows_per_min"},
		{"rate", "limit_queries_per_min", "egret.rate.limit_queries_per_min"},
		{"kill", "flows", "egret.revoke.flows_killed"},
		{"kill", "sockets", "egret.revoke.sockets"},
		{"kill", "took_us", "egret.revoke.latency_us"},
		{"kill", "stored_us", "egret.revoke.stored_us"},
		{"kill", "durable", "egret.revoke.durable"},
		{"kill", "layer", "egret.revoke.layer"},
		{"alert", "alert", "egret.alert.name"},
		{"alert", "over", "egret.alert.over"},
		{"alert", "value", "egret.alert.value"},
		{"alert", "window_s", "egret.alert.window_s"},
		{"alert", "from", "egret.alert.from"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (eg_form_is(form, rows[i].action))
			eg_form_move_any(form, rows[i].member, rows[i].path);
}

void eg_schema_ecs(struct eg_form *form)
{
	eg_form_put_message(form, "message");
	put_moments(form);
	put_maker(form);
	eg_ecs_classify(form);
	put_labels(form);
	put_people(form);
	put_policy(form);
	put_network(form);
	if (eg_form_is(form, "dns"))
		put_dns(form);
	put_group(form);
}

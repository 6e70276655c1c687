// SPDX-License-Identifier: Apache-2.0
/*
 * schema_ocsf.c - Open Cybersecurity Schema Framework 1.8
 *
 * schema_ocsf_class.c says which class an event is of; here its attributes are filled in. Times and
 * durations are milliseconds, ids are texts. What OCSF has no attribute for goes under "unmapped", with
 * the names of the native event.
 */
#include "schema_impl.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../lib/addr.h"

#define MS 1000000u

/* ---- What every event has ------------------------------------------------------------------------------- */

/* {"team":"hr"} becomes [{"name":"team","value":"hr"}]. */
static void put_tags(struct eg_form *form)
{
	json_t *labels = json_object_get(form->event, "labels"), *value, *tags;
	const char *key;

	if (!json_object_size(labels))
		return;
	json_object_foreach(labels, key, value)
		if (!json_is_string(value))
			return;
	tags = json_array();
	json_object_foreach(labels, key, value)
		if (json_array_append_new(tags, json_pack("{s:s,s:O}", "name", key, "value", value)) < 0)
			form->failed = true;
	eg_form_put(form, "metadata.tags", tags);
	eg_form_done(form, "labels");
}

static void put_metadata(struct eg_form *form)
{
	json_int_t schema;
	char text[32];

	eg_form_put_text(form, "metadata.version", EG_OCSF_VERSION);
	eg_form_put_text(form, "metadata.product.name", "Egret");
	eg_form_put_text(form, "metadata.product.vendor_name", "Egret");
	eg_form_put_text(form, "metadata.product.version", EG_VERSION);
	eg_form_put_text(form, "metadata.log_name", "egret");
	eg_form_put_text(form, "metadata.log_provider", "egretd");
	eg_form_put_text(form, "metadata.event_code", form->action);
	eg_form_add_text(form, "metadata.profiles", "host");
	if (json_object_get(form->out, "disposition_id") || json_object_get(form->out, "is_alert"))
		eg_form_add_text(form, "metadata.profiles", "security_control");
	if (form->has_number && form->number <= INT32_MAX) /* integer_t; uid has it in any case */
		eg_form_put_int(form, "metadata.sequence", (json_int_t)form->number);
	if (eg_form_number(form, "schema", &schema)) {
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, schema);
		eg_form_put_text(form, "metadata.log_version", text);
		eg_form_done(form, "schema");
	}
	eg_form_move_text(form, "event_id", "metadata.uid");
	eg_form_move_text(form, "request_id", "metadata.correlation_uid");
	eg_form_move_text(form, "ts", "metadata.original_time");
	eg_form_done(form, "type");
	put_tags(form);
}

static void put_device(struct eg_form *form)
{
	const char *host = form->host[0] ? form->host : "localhost";

	eg_form_put_text(form, "device.uid", host);
	eg_form_put_text(form, "device.hostname", host);
	eg_form_put_int(form, "device.type_id", 1);
	eg_form_put_text(form, "device.type", "Server");
	eg_form_put_text(form, "device.os.name", "Linux");
	eg_form_put_int(form, "device.os.type_id", 200);
	eg_form_put_text(form, "device.os.type", "Linux");
	if (form->host[0])
		eg_form_done(form, "host");
}

/* Only what is known: an empty actor or process would break their rules. */
static void put_actor(struct eg_form *form)
{
	struct eg_form_actor actor;
	char uid[EG_FORM_WORD_LEN];

	eg_schema_uid(form, uid, sizeof(uid));
	if (uid[0])
		eg_form_done(form, "uid");
	if (eg_form_move_int(form, "pid", "actor.process.pid", INT32_MAX)) {
		eg_form_move_text(form, "comm", "actor.process.name");
		eg_form_put_text(form, "actor.process.user.uid", uid);
	} else {
		eg_form_put_text(form, "actor.user.uid", uid);
	}
	if (!eg_form_actor(form, &actor))
		return;
	eg_form_put_text(form, "actor.user.uid", actor.uid);
	eg_form_put_text(form, "actor.app_name", actor.via);
	if (actor.pid)
		eg_form_put_int(form, "actor.process.pid", actor.pid);
	if (actor.whole)
		eg_form_done(form, "actor");
}

static void put_moments(struct eg_form *form)
{
	uint64_t ns;

	eg_form_put_int(form, "time", (json_int_t)(form->ts_ns / MS));
	eg_form_move_int(form, "duration_ms", "duration", INT64_MAX);
	if (eg_form_moment(form, "start", &ns)) {
		eg_form_put_int(form, "start_time", (json_int_t)(ns / MS));
		eg_form_done(form, "start");
	}
	if (eg_form_moment(form, "end", &ns)) {
		eg_form_put_int(form, "end_time", (json_int_t)(ns / MS));
		eg_form_done(form, "end");
	} else if (eg_form_is(form, "flow-end")) {
		eg_form_put_int(form, "end_time", (json_int_t)(form->ts_ns / MS));
	}
}

/* ---- Network ------------------------------------------------------------------------------------------------ */

/* An address that was hashed is no address any more, but still tells one end from another. */
static void put_end(struct eg_form *form, const char *name, const char *side)
{
	const char *text = eg_form_text(form, name);
	char path[64], port[16];
	struct eg_addr addr;
	bool ip = text && eg_addr_from_text(text, &addr) == 0;

	snprintf(port, sizeof(port), "%s_port", name);
	snprintf(path, sizeof(path), "%s.port", side);
	eg_form_move_int(form, port, path, UINT16_MAX);
	snprintf(path, sizeof(path), "%s.%s", side, ip ? "ip" : "uid");
	eg_form_move_text(form, name, path);
	if (!ip)
		return;
	if (eg_addr_v4mapped(&addr)) {
		eg_form_put_int(form, "connection_info.protocol_ver_id", 4);
		eg_form_put_text(form, "connection_info.protocol_ver", "Internet Protocol version 4 (IPv4)");
	} else {
		eg_form_put_int(form, "connection_info.protocol_ver_id", 6);
		eg_form_put_text(form, "connection_info.protocol_ver", "Internet Protocol version 6 (IPv6)");
	}
}

/* The end on this host is this host, the other one what the names say. */
static void put_ends(struct eg_form *form)
{
	const char *near = eg_schema_far_end(form, "dst_endpoint", "src_endpoint");
	const char *far = eg_schema_far_end(form, "src_endpoint", "dst_endpoint");
	json_t *network = json_object_get(form->event, "network");
	char path[64];

	put_end(form, form->answer ? "dst" : "src", "src_endpoint");
	put_end(form, form->answer ? "src" : "dst", "dst_endpoint");
	snprintf(path, sizeof(path), "%s.hostname", near);
	eg_form_put_text(form, path, form->host[0] ? form->host : "localhost");
	if (!json_object_get(form->out, far))
		return;
	snprintf(path, sizeof(path), "%s.zone", far);
	if (json_is_string(network))
		eg_form_move_text(form, "network", path);
	else
		eg_form_put_text(form, path, json_string_value(json_object_get(network, "name")));
	snprintf(path, sizeof(path), "%s.domain", far);
	if (!eg_form_is(form, "dns"))
		eg_form_move_text(form, "name", path);
}

static void put_connection(struct eg_form *form)
{
	const char *direction = eg_form_text(form, "direction");
	int number = eg_form_protocol(form->event);
	char text[EG_COMMUNITY_ID_LEN];
	bool outbound = form->answer || (direction && strcmp(direction, "egress") == 0);

	eg_form_put_int(form, "connection_info.direction_id", form->ingress ? 1 : outbound ? 2 : 0);
	eg_form_put_text(form, "connection_info.direction",
			 form->ingress ? "Inbound" : outbound ? "Outbound" : "Unknown");
	if (form->ingress || outbound)
		eg_form_done(form, "direction");
	if (number >= 0) {
		eg_form_put_int(form, "connection_info.protocol_num", number);
		eg_form_put_text(form, "connection_info.protocol_name",
				 number == IPPROTO_ICMPV6 ? "ipv6-icmp" : eg_form_text(form, "proto"));
		eg_form_done(form, "proto");
	}
	if (eg_community_id(form->event, text) == 0)
		eg_form_put_text(form, "connection_info.community_uid", text);
	eg_form_move_text(form, "flow_id", "connection_info.uid");
}

/* bytes_out is what the source sent: the app's only if it is the app that began. */
static void put_volume(struct eg_form *form, const char *unit, const char *sent, const char *received)
{
	json_int_t out = 0, in = 0;
	char path[32];
	bool any;

	eg_form_number(form, sent, &out);
	eg_form_number(form, received, &in);
	snprintf(path, sizeof(path), "traffic.%s_out", unit);
	any = eg_form_move_int(form, form->ingress ? received : sent, path, INT64_MAX);
	snprintf(path, sizeof(path), "traffic.%s_in", unit);
	any |= eg_form_move_int(form, form->ingress ? sent : received, path, INT64_MAX);
	snprintf(path, sizeof(path), "traffic.%s", unit);
	if (any && out >= 0 && in >= 0 && !__builtin_add_overflow(out, in, &out))
		eg_form_put_int(form, path, out);
}

static void put_policy(struct eg_form *form)
{
	const char *rev = eg_form_text(form, "policy_rev");

	if (rev && form->app) {
		eg_form_put_text(form, "policy.name", form->app);
		eg_form_put_bool(form, "policy.is_applied", !eg_schema_audited(form));
		eg_form_move_text(form, "policy_rev", "policy.version");
	}
	eg_form_move_text(form, "rule", "firewall_rule.uid");
}

static void put_network(struct eg_form *form)
{
	put_connection(form);
	put_ends(form);
	put_volume(form, "bytes", "bytes_out", "bytes_in");
	put_volume(form, "packets", "packets_out", "packets_in");
	put_policy(form);
	eg_form_move_text(form, "app", "app_name");
}

static void put_dns(struct eg_form *form)
{
	json_t *addresses = json_object_get(form->event, "addresses"), *value;
	const char *name = eg_form_text(form, "name");
	json_int_t ttl = -1;
	json_t *answers;
	size_t i;

	if (name && name[0]) {
		eg_form_move_text(form, "name", "query.hostname");
		eg_form_put_text(form, "query.class", "IN");
		eg_form_put_int(form, "query.opcode_id", 0);
		eg_form_put_text(form, "query.opcode", "Query");
		eg_form_move_text(form, "qtype", "query.type");
	}
	if (eg_form_is(form, "dns-learned") || eg_form_is(form, "dns-prefetched")) {
		eg_form_put_int(form, "rcode_id", 0);
		eg_form_put_text(form, "rcode", "NoError");
	}
	if (!json_array_size(addresses))
		return;
	answers = json_array();
	eg_form_number(form, "ttl", &ttl);
	json_array_foreach(addresses, i, value) {
		const char *text = json_string_value(value);
		struct eg_addr addr;
		json_t *answer;

		if (!text || eg_addr_from_text(text, &addr) < 0)
			continue;
		answer = json_pack("{s:s,s:s,s:s}", "rdata", text, "class", "IN", "type",
				   eg_addr_v4mapped(&addr) ? "A" : "AAAA");
		if (ttl >= 0 && ttl <= INT32_MAX)
			json_object_set_new(answer, "ttl", json_integer(ttl));
		if (json_array_append_new(answers, answer) < 0)
			form->failed = true;
	}
	if (json_array_size(answers) == json_array_size(addresses))
		eg_form_done(form, "addresses");
	eg_form_put(form, "answers", answers);
}

/* ---- The other classes -------------------------------------------------------------------------------------- */

/* What an entity, or an app, is named after: a policy its app. */
static const char *subject(const struct eg_form *form)
{
	const char *cgroup = eg_form_text(form, "cgroup");

	if (eg_form_is(form, "agent-tag") && cgroup && cgroup[0])
		return cgroup;
	return form->app && form->app[0] ? form->app : "*";
}

static void put_entity(struct eg_form *form)
{
	const char *name = subject(form);

	eg_form_move_text(form, "cause", "comment");
	eg_form_put_text(form, "entity.name", name);
	if (eg_form_is(form, "agent-tag")) {
		eg_form_put_text(form, "entity.type", "cgroup");
		eg_form_done(form, "cgroup");
		return;
	}
	eg_form_put_text(form, "entity.type", "Policy");
	eg_form_put_int(form, "entity.type_id", 5);
	eg_form_put_text(form, "entity.uid", name);
	eg_form_put_text(form, "entity.policy.name", name);
	eg_form_put_text(form, "entity.policy.uid", name);
	eg_form_put_bool(form, "entity.policy.is_applied", !eg_form_is(form, "policy-delete"));
	eg_form_put_text(form, "entity.policy.version", eg_form_text(form, "policy_rev"));
	eg_form_move_text(form, "policy_rev", "entity.version");
	eg_form_done(form, "app");
}

/* Of the agent's own events the application is Egret; of the others, an app, or all of them. */
static void put_app(struct eg_form *form)
{
	if (!eg_form_text(form, "reason"))
		eg_form_move_text(form, "cause", "status_detail");
	if (eg_form_is(form, "agent")) {
		eg_form_put_text(form, "app.name", "Egret");
		eg_form_put_text(form, "app.vendor_name", "Egret");
		eg_form_put_text(form, "app.version", EG_VERSION);
		return;
	}
	eg_form_put_text(form, "app.name", subject(form));
	eg_form_done(form, "app");
	eg_form_move_text(form, "catalog_id", "app.uid");
	eg_form_put_text(form, "policy.name", form->app);
	if (form->app)
		eg_form_move_text(form, "policy_rev", "policy.version");
}

static void put_finding(struct eg_form *form)
{
	const char *app = form->app && form->app[0] ? form->app : NULL;

	eg_form_put_text(form, "finding_info.uid", form->id);
	eg_form_put_text(form, "finding_info.title", form->action);
	eg_form_put_int(form, "finding_info.created_time", (json_int_t)(form->ts_ns / MS));
	eg_form_move_text(form, "cause", "finding_info.desc");
	eg_form_add_text(form, "finding_info.data_sources", "egretd");
	if (eg_form_move_text(form, "alert", "finding_info.analytic.name")) {
		eg_form_put_int(form, "finding_info.analytic.type_id", 1);
		eg_form_put_text(form, "finding_info.analytic.type", "Rule");
	}
	if (!app)
		return;
	eg_form_put(form, "resources", json_pack("[{s:s,s:s}]", "name", app, "type", "Application"));
	eg_form_put_text(form, "policy.name", app);
	eg_form_move_text(form, "policy_rev", "policy.version");
	eg_form_done(form, "app");
}

void eg_schema_ocsf(struct eg_form *form)
{
	const struct eg_ocsf_class *class = eg_ocsf_classify(form);

	put_metadata(form);
	put_device(form);
	put_actor(form);
	put_moments(form);
	eg_form_put_message(form, "message");
	switch (eg_ocsf_class_uid(class)) {
	case 2004:
		put_finding(form);
		break;
	case 3004:
		put_entity(form);
		break;
	case 4001:
		put_network(form);
		break;
	case 4003:
		put_network(form);
		put_dns(form);
		break;
	case 6002:
		put_app(form);
		break;
	default:
		if (!eg_form_move_text(form, "cause", "status_detail"))
			eg_form_move_text(form, "error", "status_detail");
		break;
	}
	eg_form_move_text(form, "reason", "status_detail");
	/* integer_t has 32 bits */
	if (!eg_form_is(form, "kill") && !eg_form_move_int(form, "flows", "count", INT32_MAX))
		eg_form_move_int(form, "events", "count", INT32_MAX);
}

// SPDX-License-Identifier: Apache-2.0
#include "event.h"

#include <inttypes.h>
#include <string.h>

#include "../lib/units.h"
#include "cli.h"
#include "text.h"

#define ADDRESSES_SHOWN 4

char *eg_event_end(const json_t *event, const char *address, const char *port)
{
	const char *text = eg_json_text(event, address);
	bool v6 = text && strchr(text, ':');
	uint64_t number = eg_json_u64(event, port);
	char *end;
	int n;

	if (!text)
		text = "?";
	if (number)
		n = asprintf(&end, "%s%s%s:%" PRIu64, v6 ? "[" : "", text, v6 ? "]" : "", number);
	else
		n = asprintf(&end, "%s", text);
	return n < 0 ? NULL : end;
}

const char *eg_event_peer_name(const json_t *event)
{
	const char *name = eg_json_text(event, "name");

	return name ? name : eg_json_text(event, "sni");
}

static void put_route(FILE *out, const json_t *event)
{
	EG_FREE char *from = eg_event_end(event, "src", "src_port"), *to = eg_event_end(event, "dst", "dst_port");
	const char *proto = eg_json_text(event, "proto");
	const char *direction = eg_json_text(event, "direction");

	fprintf(out, "%s ", proto ? proto : "-");
	if (direction && strcmp(direction, "ingress") == 0)
		fprintf(out, "from %s to %s", from ? from : "?", to ? to : "?");
	else
		fprintf(out, "to %s", to ? to : "?");
}

static void put_ends(FILE *out, const json_t *event)
{
	const char *name = eg_event_peer_name(event), *sni = eg_json_text(event, "sni");

	put_route(out, event);
	if (name && sni && strcmp(name, sni) != 0)
		fprintf(out, " (%s, asked for %s)", name, sni);
	else if (name)
		fprintf(out, " (%s%s)", name, eg_json_true(event, "verified") ? ", verified" : "");
}

static void put_member(FILE *out, const json_t *event, const char *key)
{
	const char *text = eg_json_text(event, key);

	if (text)
		fprintf(out, " %s=%s", key, text);
}

static void put_process(FILE *out, const json_t *event)
{
	const char *comm = eg_json_text(event, "comm");
	uint64_t pid = eg_json_u64(event, "pid");

	if (pid)
		fprintf(out, " by %s[%" PRIu64 "] uid %" PRIu64, comm ? comm : "?", pid, eg_json_u64(event, "uid"));
}

static void put_flow(FILE *out, const json_t *event)
{
	const char *phase = eg_json_text(event, "phase"), *verdict = eg_json_text(event, "verdict");
	char sent[48], received[48], span[48];

	fprintf(out, "%-6s ", phase ? phase : "-");
	put_ends(out, event);
	fprintf(out, " out %s in %s",
		eg_units_bytes_text(eg_json_u64(event, "bytes_out"), sent, sizeof(sent)),
		eg_units_bytes_text(eg_json_u64(event, "bytes_in"), received, sizeof(received)));
	if (phase && strcmp(phase, "start") != 0)
		fprintf(out, " after %s",
			eg_units_span_text(eg_json_u64(event, "duration_ms") * 1000000, span, sizeof(span)));
	put_member(out, event, "rule");
	if (verdict && strcmp(verdict, "allow") != 0) {
		put_member(out, event, "verdict");
		put_member(out, event, "reason");
	}
	put_process(out, event);
}

static void put_deny(FILE *out, const json_t *event)
{
	const char *reason = eg_json_text(event, "reason"), *verdict = eg_json_text(event, "verdict");

	fprintf(out, "%s ", reason ? reason : "-");
	put_ends(out, event);
	if (verdict && strcmp(verdict, "deny") != 0)
		fprintf(out, " (let through: %s)", verdict);
	put_member(out, event, "hook");
	put_process(out, event);
}

static void put_addresses(FILE *out, const json_t *event)
{
	const json_t *addresses = json_object_get(event, "addresses");
	uint64_t count = eg_json_u64(event, "address_count");
	EG_FREE char *list = eg_json_list(addresses, ADDRESSES_SHOWN);
	char span[48];

	if (!json_array_size(addresses) || !list)
		return;
	fprintf(out, " %s", list);
	if (count > json_array_size(addresses))
		fprintf(out, " (%" PRIu64 " in all)", count);
	fprintf(out, " for %s", eg_units_span_text(eg_json_u64(event, "ttl") * 1000000000, span, sizeof(span)));
}

static void put_dns(FILE *out, const json_t *event)
{
	const char *action = eg_json_text(event, "action"), *name = eg_json_text(event, "name");
	const char *qtype = eg_json_text(event, "qtype"), *reason = eg_json_text(event, "reason");
	const char *verdict = eg_json_text(event, "verdict");

	fprintf(out, "%s %s%s%s", action ? action : "-", name ? name : "?", qtype ? " " : "", qtype ? qtype : "");
	put_addresses(out, event);
	if (reason)
		fprintf(out, " %s", reason);
	fprintf(out, ", ");
	put_route(out, event);
	if (verdict && strcmp(verdict, "audit") == 0)
		fprintf(out, " (let through: audit)");
	put_process(out, event);
}

/* Whatever it has, as key=value: kinds that this program doesn't know are shown, too. */
static void put_rest(FILE *out, const json_t *event)
{
	static const char *const known[] = {"schema", "ts",	"type",	  "event_id", "host", "app",
					    "owner",  "ticket", "labels", "cgroup",   "seq",  "policy_rev",
					    "catalog_id", "request_id", "log"};
	const char *key, *separator = "", *type = eg_json_text(event, "type");
	bool told = type && (strcmp(type, "kill") == 0 || strcmp(type, "restore") == 0); /* the incident's, not the policy's */
	json_t *value;

	json_object_foreach((json_t *)event, key, value) {
		EG_FREE char *text = NULL;
		bool skip = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			skip = skip || strcmp(key, known[i]) == 0;
		if (skip && !(told && strcmp(key, "ticket") == 0))
			continue;
		text = json_is_string(value) && !strchr(json_string_value(value), ' ')
			       ? strdup(json_string_value(value))
			       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		fprintf(out, "%s%s=%s", separator, key, text ? text : "?");
		separator = " ";
	}
}

char *eg_event_line(const json_t *event)
{
	const char *ts = eg_json_text(event, "ts"), *type = eg_json_text(event, "type"), *app = eg_json_text(event, "app");
	char *line = NULL, moment[64];
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (!out)
		return NULL;
	fprintf(out, "%s  %-8s %-20s ", ts ? eg_text_moment(ts, 3, moment, sizeof(moment)) : "-", type ? type : "-",
		app ? app : "-");
	if (type && strcmp(type, "flow") == 0)
		put_flow(out, event);
	else if (type && strcmp(type, "deny") == 0)
		put_deny(out, event);
	else if (type && strcmp(type, "dns") == 0)
		put_dns(out, event);
	else
		put_rest(out, event);
	if (fclose(out)) {
		free(line);
		return NULL;
	}
	return line;
}

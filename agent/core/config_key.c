// SPDX-License-Identifier: Apache-2.0
/*
 * config_key.c - the keys of the configuration
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "../lib/sink_config.h"
#include "../lib/units.h"
#include "config_impl.h"

#define NS_PER_S     1000000000ull
#define EVENT_NS_MAX (60 * NS_PER_S) /* an event a minute, at least */
#define BURST_MAX    1000000u

#define FIELD(field) offsetof(struct eg_config, field)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct eg_config_key *find(const struct eg_config_key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int read_object(const struct eg_config_reader *reader, const struct eg_config_key *keys, size_t count,
		       const json_t *object)
{
	const char *name;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)object, name, value) {
		const struct eg_config_key *key = find(keys, count, name);

		if (!key)
			return eg_config_complain(reader, name, "is not a key; see egretd(8) for those there are");
		r = key->read(reader, key, value);
		if (r)
			return r;
	}
	return 0;
}

/* The object under a key of the root object. */
static int read_section(const struct eg_config_reader *reader, const struct eg_config_key *key, const char *section,
			const struct eg_config_key *keys, size_t count, const json_t *value)
{
	struct eg_config_reader inner = *reader;

	if (!json_is_object(value))
		return eg_config_complain(reader, key->name, "must be an object, such as {\"%s\": ...}", keys[0].name);
	inner.section = section;
	return read_object(&inner, keys, count, value);
}

/* ---- cgroup_root, unknown_cgroup ---------------------------------------------------------------- */

static int read_root_keys(const struct eg_config_reader *reader, const json_t *object, struct eg_config_root *root)
{
	const char *name;
	json_t *value;
	int r;

	json_object_foreach((json_t *)object, name, value) {
		if (!strcmp(name, "path"))
			continue;
		if (!strcmp(name, "create")) {
			if (!json_is_boolean(value))
				return eg_config_complain(reader, name, "must be true or false");
			root->create = json_is_true(value);
		} else if (!strcmp(name, "unknown")) {
			r = eg_config_unknown_of(reader, name, value, &root->unknown);
			if (r)
				return r;
			root->unknown_given = true;
		} else {
			return eg_config_complain(reader, name, "is not a key; there are \"path\", \"create\" and \"unknown\"");
		}
	}
	return 0;
}

static int read_one_root(const struct eg_config_reader *reader, const json_t *value)
{
	struct eg_config_reader inner = *reader;
	const json_t *path = json_is_object(value) ? json_object_get(value, "path") : value;
	int r;

	inner.section = json_is_object(value) ? "cgroup_root." : "";
	if (!json_is_string(path) && !json_is_object(value))
		return eg_config_complain(reader, "cgroup_root",
					  "must be a path, {\"path\": ..., \"create\": true}, or a list of those");
	r = json_is_string(path) ? eg_config_append_root(reader->config, json_string_value(path)) : -EINVAL;
	if (r == -EINVAL)
		return eg_config_complain(&inner, json_is_object(value) ? "path" : "cgroup_root", EG_CONFIG_ROOT_WANTED);
	if (r || !json_is_object(value))
		return r;
	return read_root_keys(&inner, value, &reader->config->roots[reader->config->root_count - 1]);
}

static int read_roots(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	int r = 0;

	eg_config_clear_roots(reader->config);
	if (!json_is_array(value))
		return read_one_root(reader, value);
	if (!json_array_size(value))
		return eg_config_complain(reader, key->name, "is an empty list; name at least one cgroup");
	for (size_t i = 0; !r && i < json_array_size(value); i++)
		r = read_one_root(reader, json_array_get(value, i));
	return r;
}

/* Also of the roots that are there already, so that the order of keys and flags doesn't matter. */
static int read_unknown(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	struct eg_config *config = reader->config;
	int r = eg_config_unknown_of(reader, key->name, value, &config->unknown);

	for (size_t i = 0; !r && i < config->root_count; i++)
		if (!config->roots[i].unknown_given)
			config->roots[i].unknown = config->unknown;
	return r;
}

/* ---- events --------------------------------------------------------------------------------------- */

static int read_rate(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	uint64_t count = 0, per_ns = 0;

	if (!json_is_string(value) || eg_units_count_rate(json_string_value(value), &count, &per_ns) ||
	    per_ns / count > EVENT_NS_MAX)
		return eg_config_complain(reader, key->name, "must be a rate of 1/min or more, such as \"1000/s\"");
	reader->config->event_ns = (per_ns + count - 1) / count;
	return 0;
}

/* Events, until read_events makes it a time of them. */
static int read_burst(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	const char *text = json_string_value(value);
	json_int_t burst = json_integer_value(value);

	if (text && text[0] && strlen(text) < 10 && !text[strspn(text, "0123456789")])
		burst = atoll(text);
	if (burst < 1 || burst > BURST_MAX)
		return eg_config_complain(reader, key->name, "must be a number of events from 1 to %u", BURST_MAX);
	reader->config->event_burst_ns = (uint64_t)burst;
	return 0;
}

static const struct eg_config_key event_keys[] = {
	{.name = "rate", .read = read_rate},
	{.name = "burst", .read = read_burst},
	{"ring", eg_config_read_ring, FIELD(ring_bytes), 64u << 10, 1u << 30},
	{"priority_ring", eg_config_read_ring, FIELD(priority_ring_bytes), 64u << 10, 1u << 30},
};

static int read_events(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	struct eg_config *config = reader->config;
	int r;

	config->event_burst_ns /= config->event_ns;
	r = read_section(reader, key, "events.", event_keys, COUNT(event_keys), value);
	config->event_burst_ns *= config->event_ns;
	return r;
}

/* ---- The other sections ------------------------------------------------------------------------------ */

static const struct eg_config_key limit_keys[] = {
	{"sockets", eg_config_read_u32, FIELD(sockets_max), 1, 16u << 20},
	{"udp_peers", eg_config_read_u32, FIELD(peers_max), 1, 1u << 20},
	{"grants", eg_config_read_u32, FIELD(grants_max), 16, 1u << 16},
};

static int read_limits(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	return read_section(reader, key, "limits.", limit_keys, COUNT(limit_keys), value);
}

static const struct eg_config_key group_keys[] = {
	{"admin", eg_config_read_text, FIELD(group_admin), 0, 255},
	{"responder", eg_config_read_text, FIELD(group_responder), 0, 255},
	{"viewer", eg_config_read_text, FIELD(group_viewer), 0, 255},
};

static int read_groups(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	return read_section(reader, key, "groups.", group_keys, COUNT(group_keys), value);
}

static int read_guardrails(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	char why[400];
	int r = eg_guardrails_parse(value, &reader->config->guardrails, why, sizeof(why));

	return r == -EINVAL ? eg_config_complain(reader, key->name, "can't be used: %s", why) : r;
}

static int read_networks(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	char why[400];
	int r = eg_networks_parse(value, &reader->config->networks, why, sizeof(why));

	return r == -EINVAL ? eg_config_complain(reader, key->name, "can't be used: %s", why) : r;
}

static int read_control(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	struct eg_control_config *control = NULL;
	int r = eg_control_config_parse(reader->place, value, &control, reader->err);

	(void)key;
	if (r)
		return r;
	eg_control_config_free(reader->config->control);
	reader->config->control = control;
	return 0;
}

/* Read whole here, so that a mistake is found before anything starts; egret-ship reads the same text again. */
static int read_sinks(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	bool routes = key->offset == FIELD(routes);
	json_t **field = routes ? &reader->config->routes : &reader->config->sinks, *copy;
	struct eg_sinks_config sinks;
	int r = routes ? eg_routes_config_parse(reader->place, value, &sinks, reader->err) :
			 eg_sinks_config_parse(reader->place, value, &sinks, reader->err);

	if (r)
		return r;
	eg_sinks_config_free(&sinks);
	copy = json_deep_copy(value);
	if (!copy)
		return -ENOMEM;
	json_decref(*field);
	*field = copy;
	return 0;
}

/* ---- The root object ------------------------------------------------------------------------------------ */

static const struct eg_config_key root_keys[] = {
	{.name = "cgroup_root", .read = read_roots},
	{.name = "unknown_cgroup", .read = read_unknown},
	{"policy_dir", eg_config_read_text, FIELD(policy_dir), 0, PATH_MAX - 1},
	{"socket", eg_config_read_text, FIELD(socket), 0, PATH_MAX - 1},
	{"bpffs", eg_config_read_text, FIELD(bpffs), 0, PATH_MAX - 1},
	{"state_dir", eg_config_read_text, FIELD(state_dir), 0, PATH_MAX - 1},
	{"log_dir", eg_config_read_text, FIELD(log_dir), 0, PATH_MAX - 1},
	{"resolv_conf", eg_config_read_text, FIELD(resolv_conf), 0, PATH_MAX - 1},
	{"helper_user", eg_config_read_text, FIELD(helper_user), 0, 255},
	{"ship_user", eg_config_read_text, FIELD(ship_user), 0, 255},
	{"max_apps", eg_config_read_u32, FIELD(max_apps), 1, 100000},
	{"max_rules", eg_config_read_u32, FIELD(max_rules), 1, 4000000},
	{"max_names", eg_config_read_u32, FIELD(max_names), 1, 1000000},
	{"max_lifetime_days", eg_config_read_days, FIELD(max_lifetime_ns), 1, 3650},
	{.name = "metrics_listen", .read = eg_config_read_listen, .offset = FIELD(metrics_listen)},
	{"metrics_token_file", eg_config_read_text, FIELD(metrics_token_file), 0, PATH_MAX - 1},
	{.name = "groups", .read = read_groups},
	{.name = "host_labels", .read = eg_config_read_labels, .offset = FIELD(host_labels)},
	{.name = "guardrails", .read = read_guardrails},
	{.name = "networks", .read = read_networks},
	{.name = "alerts", .read = eg_config_read_alerts},
	{"host", eg_config_read_host, FIELD(host), 0, 253},
	{"snapshot_quota", eg_config_read_size, FIELD(snapshot_quota_bytes), 64u << 20, 1ull << 47},
	{"event_quota", eg_config_read_size, FIELD(event_quota_bytes), 1u << 20, 1ull << 47},
	{"event_segment", eg_config_read_size, FIELD(event_segment_bytes), 64u << 10, 4ull << 30},
	{.name = "events", .read = read_events},
	{.name = "limits", .read = read_limits},
	{"grant_floor", eg_config_read_span, FIELD(grant_floor_ns), NS_PER_S, 86400 * NS_PER_S},
	{"grant_ceiling", eg_config_read_span, FIELD(grant_ceiling_ns), NS_PER_S, 31 * 86400 * NS_PER_S},
	{"flow_update", eg_config_read_span_or_off, FIELD(flow_update_ns), NS_PER_S, 86400 * NS_PER_S},
	{"udp_idle", eg_config_read_span, FIELD(udp_idle_ns), NS_PER_S, 3600 * NS_PER_S},
	{"so_mark", eg_config_read_mark, FIELD(so_mark), 0, UINT32_MAX},
	{.name = "socket_families", .read = eg_config_read_off, .offset = FIELD(any_family)},
	{.name = "connect_verdict", .read = eg_config_read_off, .offset = FIELD(late)},
	{.name = "log_level", .read = eg_config_read_level, .offset = FIELD(log_level)},
	{.name = "sinks", .read = read_sinks, .offset = FIELD(sinks)},
	{.name = "routes", .read = read_sinks, .offset = FIELD(routes)},
	{.name = "control", .read = read_control},
};

int eg_config_read_root(const struct eg_config_reader *reader, const json_t *root)
{
	if (!json_is_object(root))
		return eg_error_set(reader->err, 400, "bad_config", "%s: this is no JSON object; write {\"key\": value, ...}",
				    reader->place);
	return read_object(reader, root_keys, COUNT(root_keys), root);
}

const struct eg_config_key *eg_config_key_find(const char *name)
{
	return find(root_keys, COUNT(root_keys), name);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * sink_config_route.c - what an entry of "routes" has otherwise than one of "sinks"
 *
 * A route takes single events, of the kinds that are rare and urgent. A {word} in its URL stands for something of
 * the event; it may stand behind the host only, or an app's policy could choose who gets the token.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sink_config_impl.h"

static int read_selector(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	char why[200];
	int r;

	if (!json_is_string(value))
		return eg_sink_config_complain(reader, key->name, "must be a label selector, such as \"env=prod,team!=red\"");
	r = eg_labels_parse(json_string_value(value), &reader->sink->selector, why, sizeof(why));
	return r == -EINVAL ? eg_sink_config_complain(reader, key->name, "can't be used: %s", why) : r;
}

static int refuse(const struct eg_sink_reader *reader, const struct eg_sink_key *key, const json_t *value)
{
	(void)value;
	return eg_sink_config_complain(reader, key->name, "is not a key of a route, which sends single events at once");
}

const struct eg_sink_key eg_route_keys[] = {
	{.name = "labels", .read = read_selector},
	{.name = "verdicts", .read = refuse},
	{.name = "flows", .read = refuse},
	{.name = "rollup", .read = refuse},
	{.name = "batch", .read = refuse},
	{.name = "dead_letters", .read = refuse},
};
const size_t eg_route_key_count = sizeof(eg_route_keys) / sizeof(eg_route_keys[0]);

static const char *const usual[] = {"alert", "kill", "restore", "expire"};

int eg_route_config_defaults(struct eg_sink_config *route)
{
	const size_t count = sizeof(usual) / sizeof(usual[0]);

	if (route->type == EG_SINK_WEBHOOK && !route->content_type && !(route->content_type = strdup("application/json")))
		return -ENOMEM;
	if (route->types)
		return 0;
	route->types = calloc(count + 1, sizeof(*route->types));
	for (size_t i = 0; route->types && i < count; i++) {
		route->types[i] = strdup(usual[i]);
		if (!route->types[i])
			return -ENOMEM;
	}
	return route->types ? 0 : -ENOMEM;
}

static bool can_be_routed(const char *type)
{
	static const char *const more[] = {"cap", "policy", "agent"};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (strcmp(usual[i], type) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		if (strcmp(more[i], type) == 0)
			return true;
	}
	return false;
}

static bool is_word(const char *brace)
{
	return strncmp(brace, "{app}", 5) == 0 || strncmp(brace, "{owner}", 7) == 0;
}

static int check_url(const struct eg_sink_reader *reader)
{
	const char *url = reader->sink->url, *host = strstr(url, "://"), *end = host ? host + 3 + strcspn(host + 3, "/?#") : url;

	for (const char *c = url + strcspn(url, "{}"); *c; c += strcspn(c, "{}")) {
		if (reader->sink->type != EG_SINK_WEBHOOK || *c == '}' || !is_word(c))
			return eg_sink_config_complain(reader, "url", "may have {app} and {owner} of a webhook, and no other braces");
		if (c < end)
			return eg_sink_config_complain(reader, "url", "may have {app} and {owner} behind the host only");
		c = strchr(c, '}') + 1;
	}
	return 0;
}

int eg_route_config_check(const struct eg_sink_reader *reader)
{
	for (char *const *type = reader->sink->types; *type; type++) {
		if (!can_be_routed(*type))
			return eg_sink_config_complain(reader, "types",
						"has \"%s\": routes are for alert, kill, restore, expire, cap, relax, policy, agent "
						"and tag; the rest is a sink's",
						*type);
	}
	return check_url(reader);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * config_alerts.c - "alerts": thresholds for all apps of this host, or those with some labels
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_impl.h"

#define WANTED "must be a list such as [{\"when\": \"denied\", \"over\": \"100/min\", \"action\": \"alert\"}]"

static int choose(const char *text, const char *const *names, int count)
{
	for (int i = 0; text && i < count; i++) {
		if (strcmp(text, names[i]) == 0)
			return i;
	}
	return -1;
}

static int read_when(const struct eg_config_reader *reader, const json_t *object, struct eg_alert *ret)
{
	int when = choose(json_string_value(json_object_get(object, "when")), eg_alert_names, EG_ALERT_COUNT_);

	if (when < 0)
		return eg_config_complain(reader, "when",
					  "must be \"denied\", \"dns_refused\", \"new_flows\", \"egress_bytes\" or "
					  "\"ingress_bytes\"");
	ret->when = (enum eg_alert_when)when;
	return 0;
}

static int read_over(const struct eg_config_reader *reader, const json_t *object, struct eg_alert *ret)
{
	const char *text = json_string_value(json_object_get(object, "over"));

	if (text && !eg_alert_over(ret->when, text, &ret->over, &ret->per_ns))
		return 0;
	return eg_config_complain(reader, "over", "must be %s in a time from 1s to 31d, such as \"%s\"",
				  eg_alert_of_bytes(ret->when) ? "bytes" : "a number",
				  eg_alert_of_bytes(ret->when) ? "100MiB/min" : "60/min");
}

static int read_action(const struct eg_config_reader *reader, const json_t *object, struct eg_alert *ret)
{
	static const char *const names[] = {"alert", "kill"};
	int action = choose(json_string_value(json_object_get(object, "action")), names, 2);

	if (action < 0)
		return eg_config_complain(reader, "action", "must be \"alert\" or \"kill\"");
	ret->kill = action == 1;
	return 0;
}

static int read_labels(const struct eg_config_reader *reader, const json_t *object, struct eg_labels **ret)
{
	const json_t *value = json_object_get(object, "labels");
	char why[200];

	if (!value)
		return 0;
	if (!json_is_string(value))
		return eg_config_complain(reader, "labels", "must be a label selector, such as \"env=prod,team!=red\"");
	if (eg_labels_parse(json_string_value(value), ret, why, sizeof(why)))
		return eg_config_complain(reader, "labels", "can't be used: %s", why);
	return 0;
}

static int read_alert(const struct eg_config_reader *reader, const json_t *object, struct eg_config_alert *ret)
{
	static const char *const keys[] = {"when", "over", "action", "labels"};
	const char *key;
	json_t *value;
	int r;

	json_object_foreach((json_t *)object, key, value) {
		if (choose(key, keys, 4) < 0)
			return eg_config_complain(reader, key, "is not a key; there are \"when\", \"over\", \"action\" and "
							       "\"labels\"");
	}
	r = read_when(reader, object, &ret->alert);
	if (!r)
		r = read_over(reader, object, &ret->alert);
	if (!r)
		r = read_action(reader, object, &ret->alert);
	return r ? r : read_labels(reader, object, &ret->labels);
}

int eg_config_read_alerts(const struct eg_config_reader *reader, const struct eg_config_key *key, const json_t *value)
{
	struct eg_config *config = reader->config;
	size_t count = json_array_size(value);
	int r = 0;

	if (!json_is_array(value) || count > EG_ALERTS_MAX)
		return eg_config_complain(reader, key->name, WANTED ", of at most %d", EG_ALERTS_MAX);
	config->alerts = calloc(count + 1, sizeof(*config->alerts));
	if (!config->alerts)
		return -ENOMEM;
	for (size_t i = 0; !r && i < count; i++) {
		struct eg_config_reader inner = *reader;
		char section[32];

		snprintf(section, sizeof(section), "alerts[%zu].", i);
		inner.section = section;
		if (!json_is_object(json_array_get(value, i)))
			return eg_config_complain(reader, key->name, WANTED);
		config->alert_count++; /* also of one that is read by half: it has to be freed */
		r = read_alert(&inner, json_array_get(value, i), &config->alerts[i]);
	}
	return r;
}

void eg_config_free_alerts(struct eg_config *config)
{
	for (size_t i = 0; i < config->alert_count; i++)
		eg_labels_free(config->alerts[i].labels);
	free(config->alerts);
}

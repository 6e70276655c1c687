// SPDX-License-Identifier: Apache-2.0
/*
 * open.c - from what egretd gives to a struct eg_sync
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "setup.h"
#include "sync.h"

static int parse_keys(struct eg_sync *sync, struct eg_error *err)
{
	struct eg_public_key *keys;
	size_t count = 0;

	while (sync->credentials.signers[count])
		count++;
	keys = calloc(count + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (eg_public_key_parse(sync->credentials.signers[i], &keys[i])) {
			free(keys);
			return eg_error_set(err, 500, "no_credentials", "%s is no Ed25519 public key in PEM.",
					    sync->control->keys[i]);
		}
	}
	sync->rules.keys = keys;
	sync->rules.key_count = count;
	return 0;
}

static int read_last(struct eg_sync *sync, struct eg_error *err)
{
	int r = eg_last_good_read(sync->state_fd, &sync->last);

	if (r == -EBADMSG) {
		eg_log_err("last-good.json was damaged and is kept as last-good.json.bad: older documents may be "
			   "accepted once");
		return 0;
	}
	return r ? eg_error_set(err, 500, "no_state", "last-good.json can't be read: %s.", strerror(-r)) : 0;
}

int eg_sync_open(struct eg_sync *sync, const json_t *setup, struct eg_error *err)
{
	const char *host = json_string_value(json_object_get(setup, "host"));
	const char *version = json_string_value(json_object_get(setup, "version"));
	struct eg_control_config *control = NULL;
	int r = eg_control_config_parse("the configuration", json_object_get(setup, "control"), &control, err);

	if (r)
		return r;
	*sync = (struct eg_sync){.control = control, .state_fd = EG_SYNC_STATE_FD, .door_fd = EG_SYNC_DOOR_FD};
	r = eg_credentials_read(control, &sync->credentials, err);
	if (r)
		return r;
	sync->host = strdup(host ? host : "");
	sync->version = strdup(version ? version : "");
	sync->host_labels = json_deep_copy(json_object_get(setup, "host_labels"));
	sync->errors = json_object();
	sync->missing = json_object();
	if (!sync->host || !sync->host[0] || !sync->version || !sync->errors || !sync->missing)
		return eg_error_set(err, 500, "bad_setup", "The setup has no \"host\", or there is no memory.");
	sync->rules.host = sync->host;
	sync->rules.host_labels = sync->host_labels;
	r = parse_keys(sync, err);
	if (!r)
		r = read_last(sync, err);
	return r;
}

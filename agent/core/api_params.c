// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

#include <string.h>

#include "../lib/policy.h"
#include "../lib/units.h"

static int bad_query(struct eg_api_request *rq, const char *name, const char *what)
{
	return eg_error_set(&rq->err, 400, "bad_query", "Query parameter \"%.64s\" %s.", name, what);
}

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (list && len) {
		const char *comma = strchrnul(list, ',');

		if ((size_t)(comma - list) == len && !strncmp(list, name, len))
			return true;
		list = *comma ? comma + 1 : NULL;
	}
	return false;
}

static bool is_utf8(const char *text)
{
	json_t *json = json_string(text);
	bool valid = json;

	json_decref(json);
	return valid;
}

struct query_check {
	struct eg_api_request *rq;
	const char *list;
};

static enum MHD_Result check_one(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct query_check *check = arg;
	struct eg_api_request *rq = check->rq;

	(void)kind;
	if (!is_listed(check->list, name))
		eg_error_set(&rq->err, 400, "bad_query", "Query parameter \"%.64s\" isn't known here%s%s.", name,
			     check->list ? "; known are: " : "", check->list ? check->list : "");
	else if (!value)
		bad_query(rq, name, "has no value");
	else if (!is_utf8(value))
		bad_query(rq, name, "isn't valid UTF-8");
	else if (MHD_lookup_connection_value(rq->http, MHD_GET_ARGUMENT_KIND, name) != value)
		bad_query(rq, name, "is given twice");
	return rq->err.status ? MHD_NO : MHD_YES;
}

int eg_api_query_check(struct eg_api_request *rq, const char *list)
{
	struct query_check check = {rq, list};

	MHD_get_connection_values(rq->http, MHD_GET_ARGUMENT_KIND, check_one, &check);
	return rq->err.status ? -EINVAL : 0;
}

const char *eg_api_query(const struct eg_api_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->http, MHD_GET_ARGUMENT_KIND, name);
}

int eg_api_query_bool(struct eg_api_request *rq, const char *name, bool *ret)
{
	const char *value = eg_api_query(rq, name);

	if (!value)
		return 0;
	if (strcmp(value, "0") && strcmp(value, "1") && strcmp(value, "false") && strcmp(value, "true"))
		return bad_query(rq, name, "must be 1 or 0");
	*ret = value[0] == '1' || value[0] == 't';
	return 0;
}

int eg_api_query_span(struct eg_api_request *rq, const char *name, uint64_t *ret_ns)
{
	const char *value = eg_api_query(rq, name);

	if (value && eg_units_span(value, ret_ns) < 0)
		return bad_query(rq, name, "must be a span of time, such as 10m or 1h30m");
	return 0;
}

int eg_api_query_number(struct eg_api_request *rq, const char *name, uint64_t *ret)
{
	const char *value = eg_api_query(rq, name);
	size_t len = value ? strlen(value) : 0;

	if (!value)
		return 0;
	if (!len || len > 18 || strspn(value, "0123456789") != len)
		return bad_query(rq, name, "must be a number of at most 18 digits");
	*ret = strtoull(value, NULL, 10);
	return 0;
}

int eg_api_name_check(struct eg_api_request *rq, const char *name)
{
	if (eg_policy_app_name(name))
		return 0;
	return eg_error_set(&rq->err, 400, "bad_name",
			    "\"%.80s\" can't be an app's name: that is 1 to 63 of a-z, 0-9, dot, underscore and hyphen, "
			    "and begins with a letter or digit.",
			    name);
}

int eg_api_query_app(struct eg_api_request *rq, const char **ret)
{
	const char *app = eg_api_query(rq, "app");

	if (app && eg_api_name_check(rq, app) < 0)
		return -EINVAL;
	*ret = app;
	return 0;
}

static int check_type(struct eg_api_request *rq, const struct eg_api_key *key, const json_t *value)
{
	const char *what = NULL;

	if (key->type == 's' && !json_is_string(value))
		what = "a text";
	else if (key->type == 'b' && !json_is_boolean(value))
		what = "true or false";
	else if (key->type == 'i' && (!json_is_integer(value) || json_integer_value(value) < 0))
		what = "a whole number, 0 or more";
	return what ? eg_error_set(&rq->err, 400, "bad_value", "\"%s\" must be %s.", key->name, what) : 0;
}

static int check_keys(struct eg_api_request *rq, const struct eg_api_key *keys, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value) {
		const struct eg_api_key *key = keys;

		while (key->name && strcmp(key->name, name))
			key++;
		if (!key->name)
			return eg_error_set(&rq->err, 400, "unknown_key", "The body has \"%.64s\", which isn't known here.",
					    name);
		if (check_type(rq, key, value) < 0)
			return -EINVAL;
	}
	return 0;
}

int eg_api_body(struct eg_api_request *rq, const struct eg_api_key *keys, json_t **ret)
{
	json_error_t error;
	json_t *object = rq->body_len ? json_loadb(rq->body, rq->body_len, JSON_REJECT_DUPLICATES, &error) : json_object();

	if (!object)
		return eg_error_set(&rq->err, 400, "bad_json", "The body is no JSON: line %d, column %d: %s.",
				    rq->body_len ? error.line : 0, rq->body_len ? error.column : 0,
				    rq->body_len ? error.text : "no memory");
	if (!json_is_object(object)) {
		json_decref(object);
		return eg_error_set(&rq->err, 400, "bad_json", "The body must be a JSON object.");
	}
	if (check_keys(rq, keys, object) < 0) {
		json_decref(object);
		return -EINVAL;
	}
	*ret = object;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "schema_form.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/units.h"

/* ---- What an event is -------------------------------------------------------------------------------- */

static bool word(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return text && text[0] && strlen(text) <= 30 && !text[strspn(text, allowed)];
}

/*
 * What kind of its type it is. An alert that a threshold raised names it in `alert`; its `action` is what
 * was done then.
 */
static void set_action(struct eg_form *form)
{
	static const char *const names[] = {"phase", "alert", "action", "event"};
	const char *kind = NULL;
	int len;

	for (size_t i = 0; !kind && i < sizeof(names) / sizeof(names[0]); i++) {
		if (!word(eg_form_text(form, names[i])))
			continue;
		kind = eg_form_text(form, names[i]);
		if (strcmp(names[i], "alert") != 0)
			eg_form_done(form, names[i]);
	}
	len = snprintf(form->action, sizeof(form->action), "%s%s%s", form->type, kind ? "-" : "", kind ? kind : "");
	for (int i = 0; i < len; i++)
		if (form->action[i] == '_')
			form->action[i] = '-';
}

/* HOST-EPOCH-N; a host may hold dashes. */
static void set_number(struct eg_form *form)
{
	const char *n = strrchr(form->id, '-'), *epoch;
	char *end;

	if (!n || n == form->id)
		return;
	epoch = memrchr(form->id, '-', (size_t)(n - form->id));
	if (!epoch || !isdigit((unsigned char)epoch[1]) || !isdigit((unsigned char)n[1]))
		return;
	errno = 0;
	form->epoch = strtoull(epoch + 1, &end, 10);
	if (end != n)
		return;
	form->number = strtoull(n + 1, &end, 10);
	form->has_number = !*end && errno == 0 && form->number <= INT64_MAX;
}

int eg_form_begin(struct eg_form *form, const json_t *event)
{
	const char *direction;

	*form = (struct eg_form){.event = event};
	form->type = eg_form_text(form, "type");
	form->id = eg_form_text(form, "event_id");
	if (!word(form->type) || !form->id || !form->id[0] || !eg_form_moment(form, "ts", &form->ts_ns))
		return -EINVAL;
	form->host = eg_form_text(form, "host");
	if (!form->host)
		form->host = "";
	form->app = eg_form_text(form, "app");
	form->verdict = eg_form_text(form, "verdict");
	direction = eg_form_text(form, "direction");
	form->ingress = direction && strcmp(direction, "ingress") == 0;
	form->answer = form->ingress && strcmp(form->type, "dns") == 0;
	form->ingress &= !form->answer;
	form->rest = json_copy((json_t *)event);
	form->out = json_object();
	if (!form->rest || !form->out) {
		eg_form_clear(form);
		return -ENOMEM;
	}
	set_action(form);
	set_number(form);
	return 0;
}

void eg_form_clear(struct eg_form *form)
{
	json_decref(form->rest);
	json_decref(form->out);
	form->rest = form->out = NULL;
}

bool eg_form_is(const struct eg_form *form, const char *name)
{
	size_t len = strlen(name);

	return strncmp(form->action, name, len) == 0 && (!form->action[len] || form->action[len] == '-');
}

/* What found no place, beside what the form has put there itself. */
static int put_rest(struct eg_form *form, const char *rest_name)
{
	json_t *place = json_object_get(form->out, rest_name), *value;
	const char *name;

	if (!json_object_size(form->rest))
		return 0;
	if (!place)
		return json_object_set(form->out, rest_name, form->rest);
	json_object_foreach(form->rest, name, value) {
		json_t *into = place;

		if (json_object_get(place, name)) {
			into = json_object_get(place, "other");
			if (!into && json_object_set_new(place, "other", json_object()) < 0)
				return -1;
			into = json_object_get(place, "other");
		}
		if (json_object_set(into, name, value) < 0)
			return -1;
	}
	return 0;
}

int eg_form_end(struct eg_form *form, const char *rest_name, json_t **ret)
{
	if (put_rest(form, rest_name) < 0)
		form->failed = true;
	if (!form->failed)
		*ret = json_incref(form->out);
	eg_form_clear(form);
	return form->failed ? -ENOMEM : 0;
}

/* ---- Members of the event ------------------------------------------------------------------------------- */

const char *eg_form_text(const struct eg_form *form, const char *name)
{
	return json_string_value(json_object_get(form->event, name));
}

bool eg_form_number(const struct eg_form *form, const char *name, json_int_t *ret)
{
	const json_t *value = json_object_get(form->event, name);

	if (!json_is_integer(value))
		return false;
	*ret = json_integer_value(value);
	return true;
}

bool eg_form_moment(const struct eg_form *form, const char *name, uint64_t *ret_utc_ns)
{
	const char *text = eg_form_text(form, name);
	uint64_t utc_ns;

	if (!text || eg_units_moment(text, &utc_ns) < 0 || utc_ns > INT64_MAX)
		return false;
	*ret_utc_ns = utc_ns;
	return true;
}

void eg_form_done(struct eg_form *form, const char *name)
{
	json_object_del(form->rest, name);
}

/* ---- Members of the form -------------------------------------------------------------------------------- */

/* The object that the last part of path names a member of; *ret_name is that part. */
static json_t *find_place(struct eg_form *form, const char *path, const char **ret_name)
{
	json_t *at = form->out;
	const char *dot;

	for (; (dot = strchr(path, '.')); path = dot + 1) {
		char name[EG_FORM_WORD_LEN];
		json_t *next;

		snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
		next = json_object_get(at, name);
		if (!next && json_object_set_new(at, name, json_object()) < 0)
			return NULL;
		at = json_object_get(at, name);
	}
	*ret_name = path;
	return at;
}

void eg_form_put(struct eg_form *form, const char *path, json_t *value)
{
	const char *name = NULL;
	json_t *at = find_place(form, path, &name);

	if (!at) {
		json_decref(value);
		form->failed = true;
	} else if (json_object_set_new(at, name, value) < 0) {
		form->failed = true;
	}
}

void eg_form_put_text(struct eg_form *form, const char *path, const char *text)
{
	if (text && text[0])
		eg_form_put(form, path, json_string(text));
}

void eg_form_put_int(struct eg_form *form, const char *path, json_int_t value)
{
	eg_form_put(form, path, json_integer(value));
}

void eg_form_put_bool(struct eg_form *form, const char *path, bool value)
{
	eg_form_put(form, path, json_boolean(value));
}

void eg_form_add_text(struct eg_form *form, const char *path, const char *text)
{
	const char *name = NULL;
	json_t *at, *list, *value;
	size_t i;

	if (!text || !text[0])
		return;
	at = find_place(form, path, &name);
	if (!at) {
		form->failed = true;
		return;
	}
	list = json_object_get(at, name);
	if (!list) {
		eg_form_put(form, path, json_pack("[s]", text));
		return;
	}
	json_array_foreach(list, i, value)
		if (strcmp(json_string_value(value), text) == 0)
			return;
	if (json_array_append_new(list, json_string(text)) < 0)
		form->failed = true;
}

bool eg_form_move_any(struct eg_form *form, const char *name, const char *path)
{
	json_t *value = json_object_get(form->event, name);

	if (!value)
		return false;
	eg_form_put(form, path, json_incref(value));
	eg_form_done(form, name);
	return true;
}

bool eg_form_move_text(struct eg_form *form, const char *name, const char *path)
{
	const char *text = eg_form_text(form, name);

	return text && text[0] && eg_form_move_any(form, name, path);
}

bool eg_form_move_int(struct eg_form *form, const char *name, const char *path, json_int_t max)
{
	json_int_t value;

	return eg_form_number(form, name, &value) && value >= 0 && value <= max && eg_form_move_any(form, name, path);
}

/* ---- Parts with a form of their own --------------------------------------------------------------------- */

static void actor_word(struct eg_form_actor *actor, const char *text, size_t len)
{
	char pid[EG_FORM_WORD_LEN];
	char *to = NULL, *end;

	if (len > 4 && strncmp(text, "uid=", 4) == 0)
		to = actor->uid;
	else if (len > 4 && strncmp(text, "via=", 4) == 0)
		to = actor->via;
	else if (len > 4 && strncmp(text, "pid=", 4) == 0)
		to = pid;
	if (!to || len - 4 >= EG_FORM_WORD_LEN) {
		actor->whole = false;
		return;
	}
	memcpy(to, text + 4, len - 4);
	to[len - 4] = 0;
	if (to != pid)
		return;
	actor->pid = strtoll(pid, &end, 10);
	if (*end || actor->pid < 1 || actor->pid > INT32_MAX) {
		actor->pid = 0;
		actor->whole = false;
	}
}

/* As the words of the text. */
static void actor_object(struct eg_form_actor *actor, const json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value) {
		char text[2 * EG_FORM_WORD_LEN];
		int len = -1;

		if (json_is_string(value))
			len = snprintf(text, sizeof(text), "%s=%s", name, json_string_value(value));
		else if (json_is_integer(value))
			len = snprintf(text, sizeof(text), "%s=%" JSON_INTEGER_FORMAT, name, json_integer_value(value));
		if (len < 0 || (size_t)len >= sizeof(text))
			actor->whole = false;
		else
			actor_word(actor, text, (size_t)len);
	}
}

bool eg_form_actor(const struct eg_form *form, struct eg_form_actor *ret)
{
	const json_t *actor = json_object_get(form->event, "actor");
	const char *text = json_string_value(actor);

	*ret = (struct eg_form_actor){.whole = true};
	if (json_is_object(actor))
		actor_object(ret, actor);
	for (; text && *text; text += strspn(text, " ")) {
		size_t len = strcspn(text, " ");

		actor_word(ret, text, len);
		text += len;
	}
	return ret->uid[0] || ret->via[0] || ret->pid;
}

int eg_form_protocol(const json_t *event)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}, {"icmpv6", IPPROTO_ICMPV6},
	};
	const char *proto = json_string_value(json_object_get(event, "proto"));
	unsigned long number;
	char *end;

	for (size_t i = 0; proto && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(proto, names[i].name) == 0)
			return names[i].number;
	if (!proto || !isdigit((unsigned char)proto[0]))
		return -1;
	number = strtoul(proto, &end, 10);
	return *end || number > 255 ? -1 : (int)number;
}

void eg_form_put_message(struct eg_form *form, const char *path)
{
	const char *dst = eg_form_text(form, form->answer ? "src" : "dst"), *name = eg_form_text(form, "name");
	const char *why = eg_form_text(form, "reason");

	if (!why)
		why = eg_form_text(form, "cause");
	eg_form_put(form, path,
		    json_sprintf("%s%s%s%s%s%s%s%s%s", form->action, form->app ? " " : "", form->app ? form->app : "",
				 dst ? " " : "", dst ? dst : "", name ? " " : "", name ? name : "", why ? ": " : "",
				 why ? why : ""));
}

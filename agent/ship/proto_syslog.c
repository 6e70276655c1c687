// SPDX-License-Identifier: Apache-2.0
/*
 * proto_syslog.c - RFC 5424 messages to a Unix socket, over UDP (RFC 5426), TCP (RFC 6587, octet counting) or
 * TLS (RFC 5425)
 *
 * A stream that broke in a batch leaves open what of it arrived: all of it is sent again, so that a receiver may see
 * up to one batch twice (by the same id). See syslog_link.h for what "delivered" can mean here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "protocol.h"
#include "syslog_link.h"
#include "syslog_link_impl.h"
#include "syslog_message.h"

#define FRAME_HEAD 8 /* "8000 " */

struct sink {
	const struct eg_sink_config *config;
	struct eg_syslog_link *link;
	char *bytes; /* the batch, as it goes out */
	size_t *ends; /* of each message */
	size_t room; /* messages that both have room for */
};

static void close_sink(void *opaque)
{
	struct sink *sink = opaque;

	if (!sink)
		return;
	eg_syslog_link_free(sink->link);
	free(sink->bytes);
	free(sink->ends);
	free(sink);
}

EG_DEFINE_CLEANUP(sink, struct sink *, close_sink);

static int open_sink(const struct eg_sink_config *config, const atomic_bool *stopping, void **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_sink) struct sink *sink = calloc(1, sizeof(*sink));
	int r;

	if (!sink)
		return -ENOMEM;
	sink->config = config;
	r = eg_syslog_link_new(config, stopping, &sink->link, err);
	if (r < 0)
		return r;
	*ret = EG_TAKE_PTR(sink);
	return 0;
}

static bool make_room(struct sink *sink, size_t count)
{
	size_t *ends;
	char *bytes;

	if (count <= sink->room)
		return true;
	bytes = realloc(sink->bytes, count * (FRAME_HEAD + EG_SYSLOG_MESSAGE_MAX));
	if (bytes)
		sink->bytes = bytes;
	ends = realloc(sink->ends, count * sizeof(*ends));
	if (ends)
		sink->ends = ends;
	if (!bytes || !ends)
		return false;
	sink->room = count;
	return true;
}

static void render(struct sink *sink, const struct eg_item *items, size_t count)
{
	bool datagram = eg_syslog_link_is_datagram(sink->link);
	char message[EG_SYSLOG_MESSAGE_MAX], *at = sink->bytes;

	for (size_t i = 0; i < count; i++) {
		size_t len = eg_syslog_message_render(&items[i], sink->config->facility, message);

		if (!datagram)
			at += sprintf(at, "%zu ", len);
		memcpy(at, message, len);
		at += len;
		sink->ends[i] = (size_t)(at - sink->bytes);
	}
}

static void send_items(void *opaque, const struct eg_item *items, size_t count, struct eg_result *result)
{
	struct sink *sink = opaque;
	uint64_t deadline = eg_syslog_now_ns() + sink->config->timeout_ns;
	size_t sent;

	if (!make_room(sink, count)) {
		eg_syslog_fail(result, EG_OUTCOME_RETRY, "no memory for a batch of %zu messages", count);
		return;
	}
	if (!eg_syslog_link_ready(sink->link, deadline, result))
		return;
	render(sink, items, count);
	sent = eg_syslog_link_send(sink->link, sink->bytes, sink->ends, count, deadline, result);
	if (sent == count) {
		result->outcome = EG_OUTCOME_DELIVERED;
		return;
	}
	result->has_items = sent > 0;
	for (size_t i = 0; i < count && sent > 0; i++)
		result->items[i] = i < sent ? EG_OUTCOME_DELIVERED : result->outcome;
}

const struct eg_protocol eg_protocol_syslog = {open_sink, send_items, close_sink};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog_message.h - one event as an RFC 5424 message
 *
 *   <134>1 2026-11-25T12:00:00.000123Z host egret - deny [egret@32473 id="..." app="..." type="..."] {...}
 *
 * - The priority is the sink's facility and the event's severity, MSGID is the event's type, MSG its JSON.
 * - 32473 is the enterprise number that RFC 5612 keeps for documentation: Egret has none of its own.
 * - No byte order mark before MSG: JSON text must not have one (RFC 8259, 8.1), and receivers that parse
 *   JSON trip over it. RFC 5424 calls a message without it MSG-ANY, which may be any text, so UTF-8 too.
 * - A message has at most EG_SYSLOG_MESSAGE_MAX bytes: receivers cut what is longer, or lose their place in the
 *   stream. A longer event is made to fit by shortening its longest strings and lists, step by step, so that MSG
 *   stays one JSON object; each string that was cut ends in "...". Only if that is not enough is the text itself
 *   cut, between two characters. Either way the SD element then has cut="BYTES", the length of the whole text.
 */
#ifndef EG_SHIP_SYSLOG_MESSAGE_H
#define EG_SHIP_SYSLOG_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "item.h"

/* RFC 5425 asks receivers to take 8,192 bytes; some count the length in front of the frame. */
#define EG_SYSLOG_MESSAGE_MAX 8000

/*
 * Writes the message into ret, without a NUL, and returns its length. The same bytes for the same item.
 * Never fails: without memory to shorten an event, its text is cut.
 */
size_t eg_syslog_message_render(const struct eg_item *item, uint8_t facility, char ret[EG_SYSLOG_MESSAGE_MAX]);

#endif

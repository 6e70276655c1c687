/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hec.h - answers about acknowledgement that Splunk's HTTP event collector gives
 *
 * Pure, as the dialect's own judge.
 */
#ifndef EG_SHIP_HEC_H
#define EG_SHIP_HEC_H

#include "answer.h"

/* The batch was taken, by its dialect's judge: what will it be acknowledged as? -1: not at all; *result then says why. */
int64_t eg_hec_ack_id(const struct eg_answer *answer, struct eg_result *result);

enum eg_hec_ack {
	EG_HEC_ACK_YES, /* indexed: that is the proof */
	EG_HEC_ACK_NOT_YET,
	EG_HEC_ACK_FAILED, /* *result says why */
};

enum eg_hec_ack eg_hec_judge_ack(const struct eg_answer *answer, int64_t id, struct eg_result *result);

#endif

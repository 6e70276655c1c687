// SPDX-License-Identifier: Apache-2.0
#include "ship.h"

const struct eg_protocol *eg_ship_protocol(enum eg_sink_type type)
{
	static const struct eg_protocol *const protocols[EG_SINK_COUNT_] = {
		[EG_SINK_FILE] = &eg_protocol_file,	  [EG_SINK_HEC] = &eg_protocol_hec,
		[EG_SINK_ELASTIC] = &eg_protocol_elastic, [EG_SINK_OTLP] = &eg_protocol_otlp,
		[EG_SINK_LOKI] = &eg_protocol_loki,	  [EG_SINK_SYSLOG] = &eg_protocol_syslog,
		[EG_SINK_WEBHOOK] = &eg_protocol_webhook,
	};

	return protocols[type];
}

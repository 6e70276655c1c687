// SPDX-License-Identifier: Apache-2.0
#include "alert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "units.h"

const char *const eg_alert_names[EG_ALERT_COUNT_] = {
	[EG_ALERT_DENIED] = "denied",		  [EG_ALERT_DNS_REFUSED] = "dns_refused",
	[EG_ALERT_NEW_FLOWS] = "new_flows",	  [EG_ALERT_EGRESS_BYTES] = "egress_bytes",
	[EG_ALERT_INGRESS_BYTES] = "ingress_bytes",
};

int eg_alert_over(enum eg_alert_when when, const char *text, uint64_t *ret_over, uint64_t *ret_per_ns)
{
	uint64_t over, per_ns;
	int r = eg_alert_of_bytes(when) ? eg_units_bytes_rate(text, &over, &per_ns) :
					  eg_units_count_rate(text, &over, &per_ns);

	if (r)
		return r;
	if (per_ns < EG_ALERT_PER_MIN_NS || per_ns > EG_ALERT_PER_MAX_NS)
		return -ERANGE;
	*ret_over = over;
	*ret_per_ns = per_ns;
	return 0;
}

const char *eg_alert_over_text(const struct eg_alert *alert, char *ret, size_t size)
{
	char amount[32], span[32];

	if (eg_alert_of_bytes(alert->when))
		eg_units_bytes_text(alert->over, amount, sizeof(amount));
	else
		snprintf(amount, sizeof(amount), "%" PRIu64, alert->over);
	snprintf(ret, size, "%s in %s", amount, eg_units_span_text(alert->per_ns, span, sizeof(span)));
	return ret;
}

// SPDX-License-Identifier: Apache-2.0
#include "alert_flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring_look.h"

struct eg_alert_flows {
	struct eg_ring_look *look;
	const struct eg_networks *networks; /* as of the last look */
	uint32_t slots;
	uint64_t **counts; /* [slots], each NULL or [networks] */
};

int eg_alert_flows_new(int ring_fd, uint32_t slots, struct eg_alert_flows **ret)
{
	struct eg_alert_flows *flows = calloc(1, sizeof(*flows));
	int r;

	if (!flows)
		return -ENOMEM;
	flows->slots = slots;
	flows->counts = calloc(slots, sizeof(*flows->counts));
	r = flows->counts ? eg_ring_look_new(ring_fd, &flows->look) : -ENOMEM;
	if (r) {
		eg_alert_flows_free(flows);
		return r;
	}
	*ret = flows;
	return 0;
}

void eg_alert_flows_free(struct eg_alert_flows *flows)
{
	if (!flows)
		return;
	for (uint32_t i = 0; flows->counts && i < flows->slots; i++)
		free(flows->counts[i]);
	free(flows->counts);
	eg_ring_look_free(flows->look);
	free(flows);
}

static size_t index_of(const struct eg_networks *networks, const char *name)
{
	size_t i = 0;

	while (i < eg_networks_count(networks) && strcmp(eg_networks_at(networks, i)->name, name) != 0)
		i++;
	return i;
}

/* Without memory an app's counts begin anew. */
static void move_over(struct eg_alert_flows *flows, const struct eg_networks *networks)
{
	size_t before = eg_networks_count(flows->networks), now = eg_networks_count(networks);

	for (uint32_t slot = 0; slot < flows->slots; slot++) {
		uint64_t *old = flows->counts[slot], *fresh = old && now ? calloc(now, sizeof(*fresh)) : NULL;

		for (size_t i = 0; fresh && i < before; i++) {
			size_t place = index_of(networks, eg_networks_at(flows->networks, i)->name);

			if (place < now)
				fresh[place] = old[i];
		}
		free(old);
		flows->counts[slot] = fresh;
	}
	flows->networks = networks;
}

static void count(void *ctx, const void *record)
{
	struct eg_alert_flows *flows = ctx;
	const struct eg_event *e = record;
	const struct eg_network *network;

	if (e->type != EG_EVENT_FLOW_START || e->dir != EG_DIR_EGRESS || e->app >= flows->slots)
		return;
	network = eg_networks_find(flows->networks, &e->dst);
	if (!network)
		return;
	if (!flows->counts[e->app])
		flows->counts[e->app] = calloc(eg_networks_count(flows->networks), sizeof(uint64_t));
	if (flows->counts[e->app])
		flows->counts[e->app][network->index]++;
}

void eg_alert_flows_look(struct eg_alert_flows *flows, const struct eg_networks *networks)
{
	struct eg_event e;

	if (networks != flows->networks)
		move_over(flows, networks);
	eg_ring_look_each(flows->look, &e, sizeof(e), count, flows);
}

uint64_t eg_alert_flows_count(const struct eg_alert_flows *flows, uint32_t slot, const struct eg_alert *alert)
{
	const uint64_t *counts = flows && slot < flows->slots ? flows->counts[slot] : NULL;
	uint64_t sum = 0;

	for (size_t i = 0; counts && i < eg_networks_count(flows->networks); i++) {
		const struct eg_network *network = eg_networks_at(flows->networks, i);

		if (alert->network[0] ? strcmp(network->name, alert->network) == 0 : strcmp(network->region, alert->region) == 0)
			sum += counts[i];
	}
	return sum;
}

uint64_t eg_alert_flows_late(const struct eg_alert_flows *flows)
{
	return flows ? eg_ring_look_late(flows->look) : 0;
}

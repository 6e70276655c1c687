// SPDX-License-Identifier: Apache-2.0
/*
 * tags_kernel.c - map `cgroups`, and those in it that died
 *
 * A cgroup that died keeps its tag, since its sockets and events may still come: the last EG_DEAD_CGROUPS do, in a ring
 * where the oldest makes room, and fewer when the map is full and a live one needs the place. Those without a tag of their
 * own, of which an app can make many below its own, have a smaller ring, and keep only their names.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_impl.h"

void eg_cgroups_forget(struct eg_agent *agent, uint64_t id)
{
	bpf_map_delete_elem(eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), &id);
}

/* Takes lock. False: nobody was there. */
static bool forget_dead(struct eg_agent *agent, struct eg_tagged *place)
{
	uint64_t id = place->id;

	pthread_mutex_lock(&agent->lock);
	free(place->path);
	*place = (struct eg_tagged){0};
	pthread_mutex_unlock(&agent->lock);
	if (id)
		eg_cgroups_forget(agent, id);
	return id;
}

static bool forget_oldest_dead(struct eg_agent *agent)
{
	for (size_t i = 0; i < EG_DEAD_CGROUPS; i++) {
		if (forget_dead(agent, &agent->dead[(agent->dead_next + i) % EG_DEAD_CGROUPS]))
			return true;
	}
	return false;
}

int eg_cgroups_put(struct eg_agent *agent, uint64_t id, const struct eg_cgroup *value)
{
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS), r = 0;

	do {
		r = bpf_map_update_elem(fd, &id, value, BPF_ANY) ? -errno : 0;
	} while (r == -E2BIG && forget_oldest_dead(agent));
	return r;
}

const char *eg_cgroups_error(int r)
{
	return r == -E2BIG ? "there are as many as the table holds: raise max_apps" : strerror(-r);
}

void eg_cgroups_bury(struct eg_agent *agent, struct eg_tagged *tagged)
{
	bool has_tag = tagged->slot || tagged->ambiguous; /* else the kernel has no word of it */
	struct eg_tagged *ring = has_tag ? agent->dead : agent->dead_untagged;
	size_t *next = has_tag ? &agent->dead_next : &agent->dead_untagged_next;
	size_t size = has_tag ? EG_DEAD_CGROUPS : EG_DEAD_UNTAGGED;

	if (has_tag)
		forget_dead(agent, &ring[*next]);
	pthread_mutex_lock(&agent->lock);
	free(ring[*next].path);
	ring[*next] = *tagged;
	*next = (*next + 1) % size;
	pthread_mutex_unlock(&agent->lock);
	free(tagged);
}

static const struct eg_tagged *find_in(const struct eg_tagged *ring, size_t size, uint64_t id)
{
	for (size_t i = 0; i < size; i++) {
		if (ring[i].id == id)
			return &ring[i];
	}
	return NULL;
}

const struct eg_tagged *eg_cgroups_find_dead(const struct eg_agent *agent, uint64_t id)
{
	const struct eg_tagged *found = find_in(agent->dead, EG_DEAD_CGROUPS, id);

	return found ? found : find_in(agent->dead_untagged, EG_DEAD_UNTAGGED, id);
}

void eg_tags_disown(struct eg_agent *agent, uint32_t slot)
{
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < EG_DEAD_CGROUPS; i++) {
		if (agent->dead[i].slot == slot)
			agent->dead[i].slot = 0;
	}
	pthread_mutex_unlock(&agent->lock);
}

/* ---- After a restart ------------------------------------------------------------------------------ */

int eg_tags_sweep_adopted(struct eg_agent *agent)
{
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_CGROUPS);
	uint32_t max = eg_kern_map_max(agent->kern, EG_MAP_CGROUPS);
	EG_FREE uint64_t *ids = calloc(max, sizeof(*ids));
	uint32_t count = 0;

	if (!ids)
		return -ENOMEM;
	while (count < max && !bpf_map_get_next_key(fd, count ? &ids[count - 1] : NULL, &ids[count]))
		count++;
	for (uint32_t i = 0; i < count; i++) {
		if (!eg_tags_find(agent, ids[i]) && !eg_roots_has_id(agent, ids[i]))
			eg_cgroups_forget(agent, ids[i]);
	}
	return 0;
}

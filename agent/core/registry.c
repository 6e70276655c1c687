// SPDX-License-Identifier: Apache-2.0
/*
 * registry.c - which app has which slot of the kernel's tables
 *
 * A slot is made whole before anybody can find it: the kernel's words zeroed, the holds in
 * force stored, its generation last. It is used again only when neither a cgroup nor a socket
 * refers to it, and then under a generation of its own.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/policy.h"
#include "agent_impl.h"
#include "clock.h"

struct eg_app_ctl *eg_entry_ctl(struct eg_agent *agent, const struct eg_entry *entry)
{
	return &eg_kern_app(agent->kern, entry->slot)->ctl;
}

struct eg_app_state *eg_entry_state(struct eg_agent *agent, const struct eg_entry *entry)
{
	return &eg_kern_app(agent->kern, entry->slot)->state;
}

/* Place of name in by_name, or where it would be. */
static size_t name_place(const struct eg_agent *agent, const char *name, bool *ret_found)
{
	size_t low = 0, high = agent->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, agent->by_name[middle]->name);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct eg_entry *eg_registry_find(struct eg_agent *agent, const char *name)
{
	bool found;
	size_t place = name_place(agent, name, &found);

	return found ? agent->by_name[place] : NULL;
}

size_t eg_registry_after(struct eg_agent *agent, const char *name)
{
	bool found;
	size_t place = name_place(agent, name, &found);

	return place + found;
}

uint32_t eg_registry_slots(const struct eg_agent *agent)
{
	return __atomic_load_n(&agent->slots_used, __ATOMIC_ACQUIRE);
}

struct eg_entry *eg_registry_at(struct eg_agent *agent, uint32_t slot, uint32_t gen)
{
	struct eg_entry *entry;

	if (slot == EG_APP_UNKNOWN || slot >= eg_kern_slots(agent->kern))
		return NULL;
	entry = agent->by_slot[slot];
	return entry && (!gen || entry->gen == gen) ? entry : NULL;
}

static void entry_free(struct eg_entry *entry)
{
	if (!entry)
		return;
	eg_applied_free(entry->now);
	eg_applied_free(entry->before);
	free(entry);
}

/* `egret kill --direct` raises the word from outside of the agent, so it is changed by compare-and-swap only. */
static void change_word(struct eg_agent *agent, const struct eg_entry *entry, uint32_t clear, uint32_t set)
{
	__u64 *word = &eg_entry_ctl(agent, entry)->kill;
	__u64 was = __atomic_load_n(word, __ATOMIC_RELAXED), now;

	do {
		uint32_t had = was >> 32 == entry->gen ? (uint32_t)was : 0;

		now = EG_KILL_WORD(entry->gen, (had & ~clear) | set);
	} while (!__atomic_compare_exchange_n(word, &was, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

void eg_registry_raise(struct eg_agent *agent, const struct eg_entry *entry, uint32_t layers)
{
	change_word(agent, entry, 0, layers);
}

void eg_registry_raise_holds(struct eg_agent *agent, const struct eg_entry *entry)
{
	change_word(agent, entry, 0, eg_holds_layers(agent->holds, entry->name));
}

void eg_registry_lower(struct eg_agent *agent, const struct eg_entry *entry, uint32_t lifted)
{
	change_word(agent, entry, lifted, eg_holds_layers(agent->holds, entry->name));
}

const char *eg_registry_state(struct eg_agent *agent, const struct eg_entry *entry)
{
	const struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);
	const struct eg_app_state *state = eg_entry_state(agent, entry);
	uint64_t kill = __atomic_load_n(&ctl->kill, __ATOMIC_RELAXED);
	uint64_t cleared = __atomic_load_n(&ctl->auto_cleared, __ATOMIC_RELAXED);
	uint64_t ruleset = __atomic_load_n(&ctl->ruleset, __ATOMIC_ACQUIRE);
	__u32 mode;

	if ((uint32_t)kill == EG_HOLD_CONTROL && eg_override_on(agent, entry))
		kill = 0;
	if (eg_kern_all_killed(agent->kern) || (uint32_t)kill || state->auto_kill > cleared)
		return "killed";
	if (entry->now && (state->expired_uid == entry->now->uid || eg_clock_utc_ns() >= entry->now->expires_utc_ns))
		return "expired";
	if (entry->deleted)
		return "deleted";
	if (!ruleset)
		return "no_policy";
	/* the ruleset's own word only where no policy has come yet: a place of rulesets is written anew without lock */
	mode = entry->now ? entry->now->mode : eg_kern_ruleset(agent->kern, (uint32_t)ruleset)->mode;
	if (mode == EG_MODE_AUDIT || __atomic_load_n(&ctl->relax_until_boot_ns, __ATOMIC_RELAXED) > eg_clock_boot_ns())
		return "audit";
	return "enforce";
}

/* Adds the entry to both indexes. Takes lock. */
static void entry_publish(struct eg_agent *agent, struct eg_entry *entry)
{
	bool found;
	size_t place;

	pthread_mutex_lock(&agent->lock);
	place = name_place(agent, entry->name, &found);
	memmove(agent->by_name + place + 1, agent->by_name + place,
		(agent->count - place) * sizeof(*agent->by_name));
	agent->by_name[place] = entry;
	agent->count++;
	agent->by_slot[entry->slot] = entry;
	if (entry->slot >= agent->slots_used)
		__atomic_store_n(&agent->slots_used, entry->slot + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&agent->lock);
}

static void entry_withdraw(struct eg_agent *agent, struct eg_entry *entry)
{
	bool found;
	size_t place;

	pthread_mutex_lock(&agent->lock);
	place = name_place(agent, entry->name, &found);
	if (found) {
		agent->count--;
		memmove(agent->by_name + place, agent->by_name + place + 1,
			(agent->count - place) * sizeof(*agent->by_name));
	}
	agent->by_slot[entry->slot] = NULL;
	pthread_mutex_unlock(&agent->lock);
}

/* What a former owner of the slot left in the tables that only the kernel writes. */
static int slot_blank(struct eg_agent *agent, uint32_t slot)
{
	struct eg_kern *kern = agent->kern;
	struct eg_reasons reasons = {0};
	struct eg_losses losses = {0};
	struct eg_denied_tab denied = {0};
	struct eg_meter meter = {0};
	int cpus = libbpf_num_possible_cpus();
	EG_FREE void *counters = cpus > 0 ? calloc((size_t)cpus, sizeof(struct eg_counters)) : NULL;

	if (!counters)
		return -ENOMEM;
	eg_kern_app(kern, slot)->state = (struct eg_app_state){0};
	if (bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_COUNTERS), &slot, counters, BPF_ANY) ||
	    bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_REASONS), &slot, &reasons, BPF_ANY) ||
	    bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_LOSSES), &slot, &losses, BPF_ANY) ||
	    bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_DENIED), &slot, &denied, BPF_ANY))
		return -errno;
	for (uint32_t i = 0; i < EG_METERS_PER_APP; i++) {
		uint32_t key = slot * EG_METERS_PER_APP + i;

		if (bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_METERS), &key, &meter, BPF_ANY) ||
		    bpf_map_update_elem(eg_kern_map_fd(kern, EG_MAP_GUARD_METERS), &key, &meter, BPF_ANY))
			return -errno;
	}
	return 0;
}

static uint32_t slot_find_free(const struct eg_agent *agent)
{
	uint32_t slots = eg_kern_slots(agent->kern);

	for (uint32_t slot = 1; slot < slots; slot++) {
		if (!agent->by_slot[slot])
			return slot;
	}
	return 0;
}

static int slot_open(struct eg_agent *agent, struct eg_entry *entry)
{
	struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);
	struct eg_app_name name = {{0}};
	struct eg_app_ref ref = {.app = entry->slot, .gen = entry->gen};
	int r = slot_blank(agent, entry->slot);

	if (r < 0)
		return r;
	ctl->ruleset = 0;
	ctl->relax_until_boot_ns = 0;
	ctl->override_until_boot_ns = 0;
	ctl->auto_cleared = 0;
	ctl->flags = 0;
	eg_registry_raise_holds(agent, entry);
	__atomic_store_n(&ctl->gen, entry->gen, __ATOMIC_RELEASE);
	memcpy(name.name, entry->name, sizeof(name.name));
	if (bpf_map_update_elem(eg_kern_map_fd(agent->kern, EG_MAP_APP_NAMES), &name, &ref, BPF_ANY)) {
		r = -errno;
		__atomic_store_n(&ctl->gen, 0, __ATOMIC_RELEASE);
	}
	return r;
}

int eg_registry_get(struct eg_agent *agent, const char *name, struct eg_entry **ret, struct eg_error *err)
{
	struct eg_entry *entry = eg_registry_find(agent, name);
	int r;

	if (entry) {
		*ret = entry;
		return 0;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->slot = slot_find_free(agent);
	if (!entry->slot) {
		free(entry);
		eg_error_set(err, 507, "apps_full",
			     "This host holds %u apps already: raise max_apps, or delete apps that are gone.",
			     eg_kern_slots(agent->kern) - 1);
		return -ENOSPC;
	}
	entry->gen = eg_kern_host(agent->kern)->next_uid++;
	r = slot_open(agent, entry);
	if (r < 0) {
		free(entry);
		eg_error_set(err, 500, "kernel", "The kernel's tables could not be written: %s.", strerror(-r));
		return r;
	}
	entry_publish(agent, entry);
	/* a hold that came between slot_open and now found no entry: it is in the holds by now */
	pthread_mutex_lock(&agent->lock);
	eg_registry_raise_holds(agent, entry);
	pthread_mutex_unlock(&agent->lock);
	*ret = entry;
	return 0;
}

static int adopt_one(struct eg_agent *agent, const struct eg_app_name *name, const struct eg_app_ref *ref)
{
	struct eg_app *app = eg_kern_app(agent->kern, ref->app);
	struct eg_entry *entry;

	if (!app || ref->app == EG_APP_UNKNOWN || app->ctl.gen != ref->gen || !memchr(name->name, 0, sizeof(name->name)) ||
	    !eg_policy_app_name(name->name) || agent->by_slot[ref->app]) {
		bpf_map_delete_elem(eg_kern_map_fd(agent->kern, EG_MAP_APP_NAMES), name);
		return 0;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memcpy(entry->name, name->name, sizeof(entry->name));
	entry->slot = ref->app;
	entry->gen = ref->gen;
	entry->deleted = app->ctl.flags & EG_APP_DELETED;
	entry->netns_refused = app->ctl.flags & EG_APP_NETNS_ADMIN;
	entry_publish(agent, entry);
	return 0;
}

int eg_registry_adopt(struct eg_agent *agent, struct eg_error *err)
{
	int fd = eg_kern_map_fd(agent->kern, EG_MAP_APP_NAMES);
	uint32_t slots = eg_kern_slots(agent->kern);
	EG_FREE struct eg_app_name *names = calloc(slots, sizeof(*names));
	struct eg_app_ref ref;
	uint32_t count = 0;

	agent->by_slot = calloc(slots, sizeof(*agent->by_slot));
	agent->by_name = calloc(slots, sizeof(*agent->by_name));
	agent->slots_used = 1;
	if (!names || !agent->by_slot || !agent->by_name)
		return eg_error_set(err, 500, "no_memory", "Out of memory.");
	while (count < slots && !bpf_map_get_next_key(fd, count ? &names[count - 1] : NULL, &names[count]))
		count++;
	for (uint32_t i = 0; i < count; i++) {
		if (!bpf_map_lookup_elem(fd, &names[i], &ref) && adopt_one(agent, &names[i], &ref) < 0)
			return eg_error_set(err, 500, "no_memory", "Out of memory.");
	}
	/* a slot whose name is missing: the agent died while it was made */
	for (uint32_t slot = 1; slot < slots; slot++) {
		if (!agent->by_slot[slot])
			__atomic_store_n(&eg_kern_app(agent->kern, slot)->ctl.gen, 0, __ATOMIC_RELEASE);
	}
	return 0;
}

static bool entry_is_referred_to(struct eg_agent *agent, const struct eg_entry *entry)
{
	const struct eg_app_state *state = eg_entry_state(agent, entry);

	if (__atomic_load_n(&state->sockets, __ATOMIC_RELAXED) || __atomic_load_n(&state->peers, __ATOMIC_RELAXED))
		return true;
	for (size_t i = 0; i < agent->tag_count; i++) {
		if (agent->tags[i]->slot == entry->slot)
			return true;
	}
	return false;
}

static void entry_retire(struct eg_agent *agent, struct eg_entry *entry)
{
	struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);
	struct eg_app_name name = {{0}};

	memcpy(name.name, entry->name, sizeof(name.name));
	bpf_map_delete_elem(eg_kern_map_fd(agent->kern, EG_MAP_APP_NAMES), &name);
	__atomic_store_n(&ctl->gen, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&ctl->ruleset, 0, __ATOMIC_SEQ_CST);
	eg_tags_disown(agent, entry->slot);
	entry_withdraw(agent, entry);
	for (size_t i = 0; entry->now && i < entry->now->meter_count; i++)
		eg_usage_keep(agent->usage, entry->name, entry->slot, &entry->now->meters[i]);
	if (entry->now)
		eg_tables_discard(agent, EG_TAKE_PTR(entry->now->tables));
	else
		eg_sweep_tables_due(agent);
	eg_sweep_grants_due(agent);
	entry_free(entry);
	if (agent->events)
		eg_events_meta_changed(agent->events);
}

/* Deleted, or without anything in force: its first policy was refused, or it was only ever tagged. */
static bool entry_is_over(struct eg_agent *agent, const struct eg_entry *entry)
{
	return entry->deleted || (!entry->now && !eg_entry_ctl(agent, entry)->ruleset);
}

void eg_registry_sweep(struct eg_agent *agent)
{
	for (size_t i = agent->count; i-- > 0;) {
		struct eg_entry *entry = agent->by_name[i];

		if (entry_is_over(agent, entry) && !entry_is_referred_to(agent, entry)) {
			eg_log_info("app %s: neither a policy nor a cgroup or socket is left, its slot is free again", entry->name);
			entry_retire(agent, entry);
		}
	}
}

void eg_registry_clear(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->count; i++)
		entry_free(agent->by_name[i]);
	free(agent->by_name);
	free(agent->by_slot);
	agent->by_name = NULL;
	agent->by_slot = NULL;
	agent->count = 0;
}

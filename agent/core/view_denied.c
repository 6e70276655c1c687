// SPDX-License-Identifier: Apache-2.0
/*
 * view_denied.c - what was refused lately, from a table in the kernel that needs no log
 */
#include <bpf/bpf.h>
#include <string.h>

#include "../lib/addr.h"
#include "agent_impl.h"
#include "clock.h"

struct denials {
	struct eg_agent *agent;
	uint64_t since_boot_ns;
	json_t *list;
};

static json_t *denial_json(const struct eg_entry *entry, const struct eg_denied *d, uint64_t offset)
{
	char peer[EG_ADDR_TEXT], comm[EG_COMM_LEN + 1] = "", fallback[16];
	const struct eg_fix fix = {d->reason, peer, d->port, d->proto, (enum eg_dir)d->dir};

	memcpy(comm, d->comm, EG_COMM_LEN);
	for (char *c = comm; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	eg_addr_to_text(&d->peer, peer);
	return json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:i,s:i,s:s,s:b,s:o}", "app",
			 entry ? entry->name : "", "direction", d->dir == EG_DIR_EGRESS ? "egress" : "ingress", "peer",
			 peer, "port", (int)d->port, "proto", eg_proto_name(d->proto, fallback), "reason",
			 eg_reason_name(d->reason), "sentence", eg_reason_sentence(d->reason), "count",
			 (json_int_t)d->count, "bytes", (json_int_t)d->bytes, "first",
			 eg_time_json(d->first_boot_ns + offset), "last", eg_time_json(d->last_boot_ns + offset), "pid",
			 (int)d->pid, "uid", (int)d->uid, "comm", comm, "audited", d->audited, "fix",
			 eg_fix_json(&fix));
}

static void add_denials(const struct denials *denials, uint32_t slot, const struct eg_entry *entry)
{
	struct eg_denied_tab tab;
	uint64_t offset = (uint64_t)eg_clock_utc_offset_ns();

	if (bpf_map_lookup_elem(eg_kern_map_fd(denials->agent->kern, EG_MAP_DENIED), &slot, &tab))
		return;
	for (size_t i = 0; i < EG_DENIED_SLOTS; i++) {
		if (tab.e[i].count && tab.e[i].last_boot_ns >= denials->since_boot_ns)
			json_array_append_new(denials->list, denial_json(entry, &tab.e[i], offset));
	}
}

static void denials_of(void *ctx, struct eg_entry *entry)
{
	add_denials(ctx, entry->slot, entry);
}

int eg_agent_denied(struct eg_agent *agent, const char *app, uint64_t since_ns, json_t **ret, struct eg_error *err)
{
	uint64_t now = eg_clock_boot_ns();
	struct denials denials = {.agent = agent, .since_boot_ns = since_ns && since_ns < now ? now - since_ns : 0};
	const struct eg_entry *entry = NULL;

	denials.list = json_array();
	if (app) {
		pthread_mutex_lock(&agent->lock);
		entry = eg_registry_find(agent, app);
		if (entry)
			add_denials(&denials, entry->slot, entry);
		pthread_mutex_unlock(&agent->lock);
		if (!entry) {
			json_decref(denials.list);
			return eg_error_set(err, 404, "not_found", "There is no app %s on this host.", app);
		}
	} else {
		add_denials(&denials, EG_APP_UNKNOWN, NULL);
		eg_apps_each(agent, denials_of, &denials);
	}
	*ret = json_pack("{s:o}", "denied", denials.list);
	return 0;
}

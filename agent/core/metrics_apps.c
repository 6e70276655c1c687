// SPDX-License-Identifier: Apache-2.0
#include "metrics_apps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent_impl.h"
#include "clock.h"

#define METRICS_APPS 100
#define ROW_CAPS     4 /* caps of one app that are shown, those of its rules not among them */

/* A cap of the app as a whole. */
struct cap {
	bool ingress;
	uint64_t per_s;
	uint64_t limit;
	uint64_t used;
};

struct row {
	char name[EG_APP_NAME_LEN];
	struct eg_counters counters;
	uint64_t denied;
	uint64_t audited;
	uint64_t not_told[EG_LOSS_COUNT_];
	uint64_t sockets;
	uint64_t peers;
	struct eg_grants grants;
	struct cap caps[ROW_CAPS];
	size_t cap_count;
	uint64_t expires_s; /* Unix time; 0: no policy */
};

struct rows {
	struct eg_agent *agent;
	struct row *items;
	size_t count;
	size_t room;
	struct eg_reasons reasons; /* of all apps, and of cgroups of no app */
	bool failed;
};

/* ---- Rows ---------------------------------------------------------------------------------------- */

static void lookup(struct eg_agent *agent, enum eg_kern_map map, uint32_t slot, void *ret, size_t size)
{
	if (bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, map), &slot, ret))
		memset(ret, 0, size);
}

/* Adds a slot's reasons to those of all. */
static void add_reasons(struct rows *rows, uint32_t slot, uint64_t *ret_denied, uint64_t *ret_audited)
{
	struct eg_reasons reasons;

	lookup(rows->agent, EG_MAP_REASONS, slot, &reasons, sizeof(reasons));
	*ret_denied = *ret_audited = 0;
	for (int dir = 0; dir < 2; dir++) {
		for (int reason = 0; reason < EG_REASON_COUNT_; reason++) {
			const struct eg_reason_count *one = &reasons.by[dir][reason];
			struct eg_reason_count *all = &rows->reasons.by[dir][reason];

			all->denied += one->denied;
			all->denied_bytes += one->denied_bytes;
			all->audited += one->audited;
			*ret_denied += one->denied;
			*ret_audited += one->audited;
		}
	}
}

static void add_caps(struct eg_agent *agent, const struct eg_entry *entry, struct row *row)
{
	for (size_t i = 0; entry->now && i < entry->now->meter_count && row->cap_count < ROW_CAPS; i++) {
		const struct eg_metered *metered = &entry->now->meters[i];
		const struct eg_meter_conf *conf = &metered->conf;
		uint64_t window, used;

		if (metered->scope || conf->kind != EG_METER_BYTES ||
		    eg_usage_of(agent, entry->slot, conf, &window, &used) < 0)
			continue;
		row->caps[row->cap_count++] = (struct cap){
			.ingress = conf->dir == EG_DIR_INGRESS,
			.per_s = conf->per_ns / EG_NS_PER_S,
			.limit = conf->limit,
			.used = used,
		};
	}
}

static void add_row(void *ctx, struct eg_entry *entry)
{
	struct rows *rows = ctx;
	const struct eg_app_state *state = eg_entry_state(rows->agent, entry);
	struct eg_losses losses;
	struct row *row;

	if (rows->count == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 64;
		struct row *items = reallocarray(rows->items, room, sizeof(*items));

		if (!items) {
			rows->failed = true;
			return;
		}
		rows->items = items;
		rows->room = room;
	}
	row = &rows->items[rows->count++];
	*row = (struct row){.sockets = state->sockets, .peers = state->peers};
	memcpy(row->name, entry->name, sizeof(row->name));
	eg_kern_counters(rows->agent->kern, entry->slot, &row->counters);
	if (entry->now && !entry->deleted)
		row->expires_s = entry->now->expires_utc_ns / EG_NS_PER_S;
	add_reasons(rows, entry->slot, &row->denied, &row->audited);
	lookup(rows->agent, EG_MAP_LOSSES, entry->slot, &losses, sizeof(losses));
	for (int cause = 0; cause < EG_LOSS_COUNT_; cause++)
		row->not_told[cause] = losses.by[cause].events;
	eg_grants_of(rows->agent, entry, &row->grants);
	add_caps(rows->agent, entry, row);
}

static int by_traffic(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t p = x->counters.bytes_out + x->counters.bytes_in, q = y->counters.bytes_out + y->counters.bytes_in;

	return p > q ? -1 : p < q;
}

static void add_to(struct row *other, const struct row *row)
{
	other->counters.bytes_out += row->counters.bytes_out;
	other->counters.bytes_in += row->counters.bytes_in;
	other->counters.packets_out += row->counters.packets_out;
	other->counters.packets_in += row->counters.packets_in;
	other->counters.flows += row->counters.flows;
	other->denied += row->denied;
	other->audited += row->audited;
	for (int cause = 0; cause < EG_LOSS_COUNT_; cause++)
		other->not_told[cause] += row->not_told[cause];
	other->sockets += row->sockets;
	other->peers += row->peers;
	if (row->expires_s && (!other->expires_s || row->expires_s < other->expires_s))
		other->expires_s = row->expires_s;
	other->grants.used += row->grants.used;
	other->grants.evicted += row->grants.evicted;
	other->grants.learned += row->grants.learned;
}

/* Sums up all but the first METRICS_APPS. Caps have no sum. */
static void fold(struct rows *rows)
{
	struct row *other;

	if (rows->count <= METRICS_APPS)
		return;
	qsort(rows->items, rows->count, sizeof(*rows->items), by_traffic);
	other = &rows->items[METRICS_APPS];
	snprintf(other->name, sizeof(other->name), "_other");
	other->cap_count = 0;
	for (size_t i = METRICS_APPS + 1; i < rows->count; i++)
		add_to(other, &rows->items[i]);
	rows->count = METRICS_APPS + 1;
}

/* ---- Families --------------------------------------------------------------------------------------- */

void eg_metrics_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One series of each app: the uint64_t that lies at that offset of its row. */
static void print_family(FILE *out, const struct rows *rows, const char *name, const char *type, const char *help,
			 size_t offset)
{
	eg_metrics_head(out, name, type, help);
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];
		uint64_t value;

		memcpy(&value, (const char *)row + offset, sizeof(value));
		fprintf(out, "%s{app=\"%s\"} %" PRIu64 "\n", name, row->name, value);
	}
}

/* Two of each app, by direction. */
static void print_ways(FILE *out, const struct rows *rows, const char *name, const char *help, size_t egress,
		       size_t ingress)
{
	eg_metrics_head(out, name, "counter", help);
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];
		uint64_t values[2];

		memcpy(&values[0], (const char *)row + egress, sizeof(values[0]));
		memcpy(&values[1], (const char *)row + ingress, sizeof(values[1]));
		fprintf(out, "%s{app=\"%s\",direction=\"egress\"} %" PRIu64 "\n", name, row->name, values[0]);
		fprintf(out, "%s{app=\"%s\",direction=\"ingress\"} %" PRIu64 "\n", name, row->name, values[1]);
	}
}

static void print_traffic(FILE *out, const struct rows *rows)
{
	print_ways(out, rows, "egret_app_bytes_total", "IP bytes of an app that passed.",
		   offsetof(struct row, counters.bytes_out), offsetof(struct row, counters.bytes_in));
	print_ways(out, rows, "egret_app_packets_total", "Packets of an app that passed.",
		   offsetof(struct row, counters.packets_out), offsetof(struct row, counters.packets_in));
	print_family(out, rows, "egret_app_flows_total", "counter", "Flows begun by or to an app.",
		     offsetof(struct row, counters.flows));
	print_family(out, rows, "egret_app_denied_total", "counter",
		     "Packets, connects, binds and sockets denied to an app.", offsetof(struct row, denied));
	print_family(out, rows, "egret_app_audited_total", "counter",
		     "What audit let through and enforcement would have denied.", offsetof(struct row, audited));
}

static void print_events(FILE *out, const struct rows *rows)
{
	static const char *const causes[] = {[EG_LOSS_SUPPRESSED] = "event_budget", [EG_LOSS_RING_FULL] = "ring_full"};

	eg_metrics_head(out, "egret_app_events_not_told_total", "counter",
			"Events of an app over its budget, or for which the ring had no room.");
	for (size_t i = 0; i < rows->count; i++) {
		for (int cause = 0; cause < EG_LOSS_COUNT_; cause++)
			fprintf(out, "egret_app_events_not_told_total{app=\"%s\",cause=\"%s\"} %" PRIu64 "\n",
				rows->items[i].name, causes[cause], rows->items[i].not_told[cause]);
	}
}

static void print_cap(FILE *out, const struct rows *rows, const char *name, const char *help, size_t offset)
{
	eg_metrics_head(out, name, "gauge", help);
	for (size_t i = 0; i < rows->count; i++) {
		for (size_t j = 0; j < rows->items[i].cap_count; j++) {
			const struct cap *cap = &rows->items[i].caps[j];
			uint64_t value;

			memcpy(&value, (const char *)cap + offset, sizeof(value));
			fprintf(out, "%s{app=\"%s\",direction=\"%s\",per_seconds=\"%" PRIu64 "\"} %" PRIu64 "\n", name,
				rows->items[i].name, cap->ingress ? "ingress" : "egress", cap->per_s, value);
		}
	}
}

static void print_limits(FILE *out, const struct rows *rows)
{
	print_cap(out, rows, "egret_app_cap_used_bytes", "Used of an app's cap in the window that runs.",
		  offsetof(struct cap, used));
	print_cap(out, rows, "egret_app_cap_limit_bytes", "An app's cap.", offsetof(struct cap, limit));
	eg_metrics_head(out, "egret_app_expires_timestamp_seconds", "gauge",
			"When an app's policy expires; of several the first.");
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].expires_s)
			fprintf(out, "egret_app_expires_timestamp_seconds{app=\"%s\"} %" PRIu64 "\n",
				rows->items[i].name, rows->items[i].expires_s);
	print_family(out, rows, "egret_app_sockets", "gauge", "Live sockets of an app.", offsetof(struct row, sockets));
	print_family(out, rows, "egret_app_udp_peers", "gauge", "UDP peers of an app's sockets beyond the first of each.",
		     offsetof(struct row, peers));
}

static void print_names(FILE *out, const struct rows *rows)
{
	print_family(out, rows, "egret_dns_learned_total", "counter", "DNS answers that granted an app addresses.",
		     offsetof(struct row, grants.learned));
	print_family(out, rows, "egret_grants", "gauge", "Addresses that an app learned from DNS.",
		     offsetof(struct row, grants.used));
	print_family(out, rows, "egret_grants_evicted_total", "counter",
		     "Those that made room for newer ones while they were good.", offsetof(struct row, grants.evicted));
}

static void print_reasons(FILE *out, const struct rows *rows)
{
	static const char *const ways[] = {[EG_DIR_EGRESS] = "egress", [EG_DIR_INGRESS] = "ingress"};

	eg_metrics_head(out, "egret_denied_total", "counter", "What was denied on this host, by reason.");
	for (int dir = 0; dir < 2; dir++) {
		for (uint32_t reason = 0; reason < EG_REASON_COUNT_; reason++) {
			uint64_t denied = rows->reasons.by[dir][reason].denied;

			if (denied)
				fprintf(out, "egret_denied_total{direction=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
					ways[dir], eg_reason_name(reason), denied);
		}
	}
}

/* All apps, also those without a series of their own: this is asked before they are folded. */
static void print_expiring(FILE *out, const struct rows *rows)
{
	static const unsigned days[] = {14, 3, 1};
	uint64_t now_s = eg_clock_utc_ns() / EG_NS_PER_S;

	eg_metrics_head(out, "egret_policies_expiring", "gauge", "Policies in force that expire in less than so many days.");
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		uint64_t count = 0;

		for (size_t j = 0; j < rows->count; j++)
			count += rows->items[j].expires_s > now_s &&
				 rows->items[j].expires_s - now_s <= days[i] * 86400ull;
		fprintf(out, "egret_policies_expiring{days=\"%u\"} %" PRIu64 "\n", days[i], count);
	}
}

int eg_metrics_apps(struct eg_agent *agent, FILE *out)
{
	struct rows rows = {.agent = agent};
	uint64_t denied, audited;

	add_reasons(&rows, EG_APP_UNKNOWN, &denied, &audited);
	eg_apps_each(agent, add_row, &rows);
	print_expiring(out, &rows);
	print_reasons(out, &rows);
	fold(&rows);
	print_traffic(out, &rows);
	print_events(out, &rows);
	print_limits(out, &rows);
	print_names(out, &rows);
	free(rows.items);
	return rows.failed ? -ENOMEM : 0;
}

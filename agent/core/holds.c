// SPDX-License-Identifier: Apache-2.0
#include "holds_impl.h"

#include <string.h>
#include <sys/inotify.h>

#include "urgent.h"

/* ---- The journal's side -------------------------------------------------------------- */

static int replay(void *ctx, const char *line, size_t len)
{
	struct eg_holds *holds = ctx;
	struct eg_hold_record record;
	struct eg_holds_slot *slot;
	int r = eg_hold_decode(line, len, &record);

	if (r)
		return r;
	slot = eg_holds_get_slot(holds, record.hold.app, record.hold.layer);
	if (!slot)
		return -ENOMEM;
	if (record.hold.generation > slot->record.hold.generation)
		slot->record = record;
	return 0;
}

struct records {
	struct eg_hold_record *items;
	size_t count;
};

static int count_used(void *ctx, struct eg_holds_slot *slot)
{
	*(size_t *)ctx += slot->record.hold.generation > 0; /* 0: made, and refused before it was used */
	return 0;
}

static int copy_used(void *ctx, struct eg_holds_slot *slot)
{
	struct records *records = ctx;

	if (slot->record.hold.generation > 0)
		records->items[records->count++] = slot->record;
	return 0;
}

static int copy_records(struct eg_holds *holds, struct records *ret_records, uint64_t *ret_upto)
{
	struct records records = { 0 };
	size_t count = 0;

	EG_HOLDS_LOCKED(holds);
	eg_holds_each_slot(holds, count_used, &count);
	records.items = calloc(count + 1, sizeof(*records.items));
	if (!records.items)
		return -ENOMEM;
	eg_holds_each_slot(holds, copy_used, &records);
	*ret_upto = eg_journal_last(holds->journal);
	*ret_records = records;
	return 0;
}

/* Copies under the lock and encodes after it: a kill doesn't wait for a compaction. */
static int snapshot(void *ctx, char **ret_text, size_t *ret_len, uint64_t *ret_upto)
{
	struct records records = { 0 };
	EG_FREE struct eg_hold_record *items = NULL;
	EG_FREE char *text = NULL;
	uint64_t upto;
	size_t len = 0;
	int r = copy_records(ctx, &records, &upto);

	if (r)
		return r;
	items = records.items;
	text = malloc(records.count * EG_HOLD_RECORD_MAX + 1);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < records.count; i++) {
		r = eg_hold_encode(&items[i], text + len, EG_HOLD_RECORD_MAX);
		if (r < 0)
			return r;
		len += (size_t)r;
	}
	*ret_upto = upto;
	*ret_text = EG_TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* Makes record the slot's latest. Changes nothing if it can't be written down at all. */
static int commit(struct eg_holds *holds, struct eg_holds_slot *slot, const struct eg_hold_record *record)
{
	char line[EG_HOLD_RECORD_MAX];
	int len = eg_hold_encode(record, line, sizeof(line));

	if (len < 0)
		return len;
	slot->record = *record;
	slot->ticket = eg_journal_append(holds->journal, line, (size_t)len);
	return 0;
}

static int next_generation(const struct eg_holds_slot *slot, uint64_t asked, uint64_t *ret)
{
	uint64_t last = slot->record.hold.generation;

	if (asked && asked <= last)
		return -ESTALE;
	*ret = asked ? asked : last + 1;
	return 0;
}

/* ---- Life ---------------------------------------------------------------------------- */

static void destroy(struct eg_holds *holds)
{
	eg_holds_free_slots(holds);
	if (holds->direct_fd >= 0)
		close(holds->direct_fd);
	pthread_mutex_destroy(&holds->lock);
	free(holds->state_dir);
	free(holds);
}

int eg_holds_open(const char *state_dir, struct eg_holds **ret_holds)
{
	struct eg_holds *holds = calloc(1, sizeof(*holds));
	struct eg_journal_ops ops = { .replay = replay, .snapshot = snapshot, .ctx = holds };
	int r = -ENOMEM;

	if (!holds)
		return r;
	eg_urgent_mutex_init(&holds->lock);
	holds->direct_fd = -1;
	holds->state_dir = strdup(state_dir);
	if (holds->state_dir)
		r = eg_journal_open(state_dir, "holds.journal", &ops, &holds->journal);
	if (r == 0) {
		holds->direct_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (holds->direct_fd >= 0)
			inotify_add_watch(holds->direct_fd, state_dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR);
		r = eg_journal_start(holds->journal);
	}
	if (r) {
		eg_journal_close(holds->journal, 0);
		destroy(holds);
		return r;
	}
	*ret_holds = holds;
	return 0;
}

void eg_holds_close(struct eg_holds *holds, int timeout_ms)
{
	if (holds && eg_journal_close(holds->journal, timeout_ms) == 0)
		destroy(holds);
}

/* ---- Add and lift -------------------------------------------------------------------- */

/* A hold in force is asked for again: what it was stays, but for who else wants it. */
static int confirm(struct eg_holds *holds, struct eg_holds_slot *slot, const struct eg_hold *hold, uint64_t generation)
{
	struct eg_hold_record record = slot->record;
	bool another = hold->layer == EG_HOLD_LOCAL && hold->uid != record.hold.uid;

	if (hold->generation == 0 && (!another || record.hold.shared) && !hold->id[0])
		return 0; /* nothing new to write down */
	record.hold.generation = generation;
	record.hold.shared |= another;
	if (hold->id[0])
		strcpy(record.hold.id, hold->id);
	return commit(holds, slot, &record);
}

static int begin(struct eg_holds *holds, struct eg_holds_slot *slot, const struct eg_hold *hold, uint64_t generation)
{
	struct eg_hold_record record = { .hold = *hold };

	record.hold.generation = generation;
	record.hold.shared = false;
	if (!hold->id[0])
		strcpy(record.hold.id, slot->record.hold.id);
	return commit(holds, slot, &record);
}

int eg_holds_add_locked(struct eg_holds *holds, const struct eg_hold *hold, bool *ret_already,
			struct eg_holds_slot **ret_slot)
{
	uint64_t generation = 0;
	struct eg_holds_slot *slot;
	bool already;
	int r;

	if (!eg_hold_is_valid(hold))
		return -EINVAL;
	slot = eg_holds_get_slot(holds, hold->app, hold->layer);
	if (!slot)
		return -ENOMEM;
	r = next_generation(slot, hold->generation, &generation);
	if (r)
		return r;
	already = eg_holds_in_force(slot);
	r = already ? confirm(holds, slot, hold, generation) : begin(holds, slot, hold, generation);
	if (r)
		return r;
	*ret_already = already;
	*ret_slot = slot;
	return 0;
}

int eg_holds_add(struct eg_holds *holds, const struct eg_hold *hold, bool *ret_already, uint64_t *ret_ticket)
{
	struct eg_holds_slot *slot;
	int r;

	EG_HOLDS_LOCKED(holds);
	r = eg_holds_add_locked(holds, hold, ret_already, &slot);
	if (r == 0)
		*ret_ticket = slot->ticket;
	return r;
}

static int lift_locked(struct eg_holds *holds, struct eg_holds_slot *slot, const struct eg_hold_lift *lift)
{
	struct eg_hold_record record = { .lifted = true };
	int r = next_generation(slot, lift->generation, &record.hold.generation);

	if (r)
		return r;
	snprintf(record.hold.app, sizeof(record.hold.app), "%s", lift->app);
	record.hold.layer = lift->layer;
	record.hold.uid = lift->uid;
	record.hold.time_utc_ns = lift->now_utc_ns;
	eg_hold_set_text(record.hold.actor, sizeof(record.hold.actor), lift->actor);
	eg_hold_set_text(record.hold.reason, sizeof(record.hold.reason), lift->reason);
	strcpy(record.hold.id, slot->record.hold.id);
	return commit(holds, slot, &record);
}

int eg_holds_lift(struct eg_holds *holds, const struct eg_hold_lift *lift, uint64_t *ret_ticket)
{
	struct eg_holds_slot *slot;
	int r;

	if (!eg_hold_layer_name(lift->layer))
		return -EINVAL;
	EG_HOLDS_LOCKED(holds);
	slot = eg_holds_find_slot(holds, lift->app, lift->layer);
	if (!eg_holds_in_force(slot)) {
		if (lift->role != EG_HOLD_BY_CONTROL || lift->layer != EG_HOLD_CONTROL || lift->generation == 0)
			return -ENOENT;
		slot = eg_holds_get_slot(holds, lift->app, lift->layer);
		r = slot ? lift_locked(holds, slot, lift) : -ENOMEM;
		return r ? r : -ENOENT;
	}
	if (!eg_hold_may_lift(&slot->record.hold, lift->role, lift->uid, lift->now_utc_ns))
		return -EPERM;
	r = lift_locked(holds, slot, lift);
	if (r == 0)
		*ret_ticket = slot->ticket;
	return r;
}

bool eg_holds_wait_durable(struct eg_holds *holds, uint64_t ticket, int timeout_ms)
{
	return eg_journal_wait(holds->journal, ticket, timeout_ms);
}

bool eg_holds_settle(struct eg_holds *holds, int timeout_ms)
{
	return eg_journal_wait(holds->journal, eg_journal_last(holds->journal), timeout_ms);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * expiry.c - a policy's end is told beforehand: 14, 3 and 1 days before it
 *
 * Theory of operation. Every few seconds each policy in force is looked at. When it has less time left
 * than one of these, and had more when it was first seen, that is an event, once; a policy that begins
 * with five days is not told about fourteen. What was seen and told is kept by app and moment of the
 * end in a file of the state directory, so that a restart tells nothing again, and tells what came to
 * be while no agent ran. A new moment (a renewal) begins anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/slurp.h"
#include "agent_impl.h"
#include "clock.h"

#define FILE_NAME   "expiry"
#define FILE_DRAFT  "expiry.new"
#define FILE_MAX    (16u << 20)
#define EVERY_S	    3
#define TELL_MAX    200 /* at once: the events' queue is everybody's */
#define DAY_NS	    (24 * 3600 * EG_NS_PER_S)

static const unsigned days[] = {14, 3, 1};
#define STAGES (sizeof(days) / sizeof(days[0]))

struct known {
	char app[EG_APP_NAME_LEN];
	uint64_t expires_utc_ns;
	unsigned stage; /* how many of `days` are over */
	uint64_t pass; /* when it was last seen in force */
	struct known *next_gone;
};

struct eg_expiry {
	struct eg_agent *agent;
	void *tree; /* tsearch(3) of struct known, by app */
	uint64_t pass;
	bool dirty;
	unsigned ticks;
	bool failing;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->app, ((const struct known *)b)->app);
}

/* Finds or makes it. NULL without memory. */
static struct known *get(struct eg_expiry *expiry, const char *app)
{
	struct known wanted = {.app = ""}, **found, *item;

	snprintf(wanted.app, sizeof(wanted.app), "%s", app);
	found = tfind(&wanted, &expiry->tree, compare);
	if (found)
		return *found;
	item = calloc(1, sizeof(*item));
	if (!item)
		return NULL;
	memcpy(item->app, wanted.app, sizeof(item->app));
	if (!tsearch(item, &expiry->tree, compare)) {
		free(item);
		return NULL;
	}
	return item;
}

static unsigned stage_of(uint64_t left_ns)
{
	unsigned stage = 0;

	while (stage < STAGES && left_ns <= days[stage] * DAY_NS)
		stage++;
	return stage;
}

/* ---- On disk ---------------------------------------------------------------------------------- */

static void read_file(struct eg_expiry *expiry, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char app[EG_APP_NAME_LEN];
		uint64_t expires_utc_ns;
		struct known *item;
		unsigned stage;

		if (sscanf(line, "%63s %" SCNu64 " %u", app, &expires_utc_ns, &stage) != 3 || stage > STAGES)
			continue;
		item = get(expiry, app);
		if (!item)
			return;
		item->expires_utc_ns = expires_utc_ns;
		item->stage = stage;
	}
}

struct printing {
	FILE *out;
	uint64_t pass;
	struct known *gone;
};

static void print_one(const void *node, VISIT visit, void *ctx)
{
	struct known *item = *(struct known *const *)node;
	struct printing *printing = ctx;

	if (visit != postorder && visit != leaf)
		return;
	if (item->pass == printing->pass) {
		fprintf(printing->out, "%s %" PRIu64 " %u\n", item->app, item->expires_utc_ns, item->stage);
		return;
	}
	item->next_gone = printing->gone;
	printing->gone = item;
}

/* Not synced: what a crash takes is told again. Forgets on the way what is in force no more. */
static char *print_all(struct eg_expiry *expiry, size_t *ret_len)
{
	struct printing printing = {.pass = expiry->pass};
	char *text = NULL;

	printing.out = open_memstream(&text, ret_len);
	if (!printing.out)
		return NULL;
	twalk_r(expiry->tree, print_one, &printing);
	while (printing.gone) {
		struct known *item = printing.gone;

		printing.gone = item->next_gone;
		tdelete(item, &expiry->tree, compare);
		free(item);
	}
	if (fclose(printing.out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int write_draft(int dir_fd, const char *text, size_t len)
{
	EG_CLOSE int fd = openat(dir_fd, FILE_DRAFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : eg_write_all(fd, text, len);
}

static int write_file(struct eg_expiry *expiry)
{
	EG_CLOSE int dir_fd = open(eg_agent_config(expiry->agent)->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = 0;
	EG_FREE char *text = NULL;
	int r;

	if (dir_fd < 0)
		return -errno;
	text = print_all(expiry, &len);
	if (!text)
		return -ENOMEM;
	r = write_draft(dir_fd, text, len);
	if (!r && renameat(dir_fd, FILE_DRAFT, dir_fd, FILE_NAME))
		r = -errno;
	return r;
}

static void save(struct eg_expiry *expiry)
{
	int r = write_file(expiry);

	if (r < 0 && !expiry->failing)
		eg_log_err(
			"which ends of policies were told can't be written to %s (%s): they are told again after a restart",
			eg_agent_config(expiry->agent)->state_dir, strerror(-r));
	expiry->failing = r < 0;
	expiry->dirty = r < 0;
}

/* ---- Every few seconds ------------------------------------------------------------------------------- */

static void tell(struct eg_agent *agent, const struct eg_entry *entry, unsigned stage)
{
	eg_notice(agent, "policy", entry, NULL,
		  json_pack("{s:s,s:s,s:i,s:o}", "action", "expires_soon", "actor", "via=agent", "days_left",
			    (int)days[stage - 1], "expires", eg_time_json(entry->now->expires_utc_ns)));
	eg_log_notice("app %s: its policy expires in less than %u day%s", entry->name, days[stage - 1],
		      days[stage - 1] == 1 ? "" : "s");
}

/* Returns whether something was told. */
static bool look_at(struct eg_expiry *expiry, const struct eg_entry *entry, uint64_t now_ns, bool may_tell)
{
	uint64_t expires = entry->now->expires_utc_ns;
	unsigned stage = stage_of(expires > now_ns ? expires - now_ns : 0);
	struct known *item = get(expiry, entry->name);

	if (!item)
		return false;
	item->pass = expiry->pass;
	if (item->expires_utc_ns != expires) {
		item->expires_utc_ns = expires;
		item->stage = stage;
		expiry->dirty = true;
		return false;
	}
	if (stage <= item->stage || !may_tell)
		return false;
	item->stage = stage;
	expiry->dirty = true;
	if (expires <= now_ns)
		return false; /* that is an event of its own */
	tell(expiry->agent, entry, stage);
	return true;
}

void eg_expiry_check(struct eg_expiry *expiry)
{
	struct eg_agent *agent = expiry->agent;
	uint64_t now_ns = eg_clock_utc_ns();
	unsigned told = 0;

	if (expiry->ticks++ % EVERY_S)
		return;
	expiry->pass++;
	for (size_t i = 0; i < agent->count; i++) {
		const struct eg_entry *entry = agent->by_name[i];

		if (entry->now && !entry->deleted)
			told += look_at(expiry, entry, now_ns, told < TELL_MAX);
	}
	if (expiry->dirty)
		save(expiry);
}

int eg_expiry_new(struct eg_agent *agent, struct eg_expiry **ret)
{
	struct eg_expiry *expiry = calloc(1, sizeof(*expiry));
	EG_CLOSE int dir_fd = -1;
	EG_FREE char *text = NULL;
	size_t len;

	if (!expiry)
		return -ENOMEM;
	expiry->agent = agent;
	dir_fd = open(eg_agent_config(agent)->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd >= 0 && !eg_store_read_file(dir_fd, FILE_NAME, FILE_MAX, &text, &len))
		read_file(expiry, text);
	*ret = expiry;
	return 0;
}

void eg_expiry_free(struct eg_expiry *expiry)
{
	if (!expiry)
		return;
	if (expiry->dirty && expiry->pass)
		save(expiry);
	tdestroy(expiry->tree, free);
	free(expiry);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * ends.c - what ends by time: a policy, a relax
 *
 * Theory of operation. The kernel ends both by itself, at the first packet after the moment.
 * An app that is silent then has no such packet, and its connections would stay for as long as
 * it likes. So every second the agent looks for ends that nobody has met: it asks the loaded
 * program about an expired app, which latches and tells the expiry as a packet would have
 * done; after a relax it resets the TCP that the policy denies.
 *
 * The latch lives in the kernel's memory, so a reboot with the clock turned back would reopen
 * the policy. Therefore it is remembered on disk which policy (by its hash) of which app was
 * seen to expire: one for each app, in lines of the usage file, until it could not be in force
 * by any clock that is right within LIFETIME_NS.
 */
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "clock.h"
#include "sockdiag.h"

#define LINE_START  "expired "
#define LIFETIME_NS (366ull * 24 * 3600 * EG_NS_PER_S)

struct expired {
	char app[EG_APP_NAME_LEN];
	uint8_t hash[32];
	uint64_t expires_utc_ns;
	struct expired *next_over;
};

struct eg_expired {
	pthread_mutex_t lock;
	void *tree; /* tsearch(3) of struct expired, by app */
};

/* ---- Which policies were seen to expire --------------------------------------------------------- */

int eg_expired_new(struct eg_expired **ret)
{
	struct eg_expired *expired = calloc(1, sizeof(*expired));

	if (!expired)
		return -ENOMEM;
	pthread_mutex_init(&expired->lock, NULL);
	*ret = expired;
	return 0;
}

void eg_expired_free(struct eg_expired *expired)
{
	if (!expired)
		return;
	tdestroy(expired->tree, free);
	pthread_mutex_destroy(&expired->lock);
	free(expired);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct expired *)a)->app, ((const struct expired *)b)->app);
}

static struct expired *find(struct eg_expired *expired, const char *app)
{
	struct expired wanted = {.app = ""}, **found;

	snprintf(wanted.app, sizeof(wanted.app), "%s", app);
	found = tfind(&wanted, &expired->tree, compare);
	return found ? *found : NULL;
}

void eg_expired_note(struct eg_expired *expired, const char *app, const uint8_t hash[32], uint64_t expires_utc_ns)
{
	struct expired *item;

	pthread_mutex_lock(&expired->lock);
	item = find(expired, app);
	if (!item) {
		item = calloc(1, sizeof(*item));
		if (item)
			snprintf(item->app, sizeof(item->app), "%s", app);
		if (item && !tsearch(item, &expired->tree, compare)) {
			free(item);
			item = NULL;
		}
	}
	if (item) {
		memcpy(item->hash, hash, sizeof(item->hash));
		item->expires_utc_ns = expires_utc_ns;
	}
	pthread_mutex_unlock(&expired->lock);
}

bool eg_expired_has(struct eg_expired *expired, const char *app, const uint8_t hash[32])
{
	const struct expired *item;
	bool has;

	pthread_mutex_lock(&expired->lock);
	item = find(expired, app);
	has = item && memcmp(item->hash, hash, sizeof(item->hash)) == 0;
	pthread_mutex_unlock(&expired->lock);
	return has;
}

/* ---- On disk ------------------------------------------------------------------------------------------ */

void eg_expired_read(struct eg_expired *expired, const char *line)
{
	char app[EG_APP_NAME_LEN], hex[65];
	uint64_t expires_utc_ns;
	uint8_t hash[32];

	if (strncmp(line, LINE_START, strlen(LINE_START)) != 0 ||
	    sscanf(line + strlen(LINE_START), "%63s %64[0-9a-f] %" SCNu64, app, hex, &expires_utc_ns) != 3 ||
	    strlen(hex) != 64)
		return;
	for (size_t i = 0; i < sizeof(hash); i++) {
		unsigned byte = 0;

		sscanf(hex + 2 * i, "%2x", &byte);
		hash[i] = (uint8_t)byte;
	}
	eg_expired_note(expired, app, hash, expires_utc_ns);
}

struct printing {
	FILE *out;
	uint64_t now_utc_ns;
	struct expired *over;
};

static void print_one(const void *node, VISIT visit, void *ctx)
{
	struct expired *item = *(struct expired *const *)node;
	struct printing *printing = ctx;

	if (visit != postorder && visit != leaf)
		return;
	if (printing->now_utc_ns > item->expires_utc_ns + LIFETIME_NS) {
		item->next_over = printing->over;
		printing->over = item;
		return;
	}
	fprintf(printing->out, LINE_START "%s ", item->app);
	for (size_t i = 0; i < sizeof(item->hash); i++)
		fprintf(printing->out, "%02x", item->hash[i]);
	fprintf(printing->out, " %" PRIu64 "\n", item->expires_utc_ns);
}

void eg_expired_print(struct eg_expired *expired, FILE *out)
{
	struct printing printing = {.out = out, .now_utc_ns = eg_clock_utc_ns()};

	pthread_mutex_lock(&expired->lock);
	twalk_r(expired->tree, print_one, &printing);
	while (printing.over) {
		struct expired *item = printing.over;

		printing.over = item->next_over;
		tdelete(item, &expired->tree, compare);
		free(item);
	}
	pthread_mutex_unlock(&expired->lock);
}

/* ---- Every second ---------------------------------------------------------------------------------------- */

/* The program latches the expiry and tells it, as for a packet; the event has the sockets reset. */
static void meet_expiry(struct eg_agent *agent, const struct eg_entry *entry)
{
	struct eg_question question = {.app = entry->slot};

	if (!entry->now || eg_clock_utc_ns() < entry->now->expires_utc_ns ||
	    eg_entry_state(agent, entry)->expired_uid == entry->now->uid ||
	    strcmp(eg_registry_state(agent, entry), "expired") != 0)
		return;
	if (eg_kern_explain(agent->kern, &question) < 0)
		eg_log_err("app %s: its policy has expired, and the loaded program can't be told so", entry->name);
}

/* Whether the app's relax is over, and nobody has seen to that yet. Under lock. */
static bool meet_relax_end(struct eg_agent *agent, const struct eg_entry *entry)
{
	struct eg_app_ctl *ctl = eg_entry_ctl(agent, entry);

	if (!ctl->relax_until_boot_ns || ctl->relax_until_boot_ns > eg_clock_boot_ns())
		return false;
	__atomic_store_n(&ctl->relax_until_boot_ns, 0, __ATOMIC_SEQ_CST);
	eg_notice(agent, "alert", entry, NULL,
		  json_pack("{s:s,s:s,s:s}", "action", "relax_end", "actor", "via=agent", "cause", "its time is over"));
	eg_log_notice("relax %s: its time is over", entry->name);
	return true;
}

static bool meet_override_end(struct eg_agent *agent, const struct eg_entry *entry)
{
	uint64_t until = eg_entry_ctl(agent, entry)->override_until_boot_ns;

	return until && until <= eg_clock_boot_ns() && eg_override_end(agent, entry, "its time is over");
}

void eg_ends_check(struct eg_agent *agent)
{
	for (size_t i = 0; i < agent->count; i++) {
		const struct eg_entry *entry = agent->by_name[i];
		bool relax_ended, override_ended;
		struct eg_cut done;

		pthread_mutex_lock(&agent->lock);
		meet_expiry(agent, entry);
		relax_ended = meet_relax_end(agent, entry);
		override_ended = meet_override_end(agent, entry);
		pthread_mutex_unlock(&agent->lock);
		if (relax_ended)
			eg_cut_denied(agent, entry->name);
		if (override_ended)
			eg_cut_app(agent, entry->name, false, &done);
	}
}

// SPDX-License-Identifier: Apache-2.0
/*
 * usage.c - what the apps have used of their caps, written down every second
 *
 * Theory of operation. The kernel's meters outlive the agent, not the host. So their windows
 * and bytes are checkpointed, and a meter that is new to the kernel begins with what is
 * remembered of it: from the file, or from when a policy without it came into force, so that
 * taking a cap away and giving it back empties nothing. After a boot without a clean end (the
 * file's last line is missing) nobody knows what was used in the last second: the windows that
 * had begun count as used up.
 *
 * The file is text: a header with the boot's id; a line for each meter with
 * app, scope, direction, window's length and number, bytes; one for each policy that was seen
 * to expire (see ends.c); and "end clean" or "end running".
 * The end is clean only if no app had a socket when the agent stopped.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/log.h"
#include "../lib/slurp.h"
#include "agent_impl.h"
#include "clock.h"

#define USAGE_FILE   "usage"
#define USAGE_DRAFT  "usage.new"
#define USAGE_MAX    (64u << 20)
#define USAGE_HEADER "egret-usage 1 "
#define USED_UP      (1ull << 47) /* of a cap, whatever it is: no limit is higher */

/* What is known of one meter that the kernel may not have. */
struct remembered {
	char *key; /* "app scope direction length" */
	uint64_t window;
	uint64_t window_end_utc_ns;
	uint64_t used;
	uint64_t live_at; /* number of the checkpoint that found it in the kernel */
	struct remembered *next_over;
};

struct eg_usage {
	struct eg_agent *agent;
	int dir_fd;
	void *remembered; /* tsearch(3) tree; under lock */
	uint64_t checkpoints;
	char *last_text; /* as it is in the file */
	int last_errno;
	bool running;
	bool stopping;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop;
};

/* ---- Meters -------------------------------------------------------------------------------- */

int eg_usage_of(struct eg_agent *agent, uint32_t slot, const struct eg_meter_conf *conf, uint64_t *ret_window,
		uint64_t *ret_used)
{
	uint32_t key = slot * EG_METERS_PER_APP + conf->state;
	uint64_t window = eg_clock_utc_ns() / conf->per_ns;
	struct eg_meter meter;

	if (bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_METERS), &key, &meter))
		return -errno;
	*ret_used = 0;
	if (meter.window >= window) { /* beyond it when the clock was turned back */
		window = meter.window;
		if (meter.word >> 48 == (window & 0xffff))
			*ret_used = EG_METER_USED(meter.word);
	}
	*ret_window = window;
	return 0;
}

static char *key_of(const char *app, const struct eg_metered *metered)
{
	char *key;

	if (asprintf(&key, "%s %s %d %" PRIu64, app, metered->scope ? metered->scope : "*", metered->conf.dir,
		     (uint64_t)metered->conf.per_ns) < 0)
		return NULL;
	return key;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct remembered *)a)->key, ((const struct remembered *)b)->key);
}

/* Under lock. NULL: nothing is known of it. */
static struct remembered *find(struct eg_usage *usage, char *key)
{
	struct remembered **found = tfind(&(struct remembered){.key = key}, &usage->remembered, compare);

	return found ? *found : NULL;
}

static void remembered_free(void *node)
{
	struct remembered *item = node;

	free(item->key);
	free(item);
}

/* Under lock. Takes key; adds it, or changes what was known. */
static void remember(struct eg_usage *usage, char *key, uint64_t per_ns, uint64_t window, uint64_t used)
{
	struct remembered *item = find(usage, key);

	if (item) {
		free(key);
	} else {
		item = calloc(1, sizeof(*item));
		if (!item || !tsearch((item->key = key, item), &usage->remembered, compare)) {
			free(key);
			free(item);
			return;
		}
	}
	item->window = window;
	item->window_end_utc_ns = (window + 1) * per_ns;
	item->used = used;
}

void eg_usage_seed(struct eg_usage *usage, const char *app, const struct eg_metered *metered, struct eg_meter *ret)
{
	const struct eg_meter_conf *conf = &metered->conf;
	const struct remembered *item = NULL;
	EG_FREE char *key = NULL;
	uint64_t used;

	*ret = (struct eg_meter){0};
	if (!usage || conf->kind != EG_METER_BYTES || !conf->per_ns)
		return;
	key = key_of(app, metered);
	pthread_mutex_lock(&usage->lock);
	if (key)
		item = find(usage, key);
	if (item && item->window >= eg_clock_utc_ns() / conf->per_ns) {
		used = item->used >= USED_UP ? conf->limit : item->used;
		ret->window = item->window;
		ret->window_end_utc_ns = (ret->window + 1) * conf->per_ns;
		ret->word = (ret->window & 0xffff) << 48 | EG_METER_USED(used);
	}
	pthread_mutex_unlock(&usage->lock);
}

void eg_usage_keep(struct eg_usage *usage, const char *app, uint32_t slot, const struct eg_metered *metered)
{
	const struct eg_meter_conf *conf = &metered->conf;
	uint64_t window = 0, used = 0;
	char *key;

	if (!usage || conf->kind != EG_METER_BYTES || !conf->per_ns ||
	    eg_usage_of(usage->agent, slot, conf, &window, &used) < 0 || !(key = key_of(app, metered)))
		return;
	pthread_mutex_lock(&usage->lock);
	remember(usage, key, conf->per_ns, window, used);
	pthread_mutex_unlock(&usage->lock);
}

/* ---- Reading ---------------------------------------------------------------------------------- */

static void read_line(struct eg_usage *usage, char *line)
{
	char *numbers = strchr(line, '\t'), *length, *key;
	uint64_t per_ns, window, used;

	if (!numbers || sscanf(numbers + 1, "%" SCNu64 " %" SCNu64, &window, &used) != 2)
		return;
	*numbers = '\0';
	length = strrchr(line, ' ');
	if (!length || sscanf(length + 1, "%" SCNu64, &per_ns) != 1 || !(key = strdup(line)))
		return;
	if (find(usage, key))
		free(key); /* the first line of a meter is the later one: see print */
	else
		remember(usage, key, per_ns, window, used);
}

static void use_up(const void *node, VISIT visit, void *ctx)
{
	(void)ctx;
	if (visit == postorder || visit == leaf)
		(*(struct remembered *const *)node)->used = USED_UP;
}

static void parse(struct eg_usage *usage, char *text)
{
	bool same_boot = false, clean = false;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, USAGE_HEADER, strlen(USAGE_HEADER)) == 0)
			same_boot = strcmp(line + strlen(USAGE_HEADER), usage->agent->boot_id) == 0;
		else if (strcmp(line, "end clean") == 0)
			clean = true;
		else if (strncmp(line, "expired ", 8) == 0)
			eg_expired_read(usage->agent->expired, line);
		else
			read_line(usage, line);
	}
	if (same_boot || clean)
		return;
	twalk_r(usage->remembered, use_up, NULL);
	eg_log_notice("the host went down without a clean end: caps whose window had begun count as used up");
}

int eg_usage_start(struct eg_agent *agent, struct eg_usage **ret)
{
	struct eg_usage *usage = calloc(1, sizeof(*usage));
	EG_FREE char *text = NULL;
	size_t len;
	int r;

	if (!usage)
		return -ENOMEM;
	usage->agent = agent;
	pthread_mutex_init(&usage->lock, NULL);
	pthread_cond_init(&usage->stop, NULL);
	usage->dir_fd = open(eg_agent_config(agent)->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (usage->dir_fd < 0) {
		r = -errno;
		free(usage);
		return r;
	}
	r = eg_store_read_file(usage->dir_fd, USAGE_FILE, USAGE_MAX, &text, &len);
	if (r == 0)
		parse(usage, text);
	else if (r != -ENOENT)
		eg_log_err("%s/" USAGE_FILE " can't be read (%s): what was used of the caps before is not known",
			   eg_agent_config(agent)->state_dir, strerror(-r));
	*ret = usage;
	return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------- */

/* Under the agent's lock. */
static void print_entry(struct eg_usage *usage, FILE *out, const struct eg_entry *entry)
{
	const struct eg_applied *now = entry->now;

	if (now && eg_entry_state(usage->agent, entry)->expired_uid == now->uid)
		eg_expired_note(usage->agent->expired, entry->name, now->hash, now->expires_utc_ns);
	for (size_t i = 0; now && i < now->meter_count; i++) {
		const struct eg_metered *metered = &now->meters[i];
		EG_FREE char *key = NULL;
		struct remembered *item;
		uint64_t window = 0, used = 0;

		if (metered->conf.kind != EG_METER_BYTES || !(key = key_of(entry->name, metered)) ||
		    eg_usage_of(usage->agent, entry->slot, &metered->conf, &window, &used) < 0)
			continue;
		fprintf(out, "%s\t%" PRIu64 " %" PRIu64 "\n", key, window, used);
		pthread_mutex_lock(&usage->lock);
		item = find(usage, key);
		if (item)
			item->live_at = usage->checkpoints;
		pthread_mutex_unlock(&usage->lock);
	}
}

struct absent {
	struct eg_usage *usage;
	FILE *out;
	uint64_t now_utc_ns;
	struct remembered *over; /* those whose window is over */
};

static void print_absent(const void *node, VISIT visit, void *ctx)
{
	struct remembered *item = *(struct remembered *const *)node;
	struct absent *absent = ctx;

	if (visit != postorder && visit != leaf)
		return;
	if (item->window_end_utc_ns <= absent->now_utc_ns) {
		item->next_over = absent->over;
		absent->over = item;
	} else if (item->live_at != absent->usage->checkpoints) {
		fprintf(absent->out, "%s\t%" PRIu64 " %" PRIu64 "\n", item->key, item->window, item->used);
	}
}

/* Meters that no policy has now; those whose window is over are forgotten. */
static void print_all_absent(struct eg_usage *usage, FILE *out)
{
	struct absent absent = {.usage = usage, .out = out, .now_utc_ns = eg_clock_utc_ns()};

	pthread_mutex_lock(&usage->lock);
	twalk_r(usage->remembered, print_absent, &absent);
	while (absent.over) {
		struct remembered *item = absent.over;

		absent.over = item->next_over;
		tdelete(item, &usage->remembered, compare);
		remembered_free(item);
	}
	pthread_mutex_unlock(&usage->lock);
}

static bool is_quiet(const struct eg_agent *agent)
{
	for (uint32_t slot = 0; slot < eg_registry_slots(agent); slot++) {
		if (eg_kern_app(agent->kern, slot)->state.sockets)
			return false;
	}
	return true;
}

/* Text of the file. A page of entries at a time under lock, so that a kill never waits for it. */
static char *print(struct eg_usage *usage, bool stopping)
{
	struct eg_agent *agent = usage->agent;
	char *text = NULL;
	size_t size, slot = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	usage->checkpoints++;
	fprintf(out, USAGE_HEADER "%s\n", agent->boot_id);
	while (slot < eg_registry_slots(agent)) {
		pthread_mutex_lock(&agent->lock);
		for (size_t n = 0; n < 64 && slot < agent->slots_used; n++, slot++) {
			if (agent->by_slot[slot])
				print_entry(usage, out, agent->by_slot[slot]);
		}
		pthread_mutex_unlock(&agent->lock);
	}
	print_all_absent(usage, out);
	eg_expired_print(agent->expired, out);
	fprintf(out, "end %s\n", stopping && is_quiet(agent) ? "clean" : "running");
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int replace(const struct eg_usage *usage, const char *text)
{
	EG_CLOSE int fd = openat(usage->dir_fd, USAGE_DRAFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : eg_write_all(fd, text, strlen(text));

	if (r < 0)
		return r;
	if (fdatasync(fd) || renameat(usage->dir_fd, USAGE_DRAFT, usage->dir_fd, USAGE_FILE))
		return -errno;
	return 0;
}

static void checkpoint(struct eg_usage *usage, bool stopping)
{
	char *text = print(usage, stopping);
	int r;

	if (!text || (usage->last_text && strcmp(text, usage->last_text) == 0)) {
		free(text);
		return;
	}
	r = replace(usage, text);
	if (r < 0 && r != usage->last_errno)
		eg_log_err("what the apps have used of their caps can't be written to %s: %s",
			   eg_agent_config(usage->agent)->state_dir, strerror(-r));
	__atomic_store_n(&usage->last_errno, r, __ATOMIC_RELAXED);
	free(usage->last_text);
	usage->last_text = r < 0 ? NULL : text;
	if (r < 0)
		free(text);
}

static void *run(void *ctx)
{
	struct eg_usage *usage = ctx;

	pthread_mutex_lock(&usage->lock);
	while (!usage->stopping) {
		struct timespec until;

		pthread_mutex_unlock(&usage->lock);
		checkpoint(usage, false);
		pthread_mutex_lock(&usage->lock);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		if (!usage->stopping)
			pthread_cond_clockwait(&usage->stop, &usage->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&usage->lock);
	return NULL;
}

int eg_usage_checkpoint_from_now(struct eg_usage *usage)
{
	int r = pthread_create(&usage->thread, NULL, run, usage);

	usage->running = r == 0;
	return -r;
}

int eg_usage_last_error(const struct eg_usage *usage)
{
	return __atomic_load_n(&usage->last_errno, __ATOMIC_RELAXED);
}

void eg_usage_stop(struct eg_usage *usage)
{
	if (!usage)
		return;
	if (usage->running) {
		pthread_mutex_lock(&usage->lock);
		usage->stopping = true;
		pthread_cond_signal(&usage->stop);
		pthread_mutex_unlock(&usage->lock);
		pthread_join(usage->thread, NULL);
		checkpoint(usage, true);
	}
	tdestroy(usage->remembered, remembered_free);
	pthread_cond_destroy(&usage->stop);
	pthread_mutex_destroy(&usage->lock);
	close(usage->dir_fd);
	free(usage->last_text);
	free(usage);
}

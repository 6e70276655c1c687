// SPDX-License-Identifier: Apache-2.0
/*
 * usage.c - what the apps have used of their caps, written down every second
 *
 * Theory of operation. The kernel's meters outlive the agent, not the host. So their windows
 * and bytes are checkpointed, and a meter that is new to the kernel begins with what the file
 * says of it. After a boot without a clean end (the file's last line is missing) nobody knows
 * what was used in the last second: the windows that had begun count as used up.
 *
 * The file is text: a header with the boot's id, a line for each meter with
 * app, scope, direction, window's length and number, bytes; and "end clean" or "end running".
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
#include "agent_impl.h"
#include "clock.h"

#define USAGE_FILE   "usage"
#define USAGE_DRAFT  "usage.new"
#define USAGE_MAX    (64u << 20)
#define USAGE_HEADER "egret-usage 1 "

/* What the file says of one meter. */
struct remembered {
	char *key; /* "app scope direction length" */
	uint64_t window;
	uint64_t used;
};

struct eg_usage {
	struct eg_agent *agent;
	int dir_fd;
	void *remembered; /* tsearch(3) tree; under apply */
	bool charge; /* the host went down without a clean end */
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

void eg_usage_seed(struct eg_usage *usage, const char *app, const struct eg_metered *metered, struct eg_meter *ret)
{
	const struct eg_meter_conf *conf = &metered->conf;
	EG_FREE char *key = NULL;
	struct remembered **found = NULL;
	uint64_t window, used;

	*ret = (struct eg_meter){0};
	if (!usage || conf->kind != EG_METER_BYTES || !conf->per_ns)
		return;
	key = key_of(app, metered);
	window = eg_clock_utc_ns() / conf->per_ns;
	if (key)
		found = tfind(&(struct remembered){.key = key}, &usage->remembered, compare);
	if (!found || (*found)->window < window)
		return;
	used = usage->charge ? conf->limit : (*found)->used;
	ret->window = (*found)->window;
	ret->window_end_utc_ns = (ret->window + 1) * conf->per_ns;
	ret->word = (ret->window & 0xffff) << 48 | EG_METER_USED(used);
}

/* ---- Reading ---------------------------------------------------------------------------------- */

static void remember(struct eg_usage *usage, char *line)
{
	struct remembered *item = calloc(1, sizeof(*item));
	char *numbers = strchr(line, '\t');
	struct remembered **found;

	if (!item || !numbers || sscanf(numbers + 1, "%" SCNu64 " %" SCNu64, &item->window, &item->used) != 2) {
		free(item);
		return;
	}
	*numbers = '\0';
	item->key = strdup(line);
	found = item->key ? tsearch(item, &usage->remembered, compare) : NULL;
	if (!found || *found != item) {
		free(item->key);
		free(item);
	}
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
		else
			remember(usage, line);
	}
	usage->charge = !same_boot && !clean;
	if (usage->charge)
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
	usage->dir_fd = open(agent->config->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
			   agent->config->state_dir, strerror(-r));
	*ret = usage;
	return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------- */

static void print_entry(struct eg_agent *agent, FILE *out, const struct eg_entry *entry)
{
	for (size_t i = 0; entry->now && i < entry->now->meter_count; i++) {
		const struct eg_metered *metered = &entry->now->meters[i];
		uint64_t window, used;

		if (metered->conf.kind != EG_METER_BYTES ||
		    eg_usage_of(agent, entry->slot, &metered->conf, &window, &used) < 0)
			continue;
		fprintf(out, "%s %s %d %" PRIu64 "\t%" PRIu64 " %" PRIu64 "\n", entry->name,
			metered->scope ? metered->scope : "*", metered->conf.dir, (uint64_t)metered->conf.per_ns,
			window, used);
	}
}

static bool is_quiet(const struct eg_agent *agent)
{
	for (uint32_t slot = 0; slot < agent->slots_used; slot++) {
		if (eg_kern_app(agent->kern, slot)->state.sockets)
			return false;
	}
	return true;
}

/* Text of the file. A page of entries at a time under lock, so that a kill never waits for it. */
static char *print(struct eg_agent *agent, bool stopping)
{
	char *text = NULL;
	size_t size, slot = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, USAGE_HEADER "%s\n", agent->boot_id);
	while (slot < agent->slots_used) {
		pthread_mutex_lock(&agent->lock);
		for (size_t n = 0; n < 64 && slot < agent->slots_used; n++, slot++) {
			if (agent->by_slot[slot])
				print_entry(agent, out, agent->by_slot[slot]);
		}
		pthread_mutex_unlock(&agent->lock);
	}
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
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	if (fdatasync(fd) || renameat(usage->dir_fd, USAGE_DRAFT, usage->dir_fd, USAGE_FILE))
		return -errno;
	return 0;
}

static void checkpoint(struct eg_usage *usage, bool stopping)
{
	char *text = print(usage->agent, stopping);
	int r;

	if (!text || (usage->last_text && strcmp(text, usage->last_text) == 0)) {
		free(text);
		return;
	}
	r = replace(usage, text);
	if (r < 0 && r != usage->last_errno)
		eg_log_err("what the apps have used of their caps can't be written to %s: %s",
			   usage->agent->config->state_dir, strerror(-r));
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
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		if (!usage->stopping)
			pthread_cond_timedwait(&usage->stop, &usage->lock, &until);
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

static void remembered_free(void *node)
{
	struct remembered *item = node;

	free(item->key);
	free(item);
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

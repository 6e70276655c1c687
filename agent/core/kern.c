// SPDX-License-Identifier: Apache-2.0
#include "kern.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "kern_lsm.h"
#include "kern_pages.h"
#include "kern_pins.h"
#include "kern_programs.h"

#include <egret.skel.h>

struct eg_kern {
	struct eg_programs programs;
	char bpffs[256];
	struct eg_host_ctl *host;
	struct eg_app *apps;
	struct eg_ruleset *rulesets;
	struct eg_match *matches;
	uint32_t max[EG_MAP_COUNT_];
	int fd[EG_MAP_COUNT_];
	int possible_cpus;
};

static const char *const map_names[EG_MAP_COUNT_] = {
	[EG_MAP_RULES] = "rules",
	[EG_MAP_NAMES] = "names",
	[EG_MAP_MATCHES] = "matches",
	[EG_MAP_RULESETS] = "rulesets",
	[EG_MAP_APPS] = "apps",
	[EG_MAP_APP_NAMES] = "app_names",
	[EG_MAP_METERS] = "meters",
	[EG_MAP_GUARD_METERS] = "guard_meters",
	[EG_MAP_GUARDS] = "guards",
	[EG_MAP_HOST_CTL] = "host_ctl",
	[EG_MAP_HOST_STATE] = "host_state",
	[EG_MAP_CGROUPS] = "cgroups",
	[EG_MAP_COUNTERS] = "counters",
	[EG_MAP_REASONS] = "reasons",
	[EG_MAP_LOSSES] = "losses",
	[EG_MAP_DENIED] = "denied",
	[EG_MAP_SOCKS] = "socks",
	[EG_MAP_ASKED] = "asked",
	[EG_MAP_DNS_STREAMS] = "dns_streams",
	[EG_MAP_SOCK_NAMES] = "sock_names",
	[EG_MAP_GRANTS] = "grants",
	[EG_MAP_GRANT_ORDER] = "grant_order",
	[EG_MAP_PEERS] = "peers",
	[EG_MAP_PEERS_UNTIMED] = "peers_untimed",
	[EG_MAP_PEER_BLANK] = "peer_blank",
	[EG_MAP_EVENTS] = "events",
	[EG_MAP_FLOW_EVENTS] = "flow_events",
};

/* ---- Sizes and pins ---------------------------------------------------------------- */

static uint32_t at_most_u32(uint64_t n)
{
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static uint32_t wanted_max(enum eg_kern_map map, const struct eg_kern_sizes *s)
{
	uint32_t slots = s->max_apps + 1; /* slot 0 is for unknown cgroups */

	switch (map) {
	case EG_MAP_RULES:
	case EG_MAP_MATCHES:
		return at_most_u32((uint64_t)s->max_rules * 2 + 1024); /* old and new of a change */
	case EG_MAP_NAMES:
		return at_most_u32((uint64_t)s->max_names * 2 + 64);
	case EG_MAP_RULESETS:
		return slots * 2 + 16;
	case EG_MAP_APP_NAMES:
	case EG_MAP_APPS:
	case EG_MAP_COUNTERS:
	case EG_MAP_REASONS:
	case EG_MAP_LOSSES:
	case EG_MAP_DENIED:
		return slots;
	case EG_MAP_GUARDS:
		return slots * 4;
	case EG_MAP_METERS:
	case EG_MAP_GUARD_METERS:
		return slots * EG_METERS_PER_APP;
	case EG_MAP_CGROUPS:
		return slots * 16 + EG_DEAD_CGROUPS;
	case EG_MAP_PEERS:
		return at_most_u32((uint64_t)slots * s->peers_per_app);
	case EG_MAP_GRANTS:
	case EG_MAP_GRANT_ORDER:
		return at_most_u32((uint64_t)slots * s->grants_per_app);
	case EG_MAP_EVENTS:
		return s->priority_ring_bytes;
	case EG_MAP_FLOW_EVENTS:
		return s->ring_bytes;
	default:
		return 0; /* as built */
	}
}

static void map_path(char *ret, size_t size, const char *bpffs, enum eg_kern_map id)
{
	snprintf(ret, size, "%s/maps/%s", bpffs, map_names[id]);
}

static int prepare_map(struct eg_kern *kern, struct egret *skel, enum eg_kern_map id, const struct eg_kern_sizes *sizes)
{
	struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, map_names[id]);
	uint32_t want = wanted_max(id, sizes);
	char path[320];
	uint32_t have;
	int r;

	if (!map)
		return -ENOENT;
	map_path(path, sizeof(path), kern->bpffs, id);
	r = eg_kern_pinned_max(map, path, &have);
	if (r)
		return r;
	if (have)
		want = have;
	if (want) {
		r = bpf_map__set_max_entries(map, want);
		if (r)
			return r;
	}
	return bpf_map__set_pin_path(map, path);
}

/* ---- Loading ------------------------------------------------------------------------- */

/* libbpf's own messages matter only when loading fails; then the last one says why. */
static char libbpf_said[512];

static int libbpf_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN) {
		vsnprintf(libbpf_said, sizeof(libbpf_said), format, args);
		libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
		eg_log_debug("libbpf: %s", libbpf_said);
	}
	return 0;
}

static int map_memory(struct eg_kern *kern, enum eg_kern_map id, size_t value_size, void **ret)
{
	size_t size = (size_t)kern->max[id] * value_size;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, kern->fd[id], 0);

	if (at == MAP_FAILED)
		return -errno;
	*ret = at;
	return 0;
}

static int map_all_memory(struct eg_kern *kern)
{
	int r;

	r = map_memory(kern, EG_MAP_HOST_CTL, sizeof(*kern->host), (void **)&kern->host);
	if (!r)
		r = map_memory(kern, EG_MAP_APPS, sizeof(*kern->apps), (void **)&kern->apps);
	if (!r)
		r = map_memory(kern, EG_MAP_RULESETS, sizeof(*kern->rulesets), (void **)&kern->rulesets);
	if (!r)
		r = map_memory(kern, EG_MAP_MATCHES, sizeof(*kern->matches), (void **)&kern->matches);
	return r;
}

/* What is needed of a loaded object from here on. */
static int take(struct eg_kern *kern, const struct egret *skel)
{
	for (int id = 0; id < EG_MAP_COUNT_; id++) {
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, map_names[id]);

		kern->fd[id] = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);
		if (kern->fd[id] < 0)
			return -errno;
		kern->max[id] = bpf_map__max_entries(map);
	}
	return eg_programs_take(&kern->programs, skel->obj);
}

static int load(struct eg_kern *kern, struct egret *skel, const char *build, struct eg_error *err)
{
	int r;

	libbpf_said[0] = '\0';
	r = egret__load(skel);
	if (r)
		return eg_error_set(err, 500, "bpf_load",
				    "the kernel refused the BPF programs (%s)%s%s; `egret doctor` names what is missing",
				    strerror(-r), libbpf_said[0] ? ": " : "", libbpf_said);
	r = take(kern, skel);
	if (!r)
		r = eg_programs_pin(&kern->programs, kern->bpffs, build);
	if (r)
		return eg_error_set(err, 500, "bpf_pin", "the BPF programs could not be pinned in %s: %s", kern->bpffs,
				    strerror(-r));
	return 0;
}

static void close_maps(struct eg_kern *kern)
{
	for (int id = 0; id < EG_MAP_COUNT_; id++) {
		if (kern->fd[id] >= 0)
			close(kern->fd[id]);
		kern->fd[id] = -1;
	}
}

/* The pinned maps with the programs that were loaded on them. What is not in order is left to load(). */
static int adopt(struct eg_kern *kern, const char *build)
{
	struct eg_programs_map maps[EG_MAP_COUNT_];
	struct bpf_map_info info;
	__u32 len = sizeof(info);
	char path[320];
	int r = 0;

	for (int id = 0; !r && id < EG_MAP_COUNT_; id++) {
		map_path(path, sizeof(path), kern->bpffs, (enum eg_kern_map)id);
		kern->fd[id] = bpf_obj_get(path);
		memset(&info, 0, sizeof(info));
		if (kern->fd[id] < 0 || bpf_obj_get_info_by_fd(kern->fd[id], &info, &len))
			r = -errno;
		kern->max[id] = info.max_entries;
		maps[id] = (struct eg_programs_map){.name = map_names[id], .id = info.id};
	}
	if (!r)
		r = eg_programs_adopt(&kern->programs, kern->bpffs, build, maps, EG_MAP_COUNT_);
	if (r)
		close_maps(kern);
	return r;
}

EG_DEFINE_CLEANUP(skel, struct egret *, egret__destroy);

static int adopt_or_load(struct eg_kern *kern, const struct eg_kern_sizes *sizes, bool adopted, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_skel) struct egret *skel = egret__open();
	char build[EG_BUILD_LEN];
	const void *objects;
	size_t size;
	int r;

	if (!skel)
		return eg_error_set(err, 500, "bpf_open", "the BPF objects could not be opened: %s", strerror(errno));
	for (int id = 0; id < EG_MAP_COUNT_; id++) {
		r = prepare_map(kern, skel, (enum eg_kern_map)id, sizes);
		if (r == -ESTALE)
			return eg_kern_refuse_pins(kern->bpffs, err);
		if (r)
			return eg_error_set(err, 500, "bpf_open", "map %s could not be prepared: %s",
					    map_names[id], strerror(-r));
	}
	objects = egret__elf_bytes(&size);
	kern->programs.families = sizes->any_family ? -ECANCELED : eg_kern_lsm_probe();
	bpf_program__set_autoload(skel->progs.eg_lsm_create, kern->programs.families == 0);
	bpf_program__set_autoload(skel->progs.eg_lsm_option, kern->programs.families == 0);
	r = eg_kern_pages_prepare(skel->progs.eg_egress, &kern->programs.sees_pages);
	if (r)
		return eg_error_set(err, 500, "bpf_open", "program eg_egress could not be prepared: %s", strerror(-r));
	skel->rodata->eg_sees_pages = kern->programs.sees_pages;
	eg_programs_build(&kern->programs, objects, size, build);
	if (adopted && adopt(kern, build) == 0)
		eg_log_info("the pinned programs are of this build: they stay as they are");
	else if ((r = load(kern, skel, build, err)))
		return r;
	r = map_all_memory(kern);
	if (r)
		return eg_error_set(err, 500, "bpf_mmap", "the maps could not be mapped into memory: %s", strerror(-r));
	return 0;
}

static struct eg_kern *new_kern(const char *bpffs)
{
	struct eg_kern *kern = calloc(1, sizeof(*kern));

	if (!kern || strlen(bpffs) >= sizeof(kern->bpffs)) {
		free(kern);
		return NULL;
	}
	snprintf(kern->bpffs, sizeof(kern->bpffs), "%s", bpffs);
	eg_programs_init(&kern->programs);
	for (int id = 0; id < EG_MAP_COUNT_; id++)
		kern->fd[id] = -1;
	return kern;
}

EG_DEFINE_CLEANUP(kern, struct eg_kern *, eg_kern_close);

/* From the last store on the maps can be adopted: whoever does so, after a start cut short, has to find them early. */
static void publish(struct eg_kern *kern, bool early)
{
	struct eg_host_ctl *host = kern->host;

	if (early)
		host->flags |= EG_HOST_EARLY;
	host->abi_minor = EG_ABI_MINOR;
	host->generation++;
	if (!host->next_uid)
		host->next_uid = 1;
	__atomic_store_n(&host->abi_major, EG_ABI_MAJOR, __ATOMIC_SEQ_CST);
}

int eg_kern_open(const char *bpffs, const struct eg_kern_sizes *sizes, struct eg_kern **ret, bool *ret_adopted,
		 struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_kern) struct eg_kern *kern = NULL;
	bool adopted = false;
	struct eg_error ignored = {0};
	int r;

	libbpf_set_print(libbpf_quiet);
	kern = new_kern(bpffs);
	if (!kern)
		return eg_error_set(err, 500, "no_memory", "out of memory, or the bpffs path is too long");
	kern->possible_cpus = libbpf_num_possible_cpus();
	if (kern->possible_cpus < 1)
		return eg_error_set(err, 500, "no_cpus", "the number of possible CPUs can't be read");
	r = eg_kern_prepare(bpffs, err);
	if (r)
		return r;
	r = eg_kern_check_abi(bpffs, &adopted, err);
	if (r)
		return r;
	if (!adopted && (r = eg_kern_clear_maps(bpffs)))
		return eg_error_set(err, 500, "stale_pins", "what is left in %s/maps can't be removed: %s", bpffs, strerror(-r));
	r = adopt_or_load(kern, sizes, adopted, err);
	if (r) {
		if (!adopted)
			eg_kern_detach_all(bpffs, &ignored);
		eg_error_clear(&ignored);
		return r;
	}
	publish(kern, sizes->early && !adopted);
	*ret_adopted = adopted;
	*ret = EG_TAKE_PTR(kern);
	return 0;
}

static void unmap(void *at, size_t size)
{
	if (at)
		munmap(at, size);
}

void eg_kern_close(struct eg_kern *kern)
{
	if (!kern)
		return;
	unmap(kern->host, kern->max[EG_MAP_HOST_CTL] * sizeof(*kern->host));
	unmap(kern->apps, kern->max[EG_MAP_APPS] * sizeof(*kern->apps));
	unmap(kern->rulesets, kern->max[EG_MAP_RULESETS] * sizeof(*kern->rulesets));
	unmap(kern->matches, kern->max[EG_MAP_MATCHES] * sizeof(*kern->matches));
	close_maps(kern);
	eg_programs_close(&kern->programs);
	free(kern);
}

/* ---- Attaching ----------------------------------------------------------------------- */

int eg_kern_attach(struct eg_kern *kern, const char *cgroup_path, uint64_t cgroup_id, struct eg_error *err)
{
	return eg_programs_attach(&kern->programs, kern->bpffs, cgroup_path, cgroup_id, err);
}

bool eg_kern_attached(struct eg_kern *kern, uint64_t cgroup_id)
{
	return eg_programs_attached(&kern->programs, kern->bpffs, cgroup_id);
}

bool eg_kern_sees_pages(const struct eg_kern *kern)
{
	return kern->programs.sees_pages;
}

int eg_kern_families(const struct eg_kern *kern)
{
	return kern->programs.families;
}

int eg_kern_detach(struct eg_kern *kern, uint64_t cgroup_id)
{
	return eg_kern_unpin_root(kern->bpffs, cgroup_id);
}

size_t eg_kern_roots(struct eg_kern *kern, uint64_t *ret_ids, size_t max)
{
	return eg_kern_pinned_roots(kern->bpffs, ret_ids, max);
}

/* ---- Access ---------------------------------------------------------------------------- */

uint32_t eg_kern_slots(const struct eg_kern *kern)
{
	return kern->max[EG_MAP_APPS];
}

uint32_t eg_kern_ruleset_count(const struct eg_kern *kern)
{
	return kern->max[EG_MAP_RULESETS];
}

uint32_t eg_kern_match_count(const struct eg_kern *kern)
{
	return kern->max[EG_MAP_MATCHES];
}

uint32_t eg_kern_rule_count(const struct eg_kern *kern)
{
	return kern->max[EG_MAP_RULES];
}

struct eg_host_ctl *eg_kern_host(struct eg_kern *kern)
{
	return kern->host;
}

bool eg_kern_all_killed(const struct eg_kern *kern)
{
	return __atomic_load_n(&kern->host->kill_all, __ATOMIC_RELAXED);
}

struct eg_app *eg_kern_app(struct eg_kern *kern, uint32_t slot)
{
	return slot < kern->max[EG_MAP_APPS] ? &kern->apps[slot] : NULL;
}

struct eg_ruleset *eg_kern_ruleset(struct eg_kern *kern, uint32_t index)
{
	return index < kern->max[EG_MAP_RULESETS] ? &kern->rulesets[index] : NULL;
}

struct eg_match *eg_kern_match(struct eg_kern *kern, uint32_t index)
{
	return index < kern->max[EG_MAP_MATCHES] ? &kern->matches[index] : NULL;
}

int eg_kern_map_fd(const struct eg_kern *kern, enum eg_kern_map map)
{
	return kern->fd[map];
}

const char *eg_kern_map_name(enum eg_kern_map map)
{
	return map_names[map];
}

uint32_t eg_kern_map_max(const struct eg_kern *kern, enum eg_kern_map map)
{
	return kern->max[map];
}

int eg_kern_program_fd(const struct eg_kern *kern, const char *name)
{
	return eg_programs_fd(&kern->programs, name);
}

int eg_kern_counters(const struct eg_kern *kern, uint32_t slot, struct eg_counters *ret)
{
	EG_FREE struct eg_counters *each = calloc((size_t)kern->possible_cpus, sizeof(*each));

	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(kern->fd[EG_MAP_COUNTERS], &slot, each))
		return -errno;
	memset(ret, 0, sizeof(*ret));
	for (int cpu = 0; cpu < kern->possible_cpus; cpu++) {
		ret->bytes_out += each[cpu].bytes_out;
		ret->bytes_in += each[cpu].bytes_in;
		ret->packets_out += each[cpu].packets_out;
		ret->packets_in += each[cpu].packets_in;
		ret->flows += each[cpu].flows;
	}
	return 0;
}

void eg_kern_quiesce(void)
{
	/* MEMBARRIER_CMD_GLOBAL waits for an RCU grace period: membarrier(2), kernel/sched/membarrier.c */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(50 * 1000);
}

// SPDX-License-Identifier: Apache-2.0
#include "kern.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "kern_lsm.h"
#include "kern_pins.h"

#include <egret.skel.h>

struct eg_kern {
	struct egret *skel;
	char bpffs[256];
	struct eg_host_ctl *host;
	struct eg_app *apps;
	struct eg_ruleset *rulesets;
	struct eg_match *matches;
	uint32_t max[EG_MAP_COUNT_];
	int fd[EG_MAP_COUNT_];
	int possible_cpus;
	int families; /* as eg_kern_families() says */
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
		return slots * 16;
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

static int prepare_map(struct eg_kern *kern, enum eg_kern_map id, const struct eg_kern_sizes *sizes)
{
	struct bpf_map *map = bpf_object__find_map_by_name(kern->skel->obj, map_names[id]);
	uint32_t want = wanted_max(id, sizes);
	char path[320];
	uint32_t have;
	int r;

	if (!map)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/maps/%s", kern->bpffs, map_names[id]);
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

static int refuse_pins(const char *bpffs, struct eg_error *err)
{
	return eg_error_set(err, 500, "stale_pins",
			    "%s holds maps of another version of egretd; "
			    "run `egretd --detach-all` (enforcement ends until egretd is started again)",
			    bpffs);
}

static int load(struct eg_kern *kern, const struct eg_kern_sizes *sizes, struct eg_error *err)
{
	int r;

	kern->skel = egret__open();
	if (!kern->skel)
		return eg_error_set(err, 500, "bpf_open", "the BPF objects could not be opened: %s", strerror(errno));
	for (int id = 0; id < EG_MAP_COUNT_; id++) {
		r = prepare_map(kern, (enum eg_kern_map)id, sizes);
		if (r == -ESTALE)
			return refuse_pins(kern->bpffs, err);
		if (r)
			return eg_error_set(err, 500, "bpf_open", "map %s could not be prepared: %s",
					    map_names[id], strerror(-r));
	}
	kern->families = sizes->any_family ? -ECANCELED : eg_kern_lsm_probe();
	bpf_program__set_autoload(kern->skel->progs.eg_lsm_create, kern->families == 0);
	if (kern->families && kern->families != -ECANCELED && kern->families != -EOPNOTSUPP)
		eg_log_warning("BPF LSM is on, but its programs are refused (%s): sockets of AF_PACKET and the like are not",
			       strerror(-kern->families));
	libbpf_said[0] = '\0';
	r = egret__load(kern->skel);
	if (r)
		return eg_error_set(err, 500, "bpf_load",
				    "the kernel refused the BPF programs (%s)%s%s; `egret doctor` names what is missing",
				    strerror(-r), libbpf_said[0] ? ": " : "", libbpf_said);
	for (int id = 0; id < EG_MAP_COUNT_; id++) {
		struct bpf_map *map = bpf_object__find_map_by_name(kern->skel->obj, map_names[id]);

		kern->fd[id] = bpf_map__fd(map);
		kern->max[id] = bpf_map__max_entries(map);
	}
	r = map_all_memory(kern);
	if (r)
		return eg_error_set(err, 500, "bpf_mmap", "the maps could not be mapped into memory: %s", strerror(-r));
	return 0;
}

/* One line if the pins are of another ABI; *ret_adopted: there are pins of ours. */
static int check_pinned_abi(const char *bpffs, bool *ret_adopted, struct eg_error *err)
{
	struct eg_host_ctl host;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info), zero = 0;
	char path[320];
	EG_CLOSE int fd = -1;

	*ret_adopted = false;
	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, map_names[EG_MAP_HOST_CTL]);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.value_size != sizeof(host) ||
	    bpf_map_lookup_elem(fd, &zero, &host) || host.abi_major != EG_ABI_MAJOR)
		return refuse_pins(bpffs, err);
	*ret_adopted = true;
	return 0;
}

EG_DEFINE_CLEANUP(kern, struct eg_kern *, eg_kern_close);

int eg_kern_open(const char *bpffs, const struct eg_kern_sizes *sizes, struct eg_kern **ret, bool *ret_adopted,
		 struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_kern) struct eg_kern *kern = NULL;
	bool adopted = false;
	struct eg_error ignored = {0};
	int r;

	libbpf_set_print(libbpf_quiet);
	kern = calloc(1, sizeof(*kern));
	if (!kern || strlen(bpffs) >= sizeof(kern->bpffs))
		return eg_error_set(err, 500, "no_memory", "out of memory, or the bpffs path is too long");
	snprintf(kern->bpffs, sizeof(kern->bpffs), "%s", bpffs);
	kern->possible_cpus = libbpf_num_possible_cpus();
	if (kern->possible_cpus < 1)
		return eg_error_set(err, 500, "no_cpus", "the number of possible CPUs can't be read");
	r = eg_kern_make_bpffs(bpffs, err);
	if (r)
		return r;
	r = check_pinned_abi(bpffs, &adopted, err);
	if (r)
		return r;
	r = load(kern, sizes, err);
	if (r) {
		if (!adopted)
			eg_kern_detach_all(bpffs, &ignored);
		eg_error_clear(&ignored);
		return r;
	}
	kern->host->abi_major = EG_ABI_MAJOR;
	kern->host->abi_minor = EG_ABI_MINOR;
	kern->host->generation++;
	if (!kern->host->next_uid)
		kern->host->next_uid = 1;
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
	if (kern->skel)
		egret__destroy(kern->skel);
	free(kern);
}

/* ---- Attaching ----------------------------------------------------------------------- */

/*
 * The packet hooks are the authority, so they come first, and in a change of programs last. The last
 * one is not there without BPF LSM.
 */
static const char *const attached[] = {"eg_egress",   "eg_ingress",  "eg_sockops",  "eg_sock_create",
				       "eg_sock_release", "eg_bind4",    "eg_bind6",    "eg_connect4",
				       "eg_connect6", "eg_sendmsg4", "eg_sendmsg6", "eg_setsockopt", "eg_lsm_create"};
#define ATTACHED (sizeof(attached) / sizeof(attached[0]))

static bool is_loaded(const struct eg_kern *kern, const char *name)
{
	return !kern->families || strcmp(name, "eg_lsm_create") != 0;
}

static int attach_one(struct eg_kern *kern, const char *name, int cgroup_fd, uint64_t cgroup_id)
{
	struct bpf_program *program = bpf_object__find_program_by_name(kern->skel->obj, name);
	struct bpf_link *link;
	char path[400];
	int r;

	if (!program)
		return -ENOENT;
	eg_kern_link_path(path, sizeof(path), kern->bpffs, cgroup_id, name);
	if (!is_loaded(kern, name)) {
		if (kern->families == -ECANCELED)
			unlink(path); /* of an agent before this one, which ends it */
		return 0;
	}
	r = eg_kern_link_update(path, cgroup_id, bpf_program__fd(program));
	if (r != -ENOENT)
		return r;
	link = bpf_program__attach_cgroup(program, cgroup_fd);
	if (!link)
		return -errno;
	unlink(path);
	r = bpf_link__pin(link, path);
	if (!r)
		bpf_link__disconnect(link); /* the pin holds it from here on */
	bpf_link__destroy(link);
	return r;
}

int eg_kern_attach(struct eg_kern *kern, const char *cgroup_path, uint64_t cgroup_id, struct eg_error *err)
{
	bool fresh = !eg_kern_attached(kern, cgroup_id);
	char path[400];
	EG_CLOSE int fd = open(cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return eg_error_set(err, 500, "no_root", "the managed root %s can't be opened: %s", cgroup_path,
				    strerror(errno));
	snprintf(path, sizeof(path), "%s/links/%llu", kern->bpffs, (unsigned long long)cgroup_id);
	if (mkdir(path, 0700) && errno != EEXIST)
		return eg_error_set(err, 500, "no_bpffs", "%s can't be made: %s", path, strerror(errno));
	for (size_t i = 0; i < ATTACHED; i++) {
		const char *name = attached[fresh ? i : ATTACHED - 1 - i];
		int r = attach_one(kern, name, fd, cgroup_id);

		if (r)
			return eg_error_set(err, 500, "attach", "program %s could not be attached to %s: %s", name,
					    cgroup_path, strerror(-r));
	}
	return 0;
}

bool eg_kern_attached(struct eg_kern *kern, uint64_t cgroup_id)
{
	char path[400];

	for (size_t i = 0; i < ATTACHED; i++) {
		eg_kern_link_path(path, sizeof(path), kern->bpffs, cgroup_id, attached[i]);
		if (is_loaded(kern, attached[i]) && !eg_kern_link_alive(path, cgroup_id))
			return false;
	}
	return true;
}

int eg_kern_families(const struct eg_kern *kern)
{
	return kern->families;
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
	struct bpf_program *program = bpf_object__find_program_by_name(kern->skel->obj, name);

	return program ? bpf_program__fd(program) : -ENOENT;
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

// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/cgroupfs.h"
#include "../../agent/lib/cleanup.h"

static void join(const char *dir)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%d\n", getpid());
	assert_int_equal(fclose(f), 0);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void find_cgroups(struct fx *fx)
{
	EG_CLEANUP(eg_cleanup_cgroupfs) struct eg_cgroupfs *fs = NULL;
	char path[PATH_MAX];

	assert_int_equal(eg_cgroupfs_open(NULL, &fs), 0);
	assert_int_equal(eg_cgroupfs_of_pid(getpid(), path), 0);
	snprintf(fx->home, sizeof(fx->home), "%s/%.100s", eg_cgroupfs_mount(fs), path);
	snprintf(path, sizeof(path), "egt-bpf-%d", getpid());
	assert_int_equal(eg_cgroupfs_make(fs, path), 0);
	assert_int_equal(eg_cgroupfs_id(fs, path, &fx->cgroup_id), 0);
	snprintf(fx->cgroup, sizeof(fx->cgroup), "%s/%.100s", eg_cgroupfs_mount(fs), path);
}

struct eg_kern_sizes fx_sizes = {
	.max_apps = 8, .max_rules = 1024, .peers_per_app = 4, .max_names = 64, .grants_per_app = 16, .ring_bytes = 1 << 20, .priority_ring_bytes = 1 << 20,
};

int fx_setup(void **state)
{
	struct fx *fx = calloc(1, sizeof(*fx));
	struct eg_error err = {0};
	bool adopted;

	assert_non_null(fx);
	snprintf(fx->bpffs, sizeof(fx->bpffs), "/sys/fs/bpf/egt-bpf-%d", getpid());
	if (eg_kern_open(fx->bpffs, &fx_sizes, &fx->kern, &adopted, &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	find_cgroups(fx);
	join(fx->cgroup);
	*state = fx;
	return 0;
}

int fx_teardown(void **state)
{
	struct fx *fx = *state;
	struct eg_error err = {0};

	join(fx->home);
	rmdir(fx->cgroup);
	eg_kern_detach_all(fx->bpffs, &err);
	eg_kern_close(fx->kern);
	free(fx);
	return err.status ? -1 : 0;
}

static void zero_entry(struct fx *fx, enum eg_kern_map map, uint32_t key, size_t size)
{
	EG_FREE void *zero = calloc((size_t)libbpf_num_possible_cpus(), size);

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, map), &key, zero, 0), 0);
}

static void tag(struct fx *fx)
{
	struct eg_cgroup cgroup = {.app = FX_SLOT, .gen = FX_GEN};

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_CGROUPS), &fx->cgroup_id, &cgroup, 0),
			 0);
}

struct fx *fx_reset(void **state)
{
	struct fx *fx = *state;
	struct eg_host_ctl *host = eg_kern_host(fx->kern);
	struct eg_app *app = eg_kern_app(fx->kern, FX_SLOT);
	struct eg_ruleset *ruleset = eg_kern_ruleset(fx->kern, 0);
	struct eg_event drained[64];

	host->kill_all = 0;
	host->flags = 0;
	host->utc_offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME));
	host->sockets_max = 100;
	host->peers_max = 4;
	host->event_ns = 1000;
	host->event_burst_ns = 1000000000;
	host->update_ns = 60000000000;
	host->udp_idle_ns = 120000000000;
	fx->uid = ++host->next_uid;
	fx->matches = 0;
	memset(ruleset, 0, sizeof(*ruleset));
	ruleset->uid = fx->uid;
	ruleset->app = FX_SLOT;
	ruleset->flags = EG_RULESET_SELF;
	ruleset->expires_utc_ns = clock_ns(CLOCK_REALTIME) + 3600ull * 1000000000ull;
	memset(app, 0, sizeof(*app));
	app->ctl.gen = FX_GEN;
	app->ctl.ruleset = (uint64_t)fx->uid << 32;
	for (uint32_t slot = 0; slot <= FX_SLOT; slot++) {
		zero_entry(fx, EG_MAP_COUNTERS, slot, sizeof(struct eg_counters));
		zero_entry(fx, EG_MAP_REASONS, slot, sizeof(struct eg_reasons));
		zero_entry(fx, EG_MAP_LOSSES, slot, sizeof(struct eg_losses));
		zero_entry(fx, EG_MAP_DENIED, slot, sizeof(struct eg_denied_tab));
	}
	for (uint32_t i = 0; i < EG_METERS_PER_APP; i++) {
		zero_entry(fx, EG_MAP_METERS, FX_SLOT * EG_METERS_PER_APP + i, sizeof(struct eg_meter));
		zero_entry(fx, EG_MAP_GUARD_METERS, FX_SLOT * EG_METERS_PER_APP + i, sizeof(struct eg_meter));
	}
	tag(fx);
	while (fx_events(fx, drained, 64) == 64)
		;
	return fx;
}

struct eg_ruleset *fx_ruleset(struct fx *fx)
{
	return eg_kern_ruleset(fx->kern, 0);
}

static struct eg_addr address(const char *text, bool *ret_v6)
{
	struct eg_addr a = {0};

	*ret_v6 = strchr(text, ':') != NULL;
	if (*ret_v6) {
		assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	} else {
		a.b[10] = a.b[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, &a.b[12]), 1);
	}
	return a;
}

void fx_rule(struct fx *fx, enum eg_dir dir, const char *text, unsigned prefix, uint8_t proto, uint16_t lo,
	     uint16_t hi, uint16_t rule)
{
	struct eg_rule_span span = {.first = fx->matches, .count = 1};
	struct eg_match *match = eg_kern_match(fx->kern, fx->matches++);
	struct eg_rule_key key = {.table_be = htonl(EG_TABLE_OF(fx->uid, dir))};
	bool v6;

	key.addr = address(text, &v6);
	key.prefixlen = 32 + (v6 ? 0 : 96) + prefix;
	*match = (struct eg_match){
		.lo = EG_SERVICE(proto, lo), .hi = EG_SERVICE(proto, hi), .rule = rule,
	};
	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_RULES), &key, &span, 0), 0);
}

void fx_untag(struct fx *fx)
{
	bpf_map_delete_elem(eg_kern_map_fd(fx->kern, EG_MAP_CGROUPS), &fx->cgroup_id);
}

void fx_guard(struct fx *fx, uint32_t gen)
{
	struct eg_guard guard = {.app = FX_SLOT, .gen = gen};
	uint32_t loopback = 1; /* the device that a test packet comes from */

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_GUARDS), &loopback, &guard, 0), 0);
}

void fx_unguard(struct fx *fx)
{
	uint32_t loopback = 1;

	bpf_map_delete_elem(eg_kern_map_fd(fx->kern, EG_MAP_GUARDS), &loopback);
}

void fx_unknown(struct fx *fx, enum eg_unknown mode)
{
	struct eg_cgroup root = {.flags = EG_CGROUP_ROOT, .unknown = mode};

	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_CGROUPS), &fx->cgroup_id, &root, 0), 0);
}

/* ---- Packets --------------------------------------------------------------------------- */

static struct fx_packet ip_packet(const char *src, const char *dst, uint8_t proto, unsigned l4_len)
{
	struct fx_packet p = {0};
	unsigned char *ip = p.data + 14;
	struct eg_addr s, d;
	bool v6;

	s = address(src, &v6);
	d = address(dst, &v6);
	p.data[12] = v6 ? 0x86 : 0x08;
	p.data[13] = v6 ? 0xdd : 0x00;
	if (v6) {
		ip[0] = 0x60;
		ip[4] = (unsigned char)(l4_len >> 8);
		ip[5] = (unsigned char)l4_len;
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, s.b, 16);
		memcpy(ip + 24, d.b, 16);
		p.len = 14 + 40 + l4_len;
	} else {
		ip[0] = 0x45;
		ip[2] = (unsigned char)((l4_len + 20) >> 8);
		ip[3] = (unsigned char)(l4_len + 20);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, s.b + 12, 4);
		memcpy(ip + 16, d.b + 12, 4);
		p.len = 14 + 20 + l4_len;
	}
	return p;
}

static void put16(unsigned char *at, uint16_t n)
{
	at[0] = (unsigned char)(n >> 8);
	at[1] = (unsigned char)n;
}

struct fx_packet fx_tcp(const char *src, uint16_t sport, const char *dst, uint16_t dport, uint8_t flags,
			unsigned payload)
{
	struct fx_packet p = ip_packet(src, dst, IPPROTO_TCP, 20 + payload);
	unsigned char *tcp = p.data + p.len - 20 - payload;

	put16(tcp, sport);
	put16(tcp + 2, dport);
	tcp[12] = 0x50;
	tcp[13] = flags;
	return p;
}

struct fx_packet fx_udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, unsigned payload)
{
	struct fx_packet p = ip_packet(src, dst, IPPROTO_UDP, 8 + payload);
	unsigned char *udp = p.data + p.len - 8 - payload;

	put16(udp, sport);
	put16(udp + 2, dport);
	put16(udp + 4, (uint16_t)(8 + payload));
	return p;
}

struct fx_packet fx_icmp(const char *src, const char *dst, uint8_t type)
{
	struct fx_packet p = ip_packet(src, dst, strchr(dst, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 16);

	p.data[p.len - 16] = type;
	return p;
}

int fx_run(struct fx *fx, const char *program, struct fx_packet *packet)
{
	struct __sk_buff ctx = {.gso_segs = packet->gso_segs, .gso_size = packet->gso_size, .tstamp = packet->leaves_ns};
	struct __sk_buff out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet->data, .data_size_in = packet->len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = (int)packet->repeat);
	int fd = eg_kern_program_fd(fx->kern, program);

	assert_true(fd >= 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &run), 0);
	packet->ns = run.duration;
	packet->leaves_ns = out.tstamp;
	return (int)run.retval;
}

/* ---- What was counted and told ------------------------------------------------------- */

static struct eg_reason_count reason_at(struct fx *fx, uint32_t slot, enum eg_dir dir, enum eg_reason reason)
{
	struct eg_reasons all;

	assert_int_equal(bpf_map_lookup_elem(eg_kern_map_fd(fx->kern, EG_MAP_REASONS), &slot, &all), 0);
	return all.by[dir][reason];
}

uint64_t fx_denied(struct fx *fx, enum eg_dir dir, enum eg_reason reason)
{
	return reason_at(fx, FX_SLOT, dir, reason).denied;
}

uint64_t fx_denied_at(struct fx *fx, uint32_t slot, enum eg_dir dir, enum eg_reason reason)
{
	return reason_at(fx, slot, dir, reason).denied;
}

uint64_t fx_audited(struct fx *fx, enum eg_dir dir, enum eg_reason reason)
{
	return reason_at(fx, FX_SLOT, dir, reason).audited;
}

struct eg_counters fx_counters(struct fx *fx)
{
	struct eg_counters sum;

	assert_int_equal(eg_kern_counters(fx->kern, FX_SLOT, &sum), 0);
	return sum;
}

struct drain {
	struct eg_event *events;
	unsigned count;
	unsigned max;
};

static int take_event(void *ctx, void *data, size_t size)
{
	struct drain *drain = ctx;

	if (size >= sizeof(struct eg_event) && drain->count < drain->max)
		memcpy(&drain->events[drain->count++], data, sizeof(struct eg_event));
	return 0;
}

unsigned fx_events(struct fx *fx, struct eg_event *ret, unsigned max)
{
	struct drain drain = {.events = ret, .max = max};
	struct ring_buffer *ring;

	ring = ring_buffer__new(eg_kern_map_fd(fx->kern, EG_MAP_EVENTS), take_event, &drain, NULL);
	assert_non_null(ring);
	assert_int_equal(ring_buffer__add(ring, eg_kern_map_fd(fx->kern, EG_MAP_FLOW_EVENTS), take_event, &drain), 0);
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return drain.count;
}

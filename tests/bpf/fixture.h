/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - the loaded programs with one app, made by hand, for BPF_PROG_TEST_RUN
 *
 * The kernel gives a test packet a socket of the running task's cgroup, so the test moves
 * itself into a cgroup of its own, which it tags or not. Nothing is attached.
 */
#ifndef EG_TESTS_BPF_FIXTURE_H
#define EG_TESTS_BPF_FIXTURE_H

#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../agent/core/kern.h"

#define FX_SLOT 1u
#define FX_GEN  7u

struct fx {
	struct eg_kern *kern;
	char bpffs[128];
	char cgroup[256];
	char home[256]; /* where the test came from */
	uint64_t cgroup_id;
	uint32_t uid;
	uint32_t matches;
};

/* Of the maps that fx_setup makes: small; a benchmark makes them larger. */
extern struct eg_kern_sizes fx_sizes;

/* Group setup and teardown: *state is a struct fx. Each test begins with fx_reset. */
int fx_setup(void **state);
int fx_teardown(void **state);

/* One app, tagged, with an empty policy that expires in an hour; counters zeroed. */
struct fx *fx_reset(void **state);
struct eg_ruleset *fx_ruleset(struct fx *fx);
/* cidr "10.0.0.1/32" or "fd00::1/128"; matches disjoint and sorted by the caller, one call per address. */
void fx_rule(struct fx *fx, enum eg_dir dir, const char *address, unsigned prefix, uint8_t proto, uint16_t lo,
	     uint16_t hi, uint16_t rule);
void fx_untag(struct fx *fx);
/* Test packets of the guard's programs come from an interface of the app, under that generation. */
void fx_guard(struct fx *fx, uint32_t gen);
void fx_unguard(struct fx *fx);
void fx_unknown(struct fx *fx, enum eg_unknown mode);

struct fx_packet {
	unsigned char data[14 + 2048];
	unsigned len; /* Ethernet header included */
	uint32_t gso_segs;
	uint32_t gso_size;
	unsigned repeat; /* 0: once */
	uint64_t leaves_ns; /* the time by which a queue may keep it back; as the program leaves it */
	uint32_t ns; /* set by fx_run: mean duration */
};
struct fx_packet fx_tcp(const char *src, uint16_t sport, const char *dst, uint16_t dport, uint8_t flags,
			unsigned payload);
struct fx_packet fx_udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, unsigned payload);
struct fx_packet fx_icmp(const char *src, const char *dst, uint8_t type);

/* The verdict of the last run: 1 pass, 0 drop, 2 drop with congestion. */
int fx_run(struct fx *fx, const char *program, struct fx_packet *packet);

/* What was counted against the app (slot FX_SLOT; fx_denied_at for another). */
uint64_t fx_denied(struct fx *fx, enum eg_dir dir, enum eg_reason reason);
uint64_t fx_audited(struct fx *fx, enum eg_dir dir, enum eg_reason reason);
uint64_t fx_denied_at(struct fx *fx, uint32_t slot, enum eg_dir dir, enum eg_reason reason);
struct eg_counters fx_counters(struct fx *fx);
/* Events drained from both rings since the last call, at most max. */
unsigned fx_events(struct fx *fx, struct eg_event *ret, unsigned max);

#endif

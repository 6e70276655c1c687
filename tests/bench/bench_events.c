// SPDX-License-Identifier: Apache-2.0
/*
 * Flow events a second, from the kernel's ring to lines on disk, on one core, none lost.
 *
 * A program puts records of 64 apps with 4 rules each into a real ring from one CPU; the agent's
 * threads share another. The producer never overfills the ring, so the rate is what the writer
 * can do. On a machine that is busy with other things, the events per second of CPU time that
 * the agent's threads used say more than the wall clock.
 *
 * usage: bench_events [events] [directory]
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../agent/core/events.h"
#include "../../agent/lib/cleanup.h"
#include "../unit/events_rings.h"

#define RING_BYTES (16u << 20)
#define BATCH      200
#define GOAL       300000

static int64_t utc_offset(void *ctx)
{
	(void)ctx;
	return 1769817600ll * 1000000000;
}

static uint32_t slots_used(void *ctx)
{
	(void)ctx;
	return 64;
}

static bool resolve(void *ctx, const struct eg_event *e, struct eg_event_meta *ret)
{
	(void)ctx;
	snprintf(ret->app, sizeof(ret->app), "app-hr-lookup-prod-%u", e->app);
	snprintf(ret->rule_id, sizeof(ret->rule_id), "rule-%u", e->rule);
	snprintf(ret->cgroup, sizeof(ret->cgroup), "/microapps.slice/app-hr-lookup-prod-%u.scope", e->app);
	strcpy(ret->owner, "hr-tools@example.com");
	strcpy(ret->ticket, "SEC-1042");
	strcpy(ret->policy_rev, "17-3f2a9c8e51d0");
	strcpy(ret->labels_json, "{\"env\":\"prod\",\"sensitivity\":\"high\",\"team\":\"hr\"}");
	return true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static struct eg_event record(uint64_t i)
{
	return (struct eg_event){
		.boot_ns = clock_ns(CLOCK_BOOTTIME),
		.seq = i,
		.app = 1 + (uint32_t)(i / BATCH) % 64,
		.gen = 1,
		.uid = 100,
		.pid = 4321,
		.user = 1000,
		.type = EG_EVENT_FLOW_END,
		.proto = IPPROTO_TCP,
		.rule = (uint16_t)(i / BATCH / 64 % 4),
		.src_port = 41000,
		.dst_port = 443,
		.src.b = {[10] = 0xff, 0xff, 10, 20, 30, 40},
		.dst.b = {[10] = 0xff, 0xff, 192, 168, 100, 200},
		.cgroup_id = 5000,
		.flow_id = i,
		.start_boot_ns = 1000000,
		.seen = {123456, 7891011, 1234, 5678},
		.rtt_us = 850,
		.comm = "python3",
	};
}

static uint64_t written(struct eg_events *ev)
{
	struct eg_events_stats stats;

	eg_events_stats(ev, &stats);
	return stats.written;
}

/* Wall-clock and CPU seconds that `count` records of that size took. */
static int measure(struct eg_events *ev, int program, size_t size, uint64_t count, double *ret_wall_s,
		   double *ret_cpu_s)
{
	uint64_t sent = 0, before = written(ev), wall = clock_ns(CLOCK_MONOTONIC), done, room = RING_BYTES / (size + 8);
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), own = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	while (sent < count) {
		struct eg_event_named named = {
			.e = record(sent), .name = "moc.sipaelgoog.steehs", .sni = "moc.sipaelgoog.steehs",
		};

		while (sent + BATCH > written(ev) - before + room)
			usleep(200);
		if (ring_submit(program, &named, size, BATCH) != 0)
			return -EIO;
		sent += BATCH;
	}
	while ((done = written(ev) - before) < sent)
		usleep(200);
	*ret_wall_s = (double)(clock_ns(CLOCK_MONOTONIC) - wall) / 1e9;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	own = clock_ns(CLOCK_THREAD_CPUTIME_ID) - own;
	*ret_cpu_s = (double)(cpu - own) / 1e9;
	return done == sent ? 0 : -EIO;
}

static void remove_log(const char *dir)
{
	EG_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	rmdir(dir);
}

/* Starts, measures and stops; says what it found. */
static int bench(const struct eg_events_config *config, size_t size, uint64_t count, const char *what)
{
	int program = ring_program(config->flow_events_fd, size), r;
	double wall_s = 0, cpu_s = 0;
	struct eg_events_stats stats;
	struct eg_events *ev;

	if (program < 0)
		return program;
	run_on(0);
	r = eg_events_start(config, &ev);
	if (r < 0) {
		close(program);
		return r;
	}
	run_on(1);
	r = measure(ev, program, size, count / BATCH * BATCH, &wall_s, &cpu_s);
	eg_events_stats(ev, &stats);
	eg_events_stop(ev);
	close(program);
	if (r == 0)
		printf("%s to disk, one core: %.0f/s (goal %d), %.0f per CPU second, %.0f bytes each, %.0f MB/s\n",
		       what, (double)stats.written / wall_s, GOAL, (double)stats.written / cpu_s,
		       (double)stats.written_bytes / (double)stats.written, (double)stats.written_bytes / wall_s / 1e6);
	return r;
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	char dir[256];
	struct eg_events_config config = {
		.events_fd = -1, .losses_fd = -1, .host = "bench-host", .log_dir = dir,
		.quota_bytes = 1ull << 40,
		.utc_offset_ns = utc_offset, .slots_used = slots_used, .resolve = resolve,
	};
	int r;

	snprintf(dir, sizeof(dir), "%s/egret-bench-XXXXXX", argc > 2 ? argv[2] : "/var/tmp");
	config.flow_events_fd = ring_map(RING_BYTES);
	if (config.flow_events_fd < 0 || !mkdtemp(dir)) {
		fprintf(stderr, "bench_events: %s\n", strerror(errno));
		return 1;
	}
	r = bench(&config, sizeof(struct eg_event), count, "flow events");
	if (r == 0)
		r = bench(&config, sizeof(struct eg_event_named), count, "flow events with names");
	remove_log(dir);
	if (r < 0)
		fprintf(stderr, "bench_events: %s\n", strerror(-r));
	return r < 0;
}

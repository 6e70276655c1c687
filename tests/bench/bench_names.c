// SPDX-License-Identifier: Apache-2.0
/*
 * Names in the kernel: grants a second, the memory that they take, and an established packet of a
 * connection whose ClientHello was read, beside one of plain data.
 *
 * Grants are made as the agent's prefetch makes them: one system call each, which the rate has in it.
 *
 * usage: bench_names GRANTS ROUNDS; prints "grants PER_SECOND BYTES" and "tls EMPTY_NS PLAIN_NS TLS_NS".
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../bpf/fixture.h"
#include "bench.h"

#define NAME "elpmaxe.hcneb.ipa" /* backwards, as the tables hold it */

static unsigned grants = 100000, rounds = 9;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the kernel says that the map holds. */
static unsigned long long map_bytes(struct fx *fx, enum eg_kern_map map)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", eg_kern_map_fd(fx->kern, map));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(f);
	return bytes;
}

static void allow_name(struct fx *fx)
{
	struct eg_name_key key = {.prefixlen = 8 * (sizeof(key.table_be) + sizeof(NAME)), .table_be = htonl(fx->uid)};
	struct eg_name_rules allowed = {.span = {.first = 0, .count = 1}};

	memcpy(key.text, NAME, sizeof(NAME));
	assert_int_equal(bpf_map_update_elem(eg_kern_map_fd(fx->kern, EG_MAP_NAMES), &key, &allowed, 0), 0);
}

static void grant_all(void **state)
{
	struct fx *fx = fx_reset(state);
	struct {
		unsigned char ethernet[14];
		struct eg_lesson lesson;
	} __attribute__((packed)) data = {{0}, {.app = FX_SLOT, .gen = FX_GEN, .ttl_s = 3600, .name = NAME, .name_hash = 1}};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &data, .data_size_in = sizeof(data));
	double began;

	fx_rule(fx, EG_DIR_EGRESS, "10.0.0.1", 32, IPPROTO_TCP, 443, 443, 0);
	eg_kern_host(fx->kern)->grants_max = grants;
	eg_kern_host(fx->kern)->grant_ceiling_ns = 86400ull * 1000000000ull;
	fx_ruleset(fx)->flags |= EG_RULESET_NAMES;
	allow_name(fx);
	data.lesson.addr.b[10] = data.lesson.addr.b[11] = 0xff;
	began = now_s();
	for (unsigned i = 0; i < grants; i++) {
		data.lesson.addr.w_be[3] = htonl(0x0b000000u + i);
		assert_int_equal(bpf_prog_test_run_opts(eg_kern_program_fd(fx->kern, "eg_learn"), &opts), 0);
		assert_int_equal(opts.retval, 0);
	}
	began = now_s() - began;
	assert_int_equal(eg_kern_app(fx->kern, FX_SLOT)->state.grants, grants);
	printf("grants %.0f %llu\n", grants / began,
	       map_bytes(fx, EG_MAP_GRANTS) + map_bytes(fx, EG_MAP_GRANT_ORDER) / fx_sizes.max_apps);
}

/* A TLS 1.2 record with a ClientHello (RFC 8446, 4.1.2; RFC 6066, 3) that names api.bench.example. */
static const unsigned char hello[] =
	"\x16\x03\x01\x00\x49\x01\x00\x00\x45\x03\x03" "0123456789abcdef0123456789abcdef" "\x00\x00\x02\x13\x01"
	"\x01\x00\x00\x1a\x00\x00\x00\x16\x00\x14\x00\x00\x11" "api.bench.example";

static void established(void **state)
{
	struct fx *fx = fx_reset(state);
	struct fx_packet plain = fx_tcp("10.0.0.2", 40000, "10.0.0.1", 443, 0x10, sizeof(hello) - 1);
	struct fx_packet tls = plain;
	uint32_t ns[3][BENCH_ROUNDS_MAX];
	int programs[3] = {bench_empty_program(), eg_kern_program_fd(fx->kern, "eg_egress")};

	assert_true(programs[0] >= 0);
	programs[2] = programs[1];
	memcpy(tls.data + tls.len - (sizeof(hello) - 1), hello, sizeof(hello) - 1);
	fx_rule(fx, EG_DIR_EGRESS, "10.0.0.1", 32, IPPROTO_TCP, 443, 443, 0);
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned k = 0; k < 3; k++)
			ns[k][i] = bench_run_ns(programs[k], k == 2 ? &tls : &plain);
	for (unsigned k = 0; k < 3; k++)
		bench_sort(ns[k], rounds);
	printf("tls %u %u %u\n", ns[0][rounds / 2], ns[1][rounds / 2], ns[2][rounds / 2]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(grant_all), cmocka_unit_test(established)};

	if (argc > 1)
		grants = (unsigned)atoi(argv[1]);
	if (argc > 2)
		rounds = (unsigned)atoi(argv[2]);
	if (!grants || !rounds || rounds > BENCH_ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_names GRANTS ROUNDS\n");
		return 2;
	}
	fx_sizes.max_apps = 2;
	fx_sizes.grants_per_app = grants;
	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}

// SPDX-License-Identifier: Apache-2.0
#include "parsers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <egret/abi.h>

#include "parsers_abi.h"

#include <parsers.skel.h>

#define LOG_BYTES 65536

struct px {
	struct parsers *skel;
	struct px_layout at;
	unsigned char *table; /* mapping of px_table's only entry */
	size_t mapped;
	int programs[PX_KIND_COUNT_];
	unsigned verified[PX_KIND_COUNT_];
};

static const char *const kind_names[] = {
	[PX_TLS] = "px_tls",
	[PX_HTTP] = "px_http",
	[PX_DNS_QUERY] = "px_dns_query",
	[PX_DNS_ANSWER] = "px_dns_answer",
};

const char *px_name(enum px_kind kind)
{
	return kind_names[kind];
}

/* The headers bring all of egret's maps along; the agent sizes those, and the parsers use none. */
static void keep_only_ours(struct parsers *skel)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
		bpf_map__set_autocreate(map, map == skel->maps.px_table || map == skel->maps.rodata);
}

static unsigned processed(const char *log)
{
	const char *line = strstr(log, "processed ");
	unsigned n = 0;

	if (!line || sscanf(line, "processed %u insns", &n) != 1)
		return 0;
	return n;
}

static int load(struct px *px, char (*logs)[LOG_BYTES])
{
	for (int i = 0; i < PX_KIND_COUNT_; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(px->skel->obj, kind_names[i]);

		if (!program || bpf_program__set_log_level(program, 4) ||
		    bpf_program__set_log_buf(program, logs[i], LOG_BYTES))
			return -1;
	}
	if (parsers__load(px->skel))
		return -1;
	for (int i = 0; i < PX_KIND_COUNT_; i++) {
		px->programs[i] = bpf_program__fd(bpf_object__find_program_by_name(px->skel->obj, kind_names[i]));
		px->verified[i] = processed(logs[i]);
	}
	return 0;
}

static int map_table(struct px *px)
{
	struct bpf_map *map = px->skel->maps.px_table;

	memcpy(&px->at, (const void *)&px->skel->rodata->px_layout, sizeof(px->at));
	px->mapped = (bpf_map__value_size(map) + 4095u) / 4096 * 4096;
	px->table = mmap(NULL, px->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (px->table == MAP_FAILED)
		px->table = NULL;
	return px->table && px->at.msg_max == PX_MSG_MAX && px->at.addr_max == PX_ADDR_MAX ? 0 : -1;
}

struct px *px_open(void)
{
	char(*logs)[LOG_BYTES] = calloc(PX_KIND_COUNT_, LOG_BYTES);
	struct px *px = calloc(1, sizeof(*px));
	int r = -1;

	if (!logs || !px)
		abort();
	px->skel = parsers__open();
	if (px->skel) {
		keep_only_ours(px->skel);
		r = load(px, logs);
		for (int i = 0; r && i < PX_KIND_COUNT_; i++)
			print_error("%s:\n%s\n", kind_names[i], logs[i]);
	}
	free(logs);
	if (r == 0 && map_table(px) == 0)
		return px;
	px_close(px);
	return NULL;
}

void px_close(struct px *px)
{
	if (!px)
		return;
	if (px->table)
		munmap(px->table, px->mapped);
	parsers__destroy(px->skel);
	free(px);
}

static uint32_t word(const struct px *px, uint32_t at)
{
	uint32_t value;

	memcpy(&value, px->table + at, sizeof(value));
	return value;
}

static void check_name(const struct px *px, const char *name, size_t len)
{
	const char *backwards = (const char *)px->table + px->at.key_text;
	uint64_t hash = 14695981039346656037ull, found;

	assert_true(len > 0 && len <= EG_NAME_MAX);
	for (size_t i = 0; i < len; i++) {
		hash = (hash ^ (unsigned char)name[i]) * 1099511628211ull;
		assert_int_equal(backwards[len - 1 - i], name[i]);
	}
	for (size_t i = len; i < EG_NAME_SIZE; i++)
		assert_int_equal(backwards[i], 0);
	memcpy(&found, px->table + px->at.name_hash, sizeof(found));
	assert_true(found == hash);
	assert_int_equal(word(px, px->at.key_prefixlen), 32 + 8 * EG_NAME_SIZE);
}

static uint16_t half(const struct px *px, uint32_t at)
{
	uint16_t value;

	memcpy(&value, px->table + at, sizeof(value));
	return value;
}

static void take_name(const struct px *px, struct px_found *ret)
{
	uint32_t len = word(px, px->at.text_len);

	assert_true(len < sizeof(ret->name));
	memcpy(ret->name, px->table + px->at.text, len);
	check_name(px, ret->name, len);
}

static void take_dns(const struct px *px, enum px_kind kind, struct px_found *ret)
{
	ret->id = half(px, px->at.id);
	ret->qtype = half(px, px->at.qtype);
	ret->rcode = half(px, px->at.rcode);
	ret->bare = half(px, px->at.bare);
	if (!ret->bare)
		take_name(px, ret);
	if (kind != PX_DNS_ANSWER)
		return;
	ret->addr_count = word(px, px->at.addr_count);
	assert_true(ret->addr_count <= PX_ADDR_MAX);
	memcpy(ret->ttl_s, px->table + px->at.ttl_s, ret->addr_count * sizeof(ret->ttl_s[0]));
	memcpy(ret->addr, px->table + px->at.addr, ret->addr_count * sizeof(ret->addr[0]));
}

void px_run(struct px *px, enum px_kind kind, const void *msg, size_t len, struct px_found *ret)
{
	static const unsigned char packet[64] = {[12] = 0x08, [14] = 0x45};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);
	uint32_t msg_len = (uint32_t)len;

	assert_true(len <= PX_MSG_MAX);
	memcpy(px->table + px->at.msg_len, &msg_len, sizeof(msg_len));
	memcpy(px->table + px->at.msg, msg, len);
	memset(px->table + px->at.result, 0xff, sizeof(uint32_t));
	assert_int_equal(bpf_prog_test_run_opts(px->programs[kind], &opts), 0);
	memset(ret, 0, sizeof(*ret));
	ret->result = (int)word(px, px->at.result);
	if (kind == PX_DNS_QUERY || kind == PX_DNS_ANSWER) {
		if (ret->result == EG_REASON_NONE)
			take_dns(px, kind, ret);
	} else if (ret->result == HELLO_OK) {
		take_name(px, ret);
	}
}

unsigned px_verified(const struct px *px, enum px_kind kind)
{
	return px->verified[kind];
}

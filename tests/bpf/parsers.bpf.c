// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The parsers alone, for tests: never a part of egretd. Messages are longer than the packets
 * that BPF_PROG_TEST_RUN takes, so the test maps the scratch, writes the message there and
 * reads there what was found. cgroup_skb, as the hooks that use them.
 */
#include "../../bpf/dns.h"
#include "../../bpf/http.h"
#include "../../bpf/tls.h"

#include "parsers_abi.h"

struct px_table {
	struct eg_scratch scratch;
	__u32 result;
	struct eg_dns_head head;
};

#define AT(member) offsetof(struct px_table, member)

const volatile struct px_layout px_layout = {
	.result = AT(result),
	.msg_len = AT(scratch.msg.len),
	.msg = AT(scratch.msg.b),
	.msg_max = EG_MSG_MAX,
	.text_len = AT(scratch.text_len),
	.text = AT(scratch.text),
	.name_hash = AT(scratch.name_hash),
	.key_prefixlen = AT(scratch.key.prefixlen),
	.key_text = AT(scratch.key.text),
	.id = AT(head.id),
	.qtype = AT(head.qtype),
	.rcode = AT(head.rcode),
	.bare = AT(head.bare),
	.addr_count = AT(scratch.addr_count),
	.addr_max = EG_ANSWER_ADDRS,
	.addr = AT(scratch.addr),
	.ttl_s = AT(scratch.ttl_s),
};

/* Writer: the test (msg), the program (the rest). Reader: both. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct px_table);
} px_table SEC(".maps");

static __always_inline struct px_table *table(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&px_table, &zero);
}

SEC("cgroup_skb/egress")
int px_tls(struct __sk_buff *skb)
{
	struct px_table *t = table();

	(void)skb;
	if (t)
		t->result = eg_tls_hello(&t->scratch);
	return 1;
}

SEC("cgroup_skb/egress")
int px_http(struct __sk_buff *skb)
{
	struct px_table *t = table();

	(void)skb;
	if (t)
		t->result = eg_http_connect(&t->scratch);
	return 1;
}

SEC("cgroup_skb/egress")
int px_dns_query(struct __sk_buff *skb)
{
	struct px_table *t = table();

	(void)skb;
	if (t)
		t->result = eg_dns_query(&t->scratch, &t->head);
	return 1;
}

SEC("cgroup_skb/egress")
int px_dns_answer(struct __sk_buff *skb)
{
	struct px_table *t = table();

	(void)skb;
	if (t)
		t->result = eg_dns_answer(&t->scratch, &t->head);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: Apache-2.0
/* Vectors: the baseline that the specification publishes (seed 0, base64). */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/ship/schema.h"

struct vector {
	int proto;
	const char *src;
	const char *dst;
	int src_port; /* ICMP: type. -1: none */
	int dst_port; /* ICMP: code */
	const char *id;
};

static const struct vector vectors[] = {
	{6, "128.232.110.120", "66.35.250.204", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{6, "66.35.250.204", "128.232.110.120", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{6, "2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 63943, 25, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
	{6, "2607:f8b0:400c:c03::1a", "2001:470:e5bf:dead:4957:2174:e82c:4887", 25, 63943, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
	{17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{17, "8.8.8.8", "192.168.1.52", 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{132, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
	{46, "10.1.12.1", "10.1.12.2", -1, -1, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
	{46, "10.1.12.2", "10.1.12.1", -1, -1, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
	{1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{1, "192.168.0.1", "192.168.0.89", 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="},
	{58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 135, 0, "1:zavyT/cezQr1fmImYCwYnMXbgck="},
	{58, "3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", 3, 0, "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="},
	{58, "3ffe:501:410:0:2c0:dfff:fe47:33e", "3ffe:507:0:1:200:86ff:fe05:80da", 1, 4, "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
	{58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 128, 0, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
	{58, "3ffe:501:0:1001::2", "3ffe:507:0:1:200:86ff:fe05:80da", 129, 0, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
	{58, "fe80::200:86ff:fe05:80da", "ff02::2", 133, 0, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="},
	{58, "fe80::260:97ff:fe07:69ea", "ff02::1", 134, 0, "1:pkvHqCL88/tg1k4cPigmZXUtL00="},
};

static json_t *event_of(const struct vector *v)
{
	bool icmp = v->proto == IPPROTO_ICMP || v->proto == IPPROTO_ICMPV6;
	char number[8];
	const char *proto = v->proto == IPPROTO_TCP    ? "tcp" :
			    v->proto == IPPROTO_UDP    ? "udp" :
			    v->proto == IPPROTO_ICMP   ? "icmp" :
			    v->proto == IPPROTO_ICMPV6 ? "icmpv6" :
							 number;
	json_t *event;

	snprintf(number, sizeof(number), "%d", v->proto);
	event = json_pack("{s:s,s:s,s:s}", "proto", proto, "src", v->src, "dst", v->dst);
	if (v->src_port >= 0) {
		json_object_set_new(event, icmp ? "icmp_type" : "src_port", json_integer(v->src_port));
		json_object_set_new(event, icmp ? "icmp_code" : "dst_port", json_integer(v->dst_port));
	}
	return event;
}

static void published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		json_t *event = event_of(&vectors[i]);
		char id[EG_COMMUNITY_ID_LEN];

		assert_int_equal(eg_community_id(event, id), 0);
		assert_string_equal(id, vectors[i].id);
		json_decref(event);
	}
}

/* A connect that was refused has no source yet; a flow without ports has no id either. */
static void none(void **state)
{
	static const char *const missing[] = {"src", "dst", "src_port", "dst_port", "proto"};

	(void)state;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		json_t *event = event_of(&vectors[0]);
		char id[EG_COMMUNITY_ID_LEN] = "unset";

		json_object_del(event, missing[i]);
		assert_int_equal(eg_community_id(event, id), -ENOENT);
		assert_string_equal(id, "unset");
		json_decref(event);
	}
}

static void what_is_no_flow(void **state)
{
	static const struct vector rows[] = {
		{6, "10.0.0.1", "fd00::1", 1, 2, NULL}, /* two families */
		{6, "10.0.0.1", "0f3a", 1, 2, NULL}, /* hashed */
		{6, "10.0.0.1", "10.0.0.2", 1, 65536, NULL},
		{300, "10.0.0.1", "10.0.0.2", -1, -1, NULL},
		{1, "10.0.0.1", "10.0.0.2", -1, -1, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *event = event_of(&rows[i]);
		char id[EG_COMMUNITY_ID_LEN];

		assert_int_equal(eg_community_id(event, id), -ENOENT);
		json_decref(event);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published),
		cmocka_unit_test(none),
		cmocka_unit_test(what_is_no_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

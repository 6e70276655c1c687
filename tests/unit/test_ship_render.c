// SPDX-License-Identifier: Apache-2.0
/* The bytes that each HTTP receiver is sent, to the letter: a retry has to render the same ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "../../agent/ship/dialect.h"

#define TS 1764105634123456789ull /* 2025-11-25 */

static struct eg_item item(const char *id, const char *app, uint64_t ts_ns, const char *text)
{
	return (struct eg_item){.ts_ns = ts_ns,
				.severity = EG_SEVERITY_WARNING,
				.id = (char *)id,
				.type = (char *)"deny",
				.app = (char *)app,
				.host = (char *)"h1",
				.text = (char *)text,
				.len = strlen(text)};
}

/* Twice, since rendering must not depend on anything but the items. */
static void check(const struct eg_dialect *dialect, const struct eg_sink_config *config, const struct eg_item *items,
		  size_t count, const char *expected)
{
	struct eg_body body = {0};

	for (int i = 0; i < 2; i++) {
		eg_body_reset(&body);
		dialect->render(config, items, count, &body);
		assert_false(body.failed);
		assert_string_equal(body.data, expected);
		assert_int_equal(body.len, strlen(expected));
	}
	eg_body_free(&body);
}

static const char *header_of(const struct eg_dialect *dialect, const struct eg_sink_config *config,
			     const struct eg_item *items, size_t count)
{
	static char text[320];

	dialect->header(config, items, count, text, sizeof(text));
	return text;
}

/* ---- Dialects --------------------------------------------------------------------------------------------- */

static void hec(void **state)
{
	struct eg_sink_config config = {
		.source = (char *)"egret", .sourcetype = (char *)"egret:json", .index = (char *)"net"};
	struct eg_item items[] = {item("h-1-1", "hr", TS, "{\"a\":1}"), item("h-1-2", "", 5, "{}")};

	(void)state;
	check(&eg_dialect_hec, &config, items, 2,
	      "{\"time\":1764105634.123456789,\"host\":\"h1\",\"source\":\"egret\",\"sourcetype\":\"egret:json\",\"index\":\"net\","
	      "\"fields\":{\"event_id\":\"h-1-1\",\"type\":\"deny\",\"app\":\"hr\"},\"event\":{\"a\":1}}\n"
	      "{\"time\":0.000000005,\"host\":\"h1\",\"source\":\"egret\",\"sourcetype\":\"egret:json\",\"index\":\"net\","
	      "\"fields\":{\"event_id\":\"h-1-2\",\"type\":\"deny\"},\"event\":{}}\n");
	config = (struct eg_sink_config){0};
	check(&eg_dialect_hec, &config, items + 1, 1,
	      "{\"time\":0.000000005,\"host\":\"h1\",\"fields\":{\"event_id\":\"h-1-2\",\"type\":\"deny\"},\"event\":{}}\n");
}

static void elastic(void **state)
{
	struct eg_sink_config config = {.index = (char *)"egret-%Y.%m.%d-%%x%"};
	struct eg_item items[] = {item("h-1-1", "hr", TS, "{\"a\":1}"), item("h\"2", "", 0, "{}")};
	char id[600], expected[256];

	(void)state;
	check(&eg_dialect_elastic, &config, items, 2,
	      "{\"create\":{\"_index\":\"egret-2025.11.25-%%x%\",\"_id\":\"h-1-1\"}}\n{\"a\":1}\n"
	      "{\"create\":{\"_index\":\"egret-1970.01.01-%%x%\",\"_id\":\"h\\\"2\"}}\n{}\n");
	memset(id, 'x', sizeof(id));
	id[512] = '\0';
	items[0].id = id;
	config.index = NULL;
	snprintf(expected, sizeof(expected), "{\"create\":{\"_index\":\"egret-2025.11.25\",\"_id\":\"");
	{
		struct eg_body body = {0};

		eg_dialect_elastic.render(&config, items, 1, &body);
		assert_int_equal(body.len, strlen(expected) + 512 + strlen("\"}}\n{\"a\":1}\n"));
		eg_body_free(&body);
	}
	id[512] = 'x';
	id[513] = '\0'; /* SHA-256 of 513 times x */
	check(&eg_dialect_elastic, &config, items, 1,
	      "{\"create\":{\"_index\":\"egret-2025.11.25\",\"_id\":"
	      "\"35ade0090e64e74d6ad04204009c23a4e34b82bdf0f4f317fbcc5f26f9b10241\"}}\n{\"a\":1}\n");
}

static void elastic_bounds_its_index(void **state)
{
	char pattern[1001];
	struct eg_sink_config config = {.index = pattern};
	struct eg_item one = item("i", "", TS, "{}");
	struct eg_body body = {0};

	(void)state;
	for (size_t i = 0; i < 500; i++)
		memcpy(pattern + 2 * i, "%Y", 3);
	eg_dialect_elastic.render(&config, &one, 1, &body);
	assert_false(body.failed);
	assert_true(body.len < 400);
	eg_body_free(&body);
}

#define OTLP_HEAD                                                                                                      \
	"{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"egret\"}},"             \
	"{\"key\":\"service.version\",\"value\":{\"stringValue\":\"" EG_VERSION "\"}},"                                \
	"{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h1\"}},"                                                  \
	"{\"key\":\"site\",\"value\":{\"stringValue\":\"a\"}}]},"                                                      \
	"\"scopeLogs\":[{\"scope\":{\"name\":\"egret\",\"version\":\"" EG_VERSION "\"},\"logRecords\":["
#define OTLP_RECORD(ts, severity, id, body)                                                                            \
	"{\"timeUnixNano\":\"" ts "\",\"observedTimeUnixNano\":\"" ts "\"," severity ",\"body\":" body                 \
	",\"attributes\":[{\"key\":\"event.id\",\"value\":{\"stringValue\":\"" id "\"}},"                              \
	"{\"key\":\"event.name\",\"value\":{\"stringValue\":\"deny\"}}]}"
#define WARN "\"severityNumber\":13,\"severityText\":\"WARN\""

static void otlp(void **state)
{
	struct eg_sink_config config = {.labels = json_pack("{ss}", "site", "a")};
	struct eg_item items[] = {
		item("h-1-1", "", TS,
		     "{\"n\":-9007199254740993,\"x\":0.5,\"t\":true,\"s\":\"\\\"\",\"z\":null,\"l\":[1,[]],\"o\":{}}"),
		item("h-1-2", "", 1, "{}"),
		item("h-1-3", "", 2, "{}"),
	};

	(void)state;
	items[1].severity = EG_SEVERITY_ALERT;
	items[2].severity = EG_SEVERITY_INFO;
	check(&eg_dialect_otlp, &config, items, 3,
	      "{\"resourceLogs\":[" OTLP_HEAD OTLP_RECORD(
		      "1764105634123456789", WARN, "h-1-1",
		      "{\"kvlistValue\":{\"values\":[{\"key\":\"n\",\"value\":{\"intValue\":\"-9007199254740993\"}},"
		      "{\"key\":\"x\",\"value\":{\"doubleValue\":0.5}},{\"key\":\"t\",\"value\":{\"boolValue\":true}},"
		      "{\"key\":\"s\",\"value\":{\"stringValue\":\"\\\"\"}},{\"key\":\"z\",\"value\":{}},"
		      "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"arrayValue\":{\"values\":[]}}]}}},"
		      "{\"key\":\"o\",\"value\":{\"kvlistValue\":{\"values\":[]}}}]}}") "," OTLP_RECORD("1",
													"\"severityNumber\":19,\"severityText\":\"ERROR3\"",
													"h-1-2",
													"{\"kvlistValue\":{\"values\":[]}}") "," OTLP_RECORD("2",
																			     "\"severityNumber\":9,\"severityText\":\"INFO\"",
																			     "h-1-3",
																			     "{\"kvlistValue\":{\"values\":[]}}") "]}]}]}");
	json_decref(config.labels);
}

/* A resource is a host; another one begins another. */
static void otlp_hosts(void **state)
{
	struct eg_sink_config config = {0};
	struct eg_item items[] = {item("1", "", 1, "{}"), item("2", "", 2, "{}"), item("3", "", 3, "{}")};
	struct eg_body body = {0};
	json_t *whole;

	(void)state;
	items[2].host = (char *)"h2";
	eg_dialect_otlp.render(&config, items, 3, &body);
	whole = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(whole);
	assert_int_equal(json_array_size(json_object_get(whole, "resourceLogs")), 2);
	json_decref(whole);
	eg_body_free(&body);
}

static void loki(void **state)
{
	struct eg_sink_config config = {.labels = json_pack("{ss}", "site", "a"), .tenant = (char *)"soc"};
	struct eg_item items[] = {
		item("1", "web", 3, "{\"m\":\"\\u0001\\\"\"}"),
		item("2", "", 2, "{}"),
		item("3", "web", 1, "{\"late\":1}"),
	};

	(void)state;
	check(&eg_dialect_loki, &config, items, 3,
	      "{\"streams\":[{\"stream\":{\"host\":\"h1\",\"type\":\"deny\",\"site\":\"a\"},\"values\":[[\"2\",\"{}\"]]},"
	      "{\"stream\":{\"app\":\"web\",\"host\":\"h1\",\"type\":\"deny\",\"site\":\"a\"},"
	      "\"values\":[[\"3\",\"{\\\"m\\\":\\\"\\\\u0001\\\\\\\"\\\"}\"],[\"1\",\"{\\\"late\\\":1}\"]]}]}");
	assert_string_equal(header_of(&eg_dialect_loki, &config, items, 3), "X-Scope-OrgID: soc");
	config.tenant = NULL;
	assert_string_equal(header_of(&eg_dialect_loki, &config, items, 3), "");
	json_decref(config.labels);
}

static void loki_labels(void **state)
{
	static const char *const bad[] = {"app", "host", "type", "1a", "a-b", "a.b", "\xc3\xa9"};
	struct eg_error err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct eg_sink_config config = {.labels = json_pack("{ss}", bad[i], "a")};

		assert_int_equal(eg_dialect_loki.check(&config, &err), -EINVAL);
		assert_non_null(strstr(err.message, bad[i]));
		json_decref(config.labels);
	}
	eg_error_clear(&err);
}

static void webhook(void **state)
{
	struct eg_sink_config config = {0};
	struct eg_item items[] = {item("h-1-1", "", 1, "{\"a\":1}"), item("h-1-2", "", 2, "{}")};
	char of_two[320];

	(void)state;
	check(&eg_dialect_webhook, &config, items, 2, "{\"a\":1}\n{}\n");
	assert_string_equal(header_of(&eg_dialect_webhook, &config, items, 1), "Idempotency-Key: h-1-1");
	snprintf(of_two, sizeof(of_two), "%s", header_of(&eg_dialect_webhook, &config, items, 2));
	assert_int_equal(strlen(of_two), strlen("Idempotency-Key: ") + 32);
	assert_string_equal(header_of(&eg_dialect_webhook, &config, items, 2), of_two);
	items[0].id = (char *)"h-1-1h";
	items[1].id = (char *)"-1-2"; /* the same characters, but other events */
	assert_string_not_equal(header_of(&eg_dialect_webhook, &config, items, 2), of_two);
	items[0].id = (char *)"a\r\nb: c"; /* an id that would not fit a header */
	assert_int_equal(strlen(header_of(&eg_dialect_webhook, &config, items, 1)), strlen("Idempotency-Key: ") + 32);
}

/* ---- Strings, compression, addresses ------------------------------------------------------------------------------- */

/* Any text comes back as it was. */
static void strings(void **state)
{
	char text[4] = {0};

	(void)state;
	for (unsigned i = 0; i < 128 * 128; i++) {
		struct eg_body body = {0};
		json_t *back;

		text[0] = (char)(1 + i % 127);
		text[1] = (char)(i / 128);
		text[2] = text[1] ? '"' : '\0';
		eg_body_string(&body, text);
		back = json_loadb(body.data, body.len, JSON_DECODE_ANY, NULL);
		assert_string_equal(json_string_value(back), text);
		json_decref(back);
		eg_body_free(&body);
	}
}

static void gzip(void **state)
{
	static char text[300000];
	struct eg_body packed = {0}, again = {0};
	char back[sizeof(text)];
	z_stream stream = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * i % 251);
	eg_body_gzip(&packed, text, sizeof(text));
	eg_body_gzip(&again, text, sizeof(text));
	assert_false(packed.failed);
	assert_int_equal(packed.len, again.len);
	assert_memory_equal(packed.data, again.data, packed.len);
	assert_memory_equal(packed.data, "\x1f\x8b\x08\0\0\0\0\0", 8); /* deflate; no name, no time */
	assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
	stream.next_in = (Bytef *)packed.data;
	stream.avail_in = (uInt)packed.len;
	stream.next_out = (Bytef *)back;
	stream.avail_out = sizeof(back);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, sizeof(text));
	assert_memory_equal(back, text, sizeof(text));
	inflateEnd(&stream);
	eg_body_free(&packed);
	eg_body_free(&again);
}

static void check_url(const struct eg_dialect *dialect, const char *url, const char *path, const char *expected)
{
	char *got = eg_dialect_url(dialect, url, path);

	assert_string_equal(got, expected);
	free(got);
}

static void urls(void **state)
{
	static const char filter[] = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";
	char expected[256];

	(void)state;
	check_url(&eg_dialect_otlp, "https://h:4318", NULL, "https://h:4318/v1/logs");
	check_url(&eg_dialect_otlp, "https://h/p//", NULL, "https://h/p/v1/logs");
	check_url(&eg_dialect_otlp, "https://h/p/v1/logs/", NULL, "https://h/p/v1/logs");
	check_url(&eg_dialect_loki, "http://[::1]:3100?a=b#c", NULL, "http://[::1]:3100/loki/api/v1/push?a=b");
	check_url(&eg_dialect_hec, "https://h:8088", NULL, "https://h:8088/services/collector/event");
	check_url(&eg_dialect_hec, "https://h/services/collector", NULL, "https://h/services/collector/event");
	check_url(&eg_dialect_hec, "https://h/services/collector/event?x=1", "/services/collector/ack",
		  "https://h/services/collector/ack?x=1");
	check_url(&eg_dialect_webhook, "https://h/any/?a#b", NULL, "https://h/any/?a");
	snprintf(expected, sizeof(expected), "https://h/_bulk?%s", filter);
	check_url(&eg_dialect_elastic, "https://h", NULL, expected);
	snprintf(expected, sizeof(expected), "https://h/es/_bulk?pipeline=p&%s", filter);
	check_url(&eg_dialect_elastic, "https://h/es/_bulk?pipeline=p", NULL, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hec),	       cmocka_unit_test(elastic),    cmocka_unit_test(elastic_bounds_its_index),
		cmocka_unit_test(otlp),	       cmocka_unit_test(otlp_hosts), cmocka_unit_test(loki),
		cmocka_unit_test(loki_labels), cmocka_unit_test(webhook),    cmocka_unit_test(strings),
		cmocka_unit_test(gzip),	       cmocka_unit_test(urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../agent/core/options.h"

#define SECOND 1000000000ull
#define DAY    (86400 * SECOND)

#define CONFIG EG_CLEANUP(eg_cleanup_config)

static struct eg_config *parse(const char *text)
{
	struct eg_config *config = NULL;
	struct eg_error err = {0};
	int r = eg_config_parse("egret.json", text, strlen(text), &config, &err);

	if (r)
		print_error("%s\n", err.message);
	assert_int_equal(r, 0);
	return config;
}

/* One sentence that has all of these words. */
static void assert_bad(const char *text, const char *key, const char *words)
{
	struct eg_config *config = NULL;
	struct eg_error err = {0};

	assert_int_equal(eg_config_parse("egret.json", text, strlen(text), &config, &err), -EINVAL);
	assert_null(config);
	assert_string_equal(err.code, "bad_config");
	if (strncmp(err.message, "egret.json:", 11) || !strstr(err.message, key) || !strstr(err.message, words))
		fail_msg("%s: \"%s\" lacks \"%s\" or \"%s\"", text, err.message, key, words);
	assert_null(strchr(err.message, '\n'));
	eg_error_clear(&err);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void test_defaults(void **state)
{
	CONFIG struct eg_config *config = parse("{}");
	struct eg_error err = {0};
	char host[256];

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	assert_string_equal(config->host, host);
	assert_int_equal(config->root_count, 1);
	assert_string_equal(config->roots[0].path, "microapps.slice");
	assert_true(config->roots[0].create);
	assert_int_equal(config->roots[0].unknown, EG_UNKNOWN_DENY);
	assert_string_equal(config->policy_dir, "/etc/egret/policies");
	assert_string_equal(config->socket, "/run/egret/egret.sock");
	assert_string_equal(config->bpffs, "/sys/fs/bpf/egret");
	assert_string_equal(config->state_dir, "/var/lib/egret");
	assert_string_equal(config->resolv_conf, "/etc/resolv.conf");
	assert_string_equal(config->log_dir, "/var/log/egret");
	assert_int_equal(config->max_apps, 1023);
	assert_int_equal(config->max_rules, 65536);
	assert_int_equal(config->max_lifetime_ns, 90 * DAY);
	assert_null(config->metrics_listen);
	assert_null(config->metrics_token_file);
	assert_null(config->group_admin);
	assert_int_equal(json_object_size(config->host_labels), 0);
	assert_int_equal(config->snapshot_quota_bytes, 256ull << 20);
	assert_int_equal(config->event_quota_bytes, 1ull << 30);
	assert_int_equal(config->event_segment_bytes, 64ull << 20);
	assert_int_equal(config->event_ns, 1000000);
	assert_int_equal(config->event_burst_ns, 2000000000ull);
	assert_int_equal(config->ring_bytes, 16u << 20);
	assert_int_equal(config->priority_ring_bytes, 4u << 20);
	assert_int_equal(config->sockets_max, 65536);
	assert_int_equal(config->peers_max, 1024);
	assert_int_equal(config->flow_update_ns, 60 * SECOND);
	assert_int_equal(config->udp_idle_ns, 120 * SECOND);
	assert_int_equal(config->so_mark, 0);
	assert_false(config->any_family);
	assert_false(config->late);
	assert_int_equal(config->log_level, EG_LOG_INFO);
	assert_int_equal(eg_config_check(config, &err), 0);
}

static void test_every_key(void **state)
{
	CONFIG struct eg_config *config = parse(
		"{\"cgroup_root\": \"apps.slice/\", \"unknown_cgroup\": \"audit\", \"policy_dir\": \"/p\","
		" \"socket\": \"/s\", \"bpffs\": \"/b\", \"state_dir\": \"/st\", \"log_dir\": \"/l\", \"resolv_conf\": \"/r\","
		" \"max_apps\": 100000, \"max_rules\": 4000000, \"max_lifetime_days\": 7,"
		" \"metrics_listen\": \"[::1]:9464\", \"metrics_token_file\": \"/t\","
		" \"groups\": {\"admin\": \"adm\", \"responder\": \"oncall\", \"viewer\": \"soc\"},"
		" \"host_labels\": {\"region\": \"eu-1\"}, \"host\": \"h1.example\","
		" \"guardrails\": {\"always_deny\": [\"10.0.0.0/8\", \"fd00::1\", \"*.a.example\"], \"always_allow\": [{\"id\": \"ntp\","
		" \"to\": [\"10.0.0.3\"], \"proto\": \"udp\", \"ports\": [123]}], \"ceilings\": [{\"labels\": \"a=b\", \"require\":"
		" [\"cap\", \"owner\"], \"forbid\": [\"audit\"], \"max_lifetime_days\": 30}]},"
		" \"alerts\": [{\"when\": \"egress_bytes\", \"over\": \"1GiB/h\", \"action\": \"kill\", \"labels\": \"env=prod\"}],"
		" \"snapshot_quota\": \"1GiB\", \"event_quota\": \"2GiB\", \"event_segment\": 1048576,"
		" \"events\": {\"burst\": \"50\", \"rate\": \"100/s\", \"ring\": \"1MiB\", \"priority_ring\": 65536},"
		" \"limits\": {\"sockets\": 10, \"udp_peers\": 20},"
		" \"flow_update\": \"30s\", \"udp_idle\": \"60s\", \"so_mark\": \"0x4000F\", \"socket_families\": \"off\","
		" \"connect_verdict\": \"off\", \"log_level\": \"debug\"}");

	(void)state;
	assert_int_equal(config->root_count, 1);
	assert_string_equal(config->roots[0].path, "apps.slice");
	assert_false(config->roots[0].create);
	assert_int_equal(config->roots[0].unknown, EG_UNKNOWN_AUDIT);
	assert_string_equal(config->policy_dir, "/p");
	assert_string_equal(config->socket, "/s");
	assert_string_equal(config->bpffs, "/b");
	assert_string_equal(config->state_dir, "/st");
	assert_string_equal(config->log_dir, "/l");
	assert_string_equal(config->resolv_conf, "/r");
	assert_int_equal(config->max_apps, 100000);
	assert_int_equal(config->max_rules, 4000000);
	assert_int_equal(config->max_lifetime_ns, 7 * DAY);
	assert_string_equal(config->metrics_listen, "[::1]:9464");
	assert_string_equal(config->metrics_token_file, "/t");
	assert_string_equal(config->group_admin, "adm");
	assert_string_equal(config->group_responder, "oncall");
	assert_string_equal(config->group_viewer, "soc");
	assert_string_equal(json_string_value(json_object_get(config->host_labels, "region")), "eu-1");
	assert_int_equal(config->guardrails->deny.cidr_count, 2);
	assert_int_equal(config->guardrails->deny.name_count, 1);
	assert_int_equal(config->guardrails->allow->rule_count, 1);
	assert_int_equal(config->guardrails->ceiling_count, 1);
	assert_int_equal(config->guardrails->ceilings[0].demands, EG_DEMAND_CAP | EG_DEMAND_OWNER | EG_DEMAND_NO_AUDIT);
	assert_int_equal(config->alert_count, 1);
	assert_int_equal(config->alerts[0].alert.when, EG_ALERT_EGRESS_BYTES);
	assert_int_equal(config->alerts[0].alert.over, 1 << 30);
	assert_true(config->alerts[0].alert.kill && config->alerts[0].labels);
	assert_string_equal(config->host, "h1.example");
	assert_int_equal(config->snapshot_quota_bytes, 1ull << 30);
	assert_int_equal(config->event_quota_bytes, 2ull << 30);
	assert_int_equal(config->event_segment_bytes, 1048576);
	assert_int_equal(config->event_ns, 10000000);
	assert_int_equal(config->event_burst_ns, 500000000);
	assert_int_equal(config->ring_bytes, 1u << 20);
	assert_int_equal(config->priority_ring_bytes, 65536);
	assert_int_equal(config->sockets_max, 10);
	assert_int_equal(config->peers_max, 20);
	assert_int_equal(config->flow_update_ns, 30 * SECOND);
	assert_int_equal(config->udp_idle_ns, 60 * SECOND);
	assert_int_equal(config->so_mark, 0x4000f);
	assert_true(config->any_family);
	assert_true(config->late);
	assert_int_equal(config->log_level, EG_LOG_DEBUG);
}

static void test_list_of_roots(void **state)
{
	CONFIG struct eg_config *config = parse(
		"{\"cgroup_root\": [\"a.slice\", {\"path\": \"/sys/fs/cgroup/docker/\", \"create\": true, "
		"\"unknown\": \"pass\"}, {\"unknown\": \"deny\", \"path\": \"b/c\"}], \"unknown_cgroup\": \"audit\"}");

	(void)state;
	assert_int_equal(config->root_count, 3);
	assert_string_equal(config->roots[0].path, "a.slice");
	assert_int_equal(config->roots[0].unknown, EG_UNKNOWN_AUDIT);
	assert_string_equal(config->roots[1].path, "/sys/fs/cgroup/docker");
	assert_true(config->roots[1].create);
	assert_int_equal(config->roots[1].unknown, EG_UNKNOWN_PASS);
	assert_false(config->roots[2].create);
	assert_int_equal(config->roots[2].unknown, EG_UNKNOWN_DENY);
}

static void test_burst_follows_the_rate(void **state)
{
	CONFIG struct eg_config *slow = parse("{\"events\": {\"rate\": \"1/s\"}}");
	CONFIG struct eg_config *few = parse("{\"events\": {\"burst\": 5}, \"flow_update\": \"off\"}");

	(void)state;
	assert_int_equal(slow->event_ns, SECOND);
	assert_int_equal(slow->event_burst_ns, 2000 * SECOND);
	assert_int_equal(few->event_ns, 1000000);
	assert_int_equal(few->event_burst_ns, 5000000);
	assert_int_equal(few->flow_update_ns, 0);
}

static void test_bad_values(void **state)
{
	static const struct {
		const char *text, *key, *words;
	} cases[] = {
		{"", ":1:", "JSON"},
		{"{\"max_apps\": 1,\n  \"max_apps\": 2}", "egret.json:2:", "max_apps"},
		{"{\"max_apps\": 1", "egret.json:1:", "JSON"},
		{"{\"host\": \"a\\u0000b\"}", "egret.json:1:", "JSON"},
		{"{\"host\": \"\xff\"}", "egret.json:1:", "JSON"},
		{"[]", "egret.json", "object"},
		{"{\"max_app\": 1}", "\"max_app\"", "is not a key"},
		{"{\"max_apps\": 0}", "\"max_apps\"", "1 to 100000"},
		{"{\"max_apps\": 100001}", "\"max_apps\"", "1 to 100000"},
		{"{\"max_apps\": -1}", "\"max_apps\"", "1 to 100000"},
		{"{\"max_apps\": 1.5}", "\"max_apps\"", "whole number"},
		{"{\"max_apps\": \"10\"}", "\"max_apps\"", "whole number"},
		{"{\"max_rules\": 4000001}", "\"max_rules\"", "4000000"},
		{"{\"max_lifetime_days\": 0}", "\"max_lifetime_days\"", "1 to 3650"},
		{"{\"policy_dir\": \"\"}", "\"policy_dir\"", "1 to"},
		{"{\"policy_dir\": null}", "\"policy_dir\"", "text"},
		{"{\"policy_dir\": \"a\\nb\"}", "\"policy_dir\"", "control"},
		{"{\"cgroup_root\": []}", "\"cgroup_root\"", "at least one"},
		{"{\"cgroup_root\": 3}", "\"cgroup_root\"", "path"},
		{"{\"cgroup_root\": \"a/../b\"}", "\"cgroup_root\"", "path"},
		{"{\"cgroup_root\": \"\"}", "\"cgroup_root\"", "path"},
		{"{\"cgroup_root\": \"/\"}", "\"cgroup_root\"", "path"},
		{"{\"cgroup_root\": \"a//b\"}", "\"cgroup_root\"", "path"},
		{"{\"cgroup_root\": {\"create\": true}}", "\"cgroup_root.path\"", "path"},
		{"{\"cgroup_root\": [{\"path\": \"a\", \"create\": 1}]}", "\"cgroup_root.create\"", "true or false"},
		{"{\"cgroup_root\": {\"path\": \"a\", \"unknown\": \"allow\"}}", "\"cgroup_root.unknown\"", "\"deny\""},
		{"{\"cgroup_root\": {\"path\": \"a\", \"mode\": \"x\"}}", "\"cgroup_root.mode\"", "not a key"},
		{"{\"unknown_cgroup\": \"allow\"}", "\"unknown_cgroup\"", "\"audit\""},
		{"{\"metrics_listen\": \"0.0.0.0:9464\"}", "\"metrics_listen\"", "loopback"},
		{"{\"metrics_listen\": \"127.0.0.1\"}", "\"metrics_listen\"", "port"},
		{"{\"metrics_listen\": \"localhost:9464\"}", "\"metrics_listen\"", "127.0.0.1:9464"},
		{"{\"groups\": []}", "\"groups\"", "object"},
		{"{\"groups\": {\"root\": \"x\"}}", "\"groups.root\"", "not a key"},
		{"{\"groups\": {\"admin\": 0}}", "\"groups.admin\"", "text"},
		{"{\"host_labels\": {\"a\": 1}}", "\"host_labels\"", "\"a\""},
		{"{\"host_labels\": {\"a b\": \"c\"}}", "\"host_labels\"", "\"a b\""},
		{"{\"host_labels\": \"a=b\"}", "\"host_labels\"", "object"},
		{"{\"guardrails\": []}", "\"guardrails\"", "an object is wanted"},
		{"{\"guardrails\": {\"deny\": []}}", "\"guardrails\"", "\"deny\" is not a key"},
		{"{\"guardrails\": {\"always_deny\": []}}", "\"guardrails\"", "always_deny: a list"},
		{"{\"guardrails\": {\"always_deny\": [\"10.0.0.300\"]}}", "\"guardrails\"", "always_deny: egress[0].to[0]"},
		{"{\"guardrails\": {\"always_deny\": [\"self\"]}}", "\"guardrails\"", "\"self\""},
		{"{\"guardrails\": {\"always_allow\": [{\"to\": [\"10.0.0.3\"], \"proto\": \"udp\"}]}}", "\"guardrails\"",
		 "always_allow: egress[0]"},
		{"{\"guardrails\": {\"ceilings\": {}}}", "\"guardrails\"", "ceilings: a list"},
		{"{\"guardrails\": {\"ceilings\": [{}]}}", "\"guardrails\"", "ceilings[0]"},
		{"{\"guardrails\": {\"ceilings\": [{\"labels\": \"=\"}]}}", "\"guardrails\"", "ceilings: labels"},
		{"{\"guardrails\": {\"ceilings\": [{\"require\": [\"capp\"]}]}}", "\"guardrails\"", "\"capp\" is not known"},
		{"{\"guardrails\": {\"ceilings\": [{\"max_lifetime_days\": 0}]}}", "\"guardrails\"", "max_lifetime_days"},
		{"{\"alerts\": {}}", "\"alerts\"", "a list"},
		{"{\"alerts\": [1]}", "\"alerts\"", "a list"},
		{"{\"alerts\": [{\"when\": \"denid\"}]}", "\"alerts[0].when\"", "\"denied\""},
		{"{\"alerts\": [{\"when\": \"denied\", \"over\": \"1MiB/min\"}]}", "\"alerts[0].over\"", "60/min"},
		{"{\"alerts\": [{\"when\": \"denied\", \"over\": \"1/32d\"}]}", "\"alerts[0].over\"", "31d"},
		{"{\"alerts\": [{\"when\": \"denied\", \"over\": \"1/min\"}]}", "\"alerts[0].action\"", "\"kill\""},
		{"{\"alerts\": [{\"when\": \"denied\", \"over\": \"1/min\", \"action\": \"kill\", \"labels\": \"=\"}]}",
		 "\"alerts[0].labels\"", "can't be used"},
		{"{\"alerts\": [{\"whn\": 1}]}", "\"alerts[0].whn\"", "is not a key"},
		{"{\"host\": \"a b\"}", "\"host\"", "letters"},
		{"{\"snapshot_quota\": \"63MiB\"}", "\"snapshot_quota\"", "size"},
		{"{\"event_quota\": \"5\"}", "\"event_quota\"", "size"},
		{"{\"event_quota\": \"5 parsecs\"}", "\"event_quota\"", "size"},
		{"{\"event_quota\": true}", "\"event_quota\"", "size"},
		{"{\"event_segment\": \"8GiB\"}", "\"event_segment\"", "size"},
		{"{\"events\": {\"rate\": 1000}}", "\"events.rate\"", "1000/s"},
		{"{\"events\": {\"rate\": \"1/h\"}}", "\"events.rate\"", "1/min"},
		{"{\"events\": {\"burst\": 0}}", "\"events.burst\"", "1 to"},
		{"{\"events\": {\"burst\": \"many\"}}", "\"events.burst\"", "1 to"},
		{"{\"events\": {\"ring\": \"3MiB\"}}", "\"events.ring\"", "power of two"},
		{"{\"events\": {\"ring\": \"4KiB\"}}", "\"events.ring\"", "64"},
		{"{\"events\": {\"rings\": 1}}", "\"events.rings\"", "not a key"},
		{"{\"limits\": {\"sockets\": 0}}", "\"limits.sockets\"", "1 to"},
		{"{\"flow_update\": 60}", "\"flow_update\"", "time"},
		{"{\"flow_update\": \"1ms\"}", "\"flow_update\"", "time"},
		{"{\"udp_idle\": \"off\"}", "\"udp_idle\"", "time"},
		{"{\"socket_families\": false}", "\"socket_families\"", "\"off\""},
		{"{\"so_mark\": \"ten\"}", "\"so_mark\"", "0x"},
		{"{\"so_mark\": \"0x\"}", "\"so_mark\"", "0x"},
		{"{\"so_mark\": \"0x123456789\"}", "\"so_mark\"", "0x"},
		{"{\"so_mark\": 4294967296}", "\"so_mark\"", "4294967295"},
		{"{\"connect_verdict\": false}", "\"connect_verdict\"", "\"off\""},
		{"{\"log_level\": \"warn\"}", "\"log_level\"", "\"warning\""},
		{"{\"sinks\": {}}", "\"sinks\"", "must be a list"},
		{"{\"sinks\": [{\"name\": \"a\", \"type\": \"file\"}]}", "\"sinks[0].path\"", "is required"},
		{"{\"control\": {}}", "\"control.source\"", "is missing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_bad(cases[i].text, cases[i].key, cases[i].words);
}

static void test_nesting_is_bounded(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(DEPTH + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEPTH);
	text[DEPTH] = '\0';
	assert_bad(text, "egret.json:1:", "JSON");
	free(text);
}

/* ---- The whole ----------------------------------------------------------------------------------- */

static void assert_contradicts(const char *text, const char *words)
{
	CONFIG struct eg_config *config = parse(text);
	struct eg_error err = {0};

	assert_int_equal(eg_config_check(config, &err), -EINVAL);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	eg_error_clear(&err);
}

#define ROUTE(name) "\"routes\": [{\"name\": \"" name "\", \"type\": \"webhook\", \"url\": \"https://h/\"}]"
#define NETWORKS    "\"networks\": {\"db\": {\"cidrs\": [\"10.0.0.0/8\"], \"region\": \"eu-1\"}, \"web\": {\"cidrs\": [\"11.0.0.0/8\"]}}"
#define ALERT(what) "\"alerts\": [{\"when\": \"network\", " what ", \"over\": \"1/min\", \"action\": \"alert\"}]"

static void test_routes_and_networks(void **state)
{
	CONFIG struct eg_config *config = parse("{" ROUTE("soc") ", " NETWORKS ", " ALERT("\"region\": \"eu-1\"") "}");
	struct eg_error err = {0};

	(void)state;
	assert_int_equal(eg_config_check(config, &err), 0);
	assert_int_equal(json_array_size(config->routes), 1);
	assert_int_equal(eg_networks_count(config->networks), 2);
	assert_string_equal(config->alerts[0].alert.region, "eu-1");
	assert_contradicts("{" ROUTE("soc") ", \"sinks\": [{\"name\": \"soc\", \"type\": \"file\", \"path\": \"/f\"}]}", "as that of sinks[0]");
	assert_contradicts("{" ROUTE("soc") ", \"sinks\": [{\"name\": \"soc\", \"type\": \"file\", \"path\": \"/f\"}], "
			   "\"metrics_listen\": \"127.0.0.1:9\"}", "as that of sinks[0]");
	assert_contradicts("{" NETWORKS ", " ALERT("\"region\": \"eu-2\"") "}", "is about \"eu-2\"");
	assert_contradicts("{" NETWORKS ", " ALERT("\"network\": \"eu-1\"") "}", "is about \"eu-1\"");
	assert_contradicts("{" ALERT("\"network\": \"db\"") "}", "is about \"db\"");
	assert_bad("{\"routes\": [{\"name\": \"r\", \"type\": \"file\"}]}", "routes[0].type", "webhook");
	assert_bad("{\"networks\": {\"db\": {\"cidrs\": [\"10.0.0.1/8\"]}}}", "networks", "10.0.0.1/8");
	assert_bad("{" ALERT("\"network\": \"a\", \"region\": \"b\"") "}", "alerts[0].when", "either");
	assert_bad("{\"alerts\": [{\"when\": \"denied\", \"region\": \"b\", \"over\": \"1/min\", \"action\": \"alert\"}]}", "alerts[0].when",
		   "nothing else");
}

static void test_contradictions(void **state)
{
	char text[256], path[200];

	(void)state;
	assert_contradicts("{\"cgroup_root\": [\"a\", \"b\", \"a\"]}", "\"a\"");
	assert_contradicts("{\"cgroup_root\": [\"a/b/c\", \"a/b\"]}", "\"a/b/c\" lies within \"a/b\"");
	assert_contradicts("{\"metrics_token_file\": \"/t\"}", "metrics_listen");
	assert_contradicts("{\"metrics_listen\": \"[::1]:9464\"}", "metrics_token_file");
	memset(path, 'x', sizeof(path));
	snprintf(text, sizeof(text), "{\"socket\": \"/%.107s\"}", path);
	assert_contradicts(text, "too long");
	{
		CONFIG struct eg_config *config = parse("{\"cgroup_root\": [\"a/b\", \"a/bc\", \"a/b.slice\"]}");
		struct eg_error err = {0};

		assert_int_equal(eg_config_check(config, &err), 0);
	}
}

/* ---- Files and flags -------------------------------------------------------------------------------- */

static char dir[64];
static char file[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/egret-config-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/egret.json", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void test_file(void **state)
{
	CONFIG struct eg_config *config = NULL, *none = NULL;
	struct eg_error err = {0};

	(void)state;
	assert_int_equal(eg_config_load(file, false, &config, &err), -ENOENT);
	assert_string_equal(err.code, "no_config");
	assert_non_null(strstr(err.message, file));
	eg_error_clear(&err);
	assert_int_equal(eg_config_load(file, true, &none, &err), 0);
	assert_int_equal(none->max_apps, 1023);
	write_file("{\"max_apps\": 7}\n", 16);
	assert_int_equal(eg_config_load(file, true, &config, &err), 0);
	assert_int_equal(config->max_apps, 7);
}

static void test_file_that_is_none(void **state)
{
	struct eg_config *config = NULL;
	struct eg_error err = {0};
	char *text;

	(void)state;
	assert_true(eg_config_load(dir, true, &config, &err) < 0);
	assert_non_null(strstr(err.message, "not a regular file"));
	assert_int_equal(mkfifo(file, 0600), 0); /* must not hang */
	assert_true(eg_config_load(file, true, &config, &err) < 0);
	assert_non_null(strstr(err.message, "not a regular file"));
	assert_int_equal(unlink(file), 0);
	text = malloc(EG_CONFIG_BYTES_MAX + 2);
	assert_non_null(text);
	memset(text, ' ', EG_CONFIG_BYTES_MAX + 2);
	write_file(text, EG_CONFIG_BYTES_MAX + 2);
	free(text);
	assert_int_equal(eg_config_load(file, true, &config, &err), -EINVAL);
	assert_non_null(strstr(err.message, "larger"));
	assert_null(config);
	eg_error_clear(&err);
}

#define ARGS_MAX 24

static int run_args(struct eg_options *ret, struct eg_error *err, const char *first, va_list rest)
{
	char *argv[ARGS_MAX + 1] = {(char *)"egretd"};
	int argc = 1;

	for (const char *arg = first; arg; arg = va_arg(rest, const char *)) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = (char *)arg;
	}
	return eg_options_parse(argc, argv, ret, err);
}

static struct eg_options options_of(const char *first, ...)
{
	struct eg_options options = {0};
	struct eg_error err = {0};
	va_list rest;
	int r;

	va_start(rest, first);
	r = run_args(&options, &err, first, rest);
	va_end(rest);
	if (r)
		fail_msg("%s", err.message);
	return options;
}

/* Its sentence has these words. */
static void assert_bad_args(const char *words, const char *first, ...)
{
	struct eg_options options = {.action = 99};
	struct eg_error err = {0};
	va_list rest;
	int r;

	va_start(rest, first);
	r = run_args(&options, &err, first, rest);
	va_end(rest);
	assert_true(r < 0);
	assert_int_equal(options.action, 99);
	assert_null(options.config);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	eg_error_clear(&err);
}

static void test_flags_win_over_the_file(void **state)
{
	static const char text[] = "{\"max_apps\": 7, \"max_rules\": 70, \"log_dir\": \"/file\", "
				   "\"cgroup_root\": [{\"path\": \"f1\", \"unknown\": \"pass\"}, \"f2\"]}";
	struct eg_options options;

	(void)state;
	write_file(text, strlen(text));
	options = options_of("--config", file, "--max-apps=8", "--log-dir", "/flag", "--unknown-cgroup", "audit",
			     "--log-level", "error", NULL);
	assert_int_equal(options.action, EG_ACTION_RUN);
	assert_string_equal(options.config_file, file);
	assert_int_equal(options.config->max_apps, 8);
	assert_int_equal(options.config->max_rules, 70);
	assert_string_equal(options.config->log_dir, "/flag");
	assert_int_equal(options.config->log_level, EG_LOG_ERR);
	assert_int_equal(options.config->root_count, 2);
	assert_int_equal(options.config->roots[0].unknown, EG_UNKNOWN_PASS);
	assert_int_equal(options.config->roots[1].unknown, EG_UNKNOWN_AUDIT);
	eg_options_clear(&options);

	options = options_of("--config", file, "--cgroup-root", "a", "--create-cgroup-root", "--cgroup-root=b/c/",
			     "--unknown-cgroup", "pass", NULL);
	assert_int_equal(options.config->root_count, 2);
	assert_string_equal(options.config->roots[0].path, "a");
	assert_string_equal(options.config->roots[1].path, "b/c");
	assert_true(options.config->roots[0].create && options.config->roots[1].create);
	assert_int_equal(options.config->roots[1].unknown, EG_UNKNOWN_PASS);
	eg_options_clear(&options);
}

static void test_every_flag(void **state)
{
	struct eg_options options;

	(void)state;
	write_file("{}", 2);
	options = options_of("--config", file, "--policy-dir", "/p", "--socket", "/s", "--bpffs", "/b", "--state-dir",
			     "/st", "--log-dir", "/l", "--max-apps", "2", "--max-rules", "3", "--early", NULL);
	assert_int_equal(options.action, EG_ACTION_EARLY);
	assert_string_equal(options.config->policy_dir, "/p");
	assert_string_equal(options.config->socket, "/s");
	assert_string_equal(options.config->bpffs, "/b");
	assert_string_equal(options.config->state_dir, "/st");
	assert_string_equal(options.config->log_dir, "/l");
	assert_int_equal(options.config->max_apps, 2);
	assert_int_equal(options.config->max_rules, 3);
	eg_options_clear(&options);
}

static void test_actions(void **state)
{
	struct eg_options options;

	(void)state;
	write_file("{", 1); /* neither of these two reads it */
	options = options_of("--config", file, "--version", NULL);
	assert_int_equal(options.action, EG_ACTION_VERSION);
	assert_null(options.config);
	eg_options_clear(&options);
	options = options_of("--help", "--no-such-flag", NULL);
	assert_int_equal(options.action, EG_ACTION_HELP);
	eg_options_clear(&options);
	assert_bad_args("egret.json:1:", "--config", file, "--check-config", NULL);
	write_file("{}", 2);
	options = options_of("--check-config", "--config", file, NULL);
	assert_int_equal(options.action, EG_ACTION_CHECK_CONFIG);
	assert_non_null(options.config);
	eg_options_clear(&options);
	options = options_of("--config", file, "--detach-all", "--detach-all", NULL);
	assert_int_equal(options.action, EG_ACTION_DETACH_ALL);
	eg_options_clear(&options);
}

static void test_bad_flags(void **state)
{
	(void)state;
	write_file("{}", 2);
	assert_bad_args("--no-such-flag", "--no-such-flag", NULL);
	assert_bad_args("-x", "-xy", NULL);
	assert_bad_args("--max-apps needs a value", "--max-apps", NULL);
	assert_bad_args("--early=1", "--early=1", NULL);
	assert_bad_args("\"stray\"", "--config", file, "stray", NULL);
	assert_bad_args("--early and --detach-all", "--early", "--detach-all", NULL);
	assert_bad_args("--max-apps must be a whole number from 1 to 100000", "--config", file, "--max-apps", "0", NULL);
	assert_bad_args("--max-apps must be a whole number", "--config", file, "--max-apps", "ten", NULL);
	assert_bad_args("--max-apps must be a whole number", "--config", file, "--max-apps", "99999999999999999999", NULL);
	assert_bad_args("--max-apps must be a whole number", "--config", file, "--max-apps", "", NULL);
	assert_bad_args("--unknown-cgroup must be", "--config", file, "--unknown-cgroup", "allow", NULL);
	assert_bad_args("--log-level must be", "--config", file, "--log-level", "loud", NULL);
	assert_bad_args("--policy-dir must have", "--config", file, "--policy-dir", "", NULL);
	assert_bad_args("--policy-dir is not UTF-8", "--config", file, "--policy-dir", "\xff", NULL);
	assert_bad_args("--cgroup-root must be", "--config", file, "--cgroup-root", "a/./b", NULL);
	assert_bad_args("lies within", "--config", file, "--cgroup-root", "a", "--cgroup-root", "a/b", NULL);
	assert_bad_args("can't be read", "--config", "/nonexistent/egret.json", NULL);
}

/* Every flag that the help names is taken, with a value or without. */
static void test_help_tells_the_truth(void **state)
{
	static const char *const values[] = {"deny", "1", "/x", "error", NULL};
	const char *at = eg_options_help;
	unsigned seen = 0;

	(void)state;
	write_file("{}", 2);
	while ((at = strstr(at, "\n      --"))) {
		char flag[64];
		bool taken = false;

		at += strlen("\n      ");
		snprintf(flag, sizeof(flag), "%.*s", (int)strcspn(at, " "), at);
		seen++;
		if (!strcmp(flag, "--config"))
			continue;
		for (size_t i = 0; !taken && values[i]; i++) {
			char *plain[] = {(char *)"egretd", (char *)"--config", file, flag, NULL};
			char *valued[] = {(char *)"egretd", (char *)"--config", file, flag, (char *)values[i], NULL};
			struct eg_options options = {0};
			struct eg_error err = {0};

			taken = !eg_options_parse(4, plain, &options, &err);
			eg_error_clear(&err);
			if (!taken)
				taken = !eg_options_parse(5, valued, &options, &err);
			eg_error_clear(&err);
			eg_options_clear(&options);
		}
		if (!taken)
			fail_msg("%s is in the help, but not taken", flag);
	}
	assert_int_equal(seen, 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_list_of_roots),
		cmocka_unit_test(test_burst_follows_the_rate),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_routes_and_networks),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_that_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flags_win_over_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_flag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_actions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_help_tells_the_truth, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

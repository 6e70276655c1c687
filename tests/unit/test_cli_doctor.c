// SPDX-License-Identifier: Apache-2.0
/*
 * test_cli_doctor.c - findings from what the agent says, and from how this host looks names up
 */
#include <sys/stat.h>

#include "../../agent/cli/doctor.h"
#include "test_cli_fixture.h"

#define NOW_NS 1790000000000000000ull /* 2026-09-21T14:13:20Z */

#define AGENT  "\"agent\":{\"version\":\"1\",\"started\":\"2026-09-21T14:03:20Z\",\"uptime_s\":600}"
#define ROOTS  "\"enforcement_ok\":true,\"enforcement\":[{\"root\":\"a.slice\",\"attached\":true,\"unknown\":\"deny\"}]"
#define KERNEL "\"kernel\":{\"release\":\"6.1.0-27\",\"btf\":true,\"lockdown\":\"none\",\"lsm_bpf\":true}"
#define REST   "\"maps\":[{\"name\":\"rules\",\"used\":80,\"max\":100}],\"events\":{\"lost\":0},\"holds\":[],\"policy_errors\":[]"

struct case_ {
	const char *status;
	const char *check; /* NULL: all is well */
	const char *level;
	const char *words;
};

static void judge(struct eg_doctor *doctor, const char *status)
{
	EG_JSON json_t *json = json_loads(status, 0, NULL);

	assert_non_null(json);
	*doctor = (struct eg_doctor){.findings = json_array()};
	eg_doctor_status(doctor, json, NOW_NS);
}

static bool found(const struct eg_doctor *doctor, const struct case_ *c)
{
	json_t *finding;
	size_t i;

	json_array_foreach(doctor->findings, i, finding)
		if (!strcmp(eg_json_text(finding, "check"), c->check) && !strcmp(eg_json_text(finding, "level"), c->level) &&
		    strstr(eg_json_text(finding, "message"), c->words))
			return true;
	return false;
}

static void test_all_is_well(void **state)
{
	struct eg_doctor doctor;

	(void)state;
	judge(&doctor, "{" AGENT "," ROOTS "," KERNEL "," REST "}");
	assert_int_equal(doctor.failures, 0);
	assert_int_equal(doctor.warnings, 0);
	assert_true(json_array_size(doctor.findings) >= 6);
	json_decref(doctor.findings);
}

/* Each case is wrong in one thing, and that one is found and nothing else. */
static void test_each_fault(void **state)
{
	static const struct case_ cases[] = {
		{"{" AGENT "," KERNEL "," REST "}", "enforcement", "fail", "no managed root"},
		{"{" AGENT ",\"enforcement\":[{\"root\":\"a.slice\",\"attached\":false,\"unknown\":\"deny\"}]," KERNEL "," REST "}",
		 "enforcement", "fail", "a.slice is NOT enforced"},
		{"{" AGENT ",\"enforcement_ok\":false,\"enforcement\":[{\"root\":\"a\",\"attached\":true,\"unknown\":\"deny\"}],"
		 KERNEL "," REST "}", "enforcement", "fail", "not complete"},
		{"{" AGENT ",\"enforcement_ok\":true,\"enforcement\":[{\"root\":\"a\",\"attached\":true,\"unknown\":\"pass\"}],"
		 KERNEL "," REST "}", "enforcement", "warn", "unknown_cgroup: pass"},
		{"{" AGENT ",\"enforcement_ok\":true,\"enforcement\":[{\"root\":\"a\",\"attached\":true,\"unknown\":\"deny\","
		 "\"foreign_programs\":2}]," KERNEL "," REST "}", "nat", "warn", "2 programs of others"},
		{"{" AGENT "," ROOTS "," REST ",\"kernel\":{\"release\":\"5.15.0\",\"btf\":true,\"lsm_bpf\":true}}", "kernel",
		 "fail", "older than 6.1"},
		{"{" AGENT "," ROOTS "," REST ",\"kernel\":{\"release\":\"6.12.1\",\"btf\":false,\"lsm_bpf\":true}}", "btf",
		 "fail", "no BTF"},
		{"{" AGENT "," ROOTS "," REST ",\"kernel\":{\"release\":\"7.0\",\"btf\":true,\"lsm_bpf\":false}}", "lsm", "warn",
		 "BPF LSM is off"},
		{"{" AGENT "," ROOTS "," REST ",\"kernel\":{\"release\":\"7.0\",\"btf\":true,\"lsm_bpf\":true,"
		 "\"socket_families\":\"off\"}}", "lsm", "warn", "socket_families is off"},
		{"{" AGENT "," ROOTS "," REST ",\"kernel\":{\"release\":\"7.0\",\"btf\":true,\"lsm_bpf\":true,"
		 "\"socket_families\":\"refused\"}}", "lsm", "warn", "refuses egretd's program"},
		{"{" AGENT "," ROOTS "," REST ",\"kernel\":{\"release\":\"7.0\",\"btf\":true,\"lsm_bpf\":true,"
		 "\"sees_pages\":false}}", "pages", "warn", "without a copy"},
		{"{" AGENT "," ROOTS "," KERNEL ",\"maps\":[{\"name\":\"rules\",\"used\":81,\"max\":100}]}", "maps", "warn",
		 "map rules is 81% full"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"events\":{\"lost\":3}}", "events", "warn", "3 events were lost"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"events\":{\"dropped_by_quota\":3}}", "events", "warn",
		 "disk quota"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"events\":{\"failing\":true,\"last_error\":\"full\"}}", "events",
		 "fail", "can't be written: full"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"holds\":[{\"app\":\"x\",\"durable\":false}]}", "holds", "fail",
		 "the kill of x is not on disk"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"kill_all\":true}", "holds", "warn", "every app"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"policy_errors\":[{\"file\":\"f\",\"message\":\"m\"}]}", "policies",
		 "fail", "f is wrong: m"},
		{"{" AGENT "," ROOTS "," KERNEL "," REST ",\"alarms\":[\"a\\u001bb\"]}", "alarm", "warn", "a?b"},
		{"{" ROOTS "," KERNEL "," REST ",\"agent\":{\"started\":\"2026-09-21T14:03:20Z\",\"uptime_s\":4200}}", "clock",
		 "warn", "set by 1h"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_doctor doctor;
		bool fails = !strcmp(cases[i].level, "fail");

		judge(&doctor, cases[i].status);
		if (!found(&doctor, &cases[i]))
			fail_msg("case %zu: no %s of %s with \"%s\"", i, cases[i].level, cases[i].check, cases[i].words);
		if (doctor.failures != fails || doctor.warnings != !fails)
			fail_msg("case %zu: %u failures, %u warnings", i, doctor.failures, doctor.warnings);
		json_decref(doctor.findings);
	}
}

static void test_apps(void **state)
{
	EG_JSON json_t *apps = json_loads("{\"apps\":["
					  "{\"app\":\"a1\",\"state\":\"enforce\",\"expires\":\"2026-09-29T00:00:00Z\"},"
					  "{\"app\":\"a2\",\"state\":\"enforce\",\"expires\":\"2026-09-28T00:00:00Z\"},"
					  "{\"app\":\"a3\",\"state\":\"audit\"},{\"app\":\"a4\",\"state\":\"audit\"},"
					  "{\"app\":\"a5\",\"state\":\"expired\",\"expires\":\"2026-09-20T00:00:00Z\"},"
					  "{\"app\":\"a6\",\"state\":\"no_policy\",\"expires\":null}]}", 0, NULL);
	static const struct case_ cases[] = {
		{NULL, "apps", "warn", "2 apps are only audited: a3, a4"},
		{NULL, "apps", "warn", "1 app is expired: a5"},
		{NULL, "apps", "warn", "1 app is without a policy, so everything is denied to them: a6"},
		{NULL, "apps", "warn", "1 app is to expire within 7 days: a2"},
		{NULL, "apps", "ok", "6 apps"},
	};
	EG_JSON json_t *findings = json_array();
	struct eg_doctor doctor = {.findings = findings};

	(void)state;
	eg_doctor_apps(&doctor, apps, NOW_NS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!found(&doctor, &cases[i]))
			fail_msg("no \"%s\"", cases[i].words);
	assert_int_equal(doctor.warnings, 4);
}

/* Guarded, with nothing to guard, and neither: only the last can send what was not judged. */
static void test_namespaces(void **state)
{
	EG_JSON json_t *apps =
		json_loads("{\"apps\":["
			   "{\"app\":\"a1\",\"state\":\"enforce\",\"netns_admin\":false,\"guards\":[\"v0\"]},"
			   "{\"app\":\"a2\",\"state\":\"enforce\",\"netns_admin\":true,\"guards\":[\"v1\",\"v2\"]},"
			   "{\"app\":\"a3\",\"state\":\"enforce\",\"netns_admin\":true,\"guards\":[]},"
			   "{\"app\":\"a4\",\"state\":\"enforce\",\"netns_admin\":true,\"guards\":[\"v3\"],"
			   "\"netns_problem\":\"process 7 has mv0\"}]}", 0, NULL);
	static const struct case_ cases[] = {
		{NULL, "netns", "ok", "app a2 administers its network namespace, and is judged again on v1, v2"},
		{NULL, "netns", "ok", "app a3 administers a network namespace that nothing leads out of"},
		{NULL, "netns", "warn", "app a4 can get round its policy: process 7 has mv0"},
	};
	EG_JSON json_t *findings = json_array();
	struct eg_doctor doctor = {.findings = findings};

	(void)state;
	eg_doctor_apps(&doctor, apps, NOW_NS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!found(&doctor, &cases[i]))
			fail_msg("no \"%s\"", cases[i].words);
	assert_int_equal(json_array_size(findings), 4); /* and how many apps there are */
	assert_int_equal(doctor.warnings, 1);
}

/* ---- Look-ups --------------------------------------------------------------------------- */

#define NAMED "{\"apps\":[{\"app\":\"a\",\"names\":true},{\"app\":\"b\",\"names\":false}]}"

static char root[64];

static void put_file(const char *path, const char *text)
{
	char whole[128];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	unlink(whole);
	if (!text)
		return;
	file = fopen(whole, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int root_setup(void **state)
{
	char command[160];

	(void)state;
	strcpy(root, "/tmp/egret-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(command, sizeof(command), "mkdir -p %s/etc %s/run/nscd && ln -s /run %s/var", root, root, root);
	return system(command);
}

static int root_teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void look(struct eg_doctor *doctor, const char *where, const char *text)
{
	EG_JSON json_t *apps = text ? json_loads(text, 0, NULL) : NULL;

	*doctor = (struct eg_doctor){.findings = json_array()};
	eg_doctor_lookups(doctor, where, apps);
}

static void test_nsswitch(void **state)
{
	static const struct {
		const char *text; /* NULL: no file */
		const char *warning; /* NULL: all is well */
	} cases[] = {
		{"hosts: files dns\n", NULL},
		{"passwd: sss\n\t hosts:\tfiles myhostname mdns4_minimal [NOTFOUND=return] dns # resolve\n", NULL},
		{"hosts: files dns resolve\n", NULL},
		{"# hosts: resolve dns\n", NULL},
		{NULL, NULL},
		{"hosts: files mymachines resolve [!UNAVAIL=return] dns\n", "has \"resolve\" before dns"},
		{"x\nhosts: sss resolve [ !UNAVAIL=return ] dns\n", "has \"sss resolve\" before dns"},
		{"hosts: files resolve\n", "without dns, by resolve"},
		{"hosts: files\n", "without dns:"},
		{"hosts:\n", "without dns:"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct case_ c = {NULL, "lookups", "warn", cases[i].warning ? cases[i].warning : "?"};
		struct eg_doctor doctor;

		put_file("etc/nsswitch.conf", cases[i].text);
		look(&doctor, root, NAMED);
		if (doctor.warnings != (cases[i].warning != NULL) || (cases[i].warning && !found(&doctor, &c)))
			fail_msg("case %zu: %u warnings", i, doctor.warnings);
		assert_int_equal(doctor.failures, 0);
		json_decref(doctor.findings);
	}
}

/* A file that is no file, or leads out of the directory, neither holds the doctor up nor is read. */
static void test_nsswitch_of_an_app(void **state)
{
	const struct case_ c = {NULL, "lookups", "warn", "nsswitch.conf can't be read"};
	struct eg_doctor doctor;
	char path[128], target[128];

	(void)state;
	put_file("etc/nsswitch.conf", NULL);
	snprintf(path, sizeof(path), "%s/etc/nsswitch.conf", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	look(&doctor, root, NULL);
	assert_true(found(&doctor, &c));
	json_decref(doctor.findings);
	unlink(path);
	put_file("outside", "hosts: resolve\n");
	snprintf(target, sizeof(target), "%s/outside", root);
	assert_int_equal(symlink(target, path), 0); /* below root there is no such path */
	look(&doctor, root, NULL);
	assert_int_equal(doctor.warnings, 0);
	json_decref(doctor.findings);
	look(&doctor, "/nonexistent", NULL);
	assert_int_equal(doctor.warnings, 1);
	json_decref(doctor.findings);
}

static void test_nscd(void **state)
{
	const struct case_ runs = {NULL, "lookups", "warn", "nscd runs, and looks hosts up"};
	const struct case_ off = {NULL, "lookups", "ok", "does not look hosts up"};
	const struct case_ none = {NULL, "lookups", "ok", "no nscd runs"};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct eg_doctor doctor;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/run/nscd/socket", root);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	look(&doctor, root, NAMED); /* bound, and nobody listens */
	assert_true(found(&doctor, &none));
	json_decref(doctor.findings);
	assert_int_equal(listen(fd, 4), 0);
	look(&doctor, root, NAMED);
	assert_true(found(&doctor, &runs));
	assert_int_equal(doctor.warnings, 1);
	json_decref(doctor.findings);
	put_file("etc/nscd.conf", "enable-cache passwd no # x\n enable-cache\thosts\tyes\n");
	look(&doctor, root, NAMED);
	assert_true(found(&doctor, &runs));
	json_decref(doctor.findings);
	put_file("etc/nscd.conf", "#enable-cache hosts yes\nenable-cache passwd yes # x\n enable-cache\thosts\tno\n");
	look(&doctor, root, NAMED);
	assert_true(found(&doctor, &off));
	assert_int_equal(doctor.warnings, 0);
	json_decref(doctor.findings);
	close(fd);
}

/* Without names in any policy nothing is said of a host where it would be wrong. */
static void test_lookups_that_do_not_matter(void **state)
{
	const struct case_ c = {NULL, "lookups", "ok", "no policy has DNS names"};
	struct eg_doctor doctor;

	(void)state;
	look(&doctor, NULL, "{\"apps\":[{\"app\":\"b\",\"names\":false}]}");
	assert_true(found(&doctor, &c));
	assert_int_equal(json_array_size(doctor.findings), 1);
	json_decref(doctor.findings);
}

/* No agent is a finding, not the end. */
/* ---- Tried ------------------------------------------------------------------------------ */

static bool find_cgroup2(char *ret)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[512];
	bool is_there = false;

	while (mounts && !is_there && fgets(line, sizeof(line), mounts))
		is_there = sscanf(line, "%*s %127s cgroup2", ret) == 1 && strstr(line, " cgroup2 ");
	if (mounts)
		fclose(mounts);
	return is_there;
}

/* Below a root that has no programs, though the status says so. */
static void test_nothing_is_refused(void **state)
{
	static const struct case_ cases[] = {
		{NULL, "hooks", "fail", "nothing refuses a TCP connection"},
		{NULL, "hooks", "fail", "nothing refuses a datagram"},
		{NULL, "hooks", "fail", "was given a raw socket"},
		{NULL, "families", "warn", "AF_PACKET"},
		{NULL, "options", "fail", "nothing refuses IPV6_FREEBIND"},
	};
	EG_JSON json_t *findings = json_array(), *status = NULL;
	struct eg_doctor doctor = {.findings = findings};
	char mount[128], path[200], name[32];

	(void)state;
	assert_true(find_cgroup2(mount));
	snprintf(name, sizeof(name), "egret-test-%d", getpid());
	snprintf(path, sizeof(path), "%s/%s", mount, name);
	assert_int_equal(mkdir(path, 0755), 0);
	status = json_pack("{s:s,s:[{s:s,s:b,s:s}]}", "cgroup2_mount", mount, "enforcement", "root", name, "attached", true,
			   "unknown", "deny");
	eg_doctor_probe(&doctor, status);
	assert_int_equal(rmdir(path), 0); /* nothing was left below it */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!found(&doctor, &cases[i]))
			fail_msg("no \"%s\"", cases[i].words);
	assert_int_equal(doctor.failures, 4);
}

static void test_frames(void **state)
{
	EG_JSON json_t *apps = json_loads("{\"apps\":[{\"app\":\"a1\",\"frames\":\"none\"},"
					  "{\"app\":\"a2\",\"frames\":\"refused\"},{\"app\":\"a3\",\"frames\":\"guarded\"},"
					  "{\"app\":\"a4\",\"frames\":\"names\"},{\"app\":\"a5\",\"frames\":\"open\"}]}", 0, NULL);
	static const struct case_ cases[] = {
		{NULL, "frames", "ok", "a2 has CAP_NET_RAW, and AF_PACKET is refused"},
		{NULL, "frames", "ok", "a3 has CAP_NET_RAW: frames that it writes by AF_PACKET are judged"},
		{NULL, "frames", "warn", "a4 has CAP_NET_RAW"},
		{NULL, "frames", "fail", "a5 has CAP_NET_RAW, and nothing judges"},
	};
	EG_JSON json_t *findings = json_array();
	struct eg_doctor doctor = {.findings = findings};

	(void)state;
	eg_doctor_apps(&doctor, apps, NOW_NS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!found(&doctor, &cases[i]))
			fail_msg("no \"%s\"", cases[i].words);
	assert_int_equal(json_array_size(findings), 5); /* and how many apps there are */
}

static void test_no_agent(void **state)
{
	OUTCOME o, json;

	(void)state;
	RUN(&o, "doctor", reply("500 X", "{\"error\":{\"code\":\"c\",\"message\":\"broken\"}}"));
	assert_int_equal(o.status, EG_EXIT_NO);
	assert_has(o.out, "FAIL  agent        broken");
	assert_has(o.out, "clock");
	RUN(&json, "doctor -o json", reply("500 X", "{\"error\":{\"code\":\"c\",\"message\":\"broken\"}}"));
	assert_has(json.out, "\"ok\": false");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_well),
		cmocka_unit_test(test_each_fault),
		cmocka_unit_test(test_apps),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test_setup_teardown(test_nsswitch, root_setup, root_teardown),
		cmocka_unit_test_setup_teardown(test_nsswitch_of_an_app, root_setup, root_teardown),
		cmocka_unit_test_setup_teardown(test_nscd, root_setup, root_teardown),
		cmocka_unit_test(test_lookups_that_do_not_matter),
		cmocka_unit_test(test_nothing_is_refused),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_no_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

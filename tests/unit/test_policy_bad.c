// SPDX-License-Identifier: Apache-2.0
/*
 * What a bad policy gets: each text has one error, at the place marked with @ (which is taken
 * out), about that path, with these words in the message and those in the fix. Texts are
 * written with ' for ".
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../agent/lib/policy.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define DIAGS        EG_CLEANUP(eg_diags_clear)

#define HEAD "{'version':1,'app':'a',\n'expires':'2027-01-31T00:00:00Z'"
#define P(members) HEAD ",\n" members "}"
#define R(rule) P("'egress':[\n {'to':['10.0.0.9'],'proto':'icmp'},\n " rule "]")
#define IN(rule) P("'ingress':[" rule "]")
#define TO(dest) R("{'to':['10.0.0.1'," dest "],'proto':'tcp','ports':[1]}")
#define PORTS(ports) R("{'to':['10.0.0.1'],'proto':'tcp','ports':" ports "}")
#define CAP(cap) P("'limits':{'egress':" cap "}")

struct bad {
	const char *text, *path, *words, *fix;
};

/* Takes out the marks; *ret_line, *ret_column are where the last one was. */
static char *text_of(const char *marked, unsigned *ret_line, unsigned *ret_column)
{
	char *text = strdup(marked), *to = text;
	unsigned line = 1, column = 1;

	assert_non_null(text);
	*ret_line = *ret_column = 0;
	for (const char *c = marked; *c; c++) {
		if (*c == '@') {
			*ret_line = line;
			*ret_column = column;
			continue;
		}
		*to++ = *c == '\'' ? '"' : *c;
		column = *c == '\n' ? 1 : column + 1;
		line += *c == '\n';
	}
	*to = '\0';
	return text;
}

static void assert_bad(const struct bad *bad)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	unsigned line, column;
	EG_FREE char *text = text_of(bad->text, &line, &column);
	const struct eg_diag *diag;
	int r = eg_policy_parse("a.json", text, strlen(text), &policy, &diags);

	if (r != -EINVAL || policy || !diags.count)
		fail_msg("accepted: %s", bad->text);
	diag = &diags.items[0];
	if (diags.count != 1 || diags.errors != 1 || diag->level != EG_DIAG_ERROR || diag->line != line ||
	    diag->column != column || strcmp(diag->path, bad->path) || !strstr(diag->message, bad->words) ||
	    !strstr(diag->fix, bad->fix) || !diag->fix[0] || strpbrk(diag->message, "\n\x1b"))
		fail_msg("%s\n gave %zu: %u:%u: %s: %s (%s)\n wanted %u:%u: %s: %s (%s)", text, diags.count, diag->line,
			 diag->column, diag->path, diag->message, diag->fix, line, column, bad->path, bad->words, bad->fix);
	assert_string_equal(diags.file, "a.json");
}

static void assert_all(const struct bad *bad, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_bad(&bad[i]);
}

/* ---- The document --------------------------------------------------------------------------------- */

static void test_json(void **state)
{
	static const struct bad bad[] = {
		{"@", "", "The text is empty", "JSON object"},
		{HEAD "@", "expires", "The text ends within the object", ""},
		{HEAD "@,}", "expires", "Nothing follows this comma", "Remove"},
		{HEAD "} @x", "", "behind the end", "Remove"},
		{"@[]", "", "This is a list, and an object is wanted", "{"},
		{"@1", "", "This is a whole number, and an object", "{"},
		{"@null", "", "This is null", "{"},
		{"{'version':1,\n'app':'a',\n@'app':'b'}", "app", "\"app\" is there twice; it was given at line 2, column 1",
		 "Remove one"},
		{P("'labels':{'a':'1','b':'2',@'a':'3'}"), "labels.a", "there twice", "Remove"},
		{P("'labels':{'a':'1',\n@'\\u0061':'3'}"), "labels.\\u0061", "there twice", "Remove"},
		{P("'owner':'@\xc3('"), "owner", "0xc3 is not UTF-8", "UTF-8"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

static void test_top(void **state)
{
	static const struct bad bad[] = {
		{"@{'app':'a','expires':'2027-01-31T00:00:00Z'}", "", "\"version\" is missing", "Add \"version\""},
		{"@{'version':1,'expires':'2027-01-31T00:00:00Z'}", "", "\"app\" is missing", "Add"},
		{"\n @{'version':1,'app':'a'}", "", "\"expires\" is missing", "Add"},
		{"{'version':@2,'app':'a','expires':'2027-01-31T00:00:00Z'}", "version",
		 "is of version 2; this agent accepts version 1", "Write 1"},
		{"{'version':@'1','app':'a','expires':'2027-01-31T00:00:00Z'}", "version", "This is a text", "Write 1"},
		{"{'version':@1.0,'app':'a','expires':'2027-01-31T00:00:00Z'}", "version", "with a fraction", "Write 1"},
		{"{'version':1,'app':@'A b','expires':'2027-01-31T00:00:00Z'}", "app", "\"A b\" can't be the name",
		 "a-z 0-9"},
		{"{'version':1,'app':@'','expires':'2027-01-31T00:00:00Z'}", "app", "can't be the name", "a-z"},
		{"{'version':1,'app':'a','expires':@'2027-01-31'}", "expires", "not a moment with an offset", "00:00:00Z"},
		{"{'version':1,'app':'a','expires':@'2027-01-31T00:00:00'}", "expires", "not a moment", "Z"},
		{"{'version':1,'app':'a','expires':@'2027-02-30T00:00:00Z'}", "expires", "not a moment", "Z"},
		{"{'version':1,'app':'a','expires':@17}", "expires", "a whole number, and a moment", "Z"},
		{P("'owner':@null"), "owner", "null is not a value", "Leave the key out"},
		{P("'owner':@''"), "owner", "This text is empty", "Leave"},
		{P("'owner':@'a\\nb'"), "owner", "line break", "one line"},
		{P("'owner':@'a\xc2\x9b" "2J'"), "owner", "control character", "one line"},
		{P("'owner':@['x']"), "owner", "This is a list, and a text is wanted", "quotes"},
		{P("@'egres':[]"), "egres", "\"egres\" is not a key of a policy", "Did you mean \"egress\"?"},
		{P("@'Cgroup':['a']"), "Cgroup", "is not a key", "Did you mean \"cgroups\"?"},
		{P("@'xyzzy':1"), "xyzzy", "is not a key", "version, app, owner"},
		{P("@'\\u001b[2J\xc3\xa9':1"), "?[2J??", "\"?[2J\xc3\xa9\" is not a key", "keys of a policy are"},
		{P("'mode':@'enforced'"), "mode", "\"enforced\" is not known", "Did you mean \"enforce\"?"},
		{P("'mode':@'off'"), "mode", "\"enforce\" or \"audit\" is wanted", "Write"},
		{P("'log':@'all'"), "log", "\"rollup\" or \"full\"", "Write"},
		{P("'self':@'true'"), "self", "a text, and true or false", "without quotes"},
		{P("'raw_sockets':@1"), "raw_sockets", "true or false", "Write"},
		{P("'allow_netns_admin':@null"), "allow_netns_admin", "null", "Leave"},
		{P("'$schema':@1"), "$schema", "JSON schema", "quotes"},
		{P("'labels':@[]"), "labels", "an object of texts", "team"},
		{P("'labels':{'a':@1}"), "labels.a", "a text is wanted", "Write"},
		{P("'labels':{'a':@'x y'}"), "labels.a", "value of a label", "Write"},
		{P("'labels':{@'a b':'x'}"), "labels.a?b", "key of a label", "Write"},
		{P("'cgroups':@[]"), "cgroups", "list is empty", "Leave the key out"},
		{P("'cgroups':@'a'"), "cgroups", "a list of cgroup paths", "Write ["},
		{P("'cgroups':['a',@1]"), "cgroups[1]", "path of a cgroup", "quotes"},
		{P("'cgroups':[@'/m.slice/a']"), "cgroups[0]", "without a slash", "Write \"m.slice/a\""},
		{P("'cgroups':[@'m.slice/../x']"), "cgroups[0]", "can't be the path", "Write"},
		{P("'cgroups':[@'m.slice/[ab]']"), "cgroups[0]", "can't be the path", "Write"},
		{P("'egress':@[]"), "egress", "list is empty", "Leave the key out: unset egress allows nothing"},
		{P("'ingress':@[]"), "ingress", "list is empty", "unset ingress allows nothing"},
		{P("'egress':@null"), "egress", "null is not a value", "Leave"},
		{P("'egress':@{}"), "egress", "a list of rules", "[{"},
		{P("'egress':[@1]"), "egress[0]", "an object is wanted", "{"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

static void test_newer_version(void **state)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	static const char text[] = "{\"version\":2,\"app\":\"a\",\"expires\":\"2027-01-31T00:00:00Z\",\"novel\":1}";

	(void)state;
	assert_int_equal(eg_policy_parse("a", text, strlen(text), &policy, &diags), -EINVAL);
	assert_int_equal(diags.errors, 2);
	assert_string_equal(diags.items[0].path, "version");
	assert_non_null(strstr(diags.items[0].message, "accepts version 1"));
	assert_string_equal(diags.items[1].path, "novel");
	assert_non_null(strstr(diags.items[1].message, "in version 1; this policy says version 2"));
}

/* ---- Rules ------------------------------------------------------------------------------------------ */

static void test_dests(void **state)
{
	static const struct bad bad[] = {
		{R("{'to':@[],'proto':'tcp','ports':[1]}"), "egress[1].to", "list is empty", "fill"},
		{R("{'to':@'10.0.0.1','proto':'tcp','ports':[1]}"), "egress[1].to", "a text, and a list of", "[\"10.0.0.1\"]"},
		{R("{'to':@null,'proto':'tcp','ports':[1]}"), "egress[1].to", "null", "Leave"},
		{R("@{'proto':'tcp','ports':[1]}"), "egress[1]", "\"to\" is missing", "Add \"to\""},
		{TO("@1"), "egress[1].to[1]", "a whole number", "quotes"},
		{TO("@null"), "egress[1].to[1]", "This is null", "quotes"},
		{TO("@''"), "egress[1].to[1]", "text is empty", "Write an address"},
		{TO("@'10.20.0.15/16'"), "egress[1].to[1]", "\"10.20.0.15/16\" has bits set behind its prefix",
		 "Write \"10.20.0.0/16\""},
		{TO("@'fd00:20::15/32'"), "egress[1].to[1]", "has bits set", "Write \"fd00:20::/32\""},
		{TO("@'::ffff:10.0.0.1/112'"), "egress[1].to[1]", "has bits set", "Write \"10.0.0.0/16\""},
		{TO("@'10.0.0.0/33'"), "egress[1].to[1]", "prefix length in \"10.0.0.0/33\" is out of range", "/32"},
		{TO("@'fd00::/129'"), "egress[1].to[1]", "prefix length", "/128"},
		{TO("@'10.0.0.0/x'"), "egress[1].to[1]", "not a CIDR prefix", "Write"},
		{TO("@'10.0.0.256'"), "egress[1].to[1]", "not an IPv4 address", "0 to 255"},
		{TO("@'10.0.0'"), "egress[1].to[1]", "not an IPv4 address", "four numbers"},
		{TO("@'010.0.0.1'"), "egress[1].to[1]", "not an IPv4 address", "leading zeros"},
		{TO("@'fd00::g'"), "egress[1].to[1]", "not an IPv6 address", "Write"},
		{TO("@'fe80::1%eth0'"), "egress[1].to[1]", "not an IPv6 address", "Write"},
		{TO("@'[fd00::1]'"), "egress[1].to[1]", "has brackets", "without brackets"},
		{TO("@'10.0.0.1:443'"), "egress[1].to[1]", "has a port", "into \"ports\""},
		{TO("@'a.example:443'"), "egress[1].to[1]", "has a port", "into \"ports\""},
		{TO("@'https://a.example/x'"), "egress[1].to[1]", "is a URL", "Write \"a.example\""},
		{TO("@'*'"), "egress[1].to[1]", "no destination", "0.0.0.0/0"},
		{TO("@'a.*.example'"), "egress[1].to[1]", "not the whole leftmost label", "Write"},
		{TO("@'*a.example'"), "egress[1].to[1]", "not the whole leftmost label", "Write"},
		{TO("@'*.*.example'"), "egress[1].to[1]", "not the whole leftmost label", "Write"},
		{TO("@'a..example'"), "egress[1].to[1]", "empty label", "Write"},
		{TO("@'a.example..'"), "egress[1].to[1]", "empty label", "Write"},
		{TO("@'.'"), "egress[1].to[1]", "empty label", "Write"},
		{TO("@'-a.example'"), "egress[1].to[1]", "begins or ends with -", "Write"},
		{TO("@'a b.example'"), "egress[1].to[1]", "a character that no DNS name has", "Write"},
		{TO("@'b\xc3\xbc" "cher.example'"), "egress[1].to[1]", "outside ASCII", "xn--"},
		{TO("@'a23456789012345678901234567890123456789012345678901234567890123x.example'"), "egress[1].to[1]",
		 "more than 63 bytes", "Write"},
		{R("{'to':@['self','10.0.0.1'],'proto':'tcp','ports':[1]}"), "egress[1].to", "\"self\" stands beside",
		 "[\"self\"]"},
		{R("{'to':['self'],@'proto':'tcp'}"), "egress[1].proto", "all of the app's own loopback", "Leave"},
		{R("{'to':['self'],@'ports':[1]}"), "egress[1].ports", "own loopback", "Leave"},
		{P("'self':false,'egress':[{'to':['10.0.0.1'],'proto':'icmp'},@{'to':['self']}]"), "egress[1]",
		 "\"self\": false forbids it", "Leave"},
		{IN("{'from':[@'self'],'proto':'tcp','ports':[1]}"), "ingress[0].from[0]", "needs no ingress rule", "Leave"},
		{IN("{'from':[@'a.example'],'proto':'tcp','ports':[1]}"), "ingress[0].from[0]", "told by address", "address"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

static void test_services(void **state)
{
	static const struct bad bad[] = {
		{PORTS("[@0]"), "egress[1].ports[0]", "0 is not a port", "1 to 65535"},
		{PORTS("[@65536]"), "egress[1].ports[0]", "65536 is not a port", "65535"},
		{PORTS("[1,@-1]"), "egress[1].ports[1]", "-1 is not a port", "65535"},
		{PORTS("[@9999999999]"), "egress[1].ports[0]", "9999999999 is not a port", "65535"},
		{PORTS("[@99999999999999999999]"), "egress[1].ports[0]", "number is too large", "smaller"},
		{PORTS("[@'99999999999999999999']"), "egress[1].ports[0]", "not a port", "65535"},
		{PORTS("[@1.5]"), "egress[1].ports[0]", "fraction, and a port", "443"},
		{PORTS("[@'9-1']"), "egress[1].ports[0]", "range 9-1 runs backwards", "Write \"1-9\""},
		{PORTS("[@'0-65535']"), "egress[1].ports[0]", "0 is not a port", "Write \"any\""},
		{PORTS("[@'0-9']"), "egress[1].ports[0]", "0 is not a port", "1 to"},
		{PORTS("[@'1-65536']"), "egress[1].ports[0]", "65536 is not a port", "65535"},
		{PORTS("[@'1-']"), "egress[1].ports[0]", "neither a port", "443"},
		{PORTS("[@'-9']"), "egress[1].ports[0]", "neither a port", "443"},
		{PORTS("[@'1 - 9']"), "egress[1].ports[0]", "neither a port", "443"},
		{PORTS("[@'https']"), "egress[1].ports[0]", "neither a port", "443"},
		{PORTS("[@'']"), "egress[1].ports[0]", "neither a port", "443"},
		{PORTS("[@null]"), "egress[1].ports[0]", "This is null", "443"},
		{PORTS("@[]"), "egress[1].ports", "list is empty", "Leave"},
		{PORTS("@443"), "egress[1].ports", "a whole number, and a list of ports", "[443]"},
		{PORTS("@'443'"), "egress[1].ports", "a text, and a list of ports", "[443]"},
		{R("@{'to':['10.0.0.1'],'proto':'udp'}"), "egress[1]", "\"ports\" is missing", "\"any\""},
		{R("@{'to':['10.0.0.1']}"), "egress[1]", "\"proto\" is missing", "Add"},
		{R("{'to':['10.0.0.1'],'proto':'icmp',@'ports':[1]}"), "egress[1].ports", "ICMP has no ports", "types"},
		{R("{'to':['10.0.0.1'],'proto':@'tpc','ports':[1]}"), "egress[1].proto", "\"tpc\" is not known",
		 "Did you mean \"tcp\"?"},
		{R("{'to':['10.0.0.1'],'proto':@'TCP','ports':[1]}"), "egress[1].proto", "not known", "\"tcp\"?"},
		{R("{'to':['10.0.0.1'],'proto':@'icmpv6'}"), "egress[1].proto", "both families", "Write \"icmp\""},
		{R("{'to':['10.0.0.1'],'proto':@'any','ports':[1]}"), "egress[1].proto", "one protocol", "each of"},
		{R("{'to':['10.0.0.1'],'proto':@6,'ports':[1]}"), "egress[1].proto", "a whole number", "Write \"tcp\""},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'types':[8]}"), "egress[1].types", "Only ICMP", "Leave"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','types':[@256]}"), "egress[1].types[0]", "256 is not", "254"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','types':[@255]}"), "egress[1].types[0]", "255 is not", "254"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','types':[8,@-1]}"), "egress[1].types[1]", "-1 is not", "254"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','types':[@'echo']}"), "egress[1].types[0]", "a text", "[8]"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','types':@[]}"), "egress[1].types", "list is empty", "Leave"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','types':@8}"), "egress[1].types", "a list of ICMP types", "[8]"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

static void test_rule_keys(void **state)
{
	static const struct bad bad[] = {
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'prot':1}"), "egress[1].prot", "\"prot\" is not a key here",
		 "Did you mean \"proto\"?"},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'protocol':1}"), "egress[1].protocol", "not a key",
		 "Did you mean \"proto\"?"},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'comment':''}"), "egress[1].comment", "not a key",
		 "The keys here are id, to, proto, ports, types, tls, http, private, prefetch, limits"},
		{R("{'to':['10.0.0.1'],@'from':['10.0.0.1'],'proto':'tcp','ports':[1]}"), "egress[1].from", "connect to", "\"to\""},
		{IN("{'from':['10.0.0.1'],@'to':['10.0.0.1'],'proto':'tcp','ports':[1]}"), "ingress[0].to", "come from",
		 "\"from\""},
		{IN("{'from':['10.0.0.1'],'proto':'tcp','ports':[1],@'tls':'verify-sni'}"), "ingress[0].tls", "not a key",
		 "id, from, proto"},
		{R("{'id':@'a b','to':['10.0.0.1'],'proto':'icmp'}"), "egress[1].id", "can't be the id", "A-Z"},
		{R("{'id':@'','to':['10.0.0.1'],'proto':'icmp'}"), "egress[1].id", "can't be the id", "A-Z"},
		{R("{'id':@'egress[0]','to':['10.0.0.1'],'proto':'icmp'}"), "egress[1].id", "can't be the id", "A-Z"},
		{R("{'id':@'self','to':['10.0.0.1'],'proto':'icmp'}"), "egress[1].id", "own loopback", "another id"},
		{P("'egress':[{'id':'x','to':['10.0.0.1'],'proto':'icmp'}],\n'ingress':[{'id':@'x','from':['10.0.0.1'],"
		   "'proto':'icmp'}]"),
		 "ingress[0].id", "\"x\" is that of egress[0] too", "of its own"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'tls':@'verify'}"), "egress[1].tls", "\"verify-sni\"", "Did you mean \"verify-sni\"?"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'http':@true}"), "egress[1].http", "\"verify-connect\"", "Write"},
		{R("{'to':['a.example'],'proto':'udp','ports':[1],@'tls':'verify-sni'}"), "egress[1].tls", "TCP only", "tcp"},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'tls':'verify-sni'}"), "egress[1].tls", "needs DNS names", "names"},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'private':['10.0.0.0/8']}"), "egress[1].private",
		 "answers for DNS names", "names"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'private':[@'10.0.0.1/8']}"), "egress[1].private[0]",
		 "has bits set", "\"10.0.0.0/8\""},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'private':[@'b.example']}"), "egress[1].private[0]",
		 "is not an address or a prefix", "10.0.0.0/8"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'private':@[]}"), "egress[1].private", "list is empty", "Leave"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'private':@'10.0.0.0/8'}"), "egress[1].private",
		 "a list of prefixes", "[\"10.0.0.0/8\"]"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],'prefetch':@1}"), "egress[1].prefetch", "true or false", "Write"},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'prefetch':true}"), "egress[1].prefetch", "about DNS names",
		 "names"},
		{R("{'to':['*.example'],'proto':'tcp','ports':[1],@'prefetch':true}"), "egress[1].prefetch",
		 "Nobody can look up a wildcard", "exact names"},
		{R("{'to':['a.example'],'proto':'udp','ports':[1],@'http':'verify-connect'}"), "egress[1].http", "TCP only",
		 "tcp"},
		{R("{'to':['a.example'],'proto':'icmp',@'tls':'verify-sni'}"), "egress[1].tls", "no TLS", "Leave"},
		{R("{'to':['10.0.0.1'],'proto':'tcp','ports':[1],@'http':'verify-connect'}"), "egress[1].http",
		 "needs the DNS names", "names"},
		{R("{'to':['a.example'],'proto':'tcp','ports':[1],@'http':'verify-connect'}"), "egress[1].http",
		 "needs the addresses of the proxy", "proxy's address"},
		{R("{'to':['10.0.0.1','a.example'],'proto':'tcp','ports':[1],'tls':'verify-sni',@'http':'verify-connect'}"),
		 "egress[1].http", "can't be a ClientHello and a CONNECT", "Keep one"},
		{R("{'to':['10.0.0.1','a.example'],'proto':'tcp','ports':[1],'http':'verify-connect',@'private':['10.0.0.0/8']}"),
		 "egress[1].private", "the proxy that looks up", "Leave"},
		{R("{'to':['10.0.0.1','a.example'],'proto':'tcp','ports':[1],'http':'verify-connect',@'prefetch':true}"),
		 "egress[1].prefetch", "the proxy that looks up", "Leave"},
		{R("{'id':@'dns','to':['10.0.0.1'],'proto':'icmp'}"), "egress[1].id", "goes to the resolvers", "another id"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

/* ---- Limits and what is for later ------------------------------------------------------------------- */

static void test_limits(void **state)
{
	static const struct bad bad[] = {
		{P("'limits':@{}"), "limits", "object is empty", "Leave"},
		{P("'limits':@[]"), "limits", "an object is wanted", "{"},
		{CAP("@[]"), "limits.egress", "list is empty", "Leave"},
		{CAP("@'50MiB'"), "limits.egress", "an object is wanted", "{"},
		{CAP("@{'bytes':'1MB'}"), "limits.egress", "\"per\" is missing", "Add"},
		{CAP("@{'per':'1h'}"), "limits.egress", "\"bytes\" is missing", "Add"},
		{CAP("{'bytes':@'50MX','per':'1h'}"), "limits.egress.bytes", "unit in \"50MX\" is unknown", "50MiB"},
		{CAP("{'bytes':@'lots','per':'1h'}"), "limits.egress.bytes", "\"lots\" is not a size", "50MiB"},
		{CAP("{'bytes':@'0','per':'1h'}"), "limits.egress.bytes", "zero or out of range", "50MiB"},
		{CAP("{'bytes':@'99999999999999999999','per':'1h'}"), "limits.egress.bytes", "out of range", "128TiB"},
		{CAP("{'bytes':@0,'per':'1h'}"), "limits.egress.bytes", "0 bytes can't be a cap", "Write 1"},
		{CAP("{'bytes':@-5,'per':'1h'}"), "limits.egress.bytes", "-5 bytes", "Write 1"},
		{CAP("{'bytes':@140737488355329,'per':'1h'}"), "limits.egress.bytes", "can't be a cap", "140737488355328"},
		{CAP("{'bytes':'1MB','per':@'1500ms'}"), "limits.egress.per", "can't be the window", "whole seconds"},
		{CAP("{'bytes':'1MB','per':@'32d'}"), "limits.egress.per", "can't be the window", "31d"},
		{CAP("{'bytes':'1MB','per':@'1 fortnight'}"), "limits.egress.per", "1 fortnight", "1h"},
		{CAP("{'bytes':'1MB','per':@3600}"), "limits.egress.per", "a span of time", "1h"},
		{CAP("{'bytes':'1MB','per':'1h','action':@'stop'}"), "limits.egress.action", "not known here", "\"drop\""},
		{CAP("{'bytes':'1MB','per':'1h',@'actoin':'drop'}"), "limits.egress.actoin", "not a key of \"egress\"",
		 "\"action\""},
		{CAP("[{'bytes':'1MB','per':'1h'},@{'bytes':'2MB','per':'60m'}]"), "limits.egress[1]", "same window of 1h",
		 "Keep one"},
		{CAP("@[{'bytes':'1','per':'1s'},{'bytes':'1','per':'2s'},{'bytes':'1','per':'3s'},{'bytes':'1','per':'4s'}]"),
		 "limits.egress", "4 caps here; at most 3", "Keep"},
		{P("'limits':@{'egress':[{'bytes':'1','per':'1s'},{'bytes':'1','per':'2s'},{'bytes':'1','per':'3s'}],"
		   "'egress_rate':'1Mbit/s'}"),
		 "limits", "3 egress caps and a rate", "Drop"},
		{P("'limits':{'egress_rate':@'10MB/s'}"), "limits.egress_rate", "10MB/s", "10Mbit/s"},
		{P("'limits':{'egress_rate':@10}"), "limits.egress_rate", "a rate is wanted", "10Mbit/s"},
		{P("'limits':{@'ingress_rate':'10Mbit/s'}"), "limits.ingress_rate", "no ingress rate", "cap"},
		{P("'limits':{@'rate':'10Mbit/s'}"), "limits.rate", "not a key",
		 "The keys of \"limits\" are egress, ingress, egress_rate, new_flows"},
		{P("'limits':{'new_flows':@'100'}"), "limits.new_flows", "100", "100/min"},
		{P("'limits':{'new_flows':@'0/min'}"), "limits.new_flows", "zero", "100/min"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','limits':{@'egress_rate':'1Mbit/s'}}"), "egress[1].limits.egress_rate",
		 "of its own", "policy"},
		{R("{'to':['10.0.0.1'],'proto':'icmp','limits':{'egress':@[{'bytes':'1','per':'1s'},{'bytes':'1','per':'2s'}]}}"),
		 "egress[1].limits.egress", "2 caps here; at most 1 is accepted", "Keep one"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

static void test_dns(void **state)
{
	static const struct bad bad[] = {
		{P("'dns':@[]"), "dns", "an object is wanted", "{"},
		{P("'dns':{'resolvers':[@'10.0.0.0/8']}"), "dns.resolvers[0]", "A prefix is not", "address"},
		{P("'dns':{'resolvers':['10.0.0.1',@'dns.example']}"), "dns.resolvers[1]", "is not the address of a resolver",
		 "address"},
		{P("'dns':{'resolvers':[@'10.0.0.1:53']}"), "dns.resolvers[0]", "has a port", "port"},
		{P("'dns':{'resolvers':@[]}"), "dns.resolvers", "empty", "Leave"},
		{P("'dns':{'resolvers':@'10.0.0.1'}"), "dns.resolvers", "a list of addresses", "[\"10.0.0.2\"]"},
		{P("'dns':{'rate':@'60'}"), "dns.rate", "60", "60/min"},
		{P("'dns':{'rate':@60}"), "dns.rate", "a number in a time", "60/min"},
		{P("'dns':{'ask_only':[@'a..b']}"), "dns.ask_only[0]", "empty label", "Write"},
		{P("'dns':{'ask_only':['x',@'*.Corp.example']}"), "dns.ask_only[1]", "no wildcard", "Write \"corp.example\""},
		{P("'dns':{'ask_only':[@1]}"), "dns.ask_only[0]", "a DNS name", "Write"},
		{P("'dns':{'types':[@'SVR']}"), "dns.types[0]", "not known", "SRV"},
		{P("'dns':{'types':['A',@'ANY']}"), "dns.types[1]", "not known", "\"AAAA\""},
		{P("'dns':{'types':@[]}"), "dns.types", "empty", "Leave"},
		{P("'dns':{@'resolver':['10.0.0.1']}"), "dns.resolver", "not a key of \"dns\"", "\"resolvers\"?"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

/* The longest name that the kernel's tables hold has 251 bytes. */
static void test_long_names(void **state)
{
	char text[600], name[300];
	struct eg_policy *policy = NULL;
	DIAGS struct eg_diags diags = {0};

	(void)state;
	for (size_t len = 250; len <= 254; len++) {
		int r;

		for (size_t i = 0; i < len; i++)
			name[i] = i % 50 == 49 && i + 1 < len ? '.' : 'a';
		name[len] = '\0';
		snprintf(text, sizeof(text),
			 "{\"version\":1,\"app\":\"a\",\"expires\":\"2027-01-31T00:00:00Z\","
			 "\"egress\":[{\"to\":[\"%s\"],\"proto\":\"icmp\"}]}", name);
		policy = NULL;
		r = eg_policy_parse("a", text, strlen(text), &policy, &diags);
		assert_int_equal(r, len <= 251 ? 0 : -EINVAL);
		eg_policy_free(policy);
	}
	assert_int_equal(diags.errors, 3);
	assert_string_equal(diags.items[0].path, "egress[0].to[0]");
	assert_non_null(strstr(diags.items[0].message, "more than the 251 bytes"));
}

static void test_alerts(void **state)
{
	static const struct bad bad[] = {
		{P("'alerts':@{}"), "alerts", "a list of alerts", "["},
		{P("'alerts':@[]"), "alerts", "list is empty", "Leave"},
		{P("'alerts':[{'when':'denied','over':@'1/32d','action':'alert'}]"), "alerts[0].over", "out of range", "31d"},
		{P("'alerts':[{'when':@'denid','over':'1/min','action':'alert'}]"), "alerts[0].when", "not known", "\"denied\"?"},
		{P("'alerts':[{'when':'denied','over':@'1MB/min','action':'alert'}]"), "alerts[0].over", "1MB/min", "60/min"},
		{P("'alerts':[{'when':'egress_bytes','over':@'1/fortnight','action':'alert'}]"), "alerts[0].over", "", "100MiB/min"},
		{P("'alerts':[{'when':'denied','over':'1/min','action':@'drop'}]"), "alerts[0].action", "not known", "alert"},
		{P("'alerts':[{'when':'denied','over':'1/min','action':'alert'},@{'when':'denied','action':'alert'}]"),
		 "alerts[1]", "\"over\" is missing", "Add"},
		{P("'alerts':[{'when':'denied','over':@null,'action':'alert'}]"), "alerts[0].over", "null", "Leave"},
	};

	(void)state;
	assert_all(bad, COUNT(bad));
}

/* ---- Many errors, large texts ------------------------------------------------------------------------- */

/* All of them, in the order of the text, whatever the order they were found in. */
static void test_all_errors(void **state)
{
	static const char *const paths[] = {"app", "egress[0].to[1]", "egress[0].to[2]", "egress[0].ports[0]", "egress[2].id",
					    "limits.egress.per", "mode"};
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	unsigned line, column;
	EG_FREE char *text = text_of("{'version':1,'expires':'2027-01-31T00:00:00Z','app':'A',\n'egress':[\n"
				     "{'id':'x','to':['10.0.0.1','10.0.0.1/8','10.0.0.300'],'proto':'tcp','ports':[0]},\n"
				     "{'to':['10.0.0.1'],'proto':'icmp'},\n"
				     "{'id':'x','to':['10.0.0.1'],'proto':'icmp'}],\n"
				     "'limits':{'egress':{'bytes':'1MB','per':'0s'}},'mode':'x'}",
				     &line, &column);

	(void)state;
	assert_int_equal(eg_policy_parse("a", text, strlen(text), &policy, &diags), -EINVAL);
	assert_int_equal(diags.errors, COUNT(paths));
	assert_int_equal(diags.count, COUNT(paths));
	for (size_t i = 0; i < COUNT(paths); i++)
		assert_string_equal(diags.items[i].path, paths[i]);
	assert_int_equal(diags.items[1].line, 3);
	assert_int_equal(diags.items[6].line, 6);
}

/* A list of 200,000 wrong addresses: a hundred are shown, the rest costs nothing. */
static void test_stops(void **state)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	EG_FREE char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	fputs("{\"version\":1,\"app\":\"a\",\"expires\":\"2027-01-31T00:00:00Z\",\"egress\":[{\"proto\":\"icmp\",\"to\":[", f);
	for (int i = 0; i < 200000; i++)
		fputs(i ? ",\n\"10.0.0.300\"" : "\n\"10.0.0.300\"", f);
	fputs("]}]}", f);
	fclose(f);
	assert_int_equal(eg_policy_parse("a", text, len, &policy, &diags), -EINVAL);
	assert_int_equal(diags.count, EG_DIAGS_MAX);
	assert_string_equal(diags.items[99].path, "egress[0].to[99]");
	assert_int_equal(diags.items[99].line, 101);
	assert_int_equal(diags.items[99].column, 1);
}

static void test_too_large(void **state)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	size_t len = 100u << 20;
	EG_FREE char *text = calloc(1, len); /* never touched: its pages are never made */

	(void)state;
	assert_non_null(text);
	assert_int_equal(eg_policy_parse("a", text, len, &policy, &diags), -EINVAL);
	assert_int_equal(diags.errors, 1);
	assert_non_null(strstr(diags.items[0].message, "The text has 100 MiB; the limit is 16 MiB"));
	assert_true(diags.items[0].fix[0]);
}

static void test_too_deep(void **state)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	char text[10000];

	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(eg_policy_parse("a", text, sizeof(text), &policy, &diags), -EINVAL);
	assert_int_equal(diags.errors, 1);
	assert_int_equal(diags.items[0].column, 17);
	assert_non_null(strstr(diags.items[0].message, "nested more than 16 deep"));
}

/* count elements in a list of `one`. */
static void assert_too_many(const char *before, const char *one, size_t count, const char *after, const char *path,
			    const char *words)
{
	DIAGS struct eg_diags diags = {0};
	struct eg_policy *policy = NULL;
	EG_FREE char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fprintf(f, "{\"version\":1,\"app\":\"a\",\"expires\":\"2027-01-31T00:00:00Z\",%s", before);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "%s%s", i ? "," : "", one);
	fputs(after, f);
	fclose(f);
	assert_int_equal(eg_policy_parse("a", text, len, &policy, &diags), -EINVAL);
	assert_int_equal(diags.errors, 1);
	assert_string_equal(diags.items[0].path, path);
	assert_true(diags.items[0].line == 1 && diags.items[0].column > 1 && diags.items[0].fix[0]);
	if (!strstr(diags.items[0].message, words))
		fail_msg("%s", diags.items[0].message);
}

static void test_too_many(void **state)
{
	(void)state;
	assert_too_many("\"cgroups\":[", "\"a\"", 65, "]}", "cgroups", "65 elements; at most 64");
	assert_too_many("\"egress\":[{\"to\":[\"::1\"],\"proto\":\"tcp\",\"ports\":[", "1", 257, "]}]}", "egress[0].ports",
			"at most 256");
	assert_too_many("\"egress\":[{\"to\":[\"::1\"],\"proto\":\"icmp\",\"types\":[", "1", 65, "]}]}", "egress[0].types",
			"at most 64");
	assert_too_many("\"egress\":[{\"proto\":\"icmp\",\"to\":[", "\"::1\"", 1000001, "]}]}", "egress[0].to",
			"at most 1000000");
	assert_too_many("\"egress\":[", "{\"to\":[\"::1\"],\"proto\":\"icmp\"}", 10001, "]}", "egress", "at most 10000");
	assert_too_many("\"ingress\":[{\"from\":[\"::1\"],\"proto\":\"icmp\"}],\"egress\":[",
			"{\"to\":[\"::1\"],\"proto\":\"icmp\"}", 10000, "]}", "ingress", "10001 rules; at most 10000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_newer_version),
		cmocka_unit_test(test_dests),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_rule_keys),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_alerts),
		cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("policy_bad", tests, NULL, NULL);
}

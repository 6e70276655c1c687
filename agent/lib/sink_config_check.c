// SPDX-License-Identifier: Apache-2.0
/*
 * sink_config_check.c - what can be wrong only once a sink is read whole
 */
#include <string.h>
#include <sys/un.h>

#include "sink_config_impl.h"

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *after_scheme(const char *url)
{
	const char *colon = strstr(url, "://");

	return colon ? colon + 3 : url;
}

/* "user:secret@host", which logs and status would show. */
static bool has_userinfo(const char *url)
{
	const char *rest = after_scheme(url), *at = strchr(rest, '@');

	return at && at < rest + strcspn(rest, "/?#");
}

static bool has_host(const char *url)
{
	const char *rest = after_scheme(url);

	return rest != url && rest[0] && rest[strspn(rest, "/:?#")] && !strchr("/:?#", rest[0]) && !strchr(url, ' ');
}

/* None is fine: each way has its own. */
static bool has_good_port(const char *url)
{
	const char *rest = after_scheme(url), *bracket = strchr(rest, ']'), *colon = strrchr(bracket ? bracket : rest, ':');
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;

	return colon ? digits && digits < 6 && !colon[1 + digits] : !strpbrk(rest, "/?#");
}

static int check_http(const struct eg_sink_reader *reader, const char *key, const char *url)
{
	if ((!begins(url, "http://") && !begins(url, "https://")) || !has_host(url))
		return eg_sink_config_complain(reader, key, "must be https://HOST[:PORT][/PATH], or http://...");
	if (has_userinfo(url))
		return eg_sink_config_complain(reader, key, "has a name or a secret before \"@\": use \"username\" and \"password_file\", or \"token_file\"");
	return 0;
}

static int check_syslog(const struct eg_sink_reader *reader, const char *url)
{
	struct sockaddr_un *un = NULL;

	if (begins(url, "unix:/"))
		return strlen(url + 5) < sizeof(un->sun_path)
			       ? 0
			       : eg_sink_config_complain(reader, "url", "has a path that is too long for a socket");
	if ((!begins(url, "udp://") && !begins(url, "tcp://") && !begins(url, "tls://")) || !has_host(url) ||
	    !has_good_port(url))
		return eg_sink_config_complain(reader, "url", "must be unix:/PATH, udp://HOST[:PORT], tcp://HOST[:PORT] or tls://HOST[:PORT]");
	return has_userinfo(url) ? eg_sink_config_complain(reader, "url", "must have nothing before the host") : 0;
}

static int check_place(const struct eg_sink_reader *reader)
{
	const struct eg_sink_config *sink = reader->sink;

	if (sink->type == EG_SINK_FILE)
		return sink->path ? 0 : eg_sink_config_complain(reader, "path", "is required: the file to write");
	if (!sink->url)
		return eg_sink_config_complain(reader, "url", "is required: where to send to");
	return sink->type == EG_SINK_SYSLOG ? check_syslog(reader, sink->url) : check_http(reader, "url", sink->url);
}

static int check_tls(const struct eg_sink_reader *reader)
{
	const struct eg_sink_config *sink = reader->sink;
	bool any = sink->ca_file || sink->cert_file || sink->key_file;

	if (any && !begins(sink->url, "https://") && !begins(sink->url, "tls://"))
		return eg_sink_config_complain(reader, "tls", "is of no use with this url: it must begin with %s",
					sink->type == EG_SINK_SYSLOG ? "tls://" : "https://");
	if (sink->cert_file && !sink->key_file)
		return eg_sink_config_complain(reader, "tls.key", "is required with \"cert\"");
	if (sink->key_file && !sink->cert_file)
		return eg_sink_config_complain(reader, "tls.cert", "is required with \"key\"");
	return 0;
}

static int check_credentials(const struct eg_sink_reader *reader)
{
	const struct eg_sink_config *sink = reader->sink;

	if (sink->type == EG_SINK_HEC && !sink->token_file)
		return eg_sink_config_complain(reader, "token_file", "is required: the file with the collector's token");
	if (sink->username && !sink->password_file)
		return eg_sink_config_complain(reader, "password_file", "is required with \"username\"");
	if (sink->password_file && !sink->username)
		return eg_sink_config_complain(reader, "username", "is required with \"password_file\"");
	if (sink->username && sink->token_file)
		return eg_sink_config_complain(reader, "token_file", "contradicts \"username\": choose one way to say who you are");
	return 0;
}

static int check_events(const struct eg_sink_reader *reader)
{
	const struct eg_sink_config *sink = reader->sink;

	if (sink->hash && !sink->hash_key_file)
		return eg_sink_config_complain(reader, "hash_key_file", "is required with \"hash\": without a key, hashes can be guessed");
	if (sink->hash_key_file && !sink->hash)
		return eg_sink_config_complain(reader, "hash_key_file", "is of no use without \"hash\"");
	for (size_t i = 0; sink->drop && sink->drop[i]; i++) {
		for (size_t j = 0; sink->hash && sink->hash[j]; j++) {
			if (strcmp(sink->drop[i], sink->hash[j]) == 0)
				return eg_sink_config_complain(reader, "hash", "has \"%.64s\", as \"drop\" has", sink->hash[j]);
		}
	}
	return 0;
}

int eg_sink_config_check(const struct eg_sink_reader *reader)
{
	const struct eg_sink_config *sink = reader->sink;
	int r;

	if (!sink->name[0])
		return eg_sink_config_complain(reader, "name", "is required: its place in the log goes by it");
	r = check_place(reader);
	if (!r && sink->proxy && (begins(sink->url, "unix:") || begins(sink->url, "udp:")))
		r = eg_sink_config_complain(reader, "proxy", "is of no use with this url: it carries TCP only");
	if (!r && sink->proxy)
		r = check_http(reader, "proxy", sink->proxy);
	if (!r)
		r = check_tls(reader);
	if (!r)
		r = check_credentials(reader);
	return r ? r : check_events(reader);
}

/* Of numbers, or of the one name that means it: "127.example.org" may be anywhere. */
static bool is_loopback(const char *url)
{
	const char *host = after_scheme(url);
	size_t len = strcspn(host, ":/?#");

	if (begins(host, "[::1]"))
		return true;
	if (len == strlen("localhost") && begins(host, "localhost"))
		return true;
	return begins(host, "127.") && strspn(host, "0123456789.") == len;
}

bool eg_sink_config_exposed(const struct eg_sink_config *sink)
{
	return sink->url && begins(sink->url, "http://") && !is_loopback(sink->url) && (sink->token_file || sink->username);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * http_options.c - what we ask of libcurl for every connection
 */
#include "http_impl.h"

static bool set_tls(CURL *easy, const struct eg_sink_config *config)
{
	bool bad = false;

	EG_HTTP_SET(SSL_VERIFYPEER, 1L);
	EG_HTTP_SET(SSL_VERIFYHOST, 2L);
	EG_HTTP_SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	EG_HTTP_SET(PROXY_SSL_VERIFYPEER, 1L);
	EG_HTTP_SET(PROXY_SSL_VERIFYHOST, 2L);
	EG_HTTP_SET(PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (config->ca_file) {
		EG_HTTP_SET(CAINFO, config->ca_file);
		EG_HTTP_SET(PROXY_CAINFO, config->ca_file);
		EG_HTTP_SET(CAPATH, NULL); /* libcurl's default would trust the host's authorities as well */
		EG_HTTP_SET(PROXY_CAPATH, NULL);
	}
	EG_HTTP_SET(KEYPASSWD, ""); /* of a key that has a password, OpenSSL would ask the terminal */
	if (config->cert_file) {
		EG_HTTP_SET(SSLCERT, config->cert_file);
		EG_HTTP_SET(SSLKEY, config->key_file);
	}
	return !bad;
}

bool eg_http_options_set(const struct eg_sink_config *config, CURL *easy)
{
	bool bad = false;

	EG_HTTP_SET(NOSIGNAL, 1L);
	EG_HTTP_SET(QUICK_EXIT, 1L); /* a look-up that hangs is left to itself, rather than waited for */
	EG_HTTP_SET(PROTOCOLS_STR, "http,https");
	EG_HTTP_SET(FOLLOWLOCATION, 0L);
	EG_HTTP_SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	EG_HTTP_SET(NETRC, (long)CURL_NETRC_IGNORED);
	EG_HTTP_SET(PROXY, config->proxy ? config->proxy : ""); /* "" and not NULL: the environment is not asked */
	EG_HTTP_SET(NOPROXY, "");
	EG_HTTP_SET(SUPPRESS_CONNECT_HEADERS, 1L);
	EG_HTTP_SET(HEADEROPT, (long)CURLHEADER_SEPARATE); /* the token is not for the proxy */
	EG_HTTP_SET(TCP_KEEPALIVE, 1L);
	EG_HTTP_SET(USERAGENT, "egret-ship/" EG_VERSION);
	return !bad && set_tls(easy, config);
}

// SPDX-License-Identifier: Apache-2.0
#include "curl_options.h"

static bool set_tls(CURL *easy, const struct eg_sink_config *config)
{
	bool bad = false;

	EG_CURL_SET(SSL_VERIFYPEER, 1L);
	EG_CURL_SET(SSL_VERIFYHOST, 2L);
	EG_CURL_SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	EG_CURL_SET(PROXY_SSL_VERIFYPEER, 1L);
	EG_CURL_SET(PROXY_SSL_VERIFYHOST, 2L);
	EG_CURL_SET(PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (config->ca_file) {
		EG_CURL_SET(CAINFO, config->ca_file);
		EG_CURL_SET(PROXY_CAINFO, config->ca_file);
		EG_CURL_SET(CAPATH, NULL); /* libcurl's default would trust the host's authorities as well */
		EG_CURL_SET(PROXY_CAPATH, NULL);
	}
	EG_CURL_SET(CA_CACHE_TIMEOUT, 0L); /* a store that libcurl kept would not know files that have changed since */
	EG_CURL_SET(KEYPASSWD, ""); /* of a key that has a password, OpenSSL would ask the terminal */
	if (config->cert_file) {
		EG_CURL_SET(SSLCERT, config->cert_file);
		EG_CURL_SET(SSLKEY, config->key_file);
	}
	return !bad;
}

bool eg_curl_options_set(const struct eg_sink_config *config, CURL *easy)
{
	bool bad = false;

	EG_CURL_SET(NOSIGNAL, 1L);
	EG_CURL_SET(QUICK_EXIT, 1L); /* a look-up that hangs is left to itself, rather than waited for */
	EG_CURL_SET(PROXY, config->proxy ? config->proxy : ""); /* "" and not NULL: the environment is not asked */
	EG_CURL_SET(NOPROXY, "");
	EG_CURL_SET(TCP_KEEPALIVE, 1L);
	return !bad && set_tls(easy, config);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_config.h - the control plane: "control" of the configuration
 *
 * egretd reads it to refuse what is wrong before it starts anything, and for what the control plane may
 * own; egret-sync and `egret fleet` read the same text and act on it. Secrets are never in it: files
 * are named.
 */
#ifndef EG_LIB_CONTROL_CONFIG_H
#define EG_LIB_CONTROL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define EG_CONTROL_ENDPOINTS_MAX 16
#define EG_CONTROL_KEYS_MAX 16
#define EG_CONTROL_GLOBS_MAX 64

enum eg_control_source { EG_CONTROL_ETCD, EG_CONTROL_HTTPS };

/* Strings are owned; NULL where it was not given and has no default. Lists end with NULL, and are never NULL. */
struct eg_control_config {
	enum eg_control_source source;
	char **endpoints; /* etcd: http(s)://host:port, at least one; https: one URL of the bundle */
	char *prefix;	  /* etcd: begins and ends with '/'; default "/egret/" */
	char *username;	  /* with password_file */
	char *password_file;
	char *token_file; /* https: a bearer token */
	char *state_url;  /* https: of the bundle's server, without a slash at its end; NULL: no state is sent */
	char *ca_file;	  /* "tls": {"ca", "cert", "key"}; NULL: the host's */
	char *cert_file;
	char *key_file;
	char **keys;	   /* files of Ed25519 public keys, PEM; none: signatures are not asked for */
	char **apps;	   /* globs of apps that it may own the policies of; none: all */
	char **cgroups;	   /* each cgroup pattern of its policies is one of these, or below it; none: all */
	char *user;	   /* whom egret-sync runs as; default "egret-sync" */
	uint64_t wait_ns;  /* https: of a long poll, 1 s .. 10 min, default 60 s */
	uint64_t lease_ns; /* how long a state holds, 5 s .. 1 h, default 60 s */
	json_t *json;	   /* as it was read */
};

/*
 * value: what is under "control". 0, or -EINVAL with *err filled (code "bad_config"; the sentence names
 * the file `place` and the key, such as control.tls.ca), or -ENOMEM. Files that are named are not opened.
 */
int eg_control_config_parse(const char *place, const json_t *value, struct eg_control_config **ret,
			    struct eg_error *err);
void eg_control_config_free(struct eg_control_config *control);

/* "etcd", "https" */
const char *eg_control_source_name(enum eg_control_source source);
/* Whether the app's policy may be the control plane's. */
bool eg_control_owns_app(const struct eg_control_config *control, const char *app);
/* Whether its policies may have this pattern in "cgroups". */
bool eg_control_owns_cgroup(const struct eg_control_config *control, const char *pattern);

#endif

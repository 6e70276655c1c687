// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/slurp.h"
#include "config_impl.h"

#define NS_PER_S   1000000000ull
#define NS_PER_DAY (86400 * NS_PER_S)

int eg_config_complain(const struct eg_config_reader *reader, const char *key, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (reader->flag)
		return eg_error_set(reader->err, 400, "bad_usage", "%s %s", reader->place, text);
	return eg_error_set(reader->err, 400, "bad_config", "%s: \"%s%s\" %s", reader->place, reader->section, key,
			    text);
}

/* ---- Defaults -------------------------------------------------------------------------------- */

static char *host_name(void)
{
	char name[HOST_NAME_MAX + 1];

	if (gethostname(name, sizeof(name)) || !name[0])
		strcpy(name, "localhost");
	name[sizeof(name) - 1] = '\0';
	return strdup(name);
}

static void set_numbers(struct eg_config *config)
{
	config->unknown = EG_UNKNOWN_DENY;
	config->max_apps = 1023; /* with slot 0 1,024: the largest tables are rounded up to a power of two */
	config->max_rules = 65536;
	config->max_names = 65536;
	config->max_lifetime_ns = 90 * NS_PER_DAY;
	config->snapshot_quota_bytes = 256ull << 20;
	config->event_quota_bytes = 1ull << 30;
	config->event_segment_bytes = 64ull << 20;
	config->event_ns = NS_PER_S / 1000;
	config->event_burst_ns = 2000 * config->event_ns;
	config->ring_bytes = 16u << 20;
	config->priority_ring_bytes = 4u << 20;
	config->sockets_max = 65536;
	config->peers_max = 1024;
	config->grants_max = 512;
	config->grant_floor_ns = 300 * NS_PER_S;
	config->grant_ceiling_ns = NS_PER_DAY;
	config->flow_update_ns = 60 * NS_PER_S;
	config->udp_idle_ns = 120 * NS_PER_S;
	config->log_level = EG_LOG_INFO;
}

int eg_config_new(struct eg_config **ret)
{
	EG_CLEANUP(eg_cleanup_config) struct eg_config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	set_numbers(config);
	config->host = host_name();
	config->policy_dir = strdup("/etc/egret/policies");
	config->socket = strdup("/run/egret/egret.sock");
	config->bpffs = strdup("/sys/fs/bpf/egret");
	config->state_dir = strdup("/var/lib/egret");
	config->log_dir = strdup("/var/log/egret");
	config->resolv_conf = strdup("/etc/resolv.conf");
	config->helper_user = strdup("nobody");
	config->ship_user = strdup("egret");
	config->host_labels = json_object();
	config->sinks = json_array();
	config->routes = json_array();
	if (!config->host || !config->policy_dir || !config->socket || !config->bpffs || !config->state_dir ||
	    !config->log_dir || !config->resolv_conf || !config->helper_user || !config->ship_user || !config->host_labels ||
	    !config->sinks || !config->routes)
		return -ENOMEM;
	if (eg_config_append_root(config, "microapps.slice"))
		return -ENOMEM;
	config->roots[0].create = true;
	*ret = EG_TAKE_PTR(config);
	return 0;
}

void eg_config_free(struct eg_config *config)
{
	if (!config)
		return;
	eg_config_clear_roots(config);
	eg_config_free_alerts(config);
	eg_guardrails_free(config->guardrails);
	eg_networks_free(config->networks);
	free(config->host);
	free(config->policy_dir);
	free(config->socket);
	free(config->bpffs);
	free(config->state_dir);
	free(config->log_dir);
	free(config->resolv_conf);
	free(config->helper_user);
	free(config->ship_user);
	free(config->metrics_listen);
	free(config->metrics_token_file);
	free(config->group_admin);
	free(config->group_responder);
	free(config->group_viewer);
	json_decref(config->host_labels);
	eg_control_config_free(config->control);
	json_decref(config->sinks);
	json_decref(config->routes);
	free(config);
}

/* ---- Roots ------------------------------------------------------------------------------------ */

void eg_config_clear_roots(struct eg_config *config)
{
	for (size_t i = 0; i < config->root_count; i++)
		free(config->roots[i].path);
	free(config->roots);
	config->roots = NULL;
	config->root_count = 0;
}

/* Every part a name: nothing empty, no "." or "..". */
static bool path_is_plain(const char *path)
{
	if (*path == '/')
		path++;
	for (;;) {
		size_t part = strcspn(path, "/");

		if (!part || (part == 1 && path[0] == '.') || (part == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (!path[part])
			return true;
		path += part + 1;
	}
}

int eg_config_append_root(struct eg_config *config, const char *path)
{
	struct eg_config_root *more = reallocarray(config->roots, config->root_count + 1, sizeof(*more));
	EG_FREE char *copy = NULL;
	size_t len = strlen(path);

	if (!more)
		return -ENOMEM;
	config->roots = more;
	while (len > 1 && path[len - 1] == '/')
		len--;
	copy = strndup(path, len);
	if (!copy)
		return -ENOMEM;
	if (len >= PATH_MAX || !path_is_plain(copy))
		return -EINVAL;
	more[config->root_count++] = (struct eg_config_root){.path = EG_TAKE_PTR(copy), .unknown = config->unknown};
	return 0;
}

int eg_config_add_root(struct eg_config *config, const char *flag, const char *path, struct eg_error *err)
{
	const struct eg_config_reader reader = {.config = config, .place = flag, .flag = true, .err = err};
	int r = eg_config_append_root(config, path);

	return r == -EINVAL ? eg_config_complain(&reader, "", EG_CONFIG_ROOT_WANTED) : r;
}

/* ---- Checks of the whole ------------------------------------------------------------------------ */

/* Whether inner is outer or lies below it. */
static bool path_holds(const char *outer, const char *inner)
{
	size_t len = strlen(outer);

	return !strncmp(outer, inner, len) && (!inner[len] || inner[len] == '/');
}

static int check_roots(const struct eg_config *config, struct eg_error *err)
{
	if (config->root_count > EG_CONFIG_ROOTS_MAX)
		return eg_error_set(err, 400, "bad_config", "There are %zu managed roots (cgroup_root); give at most %d",
				    config->root_count, EG_CONFIG_ROOTS_MAX);
	for (size_t i = 0; i < config->root_count; i++) {
		for (size_t j = 0; j < config->root_count; j++) {
			if (i == j || !path_holds(config->roots[i].path, config->roots[j].path))
				continue;
			return eg_error_set(err, 400, "bad_config",
					    "The managed root \"%s\" lies within \"%s\" (cgroup_root); leave one of them out",
					    config->roots[j].path, config->roots[i].path);
		}
	}
	return 0;
}

/* Both are tested by their names. */
static int check_routes(const struct eg_config *config, struct eg_error *err)
{
	const json_t *sink, *route;
	size_t i, j;

	json_array_foreach(config->routes, i, route) {
		const char *name = json_string_value(json_object_get(route, "name"));

		json_array_foreach(config->sinks, j, sink) {
			if (strcmp(name, json_string_value(json_object_get(sink, "name"))) == 0)
				return eg_error_set(err, 400, "bad_config",
						    "\"routes[%zu].name\" is \"%s\", as that of sinks[%zu]; choose another", i, name, j);
		}
	}
	return 0;
}

/* An alert on a network that there is not would never come. */
static int check_networks(const struct eg_config *config, struct eg_error *err)
{
	for (size_t i = 0; i < config->alert_count; i++) {
		const struct eg_alert *alert = &config->alerts[i].alert;

		if (alert->when == EG_ALERT_NETWORK && !eg_networks_has(config->networks, alert->network, alert->region))
			return eg_error_set(err, 400, "bad_config", "\"alerts[%zu]\" is about \"%s\", which is not among \"networks\"", i,
					    alert->network[0] ? alert->network : alert->region);
	}
	return 0;
}

int eg_config_check(const struct eg_config *config, struct eg_error *err)
{
	const struct sockaddr_un *sun = NULL;
	int r = check_routes(config, err);

	if (r)
		return r;
	if (strlen(config->socket) >= sizeof(sun->sun_path))
		return eg_error_set(err, 400, "bad_config", "The path of the socket \"%s\" is too long; give at most %zu bytes",
				    config->socket, sizeof(sun->sun_path) - 1);
	if (config->metrics_listen && !config->metrics_token_file)
		return eg_error_set(err, 400, "bad_config",
				    "\"metrics_listen\" is given without \"metrics_token_file\"; name a file with a token of 16 "
				    "to 1024 characters, since metrics show the apps' names");
	if (config->metrics_token_file && !config->metrics_listen)
		return eg_error_set(err, 400, "bad_config",
				    "\"metrics_token_file\" is given without \"metrics_listen\"; give both or none");
	r = check_networks(config, err);
	return r ? r : check_roots(config, err);
}

/* ---- The file -------------------------------------------------------------------------------------- */

int eg_config_parse(const char *file, const char *text, size_t len, struct eg_config **ret, struct eg_error *err)
{
	EG_CLEANUP(eg_cleanup_config) struct eg_config *config = NULL;
	struct eg_config_reader reader = {.place = file, .section = "", .err = err};
	json_error_t bad;
	json_t *root;
	int r = eg_config_new(&config);

	if (r)
		return r;
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
	if (!root)
		return eg_error_set(err, 400, "bad_config", "%s:%d:%d: %s; write one JSON object", file,
				    bad.line > 0 ? bad.line : 1, bad.column > 0 ? bad.column : 1, bad.text);
	reader.config = config;
	r = eg_config_read_root(&reader, root);
	json_decref(root);
	if (r)
		return r;
	*ret = EG_TAKE_PTR(config);
	return 0;
}

/* Reads at most EG_CONFIG_BYTES_MAX and one byte more. */
static int read_file(const char *file, char **ret, size_t *ret_len)
{
	const size_t room = EG_CONFIG_BYTES_MAX + 1;
	EG_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	EG_FREE char *text = NULL;
	struct stat st;
	ssize_t len;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	len = eg_read_up_to(fd, text, room);
	if (len < 0)
		return (int)len;
	*ret = EG_TAKE_PTR(text);
	*ret_len = (size_t)len;
	return 0;
}

int eg_config_load(const char *file, bool may_lack, struct eg_config **ret, struct eg_error *err)
{
	EG_FREE char *text = NULL;
	size_t len = 0;
	int r = read_file(file, &text, &len);

	if (r == -ENOENT && may_lack)
		return eg_config_new(ret);
	if (r) {
		eg_error_set(err, 400, "no_config", "%s can't be read (%s); name another file with --config", file,
			     r == -EMEDIUMTYPE ? "not a regular file" : strerror(-r));
		return r;
	}
	if (len > EG_CONFIG_BYTES_MAX)
		return eg_error_set(err, 400, "bad_config", "%s is larger than %u bytes; this is not a configuration", file,
				    EG_CONFIG_BYTES_MAX);
	return eg_config_parse(file, text, len, ret, err);
}

int eg_config_set(struct eg_config *config, const char *flag, const char *key, const char *text,
		  struct eg_error *err)
{
	const struct eg_config_reader reader = {
		.config = config,
		.place = flag,
		.flag = true,
		.section = "",
		.err = err,
	};
	const struct eg_config_key *known = eg_config_key_find(key);
	json_t *value;
	int r;

	if (!known)
		return eg_error_set(err, 400, "bad_usage", "%s sets \"%s\", which is no key", flag, key);
	value = known->read == eg_config_read_u32 && text[0] && strlen(text) < 18 && !text[strspn(text, "0123456789")]
			? json_integer(atoll(text))
			: json_string(text);
	if (!value)
		return eg_error_set(err, 400, "bad_usage", "%s is not UTF-8", flag);
	r = known->read(&reader, known, value);
	json_decref(value);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_impl.h - what the files of the API share; api.h is for everybody else
 */
#ifndef EG_CORE_API_IMPL_H
#define EG_CORE_API_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <sys/types.h>

#include <egret/abi.h>

#include "api.h"

#define EG_API_HEAD_MAX   16384u /* request line and headers */
#define EG_API_BODY_MAX   65536u /* of everything but policies */
#define EG_API_CONNS_MAX  64u /* requests on the Unix socket at once ... */
#define EG_API_CONNS_ROOT 8u /* ... of which these are kept for root ... */
#define EG_API_CONNS_UID  16u /* ... and any other uid gets at most these */
#define EG_API_CONNS_TCP  8u /* on the metrics port, apart from the above */
#define EG_API_CONNS_DOOR 8u /* of the child with the door, apart as well */
#define EG_API_LINGER_MAX 24u /* refused, and now reading their refusal */
#define EG_API_SLOTS      (EG_API_CONNS_MAX + EG_API_CONNS_TCP + EG_API_CONNS_DOOR + EG_API_LINGER_MAX)
#define EG_API_FOLLOW_MAX 32u
#define EG_API_TOKEN_MAX  1024u

#define EG_API_NEVER UINT64_MAX

/* The way of a connection; HEAD and LINGER are the gate's, the rest the HTTP library's. */
enum eg_api_phase {
	EG_API_FREE, /* the slot holds no connection */
	EG_API_HEAD, /* until the request's head is whole */
	EG_API_PASSED, /* given to the library, which has not taken it yet */
	EG_API_BODY, /* the library's; the body is on its way */
	EG_API_WORK, /* the request is whole and worked on: no deadline */
	EG_API_REPLY, /* the answer goes out */
	EG_API_LINGER, /* refused: what the client still sends is thrown away, so that it reads the refusal */
};

/* How a connection came. */
enum eg_api_way { EG_API_BY_UNIX, EG_API_BY_TCP, EG_API_BY_DOOR };

/* Guarded by eg_api.lock. fd is closed by who has the connection in this phase. */
struct eg_api_conn {
	enum eg_api_phase phase;
	int fd;
	enum eg_api_way way;
	struct eg_actor actor;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC, or EG_API_NEVER */
	size_t thrown; /* LINGER: bytes thrown away */
};

struct eg_api {
	struct eg_agent *agent;
	struct eg_events *events;
	const struct eg_api_ops *ops;
	uint64_t request_ns;
	uint64_t reply_ns;

	char *socket;
	dev_t socket_dev; /* of the file that is ours */
	ino_t socket_ino;
	int unix_fd;
	int tcp_fd; /* -1: no metrics port */
	int epoll_fd;
	int stop_fd; /* eventfd, readable for ever once the API stops */
	uint64_t accept_ns; /* the gate's: no accept before, after one failed */
	struct MHD_Daemon *http;
	pthread_t gate;
	bool gate_runs;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t idle; /* a connection went away */
	struct eg_api_conn conns[EG_API_SLOTS];
	unsigned followers;
	int door_fd; /* -1: no child has one */
	struct eg_actor door_actor;
	gid_t groups[EG_ROLE_ADMIN + 1]; /* by role; (gid_t)-1: nobody */
	char token[EG_API_TOKEN_MAX + 1];
};

uint64_t eg_api_now_ns(void);

/* ---- api_listen.c: sockets that listen ------------------------------------------------ */

/* Sets socket, unix_fd and which file is ours. */
int eg_api_listen_unix(struct eg_api *api, const char *path, struct eg_error *err);
/* Removes the socket's file if it is still ours. */
void eg_api_unlisten_unix(struct eg_api *api);
/* api_access.c: lets root and these groups connect to the socket's file, nobody else. 0 or -errno. */
int eg_api_access(const char *path, const gid_t groups[EG_ROLE_ADMIN + 1]);
int eg_api_listen_tcp(const char *listen, int *ret_fd, struct eg_error *err);

/* ---- api_peer.c: who calls -------------------------------------------------------------- */

/* Group ids by role; a name that isn't known gives (gid_t)-1 and a line in the log. */
void eg_api_groups_resolve(const struct eg_api_groups *groups, gid_t ret[EG_ROLE_ADMIN + 1]);
/* Of a connected Unix socket. -errno: can't be known. */
int eg_api_peer(int fd, const gid_t groups[EG_ROLE_ADMIN + 1], struct eg_actor *ret);
/* One line of visible characters, 16 to EG_API_TOKEN_MAX. */
int eg_api_token_read(const char *file, char ret[EG_API_TOKEN_MAX + 1], struct eg_error *err);
/* Whether header is "Bearer TOKEN"; takes as long for any wrong one of that length. */
bool eg_api_token_matches(const char *header, const char *token);

/* ---- api_head.c: a request's head, before the HTTP library sees it -------------------------- */

enum eg_api_head { EG_API_HEAD_MORE, EG_API_HEAD_WHOLE, EG_API_HEAD_BAD };

/* Judges the first bytes of a connection; ended: no more will come. BAD fills *err. */
enum eg_api_head eg_api_head_check(const char *bytes, size_t len, bool ended, struct eg_error *err);

/* ---- api_gate.c: who gets in, and for how long ----------------------------------------------- */

/* The gate's thread; arg is the struct eg_api. Returns once stop_fd is readable. */
void *eg_api_gate(void *arg);
/* A message of the door: the stream socket that it brought, -EAGAIN: none, -EPROTO: something else, -EPIPE: shut. */
int eg_api_door_take(int door);
/* Sends a whole refusal as bytes, for where the HTTP library can't be asked. Never blocks. */
void eg_api_refuse_raw(int fd, const struct eg_error *err);

/* ---- api_reply.c: answers ------------------------------------------------------------------- */

/* {"error":{...}} of *err, whatever bytes its message has; NULL without memory. */
char *eg_api_error_text(const struct eg_error *err);

struct eg_api_stream;

/* What a route's handler answers with; exactly one of json, text and stream. */
struct eg_api_reply {
	json_t *json;
	char *text; /* Prometheus text */
	struct eg_api_stream *stream; /* events */
	char etag[160]; /* without its quotes, or "" */
	char allow[64]; /* of a 405 */
};

void eg_api_reply_clear(struct eg_api_reply *reply);

struct eg_api_request;
/* Takes what reply holds; r < 0: answers with rq->err instead. */
enum MHD_Result eg_api_reply_queue(struct eg_api_request *rq, int r, struct eg_api_reply *reply);

/* ---- api_http.c: the HTTP library ------------------------------------------------------------- */

struct eg_api_route;

struct eg_api_request {
	struct eg_api *api;
	struct eg_api_conn *conn;
	struct MHD_Connection *http;
	struct eg_actor actor;
	const struct eg_api_route *route;
	char app[EG_APP_NAME_LEN]; /* from the path, or "" */
	char *body; /* ends in a NUL that isn't counted */
	size_t body_len;
	size_t body_size; /* as announced; 0: what comes is thrown away */
	struct eg_api_reply refusal; /* with err: headers for it */
	struct eg_error err;
};

int eg_api_http_start(struct eg_api *api);
/* Moves the connection on; used by handlers that stream. */
void eg_api_conn_set(struct eg_api *api, struct eg_api_conn *conn, enum eg_api_phase phase, uint64_t deadline_ns);

/* ---- api_route.c: which handler, and whether for this caller ------------------------------------ */

/* A key of a request's body and its type: 's'tring, 'b'oolean, 'i'nteger of at least 0. */
struct eg_api_key {
	const char *name;
	char type;
};

struct eg_api_route {
	const char *method;
	const char *pattern; /* "{app}" stands for one part of the path */
	enum eg_role role; /* at least */
	int (*handle)(struct eg_api_request *rq, struct eg_api_reply *reply);
	const char *query; /* "app,last": the parameters that it takes; NULL: none */
	size_t body_max;
};

/* Sets rq->route and rq->app and checks caller and query. -EINVAL with rq->err. */
int eg_api_route_find(struct eg_api_request *rq, const char *method, const char *path);
/* Urgent until the word is stored (urgent.h). */
bool eg_api_route_kills(const struct eg_api_route *route);

/* ---- api_params.c: what was asked ---------------------------------------------------------------- */

/* Each parameter is in the list, once, with a value of valid UTF-8. */
int eg_api_query_check(struct eg_api_request *rq, const char *list);
/* The value, or NULL. */
const char *eg_api_query(const struct eg_api_request *rq, const char *name);
/* A missing parameter leaves *ret alone. */
int eg_api_query_bool(struct eg_api_request *rq, const char *name, bool *ret);
int eg_api_query_span(struct eg_api_request *rq, const char *name, uint64_t *ret_ns);
int eg_api_query_number(struct eg_api_request *rq, const char *name, uint64_t *ret);
/* NULL, or an app's name; else 400 bad_name. */
int eg_api_query_app(struct eg_api_request *rq, const char **ret);
int eg_api_name_check(struct eg_api_request *rq, const char *name);
/* The body as an object with none but these keys (a list that ends with a name of NULL); no body is {}. */
int eg_api_body(struct eg_api_request *rq, const struct eg_api_key *keys, json_t **ret);

/* ---- api_get.c, api_post.c, api_policy.c, api_events.c: handlers ----------------------------------- */

int eg_api_get_status(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_apps(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_app(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_explain(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_denied(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_usage(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_sinks(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_metrics(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_events(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_policy(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_put_policy(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_delete_policy(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_check(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_get_history(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_rollback(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_renew(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_plan(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_kill(struct eg_api_request *rq, struct eg_api_reply *reply); /* of an app, or of many */
int eg_api_post_restore(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_snapshot(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_override(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_relax(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_tags(struct eg_api_request *rq, struct eg_api_reply *reply);
/* api_control.c */
int eg_api_get_control(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_put_control(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_control_kill(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_control_restore(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_control_report(struct eg_api_request *rq, struct eg_api_reply *reply);
int eg_api_post_sink_test(struct eg_api_request *rq, struct eg_api_reply *reply);

/* Takes the stream, also on failure (NULL). */
struct MHD_Response *eg_api_stream_response(struct eg_api_stream *stream);
void eg_api_stream_free(struct eg_api_stream *stream);

/* The functions of agent.h. */
extern const struct eg_api_ops eg_api_ops_agent;

#endif

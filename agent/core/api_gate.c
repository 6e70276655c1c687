// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * One thread, the gate, accepts every connection and decides at once, from the peer's
 * credentials, whether it gets in: not without a role (403), not over its share (503). Root
 * always has places of its own, so nobody's connections keep root's kill out. Those let in wait
 * here until their head is whole: it is peeked at, judged (api_head.c), and only then the socket
 * goes to the HTTP library, which reads it from its beginning in a thread of that connection.
 * A connection carries one request; the answer says "Connection: close".
 *
 * Deadlines are all kept here as well, because the library's are about idleness: a client that
 * sends a byte every nine seconds is never idle. A request that isn't whole in time gets a 408;
 * an answer not taken in time is cut off by shutdown(2), upon which the library's thread ends.
 *
 * A refusal is followed by shutdown of our side, and what the client still sends is read and
 * thrown away for a while: closing a socket with unread bytes makes its peer's next read fail
 * with ECONNRESET, and many clients then never show the answer that they were sent.
 *
 * A child of the agent's may have a door instead: what comes by it is known to come from that child,
 * since nobody else has the other end. Its connections have places of their own.
 *
 * Nothing here blocks: slots are few (EG_API_SLOTS), sends and reads don't wait, and the lock is
 * never held across anything that does.
 */
#include "api_impl.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define LINGER_NS     2000000000u
#define LINGER_BYTES  (1u << 20)
#define RETRY_NS      100000000u /* after an accept that failed for want of descriptors or memory */
#define ACCEPT_AT_ONCE 32
#define EVENTS_AT_ONCE 32

/* Numbers of slots come first. */
enum { ON_UNIX = EG_API_SLOTS, ON_TCP, ON_DOOR, ON_STOP };

uint64_t eg_api_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void eg_api_refuse_raw(int fd, const struct eg_error *err)
{
	EG_FREE char *body = eg_api_error_text(err);
	EG_FREE char *text = NULL;
	int len;

	len = asprintf(&text,
		       "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		       "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n%s",
		       err->status, MHD_get_reason_phrase_for((unsigned)err->status), body ? strlen(body) : 0,
		       err->status == 503 ? "Retry-After: 1\r\n" : "", body ? body : "");
	if (len < 0) {
		text = NULL;
		return;
	}
	/* A fresh socket has room for it; who gets none has not read what it was sent before. */
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void close_conn(struct eg_api_conn *conn)
{
	close(conn->fd);
	*conn = (struct eg_api_conn){.fd = -1};
}

/* Throws away what came. The caller holds the lock. */
static void linger(struct eg_api_conn *conn)
{
	char scratch[16384];
	ssize_t n;

	while ((n = recv(conn->fd, scratch, sizeof(scratch), MSG_DONTWAIT)) > 0) {
		conn->thrown += (size_t)n;
		if (conn->thrown > LINGER_BYTES)
			break;
	}
	if (n >= 0 || errno != EAGAIN)
		close_conn(conn);
}

/* The caller holds the lock, and the gate has the connection. */
static void refuse(struct eg_api_conn *conn, const struct eg_error *err)
{
	eg_api_refuse_raw(conn->fd, err);
	shutdown(conn->fd, SHUT_WR);
	conn->phase = EG_API_LINGER;
	conn->deadline_ns = eg_api_now_ns() + LINGER_NS;
	linger(conn);
}

/* Whether there is a place for the newcomer. The caller holds the lock. */
static bool has_place(const struct eg_api *api, const struct eg_api_conn *newcomer)
{
	unsigned all = 0, same_way = 0, same_uid = 0;

	for (size_t i = 0; i < EG_API_SLOTS; i++) {
		const struct eg_api_conn *conn = &api->conns[i];

		if (conn->phase == EG_API_FREE || conn->phase == EG_API_LINGER)
			continue;
		same_way += conn->way == newcomer->way;
		all += conn->way == EG_API_BY_UNIX;
		same_uid += conn->way == EG_API_BY_UNIX && conn->actor.uid == newcomer->actor.uid;
	}
	if (newcomer->way == EG_API_BY_TCP)
		return same_way < EG_API_CONNS_TCP;
	if (newcomer->way == EG_API_BY_DOOR)
		return same_way < EG_API_CONNS_DOOR;
	if (newcomer->actor.uid == 0)
		return all < EG_API_CONNS_MAX;
	return all < EG_API_CONNS_MAX - EG_API_CONNS_ROOT && same_uid < EG_API_CONNS_UID;
}

/* A slot for a connection that is let in, or refused and lingers; NULL: none. */
static struct eg_api_conn *find_slot(struct eg_api *api, bool lingers)
{
	struct eg_api_conn *found = NULL;
	unsigned lingering = 0;

	for (size_t i = 0; i < EG_API_SLOTS; i++) {
		lingering += api->conns[i].phase == EG_API_LINGER;
		if (!found && api->conns[i].phase == EG_API_FREE)
			found = &api->conns[i];
	}
	return lingers && lingering >= EG_API_LINGER_MAX ? NULL : found;
}

/* Finds out who it is; 0, or -errno with what to answer. */
static int admit(const struct eg_api *api, struct eg_api_conn *newcomer, struct eg_error *err)
{
	int r = 0;

	if (newcomer->way == EG_API_BY_DOOR)
		newcomer->actor = api->door_actor;
	else if (newcomer->way == EG_API_BY_TCP) /* its role is its token's, and is only for /metrics */
		newcomer->actor = (struct eg_actor){.role = EG_ROLE_VIEWER, .uid = (uid_t)-1, .via = "metrics"};
	else
		r = eg_api_peer(newcomer->fd, api->groups, &newcomer->actor);
	if (r < 0)
		return eg_error_set(err, 500, "internal", "Your credentials can't be read: %s.", strerror(-r));
	if (newcomer->actor.role == EG_ROLE_NONE)
		return eg_error_set(err, 403, "forbidden",
				    "User %u has no role here: only root and the groups for admin, responder and viewer have.",
				    newcomer->actor.uid);
	if (!has_place(api, newcomer))
		return eg_error_set(err, 503, "busy", "Too many connections are open; close some, or try again.");
	return 0;
}

/* Whose descriptor has the number of a new one was closed by the library, which had no memory to take it. */
static void forget(struct eg_api *api, int fd)
{
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		if (api->conns[i].phase == EG_API_PASSED && api->conns[i].fd == fd)
			api->conns[i] = (struct eg_api_conn){.fd = -1};
}

static void welcome(struct eg_api *api, int fd, enum eg_api_way way)
{
	struct eg_api_conn newcomer = {.phase = EG_API_HEAD, .fd = fd, .way = way}, *conn;
	struct eg_error err = {0};
	struct epoll_event event;
	int r;

	forget(api, fd);
	newcomer.deadline_ns = eg_api_now_ns() + api->request_ns;
	r = admit(api, &newcomer, &err);
	conn = find_slot(api, r < 0);
	if (!conn) {
		if (r < 0)
			eg_api_refuse_raw(fd, &err);
		close(fd);
		eg_error_clear(&err);
		return;
	}
	*conn = newcomer;
	/* Edge-triggered: bytes that are only peeked at would be reported again and again. */
	event = (struct epoll_event){.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = (uint32_t)(conn - api->conns)};
	if (epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		close_conn(conn);
	else if (r < 0)
		refuse(conn, &err);
	eg_error_clear(&err);
}

static void accept_some(struct eg_api *api, enum eg_api_way way)
{
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(way == EG_API_BY_TCP ? api->tcp_fd : api->unix_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
				api->accept_ns = eg_api_now_ns() + RETRY_NS;
			return;
		}
		pthread_mutex_lock(&api->lock);
		welcome(api, fd, way);
		pthread_mutex_unlock(&api->lock);
	}
}

/* What the child with the door sent. A child that sends anything else is out. */
static void take_from_door(struct eg_api *api)
{
	pthread_mutex_lock(&api->lock);
	for (int i = 0; i < ACCEPT_AT_ONCE && api->door_fd >= 0; i++) {
		int fd = eg_api_door_take(api->door_fd);

		if (fd == -EAGAIN)
			break;
		if (fd < 0)
			close(EG_TAKE_FD(api->door_fd));
		else
			welcome(api, fd, EG_API_BY_DOOR);
	}
	pthread_mutex_unlock(&api->lock);
}

int eg_api_door(struct eg_api *api, int fd, const struct eg_actor *actor)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = ON_DOOR};
	EG_CLOSE int before = -1, mine = fd;
	int r = 0;

	pthread_mutex_lock(&api->lock);
	before = EG_TAKE_FD(api->door_fd);
	if (epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		r = -errno;
	} else {
		api->door_fd = EG_TAKE_FD(mine);
		api->door_actor = *actor;
	}
	pthread_mutex_unlock(&api->lock);
	return r;
}

/* The head is good: from here the HTTP library owns the socket. Drops the lock for a moment. */
static void hand_over(struct eg_api *api, struct eg_api_conn *conn)
{
	const struct sockaddr addr = {.sa_family = conn->way == EG_API_BY_TCP ? AF_INET : AF_UNIX};
	int fd = conn->fd;
	bool passed;

	epoll_ctl(api->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	conn->phase = EG_API_PASSED;
	/* Its callbacks take the lock, maybe in this very thread. */
	pthread_mutex_unlock(&api->lock);
	passed = MHD_add_connection(api->http, fd, &addr, sizeof(addr)) == MHD_YES;
	pthread_mutex_lock(&api->lock);
	if (!passed) /* and the library has closed it */
		*conn = (struct eg_api_conn){.fd = -1};
}

/* The caller holds the lock. */
static void look(struct eg_api *api, struct eg_api_conn *conn)
{
	/* Asked before the bytes, so that none can follow; the event's own flags may be of a former connection. */
	struct pollfd state = {.fd = conn->fd, .events = POLLRDHUP};
	bool ended = poll(&state, 1, 0) > 0;
	char bytes[EG_API_HEAD_MAX + 1];
	ssize_t n = recv(conn->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	struct eg_error err = {0};

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		close_conn(conn); /* came, said nothing and left */
		return;
	}
	switch (eg_api_head_check(bytes, n < 0 ? 0 : (size_t)n, ended, &err)) {
	case EG_API_HEAD_MORE:
		break;
	case EG_API_HEAD_WHOLE:
		hand_over(api, conn);
		break;
	case EG_API_HEAD_BAD:
		refuse(conn, &err);
		break;
	}
	eg_error_clear(&err);
}

static void serve(struct eg_api *api, const struct epoll_event *event)
{
	struct eg_api_conn *conn;

	if (event->data.u32 == ON_UNIX || event->data.u32 == ON_TCP) {
		accept_some(api, event->data.u32 == ON_TCP ? EG_API_BY_TCP : EG_API_BY_UNIX);
		return;
	}
	if (event->data.u32 == ON_DOOR) {
		take_from_door(api);
		return;
	}
	if (event->data.u32 >= EG_API_SLOTS)
		return;
	conn = &api->conns[event->data.u32];
	pthread_mutex_lock(&api->lock);
	if (conn->phase == EG_API_HEAD)
		look(api, conn);
	else if (conn->phase == EG_API_LINGER)
		linger(conn);
	pthread_mutex_unlock(&api->lock);
}

static void expire(struct eg_api_conn *conn)
{
	struct eg_error err = {0};

	eg_error_set(&err, 408, "timeout", "The request was not whole in time.");
	switch (conn->phase) {
	case EG_API_HEAD:
		refuse(conn, &err);
		break;
	case EG_API_BODY:
		eg_api_refuse_raw(conn->fd, &err);
		conn->phase = EG_API_REPLY;
		/* fall through */
	case EG_API_REPLY:
		shutdown(conn->fd, SHUT_RDWR);
		conn->deadline_ns = EG_API_NEVER;
		break;
	case EG_API_LINGER:
		close_conn(conn);
		break;
	case EG_API_PASSED: /* the descriptor may not be this connection's any more */
		*conn = (struct eg_api_conn){.fd = -1};
		break;
	case EG_API_FREE:
	case EG_API_WORK:
		break;
	}
}

/*
 * Ends what is over its time; ms until the next look, for epoll_wait. While there are connections
 * that is a second at most, since other threads begin answers, which have deadlines of their own.
 */
static int expire_all(struct eg_api *api)
{
	uint64_t now = eg_api_now_ns(), next = EG_API_NEVER;
	bool any = false;

	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < EG_API_SLOTS; i++) {
		struct eg_api_conn *conn = &api->conns[i];

		if (conn->phase != EG_API_FREE && conn->deadline_ns <= now)
			expire(conn);
		if (conn->phase == EG_API_FREE)
			continue;
		any = true;
		if (conn->deadline_ns < next)
			next = conn->deadline_ns;
	}
	pthread_mutex_unlock(&api->lock);
	if (api->accept_ns && api->accept_ns < next)
		next = api->accept_ns;
	if (!any && next == EG_API_NEVER)
		return -1;
	if (next <= now)
		return 0;
	return next - now > 1000000000u ? 1000 : (int)((next - now) / 1000000u) + 1;
}

/* Listeners are level-triggered, and left out for a while after an accept failed. */
static void watch_listeners(struct eg_api *api, bool *watched)
{
	const int fds[] = {api->unix_fd, api->tcp_fd, api->stop_fd};
	bool want = !api->accept_ns || eg_api_now_ns() >= api->accept_ns;

	if (want)
		api->accept_ns = 0;
	if (want == *watched)
		return;
	for (uint32_t i = 0; i < 2; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = ON_UNIX + i};

		if (fds[i] >= 0)
			epoll_ctl(api->epoll_fd, want ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fds[i], &event);
	}
	*watched = want;
}

void *eg_api_gate(void *arg)
{
	struct epoll_event events[EVENTS_AT_ONCE], stop = {.events = EPOLLIN, .data.u32 = ON_STOP};
	struct eg_api *api = arg;
	bool watched = false, stopping;

	stopping = epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, api->stop_fd, &stop) < 0;
	while (!stopping) {
		int n;

		watch_listeners(api, &watched);
		n = epoll_wait(api->epoll_fd, events, EVENTS_AT_ONCE, expire_all(api));
		for (int i = 0; i < n; i++) {
			stopping |= events[i].data.u32 == ON_STOP;
			serve(api, &events[i]);
		}
	}
	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < EG_API_SLOTS; i++)
		if (api->conns[i].phase == EG_API_HEAD || api->conns[i].phase == EG_API_LINGER)
			close_conn(&api->conns[i]);
	pthread_mutex_unlock(&api->lock);
	return NULL;
}

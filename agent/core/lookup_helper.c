// SPDX-License-Identifier: Apache-2.0
/*
 * lookup_helper.c - the process that asks resolvers, and reads what they answer
 *
 * Theory of operation. One thread, no heap, up to EG_LOOKUP_AT_ONCE look-ups at once, each with a
 * UDP socket of its own that is connected to one resolver, so that the kernel passes nothing from
 * anybody else; it is bound to a port that the kernel draws at random, and the query's id is drawn
 * here. A resolver that stays silent for SILENCE_MS, refuses, or can't be reached is followed by the
 * next one, twice around. Of an answer that was cut short the same resolver is asked for the whole by
 * TCP; if that fails, what the short one had is taken.
 *
 * While all places are taken no more questions are read. When the agent's end of the pair closes,
 * the helper ends. It never logs: each look-up is told with how it ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lookup_impl.h"
#include "lookup_socket.h"

#define SILENCE_MS 2000
#define ROUNDS     2
#define NS_PER_MS  1000000ull

struct place {
	bool taken;
	bool edns;
	struct eg_lookup_socket socket;
	const struct eg_addr *resolver; /* who is asked now */
	unsigned tries;
	uint64_t begun_ms;
	uint64_t until_ms; /* of this try */
	enum eg_lookup_end so_far; /* how it ends if nothing better comes */
	struct eg_lookup_ask ask;
	struct eg_dns_question question;
	struct eg_dns_answer fallback; /* so_far is ANSWERED: cut short, or with a code that another may not give */
};

static struct place places[EG_LOOKUP_AT_ONCE];

/* Once no more than this is understood of the world, it is better to be started again. */
static void __attribute__((noreturn)) give_up(void)
{
	_exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* ---- One look-up ------------------------------------------------------------------------------------ */

static void tell(struct place *place, enum eg_lookup_end end, const struct eg_dns_answer *answer)
{
	struct eg_lookup_told told = {.id = place->ask.id, .end = end};
	struct pollfd agent = {.fd = EG_LOOKUP_FD, .events = POLLOUT};

	if (answer)
		told.answer = *answer;
	eg_lookup_hang_up(&place->socket);
	place->taken = false;
	while (send(EG_LOOKUP_FD, &told, sizeof(told), MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			give_up();
		poll(&agent, 1, -1);
	}
}

static int ask_resolver(struct place *place, bool stream)
{
	uint8_t query[EG_DNS_QUERY_MAX];
	int len;

	if (getrandom(&place->question.id, sizeof(place->question.id), 0) != sizeof(place->question.id))
		give_up();
	len = eg_dns_query(&place->question, place->edns, query);
	if (len < 0)
		give_up(); /* the agent asks for names of policies only */
	place->until_ms = now_ms() + SILENCE_MS;
	return eg_lookup_dial(&place->socket, place->resolver, stream, query, (size_t)len);
}

static bool out_of_tries(const struct place *place)
{
	return place->tries >= ROUNDS * place->ask.resolver_count ||
	       now_ms() - place->begun_ms + SILENCE_MS > EG_LOOKUP_GIVE_UP_S * 1000;
}

/* Goes on to the next resolver that a packet can be sent to, or ends. */
static void try_next(struct place *place)
{
	eg_lookup_hang_up(&place->socket);
	while (!out_of_tries(place)) {
		place->resolver = &place->ask.resolvers[place->tries++ % place->ask.resolver_count];
		if (!ask_resolver(place, false))
			return;
		eg_lookup_hang_up(&place->socket);
	}
	tell(place, place->so_far, place->so_far == EG_LOOKUP_ANSWERED ? &place->fallback : NULL);
}

static void begin(struct place *place, const struct eg_lookup_ask *ask)
{
	if (!ask->resolver_count || ask->resolver_count > EG_LOOKUP_RESOLVERS)
		give_up();
	place->taken = place->edns = true;
	place->socket.fd = -1;
	place->tries = 0;
	place->so_far = EG_LOOKUP_UNREACHABLE;
	place->ask = *ask;
	place->begun_ms = now_ms();
	memcpy(place->question.name, ask->name, sizeof(place->question.name));
	place->question.name[sizeof(place->question.name) - 1] = '\0';
	place->question.type = ask->type;
	try_next(place);
}

/* The same resolver may tell the rest by TCP. */
static void ask_for_the_whole(struct place *place, const struct eg_dns_answer *part)
{
	place->so_far = EG_LOOKUP_ANSWERED;
	place->fallback = *part;
	eg_lookup_hang_up(&place->socket);
	if (ask_resolver(place, true))
		tell(place, EG_LOOKUP_ANSWERED, part);
}

/* NOERROR and NXDOMAIN are answers; what else there is may be this resolver's own trouble. */
static void take_answer(struct place *place, const struct eg_dns_answer *answer)
{
	if (answer->truncated && !place->socket.stream && !answer->rcode) {
		ask_for_the_whole(place, answer);
		return;
	}
	if (answer->rcode == 0 || answer->rcode == 3) {
		tell(place, EG_LOOKUP_ANSWERED, answer);
		return;
	}
	place->so_far = EG_LOOKUP_ANSWERED;
	place->fallback = *answer;
	if (answer->rcode == 1 && place->edns) { /* FORMERR: it may not know EDNS */
		place->edns = false;
		place->tries--;
	}
	try_next(place);
}

/* This resolver has no more to say. */
static void give_up_on_it(struct place *place)
{
	if (place->socket.stream)
		tell(place, EG_LOOKUP_ANSWERED, &place->fallback);
	else
		try_next(place);
}

static void read_answer(struct place *place)
{
	struct eg_dns_answer answer;
	const uint8_t *message;
	ssize_t n = eg_lookup_hear(&place->socket, &message);
	int r;

	if (n == -EAGAIN)
		return;
	if (n < 0) { /* an ICMP error: nobody is there; or the stream's end */
		give_up_on_it(place);
		return;
	}
	r = eg_dns_answer_read(message, (size_t)n, &place->question, &answer);
	if (r == -ENOMSG && !place->socket.stream) /* somebody guesses: the right one may still come */
		return;
	if (!r) {
		take_answer(place, &answer);
		return;
	}
	if (!place->socket.stream)
		place->so_far = EG_LOOKUP_BROKEN;
	give_up_on_it(place);
}

/* ---- All of them ------------------------------------------------------------------------------------- */

static struct place *find_free(void)
{
	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (!places[i].taken)
			return &places[i];
	}
	return NULL;
}

static void read_ask(struct place *place)
{
	struct eg_lookup_ask ask;
	ssize_t n = recv(EG_LOOKUP_FD, &ask, sizeof(ask), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(ask)) /* the agent is gone */
		_exit(n == 0 ? 0 : 1);
	begin(place, &ask);
}

static void pass_time(void)
{
	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		struct place *place = &places[i];

		if (!place->taken || now_ms() < place->until_ms)
			continue;
		if (place->so_far == EG_LOOKUP_UNREACHABLE)
			place->so_far = EG_LOOKUP_SILENT;
		give_up_on_it(place);
	}
}

static int time_left(void)
{
	uint64_t now = now_ms(), soonest = UINT64_MAX;

	for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
		if (places[i].taken && places[i].until_ms < soonest)
			soonest = places[i].until_ms;
	}
	if (soonest == UINT64_MAX)
		return -1;
	return soonest > now ? (int)(soonest - now) : 0;
}

static void __attribute__((noreturn)) serve(void)
{
	for (;;) {
		struct pollfd fds[EG_LOOKUP_AT_ONCE + 1];
		struct place *spare = find_free();

		for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++)
			fds[i] = (struct pollfd){.fd = places[i].taken ? places[i].socket.fd : -1,
						 .events = eg_lookup_awaits(&places[i].socket)};
		/* The agent's end going away is told whatever is asked for. */
		fds[EG_LOOKUP_AT_ONCE] = (struct pollfd){.fd = EG_LOOKUP_FD, .events = spare ? POLLIN : 0};
		if (poll(fds, EG_LOOKUP_AT_ONCE + 1, time_left()) < 0 && errno != EINTR)
			give_up();
		for (size_t i = 0; i < EG_LOOKUP_AT_ONCE; i++) {
			if (fds[i].revents && places[i].taken)
				read_answer(&places[i]);
		}
		if (fds[EG_LOOKUP_AT_ONCE].revents & (POLLHUP | POLLERR))
			_exit(0);
		if (spare && fds[EG_LOOKUP_AT_ONCE].revents)
			read_ask(spare);
		pass_time();
	}
}

/* ---- Starting ------------------------------------------------------------------------------------------ */

static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void eg_lookup_main(int argc, char **argv)
{
	int null;

	if (argc != 3 || strcmp(argv[0], EG_LOOKUP_NAME) != 0)
		return;
	(void)prctl(PR_SET_NAME, EG_LOOKUP_NAME, 0, 0, 0);
	unblock_signals();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int std = 0; std <= 2; std++) {
		if (null < 0 || dup2(null, std) < 0)
			give_up();
	}
	close_range(EG_LOOKUP_FD + 1, ~0u, 0);
	if (chdir("/") || eg_lookup_jail((uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10)) < 0)
		give_up();
	serve();
}

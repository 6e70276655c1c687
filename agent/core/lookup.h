/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.h - names looked up by a process without privileges
 *
 * What the agent and the helper say to each other goes over a SOCK_SEQPACKET pair, one struct a
 * message. The helper reads what the network sends; nothing that it says is trusted beyond "these
 * may be addresses of a name that was asked", which any resolver could have said as well.
 */
#ifndef EG_CORE_LOOKUP_H
#define EG_CORE_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/dns_message.h"
#include "../lib/jail.h"

#define EG_LOOKUP_AT_ONCE   32 /* look-ups that the helper has open */
#define EG_LOOKUP_RESOLVERS 16
#define EG_LOOKUP_GIVE_UP_S 10 /* what one look-up takes at most, whatever its resolvers do */

struct eg_lookup_ask {
	uint64_t id; /* the asker's; comes back */
	char name[EG_NAME_SIZE]; /* as of struct eg_dns_question */
	uint16_t type;
	uint16_t resolver_count; /* 1 .. EG_LOOKUP_RESOLVERS; asked in order */
	struct eg_addr resolvers[EG_LOOKUP_RESOLVERS];
};

enum eg_lookup_end {
	EG_LOOKUP_ANSWERED, /* see rcode */
	EG_LOOKUP_SILENT, /* no resolver answered */
	EG_LOOKUP_BROKEN, /* what they answered can't be read */
	EG_LOOKUP_UNREACHABLE, /* the packets could not be sent */
	EG_LOOKUP_COUNT_
};

struct eg_lookup_told {
	uint64_t id;
	uint32_t end; /* enum eg_lookup_end */
	uint32_t pad;
	struct eg_dns_answer answer;
};

/* ---- lookup_helper.c: the helper ------------------------------------------------------------------ */

/* Becomes the helper, and does not return, if that is what argv says. To be called first in main. */
void eg_lookup_main(int argc, char **argv);

/* ---- lookup_jail.c ---------------------------------------------------------------------------------- */

/* Gives up all that the helper does not need. 0 or -errno: then it must not go on. */
int eg_lookup_jail(uint32_t uid, uint32_t gid);
struct eg_jail_filter eg_lookup_filter(void);

/* ---- lookup.c: the agent's side ------------------------------------------------------------------------ */

struct eg_lookup {
	int fd; /* -1: no helper runs */
	int pidfd;
	int pid;
};

/*
 * Starts the helper as this user, who must not be root. 0; -EPERM: it is root; -ESRCH: there is no
 * such user; -errno.
 */
int eg_lookup_start(struct eg_lookup *lookup, const char *user);
/* Ends the helper, and waits for that. None is fine. */
void eg_lookup_stop(struct eg_lookup *lookup);
/* 0; -EAGAIN: not now; -errno: it is dead. */
int eg_lookup_send(const struct eg_lookup *lookup, const struct eg_lookup_ask *ask);
/* 0; -EAGAIN: nothing there; -EPROTO: no message of ours; -errno: it is dead. */
int eg_lookup_receive(const struct eg_lookup *lookup, struct eg_lookup_told *ret);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * grant.h - addresses that DNS answers granted, and what they allow
 *
 * Theory of operation. A grant is {app, address, name, end}. It holds no rules: what it allows is
 * looked up by its name, in the ruleset that judges, when a flow begins. So a change of policy
 * keeps the grants whose names are still allowed, and needs to touch none.
 *
 * An address can be granted for EG_GRANT_WAYS names at once (many names share one CDN). The
 * app's grants stand in a ring, `grant_order`, of grants_max places; each place has at most
 * one, so that an app never has more. A new grant takes the next place: what stood there
 * goes, but grants of other names are passed over up to EG_GRANT_MERCY times, so that a name
 * whose addresses rotate pushes out its own first. Live flows don't need their grant any more:
 * the socket keeps the name. So an end, or being pushed out, only stops new flows.
 */
#ifndef EG_BPF_GRANT_H
#define EG_BPF_GRANT_H

#include "name.h"
#include "rules.h"

#define EG_GRANT_MERCY 8

/* ---- Which addresses an answer may grant --------------------------------------------------- */

enum eg_scope { EG_SCOPE_PUBLIC, EG_SCOPE_PRIVATE, EG_SCOPE_NEVER };

#define EG_V4_IN(addr, net, bits) (((addr) ^ (net)) >> (32 - (bits)) == 0)

/* Host byte order. IANA's special-purpose registry (RFC 6890), and where clouds serve credentials. */
static __always_inline enum eg_scope eg_scope_v4(__u32 a)
{
	if (a == 0xa9fea9fe || a == 0xa9feaa02 || a == 0x646464c8 || a == 0xa83f8110)
		return EG_SCOPE_NEVER; /* 169.254.169.254, 169.254.170.2, 100.100.100.200, 168.63.129.16 */
	if (EG_V4_IN(a, 0x0a000000u, 8) || EG_V4_IN(a, 0xac100000u, 12) || EG_V4_IN(a, 0xc0a80000u, 16) ||
	    EG_V4_IN(a, 0x7f000000u, 8) || EG_V4_IN(a, 0xa9fe0000u, 16) || EG_V4_IN(a, 0x64400000u, 10) ||
	    EG_V4_IN(a, 0x00000000u, 8) || EG_V4_IN(a, 0xc0000000u, 24) || EG_V4_IN(a, 0xc6120000u, 15) ||
	    a >= 0xe0000000u)
		return EG_SCOPE_PRIVATE;
	return EG_SCOPE_PUBLIC;
}

static __always_inline enum eg_scope eg_scope_of(const struct eg_addr *a)
{
	__u32 first = bpf_ntohl(a->w_be[0]);

	if (a->d_be[0] == 0) { /* v4-mapped, v4-compatible, ::1, :: */
		if (a->w_be[2] == bpf_htonl(0xffff) || a->w_be[2] == 0)
			return eg_scope_v4(bpf_ntohl(a->w_be[3]));
		return EG_SCOPE_PRIVATE;
	}
	if (first == 0x0064ff9b && a->w_be[1] == 0 && a->w_be[2] == 0) /* NAT64: RFC 6052 */
		return eg_scope_v4(bpf_ntohl(a->w_be[3]));
	if (first == 0x0064ff9b) /* NAT64 of local use: RFC 8215 */
		return eg_scope_v4(bpf_ntohl(a->w_be[3])) == EG_SCOPE_NEVER ? EG_SCOPE_NEVER : EG_SCOPE_PRIVATE;
	if (first >> 16 == 0x2002) /* 6to4: RFC 3056 */
		return eg_scope_v4(first << 16 | bpf_ntohl(a->w_be[1]) >> 16);
	if (first == 0xfd000ec2 && a->w_be[1] == 0 && a->w_be[2] == 0 && a->w_be[3] == bpf_htonl(0x254))
		return EG_SCOPE_NEVER; /* fd00:ec2::254 */
	if (first >> 25 == 0x7e || first >> 22 == 0x3fa || first >> 22 == 0x3fb || first >> 24 == 0xff)
		return EG_SCOPE_PRIVATE; /* fc00::/7, fe80::/10, fec0::/10, ff00::/8 */
	return EG_SCOPE_PUBLIC;
}

/* ---- What a name allows ------------------------------------------------------------------------ */

/* s->key holds the name. */
static __always_inline const struct eg_name_rules *eg_name_rules_of(struct eg_scratch *s, __u32 uid)
{
	s->key.prefixlen = 8 * (sizeof(s->key.table_be) + sizeof(s->key.text));
	s->key.table_be = bpf_htonl(uid);
	return bpf_map_lookup_elem(&names, &s->key);
}

/* The intervals of rules whose `private` list holds the address. */
static __always_inline const struct eg_rule_span *eg_private_span_of(__u32 uid, const struct eg_addr *addr)
{
	struct eg_rule_key key = {
		.prefixlen = 8 * (sizeof(key.table_be) + sizeof(key.addr)),
		.table_be = bpf_htonl(EG_TABLE_OF(uid, EG_TABLE_PRIVATE)),
		.addr = *addr,
	};

	return bpf_map_lookup_elem(&rules, &key);
}

/* Whether the name in s->key allows this service at this address. Fills *ret only then. */
EG_GLOBAL int eg_name_allows(struct eg_scratch *s, __u32 uid, const struct eg_addr *addr, __u32 service,
			     struct eg_found *ret)
{
	const struct eg_name_rules *rules;
	const struct eg_rule_span *span;
	struct eg_found found = {0};
	enum eg_scope scope;

	if (!s || !addr || !ret)
		return false;
	rules = eg_name_rules_of(s, uid);
	if (!rules)
		return false;
	scope = eg_scope_of(addr);
	if (scope == EG_SCOPE_PUBLIC) {
		if (!eg_matches_search(rules->span.first, rules->span.count, service, &found))
			return false;
	} else {
		struct eg_found covers = {0};

		if (scope == EG_SCOPE_NEVER ||
		    !eg_matches_search(rules->private_span.first, rules->private_span.count, service, &found))
			return false;
		span = eg_private_span_of(uid, addr);
		if (!span || !eg_matches_search(span->first, span->count, EG_SERVICE(0, found.rule), &covers))
			return false;
	}
	*ret = found;
	return true;
}

/* ---- Search --------------------------------------------------------------------------------------- */

struct eg_grant_ask {
	__u64 now_ns; /* boot */
	__u32 app;
	__u32 gen;
	__u32 uid;
	__u32 service;
};

struct eg_grant_look {
	struct eg_scratch *s;
	const struct eg_addr *addr;
	struct eg_found *best;
	__u64 now_ns;
	__u32 app;
	__u32 gen;
	__u32 uid;
	__u32 service;
	__u32 stale; /* a grant would allow it, but for its end */
	__u32 pad;
};

static __always_inline bool eg_found_better(const struct eg_found *a, const struct eg_found *than)
{
	bool verify = a->flags & EG_MATCH_VERIFY, than_verify = than->flags & EG_MATCH_VERIFY;

	if (!than->allowed || verify != than_verify)
		return !than->allowed || !verify;
	return a->rule < than->rule;
}

static long eg_grant_try(__u32 way, struct eg_grant_look *look)
{
	struct eg_grant_key key = {.app = look->app, .gen = look->gen, .addr = *look->addr, .way = way};
	struct eg_found found = {0};
	struct eg_grant *grant;

	grant = bpf_map_lookup_elem(&grants, &key);
	if (!grant)
		return 0;
	__builtin_memcpy(look->s->key.text, grant->text, sizeof(look->s->key.text));
	if (!eg_name_allows(look->s, look->uid, look->addr, look->service, &found))
		return 0;
	if (found.flags & EG_MATCH_CONNECT) /* such a name is the proxy's to resolve */
		return 0;
	if (*(volatile __u64 *)&grant->expires_boot_ns <= look->now_ns) {
		look->stale = 1;
		return 0;
	}
	found.way = (__u8)(way + 1);
	found.name_hash = grant->name_hash;
	if (eg_found_better(&found, look->best))
		*look->best = found;
	return 0;
}

/*
 * Makes *best better by the grants of the address, if they are. Returns 1 if only their end
 * kept them from allowing it.
 */
EG_GLOBAL int eg_grants_search(const struct eg_grant_ask *ask, const struct eg_addr *addr, struct eg_found *best)
{
	struct eg_grant_look look = {0};
	struct eg_scratch *s;

	if (!ask || !addr || !best)
		return 0;
	s = eg_scratch_claim();
	if (!s)
		return 0;
	look.s = s;
	look.addr = addr;
	look.best = best;
	look.now_ns = ask->now_ns;
	look.app = ask->app;
	look.gen = ask->gen;
	look.uid = ask->uid;
	look.service = ask->service;
	bpf_loop(EG_GRANT_WAYS, eg_grant_try, &look, 0);
	eg_scratch_release(s);
	return look.stale && !best->allowed;
}

/* ---- Granting --------------------------------------------------------------------------------------- */

struct eg_grant_place {
	struct eg_app *app;
	__u64 name_hash;
	__u64 now_ns;
	__u32 slot;
	__u32 max;
	__u32 place;
	__u32 mercy;
};

/* Deletes what stands at the place, unless it is a good grant of another name and may stay. */
static __always_inline bool eg_grant_evict(const struct eg_grant_place *p, const struct eg_grant_order *order,
					   bool spare)
{
	struct eg_grant_key key = {.app = p->slot, .gen = order->gen, .addr = order->addr, .way = order->way};
	struct eg_grant *old = order->gen ? bpf_map_lookup_elem(&grants, &key) : NULL;
	bool good;

	if (!old || old->order % p->max != p->place % p->max)
		return true; /* gone, or it has moved on to another place */
	good = old->expires_boot_ns > p->now_ns;
	if (good && spare && old->name_hash != p->name_hash)
		return false;
	if (bpf_map_delete_elem(&grants, &key))
		return true;
	__sync_fetch_and_add(&p->app->state.grants, -1);
	if (good)
		__sync_fetch_and_add(&p->app->state.grants_evicted, 1);
	return true;
}

static long eg_grant_place_try(__u32 i, struct eg_grant_place *p)
{
	struct eg_grant_order *order;
	__u32 index;

	if (!p->max)
		return 1;
	p->place = __sync_fetch_and_add(&p->app->state.grant_head, 1);
	index = p->slot * p->max + p->place % p->max;
	order = bpf_map_lookup_elem(&grant_order, &index);
	if (!order)
		return 1;
	return eg_grant_evict(p, order, i < EG_GRANT_MERCY);
}

static __always_inline struct eg_grant_order *eg_grant_order_at(__u32 slot, __u32 max, __u32 place)
{
	__u32 index = slot * max + place % (max ? max : 1);

	return bpf_map_lookup_elem(&grant_order, &index);
}

/* Takes a place in the app's ring, and what stood there out of `grants`. */
static __always_inline void eg_grant_place_take(struct eg_grant_place *p, const struct eg_grant_key *key)
{
	struct eg_grant_order *order;

	bpf_loop(EG_GRANT_MERCY + 1, eg_grant_place_try, p, 0);
	order = eg_grant_order_at(p->slot, p->max, p->place);
	if (!order)
		return;
	order->addr = key->addr;
	order->way = key->way;
	order->gen = key->gen;
}

/* The way where the name stands (*ret_known), or else the best one for it: free, at its end, soonest at its end. */
struct eg_grant_way {
	const struct eg_grant_key *like;
	__u64 name_hash;
	__u64 soonest_ns;
	__u32 way;
	__u32 known;
};

static long eg_grant_way_look(__u32 way, struct eg_grant_way *w)
{
	struct eg_grant_key key = *w->like;
	struct eg_grant *grant;
	__u64 ends_ns;

	key.way = way;
	grant = bpf_map_lookup_elem(&grants, &key);
	ends_ns = grant ? grant->expires_boot_ns : 0;
	if (grant && grant->name_hash == w->name_hash) {
		w->known = 1;
		w->way = way;
		return 1;
	}
	if (ends_ns < w->soonest_ns) {
		w->soonest_ns = ends_ns;
		w->way = way;
	}
	return 0;
}

static __always_inline __u64 eg_grant_life(const struct eg_host_ctl *host, __u32 ttl_s)
{
	__u64 life = (__u64)ttl_s * 1000 * 1000 * 1000;

	if (life < host->grant_floor_ns)
		life = host->grant_floor_ns;
	return life > host->grant_ceiling_ns ? host->grant_ceiling_ns : life;
}

enum eg_granted { EG_GRANTED_NOT, EG_GRANTED_AGAIN, EG_GRANTED_NEW };

/* s->grant_key: app, gen, address. s->key: the name, s->name_hash its hash. Returns enum eg_granted; NOT: no room. */
EG_GLOBAL int eg_grant_add(struct eg_scratch *s, __u32 slot, __u32 ttl_s)
{
	struct eg_grant_place place = {.slot = slot};
	struct eg_grant_way way = {.soonest_ns = ~0ull};
	struct eg_host_ctl *host = eg_host();
	struct eg_app *app = eg_app_at(slot);
	struct eg_grant *grant;
	__u64 now, ends_ns;

	if (!s || !host || !app || !host->grants_max)
		return EG_GRANTED_NOT;
	now = bpf_ktime_get_boot_ns();
	ends_ns = now + eg_grant_life(host, ttl_s);
	way.like = &s->grant_key;
	way.name_hash = s->name_hash;
	bpf_loop(EG_GRANT_WAYS, eg_grant_way_look, &way, 0);
	s->grant_key.way = way.way & (EG_GRANT_WAYS - 1);
	place.app = app;
	place.name_hash = s->name_hash;
	place.now_ns = now;
	place.max = host->grants_max;
	grant = bpf_map_lookup_elem(&grants, &s->grant_key);
	if (grant && way.known) {
		if (ends_ns > *(volatile __u64 *)&grant->expires_boot_ns)
			*(volatile __u64 *)&grant->expires_boot_ns = ends_ns;
		grant->learned_boot_ns = now;
		/* half way to being pushed out: stands at the front again */
		if (*(volatile __u32 *)&app->state.grant_head - grant->order > place.max / 2) {
			eg_grant_place_take(&place, &s->grant_key);
			grant->order = place.place;
		}
		return EG_GRANTED_AGAIN;
	}
	if (grant && !bpf_map_delete_elem(&grants, &s->grant_key)) {
		__sync_fetch_and_add(&app->state.grants, -1);
		if (way.soonest_ns > now)
			__sync_fetch_and_add(&app->state.grants_evicted, 1);
	}
	eg_grant_place_take(&place, &s->grant_key);
	s->grant.learned_boot_ns = now;
	s->grant.expires_boot_ns = ends_ns;
	s->grant.name_hash = s->name_hash;
	s->grant.order = place.place;
	__builtin_memcpy(s->grant.text, s->key.text, sizeof(s->grant.text));
	if (bpf_map_update_elem(&grants, &s->grant_key, &s->grant, BPF_NOEXIST))
		return EG_GRANTED_NOT;
	__sync_fetch_and_add(&app->state.grants, 1);
	return EG_GRANTED_NEW;
}

#endif

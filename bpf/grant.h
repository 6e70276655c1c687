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

#include "events.h"
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
	const struct eg_name_rules *named;

	s->key.prefixlen = 8 * (sizeof(s->key.table_be) + sizeof(s->key.text));
	s->key.table_be = bpf_htonl(uid);
	named = bpf_map_lookup_elem(&names, &s->key);
	return named && named->span.count != EG_NAME_REFUSED ? named : NULL;
}

/* The intervals of rules whose `private` list holds the address of s->grant_key. */
static __always_inline const struct eg_rule_span *eg_private_span_of(struct eg_scratch *s, __u32 uid)
{
	s->rule_key.prefixlen = 8 * (sizeof(s->rule_key.table_be) + sizeof(s->rule_key.addr));
	s->rule_key.table_be = bpf_htonl(EG_TABLE_OF(uid, EG_TABLE_PRIVATE));
	s->rule_key.addr = s->grant_key.addr;
	return bpf_map_lookup_elem(&rules, &s->rule_key);
}

/*
 * Whether the name in the scratch's key allows this service at the address in its grant_key; fills
 * its `found`, whose prefix_seen says that the policy has the name at all.
 */
EG_GLOBAL int eg_name_allows(__u32 index, __u32 uid, __u32 service)
{
	struct eg_scratch *s = eg_scratch_at(index);
	const struct eg_name_rules *named;
	const struct eg_rule_span *span;
	enum eg_scope scope;

	if (!s)
		return false;
	__builtin_memset(&s->found, 0, sizeof(s->found));
	named = eg_name_rules_of(s, uid);
	if (!named)
		return false;
	s->found.prefix_seen = 1;
	scope = eg_scope_of(&s->grant_key.addr);
	if (scope == EG_SCOPE_PUBLIC)
		return eg_matches_search(named->span.first, named->span.count, service, service, &s->found);
	if (scope == EG_SCOPE_NEVER ||
	    !eg_matches_search(named->private_span.first, named->private_span.count, service, service,
			       &s->found))
		return false;
	span = eg_private_span_of(s, uid);
	return span && eg_matches_search(span->first, span->count, s->found.rule, s->found.rule, &s->covers);
}

/* ---- Search --------------------------------------------------------------------------------------- */

static __always_inline bool eg_found_better(const struct eg_found *a, const struct eg_found *than)
{
	bool verify = a->flags & EG_MATCH_VERIFY, than_verify = than->flags & EG_MATCH_VERIFY;

	if (!than->allowed || verify != than_verify)
		return !than->allowed || !verify;
	return a->rule < than->rule;
}

static __always_inline void eg_grant_try(struct eg_scratch *s, __u32 way)
{
	struct eg_grant *grant;

	s->grant_key.way = way;
	grant = bpf_map_lookup_elem(&grants, &s->grant_key);
	if (!grant)
		return;
	__builtin_memcpy(s->key.text, grant->text, sizeof(s->key.text));
	if (!eg_name_allows(s->index, s->look.uid, s->look.service)) {
		if (s->found.prefix_seen && *(volatile __u64 *)&grant->expires_boot_ns > s->look.now_ns)
			s->look.granted = 1;
		return;
	}
	if (s->found.flags & EG_MATCH_CONNECT) /* such a name is the proxy's to resolve */
		return;
	if (*(volatile __u64 *)&grant->expires_boot_ns <= s->look.now_ns) {
		s->look.stale = 1;
		return;
	}
	s->found.way = (__u8)(way + 1);
	if (eg_found_better(&s->found, &s->best))
		s->best = s->found;
}

/* Makes s->best better by grants of the address in s->grant_key, for what s->look asks. */
static __always_inline void eg_grants_search(struct eg_scratch *s)
{
	s->grant_key.pad = 0;
	s->look.stale = 0;
	s->look.granted = 0;
	for (__u32 way = 0; way < EG_GRANT_WAYS; way++) /* no bpf_loop: its frame would be one too many */
		eg_grant_try(s, way);
}

/* ---- Granting --------------------------------------------------------------------------------------- */

/* Deletes what stands at the place, unless it is a good grant of another name and may stay, or the renewed one. */
static __always_inline bool eg_grant_evict(const struct eg_scratch *s, const struct eg_grant_order *order)
{
	const struct eg_grant_place *p = &s->place;
	struct eg_grant_key key = {.app = p->slot, .gen = order->gen, .addr = order->addr, .way = order->way};
	struct eg_grant *old = order->gen ? bpf_map_lookup_elem(&grants, &key) : NULL;
	struct eg_app *app = eg_app_at(p->slot);
	__u32 max = p->max ? p->max : 1;
	bool good;

	if (!old || !app || old->order % max != p->place % max)
		return true; /* gone, or it has moved on to another place */
	if (order->gen == s->grant_key.gen && order->way == s->grant_key.way &&
	    order->addr.d_be[0] == s->grant_key.addr.d_be[0] && order->addr.d_be[1] == s->grant_key.addr.d_be[1])
		return true; /* the ring is full, and it is the last in it that comes to the front */
	good = old->expires_boot_ns > p->now_ns;
	if (good && p->spare && old->name_hash != s->name_hash)
		return false;
	if (bpf_map_delete_elem(&grants, &key))
		return true;
	__sync_fetch_and_add(&app->state.grants, -1);
	if (good)
		eg_add(&app->state.grants_evicted, 1);
	return true;
}

static __always_inline struct eg_grant_order *eg_grant_order_at(const struct eg_grant_place *p)
{
	__u32 max = p->max ? p->max : 1;
	__u32 index = p->slot * max + p->place % max;

	return bpf_map_lookup_elem(&grant_order, &index);
}

static long eg_grant_place_try(__u32 i, struct eg_on_scratch *on)
{
	struct eg_grant_place *p = &on->s->place;
	struct eg_app *app = eg_app_at(p->slot);
	struct eg_grant_order *order;

	if (!app)
		return 1;
	p->spare = i < EG_GRANT_MERCY;
	p->place = __sync_fetch_and_add(&app->state.grant_head, 1);
	order = eg_grant_order_at(p);
	return !order || eg_grant_evict(on->s, order);
}

/* Takes a place in the app's ring for s->grant_key, and what stood there out of `grants`. */
static __always_inline void eg_grant_place_take(struct eg_scratch *s)
{
	struct eg_on_scratch on = {.s = s};
	struct eg_grant_order *order;

	bpf_loop(EG_GRANT_MERCY + 1, eg_grant_place_try, &on, 0);
	order = eg_grant_order_at(&s->place);
	if (!order)
		return;
	order->addr = s->grant_key.addr;
	order->way = s->grant_key.way;
	order->gen = s->grant_key.gen;
}

/* Finds the way where the name stands, or else the best one for it: free, at its end, soonest at its end. */
static long eg_grant_way_try(__u32 way, struct eg_on_scratch *on)
{
	struct eg_scratch *s = on->s;
	struct eg_grant_place *p = &s->place;
	struct eg_grant *grant;
	__u64 ends_ns;

	s->grant_key.way = way;
	grant = bpf_map_lookup_elem(&grants, &s->grant_key);
	ends_ns = grant ? grant->expires_boot_ns : 0;
	if (grant && grant->name_hash == s->name_hash) {
		p->known = 1;
		p->way = way;
		return 1;
	}
	if (ends_ns < p->soonest_ns) {
		p->soonest_ns = ends_ns;
		p->way = way;
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

/* The name has it already: a later end, and the front of the ring if it was half way to the end. */
static __always_inline void eg_grant_renew(struct eg_scratch *s, const struct eg_app *app, struct eg_grant *grant,
					   __u64 ends_ns)
{
	if (ends_ns > *(volatile __u64 *)&grant->expires_boot_ns)
		*(volatile __u64 *)&grant->expires_boot_ns = ends_ns;
	grant->learned_boot_ns = s->place.now_ns;
	if (*(volatile const __u32 *)&app->state.grant_head - grant->order > s->place.max / 2) {
		eg_grant_place_take(s);
		grant->order = s->place.place;
	}
}

enum eg_granted { EG_GRANTED_NOT, EG_GRANTED_AGAIN, EG_GRANTED_NEW };

/* s->grant_key: app, gen, address. s->key: the name, s->name_hash its hash. Returns enum eg_granted; NOT: no room. */
EG_LOCAL int eg_grant_add(struct eg_scratch *s, __u32 ttl_s)
{
	struct eg_on_scratch on = {.s = s};
	struct eg_host_ctl *host = eg_host();
	struct eg_grant *grant;
	struct eg_app *app;
	__u64 ends_ns;

	if (!s || !host || !host->grants_max)
		return EG_GRANTED_NOT;
	app = eg_app_at(s->grant_key.app);
	if (!app)
		return EG_GRANTED_NOT;
	s->grant_key.pad = 0;
	s->place.now_ns = bpf_ktime_get_boot_ns();
	s->place.soonest_ns = ~0ull;
	s->place.slot = s->grant_key.app;
	s->place.max = host->grants_max;
	s->place.way = 0;
	s->place.known = 0;
	ends_ns = s->place.now_ns + eg_grant_life(host, ttl_s);
	bpf_loop(EG_GRANT_WAYS, eg_grant_way_try, &on, 0);
	s->grant_key.way = s->place.way & (EG_GRANT_WAYS - 1);
	grant = bpf_map_lookup_elem(&grants, &s->grant_key);
	if (grant && s->place.known) {
		eg_grant_renew(s, app, grant, ends_ns);
		return EG_GRANTED_AGAIN;
	}
	if (grant && !bpf_map_delete_elem(&grants, &s->grant_key)) {
		__sync_fetch_and_add(&app->state.grants, -1);
		if (s->place.soonest_ns > s->place.now_ns)
			eg_add(&app->state.grants_evicted, 1);
	}
	eg_grant_place_take(s);
	s->grant.learned_boot_ns = s->place.now_ns;
	s->grant.expires_boot_ns = ends_ns;
	s->grant.name_hash = s->name_hash;
	s->grant.order = s->place.place;
	__builtin_memcpy(s->grant.text, s->key.text, sizeof(s->grant.text));
	if (bpf_map_update_elem(&grants, &s->grant_key, &s->grant, BPF_NOEXIST))
		return EG_GRANTED_NOT;
	__sync_fetch_and_add(&app->state.grants, 1);
	return EG_GRANTED_NEW;
}

#endif

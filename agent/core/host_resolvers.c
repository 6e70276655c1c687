// SPDX-License-Identifier: Apache-2.0
/*
 * host_resolvers.c - follows the host's resolv.conf for the policies that name no resolvers
 *
 * Such a policy is compiled again, under its own revision, when the addresses have changed. A
 * file that is gone, or names nobody, changes nothing: it is being written, or the network is down.
 */
#include <string.h>

#include "../lib/log.h"
#include "agent_impl.h"
#include "resolvconf.h"

static bool is_other(const struct stat *a, const struct stat *b)
{
	return a->st_dev != b->st_dev || a->st_ino != b->st_ino || a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static bool is_outdated(const struct eg_entry *entry, const struct eg_resolvers *host)
{
	const struct eg_applied *now = entry->now;

	return now && !entry->deleted && now->resolvers_of_host &&
	       (now->resolver_count != host->count ||
		memcmp(now->resolvers, host->addr, host->count * sizeof(*host->addr)) != 0);
}

void eg_host_resolvers_check(struct eg_agent *agent)
{
	struct eg_resolvers host;
	struct stat st = {0};
	size_t done = 0, outdated = 0;

	if (stat(eg_agent_config(agent)->resolv_conf, &st) || !is_other(&st, &agent->resolv_conf))
		return;
	agent->resolv_conf = st;
	if (eg_resolvconf_read(eg_agent_config(agent)->resolv_conf, &host) || !host.count)
		return;
	for (size_t i = 0; i < agent->count; i++) {
		if (!is_outdated(agent->by_name[i], &host))
			continue;
		outdated++;
		done += !eg_policies_write_again(agent, agent->by_name[i]);
	}
	if (outdated)
		eg_log_notice("the host's resolvers have changed: %zu of %zu policies that use them were compiled again", done,
			      outdated);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * alerts.c - the thresholds of policies and of the host's configuration, looked at every second
 *
 * Theory of operation. One thread reads the kernel's counters of each app that has an alert, and
 * asks how much they grew within its time (alert_window.h). It needs neither the log nor a sink:
 * an alert is a notice (events.h), which waits for nobody, and a kill is one as of `egret kill`, in
 * the layer "auto". An alert that was told is told again only once it has been below its threshold.
 *
 * What is watched belongs to the app, not to a revision of its policy: an alert that the new one has
 * too goes on with what it has seen. An agent that starts sees nothing of the time before it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <poll.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/labels.h"
#include "../lib/log.h"
#include "agent_impl.h"
#include "alerts.h"
#include "alert_flows.h"
#include "alert_window.h"
#include "clock.h"

#define LOOK_MS	 1000
#define FLOWS_MS 50

struct watched {
	struct eg_alert alert;
	bool of_host;
	bool told; /* and still over it */
	bool wanted; /* in this round */
	uint64_t value; /* at the last look */
	struct eg_alert_window window;
};

/* Of one slot. */
struct app {
	uint32_t gen;
	size_t count;
	struct watched *watched;
};

struct eg_alerts {
	struct eg_agent *agent;
	pthread_t thread;
	int wake_fd;
	bool stopping;
	bool adopted; /* the first round: counters have a past */

	uint64_t total;
	struct eg_alert_flows *flows; /* of this thread; NULL until an alert is about a network */
	bool flows_wanted; /* in this round */
	uint64_t late; /* of flows */

	pthread_mutex_t lock; /* of what follows; taken within the agent's, if both are */
	struct app *apps; /* [slots] */
};

/* Something to do once no lock is held. */
struct firing {
	char app[EG_APP_NAME_LEN];
	struct eg_alert alert;
	uint64_t value;
	bool of_host;
	bool audit;
	struct firing *next;
};

/* ---- What the kernel counted ---------------------------------------------------------------------- */

struct readings {
	uint64_t of[EG_ALERT_COUNT_];
	const struct eg_alert_flows *flows; /* for EG_ALERT_NETWORK */
	uint32_t slot;
};

/* What is denied because nothing is allowed any more is no news of the app. */
static bool counts(uint32_t reason)
{
	return reason != EG_REASON_KILLED && reason != EG_REASON_EXPIRED && reason != EG_REASON_POLICY_DELETED;
}

static bool of_dns(uint32_t reason)
{
	return reason == EG_REASON_DNS_NAME || reason == EG_REASON_DNS_TYPE || reason == EG_REASON_DNS_MALFORMED ||
	       reason == EG_REASON_DNS_RATE;
}

/* -errno: no reading. Audit mode's "would have been" counts as well. */
static int take_readings(struct eg_agent *agent, uint32_t slot, struct readings *ret)
{
	struct eg_counters counters;
	struct eg_reasons reasons;
	int r = eg_kern_counters(agent->kern, slot, &counters);

	if (r)
		return r;
	if (bpf_map_lookup_elem(eg_kern_map_fd(agent->kern, EG_MAP_REASONS), &slot, &reasons))
		return -errno;
	*ret = (struct readings){.of = {[EG_ALERT_NEW_FLOWS] = counters.flows,
					[EG_ALERT_EGRESS_BYTES] = counters.bytes_out,
					[EG_ALERT_INGRESS_BYTES] = counters.bytes_in}};
	for (uint32_t reason = 0; reason < EG_REASON_COUNT_; reason++) {
		const struct eg_reason_count *count = &reasons.by[EG_DIR_EGRESS][reason];

		if (counts(reason))
			ret->of[EG_ALERT_DENIED] += count->denied + count->audited;
		if (of_dns(reason))
			ret->of[EG_ALERT_DNS_REFUSED] += count->denied + count->audited;
	}
	return 0;
}

/* ---- What is watched of an app ----------------------------------------------------------------------- */

static void forget(struct app *app)
{
	free(app->watched);
	*app = (struct app){0};
}

static struct watched *find(struct app *app, const struct eg_alert *alert, bool of_host)
{
	for (size_t i = 0; i < app->count; i++) {
		struct watched *one = &app->watched[i];

		if (one->of_host == of_host && eg_alert_same(&one->alert, alert))
			return one;
	}
	return NULL;
}

static struct watched *add(struct app *app)
{
	struct watched *all = reallocarray(app->watched, app->count + 1, sizeof(*all));

	if (!all)
		return NULL;
	app->watched = all;
	all[app->count] = (struct watched){0};
	return &all[app->count++];
}

static uint64_t reading_of(const struct readings *readings, const struct eg_alert *alert)
{
	if (alert->when == EG_ALERT_NETWORK)
		return eg_alert_flows_count(readings->flows, readings->slot, alert);
	return readings->of[alert->when];
}

static void want(struct app *app, const struct eg_alert *alert, bool of_host, const struct readings *past)
{
	struct watched *one = find(app, alert, of_host);

	if (!one) {
		one = add(app);
		if (!one)
			return; /* no memory: tried again in a second */
		one->alert = *alert;
		one->of_host = of_host;
		eg_alert_window_begin(&one->window, alert->per_ns, eg_clock_boot_ns(), reading_of(past, alert));
	}
	one->wanted = true;
}

static void drop_unwanted(struct app *app)
{
	size_t kept = 0;

	for (size_t i = 0; i < app->count; i++) {
		if (!app->watched[i].wanted)
			continue;
		app->watched[i].wanted = false;
		if (kept != i)
			app->watched[kept] = app->watched[i];
		kept++;
	}
	app->count = kept;
}

static bool about_network(const struct app *app)
{
	for (size_t i = 0; i < app->count; i++) {
		if (app->watched[i].alert.when == EG_ALERT_NETWORK)
			return true;
	}
	return false;
}

static void look_up_alerts(const struct eg_config *config, struct app *app, const struct eg_entry *entry,
			   const struct readings *past)
{
	for (size_t i = 0; i < entry->now->alert_count; i++)
		want(app, &entry->now->alerts[i], false, past);
	for (size_t i = 0; i < config->alert_count; i++) {
		const struct eg_config_alert *alert = &config->alerts[i];

		if (!alert->labels || eg_labels_match(alert->labels, entry->now->labels))
			want(app, &alert->alert, true, past);
	}
	drop_unwanted(app);
}

/* ---- A round -------------------------------------------------------------------------------------------- */

struct round {
	struct eg_alerts *alerts;
	const struct eg_config *config;
	struct firing *firings;
};

static void fire(struct round *round, const struct eg_entry *entry, const struct watched *one, bool audit)
{
	struct firing *firing = calloc(1, sizeof(*firing));

	if (!firing)
		return;
	memcpy(firing->app, entry->name, sizeof(firing->app));
	firing->alert = one->alert;
	firing->value = one->value;
	firing->of_host = one->of_host;
	firing->audit = audit;
	firing->next = round->firings;
	round->firings = firing;
}

/* A killed or expired app sends nothing that its policy did not end: it is watched, and not told of. */
static void compare(struct round *round, struct app *app, const struct eg_entry *entry, const struct readings *now)
{
	const char *state = eg_registry_state(round->alerts->agent, entry);
	bool audit = strcmp(state, "audit") == 0, quiet = !audit && strcmp(state, "enforce") != 0;

	for (size_t i = 0; i < app->count; i++) {
		struct watched *one = &app->watched[i];

		one->value = eg_alert_window_add(&one->window, eg_clock_boot_ns(), reading_of(now, &one->alert));
		if (one->value <= one->alert.over) {
			one->told = false;
		} else if (!one->told && !quiet) {
			one->told = true;
			fire(round, entry, one, audit);
		}
	}
}

static void look_at_app(struct round *round, const struct eg_entry *entry)
{
	struct app *app = &round->alerts->apps[entry->slot];
	struct readings now, none = {.flows = round->alerts->flows, .slot = entry->slot}; /* of flows there is no past */

	if (app->gen != entry->gen)
		forget(app);
	app->gen = entry->gen;
	if (!entry->now || (!entry->now->alert_count && !round->config->alert_count)) {
		forget(app);
		return;
	}
	if (take_readings(round->alerts->agent, entry->slot, &now))
		return;
	now.flows = none.flows;
	now.slot = none.slot;
	look_up_alerts(round->config, app, entry, round->alerts->adopted ? &now : &none);
	round->alerts->flows_wanted |= about_network(app);
	compare(round, app, entry, &now);
}

/* Under the agent's lock. */
static void look_at(void *ctx, struct eg_entry *entry)
{
	struct round *round = ctx;

	pthread_mutex_lock(&round->alerts->lock);
	look_at_app(round, entry);
	pthread_mutex_unlock(&round->alerts->lock);
}

/* NULL is left out. */
static const char *given(const char *text)
{
	return text[0] ? text : NULL;
}

static void tell(struct eg_agent *agent, const struct firing *firing, bool kill)
{
	const struct eg_alert *alert = &firing->alert;
	const struct eg_entry *entry;
	char over[64];

	eg_alert_over_text(alert, over, sizeof(over));
	pthread_mutex_lock(&agent->lock);
	entry = eg_registry_find(agent, firing->app);
	eg_notice(agent, "alert", entry, firing->app,
		  json_pack("{s:s,s:s*,s:s*,s:I,s:I,s:I,s:s,s:s,s:b}", "alert", eg_alert_names[alert->when], "to_network",
			    given(alert->network), "to_region", given(alert->region), "over",
			    (json_int_t)alert->over, "value", (json_int_t)firing->value, "window_s",
			    (json_int_t)(alert->per_ns / EG_NS_PER_S), "from", firing->of_host ? "host" : "policy",
			    "action", kill ? "kill" : "alert", "audit", firing->audit));
	pthread_mutex_unlock(&agent->lock);
	eg_log_warning("alert: app %s: %s is %llu, over %s%s", firing->app, eg_alert_names[alert->when],
		       (unsigned long long)firing->value, over, kill ? ": it is killed" : "");
}

static void act(struct eg_alerts *alerts, const struct firing *firing)
{
	bool kill = firing->alert.kill && (!firing->audit || firing->of_host);
	char reason[128], over[64];

	if (kill) {
		snprintf(reason, sizeof(reason), "alert: %s over %s", eg_alert_names[firing->alert.when],
			 eg_alert_over_text(&firing->alert, over, sizeof(over)));
		eg_kill_auto(alerts->agent, firing->app, reason);
	}
	tell(alerts->agent, firing, kill);
}

/* From the first alert on a network on, until there is none. */
static void open_flows(struct eg_alerts *alerts)
{
	struct eg_agent *agent = alerts->agent;
	int r = 0;

	if (!alerts->flows_wanted) {
		eg_alert_flows_free(EG_TAKE_PTR(alerts->flows));
	} else if (!alerts->flows) {
		r = eg_alert_flows_new(eg_kern_map_fd(agent->kern, EG_MAP_FLOW_EVENTS), eg_kern_slots(agent->kern), &alerts->flows);
		if (r)
			eg_log_err("alerts on networks: flows can't be seen: %s", strerror(-r));
	}
}

/* The ring holds some 60,000 flows: often enough that none is missed. False: stop. */
static bool wait_for_round(struct eg_alerts *alerts)
{
	const struct eg_config *config = eg_agent_config(alerts->agent);
	struct pollfd wake = {.fd = alerts->wake_fd, .events = POLLIN};

	for (int ms = 0; ms < LOOK_MS && !__atomic_load_n(&alerts->stopping, __ATOMIC_ACQUIRE); ms += FLOWS_MS) {
		poll(&wake, 1, alerts->flows ? FLOWS_MS : LOOK_MS);
		if (!alerts->flows)
			break;
		eg_alert_flows_look(alerts->flows, config->networks);
		__atomic_store_n(&alerts->late, eg_alert_flows_late(alerts->flows), __ATOMIC_RELAXED);
	}
	return !__atomic_load_n(&alerts->stopping, __ATOMIC_ACQUIRE);
}

static void go_round(struct eg_alerts *alerts)
{
	struct round round = {.alerts = alerts,
			      .config = eg_agent_config(alerts->agent)};

	alerts->flows_wanted = false;
	eg_apps_each(alerts->agent, look_at, &round);
	open_flows(alerts);
	alerts->adopted = false;
	while (round.firings) {
		struct firing *firing = round.firings;

		round.firings = firing->next;
		act(alerts, firing);
		free(firing);
		__atomic_add_fetch(&alerts->total, 1, __ATOMIC_RELAXED);
	}
}

static void *run(void *ctx)
{
	struct eg_alerts *alerts = ctx;

	pthread_setname_np(pthread_self(), "egret-alerts");
	do
		go_round(alerts);
	while (wait_for_round(alerts));
	return NULL;
}

/* ---- Outside ------------------------------------------------------------------------------------------------ */

uint64_t eg_alerts_total(struct eg_alerts *alerts)
{
	return alerts ? __atomic_load_n(&alerts->total, __ATOMIC_RELAXED) : 0;
}

uint64_t eg_alerts_late(struct eg_alerts *alerts)
{
	return alerts ? __atomic_load_n(&alerts->late, __ATOMIC_RELAXED) : 0;
}

json_t *eg_alerts_json(struct eg_alerts *alerts, uint32_t slot, uint32_t gen)
{
	json_t *list = json_array();

	if (!alerts)
		return list;
	pthread_mutex_lock(&alerts->lock);
	for (size_t i = 0; alerts->apps[slot].gen == gen && i < alerts->apps[slot].count; i++) {
		const struct watched *one = &alerts->apps[slot].watched[i];

		json_array_append_new(
			list, json_pack("{s:s,s:s*,s:s*,s:I,s:I,s:I,s:s,s:s,s:b}", "alert", eg_alert_names[one->alert.when],
					"to_network", given(one->alert.network), "to_region", given(one->alert.region), "over",
					(json_int_t)one->alert.over, "value", (json_int_t)one->value, "window_s",
					(json_int_t)(one->alert.per_ns / EG_NS_PER_S), "action",
					one->alert.kill ? "kill" : "alert", "from", one->of_host ? "host" : "policy",
					"firing", one->told));
	}
	pthread_mutex_unlock(&alerts->lock);
	return list;
}

int eg_alerts_start(struct eg_agent *agent, struct eg_alerts **ret)
{
	struct eg_alerts *alerts = calloc(1, sizeof(*alerts));
	int r;

	if (!alerts)
		return -ENOMEM;
	alerts->agent = agent;
	alerts->adopted = agent->adopted;
	alerts->apps = calloc(eg_kern_slots(agent->kern), sizeof(*alerts->apps));
	alerts->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&alerts->lock, NULL);
	r = !alerts->apps ? ENOMEM : alerts->wake_fd < 0 ? errno : pthread_create(&alerts->thread, NULL, run, alerts);
	if (r) {
		if (alerts->wake_fd >= 0)
			close(alerts->wake_fd);
		free(alerts->apps);
		free(alerts);
		return -r;
	}
	*ret = alerts;
	return 0;
}

void eg_alerts_stop(struct eg_alerts *alerts)
{
	if (!alerts)
		return;
	__atomic_store_n(&alerts->stopping, true, __ATOMIC_RELEASE);
	eventfd_write(alerts->wake_fd, 1);
	pthread_join(alerts->thread, NULL);
	for (uint32_t slot = 0; slot < eg_kern_slots(alerts->agent->kern); slot++)
		forget(&alerts->apps[slot]);
	free(alerts->apps);
	eg_alert_flows_free(alerts->flows);
	close(alerts->wake_fd);
	pthread_mutex_destroy(&alerts->lock);
	free(alerts);
}

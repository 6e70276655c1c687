// SPDX-License-Identifier: Apache-2.0
/*
 * control.c - the control plane's child: started, looked after, and kept to what it may do
 *
 * egret-sync reads what the network sends, so it runs without privileges, and what it may ask for is
 * little: policies of its own source, within the configuration's "apps" and "cgroups", and holds of the
 * layer control. Everything that has to outlive it (policies, holds, their generations) is kept here.
 * When it dies it is started again, with growing pauses; nothing that is in force depends on it.
 *
 * The child, and what is known of it, are the main thread's; the report has a lock of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../lib/cleanup.h"
#include "../lib/log.h"
#include "../lib/policy.h"
#include "../sync/setup.h"
#include "agent_impl.h"
#include "api.h"
#include "clock.h"
#include "control_impl.h"

#define PAUSE_MIN_NS (EG_NS_PER_S / 2)
#define PAUSE_MAX_NS (30 * EG_NS_PER_S)
#define TERM_WAIT_MS 1000

static const struct eg_control_config *configured(struct eg_agent *agent)
{
	return eg_agent_config(agent)->control;
}

static json_t *setup_of(const struct eg_config *config)
{
	return json_pack("{s:O,s:s,s:O,s:s}", "control", config->control->json, "host", config->host, "host_labels",
			 config->host_labels, "version", EG_VERSION);
}

/* ---- The child ------------------------------------------------ */

static void pause_after(struct eg_control *control, const char *why)
{
	uint64_t now = eg_clock_mono_ns();

	if (now - control->started_ns > PAUSE_MAX_NS)
		control->pause_ns = 0;
	control->pause_ns = control->pause_ns ? control->pause_ns * 2 : PAUSE_MIN_NS;
	if (control->pause_ns > PAUSE_MAX_NS)
		control->pause_ns = PAUSE_MAX_NS;
	control->next_ns = now + control->pause_ns;
	pthread_mutex_lock(&control->lock);
	control->pid = 0;
	if (control->report) /* it says so no more */
		json_object_set_new(control->report, "connected", json_false());
	if (!control->lost_utc_ns)
		control->lost_utc_ns = eg_clock_utc_ns();
	snprintf(control->trouble, sizeof(control->trouble), "%s", why);
	pthread_mutex_unlock(&control->lock);
	eg_log_warning("%s: it is tried again in %llu ms", why, (unsigned long long)(control->pause_ns / 1000000));
}

/* It gets state_dir/sync as its own. */
static int spawn(const struct eg_config *config, const json_t *setup, struct eg_actor *actor, struct eg_child *child,
		 int *ret_door)
{
	EG_CLOSE int state = -1;
	struct eg_child_user user = {0};
	int r = eg_child_user(config->control->user, &user);

	if (!r)
		r = eg_child_dir(config->state_dir, EG_SYNC_STATE_DIR, &user, &state);
	if (!r)
		r = eg_child_start(
			&(struct eg_child_start){
				.name = EG_SYNC_NAME, .user = &user, .setup = setup, .dirs = {state}, .dir_count = 1},
			child, ret_door);
	actor->uid = user.uid;
	actor->pid = child->pid;
	return r;
}

static void stop_child(struct eg_control *control)
{
	int status;

	eg_child_stop(&control->child, TERM_WAIT_MS, &status);
}

static void start_child(struct eg_agent *agent, struct eg_control *control)
{
	const struct eg_config *config = eg_agent_config(agent);
	struct eg_actor actor = {.role = EG_ROLE_CONTROL};
	json_t *setup = setup_of(config);
	EG_CLOSE int door = -1;
	char why[300];
	int r;

	control->started_ns = eg_clock_mono_ns();
	r = setup ? spawn(config, setup, &actor, &control->child, &door) : -ENOMEM;
	json_decref(control->setup);
	control->setup = setup;
	if (r < 0) {
		snprintf(why, sizeof(why), "egret-sync can't be started as user %s: %s", config->control->user,
			 r == -ESRCH   ? "there is no such user"
			 : r == -EPERM ? "it is of root's"
				       : strerror(-r));
		pause_after(control, why);
		return;
	}
	actor.source = config->control->source == EG_CONTROL_ETCD ? EG_SOURCE_ETCD : EG_SOURCE_HTTPS;
	snprintf(actor.via, sizeof(actor.via), "%s", eg_source_name(actor.source));
	r = eg_api_door(agent->api, EG_TAKE_FD(door), &actor);
	if (r < 0) {
		stop_child(control);
		pause_after(control, "egret-sync can't be given its door");
		return;
	}
	pthread_mutex_lock(&control->lock);
	control->pid = control->child.pid;
	control->starts++;
	pthread_mutex_unlock(&control->lock);
	eg_log_info("egret-sync runs as pid %d", (int)control->child.pid);
}

static void look_at_end(struct eg_control *control)
{
	char why[200];
	int status = 0;

	if (!eg_child_ended(&control->child, 0, &status))
		return;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "egret-sync was ended by signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "egret-sync ended with status %d", WEXITSTATUS(status));
	pause_after(control, why);
}

/* The configuration, or what it names, is another one now: the child is started with it. */
static void follow_config(struct eg_agent *agent, struct eg_control *control)
{
	json_t *setup = configured(agent) ? setup_of(eg_agent_config(agent)) : NULL;

	if (control->child.pid && (!setup || control->anew || !json_equal(setup, control->setup))) {
		stop_child(control);
		pthread_mutex_lock(&control->lock);
		control->pid = 0;
		json_decref(control->report);
		control->report = NULL;
		pthread_mutex_unlock(&control->lock);
		control->next_ns = 0;
	}
	control->anew = false;
	json_decref(setup);
}

void eg_control_reload(struct eg_agent *agent)
{
	if (agent->control)
		agent->control->anew = true;
}

void eg_control_check(struct eg_agent *agent)
{
	struct eg_control *control = agent->control;

	look_at_end(control);
	follow_config(agent, control);
	if (configured(agent) && !control->child.pid && eg_clock_mono_ns() >= control->next_ns)
		start_child(agent, control);
}

int eg_control_start(struct eg_agent *agent)
{
	struct eg_control *control = calloc(1, sizeof(*control));

	if (!control)
		return -ENOMEM;
	control->child.pidfd = -1;
	pthread_mutex_init(&control->lock, NULL);
	__atomic_store_n(&agent->control, control, __ATOMIC_RELEASE);
	eg_control_check(agent);
	return 0;
}

/* Frees at the very end, when no thread of the API can look any more. */
void eg_control_stop(struct eg_agent *agent)
{
	if (agent->control)
		stop_child(agent->control);
}

void eg_control_free(struct eg_agent *agent)
{
	struct eg_control *control = EG_TAKE_PTR(agent->control);

	if (!control)
		return;
	pthread_mutex_destroy(&control->lock);
	json_decref(control->setup);
	json_decref(control->report);
	free(control);
}

/* ---- What it may own ------------------------------------------------ */

int eg_control_may_own(struct eg_agent *agent, const char *app, const struct eg_policy *policy, struct eg_error *err)
{
	const struct eg_control_config *config = configured(agent);
	const char *bad = NULL;

	for (size_t i = 0; config && !bad && i < policy->cgroup_count; i++) {
		if (!eg_control_owns_cgroup(config, policy->cgroups[i]))
			bad = policy->cgroups[i];
	}
	if (config && !bad && eg_control_owns_app(config, app))
		return 0;
	eg_error_set(
		err, 403, "not_allowed",
		bad ? "This host's configuration (control.cgroups) doesn't let the control plane claim the cgroup %s%s."
		    : "This host's configuration (control.apps) doesn't let the control plane own the policy of %s%s.",
		bad ? bad : app, "");
	return -EPERM;
}

// SPDX-License-Identifier: Apache-2.0
#include "api_impl.h"

const struct eg_api_ops eg_api_ops_agent = {
	.status = eg_agent_status,
	.apps = eg_agent_apps,
	.app = eg_agent_app,
	.policy_get = eg_agent_policy_get,
	.policy_put = eg_agent_policy_put,
	.policy_delete = eg_agent_policy_delete,
	.policy_check = eg_agent_policy_check,
	.policy_plan = eg_agent_policy_plan,
	.policy_history = eg_agent_policy_history,
	.policy_rollback = eg_agent_policy_rollback,
	.policy_renew = eg_agent_policy_renew,
	.kill = eg_agent_kill,
	.restore = eg_agent_restore,
	.relax = eg_agent_relax,
	.snapshot = eg_agent_snapshot,
	.tag = eg_agent_tag,
	.explain = eg_agent_explain,
	.denied = eg_agent_denied,
	.usage = eg_agent_usage,
	.sinks = eg_agent_sinks,
	.sink_test = eg_agent_sink_test,
	.metrics = eg_agent_metrics,
};

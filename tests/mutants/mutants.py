# SPDX-License-Identifier: Apache-2.0
"""What is broken on purpose, one at a time, and the tests that have to notice.

Mutant(breaks, file, old, new, tests): `old` stands once in the file. A test is "bpf/PROGRAM",
"unit/PROGRAM", "e2e/FILE::NAME" (NAME as for pytest's -k) or, for what needs another kernel, "vm/BOOT".
"""
import collections

Mutant = collections.namedtuple("Mutant", "breaks file old new tests")

PACKET, LIMITS, GUARD, TAGS = "bpf/test_packet", "bpf/test_limits", "bpf/test_guard", "bpf/test_tags"


def allow(file, reason, *tests, breaks=None, keep=""):
    """A reason that is never given."""
    old = f"return EG_REASON_{reason};"
    return Mutant(breaks or f"reason {reason.lower()}", file, f"{keep}{old}", f"{keep}return EG_REASON_NONE;", tests)


MUTANTS = [
    # ---- Invariant 1: fail closed
    Mutant("1: unknown cgroups are denied", "bpf/tag.h",
           "tag->unknown = early ? EG_UNKNOWN_DENY : cgroup->unknown;", "tag->unknown = EG_UNKNOWN_PASS;",
           [PACKET, "e2e/test_allow_deny.py::unknown_cgroups"]),
    Mutant("1: early boot denies everything", "bpf/tag.h", "early ? EG_UNKNOWN_DENY : cgroup->unknown",
           "cgroup->unknown", [PACKET]),
    Mutant("1: two policies for a cgroup deny it", "bpf/tag.h", "} else if (cgroup->flags & EG_CGROUP_AMBIGUOUS) {",
           "} else if (0) {", ["e2e/test_allow_deny.py::ambiguous"]),
    Mutant("1: a deleted policy denies", "bpf/verdict.h", "if (app->ctl.flags) {", "if (0) {",
           [PACKET, "e2e/test_lifecycle.py::put_get_delete"]),
    Mutant("1: a tag without a policy denies", "bpf/packet.bpf.c",
           "return eg_refuse(&c.sock->who, &view, reason, EG_RULE_NONE, 0, dir, false);", "return EG_PASS;",
           [PACKET, "e2e/test_kill.py::everything_is_refused"]),
    Mutant("1: what can't be parsed is denied", "bpf/packet.bpf.c", "if (malformed != EG_REASON_NONE)\n", "if (0)\n", [PACKET]),
    Mutant("1: a slot's next owner inherits nothing", "bpf/tag.h", "if (ret->gen && (!app || app->ctl.gen != ret->gen))",
           "if (ret->gen && !app)", [TAGS, "e2e/test_isolation.py::outlives_its_app"]),
    Mutant("1: a full table of sockets denies", "bpf/socket.bpf.c", "if (!eg_create_counted(host, app))",
           "if (!eg_create_counted(host, app) && 0)", ["e2e/test_isolation.py::test_sockets"]),
    Mutant("1: the agent's end detaches nothing", "agent/core/roots.c", "\t\teg_rootkeeper_free(agent->roots[i].keeper);\n",
           "\t\teg_kern_detach(agent->kern, agent->roots[i].id);\n\t\teg_rootkeeper_free(agent->roots[i].keeper);\n",
           ["e2e/test_lifecycle.py::enforcement_does_not_need"]),

    # ---- Invariant 2: the packet hook is the authority
    Mutant("2: packets are judged, not only connects", "bpf/packet.bpf.c",
           "\tint result = eg_settled_out(skb);\n", "\tint result = EG_PASS;\n",
           [PACKET, "e2e/test_allow_deny.py::udp_unconnected"]),
    Mutant("2: what comes in is judged", "bpf/packet.bpf.c", "\tint result = eg_settled_in(skb);\n", "\tint result = EG_PASS;\n",
           [PACKET, "e2e/test_allow_deny.py::ingress_unset"]),
    Mutant("2: connect says EPERM at once", "bpf/connect.bpf.c",
           "return eg_attempt_tell(a, verdict.reason, verdict.rule, verdict.uid, false);", "return 1;",
           ["e2e/test_allow_deny.py::tcp_denied_address"]),
    Mutant("2: a socket's other peers are judged", "bpf/packet.bpf.c",
           "if (c->sock->flow.state == EG_FLOW_OPEN && same)", "if (c->sock->flow.state == EG_FLOW_OPEN)",
           ["e2e/test_allow_deny.py::udp_unconnected", "e2e/test_allow_deny.py::each_peer"]),
    Mutant("2: a flow is its addresses and ports", "bpf/flow.h", "return flow->peer_port == eg_view_remote_port(view, dir) &&",
           "return ", ["e2e/test_nat.py::each_port_of_a_peer"]),

    # ---- Invariant 3: atomic policy
    Mutant("3: filled, then published", "agent/core/apply.c",
           "\t\t\truleset_write(agent, entry, applied, compiled);\n\t\t\tswitch_over(agent, entry, applied);\n",
           "\t\t\tswitch_over(agent, entry, applied);\n\t\t\tusleep(200000);\n\t\t\truleset_write(agent, entry, applied, compiled);\n",
           ["e2e/test_atomic_policy.py::pushed_policies"]),
    Mutant("3: established flows are judged again", "bpf/settled.h",
           "if (!ruleset || *(volatile __u32 *)&flow->uid != ruleset->uid || clock.boot_ns > flow->report_ns)",
           "if (!ruleset || clock.boot_ns > flow->report_ns)",
           ["e2e/test_lifecycle.py::obeys_the_new_policy", "e2e/test_atomic_policy.py::address_that_changes"]),
    Mutant("3: a policy change resets what it denies", "agent/core/cut.c",
           "return out.reason != EG_REASON_NONE && !out.audited &&", "return 0 && out.reason != EG_REASON_NONE && !out.audited &&",
           ["e2e/test_lifecycle.py::a_policy_change_cuts"]),

    # ---- Invariant 4: exact caps
    Mutant("4: not one byte over", "bpf/meters.h", "if (after > limit && !alert_only)", "if (after > limit + 1 && !alert_only)",
           [PACKET, "e2e/test_caps.py::udp_to_the_byte"]),
    Mutant("4: exact under contention", "bpf/meters.h",
           "if (__sync_val_compare_and_swap(&meter->word, word, tag | after) == word) {",
           "*(volatile __u64 *)&meter->word = tag | after;\n\t\tif (1) {",
           [LIMITS, "e2e/test_caps.py::many_processes_contend"]),
    Mutant("4: ingress has its cap", "bpf/settled.h", "meters = dir == EG_DIR_EGRESS ? flow->meters_out : flow->meters_in;",
           "meters = dir == EG_DIR_EGRESS ? flow->meters_out : 0;", ["e2e/test_caps.py::ingress_udp_to_the_byte",
                                                                     "e2e/test_caps.py::ingress_tcp"]),
    Mutant("4: windows roll over in the kernel", "bpf/meters.h", "next = utc_ns / per_ns;", "next = window;",
           ["e2e/test_caps.py::windows_roll_over"]),
    Mutant("4: headers of each segment count", "bpf/parse.h", "view->payload = (__u16)headers;\n\t\tbreak;\n\t}\n\tcase IPPROTO_UDP",
           "view->payload = (__u16)headers;\n\t\theaders = 0;\n\t\tbreak;\n\t}\n\tcase IPPROTO_UDP", [PACKET]),
    Mutant("4: what a refused packet took is given back", "bpf/meters.h",
           "if (conf->kind != EG_METER_BYTES)\n\t\treturn;\n\tfor", "if (conf->kind != EG_METER_RATE)\n\t\treturn;\n\tfor", ["e2e/test_caps.py::charged_to_none"]),
    Mutant("4: a cap's kill is latched", "bpf/verdict.h", "return app->state.auto_kill > app->ctl.auto_cleared;", "return false;",
           [PACKET, "e2e/test_caps.py::kill_makes_a_hold"]),
    Mutant("4: usage outlives a reboot", "agent/core/apply.c", "eg_usage_seed(agent->usage, entry->name, metered, &seed);", "",
           ["e2e/test_caps.py::usage_survives"]),

    # ---- Invariant 5: kill is one store
    Mutant("5: the kill word is looked at", "bpf/verdict.h",
           "\t    ((__u32)word != EG_HOLD_CONTROL || clock->boot_ns >= app->ctl.override_until_boot_ns))\n\t\treturn true;",
           "\t    0)\n\t\treturn true;",
           [PACKET, "e2e/test_kill.py::everything_is_refused"]),
    Mutant("5: kill --all is looked at", "bpf/verdict.h", "if (*(volatile const __u64 *)&host->kill_all) {", "if (0) {",
           [PACKET, "e2e/test_kill.py::test_all"]),
    Mutant("5: the word is stored", "agent/core/registry.c", "now = EG_KILL_WORD(entry->gen, (had & ~clear) | set);",
           "now = EG_KILL_WORD(entry->gen, had & ~clear);", ["e2e/test_kill.py::everything_is_refused"]),
    Mutant("5: a kill waits for no app's CPU", "agent/core/urgent.c", "return be(SCHED_RR,", "return be(SCHED_RR + 100,",
           ["e2e/test_kill.py::way_to_its_word_is_urgent"]),
    Mutant("5: live sockets are reset", "agent/core/kill.c", "\tcut_targets(agent, targets, req->which.all, &notes, &result->cut);\n",
           "", ["e2e/test_kill.py::live_tcp_is_reset"]),
    Mutant("5: a kill outlives the agent", "agent/core/registry.c",
           "change_word(agent, entry, 0, eg_holds_layers(agent->holds, entry->name));",
           "change_word(agent, entry, ~0u, 0);", ["e2e/test_kill.py::survives_a_reboot"]),
    Mutant("5: a policy lifts no kill", "agent/core/apply.c",
           "__atomic_and_fetch(&ctl->flags, ~EG_APP_DELETED, __ATOMIC_SEQ_CST);\n\tif",
           "__atomic_and_fetch(&ctl->flags, ~EG_APP_DELETED, __ATOMIC_SEQ_CST);\n\tctl->kill = 0;\n\tif",
           ["e2e/test_kill.py::a_policy_change_lifts_nothing"]),
    Mutant("5: audit does not weaken it", "bpf/verdict.h", "\tif (eg_killed(app, clock)) {\n",
           "\tif (eg_killed(app, clock) && !app->ctl.relax_until_boot_ns) {\n", [PACKET]),
    Mutant("5: an override has an end", "bpf/verdict.h", "|| clock->boot_ns >= app->ctl.override_until_boot_ns", "|| !app->ctl.override_until_boot_ns",
           [PACKET]),
    Mutant("5: an override passes over the control plane's kill alone", "bpf/verdict.h", "((__u32)word != EG_HOLD_CONTROL ||", "(0 ||",
           [PACKET]),

    # ---- Invariant 6: enforcement does not need the agent
    Mutant("6: expiry is the kernel's", "bpf/verdict.h",
           "if (clock->utc_ns >= ruleset->expires_utc_ns || app->state.expired_uid == ruleset->uid) {",
           "if (app->state.expired_uid == ruleset->uid) {", [PACKET, "e2e/test_lifecycle.py::expiry_without_the_agent"]),
    Mutant("6: expiry is latched", "bpf/verdict.h", "|| app->state.expired_uid == ruleset->uid) {", ") {", [PACKET]),
    Mutant("6: an upgrade swaps the programs", "agent/core/kern_pins.c", "if (info.id == program_id)", "if (1)",
           ["e2e/test_programs.py::not_as_it_would_be_loaded"]),
    Mutant("6: programs of other maps are not adopted", "agent/core/kern_programs.c",
           "if (!is_pinned(ids[i], maps, count) && !is_own(ids[i], maps, count))", "if (0)",
           ["e2e/test_programs.py::not_as_it_would_be_loaded"]),
    Mutant("6: a restart adopts what is pinned", "agent/core/apply.c", "if (!entry->now && is_in_force(agent, entry, compiled)) {",
           "if (0) {", ["e2e/test_lifecycle.py::nothing_changes_on_a_restart"]),

    # ---- Invariant 7: the log adds up
    Mutant("7: event numbers have no holes", "bpf/events.h", "return __sync_fetch_and_add(&app->state.event_seq, 1) + 1;",
           "return __sync_fetch_and_add(&app->state.event_seq, 2) + 1;", ["e2e/test_events.py::no_holes"]),
    Mutant("7: what passes is counted", "bpf/settled.h", "\teg_flow_count(&sock->who, flow, &view, dir, clock.boot_ns);\n\treturn EG_PASS;\n}\n\n/* For",
           "\treturn EG_PASS;\n}\n\n/* For", ["e2e/test_events.py::add_up_to"]),
    Mutant("7: losses are told", "agent/core/event_writer.c",
           "\tr = eg_losses_collect(w->config.losses, w->config.slots_used(w->config.ctx), tell_loss, w);\n", "\tr = 0;\n",
           ["e2e/test_events.py::rings_overflow"]),
    Mutant("7: a lost flow's bytes are summed", "bpf/events.h", "\teg_add(&loss->bytes_out, rest.bytes_out);\n", "",
           ["e2e/test_events.py::rings_overflow"]),

    # ---- Invariant 8: no app crowds another out of the log
    Mutant("8: events have a budget", "bpf/events.h", "if (next - now > host->event_burst_ns)\n\t\treturn false;", "",
           [PACKET, "e2e/test_events.py::a_flood_is_suppressed"]),
    Mutant("8: noise from outside has a budget of its own", "bpf/events.h",
           "budget == EG_BUDGET_NOISE ? &app->state.noise_ns : &app->state.budget_ns", "&app->state.budget_ns",
           ["e2e/test_events.py::a_scan_from_outside"]),
    Mutant("8: an app can't hide its cap", "bpf/meters.h", "event = eg_event_begin(who, false, EG_BUDGET_NONE, &cause);",
           "event = eg_event_begin(who, false, EG_BUDGET_OWN, &cause);", [LIMITS, "e2e/test_notices.py::hide_its_cap"]),

    # ---- Invariant 9: no app harms another
    Mutant("9: UDP peers have a quota", "bpf/peer.h", "if (__sync_fetch_and_add(&app->state.peers, 1) >= host->peers_max) {",
           "if (__sync_fetch_and_add(&app->state.peers, 1) < 0) {", ["e2e/test_isolation.py::udp_peers"]),
    Mutant("9: grants are an app's own", "bpf/verdict.h", "\ts->grant_key.app = ask->app;\n", "\ts->grant_key.app = 1;\n",
           ["e2e/test_names.py::one_apps_answer"]),

    # ---- Rules
    Mutant("reason no_rule", "bpf/verdict.h", "ret->reason = ask->loopback ? EG_REASON_LOOPBACK : EG_REASON_NO_RULE;",
           "ret->reason = ask->loopback ? EG_REASON_LOOPBACK : EG_REASON_NONE;", [PACKET]),
    Mutant("reason no_rule_port", "bpf/verdict.h", "\t\tret->reason = EG_REASON_NO_RULE_PORT;\n\telse", "\t\tret->reason = 0;\n\telse",
           [PACKET]),
    Mutant("reason no_ingress_rule", "bpf/verdict.h", "ret->reason = EG_REASON_NO_INGRESS_RULE;", "ret->reason = 0;",
           [PACKET, "e2e/test_allow_deny.py::ingress_unset"]),
    Mutant("reason loopback", "bpf/verdict.h", "ask->loopback ? EG_REASON_LOOPBACK : EG_REASON_NO_RULE",
           "ask->loopback ? EG_REASON_NONE : EG_REASON_NO_RULE", ["e2e/test_allow_deny.py::own_loopback",
                                                                  "e2e/test_allow_deny.py::nobody_else_gets_in"]),
    Mutant("reason guardrail", "bpf/verdict.h", "\t\t\tret->reason = EG_REASON_GUARDRAIL;\n", "\t\t\tret->reason = EG_REASON_NONE;\n",
           ["e2e/test_guardrails.py::what_is_always_denied"]),
    Mutant("guardrails hold in audit mode", "bpf/verdict.h", "return relaxed && reason != EG_REASON_GUARDRAIL;", "return relaxed;",
           ["e2e/test_guardrails.py::what_is_always_denied"]),
    Mutant("guardrails beat every rule", "agent/core/compile_span.c", "\tif (rule == EG_RULE_GUARDRAIL)\n\t\treturn 0;\n",
           "\tif (rule == EG_RULE_GUARDRAIL)\n\t\treturn 1u << 20;\n", ["unit/test_compile_random"]),
    Mutant("a longer prefix carries the shorter one's services", "agent/core/compile_prefix.c",
           "node = pass->depth ? pass->stack[pass->depth - 1].node : EG_RULE_TREE_ROOT;", "node = EG_RULE_TREE_ROOT;",
           ["unit/test_compile_random"]),
    Mutant("the rule search finds the interval", "bpf/rules.h", "} else if (lo > match->hi) {", "} else if (lo >= match->hi) {", [PACKET]),
    allow("bpf/bind.bpf.c", "BIND_PORT", "e2e/test_allow_deny.py::bind_needs"),
    allow("bpf/bind.bpf.c", "BIND_DNS", "e2e/test_allow_deny.py::bind_to_53"),
    allow("bpf/socket.bpf.c", "RAW_SOCKET", "e2e/test_allow_deny.py::raw_sockets_and_odd"),
    Mutant("reason protocol", "bpf/socket.bpf.c", "IPPROTO_ICMPV6)\n\t\t\treturn EG_REASON_NONE;\n\t\treturn EG_REASON_PROTOCOL;",
           "IPPROTO_ICMPV6)\n\t\t\treturn EG_REASON_NONE;\n\t\treturn EG_REASON_NONE;",
           ["vm/6.1"]),  # which has UDP-Lite

    # ---- Packets
    allow("bpf/parse.h", "FRAGMENT", PACKET, keep="if (!fragments || ip->frag_off & bpf_htons(EG_IP_OFFSET_MASK))\n\t\t\t"),
    Mutant("reason ext_header: source routes", "bpf/parse.h", "if (*byte == EG_IPOPT_LSRR || *byte == EG_IPOPT_SSRR)", "if (0)",
           ["e2e/test_hostile.py::source_route"]),
    Mutant("reason ext_header: routing headers", "bpf/parse.h", "\t\tcase IPPROTO_ROUTING:\n\t\t\treturn EG_REASON_EXT_HEADER;\n",
           "\t\tcase IPPROTO_ROUTING:\n\t\t\tbreak;\n", [PACKET]),
    Mutant("reason netns_admin", "agent/core/nsadmin.c", "bool refused = sight->refused && !subject->may, changed = false;",
           "bool refused = false, changed = false;", ["e2e/test_guard.py::a_tun_is_refused"]),
    Mutant("reason netns_guard", "bpf/guard.bpf.c", "\treturn eg_guard_ip(skb, &c, &view, malformed, dir);\n",
           "\treturn malformed == 255 ? eg_guard_ip(skb, &c, &view, malformed, dir) : EG_TC_PASS;\n", [GUARD]),

    # ---- Limits
    Mutant("reason rate_egress", "bpf/meters.h", "if (next - now > burst_ns)\n\t\t\treturn EG_TAKE_DENIED;", "",
           ["e2e/test_caps.py::egress_rate"]),
    Mutant("reason new_flows", "bpf/judge.h", "if (dir != EG_DIR_EGRESS || !verdict->meters_flows)", "if (1)",
           ["e2e/test_caps.py::new_flows"]),

    Mutant("reason family", "bpf/lsm.bpf.c", "if (eg_family_is_seen((__u32)args[0]) || (__u32)args[3])", "if (1)",
           ["vm/6.12-lsm"]),

    # ---- Names
    Mutant("reason dns_name", "bpf/ask.h", "\t\treturn EG_REASON_DNS_NAME;\n", "\t\treturn EG_REASON_NONE;\n",
           ["e2e/test_names.py::another_name_never_leaves"]),
    Mutant("reason dns_type", "bpf/ask.h", "? EG_REASON_NONE : EG_REASON_DNS_TYPE;", "? EG_REASON_NONE : EG_REASON_NONE;",
           ["e2e/test_names.py::types_are_the_policys"]),
    Mutant("reason dns_rate", "bpf/judge.h", "if (reason == EG_REASON_NONE && dir == EG_DIR_EGRESS && rule == EG_RULE_DNS && c->ruleset->meters_dns)",
           "if (0)", ["e2e/test_names.py::test_rate"]),
    Mutant("reason dns_unasked: only answers to a question", "bpf/learn.h",
           "if (reason == EG_REASON_NONE && !eg_dns_was_asked(skb, s, view, &head))", "if (0)",
           ["e2e/test_names_attacks.py::unasked_answers", "e2e/test_names_attacks.py::forged_answers"]),
    Mutant("an answer has the question's id", "bpf/learn.h", "if (!q->name_hash || q->id != s->question.id ||", "if (!q->name_hash ||",
           ["e2e/test_names_attacks.py::forged_answers"]),
    Mutant("an answer comes from the resolver that was asked", "bpf/learn.h",
           "q->id != s->question.id || !eg_addr_equal(&q->resolver, &s->question.resolver) ||", "q->id != s->question.id ||",
           ["e2e/test_names_attacks.py::another_resolver"]),
    Mutant("reason dns_shortage: no answer without its grant", "bpf/learn.h",
           "reason = s->harvest.shortage ? EG_REASON_DNS_SHORTAGE : EG_REASON_NONE;", "reason = EG_REASON_NONE;",
           ["e2e/test_names.py::no_answer_without"]),
    Mutant("what is looked at arrives so: one datagram", "bpf/look.h", "return view->packets > 1 || !eg_pages_are_none(skb);",
           "return false;", ["e2e/test_data_twice.py::segment_of_its_own", "e2e/test_data_twice.py::in_the_queue"]),
    Mutant("what is looked at arrives so: no urgent byte", "bpf/look.h", "view->tcp_flags & EG_TCP_URG || shared;", "shared;",
           ["e2e/test_data_twice.py::hello_out_of_band", "e2e/test_data_twice.py::question_out_of_band"]),
    Mutant("what is looked at arrives so: no pages of the app's", "bpf/look.h", "EG_TCP_URG || shared;", "EG_TCP_URG;",
           ["e2e/test_data_twice.py::sent_again"]),
    Mutant("what is looked at arrives so: not the app's own answers", "bpf/socket.bpf.c", "if (eg_netns_is_nested())", "if (0)",
           ["e2e/test_names_namespaces.py::ones_own"]),
    Mutant("reason dns_private", "bpf/learn.h", "\t\tif (!span || !span->count) {\n", "\t\tif (0) {\n",
           ["e2e/test_names_attacks.py::not_public"]),
    Mutant("reason no_grant: a grant is needed", "bpf/verdict.h", "\telse if (ret->reason == EG_REASON_NO_RULE && s->look.granted)",
           "\telse if (ret->reason == EG_REASON_NO_RULE)\n\t\tret->reason = EG_REASON_NONE;\n\telse if (ret->reason == EG_REASON_NO_RULE && s->look.granted)",
           ["e2e/test_names.py::no_rule_and_no_grant"]),
    Mutant("reason grant_expired", "bpf/grant.h", "if (*(volatile __u64 *)&grant->expires_boot_ns <= s->look.now_ns) {", "if (0) {",
           ["e2e/test_names.py::end_of_a_grant"]),
    Mutant("reason dns_malformed: nothing rides on a query", "bpf/ask.h", "if (s->hint.result == EG_REASON_NONE && s->hint.at != skb->len) {",
           "if (0) {", ["e2e/test_names_attacks.py::two_queries or no_plain_query or two_segments"]),

    # ---- First data
    Mutant("reason sni_denied", "bpf/first.h", "\t\treturn EG_REASON_SNI_DENIED;\n", "\t\treturn EG_REASON_NONE;\n",
           ["e2e/test_first_data.py::other_first_data"]),
    Mutant("reason sni_missing", "bpf/first.h", "\t\treturn EG_REASON_SNI_MISSING;\n", "\t\treturn EG_REASON_NONE;\n",
           ["e2e/test_first_data.py::other_first_data"]),
    Mutant("reason hello_missing", "bpf/first.h", "\tdefault:\n\t\treturn EG_REASON_HELLO_MISSING;\n", "\tdefault:\n\t\treturn EG_REASON_NONE;\n",
           ["e2e/test_first_data.py::other_first_data"]),
    Mutant("reason hello_held", "bpf/first.h", "\tcase EG_HELLO_HELD:\n\t\treturn EG_REASON_HELLO_HELD;\n",
           "\tcase EG_HELLO_HELD:\n\t\treturn EG_REASON_NONE;\n", ["e2e/test_first_data.py::pieces", "e2e/test_first_data.py::other_first_data"]),
    Mutant("a change of policy looks at the name again", "bpf/judge.h",
           "\tif (flow->flags & EG_FLOW_VERIFY && !(flow->flags & EG_FLOW_LOOK) && verdict.reason == EG_REASON_NONE)\n",
           "\tif (0)\n", ["e2e/test_first_data.py::new_demand"]),

    # ---- Alerts, snapshots
    Mutant("alerts count what the app sent only", "agent/core/alerts.c", "&reasons.by[EG_DIR_EGRESS][reason];",
           "&reasons.by[EG_DIR_INGRESS][reason];", ["e2e/test_alerts.py::strangers or told_once"]),
    Mutant("an alert's kill kills", "agent/core/kill.c", "eg_registry_raise(agent, entry, EG_HOLD_AUTO);\n\tr = eg_holds_add(agent->holds, &hold, &already, &ticket);",
           "already = true;\n\tr = 0;\n\tticket = 0;\n\t(void)ticket;", ["e2e/test_alerts.py::a_kill_cuts"]),
]

# SPDX-License-Identifier: Apache-2.0
"""egret backup and restore-state: a host is lost, and its kills, policies and used caps are back on the next one."""
import os
import shutil

from harness import ALLOWED, cgroup, eventually, policy, rule

CAP = 10000


def test_a_host_that_is_lost(host, agent):
    host.serve([ALLOWED], 443)
    capped = host.app(policy("capped", [rule(ALLOWED, 443)],
                             limits={"egress": {"bytes": CAP, "per": "31d", "action": "drop"}}))
    killed = host.app(policy("killed", [rule(ALLOWED, 443)]))
    agent.put(policy("killed", [rule(ALLOWED, 443)], cgroups=host.glob_of("killed"), purpose="another revision"))
    agent.kill("killed", reason="drill", ticket="INC-7")
    capped.connect("c", ALLOWED, 443)
    assert capped.ask("c") == "ping"
    revision, history = agent.get("/v1/policies/capped"), agent.get("/v1/policies/killed/history")
    assert len(history["revisions"]) == 2
    backup = os.path.join(host.directory, "backup.tar.gz")

    def written_down():
        with open(os.path.join(agent.state_dir, "usage"), encoding="ascii") as usage:
            return "capped " in usage.read()

    eventually(written_down, what="the checkpoint of what was used")

    # With the agent running it is made, but not restored.
    status, out, error = agent.cli("backup", backup)
    assert (status, error) == (0, "") and "2 pushed policies, " in out and "the kills" in out
    status, _, error = agent.cli("restore-state", backup, "--state-dir", agent.state_dir)
    assert status == 7 and "stop it first" in error

    # The host is gone: maps, state, log.
    agent.kill9()
    agent.wipe_pins()
    shutil.rmtree(agent.state_dir)
    shutil.rmtree(agent.log_dir)
    status, out, error = agent.cli("restore-state", backup, "--state-dir", agent.state_dir)
    assert (status, error) == (0, "") and "start egretd" in out
    agent.start()
    assert agent.get("/v1/policies/capped") == revision
    assert agent.app("killed")["state"] == "killed"
    assert agent.get("/v1/policies/killed/history") == history
    (hold,) = agent.app("killed")["holds"]
    assert (hold["reason"], hold["ticket"]) == ("drill", "INC-7")
    for app in ("capped", "killed"):
        host.tagged(app)
    assert killed.fails("connect", "k", ALLOWED, 443) == "EPERM"

    # What was used since the backup isn't known, so the window counts as used up.
    before = host.wire("in", dst=ALLOWED)
    assert capped.fails("connect", "after", ALLOWED, 443, timeout=2) in ("EPERM", "ETIMEDOUT", "timed out")
    assert host.wire("in", dst=ALLOWED) == before
    assert agent.app("capped")["caps"][0]["used"] >= CAP
    agent.event(type="deny", app="capped", reason="cap_egress")

    # A kill made after the backup outlives another restore of it.
    agent.kill("capped", reason="since")
    agent.stop()
    assert agent.cli("restore-state", backup, "--state-dir", agent.state_dir)[0] == 0
    agent.start()
    assert agent.app("capped")["state"] == agent.app("killed")["state"] == "killed"
    assert cgroup.populated(host.root)

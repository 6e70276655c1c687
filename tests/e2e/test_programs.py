# SPDX-License-Identifier: Apache-2.0
"""Which programs a restart takes up, and when it loads its own."""
import json
import os
import shutil
import subprocess

import pytest

from harness import ALLOWED, DENIED, Host, policy, rule


def bpftool(*arguments):
    done = subprocess.run(["bpftool", "-j", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout) if done.stdout.strip() else None


def builds(agent):
    return os.listdir(f"{agent.bpffs}/programs")


def pinned(agent):
    """Ids of the pinned programs, by name."""
    (build,) = builds(agent)
    directory = f"{agent.bpffs}/programs/{build}"
    return {name: bpftool("prog", "show", "pinned", f"{directory}/{name}")["id"] for name in os.listdir(directory)}


def attached(agent):
    """Ids of the programs that the root's links hold, by name."""
    (root,) = os.listdir(f"{agent.bpffs}/links")
    directory = f"{agent.bpffs}/links/{root}"
    return {name: bpftool("link", "show", "pinned", f"{directory}/{name}")["prog_id"] for name in os.listdir(directory)}


@pytest.fixture(scope="module")
def host():
    """One for all: each test leaves an agent that runs, with its own programs."""
    with Host() as made:
        made.agent.start()
        made.serve([ALLOWED, DENIED], 443)
        made.web = made.app(policy("web", [rule(ALLOWED, 443, id="web")]))
        yield made


@pytest.fixture
def agent(host):
    return host.agent


@pytest.fixture
def web(host):
    """It is let through and refused all the while that a test runs, whatever becomes of the agent."""
    app = host.web
    app.flood_ask("live", ALLOWED, 443)
    app.flood_connect("connects", ALLOWED, 443, "hello", reset=True)
    app.flood_udp("denied", DENIED, 443)
    yield app
    assert set(app.flood_stop("live")) == {"ok"}
    assert set(app.flood_stop("connects")) == {"ok"}
    assert set(app.flood_stop("denied")) == {"EPERM"}
    host.unseen(DENIED)


def in_order(agent):
    """What is attached is what is pinned, under the build's own name, and what is attached nowhere answers."""
    programs, links = pinned(agent), attached(agent)
    assert links == {name: programs[name] for name in links}
    assert len(links) >= 12  # BPF LSM has one more, where it works
    assert set(programs) - set(links) == {"eg_guard_out", "eg_guard_in", "eg_explain", "eg_learn", "eg_reap"}
    assert [agent.explain("web", f"{address}:443")["verdict"] for address in (ALLOWED, DENIED)] == ["allow", "deny"]
    assert agent.status()["enforcement_ok"] is True
    return programs


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_the_same_build_stays(agent, web, end):
    before, (build,) = in_order(agent), builds(agent)
    denials = agent.count("web", "no_rule")
    getattr(agent, end)()
    agent.start()
    assert in_order(agent) == before and builds(agent) == [build]
    assert agent.count("web", "no_rule") >= denials > 0


def replace(agent, name, other):
    (build,) = builds(agent)
    path = f"{agent.bpffs}/programs/{build}/{name}"
    os.unlink(path)
    if other:
        bpftool("prog", "pin", "id", str(other), path)


def no_build(agent):
    shutil.rmtree(f"{agent.bpffs}/programs")


def half_a_build(agent):
    (build,) = builds(agent)
    os.rename(f"{agent.bpffs}/programs/{build}", f"{agent.bpffs}/programs/draft")


def one_missing(agent):
    replace(agent, "eg_learn", None)


def another_program(agent):
    replace(agent, "eg_bind4", pinned(agent)["eg_bind6"])


def another_kind_of_program(agent):
    replace(agent, "eg_explain", pinned(agent)["eg_sockops"])


def another_map(agent):
    """Of the same shape: the pinned programs go on with the old one."""
    path = f"{agent.bpffs}/maps/losses"
    old = bpftool("map", "show", "pinned", path)
    os.unlink(path)
    bpftool("map", "create", path, "type", old["type"], "key", str(old["bytes_key"]), "value", str(old["bytes_value"]),
            "entries", str(old["max_entries"]), "name", "losses")


@pytest.mark.parametrize("change", [
    "another_build", no_build, half_a_build, one_missing, another_program, another_kind_of_program, another_map,
])
def test_what_is_not_as_it_would_be_loaded_is_loaded(agent, web, change):
    """Every program is another one then, and the pins are in order again."""
    before, (build,) = in_order(agent), builds(agent)
    agent.kill9()
    change(agent) if callable(change) else getattr(agent, change)()
    agent.start()
    after = in_order(agent)
    assert builds(agent) == [build]
    assert not set(before.values()) & set(after.values())
    agent.restart()
    assert in_order(agent) == after


def test_a_link_that_is_missing_is_made(host, agent):
    programs = in_order(agent)
    agent.kill9()
    (root,) = os.listdir(f"{agent.bpffs}/links")
    os.unlink(f"{agent.bpffs}/links/{root}/eg_connect4")
    agent.start()
    assert in_order(agent) == programs
    assert host.web.fails("connect", "denied", DENIED, 443) == "EPERM"
    assert agent.event(type="deny", app="web", dst=DENIED, hook="connect")["reason"] == "no_rule"


def test_detach_all_leaves_nothing(host, agent):
    agent.stop()
    assert agent.detach_all()[0] == 0
    assert not os.path.exists(agent.bpffs)
    host.web.connect("free", DENIED, 443)
    assert host.web.ask("free") == "ping"

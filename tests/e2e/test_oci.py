# SPDX-License-Identifier: Apache-2.0
"""egret oci-hook under real runtimes: a container is its app's before its first instruction, or does not start."""
import json
import os
import shutil
import subprocess

import pytest

from harness import ALLOWED, DENIED, cgroup, policy, rule
from harness.agent import EGRET
from harness.net import Network

# The runtimes look for cgroup2 at /sys/fs/cgroup only, where this host may have version 1.
ENTER = 'mount --make-rprivate / && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
TALK = f"echo ping | nc -w 5 {ALLOWED} 443; echo ping | nc -w 2 {DENIED} 443; echo end"


class Bundle:
    """A container of busybox, in the app's network namespace and below the managed root."""

    def __init__(self, host, runtime, name, annotations=None, arguments=(), socket=None, path=None):
        self.host, self.runtime, self.name = host, runtime, f"{host.name}-{name}"
        self.directory = os.path.join(host.directory, name)
        self.cgroup = f"{path or host.root}/{name}.scope"
        rootfs = os.path.join(self.directory, "rootfs")
        for place in ("bin", "proc", "dev"):
            os.makedirs(os.path.join(rootfs, place))
        shutil.copy("/bin/busybox", os.path.join(rootfs, "bin"))
        for applet in ("sh", "nc", "echo"):
            os.symlink("busybox", os.path.join(rootfs, "bin", applet))
        hook = {"path": EGRET, "args": ["egret", "--socket", socket or host.agent.socket, "oci-hook", *arguments]}
        kinds = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "cgroup")]
        self.config = {
            "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "box",
            "process": {"cwd": "/", "args": ["/bin/sh", "-c", TALK], "env": ["PATH=/bin"],
                        "user": {"uid": 1000, "gid": 1000}, "noNewPrivileges": True,
                        "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted")}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
            "annotations": annotations or {},
            "hooks": {"createRuntime": [hook]},
            "linux": {"cgroupsPath": f"/{self.cgroup}",
                      "namespaces": [*kinds, {"type": "network", "path": Network.path(host.network.app)}]},
        }

    def run(self):
        with open(os.path.join(self.directory, "config.json"), "w", encoding="utf-8") as out:
            json.dump(self.config, out)
        command = ["unshare", "-m", "sh", "-c", ENTER, "sh", self.runtime, "--root", f"{self.directory}/state"]
        try:
            return subprocess.run([*command, "run", "--bundle", self.directory, self.name], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60, check=False)
        finally:
            subprocess.run([*command, "delete", "--force", self.name], capture_output=True, timeout=60, check=False)
            cgroup.remove(self.cgroup)


@pytest.fixture(params=["runc", "crun"])
def runtime(request):
    return request.param


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, DENIED], 443)
    host.agent.put(policy("web", [rule(ALLOWED, 443)]))


def test_its_first_instruction_is_judged(host, agent, servers, runtime):
    done = Bundle(host, runtime, "ctr", {"egret.app": "web"}).run()
    assert done.returncode == 0 and done.stdout.split() == ["ping", "end"], (done.stdout, done.stderr)
    flow = agent.event(type="flow", app="web", phase="end", dst=ALLOWED)
    assert flow["cgroup"].endswith("ctr.scope") and flow["bytes_in"] > 0
    denied = agent.event(type="deny", app="web", dst=DENIED)
    assert denied["reason"] == "no_rule" and agent.count("web", "no_rule") == 1
    host.unseen(DENIED)


def test_without_the_agent_it_does_not_start(host, agent, servers, runtime):
    bundle = Bundle(host, runtime, "ctr", {"egret.app": "web"}, socket=os.path.join(host.directory, "nobody.sock"))
    done = bundle.run()
    assert done.returncode != 0 and done.stdout == "", (done.stdout, done.stderr)
    host.unseen(ALLOWED)
    assert not agent.log(type="flow")


def test_a_container_of_no_app(host, agent, servers, runtime):
    """It may start, and is denied; not if --require says so."""
    done = Bundle(host, runtime, "free").run()
    assert done.returncode == 0 and done.stdout.split() == ["end"], (done.stdout, done.stderr)
    assert agent.event(type="deny", reason="unknown_cgroup", dst=ALLOWED)["cgroup"].endswith("free.scope")
    host.unseen(ALLOWED)
    strict = Bundle(host, runtime, "strict", arguments=["--require"]).run()
    assert strict.returncode != 0 and strict.stdout == ""


def test_outside_of_the_managed_root_it_does_not_start(host, agent, servers, runtime):
    done = Bundle(host, runtime, "far", {"egret.app": "web"}, path=host.other_cgroup()).run()
    assert done.returncode != 0 and done.stdout == "", (done.stdout, done.stderr)


def state(worker, **more):
    return json.dumps({"ociVersion": "1.0.2", "id": "c1", "status": "created", "pid": worker.process.pid, **more})


def put_json(path, what):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(what, out)


def docker(host, number, labels, image):
    """What Docker keeps of a container with these labels, and of its image, which has those; None: is not there."""
    root = os.path.join(host.directory, "docker")
    put_json(f"{root}/containers/c{number}/config.v2.json",
             {"Config": {"Labels": labels}, "Driver": "overlay2", "Image": f"sha256:{number}abc"})
    if image is not None:
        put_json(f"{root}/image/overlay2/imagedb/content/sha256/{number}abc", {"config": {"Labels": image}})
    return root


def test_dockers_labels(host, agent, servers):
    """Docker tells the runtime nothing of labels, and keeps them beside the container."""
    worker = host.process(f"{host.root}/docker-c1.scope")
    status, _, stderr = agent.cli("oci-hook", "--require", "--docker-root", docker(host, 1, {"egret.app": "web"}, {}),
                                  text=state(worker))
    assert status == 0, stderr
    worker.connect("c", ALLOWED, 443)
    assert worker.ask("c") == "ping"
    assert any(path.endswith("docker-c1.scope") for path in agent.app("web")["cgroups"])


def podman(host, number, annotations, image, manager="libpod"):
    """The same of Podman, as (bundle, annotations)."""
    store = os.path.join(host.directory, "storage/overlay")
    put_json(f"{store}-containers/containers.json", [{"id": "c0", "image": "x"}, {"id": f"c{number}", "image": f"i{number}"}])
    bundle = f"{store}-containers/c{number}/userdata"
    annotations = {**annotations, "io.container.manager": manager}
    put_json(f"{bundle}/config.json", {"annotations": annotations})
    if image is not None:
        put_json(f"{store}-images/i{number}/manifest", {"annotations": image})
    return bundle, annotations


def test_an_image_chooses_no_app(host, agent, servers):
    """Its labels and annotations become the container's; whoever made it would choose another app's rights."""
    mine, theirs = {"egret.app": "web"}, {"egret.app": "other"}
    worker = host.process(f"{host.root}/ctr.scope")

    def hook(number, *arguments, **more):
        return agent.cli("oci-hook", *arguments, text=state(worker, **{**more, "id": f"c{number}"}))

    for number, (image, word) in enumerate(((mine, "says that it is app web"), (None, "can't be read")), 2):
        status, _, stderr = hook(number, "--docker-root", docker(host, number, mine, image))
        assert status == 1 and word in stderr, stderr
        bundle, annotations = podman(host, number, mine, image)
        for more in ({"annotations": annotations}, {}):
            status, _, stderr = hook(number, bundle=bundle, **more)
            assert status == 1 and word in stderr, stderr
    assert not agent.app("web")["cgroups"]
    assert worker.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.event(type="deny", reason="unknown_cgroup", dst=ALLOWED)
    for number, image in enumerate(({}, theirs), 4):  # said, or said otherwise, by whoever runs it
        bundle, _ = podman(host, number, mine, image)
        status, _, stderr = hook(number, bundle=bundle)
        assert status == 0, stderr
        status, _, stderr = hook(number, "--docker-root", docker(host, number, mine, image))
        assert status == 0, stderr
    bundle, _ = podman(host, 6, mine, None, manager="cri-o")  # takes none from images
    assert hook(6, bundle=bundle)[0] == 0


@pytest.mark.parametrize("text,word", [
    ("", "state of a container"), ("[]", "state of a container"), ("{\"pid\": 0}", "state of a container"),
    ("{\"pid\": 1, \"annotations\": {\"egret.app\": \"../x\"}}", "no app's name"),
    ("{\"pid\": 1, \"id\": \"../../etc\"}", "names no app"),
])
def test_what_is_no_state(agent, text, word):
    status, _, stderr = agent.cli("oci-hook", "--require", text=text)
    assert status != 0 and word in stderr

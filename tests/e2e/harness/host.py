# SPDX-License-Identifier: Apache-2.0
"""One test's host: namespaces, a managed root, an agent, servers that record, apps. Removal is total."""
import errno
import fcntl
import glob
import itertools
import os
import re
import shutil
import tempfile

from . import cgroup, memory
from .agent import Agent
from .net import Network, run
from .process import Worker
from .wait import eventually

BPFFS = "/sys/fs/bpf"
NAME = "egret-test"
FIRST_UID = 21000 + os.getpid() % 480 * 80  # others run tests beside these, and doctor looks at all processes

numbers = itertools.count(1)


def alive(pid):
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def sweep():
    """Removes what test runs left behind that were killed before they could clean up. One at a time does."""
    with open(os.path.join(tempfile.gettempdir(), f"{NAME}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep_locked()


def sweep_locked():

    def dead(path):
        found = re.match(rf"{NAME}-(\d+)-\d+", os.path.basename(path))
        return found and not alive(int(found.group(1)))

    for path in filter(dead, glob.glob(f"{BPFFS}/{NAME}-*")):
        shutil.rmtree(path, ignore_errors=True)
    for path in filter(dead, glob.glob(f"{cgroup.CGROUP2}/{NAME}-*")):
        cgroup.remove(os.path.basename(path))
    for path in filter(dead, memory.leftovers(NAME)):
        os.rmdir(path)
    for path in filter(dead, glob.glob(f"/run/netns/{NAME}-*")):
        run("ip", "netns", "del", os.path.basename(path))
    for path in filter(dead, glob.glob(f"{tempfile.gettempdir()}/{NAME}-*")):
        for disk in filter(os.path.ismount, glob.glob(f"{path}/*")):
            run("umount", "-l", disk)
        shutil.rmtree(path, ignore_errors=True)


class SmallDisk:
    """A filesystem of its own on a directory, which can be filled up."""

    SIZE = 4 << 20

    def __init__(self, directory):
        self.directory = directory
        self.ballast = os.path.join(directory, "ballast")
        os.makedirs(directory, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={self.SIZE},mode=0700", "tmpfs", directory)

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as out:
            try:
                while True:
                    out.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self):
        os.unlink(self.ballast)

    def remove(self):
        run("umount", "-l", self.directory)


class Host:
    """with Host() as host: ... Keys of the agent's configuration may be given.

    inside: the agent runs in a network namespace that holds the other end of the app's veth, as on a
    real host. Otherwise it runs where the tests do, and the veth leads past it.
    """

    def __init__(self, inside=False, **config):
        self.name = f"{NAME}-{os.getpid()}-{next(numbers)}"
        self.root = f"{self.name}.slice"
        self.bpffs = os.path.join(BPFFS, self.name)
        self.network = Network(self.name, host=inside)
        self.workers, self.agents, self.outside, self.disks = [], [], [], []
        self.config, self.directory, self.agent, self.server, self.capture = config, None, None, None, None
        self.uids = itertools.count(FIRST_UID)

    def __enter__(self):
        try:
            self.directory = tempfile.mkdtemp(prefix=f"{self.name}.")
            os.chmod(self.directory, 0o755)  # others try to use the socket
            self.network.make()
            self.agent = self.make_agent(**self.config)
            self.server = self.outsider(netns=self.network.server)
            self.capture = self.outsider(netns=self.network.server)
            self.capture.watch_wire("up0")
            return self
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_):
        self.remove()

    def make_agent(self, name=None, bpffs=None, root=None, **config):
        """An agent that is not started; `name` makes it another one, with directories of its own."""
        directory = self.directory if not name else os.path.join(self.directory, name)
        os.makedirs(directory, exist_ok=True)
        suffix = f"-{name}" if name else ""  # bpffs takes no dots
        netns = Network.path(self.network.host) if self.network.host else None
        agent = Agent(directory, bpffs or self.bpffs + suffix, root or self.root, netns=netns, **config)
        self.agents.append(agent)
        return agent

    def small_disk(self, directory):
        disk = SmallDisk(directory)
        self.disks.append(disk)
        return disk

    def memory_limit(self):
        """For the agent, from its next start on; no limit at first."""
        limit = memory.MemoryLimit(f"{self.name}.memory")
        self.disks.append(limit)
        self.agent.cgroups.append(limit.procs)
        return limit

    # ---- Processes -------------------------------------------------------------------------------

    def outsider(self, netns=None, cgroup_path=None):
        """A worker of root's, outside of the managed root unless a cgroup below it is named."""
        if cgroup_path:
            cgroup.make(cgroup_path)
        worker = Worker(
            cgroup=cgroup.full(cgroup_path) if cgroup_path else None,
            netns=Network.path(netns) if netns else None,
        )
        self.workers.append(worker)
        return worker

    def other_cgroup(self):
        """A cgroup beside the managed root."""
        path = f"{self.name}.other"
        self.outside.append(path)
        cgroup.make(path)
        return path

    def cgroup_of(self, app):
        return f"{self.root}/{app}.scope"

    def glob_of(self, app):
        """What a policy's `cgroups` must say so that host.app() finds it."""
        return [f"{self.root}/{app}.scope"]

    def process(self, path, uid=None, caps=(), comm="testapp", netns=None, files=None):
        """An unprivileged process in a cgroup, in the app namespace."""
        cgroup.make(path)
        worker = Worker(
            cgroup=cgroup.full(path), netns=Network.path(netns or self.network.app),
            uid=next(self.uids) if uid is None else uid, caps=caps, comm=comm, files=files,
        )
        self.workers.append(worker)
        return worker

    def app(self, policy=None, name=None, **process):
        """Applies the policy, makes the app's cgroup, waits until it is tagged, and starts a process in it."""
        name = name or policy["app"]
        if policy is not None:
            self.agent.put({"cgroups": self.glob_of(name), **policy})
        path = self.cgroup_of(name)
        cgroup.make(path)
        self.tagged(name, path)
        return self.process(path, **process)

    def tagged(self, name, path=None):
        """Waits until the agent says so."""
        path = path or self.cgroup_of(name)

        def look():
            app = self.agent.apps().get(name)
            return app and any(known.endswith(path) for known in app["cgroups"])

        eventually(look, what=f"the tag of {path}")

    # ---- What the servers saw ----------------------------------------------------------------------

    def wire(self, way="in", src=None, dst=None, proto=None, port=None):
        """[packets, IP bytes] that passed the server's device; port is the server's. "in" is from the app."""
        packets = size = 0
        for entry in self.capture.wire_tally():
            found, (count, length) = entry[:5], entry[5:]
            if all(want in (None, have) for want, have in zip((way, src, dst, proto, port), found)):
                packets += count
                size += length
        return packets, size

    def unseen(self, dst, proto=None, port=None):
        """Asserts that nothing came to a server's address (from anyone, neighbour discovery has others)."""
        packets, size = self.wire("in", dst=dst, proto=proto, port=port)
        assert (packets, size) == (0, 0), f"{packets} packets came to {dst}"

    def serve(self, addresses, port, protos=("tcp", "udp"), mode="echo"):
        for address in addresses:
            for proto in protos:
                self.server.serve(proto, address, port, mode)

    def file(self, name, text):
        """A file that every user can read; its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def received(self, proto, address, port):
        """Bytes of payload that the server there has read."""
        return sum(record["bytes"] for record in self.server.served(proto, address, port))

    # ---- The guard -----------------------------------------------------------------------------------

    def guard_filters(self, device="app0"):
        """What tc says of the device's filters, both directions."""
        return "".join(run("tc", "-n", self.network.host, "filter", "show", "dev", device, side)
                       for side in ("ingress", "egress"))

    def take_guard_off(self, device="app0"):
        """As somebody with the host's rights could; the agent puts it back."""
        for side in ("ingress", "egress"):
            run("tc", "-n", self.network.host, "filter", "del", "dev", device, side)

    # ---- The end -----------------------------------------------------------------------------------

    def remove(self):
        failures = []

        def attempt(function, *arguments):
            try:
                function(*arguments)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"{function.__name__}{arguments}: {error!r}")

        for worker in self.workers:
            attempt(worker.stop)
        for agent in self.agents:
            attempt(agent.destroy)
        for path in glob.glob(f"{self.bpffs}*"):
            attempt(shutil.rmtree, path)
        for path in {self.root, *(agent.root for agent in self.agents), *self.outside}:
            attempt(cgroup.remove, path)
        attempt(self.network.remove)
        for disk in self.disks:
            attempt(disk.remove)
        if self.directory:
            attempt(shutil.rmtree, self.directory)
        assert not failures, failures

# SPDX-License-Identifier: Apache-2.0
"""A cgroup that limits memory, the kernel's own included, by whichever version of cgroups has the controller."""
import errno
import glob
import os
import time

from .cgroup import CGROUP2


def mount():
    """(directory, is it cgroup v2); no directory where none can."""
    with open(f"{CGROUP2}/cgroup.controllers", encoding="ascii") as controllers:
        if "memory" in controllers.read().split():
            return CGROUP2, True
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup" and "memory" in fields[-1].split(","):
                return fields[4], False
    return None, False


class MemoryLimit:
    def __init__(self, name):
        top, self.second = mount()
        assert top, "no cgroup can limit memory here"
        if self.second:
            with open(f"{top}/cgroup.subtree_control", "w", encoding="ascii") as control:
                control.write("+memory")
        self.path = os.path.join(top, name)
        self.procs = os.path.join(self.path, "cgroup.procs")
        os.mkdir(self.path)

    def usage(self):
        with open(os.path.join(self.path, "memory.current" if self.second else "memory.usage_in_bytes"),
                  encoding="ascii") as usage:
            return int(usage.read())

    def used(self):
        """What is left when all that is only kept for later, files and names of them, had to go."""
        name, word = ("memory.reclaim", str(self.usage())) if self.second else ("memory.force_empty", "0")
        try:
            with open(os.path.join(self.path, name), "w", encoding="ascii") as reclaim:
                reclaim.write(word)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EBUSY):  # not all of it can go
                raise
        with open(os.path.join(self.path, "memory.stat"), encoding="ascii") as stat:
            values = dict(line.split() for line in stat)
        return self.usage() - int(values["file" if self.second else "cache"])

    def set(self, size=None):
        """None lifts it."""
        name, none = ("memory.max", "max") if self.second else ("memory.limit_in_bytes", "-1")
        with open(os.path.join(self.path, name), "w", encoding="ascii") as limit:
            limit.write(none if size is None else str(size))

    def hits(self):
        """How often something did not get what it asked for at once."""
        if self.second:
            with open(os.path.join(self.path, "memory.events"), encoding="ascii") as events:
                return int(dict(line.split() for line in events)["max"])
        with open(os.path.join(self.path, "memory.failcnt"), encoding="ascii") as count:
            return int(count.read())

    def remove(self):
        """Once what was in it has ended."""
        deadline = time.monotonic() + 10
        while True:
            try:
                return os.rmdir(self.path)
            except OSError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)


def leftovers(prefix):
    top, _ = mount()
    return glob.glob(f"{top}/{prefix}-*.memory") if top else []

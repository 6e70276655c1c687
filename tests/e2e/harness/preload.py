# SPDX-License-Identifier: Apache-2.0
"""Libraries that stand between a program and its host: a disk that stands still, a clock that is wrong."""
import os
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def build(name, directory):
    """The environment that preloads harness/NAME.c."""
    library = os.path.join(directory, f"{name}.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, f"{name}.c")], check=True)
    os.chmod(library, 0o755)
    # A program with the address sanitizer wants to come first.
    return {**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": "verify_asan_link_order=0"}


def tell(path, layout, number):
    """A number to a library that has the file mapped: in place."""
    with open(path, "r+b" if os.path.exists(path) else "wb") as out:
        out.write(struct.pack(layout, number))


class SlowDisk:
    """Syncs of files whose path has the word `files` in it wait while the disk stands still."""

    def __init__(self, directory, files=".spool"):
        self.gate = os.path.join(directory, "gate")
        self.env = {**build("slow_disk", directory), "SLOW_DISK": self.gate, "SLOW_DISK_FILES": files}

    def stall(self):
        with open(self.gate, "w", encoding="ascii"):
            pass

    def go_on(self):
        os.unlink(self.gate)


class WrongClock:
    def __init__(self, directory):
        self.path = os.path.join(directory, "ahead")
        self.set(0)
        self.env = {**build("wrong_clock", directory), "WRONG_CLOCK": self.path}

    def set(self, seconds):
        """Ahead of the right time."""
        tell(self.path, "q", seconds)


class NoInotify:
    """The user's inotify instances are used up, until they are free again."""

    def __init__(self, directory):
        self.gate = os.path.join(directory, "no-inotify")
        self.env = {**build("no_inotify", directory), "NO_INOTIFY": self.gate}
        with open(self.gate, "w", encoding="ascii"):
            pass

    def free(self):
        os.unlink(self.gate)


class NoMemory:
    """Of so many allocations one fails."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "no-memory")
        self.one_in(0)
        self.env = {**build("no_memory", directory), "NO_MEMORY": self.path}

    def one_in(self, number):
        """0: none."""
        tell(self.path, "I", number)

# SPDX-License-Identifier: Apache-2.0
"""The kernel's tables as they are pinned, read and written by bpftool."""
import json
import os
import subprocess


class Map:
    """One of them."""

    def __init__(self, agent, name):
        self.path = os.path.join(agent.bpffs, "maps", name)

    def run(self, *arguments):
        done = subprocess.run(["bpftool", "-j", "map", *arguments], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout or "null")

    def keys(self):
        return [bytes(int(byte, 16) for byte in entry["key"]) for entry in self.run("dump", "pinned", self.path)]

    def room(self):
        """How many entries it may have."""
        return self.run("show", "pinned", self.path)["max_entries"]

    def batch(self, lines):
        subprocess.run(["bpftool", "batch", "file", "-"], input="".join(lines), stdout=subprocess.DEVNULL, text=True,
                       timeout=60, check=True)

    def update(self, pairs):
        self.batch(f"map update pinned {self.path} key hex {key.hex(' ')} value hex {value.hex(' ')}\n"
                   for key, value in pairs)

    def delete(self, keys):
        self.batch(f"map delete pinned {self.path} key hex {key.hex(' ')}\n" for key in keys)

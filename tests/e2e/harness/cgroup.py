# SPDX-License-Identifier: Apache-2.0
"""Cgroups (v2), made and removed with all that lives in them."""
import ctypes
import os
import struct
import time

SYS_BPF = 321  # x86-64
BPF_PROG_LOAD, BPF_PROG_ATTACH, PROG_TYPE_SOCK_ADDR, INET4_CONNECT, ALLOW_MULTI = 5, 8, 18, 10, 2


def find_mount():
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2":
                return fields[4]
    raise RuntimeError("no cgroup2 is mounted")


CGROUP2 = find_mount()


def full(path):
    return os.path.join(CGROUP2, path)


def make(path):
    os.makedirs(full(path), exist_ok=True)


def cgroup_id(path):
    return os.stat(full(path)).st_ino


def pids(path):
    found = []
    for directory, _, _ in os.walk(full(path)):
        try:
            with open(os.path.join(directory, "cgroup.procs"), encoding="ascii") as procs:
                found += [int(line) for line in procs]
        except OSError:
            pass
    return found


def populated(path):
    with open(os.path.join(full(path), "cgroup.events"), encoding="ascii") as events:
        return "populated 1" in events.read()


def remove(path, timeout=10):
    """Kills what is inside, then removes the cgroup and all below. Nothing if it is not there."""
    if not os.path.isdir(full(path)):
        return
    deadline = time.monotonic() + timeout
    with open(os.path.join(full(path), "cgroup.kill"), "w", encoding="ascii") as kill:
        kill.write("1")
    while populated(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    for directory, _, _ in os.walk(full(path), topdown=False):
        while True:
            try:
                os.rmdir(directory)
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)


def attach_empty(path, kind, where):
    """A program of that type and attach type that lets everything through, beside others there are."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = struct.pack("=BBhi", 0xB7, 0, 0, 1) + struct.pack("=BBhi", 0x95, 0, 0, 0)  # return 1
    insns, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")

    def bpf(command, attr):
        result = libc.syscall(SYS_BPF, command, attr, len(attr))
        if result < 0:
            raise OSError(ctypes.get_errno(), f"bpf({command})")
        return result

    program = bpf(BPF_PROG_LOAD, struct.pack(
        "=IIQQIIQII16sII", kind, 2, ctypes.addressof(insns), ctypes.addressof(licence), 0, 0, 0, 0, 0,
        b"somebody", 0, where))
    directory = os.open(full(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bpf(BPF_PROG_ATTACH, struct.pack("=IIII", directory, program, where, ALLOW_MULTI))
    finally:
        os.close(directory)
        os.close(program)


def attach_connect4(path):
    """A program of somebody else's that sees connect() in that cgroup, and lets everything through."""
    attach_empty(path, PROG_TYPE_SOCK_ADDR, INET4_CONNECT)

# SPDX-License-Identifier: Apache-2.0
"""The initramfs: busybox, python, iproute2, our programs with their libraries, a kernel's modules.

Not compressed: copying is faster than unpacking in an emulated machine.
"""
import lzma
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(HERE)
PROGRAMS = ["egretd", "egret", "tests/bpf/test_parse_hello", "tests/bpf/test_parse_dns", "tests/bpf/fuzz_parsers"]
TOOLS = ["/usr/bin/python3", "/usr/sbin/ip", "/usr/sbin/tc"]
PYTHON = "/usr/lib/python3.11"
PYTHON_LEAVES_OUT = (
    "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "distutils", "pydoc_data", "turtledemo",
    "unittest", "xmlrpc", "sqlite3", "dbm", "curses", "asyncio", "multiprocessing", "config-3.11-x86_64-linux-gnu",
)
MODULES = [  # what is built in or not there is passed over
    "veth", "tun", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "mptcp_diag", "af_packet", "sch_ingress",
    "cls_bpf", "sch_fq_codel", "sch_fq", "ipv6", "bridge", "cls_u32", "act_pedit", "act_csum",
]
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}
DIRECTORIES = [
    "dev", "proc", "sys", "run", "tmp", "root", "var/lib", "var/log", "egret", "modules", "usr/bin", "usr/sbin",
]


class Missing(Exception):
    pass


def libraries_of(path):
    done = subprocess.run(["ldd", path], capture_output=True, text=True, timeout=60, check=False)
    if "not found" in done.stdout:
        raise Missing(f"{path} lacks a library: {done.stdout}")
    return re.findall(r"(/\S+)\s+\(0x", done.stdout)


def put(root, source, target=None):
    """Copies a file, under its own path unless another is given."""
    target = os.path.join(root, (target or source).lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.exists(target):
        shutil.copy2(os.path.realpath(source), target)


def put_libraries(root, paths):
    for library in {library for path in paths for library in libraries_of(path)}:
        put(root, library)
        # The C library loads it only when a thread ends, so nothing is linked with it.
        beside = os.path.join(os.path.dirname(library), "libgcc_s.so.1")
        if os.path.basename(library).startswith("libc.so") and os.path.exists(beside):
            put(root, beside)


def put_python(root):
    shutil.copytree(
        PYTHON, root + PYTHON, symlinks=False, ignore_dangling_symlinks=True,
        ignore=lambda _, names: [name for name in names if name in PYTHON_LEAVES_OUT],
    )
    dynload = os.path.join(PYTHON, "lib-dynload")
    put_libraries(root, [os.path.join(dynload, name) for name in os.listdir(dynload)])


def put_programs(root, build):
    for program in PROGRAMS:
        path = os.path.join(build, program)
        if not os.path.exists(path):
            raise Missing(f"{path} was not built")
        put(root, path, f"egret/build/{program}")
        put_libraries(root, [path])
    shutil.copytree(
        os.path.join(TREE, "tests/e2e/harness"), os.path.join(root, "egret/tests/e2e/harness"),
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for file in ("suite.py", "attacks.py"):
        put(root, os.path.join(HERE, file), f"egret/vmtests/{file}")


def put_modules(root, modules):
    """Those wanted and what they need, numbered in the order in which they are to be loaded."""
    needs, order = {}, []
    with open(os.path.join(modules, "modules.dep"), encoding="ascii") as dep:
        for line in dep:
            path, _, others = line.partition(":")
            needs[path.strip()] = others.split()
    for name in MODULES:
        for path in needs:
            if os.path.basename(path).split(".ko")[0].replace("-", "_") == name:
                order += [need for need in (*reversed(needs[path]), path) if need not in order]
    for number, path in enumerate(order):
        with open(os.path.join(modules, path), "rb") as file:
            data = file.read()
        if path.endswith(".xz"):
            data = lzma.decompress(data)
        name = os.path.basename(path).split(".ko")[0]
        with open(os.path.join(root, "modules", f"{number:02}-{name}.ko"), "wb") as out:
            out.write(data)


def fill(root, build, modules):
    for directory in DIRECTORIES:
        os.makedirs(os.path.join(root, directory))
    for name in ("bin", "sbin", "lib", "lib64"):  # as on Debian
        os.makedirs(os.path.join(root, "usr", name), exist_ok=True)
        os.symlink(f"usr/{name}", os.path.join(root, name))
    for path, text in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="ascii") as out:
            out.write(text)
    put(root, "/bin/busybox", "/usr/bin/busybox")
    for tool in TOOLS:
        put(root, tool)
    put_libraries(root, TOOLS)
    put_python(root)
    put_programs(root, build)
    put_modules(root, modules)
    put(root, os.path.join(HERE, "init"), "/init")


def make(build, modules, target):
    with tempfile.TemporaryDirectory(prefix="egret-vm-root.") as root:
        fill(root, build, modules)
        with open(target, "wb") as out:
            subprocess.run(
                "find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet",
                shell=True, cwd=root, stdout=out, check=True, timeout=120,
            )
    return target

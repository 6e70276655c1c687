# SPDX-License-Identifier: Apache-2.0
"""Debian's cloud kernels, from the archive that apt knows; kept in a cache once unpacked."""
import collections
import glob
import os
import re
import shutil
import subprocess
import tempfile

META = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
DOWNLOAD_S = 600

Kernel = collections.namedtuple("Kernel", "vmlinuz modules")


class Unavailable(Exception):
    pass


def run(*argv, cwd=None):
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def package_of(series):
    """The package that the meta package stands for today."""
    try:
        depends = run("apt-cache", "depends", META[series])
    except Unavailable:  # it knows nothing of that name
        depends = ""
    found = re.search(rf"Depends: (linux-image-{re.escape(series)}\.\S*cloud-amd64)", depends)
    if not found:
        raise Unavailable(f"apt knows no {META[series]}: its sources have to name Debian's security updates; then run "
                          "apt-get update")
    return found.group(1)


def unpack(series, into):
    package = package_of(series)
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=into)
    run("dpkg", "-x", *glob.glob(os.path.join(into, "*.deb")), os.path.join(into, "root"))
    release = os.listdir(os.path.join(into, "root/lib/modules"))[0]
    run("depmod", "-b", os.path.join(into, "root"), release)


def fetch(series, cache):
    """Kernel of the series, from the cache or the archive."""
    kept = os.path.join(cache, series)
    if not os.path.isdir(kept):
        os.makedirs(cache, exist_ok=True)
        draft = tempfile.mkdtemp(prefix=f".{series}.", dir=cache)
        try:
            unpack(series, draft)
            os.rename(os.path.join(draft, "root"), kept)
        except OSError as error:
            if not os.path.isdir(kept):  # else another run was faster
                raise Unavailable(f"{kept}: {error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    (vmlinuz,) = glob.glob(os.path.join(kept, "boot/vmlinuz-*"))
    (modules,) = glob.glob(os.path.join(kept, "lib/modules/*"))
    return Kernel(vmlinuz, modules)

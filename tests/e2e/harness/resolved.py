# SPDX-License-Identifier: Apache-2.0
"""systemd-resolved in the app's network namespace, as a host has it beside its apps.

The package is not installed (that would take over this machine's resolv.conf): it is unpacked below
the build directory, and the daemon runs in a mount namespace with a /run and users of its own.
"""
import glob
import os
import shutil
import subprocess
import tempfile

from .agent import BUILD

PACKAGES = ("systemd-resolved", "libsystemd-shared")
UID = 995  # any that is not root's
SETUP = f"""set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/resolve /run/systemd/netif/links /run/systemd/resolved.conf.d
printf '[Resolve]\\nDNS=%s\\nFallbackDNS=\\nLLMNR=no\\nMulticastDNS=no\\nDNSSEC=no\\nDNSOverTLS=no\\nCache=no\\n' "$1" \\
    >/run/systemd/resolved.conf.d/test.conf
echo 'systemd-resolve:x:{UID}:{UID}::/:/usr/sbin/nologin' >/run/passwd
echo 'systemd-resolve:x:{UID}:' >/run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
chown {UID}:{UID} /run/systemd/resolve
export LD_LIBRARY_PATH="$2/usr/lib/x86_64-linux-gnu/systemd" SYSTEMD_LOG_TARGET=console
exec "$2/lib/systemd/systemd-resolved"
"""


def unpacked():
    """Where the packages are, fetched once."""
    kept = os.path.join(BUILD, "e2e", "resolved")
    if not os.path.isdir(kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        draft = tempfile.mkdtemp(prefix=".resolved.", dir=os.path.dirname(kept))
        try:
            subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES],
                           cwd=draft, check=True, capture_output=True, timeout=300)
            for package in glob.glob(f"{draft}/*.deb"):
                subprocess.run(["dpkg", "-x", package, f"{draft}/root"], check=True, timeout=60)
            os.rename(f"{draft}/root", kept)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return kept


class Resolved:
    """with Resolved(host, upstream): its stub listens at STUB, port 53."""

    STUB = "127.0.0.53"

    def __init__(self, host, upstream):
        self.log = open(os.path.join(host.directory, "resolved.log"), "wb")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["ip", "netns", "exec", host.network.app, "unshare", "-m", "sh", "-c", SETUP, "sh", upstream, unpacked()],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()

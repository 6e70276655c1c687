# SPDX-License-Identifier: Apache-2.0
"""A machine of its own to install things on: systemd is its init, its files are this one's under a layer that is
thrown away. It has this kernel, network namespace and bpffs, and its cgroups are those below one of this machine's."""
import os
import signal
import subprocess

from . import cgroup
from .wait import eventually

# Nothing of this machine's own is started but the journal: udev and sysctl would reach through to it.
BOOT = r"""
set -eu
disk=$1/disk root=$1/machine
mount --make-rprivate /
mount -t tmpfs tmpfs "$disk"
mkdir "$disk/upper" "$disk/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount --bind /proc/sys "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount --bind /sys/fs/bpf "$root/sys/fs/bpf"
for directory in run tmp dev; do
	mount -t tmpfs tmpfs "$root/$directory"
done
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$root/dev/"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
rm -f "$root/usr/sbin/policy-rc.d"
rm -rf "$root"/etc/systemd/system/*.wants "$root"/lib/systemd/system/*.target.wants
mkdir "$root/etc/systemd/system/sockets.target.wants"
ln -s /lib/systemd/system/systemd-journald.socket "$root/etc/systemd/system/sockets.target.wants/"
exec chroot "$root" env -i container=other PATH=/usr/sbin:/usr/bin \
	/lib/systemd/systemd --system --unit=basic.target --show-status=no
"""


class Machine:
    """with Machine(host) as machine: ... Its cgroups are below the host's managed root, which no agent may manage."""

    def __init__(self, host):
        self.root = os.path.join(host.directory, "machine")
        self.disk = os.path.join(host.directory, "disk")
        self.cgroup = host.root
        os.mkdir(self.root)
        os.mkdir(self.disk)
        cgroup.make(self.cgroup)
        procs = os.open(os.path.join(cgroup.full(self.cgroup), "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
        self.unshare = subprocess.Popen(
            ["unshare", "--pid", "--mount", "--cgroup", "--uts", "--ipc", "--fork", "bash", "-c", BOOT, "bash",
             host.directory],
            preexec_fn=lambda: os.write(procs, b"0"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
        os.close(procs)

    def __enter__(self):
        try:
            eventually(self.runs, 60, "the machine's boot")
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        try:
            os.kill(self.init(), signal.SIGKILL)  # and with it everything in its PID namespace
        except (IndexError, ProcessLookupError):
            self.unshare.kill()
        self.unshare.wait(20)

    def init(self):
        with open(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children", encoding="ascii") as children:
            return int(children.read().split()[0])

    def path(self, path):
        """A file of the machine's, as it is reached from here."""
        return f"/proc/{self.init()}/root{path}"

    def try_run(self, *argv, timeout=60, **environment):
        """The finished process; its stdout has stderr, too."""
        enter = ["nsenter", "--target", str(self.init()), "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--root",
                 "--wd"]
        return subprocess.run(
            [*enter, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment}, timeout=timeout, check=False)

    def run(self, *argv, **more):
        done = self.try_run(*argv, **more)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def runs(self):
        assert self.unshare.poll() is None, "the machine did not come up"
        try:
            return self.try_run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")
        except (IndexError, FileNotFoundError):
            return False

    def journal(self):
        return self.try_run("journalctl", "--no-pager", "-n", "60", "-o", "cat").stdout

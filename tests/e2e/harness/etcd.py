# SPDX-License-Identifier: Apache-2.0
"""A real etcd in a namespace, with a data directory of its own, and etcdctl."""
import json
import os
import shutil
import signal
import subprocess

from .wait import eventually


class Etcd:
    def __init__(self, directory, netns, port=2379, tls=None, ports=None):
        """tls: {"ca", "cert", "key"} of the server, which then asks clients for theirs. ports: of all members."""
        self.directory, self.netns, self.port, self.tls, self.ports = directory, netns, port, tls, ports or [port]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.data = os.path.join(directory, "data")
        self.process, self.user = None, None
        os.makedirs(directory, exist_ok=True)

    def inside(self, *argv):
        return ["ip", "netns", "exec", self.netns, *argv]

    def start(self):
        self.spawn()
        eventually(self.healthy, 30, "etcd")

    def spawn(self):
        """Without waiting for it: members wait for each other."""
        assert not self.process
        peer = f"http://127.0.0.1:{self.port + 1}"
        members = ",".join(f"m{port}=http://127.0.0.1:{port + 1}" for port in self.ports)
        options = ["--name", f"m{self.port}", "--data-dir", self.data, "--listen-client-urls", self.url,
                   "--advertise-client-urls", self.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", members, "--log-level", "error", "--unsafe-no-fsync"]
        if self.tls:
            options += ["--cert-file", self.tls["cert"], "--key-file", self.tls["key"],
                        "--trusted-ca-file", self.tls["ca"], "--client-cert-auth"]
        with open(os.path.join(self.directory, "etcd.log"), "ab") as log:
            self.process = subprocess.Popen(
                self.inside("etcd", *options), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def healthy(self):
        return self.try_ctl("get", "health").returncode == 0

    def freeze(self):
        """Its connections stay, and nothing comes by them any more: as by a partition."""
        self.process.send_signal(signal.SIGSTOP)

    def stop(self):
        """As by a power cut."""
        if not self.process:
            return
        # `ip netns exec` becomes the program, so this is etcd itself
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, command, text=None, timeout=60):
        """(exit status, stdout, stderr) of a command beside it."""
        done = subprocess.run(self.inside(*command), input=text if text is not None else "", capture_output=True,
                              text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout, done.stderr

    # ---- etcdctl ---------------------------------------------------------------------------------

    def try_ctl(self, *arguments, text=None, timeout=10):
        options = ["--endpoints", self.url, "--command-timeout", "5s"]
        if self.user:
            options += ["--user", self.user]
        if self.tls:
            options += ["--cacert", self.tls["ca"], "--cert", self.tls["client_cert"], "--key", self.tls["client_key"]]
        return subprocess.run(
            self.inside("etcdctl", *options, *arguments), input=text if text is not None else "", capture_output=True,
            text=True, timeout=timeout, check=False, env={**os.environ, "ETCDCTL_API": "3"})

    def ctl(self, *arguments, text=None):
        done = self.try_ctl(*arguments, text=text)
        assert done.returncode == 0, f"etcdctl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def put(self, key, value):
        self.ctl("put", key, text=value if isinstance(value, str) else json.dumps(value))

    def delete(self, key, *more):
        self.ctl("del", key, *more)

    def get(self, key):
        """The value, or None."""
        text = self.ctl("get", key, "--print-value-only")
        return text.rstrip("\n") if text else None

    def revision(self):
        return json.loads(self.ctl("get", "x", "-w", "json"))["header"]["revision"]

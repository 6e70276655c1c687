# SPDX-License-Identifier: Apache-2.0
"""egretd with directories, socket and managed root of its own, and the ways to ask it."""
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

from . import events as event_log
from . import policy as policies
from .wait import eventually

TREE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
BUILD = os.path.join(TREE, os.environ.get("BUILD", "build"))  # an absolute BUILD wins
WITH_TSAN = os.path.basename(BUILD) == "thread"
SANITIZED = WITH_TSAN or os.path.basename(BUILD) == "sanitize"  # whose memory is no measure of ours
EGRETD = os.path.join(BUILD, "egretd")
EGRET = os.path.join(BUILD, "egret")
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")
START_S = 240  # an emulated machine beside others takes its time to verify the programs
CLONE_NEWNET = 0x40000000
STOP_S = 20
seen = set()  # what tests saw refuse something, as (where, why): the table of `make escape` is made of it


class ApiError(Exception):
    """An answer that is not 2xx; code is the stable one."""

    def __init__(self, status, answer):
        self.status, self.answer = status, answer
        error = answer.get("error", {}) if isinstance(answer, dict) else {}
        self.code, self.details = error.get("code"), error.get("details", [])
        super().__init__(f"{status} {self.code}: {error.get('message')} {self.details or ''}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Agent:
    def __init__(self, directory, bpffs, root, netns=None, **config):
        self.directory, self.bpffs, self.root, self.netns = directory, bpffs, root, netns
        self.socket = os.path.join(directory, "egret.sock")
        self.policy_dir = os.path.join(directory, "policies")
        self.state_dir = os.path.join(directory, "state")
        self.log_dir = os.path.join(directory, "log")
        self.config_file = os.path.join(directory, "egret.json")
        self.stderr_file = os.path.join(directory, "stderr")
        self.process = None
        self.program = EGRETD
        self.cgroups = []  # `cgroup.procs` of those that it starts in, beside ours
        os.makedirs(self.policy_dir, exist_ok=True)
        self.config = {
            "cgroup_root": {"path": root, "create": True},
            "policy_dir": self.policy_dir,
            "socket": self.socket,
            "bpffs": bpffs,
            "state_dir": self.state_dir,
            "log_dir": self.log_dir,
            "max_apps": 64,
            "max_rules": 8192,
            "host": "test-host",
            "events": {"ring": "4MiB", "priority_ring": "1MiB"},
        }
        self.configure(**config)

    def configure(self, **config):
        """Changes keys of the file; None removes one. Takes effect at the next start or reload."""
        self.config.update(config)
        self.config = {key: value for key, value in self.config.items() if value is not None}
        with open(self.config_file, "w", encoding="utf-8") as out:
            json.dump(self.config, out, indent=2)

    # ---- The process ---------------------------------------------------------------------------

    def enter(self):
        """In the child, before it becomes egretd."""
        if self.netns:
            namespace = os.open(self.netns, os.O_RDONLY | os.O_CLOEXEC)
            if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {self.netns}")
        for path in self.cgroups:
            with open(path, "w", encoding="ascii") as procs:
                procs.write("0")

    def spawn(self, *arguments, **popen):
        """egretd with its stderr appended to the log; not waited for."""
        with open(self.stderr_file, "ab") as log:
            return subprocess.Popen(
                [self.program, "--config", self.config_file, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.enter, **popen,
            )

    def start(self, *arguments, **popen):
        """Starts it and waits until it says that enforcement is on."""
        assert not self.process, "it runs already"
        self.process = self.spawn(*arguments, **popen)
        eventually(self.ready, START_S, "the agent's readiness")

    def ready(self):
        if self.process.poll() is not None:
            status, self.process = self.process.returncode, None
            raise RuntimeError(f"egretd exited with status {status}:\n{self.stderr()}")
        try:
            return self.get("/v1/status", timeout=5)["enforcement_ok"]
        except (OSError, http.client.HTTPException, ApiError):
            return False

    def run(self, *arguments, timeout=60, **popen):
        """egretd to its end: (exit status, stderr's lines, stdout)."""
        done = subprocess.run(
            [self.program, "--config", self.config_file, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
            preexec_fn=self.enter, **popen,
        )
        return done.returncode, done.stderr.splitlines(), done.stdout

    def stop(self):
        """SIGTERM; enforcement stays. It must exit with 0."""
        if not self.process:
            return
        self.process.terminate()
        process, self.process = self.process, None
        try:
            status = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
            raise AssertionError(f"egretd did not stop:\n{self.stderr()}") from None
        assert status == 0, f"egretd ended with {status}:\n{self.stderr()}"

    def kill9(self):
        self.process.kill()
        self.process.wait(STOP_S)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def detach_all(self):
        """Ends enforcement, as an operator would."""
        return self.run("--detach-all")

    def wipe_pins(self):
        """What a reboot does to bpffs: links and maps are gone. Only while the agent is down."""
        assert not self.process
        shutil.rmtree(self.bpffs, ignore_errors=True)

    def another_build(self):
        """The pinned programs become those of an egretd that was built otherwise. Only while the agent is down."""
        assert not self.process
        (build,) = os.listdir(f"{self.bpffs}/programs")
        os.rename(f"{self.bpffs}/programs/{build}", f"{self.bpffs}/programs/{'0' * len(build)}")

    def reboot(self):
        """The agent after a reboot: no pins, the state directory of before, another boot id is not feigned."""
        self.kill9()
        self.wipe_pins()
        self.start()

    def destroy(self):
        """Total removal; never raises for what is gone already, but for what a sanitizer said of it or its children."""
        if self.process:
            self.process.kill()
            self.process.wait(STOP_S)
            self.process = None
        if os.path.isdir(self.bpffs):
            try:
                self.detach_all()
            except (OSError, subprocess.SubprocessError):
                pass  # the pins go anyhow
        shutil.rmtree(self.bpffs, ignore_errors=True)
        said = self.stderr()
        assert "Sanitizer" not in said, said

    def stderr(self):
        try:
            with open(self.stderr_file, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    # ---- The API ---------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, text). body: an object, or text that is sent as it is."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def api(self, method, path, body=None, headers=None, timeout=60):
        """What it answers with 2xx; ApiError otherwise."""
        status, _, text = self.request(method, path, body, headers, timeout)
        answer = json.loads(text) if text.startswith(("{", "[")) else text
        if not 200 <= status < 300:
            raise ApiError(status, answer)
        return answer

    def get(self, path, timeout=60):
        return self.api("GET", path, timeout=timeout)

    def refused(self, method, path, body=None, headers=None):
        """The ApiError that it must answer with."""
        try:
            answer = self.api(method, path, body, headers)
        except ApiError as error:
            return error
        raise AssertionError(f"{method} {path} was accepted: {answer}")

    def request_as(self, user, group, groups, method, path, body=None):
        """(status, answer) that another user gets."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", CLIENT, self.socket, method, path],
            input=json.dumps(body) if body is not None else "", capture_output=True, text=True, timeout=60,
            check=True, user=user, group=group, extra_groups=groups,
        )
        status, text = json.loads(done.stdout)
        return status, json.loads(text) if status and text.startswith(("{", "[")) else text

    def put(self, policy, query="", headers=None):
        return self.api("PUT", f"/v1/policies/{policy['app']}{query}", policy, headers)

    def status(self):
        return self.get("/v1/status")

    def app(self, name):
        return self.get(f"/v1/apps/{name}")

    def apps(self, query=""):
        return {app["app"]: app for app in self.get(f"/v1/apps{query}")["apps"]}

    def count(self, name, reason, which="egress"):
        """How often the reason was given for the app: which is egress, ingress or audited."""
        found = self.app(name)["reasons"].get(reason, {}).get(which, 0)
        if found:
            seen.add(("counted", reason))
        return found

    def kill(self, name, **body):
        return self.api("POST", f"/v1/apps/{name}/kill", body)

    def restore(self, name, **body):
        return self.api("POST", f"/v1/apps/{name}/restore", body)

    def tag(self, cgroup, name):
        return self.api("POST", "/v1/tags", {"cgroup": cgroup, "app": name})

    def explain(self, app, dest, proto="tcp", direction="egress"):
        return self.get(f"/v1/explain?app={app}&dest={dest}&proto={proto}&direction={direction}")

    # ---- Policy files --------------------------------------------------------------------------------

    def policy_path(self, file):
        return os.path.join(self.policy_dir, file)

    def write_policy(self, made, file=None):
        """Puts the file in place whole, as a deployment tool would. made: a policy, or any text."""
        file = file or f"{made['app']}.json"
        text = made if isinstance(made, (str, bytes)) else policies.text(made)
        draft = os.path.join(self.policy_dir, f".{file}.new")
        with open(draft, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        os.rename(draft, self.policy_path(file))

    def applied(self, app):
        """Waits for a policy file to be in force; returns the app."""
        return eventually(lambda: self.apps().get(app, {}).get("policy_rev") and self.app(app), what=f"policy of {app}")

    # ---- Events --------------------------------------------------------------------------------------

    def log(self, **wanted):
        """Events on disk with these members."""
        return [event for event in event_log.read(self.log_dir) if event_log.matches(event, wanted)]

    def event(self, timeout=20, **wanted):
        """Waits for such an event in the log; the first one."""

        def look():
            return self.log(**wanted)

        event = eventually(look, timeout, f"an event with {wanted}")[0]
        if event.get("verdict") == "deny":
            seen.add((event.get("hook", event["type"]), event["reason"]))
        elif event["type"] in ("cap", "kill", "lost", "suppressed"):
            seen.add(("event", event["type"]))
        return event

    def query(self, query=""):
        """GET /v1/events"""
        status, headers, text = self.request("GET", f"/v1/events{query}")
        assert status == 200, text
        assert headers["Content-Type"].startswith("application/x-ndjson"), headers["Content-Type"]
        return [json.loads(line) for line in text.splitlines()]

    # ---- The command line ----------------------------------------------------------------------------

    def doctor(self, check, staged=False, netns=None):
        """What egret doctor says under that check, as (level, message), and its exit status.

        staged: the test made what is found on purpose, so that it is not of this kernel.
        netns: where it looks, as it would in the agent's own.
        """
        status, text, errors = self.cli("-o", "json", "doctor", netns=netns)
        assert status in (0, 1), errors
        findings = [finding for finding in json.loads(text)["findings"] if finding["check"] == check]
        for finding in findings:
            if finding["level"] != "ok" and not staged:
                seen.add((f"doctor: {check}", f"{finding['message']} -> {finding['fix']}"))
        return [(finding["level"], finding["message"]) for finding in findings], status

    def cli(self, *arguments, text=None, timeout=60, environment=None, netns=None):
        """egret: (exit status, stdout, stderr)."""
        done = subprocess.run(
            [*(["ip", "netns", "exec", netns] if netns else []), EGRET, "--socket", self.socket, *arguments],
            input=text if text is not None else "", capture_output=True, text=True, timeout=timeout, check=False,
            env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), **(environment or {})},
        )
        return done.returncode, done.stdout, done.stderr

# SPDX-License-Identifier: Apache-2.0
"""rsyslogd and haproxy as a test runs them: in its network namespace, with files of their own, ended by their pid."""
import collections
import ctypes
import os
import shutil
import signal
import subprocess

from .wait import eventually

FIELDS = ("pri", "time", "host", "app", "msgid", "procid", "data", "text")
TEMPLATE = ("%pri%\\t%timestamp:::date-rfc3339%\\t%hostname%\\t%app-name%\\t%msgid%\\t%procid%\\t"
            "%structured-data%\\t%msg%\\n")


PR_SET_PDEATHSIG = 1


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def inside(netns):
    return ["ip", "netns", "exec", netns] if netns else []


class Program:
    """A daemon in the foreground, in a network namespace (None: ours); it does not outlive the test."""

    def __init__(self, netns, *argv):
        self.process = subprocess.Popen([*inside(netns), *argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=end_with_parent)

    def tell(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.tell(signal.SIGCONT)
            self.tell(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def listens(netns, port, proto="tcp"):
    done = subprocess.run([*inside(netns), "ss", "-Hln", f"--{proto}", f"sport = :{port}"],
                          capture_output=True, text=True, timeout=20, check=True)
    return str(port) in done.stdout


class Rsyslog:
    """One daemon with every kind of input; each has a file that it writes what it took to.

    UDP 514, TCP 514, TLS 6514, mutual TLS 6515 (with certificates of `authority` only), Unix datagrams in
    log.sock, a Unix stream in stream.sock.
    """

    INPUTS = ("udp", "tcp", "tls", "mutual", "unix", "stream")

    def __init__(self, netns, directory, authority, certificate):
        self.netns, self.directory, self.program = netns, directory, None
        self.authority, self.certificate = authority, certificate
        os.makedirs(directory, exist_ok=True)
        for socket in ("log.sock", "stream.sock"):
            setattr(self, socket.partition(".")[0] + "_socket", os.path.join(directory, socket))

    def path(self, name):
        return os.path.join(self.directory, name)

    def write_config(self):
        tls = (f'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.CAFile="{self.authority.file}" '
               f'StreamDriver.CertFile="{self.certificate[0]}" StreamDriver.KeyFile="{self.certificate[1]}" ')
        lines = [
            f'global(workDirectory="{self.directory}" maxMessageSize="8k" defaultNetstreamDriver="gtls" '
            f'defaultNetstreamDriverCAFile="{self.authority.file}" '
            f'defaultNetstreamDriverCertFile="{self.certificate[0]}" '
            f'defaultNetstreamDriverKeyFile="{self.certificate[1]}")',
            'module(load="imudp")', 'module(load="imtcp" maxSessions="50")', 'module(load="imptcp")',
            'module(load="imuxsock" sysSock.use="off")',
            f'template(name="line" type="string" string="{TEMPLATE}")',
            'input(type="imudp" port="514" rcvbufSize="8m" ruleset="udp")',
            'input(type="imtcp" port="514" ruleset="tcp" StreamDriver.Name="ptcp" StreamDriver.Mode="0")',
            f'input(type="imtcp" port="6514" ruleset="tls" {tls} StreamDriver.AuthMode="anon")',
            f'input(type="imtcp" port="6515" ruleset="mutual" {tls} StreamDriver.AuthMode="x509/certvalid")',
            f'input(type="imuxsock" socket="{self.log_socket}" useSpecialParser="off" parseHostname="on" '
            'ignoreTimestamp="off" useSysTimeStamp="off" ruleset="unix" rateLimit.interval="0")',
            f'input(type="imptcp" path="{self.stream_socket}" unlink="on" ruleset="stream")',
        ]
        for name in self.INPUTS:
            lines.append(f'ruleset(name="{name}") {{ '
                         f'action(type="omfile" file="{self.path(name)}.out" template="line") }}')
        with open(self.path("conf"), "w", encoding="ascii") as out:
            # Rulesets are named before they are used.
            out.write("\n".join(lines[:6] + lines[12:] + lines[6:12]) + "\n")

    def start(self):
        self.write_config()
        self.program = Program(self.netns, "rsyslogd", "-n", "-f", self.path("conf"), "-i", self.path("pid"))
        for port, proto in ((514, "udp"), (514, "tcp"), (6514, "tcp"), (6515, "tcp")):
            eventually(lambda p=port, q=proto: listens(self.netns, p, q), what=f"rsyslogd on {proto} {port}")
        eventually(lambda: os.path.exists(self.log_socket) and os.path.exists(self.stream_socket))

    def lines(self, name):
        """What came in, as dictionaries."""
        try:
            with open(self.path(f"{name}.out"), encoding="utf-8") as lines:
                return [dict(zip(FIELDS, line.rstrip("\n").split("\t", len(FIELDS) - 1))) for line in lines]
        except FileNotFoundError:
            return []

    def tally(self, name):
        """How often each id came, by the structured data."""
        return collections.Counter(line["data"].partition('id="')[2].partition('"')[0] for line in self.lines(name))

    def stop(self, number=signal.SIGTERM):
        if self.program:
            self.program.stop(number)
            self.program = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Haproxy:
    """Between a sender and a server of the same namespace, by TCP; `options` are lines of its section."""

    def __init__(self, netns, directory, port, server, *options):
        config = os.path.join(directory, f"haproxy-{port}")
        with open(config, "w", encoding="ascii") as out:
            out.write("global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 60s\n"
                      f"  timeout server 60s\nlisten one\n  bind 127.0.0.1:{port}\n  server one 127.0.0.1:{server}\n"
                      + "".join(f"  {line}\n" for line in options))
        self.program = Program(netns, "haproxy", "-db", "-f", config)
        eventually(lambda: listens(netns, port), what=f"haproxy on {port}")

    def stop(self, number=signal.SIGTERM):
        self.program.stop(number)

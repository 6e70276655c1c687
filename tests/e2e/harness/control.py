# SPDX-License-Identifier: Apache-2.0
"""A host that follows one control plane after the other, and what it says of them; the server of a bundle."""
import gzip
import http.server
import json
import ssl
import threading

from .net import ALLOWED
from .policy import policy, rule
from .tls import enter
from .wait import eventually


def report(host):
    return host.agent.status()["control"]


def follow(host, **control):
    """The agent, which runs on, with another control plane."""
    before = (report(host) or {}).get("pid")
    host.agent.configure(control={"user": "daemon", "lease": "5s", **control})
    host.agent.reload()

    def reached():
        now = report(host) or {}
        return now.get("connected") and now["pid"] != before

    eventually(reached, what="the control plane")


def state_of(host, app):
    return host.agent.apps().get(app, {}).get("state")


def made(host, app, **more):
    return policy(app, [rule(ALLOWED, 443)], cgroups=host.glob_of(app), **more)


def error_of(host, app):
    return {error["app"]: error for error in report(host).get("errors", [])}.get(app, {}).get("code")


class BundleServer:
    """Answers as an honest server would: ETag, If-None-Match, Prefer: wait, gzip."""

    def __init__(self, netns, cert, key, port=8443):
        self.body, self.tag, self.seen, self.status = b"{}", 0, [], None
        self.states, self.sent, self.put_status = {}, [], 204  # by host; (host, Authorization) of each that was sent
        self.changed, self.ready, self.netns = threading.Condition(), threading.Event(), netns
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                if self.path == "/states":
                    outer.reply(self, 200, json.dumps({"hosts": outer.states}).encode())
                else:
                    outer.answer(self)

            def do_PUT(self):  # pylint: disable=invalid-name
                outer.take_state(self)

            def log_message(self, *_):
                pass

        def serve():
            enter(netns)
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.server.daemon_threads = True
            self.ready.set()
            self.server.serve_forever(poll_interval=0.1)

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    def publish(self, bundle):
        with self.changed:
            self.body = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
            self.tag += 1
            self.changed.notify_all()

    @staticmethod
    def reply(request, status, body=b""):
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def take_state(self, request):
        state = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        host = request.headers["Egret-Host"]
        assert request.path == f"/states/{host}" and state["host"] == host
        self.sent.append((host, request.headers.get("Authorization")))
        if self.put_status < 300:
            self.states[host] = state
        self.reply(request, self.put_status)

    def answer(self, request):
        headers = request.headers
        wait = int(headers.get("Prefer", "wait=0").partition("wait=")[2] or 0)
        with self.changed:
            self.seen.append((headers.get("If-None-Match"), wait, headers.get("Authorization")))
            if self.status:
                request.send_error(self.status)
                return
            self.changed.wait_for(lambda: headers.get("If-None-Match") != f'"{self.tag}"' or self.status, wait)
            body, tag = gzip.compress(self.body), f'"{self.tag}"'
            same = headers.get("If-None-Match") == tag
        request.send_response(304 if same else 200)
        request.send_header("ETag", tag)
        if not same:
            request.send_header("Content-Encoding", "gzip")
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if not same:
            request.wfile.write(body)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(20)

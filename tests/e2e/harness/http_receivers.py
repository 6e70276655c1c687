# SPDX-License-Identifier: Apache-2.0
"""Receivers of logs over HTTP: Splunk HEC, _bulk, OTLP, Loki, a webhook; and what can go wrong with them.

Each is honest: it reads a request as the real one does (method, path, headers, compression, framing, types), keeps a
list of all that was not as it should be (`complaints`), and counts how often it stored each event (`stored`). A fault
is a function of http_faults.py; each request takes the next one of `faults`, and None is none.
"""
import gzip
import itertools
import json
import os
import re
import ssl
import threading
import warnings
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DIGITS = re.compile(r"[0-9]+")
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
marks = itertools.count()


class Bad(Exception):
    """The request is not what such a receiver takes."""


def need(condition, text):
    if not condition:
        raise Bad(text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_POST(self):
        receiver = self.server.receiver
        if receiver.mark and "?receiver=" in self.path and not self.path.endswith(f"?receiver={receiver.mark}"):
            self.reply(404, {}, b"")  # from another test, whose receiver had this port before
            return
        fault = receiver.next_fault(self)
        if fault and fault.early:
            fault(self, b"")
            return
        length = int(self.headers["Content-Length"])
        wire = self.rfile.read(length)
        if len(wire) < length:  # whoever sent it is gone: no request, so nothing to answer or to find fault with
            receiver.broken.append(f"{len(wire)} of {length} bytes")
            self.close_connection = True
            return
        body = gzip.decompress(wire) if self.headers["Content-Encoding"] == "gzip" else wire
        with receiver.lock:
            receiver.requests.append({"path": self.path, "headers": dict(self.headers), "wire": wire, "body": body})
            receiver.connections.add(self.client_address)
        if fault:
            fault(self, body)
        else:
            self.reply(*receiver.attend(self, body))

    def do_CONNECT(self):
        self.reply(self.server.receiver.connect_status, {}, b"")

    def do_GET(self):
        self.server.receiver.complaints.append(f"GET {self.path}")
        self.reply(405, {}, b"")

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def process_request_thread(self, request, client_address):
        """The handshake, on the connection's own thread; and what a client breaks off is no news."""
        try:
            if self.context:
                request.settimeout(10)
                request = self.context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError as error:
            self.receiver.broken.append(str(error))
            self.shutdown_request(request)

    def handle_error(self, request, client_address):
        self.receiver.broken.append(str(client_address))


def tls_context(certificate, client_ca=None, most=None):
    """client_ca: clients have to show a certificate of this authority. most: the latest version it speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    if most:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, most
    return context


class Receiver:
    """One on a port of its own of the loopback. A subclass has kind, path, scheme and take()."""

    kind = path = None
    scheme = "Bearer"
    content_type = "application/json"
    accepted = 200
    mark = None

    def __init__(self, faults=(), token=None, max_body=None, poison=(), context=None, port=0):
        self.faults, self.token, self.max_body, self.poison = list(faults), token, max_body, set(poison)
        self.stored, self.complaints, self.requests, self.broken = Counter(), [], [], []
        self.connections, self.connect_status = set(), 502
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.receiver, self.server.context = self, context
        self.port = self.server.server_port
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def next_fault(self, _):
        with self.lock:
            return self.faults.pop(0) if self.faults else None

    def attend(self, handler, body):
        """(status, headers, body) of the answer."""
        if self.token and handler.headers["Authorization"] != f"{self.scheme} {self.token}":
            return self.refuse_token()
        if self.max_body and len(body) > self.max_body:
            return 413, {}, b"too large"
        try:
            self.check(handler)
            with self.lock:
                return self.take(handler, body)
        except (Bad, ValueError, KeyError, TypeError, AttributeError) as error:
            self.complaints.append(repr(error))
            return 400, {}, repr(error).encode()

    def refuse_token(self):
        return 401, {}, b"who are you?"

    def check(self, handler):
        need(urlsplit(handler.path).path == self.path, f"path {handler.path}")
        need(handler.headers["Content-Type"] == self.content_type, f"content type {handler.headers['Content-Type']}")
        need("Expect" not in handler.headers and "Transfer-Encoding" not in handler.headers, "a plain request")
        need(handler.headers["User-Agent"].startswith("egret-ship/"), "user agent")

    def keep(self, events):
        for event in events:
            need(isinstance(event, str) and event, f"an id: {event!r}")
            self.stored[event] += 1

    def answer(self, document):
        return self.accepted, {"Content-Type": "application/json"}, json.dumps(document).encode()

    def take(self, handler, body):
        raise NotImplementedError


class Hec(Receiver):
    """ack: answers with a number, and says true at the so many-th question; None: has acknowledgement disabled."""

    kind, path, scheme = "hec", "/services/collector/event", "Splunk"
    keys = {"time", "host", "source", "sourcetype", "index", "fields", "event"}

    def __init__(self, *args, ack=None, **kw):
        self.ack, self.asked, self.acked = ack, Counter(), []
        super().__init__(*args, **kw)

    def refuse_token(self):
        return 403, {}, b'{"text":"Invalid token","code":4}'

    def attend(self, handler, body):
        if urlsplit(handler.path).path == "/services/collector/ack":
            return self.question(handler, body)
        return super().attend(handler, body)

    def question(self, handler, body):
        if self.ack is None:
            return 400, {}, b'{"text":"ACK is disabled","code":14}'
        need(GUID.fullmatch(handler.headers["X-Splunk-Request-Channel"]), "channel")
        said = {}
        for number in json.loads(body)["acks"]:
            self.asked[number] += 1
            said[str(number)] = number < len(self.acked) and self.asked[number] >= self.ack
        return self.answer({"acks": said})

    def take(self, handler, body):
        text, at, decoder, ids = body.decode(), 0, json.JSONDecoder(), []
        while at < len(text):
            one, at = decoder.raw_decode(text, at)
            at += len(text[at:]) - len(text[at:].lstrip())
            need(set(one) <= self.keys and isinstance(one["event"], dict), f"members {sorted(one)}")
            need(isinstance(one["time"], (int, float)), "time")
            need(all(isinstance(value, str) for value in one["fields"].values()), "flat fields")
            ids.append(one["fields"]["event_id"])
        need(ids, "no events")
        for number, event in enumerate(ids):
            if event in self.poison:
                return 400, {}, json.dumps(
                    {"text": "Invalid data format", "code": 6, "invalid-event-number": number}).encode()
        self.keep(ids)
        if self.ack is None:
            return self.answer({"text": "Success", "code": 0})
        need(GUID.fullmatch(handler.headers["X-Splunk-Request-Channel"]), "channel")
        self.acked.append(ids)
        return self.answer({"text": "Success", "code": 0, "ackId": len(self.acked) - 1})


class Elastic(Receiver):
    """statuses: of an event's id, those of its next tries; then it is stored. full: answers without filter_path."""

    kind, path, scheme, content_type = "elasticsearch", "/_bulk", "ApiKey", "application/x-ndjson"

    def __init__(self, *args, statuses=None, full=False, **kw):
        self.statuses, self.full = statuses or {}, full
        super().__init__(*args, **kw)

    def take(self, handler, body):
        need(body.endswith(b"\n"), "ends in a newline")
        lines = [json.loads(line) for line in body.decode()[:-1].split("\n")]
        results = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            need(list(action) == ["create"] and set(action["create"]) == {"_index", "_id"}, f"action {action}")
            need(isinstance(document, dict) and len(action["create"]["_id"]) <= 512, "document")
            results.append({"create": self.create(**action["create"])})
        whole = {"took": 3, "errors": any(one["create"]["status"] >= 300 for one in results), "items": results}
        wanted = parse_qs(urlsplit(handler.path).query).get("filter_path")
        need(wanted == ["errors,items.*.status,items.*.error.type,items.*.error.reason"], f"filter_path {wanted}")
        if not self.full:
            shown = [{k: v for k, v in one["create"].items() if k in ("status", "error")} for one in results]
            whole = {"errors": whole["errors"], "items": [{"create": one} for one in shown]}
        return self.answer(whole)

    def create(self, _index, _id):
        need(re.fullmatch(r"egret-\d{4}\.\d\d\.\d\d", _index), f"index {_index}")
        status = self.statuses[_id].pop(0) if self.statuses.get(_id) else 201
        if _id in self.poison:
            status = 400
        if status == 201 and _id in self.stored:
            status = 409
        head = {"_index": _index, "_id": _id, "status": status}
        if status == 201:
            self.keep([_id])
            return head | {"_version": 1, "result": "created", "_shards": {"total": 2, "successful": 1, "failed": 0}}
        kind = {400: "document_parsing_exception", 409: "version_conflict_engine_exception",
                429: "es_rejected_execution_exception", 403: "cluster_block_exception"}.get(status, "exception")
        return head | {"error": {"type": kind, "reason": f"because of {status}"}}


class Otlp(Receiver):
    kind, path = "otlp", "/v1/logs"

    def take(self, handler, body):
        request, ids = json.loads(body), []
        need(list(request) == ["resourceLogs"], "resourceLogs")
        for resource in request["resourceLogs"]:
            names = [self.pair(one)[0] for one in resource["resource"]["attributes"]]
            need({"service.name", "host.name"} <= set(names), f"resource {names}")
            for scope in resource["scopeLogs"]:
                need(scope["scope"]["name"] == "egret", "scope")
                ids += [self.record(one) for one in scope["logRecords"]]
        if self.poison & set(ids):
            return 400, {}, b'{"code":3,"message":"a log record can\'t be read"}'
        self.keep(ids)
        return self.answer({"partialSuccess": {}})

    def record(self, record):
        for key in ("timeUnixNano", "observedTimeUnixNano"):
            need(isinstance(record[key], str) and DIGITS.fullmatch(record[key]), f"{key}: a 64-bit integer as a string")
        need(isinstance(record["severityNumber"], int) and 1 <= record["severityNumber"] <= 24, "severity")
        self.value(record["body"])
        need("kvlistValue" in record["body"], "a body that is a map")
        return dict(self.pair(one) for one in record["attributes"])["event.id"]["stringValue"]

    def pair(self, pair):
        need(set(pair) == {"key", "value"} and isinstance(pair["key"], str), f"pair {pair}")
        self.value(pair["value"])
        return pair["key"], pair["value"]

    def value(self, value):
        need(len(value) <= 1, f"one value: {value}")
        for kind, inner in value.items():
            if kind == "kvlistValue":
                for one in inner["values"]:
                    self.pair(one)
            elif kind == "arrayValue":
                for one in inner["values"]:
                    self.value(one)
            elif kind == "intValue":
                need(isinstance(inner, str) and re.fullmatch("-?[0-9]+", inner), f"intValue {inner!r}")
            else:
                types = {"stringValue": str, "boolValue": bool, "doubleValue": (int, float)}
                need(isinstance(inner, types[kind]), f"{kind} {inner!r}")


class Loki(Receiver):
    """Keeps one of exact duplicates; stores the good lines of a batch that it answers with 400."""

    kind, path, accepted = "loki", "/loki/api/v1/push", 204

    def __init__(self, *args, **kw):
        self.lines, self.again = set(), 0
        super().__init__(*args, **kw)

    def take(self, handler, body):
        bad = []
        for stream in json.loads(body)["streams"]:
            labels = stream["stream"]
            need(labels and all(LABEL.fullmatch(name) for name in labels), f"{labels}")
            need(all(isinstance(value, str) and value for value in labels.values()), f"{labels}")
            for when, line in stream["values"]:
                need(isinstance(when, str) and DIGITS.fullmatch(when), f"time {when!r}")
                event = json.loads(line)["event_id"]
                key = (json.dumps(labels, sort_keys=True), when, line)
                if event in self.poison:
                    bad.append(event)
                elif key in self.lines:
                    self.again += 1
                else:
                    self.lines.add(key)
                    self.keep([event])
        if bad:
            return 400, {}, f"entry for stream has timestamp too old, {bad}".encode()
        return 204, {}, b""


class Webhook(Receiver):
    kind, path, content_type = "webhook", "/hook", "application/x-ndjson"

    def __init__(self, *args, **kw):
        self.keys = {}
        super().__init__(*args, **kw)
        mark = f"{os.getpid()}-{next(marks)}"
        self.mark = None if kw.get("port") else mark  # at a port that is given it takes the place of another
        self.url += f"{self.path}?receiver={mark}"

    def take(self, handler, body):
        need(body.endswith(b"\n"), "ends in a newline")
        key = handler.headers["Idempotency-Key"]
        need(key and self.keys.setdefault(key, body) == body, f"one key, two batches: {key}")
        ids = [json.loads(line)["event_id"] for line in body.decode()[:-1].split("\n")]
        if self.poison & set(ids):
            return 422, {}, b"no"
        self.keep(ids)
        return 202, {}, b"ok"


ALL = [Hec, Elastic, Otlp, Loki, Webhook]

# SPDX-License-Identifier: Apache-2.0
"""egret-ship's HTTP sinks against honest receivers and every fault: what is said, and that each event arrives."""
import contextlib
import email.utils
import os
import shutil
import ssl
import subprocess
import time

import pytest

from harness import ALLOWED, DENIED, http_faults as faults, policy, rule
from harness.http_receivers import ALL, Elastic, Hec, Loki, Otlp, Webhook, tls_context
from harness.pki import Authority
from harness.ship_http import Delivery, Refused, Sink, event
from harness.wait import eventually

DEDUPES = (Elastic, Loki)  # the others may store an event twice when an answer was lost
NEVER = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}


@pytest.fixture(params=ALL, ids=lambda kind: kind.kind)
def kind(request):
    return request.param


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


def deliver(receiver, sink, items, twice=False, dead=()):
    """Sends until nothing is left. Each event is stored once, or is a dead letter."""
    delivery = Delivery(sink, items)
    assert receiver.complaints == []
    assert set(receiver.stored) == {item["id"] for item in items} - set(dead)
    assert delivery.dead == list(dead)
    assert twice or set(receiver.stored.values()) <= {1}
    return delivery


def batch(count=20, first=0):
    return [event(number) for number in range(first, first + count)]


# ---- As it should be --------------------------------------------------------------------------------------


def test_delivers(kind, directory):
    """The environment's proxy is not asked; one connection serves all batches; gzip is the same each time."""
    with kind() as receiver, Sink(receiver, directory, NEVER, compression="gzip", headers={"X-Team": "soc"}) as sink:
        assert deliver(receiver, sink, batch()).outcomes() == ["delivered"]
        assert sink.send(batch(1, first=20))["outcome"] == "delivered"
        assert receiver.stored["host-1-20"] == 1
        assert len(receiver.connections) == 1
        for request in receiver.requests:
            assert request["headers"]["X-Team"] == "soc"
            assert request["wire"][:4] == b"\x1f\x8b\x08\x00" and request["wire"][4:8] == bytes(4), "no time in it"
        assert sink.stop() == 0


def test_the_same_bytes_again(kind, directory):
    with kind([faults.says(503)] * 2) as receiver, Sink(receiver, directory) as sink:
        assert deliver(receiver, sink, batch()).outcomes() == ["retry", "retry", "delivered"]
        assert len({request["wire"] for request in receiver.requests}) == 1
        assert len({request["headers"].get("Idempotency-Key") for request in receiver.requests}) == 1


def test_odd_events(kind, directory):
    """Long, empty, and of any character."""
    items = [event(0, app="", text="\U0001f600 \u0000 \"\\ \x7f </script>"), event(1, app="a" * 64, host="h\u00e9"),
             event(2, text="x" * 70000), event(3, deep=[[[{"a": [{}]}]]], big=-(2**63), none=None)]
    with kind() as receiver, Sink(receiver, directory) as sink:
        assert deliver(receiver, sink, items).outcomes() == ["delivered"]


# ---- Status ------------------------------------------------------------------------------------------------


STATUSES = [
    (302, "pause", "sends us elsewhere"), (401, "pause", "refuses our credentials"), (403, "pause", "denies us access"),
    (404, "pause", "has nothing at this path"), (408, "retry", "waited too long"), (413, "split", "too large"),
    (415, "pause", "content type"), (429, "retry", "asks for less"), (500, "retry", "has a fault"),
    (503, "retry", "too busy"), (207, "pause", "not one of such a receiver"),
]


def test_status(kind, directory):
    with kind() as other, kind() as receiver, Sink(receiver, directory) as sink:
        for status, outcome, words in STATUSES:
            receiver.faults = [faults.says(status, b"be\x1bcause\r\n", Location=other.url)]
            result = sink.send(batch(1))
            assert (result["outcome"], result["status"]) == (outcome, status)
            assert f"127.0.0.1:{receiver.port} " in result["error"] and words in result["error"]
            assert result["error"].endswith(other.url if status == 302 else f"({status}): be cause")
        assert other.requests == [], "a redirect was followed"
        assert deliver(receiver, sink, batch()).outcomes() == ["delivered"]


def test_retry_after(kind, directory):
    soon = email.utils.formatdate(time.time() + 90, usegmt=True)
    with kind() as receiver, Sink(receiver, directory) as sink:
        for after, least, most in ("7", 7, 7), (soon, 60, 90), ("soon", 0, 0), ("999999999999", 3600, 3600):
            for status in 429, 503:
                receiver.faults = [faults.says(status, Retry_After=after)]
                assert least <= sink.send(batch(1))["retry_after_ns"] / 1e9 <= most
        assert sink.send(batch(1))["retry_after_ns"] == 0


# ---- Faults of the network -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault, words", [
    (faults.black_hole, "no answer within 1s"), (faults.slow, "no answer within 1s"),
    (faults.reset_in_body, "broke off"),
], ids=["black-hole", "slow-loris", "reset-in-body"])
def test_network(directory, fault, words):
    """All of them at once, for the waiting's sake."""
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(kind([fault])) for kind in ALL]
        sinks = [stack.enter_context(Sink(receiver, directory, timeout="1s")) for receiver in receivers]
        for sink in sinks:
            sink.begin(batch())
        for receiver, sink in zip(receivers, sinks):
            result = sink.end()
            assert result["outcome"] == "retry" and words in result["error"], receiver.kind
            assert not receiver.stored
            assert deliver(receiver, sink, batch()).outcomes() == ["delivered"]


@pytest.mark.parametrize("fault", [faults.lose_answer, faults.reset_in_answer, faults.flood(1 << 20)],
                         ids=["lost", "reset", "flood"])
def test_answer_lost(kind, directory, fault):
    """Delivered, but not to our knowledge: once more, and not more than once."""
    with kind([fault]) as receiver, Sink(receiver, directory) as sink:
        delivery = deliver(receiver, sink, batch(), twice=kind not in DEDUPES)
        halves = kind is Elastic and "too long to be read" in delivery.results[0]["error"]
        assert delivery.outcomes() == (["split", "delivered", "delivered"] if halves else ["retry", "delivered"])
        assert max(receiver.stored.values()) <= 2
        if kind is Elastic:  # 409 is as good
            assert delivery.results[1]["items"] == ["delivered"] * (10 if halves else 20)


def test_answer_lost_on_a_kept_connection(kind, directory):
    """There libcurl sends again by itself, since a receiver may close what is idle: once, too."""
    with kind([None, faults.lose_answer]) as receiver, Sink(receiver, directory) as sink:
        assert sink.send(batch(1))["outcome"] == "delivered"
        delivery = deliver(receiver, sink, batch(), twice=kind not in DEDUPES)
        assert delivery.outcomes() == ["delivered"]
        assert max(receiver.stored.values()) <= (3 if kind not in DEDUPES else 1)
        assert {receiver.stored[f"host-1-{number}"] for number in range(1, 20)} == {1 if kind in DEDUPES else 2}


def test_page(kind, directory):
    """A portal in the receiver's place says 200."""
    with kind([faults.PAGE]) as receiver, Sink(receiver, directory) as sink:
        delivery = deliver(receiver, sink, batch())
        assert delivery.outcomes() == ["retry", "delivered"]
        assert "a page for browsers" in delivery.results[0]["error"]


def test_nobody_there(kind, directory):
    with kind() as receiver:
        port = receiver.port
    with Sink(receiver, directory) as sink:
        result = sink.send(batch())
        assert result["outcome"] == "retry" and result["error"] == f"connection refused by 127.0.0.1:{port}"
        with kind(port=port) as back:
            assert deliver(back, sink, batch()).outcomes() == ["delivered"]


def test_unknown_name(kind, directory):
    with kind() as receiver:
        receiver.url = "http://siem.invalid"
        with Sink(receiver, directory) as sink:
            result = sink.send(batch(1))
            assert result["outcome"] == "retry" and "name of siem.invalid:80" in result["error"]


def test_stops(kind, directory):
    """SIGTERM ends a request that would last for minutes."""
    with kind([faults.black_hole]) as receiver, Sink(receiver, directory, timeout="5m") as sink:
        sink.begin(batch())
        eventually(lambda: not receiver.faults, what="the request")
        began = time.monotonic()
        sink.terminate()
        result = sink.end()
        assert result["outcome"] == "retry" and "stopped while waiting" in result["error"]
        assert sink.stop() == 0
        assert time.monotonic() - began < 30


SILENT_RESOLVER = """set -e
ip link add silent type veth peer name other
ip address add 10.9.9.1/24 dev silent
ip link set silent up
ip link set other up
ip neighbour add 10.9.9.9 lladdr 02:00:00:00:00:09 dev silent
mount --bind "$1" /etc/resolv.conf
shift
exec "$@"
"""


def test_stops_in_a_look_up(directory):
    """The resolver never answers, and getaddrinfo() can't be told to give up."""
    resolv = os.path.join(directory, "resolv.conf")
    with open(resolv, "w", encoding="ascii") as out:
        out.write("nameserver 10.9.9.9\noptions timeout:30 attempts:5\n")
    with Otlp() as receiver:
        receiver.url = "http://siem.example"
        prefix = ("unshare", "--mount", "--net", "sh", "-c", SILENT_RESOLVER, "sh", resolv)
        with Sink(receiver, directory, prefix=prefix, timeout="1s") as sink:
            result = sink.send(batch())
            assert result["outcome"] == "retry" and "no connection within 1s to siem.example:80" in result["error"]
        with Sink(receiver, directory, prefix=prefix, timeout="5m") as sink:
            began = time.monotonic()
            sink.begin(batch())
            time.sleep(0.2)
            sink.terminate()
            assert "stopped while waiting" in sink.end()["error"]
            assert sink.stop() == 0
            assert time.monotonic() - began < 20


# ---- Size and poison --------------------------------------------------------------------------------------------


def test_too_large(kind, directory):
    """413 above 64 KiB only."""
    items = [event(number, text="x" * 3000) for number in range(60)]
    with kind(max_body=64 << 10) as receiver, Sink(receiver, directory) as sink:
        outcomes = deliver(receiver, sink, items).outcomes()
        assert outcomes[0] == "split" and set(outcomes) == {"split", "delivered"}


def test_one_poison_in_a_thousand(kind, directory):
    with kind(poison=["host-1-617"]) as receiver, Sink(receiver, directory) as sink:
        delivery = deliver(receiver, sink, batch(1000), dead=["host-1-617"])
        assert len(delivery.results) == (1 if kind is Elastic else 21)


def test_too_large_alone(kind, directory):
    with kind(max_body=4000) as receiver, Sink(receiver, directory) as sink:
        deliver(receiver, sink, [event(0), event(1, text="x" * 5000), event(2)], dead=["host-1-1"])


# ---- Credentials ----------------------------------------------------------------------------------------------


def test_new_token(kind, directory):
    """Refused until the file has another; refused at once again if it is taken away."""
    with kind(token="the-new-one") as receiver, Sink(receiver, directory) as sink:
        for _ in range(2):
            result = sink.send(batch())
            assert result["outcome"] == "pause" and result["status"] in (401, 403)
        with open(sink.token, "w", encoding="ascii") as out:
            out.write("  the-new-one \r\n")
        assert deliver(receiver, sink, batch()).outcomes() == ["delivered"]
        os.unlink(sink.token)
        result = sink.send(batch())
        assert result["outcome"] == "pause" and f'"token_file": {sink.token}' in result["error"]


def test_bad_token(kind, directory):
    path = os.path.join(directory, "other")
    with kind() as receiver:
        for text, words in ((None, "No such file"), (b"a\x00b", "control characters"),
                            (b"a\r\nX: y", "control characters"),
                            (b" \n", "is empty"), (b"x" * 5000, "too long")):
            if text is not None:
                with open(path, "wb") as out:
                    out.write(text)
            with pytest.raises(Refused, match=words):
                Sink(receiver, directory, token_file=path)


def test_secrets_are_not_repeated(kind, directory):
    with kind([faults.echoes_secret]) as receiver, Sink(receiver, directory) as sink:
        assert sink.send(batch())["error"].endswith(f"no: {kind.scheme} ***")


def test_basic(directory):
    path = os.path.join(directory, "password")
    with open(path, "w", encoding="ascii") as out:
        out.write("open sesame\n")
    with Loki([faults.echoes_secret]) as receiver:
        with Sink(receiver, directory, username="egret", password_file=path, tenant="soc") as sink:
            assert sink.send(batch())["error"].endswith("no: Basic ***")
            deliver(receiver, sink, batch())
            headers = receiver.requests[-1]["headers"]
            assert headers["Authorization"] == "Basic ZWdyZXQ6b3BlbiBzZXNhbWU=" and headers["X-Scope-OrgID"] == "soc"


# ---- TLS --------------------------------------------------------------------------------------------------------


class Pki:
    """Two authorities, and what they signed."""

    def __init__(self, directory):
        for name in ("good", "evil"):
            os.mkdir(os.path.join(directory, name))
        here = "IP:127.0.0.1"
        self.good, self.evil = (Authority(os.path.join(directory, name), name) for name in ("good", "evil"))
        self.server = self.good.issue("server", here)
        self.named = self.good.issue("named", "DNS:localhost")
        self.expired = self.good.issue("expired", here, start="20240101000000Z", end="20240201000000Z")
        self.early = self.good.issue("early", here, start="20900101000000Z", end="20910101000000Z")
        self.elsewhere = self.good.issue("elsewhere", "DNS:other.test")
        self.foreign = self.evil.issue("server", here)
        self.client, self.intruder = self.good.issue("client", "DNS:egret"), self.evil.issue("client", "DNS:egret")

    def tls(self, **more):
        return {"ca": self.good.file} | more


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(str(tmp_path_factory.mktemp("pki")))


@pytest.mark.parametrize("certificate, words", [
    ("expired", "has expired"), ("early", "is not valid yet"), ("elsewhere", "is for another host"),
    ("foreign", "is not signed by an authority that we know"),
])
def test_bad_certificate(pki, directory, certificate, words):
    """Not one byte of a request goes out; the receiver's new certificate is seen by itself."""
    context = tls_context(getattr(pki, certificate))
    with Otlp(context=context) as receiver, Sink(receiver, directory, tls=pki.tls()) as sink:
        result = sink.send(batch())
        assert result["outcome"] == "pause" and result["status"] == 0
        assert f"certificate of 127.0.0.1:{receiver.port} {words}" in result["error"]
        assert receiver.requests == []
        receiver.server.context = tls_context(pki.server)
        assert deliver(receiver, sink, batch()).outcomes() == ["delivered"]


def test_the_host_s_authorities(pki, directory):
    """They count without "ca", and only then: in the bundle as well as in the directory, which libcurl reads both."""
    host = os.path.join(directory, "certs")
    os.mkdir(host)
    digest = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", pki.evil.file], check=True,
                            capture_output=True, text=True, timeout=60).stdout.strip()
    for name in ("ca-certificates.crt", f"{digest}.0"):
        shutil.copy(pki.evil.file, os.path.join(host, name))
    prefix = ("unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"', "sh", host)
    with Otlp(context=tls_context(pki.foreign)) as receiver:
        with Sink(receiver, directory, prefix=prefix) as sink:
            deliver(receiver, sink, batch())
        with Sink(receiver, directory, prefix=prefix, tls=pki.tls()) as sink:
            assert "is not signed by an authority" in sink.send(batch())["error"]
        with Sink(receiver, directory) as sink:
            assert "is not signed by an authority" in sink.send(batch())["error"]


def test_new_authority(pki, directory):
    """The file of authorities is replaced, while a connection stands that the old one vouched for."""
    mine = os.path.join(directory, "ca.pem")
    shutil.copy(pki.good.file, mine)
    with Elastic(context=tls_context(pki.server)) as receiver, Sink(receiver, directory, tls={"ca": mine}) as sink:
        deliver(receiver, sink, batch())
        shutil.copy(pki.evil.file, mine)
        result = sink.send(batch())
        assert result["outcome"] == "pause" and "is not signed by an authority" in result["error"]
        receiver.server.context = tls_context(pki.foreign)
        deliver(receiver, sink, batch())


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate(pki, directory, most):
    """None, one of another authority, and the right one, put in place while the sink runs."""
    context = tls_context(pki.server, client_ca=pki.good.file)
    context.maximum_version = most
    mine = [os.path.join(directory, name) for name in ("mine.pem", "mine.key")]
    words = "refuses our certificate, or wants one"
    with Hec(context=context) as receiver:
        with Sink(receiver, directory, tls=pki.tls()) as sink:
            for _ in range(5):  # what we send, and the refusal, may pass each other in more than one way
                result = sink.send(batch())
                assert result["outcome"] == "pause" and words in result["error"]
        for files, name in zip(pki.intruder, mine):
            shutil.copy(files, name)
        with Sink(receiver, directory, tls=pki.tls(cert=mine[0], key=mine[1])) as sink:
            result = sink.send(batch())
            assert result["outcome"] == "pause" and words in result["error"]
            assert receiver.requests == []
            for files, name in zip(pki.client, mine):
                shutil.copy(files, name)
            deliver(receiver, sink, batch())


def test_bad_files(pki, directory):
    """A key that fits nothing is said; a file that is not there is said at the start."""
    with Hec(context=tls_context(pki.server)) as receiver:
        with Sink(receiver, directory, tls=pki.tls(cert=pki.client[0], key=pki.intruder[1])) as sink:
            result = sink.send(batch())
            assert result["outcome"] == "pause" and "our certificate or its key can't be used" in result["error"]
        with pytest.raises(Refused, match='"tls.ca": /nowhere/ca.pem No such file'):
            Sink(receiver, directory, tls={"ca": "/nowhere/ca.pem"})


def test_old_tls(pki, directory):
    with Hec(context=tls_context(pki.server, most=ssl.TLSVersion.TLSv1_1)) as receiver:
        with Sink(receiver, directory, tls=pki.tls()) as sink:
            result = sink.send(batch())
            assert result["outcome"] == "pause" and "no TLS with" in result["error"]
            assert receiver.requests == []


def test_plain_where_tls_is_spoken(pki, directory):
    with Hec() as receiver:
        receiver.url = receiver.url.replace("http:", "https:")
        with Sink(receiver, directory, tls=pki.tls()) as sink:
            result = sink.send(batch())
            assert result["outcome"] in ("pause", "retry") and "TLS" in result["error"]


# ---- Proxy --------------------------------------------------------------------------------------------------------


def test_proxy(directory):
    """The configuration's, whatever no_proxy says."""
    with Webhook() as proxy:
        through, proxy.url = f"http://127.0.0.1:{proxy.port}", "http://siem.invalid:8080/hook"
        with Sink(proxy, directory, {"no_proxy": "*"}, proxy=through) as sink:
            deliver(proxy, sink, batch())
            assert proxy.requests[0]["path"] == "http://siem.invalid:8080/hook"


@pytest.mark.parametrize("status, outcome, words", [(407, "pause", "does not let us through"),
                                                    (502, "retry", "has no way")])
def test_proxy_refuses(pki, directory, status, outcome, words):
    with Webhook() as proxy:
        through, proxy.url, proxy.connect_status = f"http://127.0.0.1:{proxy.port}", "https://siem.invalid/hook", status
        with Sink(proxy, directory, proxy=through, tls=pki.tls()) as sink:
            result = sink.send(batch())
            assert result["outcome"] == outcome and words in result["error"]
    with Sink(proxy, directory, proxy=through, tls=pki.tls()) as sink:
        assert sink.send(batch())["error"] == f"connection refused by 127.0.0.1:{proxy.port}"


# ---- What only one of them does ------------------------------------------------------------------------------------


def test_hec_acknowledged(directory):
    """Not delivered before the indexer says so; then in one go."""
    with Hec(ack=3) as receiver, Sink(receiver, directory, ack=True) as sink:
        assert deliver(receiver, sink, batch()).outcomes() == ["delivered"]
        assert receiver.asked == {0: 3}
        assert sink.send(batch(1))["outcome"] == "delivered"
        channels = {request["headers"]["X-Splunk-Request-Channel"] for request in receiver.requests}
        assert len(channels) == 1


def test_hec_acknowledged_late(directory):
    """What waits for its acknowledgement is asked for again, not sent again."""
    with Hec(ack=9) as receiver, Sink(receiver, directory, ack=True, timeout="1s") as sink:
        delivery = deliver(receiver, sink, batch())
        assert delivery.outcomes()[0] == "retry" and delivery.outcomes()[-1] == "delivered"
        assert "not acknowledged it as indexed yet" in delivery.results[0]["error"]
        assert len(receiver.acked) == 1 and receiver.asked == {0: 9}
        sent = len(receiver.acked)
        receiver.ack = 10**9
        assert sink.send(batch(3, first=100))["outcome"] == "retry"
        receiver.ack = 1
        assert sink.send(batch(2, first=100))["outcome"] == "delivered", "another batch does not wait for that one"
        assert len(receiver.acked) == sent + 2


def test_hec_acknowledgement_breaks_off(directory):
    """The collector fails while it is asked: the batch still waits."""
    with Hec([None, faults.says(503), faults.PAGE], ack=1) as receiver:
        with Sink(receiver, directory, ack=True) as sink:
            assert deliver(receiver, sink, batch()).outcomes() == ["retry", "retry", "delivered"]
            assert len(receiver.acked) == 1


def test_hec_without_acknowledgement(directory):
    """A token that can't acknowledge takes one batch, not one each time."""
    with Hec() as receiver, Sink(receiver, directory, ack=True) as sink:
        for _ in range(3):
            result = sink.send(batch())
            assert result["outcome"] == "pause" and "ack" in result["error"]
        assert set(receiver.stored.values()) == {1}
        receiver.ack = 1
        assert sink.send(batch())["outcome"] == "delivered"


@pytest.mark.parametrize("status, code, outcome", [(400, 7, "pause"), (400, 6, "split"), (503, 9, "retry"),
                                                   (200, 5, "retry"), (400, 10, "pause")])
def test_hec_codes(directory, status, code, outcome):
    said = faults.says(status, b'{"text":"words","code":%d}' % code)
    with Hec([said]) as receiver, Sink(receiver, directory) as sink:
        result = sink.send(batch())
        assert result["outcome"] == outcome and "words" in result["error"]


def test_bulk_mixed(directory):
    """201, 409, 429, 503 and 400 in one answer: only what is to be sent again is."""
    statuses = {"host-1-3": [429], "host-1-4": [503, 429], "host-1-5": [403]}
    for full in (False, True):
        with Elastic(statuses={k: list(v) for k, v in statuses.items()}, poison=["host-1-7"], full=full) as receiver:
            with Sink(receiver, directory) as sink:
                assert sink.send(batch(2))["outcome"] == "delivered"
                delivery = deliver(receiver, sink, batch(1000), dead=["host-1-7"])
                first = delivery.results[0]
                assert first["outcome"] == "pause" and first["status"] == 200
                assert "4 of 1000, the first with 403 cluster_block_exception: because of 403" in first["error"]
                assert [len(one["items"]) for one in delivery.results] == [1000, 3, 1]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"errors":false,"items":[]}', b'{"items":[{"create":{"status":201}}]}',
                                  b'{"items":[{},{}]}',
                                  b'{"items":[{"create":{"status":"201"}},{"create":{"status":201}}]}'])
def test_bulk_needs_a_result_each(directory, body):
    with Elastic([faults.says(200, body)]) as receiver, Sink(receiver, directory) as sink:
        assert deliver(receiver, sink, batch(2)).outcomes() == ["retry", "delivered"]


@pytest.mark.parametrize("answer", [(200, b""), (204, b""), (200, b"{}"),
                                    (200, b'{"partialSuccess":{"rejectedLogRecords":"0"}}'),
                                    (200, b'{"partialSuccess":{"errorMessage":"a warning"}}')])
def test_otlp_accepts(directory, answer):
    with Otlp([faults.says(*answer)]) as receiver, Sink(receiver, directory) as sink:
        assert sink.send(batch())["outcome"] == "delivered"


@pytest.mark.parametrize("count", [b'"3"', b"3"])
def test_otlp_partial(directory, count):
    """Never sent again, and none called delivered."""
    said = b'{"partialSuccess":{"rejectedLogRecords":%s,"errorMessage":"too old"}}' % count
    with Otlp([faults.says(200, said)]) as receiver, Sink(receiver, directory) as sink:
        delivery = Delivery(sink, batch())
        assert delivery.dead == [item["id"] for item in batch()] and len(delivery.results) == 1
        assert "3 of 20" in delivery.results[0]["error"] and "too old" in delivery.results[0]["error"]


def test_loki_blocked(directory):
    with Loki([faults.says(260, b"blocked by policy")]) as receiver, Sink(receiver, directory) as sink:
        delivery = deliver(receiver, sink, batch())
        assert delivery.outcomes() == ["pause", "delivered"]
        assert "has blocked us, and stored nothing (260): blocked by policy" in delivery.results[0]["error"]


def test_loki_old_entry(directory):
    """400, and the good lines are stored all the same: none of them twice."""
    with Loki(poison=["host-1-3"]) as receiver, Sink(receiver, directory, labels={"site": "a"}) as sink:
        deliver(receiver, sink, batch(), dead=["host-1-3"])
        assert receiver.again > 0
    with Loki() as receiver, pytest.raises(Refused, match='"a-b" can\'t be a label'):
        Sink(receiver, directory, labels={"a-b": "c"})


def test_webhook_content_type(directory):
    with Webhook() as receiver, Sink(receiver, directory, content_type="application/json") as sink:
        receiver.content_type = "application/json"
        deliver(receiver, sink, batch())
        assert sink.send(batch(1))["outcome"] == "delivered"
        assert receiver.requests[-1]["headers"]["Idempotency-Key"] == "host-1-0"


# ---- From an agent ------------------------------------------------------------------------------------------------


def settled(agent, receivers):
    """Every sink has delivered all there is; the ids of that."""
    ids = {one["event_id"] for one in agent.query()}
    for one in agent.get("/v1/sinks")["sinks"]:
        assert one["spooled"] == 0 and one["delivered"] == one["produced"] == len(ids), one
    for receiver in receivers:
        assert set(receiver.stored) == ids and set(receiver.stored.values()) == {1}, receiver.kind
    return ids


def test_all_of_them_from_an_agent(pki, bare_host):
    """Mutual TLS, a receiver that is known by name, and three schemas, from egret-ship in its jail."""
    files = os.path.join(bare_host.directory, "sinks")
    shutil.copytree(pki.good.directory, files)
    with open(os.path.join(files, "token"), "w", encoding="ascii") as out:
        out.write("sesame")
    for name in os.listdir(files):
        os.chmod(os.path.join(files, name), 0o755)  # test files, of no secret
    os.chmod(files, 0o755)
    tls = {"ca": "good.pem", "cert": "client.pem", "key": "client.key"}
    tls = {key: os.path.join(files, name) for key, name in tls.items()}
    with contextlib.ExitStack() as stack:
        receivers, sinks = [], []
        for kind, schema in (Hec, "ocsf"), (Elastic, "ecs"), (Otlp, "ocsf"), (Loki, "egret"), (Webhook, "egret"):
            context = tls_context(pki.named, client_ca=pki.good.file)
            receiver = stack.enter_context(kind(context=context, token="sesame", **({"ack": 2} if kind is Hec else {})))
            receivers.append(receiver)
            sinks.append({"name": kind.kind, "type": kind.kind, "url": receiver.url.replace("127.0.0.1", "localhost"),
                          "schema": schema, "flows": "full", "tls": tls, "batch": {"wait": "100ms"},
                          "token_file": os.path.join(files, "token")})
        sinks[0]["ack"] = True
        bare_host.agent.configure(ship_user="nobody", sinks=sinks)
        bare_host.agent.start()
        app = bare_host.app(policy("web", [rule(ALLOWED, 443)]))
        assert app.fails("connect", "d", DENIED, 80) == "EPERM"
        eventually(lambda: any(one["type"] == "deny" for one in bare_host.agent.query()), what="the denial")
        eventually(lambda: settled(bare_host.agent, receivers), 30, "all events everywhere")
        assert [receiver.complaints for receiver in receivers] == [[]] * 5

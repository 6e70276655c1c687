# SPDX-License-Identifier: Apache-2.0
"""The syslog sink and rsyslogd: every id arrives, and once wherever the connection did not break."""
import collections
import json
import os
import signal
import tempfile
import time

import pytest
from harness import DENIED, eventually, policy
from harness.agent import BUILD
from harness.net import batch, run
from harness.pki import Authority
from harness.receivers import Haproxy, Program, Rsyslog
from harness.ship_driver import Driver, event, events, ids
from harness.tls import ConnectProxy

SHIP = os.path.join(BUILD, "egret-ship")
FACILITY, WARNING = 16, 4


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory(prefix=f"egret-test-{os.getpid()}-") as directory:
        yield directory


@pytest.fixture(scope="module")
def netns():
    name = f"egret-test-{os.getpid()}-7"
    run("ip", "netns", "add", name)
    batch(name, ["link set lo up"])
    for way in ("rmem", "wmem"):  # so that a batch of 7 MB doesn't fit into the buffers of a receiver that stands still
        run("ip", "netns", "exec", name, "sh", "-c", f"echo '4096 131072 1048576' >/proc/sys/net/ipv4/tcp_{way}")
    yield name
    run("ip", "netns", "del", name)


@pytest.fixture(scope="module")
def authority(place):
    return Authority(place)


@pytest.fixture(scope="module")
def client(authority):
    return authority.issue("client", "DNS:client.test")


@pytest.fixture(scope="module")
def rsyslog(netns, place, authority):
    server = Rsyslog(netns, os.path.join(place, "rsyslog"), authority, authority.issue("server", "IP:127.0.0.1"))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def urls(rsyslog):
    return {"udp": "udp://127.0.0.1", "tcp": "tcp://127.0.0.1", "tls": "tls://127.0.0.1",
            "mutual": "tls://127.0.0.1:6515", "unix": f"unix:{rsyslog.log_socket}",
            "stream": f"unix:{rsyslog.stream_socket}"}


def arrive_once(rsyslog, name, *batches):
    """Exactly these ids came since the test began, each once: ids are never used twice."""
    wanted = collections.Counter(ids(*batches))

    def all_there():
        seen = rsyslog.tally(name)
        assert {i: seen[i] for i in wanted} == dict(wanted)
        return True

    eventually(all_there, 30, "each id once")


def arrive_twice_at_most(rsyslog, name, items):
    """A batch that was in doubt: all of it, some of it twice."""

    def all_there():
        seen = rsyslog.tally(name)
        assert all(1 <= seen[i] <= 2 for i in ids(items))
        return True

    eventually(all_there, 30, "each id, twice at most")


@pytest.mark.parametrize("way", Rsyslog.INPUTS)
def test_each_way(rsyslog, netns, urls, authority, client, way):
    """Three batches by each transport arrive whole, once, in order, and say what they should."""
    tls = {"ca": authority.file} if way in ("tls", "mutual") else {}
    if way == "mutual":
        tls.update(cert=client[0], key=client[1])
    batches = [events(1), events(400, 300), events(1000)]
    with Driver("syslog", netns, url=urls[way], **tls) as driver:
        for each in batches:
            driver.deliver(each)
    arrive_once(rsyslog, way, *batches)
    lines = rsyslog.lines(way)[-1401:]
    assert [json.loads(line["text"])["event_id"] for line in lines] == ids(*batches)
    first, item = lines[0], batches[0][0]
    number = json.loads(item["text"])["n"]
    assert first["pri"] == str(FACILITY * 8 + WARNING)
    assert first["time"] == f"2026-11-25T12:00:00.{number:06}Z"
    assert (first["host"], first["app"], first["procid"], first["msgid"]) == ("host", "egret", "-", "deny")
    assert first["data"] == f'[egret@32473 id="{item["id"]}" app="app-a" type="deny"]'
    assert first["text"].strip() == item["text"]


@pytest.mark.parametrize("url", ("udp://localhost", "udp://[::1]:514", "tcp://localhost:514", "tcp://[::1]"))
def test_names_and_families(rsyslog, netns, url):
    batches = [events(2), events(2)]
    with Driver("syslog", netns, url=url) as driver:
        for each in batches:
            driver.deliver(each)
    arrive_once(rsyslog, url[:3], *batches)


def test_name_that_is_not_found(netns):
    for url in ("udp://absent.invalid", "tcp://absent.invalid", "tls://absent.invalid"):
        result = refusal(netns, url=url)
        assert result["outcome"] == "retry" and "absent.invalid" in result["error"]


def test_through_a_proxy(rsyslog, netns, authority, urls):
    """By CONNECT, with TLS to the receiver inside it; the proxy alone knows the name."""
    proxy = ConnectProxy(f"/run/netns/{netns}", "127.0.0.1", 3128, {"127.0.0.1": "127.0.0.1", "logs.test": "127.0.0.1"})
    item, plain = events(3), events(3)
    try:
        for url, each in ((urls["tls"], item), ("tcp://logs.test:514", plain)):
            with Driver("syslog", netns, url=url, ca=authority.file, proxy="http://127.0.0.1:3128") as driver:
                driver.deliver(each)
        result = refusal(netns, url="tcp://other.test:514", proxy="http://127.0.0.1:3128")
        assert result["outcome"] == "retry" and "403" in result["error"], result
        arrive_once(rsyslog, "tls", item)
        arrive_once(rsyslog, "tcp", plain)
    finally:
        proxy.stop()
    assert len(proxy.connections) == 3


@pytest.mark.parametrize("way", ("tcp", "udp", "unix"))
def test_hostile_and_long(rsyslog, netns, urls, way):
    """Names that would break the structured data, and events longer than a frame, don't cost the next message."""
    odd = {**event(), "app": 'a"]\\[é', "text": '{"name":"\\u0000\\n<13>1 - - - - - - x","o":"é]\\""}'}
    huge = event(60000)
    wide = event(names=["ä" * 50] * 2000)
    crowd = event(**{f"k{i}": i for i in range(2000)})
    exact = event(7700)
    after = event()
    with Driver("syslog", netns, url=urls[way]) as driver:
        driver.deliver([odd, huge, wide, crowd, exact, after])
    arrive_once(rsyslog, way, [odd, huge, wide, crowd, exact, after])
    lines = rsyslog.lines(way)[-6:]
    assert r'app="a\"\]\\[é"' in lines[0]["data"] and lines[0]["text"].strip() == odd["text"]
    for line, item in ((lines[1], huge), (lines[2], wide)):
        assert f'cut="{len(item["text"].encode())}"' in line["data"]
        told = json.loads(line["text"])
        assert told["event_id"] == item["id"] and told["type"] == "deny"
    assert json.loads(lines[1]["text"])["comm"] == "x" * 1024 + "..."
    assert f'cut="{len(crowd["text"])}"' in lines[3]["data"] and lines[3]["text"].endswith("...")
    assert lines[4]["text"].strip() == exact["text"] and "cut=" not in lines[4]["data"]
    assert lines[5]["text"].strip() == after["text"]


def refusal(netns, **config):
    with Driver("syslog", netns, timeout=10, **config) as driver:
        return driver.send(events(3))


def test_certificates_of_the_receiver(netns, place, authority, urls, rsyslog):
    """Expired, of another host, of another authority: a pause that says which, and not one message goes."""
    before = len(rsyslog.lines("tls"))
    other = Authority(place, "other")
    result = refusal(netns, url=urls["tls"], ca=other.file)
    assert result["outcome"] == "pause"
    assert "the certificate of 127.0.0.1:6514 is not good" in result["error"]
    assert "unable to get local issuer certificate" in result["error"] or "self" in result["error"]
    result = refusal(netns, url="tls://localhost", ca=authority.file)
    assert result["outcome"] == "pause" and "localhost" in result["error"] and "match" in result["error"]
    expired = authority.issue("expired", "IP:127.0.0.1", start="20200101000000Z", end="20200201000000Z")
    pem = os.path.join(place, "haproxy.pem")
    with open(pem, "w", encoding="ascii") as out:
        for file in expired:
            with open(file, encoding="ascii") as part:
                out.write(part.read())
    proxy = Haproxy(netns, place, 7001, 514, f"bind 127.0.0.1:7002 ssl crt {pem}")
    try:
        result = refusal(netns, url="tls://127.0.0.1:7002", ca=authority.file)
    finally:
        proxy.stop()
    assert result["outcome"] == "pause" and "expired" in result["error"]
    assert len(rsyslog.lines("tls")) == before


def test_client_certificate_missing(netns, urls, authority, client, rsyslog, place):
    """rsyslogd closes, with TLS 1.3 after the handshake: not delivered, and with the certificate it is."""
    item = events(3)
    stranger = Authority(place, "strangers").issue("stranger", "DNS:client.test")
    for pair in ({}, {"cert": stranger[0], "key": stranger[1]}):
        with Driver("syslog", netns, url=urls["mutual"], ca=authority.file, **pair) as driver:
            result = driver.send(item)
            assert result["outcome"] in ("retry", "pause") and "certificate" in result["error"], result
    with Driver("syslog", netns, url=urls["mutual"], ca=authority.file, cert=client[0], key=client[1]) as driver:
        driver.deliver(item)
    arrive_once(rsyslog, "mutual", item)


@pytest.mark.parametrize("version", ("TLSv1.2", "TLSv1.3"))
def test_client_certificate_refused_by_alert(netns, place, authority, client, rsyslog, version):
    """haproxy (OpenSSL) sends an alert, before the end of the handshake or after it: a pause; then new files."""
    pem = os.path.join(place, "both.pem")
    with open(pem, "w", encoding="ascii") as out:
        for file in authority.issue("both", "IP:127.0.0.1"):
            with open(file, encoding="ascii") as part:
                out.write(part.read())
    stranger = Authority(place, f"strangers-{version}").issue(f"stranger-{version}", "DNS:client.test")
    proxy = Haproxy(netns, place, 7011, 514,
                    f"bind 127.0.0.1:7012 ssl crt {pem} ca-file {authority.file} verify required "
                    f"ssl-min-ver {version} ssl-max-ver {version}")
    item = events(2)
    try:
        result = refusal(netns, url="tls://127.0.0.1:7012", ca=authority.file)
        assert result["outcome"] == "pause" and "alert" in result["error"], result
        with Driver("syslog", netns, url="tls://127.0.0.1:7012", ca=authority.file, cert=stranger[0],
                    key=stranger[1]) as driver:
            result = driver.send(item)
            assert result["outcome"] == "pause" and "alert" in result["error"], result
            # The right files under the same names: read again without a restart.
            for new, old in zip(client, stranger):
                run("cp", new, f"{old}.new")
                os.rename(f"{old}.new", old)
            driver.deliver(item)
        arrive_once(rsyslog, "tcp", item)
    finally:
        proxy.stop()


def test_files_changed_under_an_open_connection(netns, place, urls, authority, rsyslog):
    """It is made anew with what the files say now."""
    mine, first, second = os.path.join(place, "mine.pem"), events(3), events(3)
    other = Authority(place, "others")

    def put(file):
        run("cp", file, f"{mine}.new")
        os.rename(f"{mine}.new", mine)

    put(authority.file)
    with Driver("syslog", netns, url=urls["tls"], ca=mine) as driver:
        driver.deliver(first)
        put(other.file)
        result = driver.send(second)
        assert result["outcome"] == "pause" and "is not good" in result["error"]
        put(authority.file)
        driver.deliver(second)
    arrive_once(rsyslog, "tls", first, second)


def test_files_that_cannot_be_used(netns, place, urls, authority, client):
    with Driver("syslog", netns, url=urls["tls"], ca=f"{place}/absent.pem") as driver:
        assert "absent.pem" in driver.refused and "No such file" in driver.refused
    junk = os.path.join(place, "junk.pem")
    with open(junk, "w", encoding="ascii") as out:
        out.write("not a certificate\n")
    result = refusal(netns, url=urls["tls"], ca=junk)
    assert result["outcome"] == "pause" and "junk.pem" in result["error"]
    result = refusal(netns, url=urls["tls"], ca=authority.file, cert=junk, key=junk)
    assert result["outcome"] == "pause" and "junk.pem" in result["error"]
    locked = os.path.join(place, "locked.key")
    run("openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", client[1], "-out", locked)
    result = refusal(netns, url=urls["tls"], ca=authority.file, cert=client[0], key=locked)
    assert result["outcome"] == "pause" and "locked.key" in result["error"]
    for url in ("http://127.0.0.1", "unix:relative", "tcp://", "514"):
        with Driver("syslog", netns, url=url) as driver:
            assert "url" in driver.refused and "unix:/PATH" in driver.refused


def test_nobody_there(netns, place):
    """Each transport says who does not answer, and keeps the events."""
    for url in ("tcp://127.0.0.1:9", "tls://127.0.0.1:9", f"unix:{place}/absent"):
        result = refusal(netns, url=url)
        assert result["outcome"] == "retry" and url.partition(":")[2].strip("/") in result["error"], result
    with Driver("syslog", netns, url="udp://127.0.0.1:9") as driver:
        # The first datagram is what the refusal answers.
        results = [driver.send(events(1)) for _ in range(3)]
    assert any(r["outcome"] == "retry" and "refused" in r["error"] for r in results)


def test_receiver_killed_in_mid_stream(netns, rsyslog, urls):
    """SIGKILL while a batch is on its way: that batch comes again, whole; twice is what came of it before at most."""
    before, caught, after = events(200), events(1000, 7000), events(200)
    with Driver("syslog", netns, url=urls["tcp"]) as driver:
        driver.deliver(before)
        arrive_once(rsyslog, "tcp", before)
        rsyslog.program.tell(signal.SIGSTOP)
        driver.begin(caught)
        time.sleep(0.5)
        rsyslog.stop(signal.SIGKILL)
        result = driver.answer()
        assert result["outcome"] == "retry" and "127.0.0.1:514" in result["error"] and result["items"] is None
        assert driver.send(caught)["outcome"] == "retry"
        rsyslog.start()
        driver.deliver(caught)
        driver.deliver(after)
    arrive_once(rsyslog, "tcp", before, after)
    arrive_twice_at_most(rsyslog, "tcp", caught)


@pytest.mark.parametrize("way", ("tcp", "tls", "unix", "stream"))
def test_receiver_restarted_between_batches(netns, rsyslog, urls, authority, way):
    """A connection that the receiver ended is seen before the next batch goes: nothing lost, nothing twice."""
    first, second = events(50), events(50)
    with Driver("syslog", netns, url=urls[way], ca=authority.file) as driver:
        driver.deliver(first)
        arrive_once(rsyslog, way, first)
        rsyslog.stop()
        rsyslog.start()
        driver.deliver(second)
    arrive_once(rsyslog, way, first, second)


def test_proxy_closes_idle_connections(netns, place, rsyslog):
    batches = [events(20) for _ in range(3)]
    proxy = Haproxy(netns, place, 7021, 514, "timeout client 300ms", "timeout server 300ms")
    try:
        with Driver("syslog", netns, url="tcp://127.0.0.1:7021") as driver:
            for each in batches:
                driver.deliver(each)
                time.sleep(0.8)
        arrive_once(rsyslog, "tcp", *batches)
    finally:
        proxy.stop()


def test_proxy_resets_in_mid_batch(netns, place, rsyslog):
    caught = events(1000, 7000)
    proxy = Haproxy(netns, place, 7031, 514)
    with Driver("syslog", netns, url="tcp://127.0.0.1:7031") as driver:
        try:
            rsyslog.program.tell(signal.SIGSTOP)
            driver.begin(caught)
            time.sleep(0.5)
        finally:
            proxy.stop(signal.SIGKILL)
            rsyslog.program.tell(signal.SIGCONT)
        assert driver.answer()["outcome"] == "retry"
        proxy = Haproxy(netns, place, 7031, 514)
        try:
            driver.deliver(caught)
            arrive_twice_at_most(rsyslog, "tcp", caught)  # while the proxy lives: what it holds dies with it
        finally:
            proxy.stop()


def test_slow_receiver(netns, rsyslog, urls):
    """One that reads in fits is waited for: once, whole."""
    big = events(1000, 7000)
    with Driver("syslog", netns, url=urls["tcp"], timeout=60) as driver:
        rsyslog.program.tell(signal.SIGSTOP)
        driver.begin(big)
        for _ in range(6):
            time.sleep(0.2)
            rsyslog.program.tell(signal.SIGCONT)
            time.sleep(0.02)
            rsyslog.program.tell(signal.SIGSTOP)
        rsyslog.program.tell(signal.SIGCONT)
        result = driver.answer()
        assert result["outcome"] == "delivered", result
    arrive_once(rsyslog, "tcp", big)


@pytest.mark.parametrize("why", ("time", "stop"))
def test_datagrams_that_were_taken(netns, rsyslog, urls, why):
    """Of a batch that a receiver could not take in time, only the rest is sent again."""
    item = events(2000)
    with Driver("syslog", netns, url=urls["unix"], timeout=1 if why == "time" else 30) as driver:
        rsyslog.program.tell(signal.SIGSTOP)
        try:
            driver.begin(item)
            if why == "stop":
                time.sleep(0.3)
                driver.terminate()
            result = driver.answer()
        finally:
            rsyslog.program.tell(signal.SIGCONT)
        assert result["outcome"] == "retry"
        assert ("told to stop" if why == "stop" else "nothing could be sent in time") in result["error"]
        taken = result["items"].count("delivered")
        assert 0 < taken < 2000 and result["items"] == ["delivered"] * taken + ["retry"] * (2000 - taken)
    with Driver("syslog", netns, url=urls["unix"]) as driver:
        driver.deliver(item[taken:])
    arrive_once(rsyslog, "unix", item)


def drop_port(netns, port):
    run("ip", "netns", "exec", netns, "nft", "-f", "-",
        text=f"table inet t {{ chain c {{ type filter hook input priority 0; tcp dport {port} drop; }}; }}\n")


def test_black_hole(netns, rsyslog, urls, authority):
    """Packets go nowhere, of an old connection and of a new one: not delivered, within the time that is given."""
    first, second = events(10), events(10)
    with Driver("syslog", netns, url=urls["tcp"], timeout=2) as driver:
        driver.deliver(first)
        drop_port(netns, 514)
        try:
            began = time.monotonic()
            result = driver.send(second)
            assert result["outcome"] == "retry" and "no acknowledgement" in result["error"]
            result = driver.send(second)
            assert result["outcome"] == "retry" and "no answer in time" in result["error"], result
            assert time.monotonic() - began < 20
        finally:
            run("ip", "netns", "exec", netns, "nft", "delete", "table", "inet", "t")
        driver.deliver(second)
    arrive_once(rsyslog, "tcp", first)
    arrive_twice_at_most(rsyslog, "tcp", second)


def test_handshake_that_never_ends(netns, place, authority):
    hole = Haproxy(netns, place, 7051, 9, "tcp-request inspect-delay 60s", "tcp-request content accept if FALSE")
    try:
        with Driver("syslog", netns, url="tls://127.0.0.1:7051", ca=authority.file, timeout=1) as driver:
            result = driver.send(events(1))
    finally:
        hole.stop()
    assert result["outcome"] == "retry" and "no answer in time" in result["error"], result


@pytest.mark.parametrize("phase", ("connecting", "handshake", "sending", "acknowledgement"))
def test_told_to_stop(netns, place, rsyslog, urls, authority, phase):
    """Whatever it waits for, it ends soon, and does not say that it delivered."""
    hole = Haproxy(netns, place, 7041, 9, "tcp-request inspect-delay 60s", "tcp-request content accept if FALSE")
    url = "tls://127.0.0.1:7041" if phase == "handshake" else urls["tcp"]
    try:
        with Driver("syslog", netns, url=url, ca=authority.file) as driver:
            if phase == "acknowledgement":
                driver.deliver(events(1))
            if phase in ("connecting", "acknowledgement"):
                drop_port(netns, 514)
            if phase == "sending":
                rsyslog.program.tell(signal.SIGSTOP)
            driver.begin(events(1) if phase == "acknowledgement" else events(1000, 7000))
            time.sleep(0.5)
            driver.terminate()
            began = time.monotonic()
            result = driver.answer()
            assert time.monotonic() - began < 15  # of 30; a second on an idle machine
            assert result["outcome"] == "retry"
            assert ("no acknowledgement" if phase == "acknowledgement" else "told to stop") in result["error"]
    finally:
        if phase in ("connecting", "acknowledgement"):
            run("ip", "netns", "exec", netns, "nft", "delete", "table", "inet", "t")
        rsyslog.program.tell(signal.SIGCONT)
        hole.stop()


# ---- As egret-ship does it -------------------------------------------------------------------------------


def test_from_the_spool_by_every_way(bare_host, rsyslog, netns, place, urls, authority, client):
    """The whole program, as a user without privileges behind its system call filter, on the events of an agent."""
    agent = bare_host.agent
    agent.start()
    app = bare_host.app(policy("web", []))
    for port in range(80, 90):
        assert app.fails("connect", f"c{port}", DENIED, port) == "EPERM"
    eventually(lambda: len([e for e in agent.query() if e["type"] == "deny"]) == 10, what="the denials")
    wanted = {e["event_id"]: e for e in agent.query()}
    agent.stop()
    run("chmod", "-R", "a+rX", agent.log_dir)  # egretd does that for the user of a child of its own
    os.chmod(place, 0o711)
    os.chmod(client[1], 0o644)
    os.chmod(rsyslog.stream_socket, 0o666)
    out = os.path.join(place, "out")
    os.mkdir(out)
    os.chmod(out, 0o777)
    tls = {"tls": {"ca": authority.file}}, {"tls": {"ca": authority.file, "cert": client[0], "key": client[1]}}
    more = {"tls": tls[0], "mutual": tls[1]}
    sinks = [{"name": way, "type": "syslog", "url": url, "flows": "full", **more.get(way, {})}
             for way, url in urls.items()]
    sinks.append({"name": "named", "type": "syslog", "url": "udp://localhost", "flows": "full", "types": ["deny"]})
    sinks.append({"name": "disk", "type": "file", "path": f"{out}/events.ndjson", "flows": "full"})
    config = os.path.join(place, "egret.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"log_dir": agent.log_dir, "state_dir": agent.state_dir, "ship_user": "nobody", "sinks": sinks}, file)
    ship = Program(netns, SHIP, "--config", config)
    try:
        for way in urls:
            denials_twice = way == "udp"  # by "named" as well
            times = {i: 1 + (denials_twice and e["type"] == "deny") for i, e in wanted.items()}
            eventually(lambda w=way, t=times: {i: rsyslog.tally(w)[i] for i in t} == t, 30, f"all by {way}")
        line = next(line for line in rsyslog.lines("tls") if line["msgid"] == "deny" and 'app="web"' in line["data"])
        denial = json.loads(line["text"])
        assert denial == wanted[denial["event_id"]] and line["host"] == "test-host"
        assert int(line["pri"]) == FACILITY * 8 + WARNING and line["time"][:26] == denial["ts"][:26]
        with open(f"{out}/events.ndjson", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
        assert {e["event_id"]: e for e in found if e["event_id"] in wanted} == wanted
        assert len({e["event_id"] for e in found}) == len(found)
    finally:
        ship.stop()

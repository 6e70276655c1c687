# SPDX-License-Identifier: Apache-2.0
"""Answers that an app gives to itself in a network namespace that it made, where it has every capability."""
from harness import dns, eventually
from harness.names import API, begin, named
from harness.net import APP, ROUTER

EVIL = "192.0.2.66"

# Asks the resolver over a veth whose other end makes an answer of the question: all that one has and the other
# has not is behind the question already.
FORGE = f"""
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
question = bytes.fromhex(sys.argv[1])
uid, gid = os.getuid(), os.getgid()
assert libc.unshare(0x50000000) == 0, ctypes.get_errno()
for file, text in (("setgroups", "deny"), ("uid_map", f"0 {{uid}} 1"), ("gid_map", f"0 {{gid}} 1")):
    with open(f"/proc/self/{{file}}", "w") as out:
        out.write(text)

def run(*argv, text=None):
    subprocess.run(argv, input=text, text=True, check=True)

run('ip', '-batch', '-', text='''link set lo up
link add va address 02:00:00:00:00:01 type veth peer name vb address 02:00:00:00:00:02
link set va up
link set vb up
addr add {APP}/24 dev va
neigh add {ROUTER} lladdr 02:00:00:00:00:02 dev va
''')
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("{APP}", 5300))
for name in ("all", "va", "vb"):
    for key, value in (("rp_filter", 0), ("accept_local", 1)):
        with open(f"/proc/sys/net/ipv4/conf/{{name}}/{{key}}", "w") as out:
            out.write(str(value))
run("nft", "-f", "-", text='''table netdev t {{ chain i {{ type filter hook ingress device "vb" priority 0;
    ip saddr set {ROUTER} ip daddr set {APP} udp sport set 53 udp dport set 5300
    @th,80,16 set 0x8180 @th,112,16 set 1 udp checksum set 0
}}; }}''')
sock.settimeout(3)
sock.sendto(question, ("{ROUTER}", 53))
try:
    print(sock.recv(600).hex())
except OSError:  # nothing came, or egretd has found out what goes on here
    print("none")
"""


def forge(host, **policy):
    """What came, and the app."""
    begin(host)
    host.network.public("192.0.2.0/24")
    app = host.app(named("web", "api.example", **policy))
    question = dns.query("api.example") + dns.record(b"\xc0\x0c", "A", 600, dns.packed(EVIL))
    return app.command("python3", "-c", FORGE, question.hex()).strip(), app


def grants(agent):
    return [(each["name"], each["address"]) for each in agent.get("/v1/apps/web?grants=1")["grants"]["list"]]


def test_answers_in_a_namespace_of_ones_own(host, agent):
    """They open nothing to the sockets that lead out."""
    came, app = forge(host)
    assert came == "none" and grants(agent) == []
    assert agent.count("web", "dns_unasked", "ingress") == 1
    event = agent.event(type="dns", app="web", reason="dns_unasked", direction="ingress")
    assert (event["verdict"], event["name"], event["src"]) == ("deny", "api.example", ROUTER)
    eventually(lambda: "netns_problem" not in agent.app("web"))
    assert app.fails("connect", "c", EVIL, 443) == "EPERM"
    assert agent.count("web", "no_grant") == 1
    host.unseen(EVIL)
    assert app.dns_ask(ROUTER, "api.example")["addresses"] == [API]  # from the resolver itself
    assert grants(agent) == [("api.example", API)]


def test_where_the_policy_trusts_an_administrator(host, agent):
    """Which shows that the attack is one."""
    came, app = forge(host, allow_netns_admin=True)
    assert dns.read_answer(bytes.fromhex(came))["addresses"] == [EVIL]
    assert grants(agent) == [("api.example", EVIL)]
    app.connect("c", EVIL, 443)
    assert app.ask("c") == "ping"

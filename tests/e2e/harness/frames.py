# SPDX-License-Identifier: Apache-2.0
"""Packets and frames as bytes, of any shape."""
import socket
import struct

from .net import ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6

UDP, TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP
HOP_BY_HOP, ROUTING, FRAGMENT, ICMP6, NOTHING, DESTINATION = 0, 43, 44, 58, 59, 60


def udp(port=443, data=b"secret"):
    return struct.pack("!HHHH", 4000, port, 8 + len(data), 0) + data


def tcp_syn(port):
    return struct.pack("!HHIIBBHHH", 4000, port, 1, 0, 5 << 4, 2, 1024, 0, 0)


def ipv4(dst, payload, proto=UDP, options=b"", fragment=0, version=4):
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | size // 4, 0, size + len(payload), 7,
                       fragment, 64, proto, 0, socket.inet_aton(APP), socket.inet_aton(dst)) + options
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total & 0xffff) + (total >> 16)
    return head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:] + payload


def ipv6(dst, payload, following=UDP):
    """following: the next header, which is the first of the payload if that begins with extension headers."""
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + socket.inet_pton(
        socket.AF_INET6, APP6) + socket.inet_pton(socket.AF_INET6, dst) + payload


def extension(following, body=b"\1\4\0\0\0\0"):
    """An extension header (by default of padding alone)."""
    return struct.pack("!BB", following, (len(body) + 2) // 8 - 1) + body


def udp_frame(dst, between=b"", fragment=0, port=443, data=b"secret", mac=b"\xff" * 6):
    """An Ethernet frame, to everybody unless a hardware address is given, with a datagram; between: what precedes the IPv4 header."""
    packet = ipv4(dst, udp(port, data), fragment=fragment)
    return (mac + b"\x02" * 6 + (between or b"\x08\x00") + packet).hex()


def neighbour_frame(dst, kind, target, hops=255, data=b""):
    """A frame to everybody with a message of neighbour discovery (RFC 4861); data: in the place of options."""
    message = struct.pack("!BBHI", kind, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target) + data
    packet = ipv6(dst, message, ICMP6)
    return (b"\xff" * 6 + b"\x02" * 6 + b"\x86\xdd" + packet[:7] + bytes([hops]) + packet[8:]).hex()


# ---- Made by hand ----------------------------------------------------------------------------------------
# What an app with raw sockets may try that may reach ALLOWED and ALLOWED6 by TCP and UDP, port 443:
# {name: (packet, why it is refused)}.

PORTS = bytes([1, 187]) * 20  # wherever one looks for a port among these options, it is 443
ROUTE = bytes([131, 7, 4]) + socket.inet_aton(DENIED) + b"\0"
FORGED = {
    "destination": (ipv4(DENIED, udp()), "no_rule"),
    "port": (ipv4(ALLOWED, udp(22)), "no_rule_port"),
    "tcp": (ipv4(ALLOWED, tcp_syn(22), TCP), "no_rule_port"),
    "options that look like ports": (ipv4(ALLOWED, udp(22), options=PORTS), "no_rule_port"),
    "options that hide the end": (ipv4(ALLOWED, b"", options=PORTS), "unparsable"),
    "source route": (ipv4(ALLOWED, udp(), options=ROUTE), "ext_header"),
    "version 6": (ipv4(ALLOWED, udp(), version=6), "unparsable"),
    "cut short": (ipv4(ALLOWED, udp()[:6]), "unparsable"),
    "tcp cut short": (ipv4(ALLOWED, tcp_syn(443)[:18], TCP), "unparsable"),
    "first fragment": (ipv4(ALLOWED, udp(), fragment=0x2000), "fragment"),
    "later fragment": (ipv4(ALLOWED, udp(), fragment=1), "fragment"),
    "ipip": (ipv4(ALLOWED, ipv4(DENIED, udp()), 4), "protocol"),
    "gre": (ipv4(ALLOWED, bytes(12), 47), "protocol"),
    "esp": (ipv4(ALLOWED, bytes(32), 50), "protocol"),
    "sctp": (ipv4(ALLOWED, udp(), 132), "protocol"),
    "udp-lite": (ipv4(ALLOWED, udp(), 136), "protocol"),
}

FORGED6 = {
    "destination": (ipv6(DENIED6, udp()), "no_rule"),
    "port": (ipv6(ALLOWED6, udp(22)), "no_rule_port"),
    "port behind options": (ipv6(ALLOWED6, extension(17, udp(443)[:6]) + udp(22), DESTINATION), "no_rule_port"),
    "hop-by-hop": (ipv6(ALLOWED6, extension(17) + udp(22), HOP_BY_HOP), "no_rule_port"),
    "routing header": (ipv6(ALLOWED6, extension(17, b"\0\1" + bytes(4) + socket.inet_pton(socket.AF_INET6, DENIED6)) + udp(),
                            ROUTING), "ext_header"),
    "first fragment": (ipv6(ALLOWED6, struct.pack("!BBHI", 17, 0, 1, 7) + udp(), FRAGMENT), "fragment"),
    "later fragment": (ipv6(ALLOWED6, struct.pack("!BBHI", 17, 0, 8, 7) + udp(), FRAGMENT), "fragment"),
    "many headers": (ipv6(ALLOWED6, extension(DESTINATION) * 7 + extension(17) + udp(), DESTINATION), "ext_header"),
    "nothing follows": (ipv6(ALLOWED6, b"secret", NOTHING), "protocol"),
    "cut short": (ipv6(ALLOWED6, udp()[:4]), "unparsable"),
    "headers cut short": (ipv6(ALLOWED6, extension(17)[:4], DESTINATION), "unparsable"),
    "experiment": (ipv6(ALLOWED6, udp(), 253), "protocol"),
    "echo": (ipv6(ALLOWED6, bytes([128, 0, 0, 0, 0, 1, 0, 1]), ICMP6), "no_rule_port"),
}

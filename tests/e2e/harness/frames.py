# SPDX-License-Identifier: Apache-2.0
"""Packets and frames as bytes, of any shape."""
import socket
import struct

from .net import APP, APP6

UDP, TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP


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


def udp_frame(dst, between=b"", fragment=0, port=443, data=b"secret"):
    """An Ethernet frame to everybody, with a datagram; between: what precedes the IPv4 header."""
    packet = ipv4(dst, udp(port, data), fragment=fragment)
    return (b"\xff" * 6 + b"\x02" * 6 + (between or b"\x08\x00") + packet).hex()

# SPDX-License-Identifier: Apache-2.0
"""A small DNS server over UDP: resolver.py ADDRESS FILE. FILE is JSON, read for every query:
{"name": {"A": [...], "AAAA": [...], "ttl": 60, "rcode": 0, "silent": false}}; other names do not exist.
Each query's name and type are a line on stdout; the first line is "ready".
"""
import ipaddress
import json
import socket
import struct
import sys

TYPES = {1: "A", 28: "AAAA"}


def answer(query, records):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
        at += 1 + query[at]
    name, kind = ".".join(labels).lower(), TYPES.get(struct.unpack_from("!H", query, at + 1)[0], "other")
    print(name, kind, flush=True)
    record = records.get(name, {"rcode": 3})
    if record.get("silent"):
        return None
    data = [ipaddress.ip_address(text).packed for text in record.get(kind, [])]
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | record.get("rcode", 0), 1, len(data), 0, 0)
    number = struct.unpack_from("!H", query, at + 1)[0]
    made = [b"\xc0\x0c" + struct.pack("!HHIH", number, 1, record.get("ttl", 60), len(one)) + one for one in data]
    return head + query[12:at + 5] + b"".join(made)


def main():
    address, file = sys.argv[1:]
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    print("ready", flush=True)
    while True:
        query, peer = sock.recvfrom(4096)
        with open(file, encoding="utf-8") as text:
            made = answer(query, json.load(text))
        if made:
            sock.sendto(made, peer)


if __name__ == "__main__":
    main()

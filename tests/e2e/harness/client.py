# SPDX-License-Identifier: Apache-2.0
"""One API request, made by whoever runs this: argv is SOCKET METHOD PATH; the body is on stdin."""
import http.client
import json
import socket
import sys


def main():
    path, method, target = sys.argv[1:]
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(30)
    try:
        connection.sock.connect(path)
    except OSError as error:
        print(json.dumps([0, str(error)]))
        return
    connection.request(method, target, sys.stdin.buffer.read() or None)
    answer = connection.getresponse()
    print(json.dumps([answer.status, answer.read().decode()]))


main()

# SPDX-License-Identifier: Apache-2.0
"""What a receiver of http_receivers.py does in place of its work, for one request.

A fault is called with the request's handler and body. Those that are `early` come before the body was read.
"""
import socket
import struct


def early(function):
    function.early = True
    return function


def late(function):
    function.early = False
    return function


def reset(handler):
    """RST rather than FIN."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def says(status, body=b"", **headers):
    """An answer, and nothing is stored."""

    @late
    def fault(handler, _):
        handler.reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    return fault


def after(seconds):
    """Its work, but not at once."""

    @late
    def fault(handler, body):
        handler.server.receiver.stopping.wait(seconds)
        handler.reply(*handler.server.receiver.attend(handler, body))

    return fault


PAGE = says(200, b"<!DOCTYPE html><html><title>Sign in</title></html>", Content_Type="text/html")


@early
def black_hole(handler, _):
    """Reads nothing, says nothing."""
    handler.server.receiver.stopping.wait(60)
    handler.close_connection = True


@late
def slow(handler, _):
    """An answer of a byte now and then."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000:
            handler.wfile.write(bytes([byte]))
            if handler.server.receiver.stopping.wait(0.1):
                break
    except OSError:
        pass  # the client has lost its patience
    handler.close_connection = True


@early
def reset_in_body(handler, _):
    handler.rfile.read(4)
    reset(handler)


@late
def reset_in_answer(handler, body):
    """Stored; the answer breaks off."""
    handler.server.receiver.attend(handler, body)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    reset(handler)


@late
def lose_answer(handler, body):
    """Stored; no answer at all."""
    handler.server.receiver.attend(handler, body)
    handler.close_connection = True


def flood(size):
    """Stored; the answer is longer than any that is read."""

    @late
    def fault(handler, body):
        handler.server.receiver.attend(handler, body)
        try:
            handler.reply(200, {}, b"{" + b" " * size)
        except OSError:
            pass  # as it should be

    return fault


@late
def echoes_secret(handler, _):
    """A receiver that repeats the credentials it refuses."""
    handler.reply(401, {}, ("no: " + handler.headers["Authorization"]).encode())

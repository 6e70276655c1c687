# SPDX-License-Identifier: Apache-2.0
"""Servers that see the first data of a connection, and clients' first data of any shape.

The servers run on threads of the test, which entered the servers' network namespace. What they
read is kept as it came, so that a test can say that not one byte did.
"""
import contextlib
import ctypes
import os
import socket
import ssl
import struct
import subprocess
import threading

CLONE_NEWNET = 0x40000000
SERVER_NAME, PADDING, ECH = 0, 21, 0xFE0D


def enter(path):
    """The calling thread goes to another network namespace."""
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(namespace)


def make_certificate(directory):
    """(certificate, key): files. Of nobody; clients here don't check it."""
    files = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=test", "-days", "2", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True, timeout=60)
    return files


# ---- Servers -------------------------------------------------------------------------------------------


class Connection:
    """What came, and what TLS made of it."""

    def __init__(self, sock):
        self.sock, self.data, self.sni, self.secure, self.error = sock, b"", None, False, None


class Server:
    """One TCP listener in a namespace; a subclass says what a connection gets."""

    def __init__(self, namespace, address, port):
        self.namespace, self.connections, self.ready = namespace, [], threading.Event()
        self.sock = None
        self.thread = threading.Thread(target=self.run, args=(address, port), daemon=True)
        self.thread.start()
        assert self.ready.wait(10) and self.sock, f"no server on {address}:{port}"

    def run(self, address, port):
        enter(self.namespace)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        sock.bind((address, port))
        sock.listen(64)
        self.sock = sock
        self.ready.set()
        while True:
            try:
                conn, _ = sock.accept()
            except OSError:  # stop()
                return
            made = Connection(conn)
            self.connections.append(made)
            threading.Thread(target=self.attend, args=(made,), daemon=True).start()

    def attend(self, conn):
        try:
            self.talk(conn)
        except OSError as error:
            conn.error = error
        finally:
            conn.sock.close()

    def talk(self, conn):
        raise NotImplementedError

    def stop(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for conn in list(self.connections):
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended

    def received(self):
        return sum(len(conn.data) for conn in list(self.connections))


class TlsServer(Server):
    """Echoes what comes over TLS."""

    def __init__(self, namespace, address, port, certificate):
        self.certificate = certificate
        super().__init__(namespace, address, port)

    @classmethod
    @contextlib.contextmanager
    def serving(cls, namespace, address, directory):
        """On port 443, with a certificate made in that directory; stopped at the end."""
        made = cls(namespace, address, 443, make_certificate(directory))
        yield made
        made.stop()

    def talk(self, conn):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

        def note(tls, name, _):
            conn.sni = name

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # of its own, for the callback's sake
        context.load_cert_chain(*self.certificate)
        context.sni_callback = note
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            data = conn.sock.recv(1 << 16)
            if not data:
                return
            conn.data += data
            incoming.write(data)
            try:
                if not conn.secure:
                    tls.do_handshake()
                    conn.secure = True
                tls.write(tls.read(1 << 16))
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                conn.error = error
                return
            finally:
                if outgoing.pending:
                    conn.sock.sendall(outgoing.read())


class ConnectProxy(Server):
    """CONNECT, and nothing else; `hosts` has what it knows."""

    def __init__(self, namespace, address, port, hosts):
        self.hosts = hosts
        super().__init__(namespace, address, port)

    def talk(self, conn):
        while b"\r\n\r\n" not in conn.data:
            data = conn.sock.recv(1 << 16)
            if not data:
                return
            conn.data += data
        method, target = conn.data.split(b" ")[:2]
        host, _, port = target.decode().rpartition(":")
        if method != b"CONNECT" or host not in self.hosts:
            conn.sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        enter(self.namespace)
        with socket.create_connection((self.hosts[host], int(port)), timeout=10) as onward:
            conn.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self.pipe, args=(onward, conn.sock), daemon=True)
            back.start()
            self.pipe(conn.sock, onward)
            back.join(10)

    @staticmethod
    def pipe(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # either side has ended


# ---- First data ------------------------------------------------------------------------------------------


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def hello(name):
    """The ClientHello of a real client; name None: it names no server."""
    outgoing = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def remade(record, edit):
    """The ClientHello with its list of (type, data) extensions as edit makes it."""
    at = 5 + 4 + 2 + 32
    at += 1 + record[at]
    at += 2 + struct.unpack_from("!H", record, at)[0]
    at += 1 + record[at]
    head, tail, extensions = record[9:at], record[at + 2 :], []
    while tail:
        kind, size = struct.unpack_from("!HH", tail)
        extensions.append((kind, tail[4 : 4 + size]))
        tail = tail[4 + size :]
    body = b"".join(struct.pack("!HH", kind, len(data)) + data for kind, data in edit(extensions))
    body = head + struct.pack("!H", len(body)) + body
    return record[:3] + struct.pack("!HB", len(body) + 4, 1) + struct.pack("!I", len(body))[1:] + body


def padded(name, size, last):
    """A hello of so many bytes; server_name comes last, or first."""

    def edit(extensions):
        others = [one for one in extensions if one[0] not in (SERVER_NAME, PADDING)]
        named = [one for one in extensions if one[0] == SERVER_NAME]
        room = size - len(remade(hello(name), lambda _: others + named)) - 4
        others.append((PADDING, bytes(room)))
        return others + named if last else named + others

    return remade(hello(name), edit)


def with_ech(name):
    """An outer hello, which has what looks like an encrypted one in it."""
    return remade(hello(name), lambda extensions: extensions + [(ECH, b"\0\0\1\0\1\7\0\x20" + os.urandom(220))])


def in_two_records(record):
    """The same handshake message, spread over two records."""
    body = record[5:]
    return b"".join(record[:3] + struct.pack("!H", len(part)) + part for part in (body[:40], body[40:]))


def two_faced(name, other):
    """(data, at): a hello that names the one with its byte `at`, and the other without it, and the byte after it.

    Without it all that follows is read one byte later, so the session's identifier is the rest of another hello,
    up to an extension that covers this one's.
    """

    def server_name(text):
        return struct.pack("!HHHBH", SERVER_NAME, len(text) + 5, len(text) + 3, 0, len(text)) + text

    hidden = server_name(other.encode()) + struct.pack("!HH", 0xFAFA, 1)  # its one byte is the last of all
    extensions = server_name(name.encode()) + struct.pack("!HH", PADDING, len(hidden)) + hidden
    rest = b"\0\2\xc0\x2b\1\0" + struct.pack("!H", len(extensions)) + extensions
    cover = 32 - 13 + len(rest) - len(hidden)
    session = b"\0\0\2\xc0\x2b\1\0" + struct.pack("!HHH", 4 + cover + len(hidden) + 1, PADDING, cover)
    body = b"\3\3" + bytes(32) + b"\x20" + session.ljust(32, b"\0") + rest
    return b"\x16\3\1" + struct.pack("!HI", len(body) + 4, 1 << 24 | len(body)) + body + b"\0", 11


class TlsClient:
    """TLS over somebody's socket."""

    def __init__(self, sock, name, timeout=10):
        sock.settimeout(timeout)
        self.sock = client_context().wrap_socket(sock, server_hostname=name)

    def echo(self, data=b"ping"):
        self.sock.sendall(data)
        return self.sock.recv(1 << 16)

    def close(self):
        self.sock.close()

# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates by openssl, and documents signed with them as an operator would."""
import base64
import json
import os
import subprocess


def openssl(*arguments, data=None):
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"openssl {arguments}: {done.stderr.decode()}"
    return done.stdout


class Authority:
    """Certificates for 127.0.0.1 with a subject alternative name and no common name."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.directory, self.cert = directory, os.path.join(directory, "ca.pem")
        self.key = os.path.join(directory, "ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                "/O=test authority", "-days", "2", "-out", self.cert, "-keyout", self.key)

    def issue(self, name, address="IP:127.0.0.1"):
        """(certificate, key): files."""
        cert, key, request = (os.path.join(self.directory, f"{name}.{end}") for end in ("pem", "key", "csr"))
        extension = os.path.join(self.directory, f"{name}.ext")
        with open(extension, "w", encoding="ascii") as out:
            out.write(f"subjectAltName=critical,{address}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/", "-out", request,
                "-keyout", key)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                "-extfile", extension, "-out", cert)
        return cert, key


class Signer:
    """An Ed25519 key."""

    def __init__(self, directory, name):
        self.private, self.public = os.path.join(directory, f"{name}.key"), os.path.join(directory, f"{name}.pub")
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, document, domain=b"egret-signed-v1\n"):
        text = json.dumps(document)
        message = f"{self.private}.message"
        with open(message, "wb") as out:
            out.write(domain + text.encode())
        signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", message)
        return {"signed": text, "signature": base64.b64encode(signature).decode()}

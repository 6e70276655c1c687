# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own, by openssl."""
import os
import subprocess


class Authority:
    """Files in a directory: NAME.pem and NAME.key of each certificate; the authority's own is `self.file`."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = directory, name
        self.file, self.key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        self.openssl("req", "-x509", *self.new_key(self.key), "-subj", f"/CN={name}", "-days", "30", "-out", self.file)
        self.number = 0

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def openssl(*argv):
        done = subprocess.run(["openssl", *argv], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    @staticmethod
    def new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    def issue(self, name, *names, start="", end=""):
        """(certificate, key) for subject alternative names such as IP:127.0.0.1, DNS:logs.test."""
        files = self.path(f"{name}.pem"), self.path(f"{name}.key")
        self.number += 1
        work = self.path(f"{self.name}-{self.number}")
        os.mkdir(work)
        with open(f"{work}/conf", "w", encoding="ascii") as out:
            out.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={work}/index\nnew_certs_dir={work}\nrand_serial=yes\n"
                      f"default_md=sha256\npolicy=p\ndefault_days=30\n[p]\ncommonName=supplied\n[e]\n"
                      f"basicConstraints=CA:FALSE\nsubjectAltName={','.join(names)}\n")
        with open(f"{work}/index", "w", encoding="ascii"):
            pass
        self.openssl("req", "-new", *self.new_key(files[1]), "-subj", f"/CN={name}", "-out", f"{work}/csr")
        self.openssl("ca", "-batch", "-notext", "-config", f"{work}/conf", "-extensions", "e", "-cert", self.file,
                     "-keyfile", self.key, "-in", f"{work}/csr", "-out", files[0],
                     *(["-startdate", start, "-enddate", end] if start else []))
        return files

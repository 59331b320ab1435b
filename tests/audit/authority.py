"""A time-stamping authority for tests: `openssl ts`, with a root of its own, over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.audit.openssl import openssl

CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[tsa_cert]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = config
[config]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class Authority:
    """An authority in a folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "tsa.pem"

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self.openssl("ts -reply -config conf -section config -queryfile query -out reply")
        return (self.folder / "reply").read_bytes()

    def openssl(self, arguments: str) -> None:
        openssl(arguments, self.folder)


def make(folder: Path) -> Authority:
    """Make keys and certificates: a root, and an authority it issued."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder)
    (folder / "conf").write_text(CONFIG)
    (folder / "serial").write_text("01\n")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    authority.openssl(
        f"req -config conf -new -x509 {key} -keyout root.key -out root.pem"
        " -subj /CN=Root -days 30 -extensions ca"
    )
    authority.openssl(f"req -config conf -new {key} -keyout tsa.key -out tsa.csr -subj /CN=TSA")
    authority.openssl(
        "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -out tsa.pem"
        " -days 30 -extfile conf -extensions tsa_cert"
    )
    return authority


@contextmanager
def serving(authority: Authority) -> Iterator[str]:
    """Serve it over HTTP; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            reply = authority.stamp(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

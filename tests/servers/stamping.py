"""A time-stamping authority for the tests: OpenSSL's own (`openssl ts -reply`) behind a small HTTP server of loopback.

It can also misbehave in one named way. Its certificates are made here; a folder holds them: `ca.pem` is what clients trust.
"""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

POLICY = "1.2.3.4.1"
OTHER_POLICY = "1.2.3.4.5"
_CONFIG = f"""
[tsa]
serial = serial
signer_digest = sha256
default_policy = {POLICY}
other_policies = {OTHER_POLICY}
digests = DIGESTS
accuracy = secs:1
ordering = yes
ess_cert_id_alg = sha256
"""


def certify(folder: Path, *, usage: str = "stamping", days: tuple[int, int] = (-1, 30), critical: bool = True) -> Path:
    """Make an authority in a folder: its root and its signing certificate, good between two days from today; gives `ca.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    since, until = (datetime.now(UTC) + timedelta(days=each) for each in days)

    def made(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey, root: bool) -> None:
        purpose = ExtendedKeyUsageOID.TIME_STAMPING if usage == "stamping" else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        )
        if not root:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical)
        path = folder / ("ca.pem" if root else "tsa.pem")
        path.write_bytes(builder.sign(by, SHA256()).public_bytes(Encoding.PEM))

    root, signing = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    made("Test authority", root, "Test authority", root, True)
    made("Test stamps", signing, "Test authority", root, False)
    key = signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "tsa.key").write_bytes(key)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIG.replace("DIGESTS", "sha256, sha512"))
    (folder / "strict.cnf").write_text(_CONFIG.replace("DIGESTS", "sha512"))
    return folder / "ca.pem"


def openssl(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    """Run `openssl` in a folder and give what it wrote."""
    done = subprocess.run(["openssl", *words], cwd=folder, input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def reply(folder: Path, query: bytes, config: str = "tsa.cnf") -> bytes:
    """The answer that OpenSSL gives to a request."""
    (folder / "query.tsq").write_bytes(query)
    words = ("ts", "-reply", "-config", config, "-section", "tsa", "-queryfile", "query.tsq", "-signer", "tsa.pem")
    return openssl(folder, *words, "-inkey", "tsa.key")


def signed_by(folder: Path, other: Path, query: bytes) -> bytes:
    """The answer of `folder`, its content signed again by the certificate of `other`, which OpenSSL would not stamp with."""
    (folder / "answer.tsr").write_bytes(reply(folder, query))
    openssl(folder, "ts", "-reply", "-in", "answer.tsr", "-token_out", "-out", "token.der")
    openssl(folder, "cms", "-verify", "-noverify", "-inform", "DER", "-in", "token.der", "-out", "info.der")
    words = ("cms", "-sign", "-nodetach", "-binary", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-outform", "DER")
    token = openssl(folder, *words, "-in", "info.der", "-signer", str(other / "tsa.pem"), "-inkey", str(other / "tsa.key"))
    body = b"\x30\x03\x02\x01\x00" + token
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


def another(folder: Path, digest: str) -> bytes:
    """A request of somebody else over a digest, in hex, with a nonce of its own."""
    return openssl(folder, "ts", "-query", "-digest", digest, "-sha256", "-cert")


@dataclass
class Tsa:
    """An authority, listening: how it behaves, and how many requests it had."""

    folder: Path
    url: str = ""
    manner: str = "good"
    asked: int = 0
    wake: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, query: bytes) -> tuple[int, str, bytes]:
        """Status, media type and body of the answer to a request."""
        reply_type = "application/timestamp-reply"
        with self.lock:
            self.asked += 1
            digest = query[query.index(b"\x04\x20") + 2 :][:32].hex()
            if self.manner == "nonce":
                return 200, reply_type, reply(self.folder, another(self.folder, digest))
            if self.manner == "imprint":
                return 200, reply_type, reply(self.folder, another(self.folder, "00" * 32))
            if self.manner == "rejection":
                return 200, reply_type, reply(self.folder, query, "strict.cnf")
            if self.manner == "html":
                return 200, "text/html", b"<html><body>Bienvenue</body></html>"
            if self.manner == "error":
                return 500, "text/html", b"<html><body>Erreur</body></html>"
            if self.manner == "noise":
                return 200, reply_type, bytes(range(256)) * 4
            if self.manner == "huge":
                return 200, reply_type, b"\0" * (8 * 2**20)
            if self.manner == "trailing":
                return 200, reply_type, reply(self.folder, query) + b"more"
            return 200, reply_type, reply(self.folder, query)


@contextmanager
def running(folder: Path) -> Iterator[Tsa]:
    """Serve the authority whose certificates are in a folder."""
    tsa = Tsa(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if tsa.manner == "slow":
                tsa.wake.wait(60)
            if tsa.manner == "redirect":
                self.send_response(302)
                self.send_header("Location", f"{tsa.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            assert self.headers["Content-Type"] == "application/timestamp-query"
            status, media, body = tsa.answer(query)
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # the client may go away
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    tsa.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield tsa
    finally:
        tsa.wake.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""The HTTP door of a witness: `POST /add-checkpoint` and nothing else (C2SP tlog-witness).

Requests are bounded in size, in time and in how many are served at once; one more is answered 503.
"""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6, socket
from typing import Any, Final

from sovereign.audit.witness import LIMIT, Answer, Witness
from vault.errors import Fault

PATH: Final = "/add-checkpoint"
SECONDS: Final = 10.0
"""How long a caller may leave the door waiting."""
AT_ONCE: Final = 32


class Door(ThreadingHTTPServer):
    """The door of one witness. certificate, key: PEM files, for TLS; without, a reverse proxy on this machine is to give it."""

    daemon_threads = True

    def __init__(
        self, witness: Witness, host: str, port: int, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        """Listen at once; errors: OSError, also for files that hold no certificate or key."""
        if ":" in host:
            self.address_family = AF_INET6
        self.witness, self.room, self._tls = witness, threading.BoundedSemaphore(AT_ONCE), None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
            self._tls.load_cert_chain(certificate, key)
        super().__init__((host, port), _Handler)

    def get_request(self) -> tuple[socket, Any]:
        """Take a connection; its handshake is made by its own thread, so that a slow one holds nobody."""
        taken, address = super().get_request()
        taken.settimeout(SECONDS)
        if self._tls is not None:
            taken = self._tls.wrap_socket(taken, server_side=True, do_handshake_on_connect=False)
        return taken, address

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own
        """A caller that breaks off is nobody's fault."""


class _Handler(BaseHTTPRequestHandler):
    timeout = SECONDS
    server_version, sys_version = "sovereign-witness", ""
    server: Door

    def do_POST(self) -> None:
        if not self.server.room.acquire(blocking=False):
            return self._say(Answer(503))
        try:
            return self._say(self._answer())
        finally:
            self.server.room.release()

    def _answer(self) -> Answer:
        length = self.headers.get("Content-Length", "")
        if self.path != PATH:
            return Answer(404)
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            return Answer(411)
        if len(length) > 9 or int(length) > LIMIT:
            return Answer(413)
        try:
            return self.server.witness.add(self.rfile.read(int(length)))
        except (Fault, OSError):  # its folder was altered or cannot be written: nothing is cosigned
            return Answer(500)

    def _say(self, answer: Answer) -> None:
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's own
        """Nothing of a request is written anywhere."""

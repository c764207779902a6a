"""An application's end of callbacks: an HTTP server that keeps what it is told, answers as it is bidden, and checks signatures.

`genuine` follows Standard Webhooks 1.0.0 by its text, and shares nothing with what signs.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import free_port

TOLERANCE = 300
"""Seconds that a timestamp may be off."""


@dataclass(frozen=True)
class Heard:
    """One message as it came."""

    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


def genuine(heard: Heard, secret: str) -> bool:
    """Whether a message was signed with the secret, and of late."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{heard.headers['webhook-id']}.{heard.headers['webhook-timestamp']}.".encode() + heard.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [part.split(",", 1) for part in heard.headers["webhook-signature"].split(" ")]
    timely = abs(time.time() - int(heard.headers["webhook-timestamp"])) < TOLERANCE
    return timely and any(version == "v1" and hmac.compare_digest(value, wanted) for version, value in given)


@dataclass
class Receiver:
    """answer: gives the status for the message of that number (from 0); it may take its time."""

    answer: Callable[[int], int] = lambda _: 204
    heard: list[Heard] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is told."""
        return f"http://127.0.0.1:{self.port}/told"

    def states(self) -> list[str]:
        """The states it was told, in order."""
        return [each.json()["data"]["state"] for each in self.heard]

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        """Listen, on the same port as before when there was one."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number = len(receiver.heard)
                receiver.heard.append(Heard({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.answer(number)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                """A caller that went away is no news here."""

        server = Server(("127.0.0.1", self.port or free_port()), Handler)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

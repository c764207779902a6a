"""A static HTTPS server for the tests: serves a folder over TLS on loopback, with a certificate of a test authority.

It knows GET and HEAD, ETag (a hash of the content) with If-None-Match, and 404; it remembers what it was asked.
"""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import trustme

_TYPES = {".json": "application/json", ".xml": "application/xml", ".html": "text/html"}


@dataclass(slots=True)
class Served:
    """A folder being served: where, under whose authority (a PEM file), and what was asked."""

    url: str
    authority: Path
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    etags: bool = True

    def statuses(self) -> list[int]:
        """Status of each answer so far, and forget them."""
        found = [status for _, _, status in self.asked]
        self.asked.clear()
        return found


def _handler(folder: Path, served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = (folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
            if not path.is_relative_to(folder.resolve()) or not path.is_file():
                self._send(404, b"<h1>Not here</h1>", {"Content-Type": "text/html"})
                return
            body = path.read_bytes()
            headers = {"Content-Type": _TYPES.get(path.suffix, "application/octet-stream")}
            if served.etags:
                headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            known = served.etags and headers["ETag"] in self.headers.get("If-None-Match", "")
            self._send(304 if known else 200, b"" if known else body, headers)

        do_HEAD = do_GET  # noqa: N815 - the base looks for this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            served.asked.append((self.command, self.path, status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    return Handler


@contextmanager
def running(folder: Path, authority: Path) -> Iterator[Served]:
    """Serve `folder`; the certificate of the test authority is written to `authority`."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    served = Served("", authority)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, served))
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    served.url = f"https://localhost:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""An office that gives tokens over TLS (RFC 6749 section 4.4), and says over HTTP whose a token is (RFC 7662)."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final
from urllib.parse import parse_qs

import trustme

CLIENT: Final = "passerelle"
SECRET: Final = "canari-secret-4b1d"


@dataclass
class Office:
    """A running office. given: the tokens, in order; those of `revoked` are no longer good. account: whose they are."""

    account: str
    authority: Path
    url: str = ""
    introspection: str = ""
    given: list[str] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    closed: bool = False

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, dict[str, object]]:
        """What it says to a form."""
        if path == "/introspect":
            (token,) = form.get("token", [""])
            good = token in self.given and token not in self.revoked and not self.closed
            return 200, {"active": good, "username": self.account} if good else {"active": False}
        self.asked.append(form)
        if path != "/token" or (form.get("client_id"), form.get("client_secret")) != ([CLIENT], [SECRET]):
            return 401, {"error": "invalid_client"}
        self.given.append(f"jeton-{len(self.given)}-canari-9c2e")
        return 200, {"access_token": self.given[-1], "token_type": "Bearer", "expires_in": 3600}


def _handler(office: Office) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, said = office.answer(self.path, form)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    return Handler


@contextmanager
def running(folder: Path, account: str) -> Iterator[Office]:
    """Run an office whose tokens open the mailbox of `account`."""
    ca = trustme.CA()
    office = Office(account, folder / "office-ca.pem")
    ca.cert_pem.write_to_path(str(office.authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(office)) for _ in range(2)]
    servers[0].socket = context.wrap_socket(servers[0].socket, server_side=True)
    office.url = f"https://localhost:{servers[0].server_port}/token"
    office.introspection = f"http://127.0.0.1:{servers[1].server_port}/introspect"
    threads = [Thread(target=server.serve_forever, daemon=True) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.daemon_threads = True
        thread.start()
    try:
        yield office
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(10)

"""A vendor that keeps a ledger over HTTP, and misbehaves as told: it loses, resets, answers late, or is overloaded.

`mood(number)` gives what befalls the writing request of that number (from 0): `ok`, `reset_before`, `reset_after`, `lost`,
`overloaded`, `broken_after`, `conflict`, `slow`. `reads(number)` gives what befalls a read: `ok`, `reset`, `down`, `broken`, or
`held` until `release` is set. `most` is how many requests it was ever asked at once, `came` names them in the order in which
they came: a write by its reference, a read as `read`. Nothing befalls the writing requests of the references that are `spared`.
`expects`: what `Authorization` must say, None for anything; what is shown and refused (401, with a challenge if `challenges`)
is counted by `refused`. Writing requests of `odd` references are refused whatever they show.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from saas_connectors.connector import (
    Applied,
    Change,
    Class,
    Exchange,
    Fetch,
    Json,
    MirrorQuery,
    Operation,
    Presented,
    Probed,
    ReadBack,
)
from saas_connectors.errors import Rejected
from saas_connectors.payloads import encode
from saas_connectors.request import Request
from tests.servers.ports import free_port

LOST = ("reset_before", "lost", "overloaded", "conflict")


class Ledger:
    """What the vendor holds: every line that landed, in order; and the bodies of all writing requests, as they came."""

    def __init__(
        self,
        mood: Callable[[int], str] = lambda _: "ok",
        delay: float = 0.0,
        reads: Callable[[int], str] = lambda _: "ok",
        spared: frozenset[str] = frozenset(),
    ) -> None:
        self.spared = spared
        self.expects: str | None = None
        self.challenges, self.refused = True, 0
        self.odd: frozenset[str] = frozenset()
        self.lines: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.came: list[str] = []
        self.mood, self.delay, self.asked = mood, delay, 0
        self.reads, self.read, self.release = reads, 0, threading.Event()
        self.at_once = self.most = 0
        self.lock = threading.Lock()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request for as long as it is under way."""
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            yield
        finally:
            with self.lock:
                self.at_once -= 1

    def landed(self, ref: str) -> int:
        """How often a reference landed."""
        with self.lock:
            return sum(line["ref"] == ref for line in self.lines)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ledger: Ledger

    def do_GET(self) -> None:
        with self.ledger.counted():
            if self._let_in():
                self._get()

    def do_POST(self) -> None:
        with self.ledger.counted():
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if self._let_in(json.loads(sent)["ref"]):
                self._post(sent)

    def _let_in(self, ref: str = "") -> bool:
        with self.ledger.lock:
            wanted, odd = self.ledger.expects, ref in self.ledger.odd
            refused = odd or (wanted is not None and self.headers["Authorization"] != wanted)
            self.ledger.refused += refused
        if refused:
            self._answer(401, {}, ("WWW-Authenticate", "Bearer") if self.ledger.challenges else None)
        return not refused

    def _get(self) -> None:
        wanted = parse_qs(urlsplit(self.path).query).get("ref", [""])[0]
        with self.ledger.lock:
            mood = self.ledger.reads(self.ledger.read)
            self.ledger.read += 1
            self.ledger.came.append("read")
            found = [line for line in self.ledger.lines if line["ref"] == wanted]
        if mood == "held":
            self.ledger.release.wait(60)
        if mood == "reset":
            return self._break_off()
        time.sleep(self.ledger.delay)
        return self._answer({"down": 503, "broken": 500}.get(mood, 200), found)

    def _post(self, sent: bytes) -> None:
        body = json.loads(sent)
        with self.ledger.lock:
            mood = "ok" if self.ledger.spared and body["ref"] in self.ledger.spared else self.ledger.mood(self.ledger.asked)
            self.ledger.asked += 1
            self.ledger.bodies.append(sent)
            self.ledger.came.append(body["ref"])
        time.sleep(self.ledger.delay)
        if mood not in LOST:
            with self.ledger.lock:
                self.ledger.lines.append(body)
        if mood == "slow":
            time.sleep(3)
        if mood.startswith("reset"):
            return self._break_off()
        status = {"overloaded": 503, "broken_after": 500, "conflict": 409}.get(mood, 201)
        return self._answer(status, {}, ("Retry-After", "0") if mood == "overloaded" else None)

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def _answer(self, status: int, value: object, extra: tuple[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if extra:
            self.send_header(*extra)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news here."""


@contextmanager
def serving(ledger: Ledger, port: int = 0) -> Iterator[str]:
    """Serve a ledger on this machine, on a free port unless told; gives its address."""
    handler = type("Handler", (_Handler,), {"ledger": ledger})
    server = _Server(("127.0.0.1", port or free_port()), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class LedgerConnector:
    """The connector of that vendor: `add` may be looked for, `note` cannot, `set` may be sent twice."""

    def __init__(self, url: str) -> None:
        self._url = url

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation("add", "ajouter", "add", {}, probes=True, reads_back=True),
            Operation("note", "noter", "note", {}, probes=False, reads_back=False),
            Operation("set", "poser", "set", {}, idempotent=True, probes=False, reads_back=False),
            Operation("leave", "partir", "leave", {}, probes=False, reads_back=False, departure=True),
        )

    def entity(self, operation: str, payload: Json) -> str:
        return str(payload.get("lane", payload["ref"]))

    def classes(self, operation: str, payload: Json) -> frozenset[Class]:
        return frozenset({"internal"})

    def apply(self, operation: str, payload: Json, key: str | None = None) -> Exchange[Applied]:
        request = Request("POST", f"{self._url}/lines", body=encode(payload))
        (response,) = yield Fetch((request,))
        if response.status >= 300:
            raise Rejected(method="POST", path="/lines", status=response.status, definitive=400 <= response.status < 500)
        return Applied(response.status, payload["ref"], changed=True)

    def read_back(self, operation: str, payload: Json, applied: Applied) -> Exchange[ReadBack]:
        found = yield from self._found(payload)
        return ReadBack("confirmed" if found else "absent")

    def probe(self, operation: str, payload: Json) -> Exchange[Probed]:
        found = yield from self._found(payload)
        return Probed("landed" if found else "did_not_happen", payload["ref"] if found else None)

    def _found(self, payload: Json) -> Exchange[bool]:
        (response,) = yield Fetch((Request("GET", f"{self._url}/lines?ref={payload['ref']}"),))
        return bool(json.loads(response.body))

    def changes(self, operation: str, payload: Json) -> tuple[Change, ...]:
        return ()

    def passed(self, method: str, path: str, body: Json) -> tuple[Change, ...]:
        return ()

    def is_read(self, method: str, path: str) -> bool:
        return method == "GET"

    def mirror(self, method: str, path: str) -> MirrorQuery | None:
        return None

    def present(self, query: MirrorQuery, rows: object, total: int) -> Presented:
        raise NotImplementedError

"""A load of writes: N connections kept open, one 2 kB JSON POST at a time on each, on one thread, with no framework.

Usage: BENCH_TOKEN=… python bench/caller.py PORT PATH RUN [--connections 32] [--seconds 8] [--rate R]. RUN makes the keys of
this run differ from those of another. Without `--rate` each connection asks again as soon as it is answered. With it, requests
are due at fixed instants and each is timed from the instant at which it was due, so that a stall counts for all whom it kept
waiting. Prints one JSON line: counts, milliseconds, and its own CPU.
"""

import argparse
import json
import os
import resource
import selectors
import socket
import time
from collections import deque

BODY_BYTES = 2048
TEXT = (
    "Madame, Monsieur, votre demande au sujet de la voirie a bien été reçue par le service. Un agent passera dans la rue "
    "avant la fin du mois, puis vous serez tenu au courant de la suite donnée. "
)
FILL = (TEXT * (BODY_BYTES // len(TEXT) + 1)).encode()


class Caller:
    """The connections, and what was seen of each answer."""

    def __init__(self, port: int, path: str, run: str, token: str, connections: int) -> None:
        self._run, self._number = run, 0
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {BODY_BYTES}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        ).encode()
        self.ready = selectors.DefaultSelector()
        self.free: deque[socket.socket] = deque()
        self._since: dict[socket.socket, float] = {}
        self._held: dict[socket.socket, bytes] = {}
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}
        for _ in range(connections):
            made = socket.create_connection(("127.0.0.1", port), timeout=10)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.ready.register(made, selectors.EVENT_READ)
            self.free.append(made)
            self._held[made] = b""

    @property
    def waiting(self) -> int:
        """Requests that were not answered yet."""
        return len(self._since)

    def ask(self, since: float) -> None:
        """Send the next request on a free connection; since: the instant that its time counts from."""
        self._number += 1
        ref = f"{self._run}-{self._number:010d}"
        start = json.dumps({"ref": ref, "subject": "Votre demande", "priority": 2, "text": ""}, ensure_ascii=False)[
            :-2
        ].encode()
        left = BODY_BYTES - len(start) - 2
        body = start + FILL[:left].decode(errors="ignore").encode().ljust(left) + b'"}'
        chosen = self.free.popleft()
        self._since[chosen] = since
        chosen.sendall(self._head + f'Idempotency-Key: "{ref}"\r\n\r\n'.encode() + body)

    def hear(self, seconds: float) -> None:
        """Take the answers that come, waiting so long at most."""
        for key, _ in self.ready.select(seconds):
            given = key.fileobj
            assert isinstance(given, socket.socket)  # noqa: S101 -- nothing else is registered
            piece = given.recv(65_536)
            if not piece:
                raise SystemExit("a connection was closed under the load")
            held = self._held[given] + piece
            end = held.find(b"\r\n\r\n")
            if end < 0 or len(held) < end + 4 + int(held[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0]):
                self._held[given] = held
                continue
            self._held[given] = b""
            self.latencies.append(time.monotonic() - self._since.pop(given))
            status = int(held[9:12])
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.free.append(given)


def main() -> None:
    """Load one server and say what was seen."""
    options = argparse.ArgumentParser()
    options.add_argument("port", type=int)
    options.add_argument("path")
    options.add_argument("run")
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--seconds", type=float, default=8.0)
    options.add_argument("--rate", type=float, default=0.0)
    given = options.parse_args()
    caller = Caller(given.port, given.path, given.run, os.environ.get("BENCH_TOKEN", "none"), given.connections)
    began = time.monotonic()
    ends, due = began + given.seconds, 0
    while (now := time.monotonic()) < ends:
        if given.rate:
            while caller.free and (at := began + due / given.rate) <= now:
                due += 1
                caller.ask(at)
            caller.hear(max(0.0, min(ends, began + due / given.rate) - now) if caller.free else ends - now)
        else:
            while caller.free:
                caller.ask(time.monotonic())
            caller.hear(ends - now)
    taken, counted = time.monotonic() - began, len(caller.latencies)
    late = time.monotonic() + 30
    while caller.waiting and time.monotonic() < late:
        caller.hear(1.0)
    sorted_ms = sorted(1000 * each for each in caller.latencies)
    own = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "requests": len(sorted_ms),
                "unanswered": caller.waiting,
                "statuses": caller.statuses,
                "per_second": round(counted / taken, 1),
                "p50_ms": round(sorted_ms[len(sorted_ms) // 2], 2),
                "p99_ms": round(sorted_ms[len(sorted_ms) * 99 // 100], 2),
                "max_ms": round(sorted_ms[-1], 2),
                "caller_cpu": round(own.ru_utime + own.ru_stime, 3),
            }
        )
    )


if __name__ == "__main__":
    main()

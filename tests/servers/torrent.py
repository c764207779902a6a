"""A vendor that answers with as much as it is asked for: bytes made as they leave, held by nobody.

    GET /rows?how=HOW&size=N      a JSON array of records, of about N bytes once decompressed
    GET /letters                  one letter, whose file is `/letters/0`
    GET /letters/0                N bytes of a file, in the way and of the size that `Torrent` is set to

HOW: `stated` says its length, `chunked` says none, `gzip` is a small body that decompresses to N.
"""

import hashlib
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

BLOCK: Final = 2**18
ROW: Final = b'{"id": 1%08d, "name": "Canari-Torrent-51c2", "text": "%s"},'
PADDING: Final = b"a" * 200


@dataclass
class Torrent:
    """What is answered; `sent`: bytes that left, of all answers."""

    size: int
    how: str = "stated"
    form: str = "rows"
    sent: int = 0

    def rows(self) -> Iterator[bytes]:
        """A JSON array of records, of `size` bytes.

        form: `rows`; `tiny`, records that hold nothing; `error`, an array that an error's text ends.
        """
        if self.form == "tiny":
            yield b"[" + b",".join(b'{"id":%d}' % number for number in range(1000, 10_000))
            for start in range(10_000, max(10_001, self.size // 15), 20_000):
                yield b"".join(b',{"id":%d}' % number for number in range(start, start + 20_000))
            yield b"]"
            return
        left, number, held = self.size, 0, [b"["]
        while left > 0:
            held.append(ROW % (number, PADDING))
            left -= len(held[-1])
            number += 1
            if number % 1000 == 0:
                yield b"".join(held)
                held = []
        yield b"".join(held).removesuffix(b",") + (b'\n{"error_code": "DatasetError"}' if self.form == "error" else b"]")

    @property
    def print(self) -> str:
        """What the list says of the file: the MD5 of its bytes, as the connector of letters holds it to."""
        found = hashlib.md5(usedforsecurity=False)
        for piece in self.file():
            found.update(piece)
        return found.hexdigest()

    def file(self) -> Iterator[bytes]:
        """The bytes of a file."""
        block, left = bytes(range(256)) * (BLOCK // 256), self.size
        while left > 0:
            yield block[:left]
            left -= BLOCK


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    torrent: Torrent

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/letters":
            rows = [] if "after=0" in self.path else [{"id": 0, "subject": "s", "name": "n", "print": self.torrent.print}]
            body = json.dumps({"letters": rows}).encode()
            self._head(("Content-Length", str(len(body))))
            self.wfile.write(body)
        else:
            self._stream(self.torrent.file() if path.startswith("/letters/") else self.torrent.rows())

    def _stream(self, pieces: Iterator[bytes]) -> None:
        torrent = self.torrent
        self.close_connection = True
        try:
            if torrent.how == "stated":
                self._head(
                    (
                        "Content-Length",
                        str(sum(len(each) for each in torrent.rows()) if self.path[:5] == "/rows" else torrent.size),
                    )
                )
                for piece in pieces:
                    self._send(piece)
                return
            gzip = zlib.compressobj(9, wbits=31) if torrent.how == "gzip" else None
            self._head(("Transfer-Encoding", "chunked"), *([("Content-Encoding", "gzip")] if gzip else []))
            for piece in pieces:
                self._chunk(gzip.compress(piece) if gzip else piece)
            self._chunk(gzip.flush() if gzip else b"")
            self._send(b"0\r\n\r\n")
        except OSError:
            return  # whoever asked had enough

    def _head(self, *fields: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        if data:
            self._send(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.torrent.sent += len(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def pouring(torrent: Torrent) -> Iterator[str]:
    """Serve it on loopback; gives its address."""
    handler = type("Handler", (_Handler,), {"torrent": torrent})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

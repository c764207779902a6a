"""A vendor that takes documents, in a process of its own: it keeps of each its length and its SHA-256, never its bytes.

python -m tests.servers.storehouse            tells its port, then serves until its input ends

`PUT /…` answers 201; `/slow/…` takes 64 KiB each 20 ms; `/busy/…` takes the first and answers 503 with Retry-After; `/renew/…`
answers 401 to a token that is not `fresh`. `GET /seen` gives what arrived, whole or not.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

PIECE = 65_536


class Storehouse:
    """What arrived."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
                status, more, body = 201, "", b"{}"
                if path == "/seen":
                    status, body = 200, json.dumps(self.seen).encode()
                elif not await self.take(reader, method, path, fields):
                    return
                elif path.startswith("/busy/") and len([each for each in self.seen if each["path"] == path]) == 1:
                    status, more = 503, "retry-after: 1\r\n"
                elif path.startswith("/renew/") and fields.get("authorization") != "Bearer fresh":
                    status = 401
                answer = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
                writer.write(answer.encode() + body)
                await writer.drain()
        writer.close()

    async def take(self, reader: asyncio.StreamReader, method: str, path: str, fields: dict[str, str]) -> bool:
        """Take a body; whether it was whole."""
        length, taken, seen = int(fields.get("content-length", "0")), 0, hashlib.sha256()
        one: dict[str, Any] = {"method": method, "path": path, "length": length, "kind": fields.get("content-type")}
        self.seen.append(one | {"whole": False})
        at = len(self.seen) - 1
        while taken < length and (piece := await reader.read(min(PIECE, length - taken))):
            taken += len(piece)
            seen.update(piece)
            if path.startswith("/slow/"):
                await asyncio.sleep(0.02)
        self.seen[at] = one | {"taken": taken, "sha256": seen.hexdigest(), "whole": taken == length}
        return taken == length


async def main() -> None:
    server = await asyncio.start_server(Storehouse().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads this
    await asyncio.to_thread(sys.stdin.read)


@dataclass(frozen=True)
class Stored:
    """The vendor, as a test sees it."""

    url: str

    def seen(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/seen", timeout=60) as answer:  # noqa: S310 - loopback
            told: list[dict[str, Any]] = json.load(answer)
        return told


@contextmanager
def storehouse() -> Iterator[Stored]:
    """Run it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.storehouse"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield Stored(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.communicate("", timeout=60)


if __name__ == "__main__":
    asyncio.run(main())

"""A vendor for the benches: N rows of 12 columns over HTTP, in a process of its own.

Usage: python bench/vendor.py --rows 1000000 --page 1000 [--latency 0.05]. Prints its port, then serves until it is killed.
Each page is `{"items": [...], "total": N, "page": p, "pages": P}`; `/rows?page=P` counts from 1. A control request
`/change?percent=1&seed=7` changes that share of the rows, as a second day would.
Up to two million rows, pages are made once and kept.
"""

import argparse
import asyncio
import random
import sys
from urllib.parse import parse_qs, urlsplit

import orjson

STATUSES = ["open", "assigned", "waiting", "closed"]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
KEPT = 2_000_000
DISTRICTS = ["Centre", "Bellevue", "Montreynaud", "Terrenoire", "Crêt de Roc", "Tarentaize"]


def row(number: int, revision: int) -> dict[str, object]:
    """Make one record, always the same for the same number and revision."""
    draw = (number * 0x9E3779B97F4A7C15 + revision * 0xC2B2AE3D27D4EB4F) & 0xFFFFFFFFFFFFFFFF
    draw = ((draw ^ (draw >> 31)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    name = f"{'ABCDEFGHLMNPRST'[draw % 15]}{draw >> 8 & 0xFFFFF:07d}"
    return {
        "id": number,
        "reference": f"SE-2026-{number:08d}",
        "label": f"Demande {draw >> 4 & 0xFFF} au sujet de la voirie",
        "status": STATUSES[draw >> 12 & 3],
        "priority": draw % 5,
        "created_at": f"2026-{draw % 12 + 1:02d}-{draw % 28 + 1:02d}T{draw % 24:02d}:15:00Z",
        "updated_at": f"2026-11-{(draw >> 16) % 28 + 1:02d}T{(draw >> 18) % 24:02d}:{(draw >> 20) % 60:02d}:00Z",
        "amount": (draw >> 24 & 0xFFFFF) / 100,
        "email": f"{name.lower()}@example.org",
        "citizen": f"Citoyen {name}",
        "phone": f"+33 4 77 {(draw >> 30) % 100:02d} {(draw >> 37) % 100:02d} {(draw >> 44) % 100:02d}",
        "district": DISTRICTS[(draw >> 50) % 6],
    }


class Vendor:
    """Pages kept as bytes, ready to send."""

    def __init__(self, rows: int, page: int, latency: float) -> None:
        self.rows, self.page, self.latency = rows, page, latency
        self.pages = -(-rows // page)
        self.revisions: dict[int, int] = {}
        self.bodies = {number: self.body(number) for number in range(1, self.pages + 1)} if rows <= KEPT else {}

    def body(self, page: int) -> bytes:
        """Make one page."""
        first = (page - 1) * self.page + 1
        numbers = range(first, min(first + self.page, self.rows + 1))
        items = [row(number, self.revisions.get(number, 0)) for number in numbers]
        return orjson.dumps({"items": items, "total": self.rows, "page": page, "pages": self.pages})

    def change(self, percent: float, seed: int) -> None:
        """Give new values to a share of the rows."""
        draw = random.Random(seed)  # noqa: S311 -- sample data
        for number in draw.sample(range(1, self.rows + 1), int(self.rows * percent / 100)):
            self.revisions[number] = seed
            page = (number - 1) // self.page + 1
            if page in self.bodies:
                self.bodies[page] = b""
        self.bodies = {page: body or self.body(page) for page, body in self.bodies.items()}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one client."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = urlsplit(head.split(b" ", 2)[1].decode())
                query = parse_qs(target.query)
                if target.path == "/change":
                    self.change(float(query["percent"][0]), int(query["seed"][0]))
                    body = b"{}"
                else:
                    if self.latency:
                        await asyncio.sleep(self.latency)
                    number = int(query.get("page", ["1"])[0])
                    body = self.bodies.get(number) or self.body(number)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main() -> None:
    """Serve on a free port of the loopback."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--page", type=int, default=1000)
    options.add_argument("--latency", type=float, default=0.0)
    given = options.parse_args()
    vendor = Vendor(given.rows, given.page, given.latency)
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    sys.stdout.close()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

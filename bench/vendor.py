"""A vendor for the benches: N rows of 12 columns over HTTP, made once, served from memory, in a process of its own.

Usage: python bench/vendor.py --rows 1000000 --page 1000 [--latency 0.05]. Prints its port, then serves until it is killed.
Each page is `{"items": [...], "total": N, "page": p, "pages": P}`; `/rows?page=P` counts from 1. A control request
`/change?percent=1&seed=7` changes that share of the rows, as a second day would.
"""

import argparse
import asyncio
import random
import sys
from urllib.parse import parse_qs, urlsplit

import orjson

STATUSES = ["open", "assigned", "waiting", "closed"]
DISTRICTS = ["Centre", "Bellevue", "Montreynaud", "Terrenoire", "Crêt de Roc", "Tarentaize"]


def row(number: int, revision: int) -> dict[str, object]:
    """Make one record, always the same for the same number and revision."""
    draw = random.Random(number * 1_000_003 + revision)  # noqa: S311 -- sample data
    name = f"{draw.choice('ABCDEFGHLMNPRST')}{draw.randrange(10**6):06d}"
    return {
        "id": number,
        "reference": f"SE-2026-{number:08d}",
        "label": f"Demande {draw.randrange(5000)} au sujet de la voirie",
        "status": draw.choice(STATUSES),
        "priority": draw.randrange(5),
        "created_at": f"2026-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}T{draw.randrange(24):02d}:15:00Z",
        "updated_at": f"2026-11-{draw.randrange(1, 29):02d}T{draw.randrange(24):02d}:{draw.randrange(60):02d}:00Z",
        "amount": draw.randrange(10**6) / 100,
        "email": f"{name.lower()}@example.org",
        "citizen": f"Citoyen {name}",
        "phone": f"+33 4 77 {draw.randrange(100):02d} {draw.randrange(100):02d} {draw.randrange(100):02d}",
        "district": draw.choice(DISTRICTS),
    }


class Vendor:
    """Pages kept as bytes, ready to send."""

    def __init__(self, rows: int, page: int, latency: float) -> None:
        self.rows, self.page, self.latency = rows, page, latency
        self.pages = -(-rows // page)
        self.revisions: dict[int, int] = {}
        self.bodies = [self.body(number) for number in range(1, self.pages + 1)]

    def body(self, page: int) -> bytes:
        first = (page - 1) * self.page + 1
        numbers = range(first, min(first + self.page, self.rows + 1))
        items = [row(number, self.revisions.get(number, 0)) for number in numbers]
        return orjson.dumps({"items": items, "total": self.rows, "page": page, "pages": self.pages})

    def change(self, percent: float, seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 -- sample data
        touched = set()
        for number in draw.sample(range(1, self.rows + 1), int(self.rows * percent / 100)):
            self.revisions[number] = seed
            touched.add((number - 1) // self.page + 1)
        for page in touched:
            self.bodies[page - 1] = self.body(page)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
                    body = self.bodies[number - 1] if number <= self.pages else orjson.dumps({"items": [], "total": self.rows})
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
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

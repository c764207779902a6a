"""A vendor of letters with a file each, for the bench of documents, in a process of its own.

Usage: python bench/letters_vendor.py --letters 1000 --size 50000 [--latency 0.02]. Prints its port, then serves until it is
killed. `/letters?after=N` gives 100 letters, each with the tag of its file; `/letters/N` gives the file: bytes that do not
compress, different for each, with `latency` seconds before each answer.
"""

import argparse
import asyncio
import random
import sys

import orjson

PAGE = 100


class Vendor:
    """Letters and files, made as they are asked for."""

    def __init__(self, letters: int, size: int, latency: float) -> None:
        self.letters, self.latency = letters, latency
        self.noise = random.Random(7).randbytes(size)  # noqa: S311 -- sample data

    def answer(self, target: bytes) -> tuple[bytes, bytes]:
        """Give the type and the body of an answer."""
        last = target.rpartition(b"/")[2]
        if last.startswith(b"letters"):
            after = int(last.partition(b"after=")[2] or b"-1")
            numbers = range(after + 1, min(after + 1 + PAGE, self.letters))
            rows = [{"id": n, "subject": f"Courrier {n} au sujet de la voirie", "tag": f"f{n:08d}"} for n in numbers]
            return b"application/json", orjson.dumps({"letters": rows})
        return b"application/pdf", b"%PDF-1.7 " + last + self.noise[9 + len(last) :]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one client."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self.latency)
                kind, body = self.answer(head.split(b" ", 2)[1])
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body)) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main() -> None:
    """Serve on a free port of the loopback."""
    options = argparse.ArgumentParser()
    options.add_argument("--letters", type=int, default=1000)
    options.add_argument("--size", type=int, default=50_000)
    options.add_argument("--latency", type=float, default=0.02)
    given = options.parse_args()
    vendor = Vendor(given.letters, given.size, given.latency)
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    sys.stdout.close()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""The bounds of the door: each one holds, says so, and is felt by nobody but who passes it."""

import asyncio
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sovereign.access import Limits as ClientLimits
from sovereign.api.app import _VOTERS
from sovereign.api.errors import Full, TooMany
from sovereign.api.limits import Limits
from sovereign.api.protocol import SLOWEST
from sovereign.settings import GatewaySettings
from tests.servers.door import Door
from tests.servers.ledger import Ledger
from tests.unit.api.test_door import ADD, drill, key

API = Path(__file__).parents[3] / "docs" / "api.md"
HEAD = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: k\r\n"
    "Content-Type: application/json\r\n"
)


def test_an_application_has_its_places_and_fills_no_one_elses(tmp_path: Path) -> None:
    free, there = threading.Event(), threading.Semaphore(0)

    def mood(_: int) -> str:
        there.release()
        free.wait(60)
        return "ok"

    ledger = Ledger(mood)

    async def work(at: Door) -> None:
        waiting = asyncio.create_task(at.ask("POST", ADD, data=b'{"ref":"a"}', headers=key("a")))
        assert await asyncio.to_thread(there.acquire, timeout=60)
        over = await at.ask("POST", ADD, data=b'{"ref":"b"}', headers=key("b"))
        assert (over.status, over.json()["code"], over.headers["Retry-After"]) == (429, "api.rate", "1")
        assert "1 at once" in over.json()["detail"]
        assert (await at.ask("GET", "/v1/connections", client="intern")).status == 200
        free.set()
        assert (await waiting).status == 200
        assert (await at.ask("POST", ADD, data=b'{"ref":"b"}', headers=key("b"))).status == 200

    drill(tmp_path, work, ledger, limits=ClientLimits(concurrency=1))


def test_a_body_without_a_length_is_cut_at_its_cap_and_one_that_dawdles_in_time(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        head = HEAD.format(path=ADD, token=at.council.tokens["app"]).encode()
        chunk = b"400\r\n" + b" " * 0x400 + b"\r\n"
        long = await at.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 4)
        assert long.startswith(b"HTTP/1.1 413 ")
        slow = await at.raw(head + b'Content-Length: 11\r\n\r\n{"ref"')
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert (await at.ask("GET", "/v1/connections")).status == 200

    settings = GatewaySettings(listen="127.0.0.1:0", body_seconds=0.5)
    assert drill(tmp_path, work, limits=ClientLimits(max_bytes=1000), settings=settings).asked == 0


def test_a_body_that_goes_on_arriving_has_the_time_that_it_needs(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        size = 4 * SLOWEST
        writer.write(HEAD.format(path=ADD, token=at.council.tokens["app"]).encode() + b"Content-Length: %d\r\n\r\n" % size)
        writer.write(b'{"ref":"a"')
        for _ in range(4):
            writer.write(b" " * (SLOWEST - 20))
            await writer.drain()
            await asyncio.sleep(0.4)  # longer in all than what a short body is given
        writer.write(b"}".rjust(size - 10 - 4 * (SLOWEST - 20)))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    drill(tmp_path, work, settings=GatewaySettings(listen="127.0.0.1:0", body_seconds=1.0))


def test_of_the_bytes_in_hand_one_application_has_a_quarter(tmp_path: Path) -> None:
    limits, small = Limits(lambda: 0.0, 100), ClientLimits(max_bytes=10)
    shares = [limits.share(replace(_VOTERS, id=name, limits=small)) for name in "abcde"]
    for share in shares[:4]:
        share.take(25)
        with pytest.raises(TooMany):
            share.take(1)
    with pytest.raises(Full):
        shares[4].take(1)
    shares[0].give(25)
    shares[4].take(25)
    assert limits.held == 100
    assert limits.share(replace(_VOTERS, limits=ClientLimits(max_bytes=60))).most == 60


async def heard(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, however it ends."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def test_an_address_that_holds_its_share_of_connections_takes_none_from_another(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection("127.0.0.1", at.port, local_addr=("127.0.0.2", 0))

        held = [await connect() for _ in range(3)]
        reader, writer = await connect()
        assert await heard(reader) == b""
        writer.close()
        assert (await at.ask("GET", "/health", client=None)).status == 200
        held[0][1].close()
        got, until = b"", time.monotonic() + 60
        while not got and time.monotonic() < until:  # its place is free once the door has seen its end
            writer.close()
            reader, writer = await connect()
            writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            got = await heard(reader)
        assert got.startswith(b"HTTP/1.1 200 ")
        for _, each in (*held, (reader, writer)):
            each.close()

    drill(tmp_path, work, settings=GatewaySettings(listen="127.0.0.1:0", connections_per_address=3))


def test_the_page_says_every_bound(tmp_path: Path) -> None:
    page = API.read_text().partition("## Limits")[2]
    fields = {name for name in GatewaySettings.__struct_fields__ if re.search("max_|_seconds|connections|uploads", name)}
    assert len(fields) == 10
    for name in (*fields, "--rate", "--concurrency", "--max-bytes"):
        assert name in page, name

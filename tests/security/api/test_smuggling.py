"""A request that could be read in two ways is refused at the door, and what follows it on the connection is never served."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sovereign.api.errors import BadRequest
from sovereign.api.paths import target
from sovereign.settings import GatewaySettings
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving


def drill(tmp_path: Path, work: Callable[[Door], Awaitable[None]], settings: GatewaySettings | None = None) -> None:
    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, settings=settings) as opened:
            await work(opened)

    with serving(Ledger()) as url:
        asyncio.run(run(url))


HOST = b"Host: 127.0.0.1\r\n"
SECOND = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET http://127.0.0.1/health HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"421"),
        (b"GET /health HTTP/1.1\r\n\r\n", b"421"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n", b"400"),
        (b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", b"400"),
        (b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"X-A: b\r\n folded: c\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", b"400"),
        (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_an_ambiguous_request_is_refused_and_nothing_after_it_is_served(tmp_path: Path, data: bytes, status: bytes) -> None:
    async def work(at: Door) -> None:
        got = await at.raw(data + SECOND)
        assert got.split(b" ")[1] == status
        assert got.count(b"content-type: ") == 1
        assert b"application/problem+json" in got
        assert b" 200 OK" in await at.raw(SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    drill(tmp_path, work)


def test_a_sender_that_dawdles_is_cut_while_others_are_served(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        slow = [asyncio.create_task(at.raw(b"GET /health HTTP/1.1\r\n")) for _ in range(20)]
        body = asyncio.create_task(at.raw(b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc"))
        assert (await at.ask("GET", "/health", client=None)).status == 200
        assert all(b" 408 " in each for each in await asyncio.gather(*slow))
        assert await body

    drill(tmp_path, work, GatewaySettings(listen="127.0.0.1:0", head_seconds=1.0, body_seconds=1.0))


@pytest.mark.parametrize(
    "path",
    ["../a", "a/../b", "./a", "a//b", "%2e%2e/a", "a/%2E./b", "a%2fb", "a%2Fb", "a%5cb", "a\\b", "a%00b", "a%0d%0ab", "a;b",
     "a%3Bb", "%zz", "a%", "a%252e", "é", "a b", "a#b"],
)  # fmt: skip
def test_a_path_that_can_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(BadRequest):
        target(path, "")


def test_an_ordinary_path_is_passed_as_it_was_sent() -> None:
    assert (
        target("collections/parcs/items/%C3%A9t%C3%A9", "limit=2&q=a%20b")
        == "/collections/parcs/items/%C3%A9t%C3%A9?limit=2&q=a%20b"
    )

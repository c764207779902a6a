"""What a vendor sends to a channel, however hostile, costs bounded memory and time, poisons nobody and shows no secret."""

import asyncio
import gzip
import logging
import socket
import threading
import time
from contextlib import suppress

import pytest

from saas_connectors.auth import Key, basic
from saas_connectors.request import Request, Response
from sovereign.egress import BadEncoding, Broken, EgressError, TimedOut, TooLarge
from sovereign.egress.errors import Echoed
from tests.security.egress.test_hostile_answers import PAGES, bomb, drip, peak
from tests.servers.peer import Script, always, answer, peer
from tests.servers.wayout import call, channel

MIB = 2**20


def one(script: Script | bytes, **policy: object) -> Response | Exception:
    with peer(always(script) if isinstance(script, bytes) else script) as vendor:
        return call(vendor.url, Request("PUT", vendor.url), **policy)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_decompression_bomb_is_stopped_at_the_cap(encoding: str, wbits: int) -> None:
    body = answer(bomb(wbits), content_encoding=encoding)
    before = peak()
    fault = one(body, max_bytes=4 * MIB)
    assert isinstance(fault, TooLarge)
    assert fault.fields["what"] == "decompressed"
    assert peak() - before < 64 * MIB


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (answer(b"", content_length=str(2**31)), TooLarge), (answer(bytes(60)), TooLarge),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"40\r\n" + bytes(64) + b"\r\n0\r\n\r\n", TooLarge),
        (answer(b"abc", content_encoding="br"), BadEncoding), (answer(b"abc", content_encoding="gzip, gzip"), BadEncoding),
        (answer(b"not gzip", content_encoding="gzip"), BadEncoding),
        (answer(gzip.compress(b"x" * 30)[:-9], content_encoding="gzip"), Broken),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", Broken),
        (b"SSH-2.0-x\r\n\r\n", Broken),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 400_000, EgressError),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, EgressError),
    ],
)  # fmt: skip
def test_what_is_too_large_or_cannot_be_read_is_refused_and_never_half_given(data: bytes, fault: type[EgressError]) -> None:
    found = one(data, max_bytes=50)
    assert isinstance(found, fault)
    assert found.may_have_arrived


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)  # fmt: skip
def test_a_vendor_that_drips_its_answer_is_cut_off_at_the_total_timeout(head: bytes, piece: bytes) -> None:
    fault = one(drip(head, piece), timeout=20.0, total_timeout=1.0)
    assert isinstance(fault, TimedOut)
    assert fault.fields["phase"] == "total"


def test_endless_trailers_are_cut_off_by_their_weight() -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        with suppress(OSError):
            while True:
                connection.sendall(b"x: " + b"y" * 60_000 + b"\r\n")

    assert isinstance(one(script, max_bytes=1_000_000), TooLarge | Broken)


@pytest.mark.parametrize("pause", [0.0, 0.05])
@pytest.mark.parametrize("cut", [0, 20])
def test_an_answer_that_nobody_asked_for_is_never_given_to_the_next_request(pause: float, cut: int) -> None:
    stolen = answer(b"stolen")

    def script(connection: socket.socket, request: bytes) -> None:
        if b"GET /1 " in request:
            connection.sendall(answer(b"first")[:-5])
            time.sleep(0.05)
            # The rest of the first answer, and a second one: with it, or once the connection rests.
            connection.sendall(b"first" + (stolen[:cut] if pause else stolen))
            time.sleep(pause)
            connection.sendall(stolen[cut:] if pause else b"")
            sent.set()
            return
        connection.sendall(answer(b"second"))

    async def run(url: str) -> list[bytes]:
        async with channel(url) as out:
            first = await out.send(Request("GET", f"{url}/1"))
            assert await asyncio.to_thread(sent.wait, 60)
            await asyncio.sleep(0.05)
            return [first.body, (await out.send(Request("GET", f"{url}/2"))).body]

    sent = threading.Event()
    with peer(script) as vendor:
        assert asyncio.run(run(vendor.url)) == [b"first", b"second"]


@pytest.mark.parametrize(("kind", "page"), PAGES)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Error"])
def test_an_answer_that_echoes_the_credential_goes_no_further_and_its_status_stays_known(
    kind: str, page: bytes, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    data = answer(page, status=status, content_type=kind, X_Echo="Basic dmlsbGU6bW90ZGVwYXNzZQ==")
    found = one(data, auth=basic("ville", "motdepasse"))
    assert isinstance(found, Response)
    assert (found.status, found.body) == (int(status[:3]), b"")
    said = f"{found} {dict(found.headers)} {caplog.text}"
    assert "motdepasse" not in said
    assert "dmlsbGU6bW90ZGVwYXNzZQ" not in said


def test_a_credential_split_between_two_pieces_of_a_stream_cuts_it_before_its_first_byte() -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 200035\r\n\r\n" + b"a" * 100_000 + b"cle-tres-")
        time.sleep(0.05)
        connection.sendall(b"secrete" + b"b" * 100_019)

    async def run(url: str) -> bytes:
        given = b""
        async with channel(url, Key("X-Key", "cle-tres-secrete")) as out, out.stream(Request("GET", url)) as found:
            try:
                async for piece in found:
                    given += piece
            except Echoed:
                return given
        pytest.fail("it passed")

    with peer(script) as vendor:
        given = asyncio.run(run(vendor.url))
    assert len(given) >= 64 * 1024
    assert set(given) == {ord("a")}


def test_a_stream_is_given_whole_in_bounded_pieces_and_gives_its_place_back() -> None:
    body = bytes(range(256)) * 8192

    async def run(url: str) -> None:
        async with channel(url, concurrency=1, max_bytes=8 * MIB, timeout=1.5) as out:
            for _ in range(2):
                async with out.stream(Request("GET", url)) as found:
                    pieces = [piece async for piece in found]
                assert max(map(len, pieces)) <= 256 * 1024
                assert b"".join(pieces) == body
                assert "content-encoding" not in found.headers
            async with out.stream(Request("GET", url)) as found:
                slow = aiter(found)
                await anext(slow)
                await asyncio.sleep(2.0)
                with pytest.raises(TimedOut) as fault:
                    await anext(slow)
                assert fault.value.fields["phase"] == "reader"
            assert (await out.send(Request("GET", url))).body == body

    with peer(always(answer(gzip.compress(body), content_encoding="gzip"))) as vendor:
        asyncio.run(run(vendor.url))


def test_no_error_and_no_log_holds_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def breaks(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 2\x0000 \r\nx\r\n\r\n")
        connection.close()

    with peer(breaks) as vendor:
        asked = Request("PUT", f"{vendor.url}/dossier-canari", params=(("q", "canari"),), body=b"canari")
        (fault,) = call(vendor.url, asked, auth=Key("apikey", "cle-canari", "query"))
    assert isinstance(fault, Broken)
    assert "canari" not in f"{fault} {fault.fields} {fault.__cause__} {caplog.text}"
    assert fault.__suppress_context__

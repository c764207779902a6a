"""What a channel knows when it fails: whether a byte of a write may have arrived. Against peers that really break."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator

import pytest

from saas_connectors.auth import ClientCredentials
from saas_connectors.request import Request, Response
from sovereign.clock import now
from sovereign.egress import Broken, Budgets, EgressError, NotSent, Refused, TimedOut, Waiting
from sovereign.egress.errors import Busy, NoCredential, Unfinished
from sovereign.egress.wire import Progress
from tests.servers.peer import Script, always, answer, each, peer, reset
from tests.servers.ports import free_port
from tests.servers.wayout import call, channel


def put(url: str, **more: object) -> Request:
    return Request("PUT", url, body=b'{"a":1}', **more)  # type: ignore[arg-type]


def partly(data: bytes, *, hard: bool) -> Script:
    """Answer so far, then end, with a RST when `hard`."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(data)
        time.sleep(0.05)
        if hard:
            reset(connection, request)
        connection.close()

    return script


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(
    "data",
    [b"", b"H", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
     b"HTTP/1.1 100 Continue\r\n\r\n",
     b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"],
)  # fmt: skip
def test_a_connection_that_breaks_once_a_write_left_may_have_delivered_it_and_it_is_sent_once(data: bytes, hard: bool) -> None:
    with peer(partly(data, hard=hard)) as vendor:
        (fault,) = call(vendor.url, put(vendor.url))
        assert isinstance(fault, Broken)
        assert fault.may_have_arrived
        assert len(vendor.requests) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH", "OPTIONS", "PROPFIND"])
def test_a_write_on_a_connection_that_was_kept_is_never_sent_a_second_time(method: str) -> None:
    # aiohttp by itself sends PUT, DELETE and OPTIONS again here.
    with peer(each(answer(), reset)) as vendor:
        first, fault = call(vendor.url, Request("GET", vendor.url), Request(method, vendor.url))
        assert isinstance(first, Response)
        assert isinstance(fault, Broken)
        assert (len(vendor.requests), vendor.connections) == (2, 1)


def test_a_read_on_a_connection_that_was_kept_is_sent_once_more_on_a_fresh_one() -> None:
    with peer(each(answer(), reset, answer(b"2"))) as vendor:
        _, second = call(vendor.url, Request("GET", vendor.url), Request("POST", vendor.url, body=b"q", reads=True))
        assert isinstance(second, Response)
        assert (second.body, vendor.connections) == (b"2", 2)
    with peer(reset) as vendor:
        (fault,) = call(vendor.url, Request("GET", vendor.url))
        assert isinstance(fault, Broken)
        assert len(vendor.requests) == 1


def test_nobody_listening_a_dead_name_and_a_hung_handshake_are_provably_not_sent() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    (refused,) = call(url, put(url))
    assert isinstance(refused, NotSent)
    assert refused.fields["reason"] == "refused"

    def nowhere(*_: object, **__: object) -> list[object]:
        raise socket.gaierror

    (lost,) = call("https://ville.example", put("https://ville.example"), resolve=nowhere)
    assert isinstance(lost, NotSent)
    assert lost.fields["reason"] == "dns"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        (hung,) = call(url, put(url), connect_timeout=0.3)
    assert isinstance(hung, NotSent)
    assert (hung.fields["reason"], hung.may_have_arrived) == ("timeout", False)


def test_a_peer_that_closed_before_the_request_was_written_is_seen_whenever_its_end_came_in_time() -> None:
    async def run() -> list[EgressError]:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        found = []
        server = await asyncio.start_server(close, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, channel(url) as out:
            for _ in range(20):
                try:
                    await out.send(put(url))
                except EgressError as fault:
                    found.append(fault)
        return found

    faults = asyncio.run(run())
    assert len(faults) == 20
    assert {type(fault) for fault in faults} <= {NotSent, Broken}
    assert NotSent in {type(fault) for fault in faults}


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_connection_the_peer_closed_while_it_rested_is_passed_over_without_losing_a_write(method: str) -> None:
    def closing(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer())
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    async def run(url: str) -> list[int]:
        async with channel(url) as out:
            # The loop is given no turn to learn of the end: the socket itself is asked.
            found = [(await out.send(Request(method, url))).status]
            time.sleep(0.1)  # noqa: ASYNC251 - on purpose
            found.append((await out.send(Request(method, url))).status)
        return found

    with peer(closing) as vendor:
        assert asyncio.run(run(vendor.url)) == [200, 200]
        assert (len(vendor.requests), vendor.connections) == (2, 2)


def test_a_write_uses_a_connection_that_rested_a_moment_and_dials_after_more_or_when_the_vendor_announces_less() -> None:
    async def twice(url: str, pause: float) -> None:
        async with channel(url) as out:
            await out.send(put(url))
            await asyncio.sleep(pause)
            await out.send(put(url))

    def connections(pause: float, **headers: str) -> int:
        with peer(always(answer(**headers))) as vendor:
            asyncio.run(twice(vendor.url, pause))
        return vendor.connections

    assert 1 in (connections(0.0) for _ in range(5)), "the machine may make one rest longer, not five"
    assert connections(1.1) == 2
    assert connections(0.7, keep_alive="timeout=1") == 2


def test_silence_after_the_write_is_unknown_and_so_is_a_peer_that_takes_nothing() -> None:
    def silent(_: socket.socket, __: bytes) -> None:
        time.sleep(1.5)

    with peer(silent) as vendor:
        (fault,) = call(vendor.url, put(vendor.url), timeout=0.3)
        assert isinstance(fault, TimedOut)
        assert (fault.fields["phase"], fault.may_have_arrived) == ("read", True)
        (fault,) = call(vendor.url, put(vendor.url), timeout=60.0, total_timeout=1.0)
        assert isinstance(fault, TimedOut)
        assert fault.fields["phase"] == "total"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        (fault,) = call(url, Request("PUT", url, body=bytes(30_000_000)), timeout=0.3)
    assert isinstance(fault, TimedOut)
    assert (fault.fields["phase"], fault.may_have_arrived) == ("write", True)


def test_a_caller_that_gives_up_knows_whether_anything_left() -> None:
    async def run(url: str, concurrency: int) -> list[bool]:
        budgets, found = Budgets(), [Progress(), Progress()]
        async with channel(url, budgets=budgets, concurrency=concurrency) as out:
            tasks = [asyncio.create_task(out.send(put(url), progress=progress)) for progress in found]
            while not found[0].left:  # noqa: ASYNC110 - the first has the only place, and is not answered
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # What they held is given back.
            async with asyncio.timeout(60):
                assert (await out.send(Request("GET", url))).status == 200
        return [progress.left for progress in found]

    def script(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"PUT"):
            given_up.wait(60)
        connection.sendall(answer())

    given_up = threading.Event()
    with peer(script) as vendor:
        assert asyncio.run(run(vendor.url, 1)) == [True, False]
        given_up.set()
        assert len([request for request in vendor.requests if request.startswith(b"PUT")]) == 1


def test_our_own_budget_and_a_host_that_wants_to_be_left_alone_refuse_before_anything_leaves() -> None:
    with peer(each(answer(status="503 Busy", retry_after="3600"), answer())) as vendor:
        first, second = call(vendor.url, put(vendor.url), put(vendor.url))
        assert isinstance(first, Response)
        assert isinstance(second, Waiting)
        assert (second.may_have_arrived, len(vendor.requests)) == (False, 1)
    with peer(always(answer())) as vendor:
        found = call(vendor.url, *[put(vendor.url)] * 3, rate=0.5, patience=0.1)
        assert [isinstance(one, Busy) for one in found] == [False, True, True]
        assert len(vendor.requests) == 1


def test_a_token_that_cannot_be_had_says_that_the_write_was_not_sent() -> None:
    moved = answer(status="302 Found", location="https://x.fr/")
    for script in (reset, always(answer(status="400 No")), always(answer(b"<html>")), always(moved)):
        with peer(script) as desk, peer(always(answer())) as vendor:
            auth = ClientCredentials(f"{desk.url}/token", "ville", "tres-secret", now)
            (fault,) = call(vendor.url, put(vendor.url), auth=auth, credential_urls=(f"{desk.url}/token",))
            assert isinstance(fault, NoCredential)
            assert (fault.may_have_arrived, vendor.requests) == (False, [])
            assert "tres-secret" not in str(fault)


async def pieces(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


def test_a_streamed_body_leaves_whole_or_is_said_to_be_unfinished() -> None:
    async def run(url: str, parts: tuple[bytes | Exception, ...], **more: int) -> object:
        async with channel(url) as out:
            try:
                return (await out.send(Request("POST", url), stream_body=pieces(*parts), **more)).status
            except EgressError as fault:
                return type(fault), fault.may_have_arrived

    with peer(always(answer())) as vendor:
        assert asyncio.run(run(vendor.url, (b"ab", b"cd"), length=4)) == 200
        assert vendor.requests[0].endswith(b"content-length: 4\r\n\r\nabcd")
        assert asyncio.run(run(vendor.url, (ValueError(),))) == (NotSent, False)
        assert asyncio.run(run(vendor.url, (b"ab",), length=9, cap=8)) == (Refused, False)
        assert len(vendor.requests) == 1
        assert asyncio.run(run(vendor.url, (b"ab", ValueError()), length=4)) == (Unfinished, True)
        assert asyncio.run(run(vendor.url, (b"ab", b"cd"), length=3)) == (Unfinished, True)
        assert asyncio.run(run(vendor.url, (b"ab",), length=3)) == (Unfinished, True)
        assert asyncio.run(run(vendor.url, (b"ab", b"cde"), cap=4)) == (Unfinished, True)
        assert len([request for request in vendor.requests if b"abcd" in request]) == 1


def test_a_streamed_body_that_can_be_read_again_is_when_the_token_was_out_of_date() -> None:
    read: list[int] = []

    async def whole() -> AsyncIterator[bytes]:
        read.append(len(read))
        for part in (b"ab", b"cd"):
            yield part

    async def run(url: str, token: str, *, again: bool) -> int:
        auth = ClientCredentials(token, "ville", "tres-secret", now)
        async with channel(url, auth=auth, credential_urls=(token,)) as out:
            return (await out.send(Request("PUT", url), stream_body=whole if again else whole(), length=4)).status

    tokens = each(*(answer(f'{{"access_token":"t{n}","token_type":"bearer","expires_in":3600}}'.encode()) for n in range(2)))
    for again, status in ((True, 201), (False, 401)):
        vendors = each(answer(status="401 No"), answer(status="201 Created"))
        with peer(tokens) as desk, peer(vendors) as vendor:
            assert asyncio.run(run(vendor.url, f"{desk.url}/token", again=again)) == status
            assert [request[-4:] for request in vendor.requests] == [b"abcd"] * (2 if again else 1)
    assert read == [0, 1, 2]


def test_a_long_body_has_the_time_that_its_length_buys_and_a_vendor_that_takes_nothing_is_cut() -> None:
    async def whole() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(65_536)
            await asyncio.sleep(0.2)

    async def run(url: str) -> object:
        async with channel(url, total_timeout=0.5) as out:
            try:
                return (await out.send(Request("PUT", url), stream_body=whole, length=4 * 65_536)).status
            except EgressError as fault:
                return type(fault), fault.fields["phase"], fault.may_have_arrived

    with peer(always(answer())) as vendor:
        assert asyncio.run(run(vendor.url)) == 200

    def deaf(connection: socket.socket) -> None:
        time.sleep(2)

    async def stuck(port: int) -> object:
        async with channel(f"http://127.0.0.1:{port}", timeout=0.5) as out:
            try:
                endless = (bytes(2**20) for _ in range(64))
                await out.send(Request("PUT", f"http://127.0.0.1:{port}"), stream_body=pieces(*endless), length=2**26)
            except EgressError as fault:
                return type(fault), fault.fields["phase"], fault.may_have_arrived

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(stuck(listener.getsockname()[1])) == (TimedOut, "write", True)

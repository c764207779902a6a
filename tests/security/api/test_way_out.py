"""Request forgery, smuggling and echoed credentials, by the public door.

Whatever a caller writes or a vendor answers, the gateway reaches its vendor alone, says to it only what was meant for it, and
tells nobody its credential.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.auth import basic
from sovereign.access.clients import Limits
from tests.security.egress.test_destinations import names
from tests.servers.door import Door, Told, door
from tests.servers.gate import Way
from tests.servers.peer import always, answer, peer

HTTP = "/v1/connections/ledger/http"
SECRET, ENCODED = "mot-de-passe-7d1f02", "dmlsbGU6bW90LWRlLXBhc3NlLTdkMWYwMg=="
MANY = Limits(rate=10_000)
"""The limits of applications have their own tests."""
KEYS = (f"k{number}" for number in count())


def drill(tmp_path: Path, url: str, work: Callable[[Door], Awaitable[None]], way: Way | None = None) -> None:
    async def run() -> None:
        async with door(tmp_path / "g", url, limits=MANY, way=way or Way()) as at:
            at.house.gateway.breaker._threshold = 10**6  # circuits have their own tests
            await work(at)

    asyncio.run(run())


def writes() -> dict[str, str]:
    return {"Idempotency-Key": next(KEYS), "Content-Type": "application/json", "Prefer": "wait=60"}


async def ways(at: Door) -> tuple[Told, Told, Told]:
    """A read, a write by the vendor's own interface, an operation."""
    return (
        await at.ask("GET", f"{HTTP}/lines"),
        await at.ask("POST", f"{HTTP}/lines/{next(KEYS)}", data=b'{"ref":"a"}', headers=writes()),
        await at.ask(
            "POST", "/v1/connections/ledger/operations/note", data=b'{"ref":"%s"}' % next(KEYS).encode(), headers=writes()
        ),
    )


INSIDE = (
    "127.0.0.1", "127.1.2.3", "10.0.0.8", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "168.63.129.16", "0.0.0.0",  # noqa: S104 - dialled, never bound
    "::1", "::", "fe80::1", "fe80::1%lo", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "2001:0:808:808:0:0:80ff:fffe",
    "::ffff:0:127.0.0.1",
)  # fmt: skip


def test_a_vendor_whose_name_leads_inside_is_neither_read_nor_written_to(tmp_path: Path) -> None:
    leads = [INSIDE[0]]

    def resolve(_: str, port: int, **__: object) -> list[Any]:
        family = socket.AF_INET6 if ":" in leads[0] else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (leads[0], port))]

    async def work(at: Door) -> None:
        for address in INSIDE:
            leads[0] = address
            read, passed, operation = await ways(at)
            assert (read.status, read.json()["code"]) == (502, "egress.refused"), address
            for told in (passed, operation):
                assert (told.status, told.json()["why"]) == (502, "egress.refused"), address
                assert told.json()["state"] == "failed", "it provably never left"

    with peer(always(answer())) as inside:
        drill(tmp_path, f"http://ville.example:{inside.port}", work, Way(loopback=False, resolve=resolve))
        assert inside.connections == 0


def test_a_name_that_is_bound_again_between_two_requests_leads_nowhere(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        assert (await at.ask("GET", f"{HTTP}/lines")).status == 200
        read, passed, operation = await ways(at)
        assert [told.status for told in (read, passed, operation)] == [502] * 3
        assert {passed.json()["why"], operation.json()["why"]} == {"egress.refused"}

    with peer(always(answer(connection="close"))) as vendor:
        resolve = names(["127.0.0.1"], ["169.254.169.254"])
        drill(tmp_path, f"http://ville.example:{vendor.port}", work, Way(resolve=resolve))
        assert vendor.connections == 1


TRICKS = (
    "http://169.254.169.254/latest", "//169.254.169.254/latest", "/169.254.169.254", "@169.254.169.254/", "a@b:80/x",
    "2852039166", "0xa9fea9fe/", "\\\\evil\\x", "..", "../..", "%2e%2e/x", ".%2e/x", "a/..;/x", "a;x=1/b", "a%3bx",
    "%2f%2fevil.example", "a%5c..%5cb", "a%00", "a%0d%0aHost:%20evil", "a%0aX: y", "a%252e%252e%2fb", "a b", "a\tb", "é",
    "[::1]", "a%zz", "?x=%0d%0a", "?a#b", "#a", "a%7f",
)  # fmt: skip
PLAIN = {"@169.254.169.254/", "a@b:80/x", "2852039166", "0xa9fea9fe/"}
"""What reads in one way alone: a path of the vendor's, passed as it was written."""


def test_no_trick_of_a_path_makes_the_gateway_ask_another_host_or_another_thing(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        token = at.council.tokens["app"]
        for path in TRICKS:
            for method in ("GET", "DELETE"):
                head = f"{method} {HTTP}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                got = await at.raw(f"{head}Idempotency-Key: {next(KEYS)}\r\nConnection: close\r\n\r\n".encode())
                status = b"200" if path in PLAIN else b"400"
                assert got.split(b" ")[1] == status, (path, got)
                assert path in PLAIN or b"api.request" in got

    with peer(always(answer(b"[]"))) as vendor:
        drill(tmp_path, vendor.url, work)
        asked = [request.split(b"\r\n")[0].decode() for request in vendor.requests]
        assert asked == [f"{method} /{path} HTTP/1.1" for path in TRICKS if path in PLAIN for method in ("GET", "DELETE")]
        assert all(request.lower().count(b"\r\nhost: 127.0.0.1:%d\r\n" % vendor.port) == 1 for request in vendor.requests)


def test_a_redirection_is_followed_by_nobody_and_its_target_is_told_to_nobody(tmp_path: Path) -> None:
    statuses = ("301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent", "300 Choices")
    with peer(always(answer(b"inside"))) as inside:
        place = f"http://admin:pw@127.0.0.1:{inside.port}/secret?token=abc"
        now = [statuses[0]]

        async def work(at: Door) -> None:
            for now[0] in statuses:
                for told in await ways(at):
                    assert "Location" not in told.headers or told.headers["Location"].startswith("/v1/")
                    assert b"token=abc" not in told.body
                    assert b"inside" not in told.body

        with peer(lambda line, _: line.sendall(answer(b"", status=now[0], Location=place))) as vendor:
            drill(tmp_path, vendor.url, work)
            assert len(vendor.requests) >= 3 * len(statuses)
        assert inside.connections == 0


def test_a_proxy_that_the_environment_names_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(always(answer(b"proxied"))) as proxy, peer(always(answer(b"[]"))) as vendor:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        async def work(at: Door) -> None:
            for told in await ways(at):
                assert told.status == 200

        drill(tmp_path, vendor.url, work)
        assert (proxy.connections, len(vendor.requests)) == (0, 3)


def test_what_a_caller_says_of_hosts_origins_and_credentials_stays_with_the_gateway(tmp_path: Path) -> None:
    spoofed = {
        "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Original-Url": "/evil", "Via": "evil",
        "X-Rewrite-Url": "/evil", "X-Http-Method-Override": "DELETE", "X-Api-Key": "theirs", "Cookie": "session=theirs",
        "Proxy-Authorization": "Basic theirs", "Destination": "http://evil.example/", "Origin": "http://evil.example",
        "Te": "trailers", "Connection": "keep-alive, X-Api-Key", "X-Forwarded-For": "127.0.0.1", "Accept-Encoding": "br",
    }  # fmt: skip
    meant = {
        "host", "user-agent", "accept", "accept-language", "accept-encoding", "authorization", "content-length", "content-type",
    }  # fmt: skip
    tokens: list[str] = []

    async def work(at: Door) -> None:
        assert (await at.ask("GET", f"{HTTP}/lines", headers=spoofed)).status == 200
        assert (await at.ask("POST", f"{HTTP}/lines", data=b"{}", headers=spoofed | writes())).status == 200
        tokens.extend(at.council.tokens.values())

    with peer(always(answer(b"[]"))) as vendor:
        drill(tmp_path, vendor.url, work, Way(auth=basic("ville", SECRET)))
        assert len(vendor.requests) == 2
        for request in vendor.requests:
            head = request.partition(b"\r\n\r\n")[0].decode()
            fields = [line.partition(":")[0].lower() for line in head.split("\r\n")[1:]]
            assert set(fields) <= meant
            assert len(fields) == len(set(fields))
            assert f"Authorization: Basic {ENCODED}".lower() in head.lower()
            assert not any(word in head for word in ("evil", "theirs", "DELETE", *tokens))


SMUGGLED = (
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n[]",
    b"Content-Length: 2\r\nX-A: b\r\n folded: c\r\n\r\n[]",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: +2\r\n\r\n[]",
    b"Content-Length: 2\r\nX-A: a\0b\r\n\r\n[]",
    b"Content-Length: 2\r\n\r\n[]",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
)


def test_an_answer_that_hides_another_never_gives_it_to_the_next_caller(tmp_path: Path) -> None:
    hidden = answer(b"stolen", Set_Cookie="a=b")
    now = [b""]

    async def work(at: Door) -> None:
        for head in SMUGGLED:
            now[0] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + hidden
            first = await at.ask("GET", f"{HTTP}/lines")
            now[0] = answer(b"[]")
            for told in (first, await at.ask("GET", f"{HTTP}/lines"), await at.ask("GET", f"{HTTP}/lines")):
                assert told.status in (200, 502, 503, 504), head
                assert b"stolen" not in told.body, head
                assert not {"Set-Cookie", "X-A", "Transfer-Encoding"} & {name.title() for name in told.headers}

    with peer(lambda line, _: line.sendall(now[0])) as vendor:
        drill(tmp_path, vendor.url, work)


PAGES = (
    ("application/json", f'{{"you":"{SECRET}"}}'),
    ("text/html", f"<p>Basic {ENCODED}</p>"),
    ("text/plain", f"ville:{SECRET}"),
    ("application/json", '{"you":"' + "".join(f"\\u{ord(sign):04x}" for sign in SECRET) + '"}'),
)


def test_a_credential_that_the_vendor_echoes_reaches_no_caller_no_log_and_no_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[bytes] = []
    now = [b""]

    async def work(at: Door) -> None:
        for status in ("200 OK", "404 Not Found", "500 Error", "302 Found"):
            for kind, page in PAGES:
                now[0] = answer(
                    page.encode(), status=f"{status} {SECRET}", content_type=kind, ETag=f'"{SECRET}"', X_Total_Count=ENCODED,
                    Location=f"/lines?key={SECRET}", Cache_Control=f"private={SECRET}",
                )  # fmt: skip
                for told in await ways(at):
                    seen.append(told.body + repr(sorted(told.headers.items())).encode())
                    if intent := told.headers.get("Sovereign-Intent"):
                        seen.append((await at.ask("GET", f"/v1/deliveries/{intent}")).body)

    with peer(lambda line, _: line.sendall(now[0])) as vendor:
        drill(tmp_path, vendor.url, work, Way(auth=basic("ville", SECRET)))
        assert all(ENCODED.encode() in request for request in vendor.requests)
    assert len(seen) == 16 * 5
    files = [path.read_bytes() for path in (tmp_path / "g").rglob("*") if path.is_file()]
    for given in (*seen, caplog.text.encode(), *files):
        assert SECRET.encode() not in given
        assert ENCODED.encode() not in given

"""What the pass-through promises: the vendor's own interface, decided and entered; of its headers, only what may come back."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from saas_connectors.request import Headers
from sovereign.api.relay import inward, outward
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving

LINES = "/v1/connections/ledger/http/lines"


def drill(tmp_path: Path, work: Callable[[Door], Awaitable[None]]) -> Ledger:
    async def run(url: str) -> None:
        async with door(tmp_path / "g", url) as opened:
            await work(opened)

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(run(url))
    return ledger


def test_a_read_goes_to_the_vendor_and_is_entered_without_its_path(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = await at.ask("GET", f"{LINES}?ref=a")
        assert (told.status, told.body) == (200, b"[]")
        (entry,) = at.house.gateway.deliveries.audit.entries(act="read.passed")
        assert entry.facts == {"client": "app", "method": "GET", "policies": ["by-name.allow"], "status": 200}

    drill(tmp_path, work)


def test_a_read_that_policy_refuses_does_not_leave_and_is_entered(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        for client in ("stranger", "intern"):
            told = await at.ask("GET", f"{LINES}?ref=a", client=client)
            assert (told.status, told.json()["code"]) == (403, "policy.denied")
        entered = at.house.gateway.deliveries.audit.entries(act="read.denied")
        assert [entry.facts["policies"] for entry in entered] == [["by-name.deny"], ["by-name.hold"]]

    assert drill(tmp_path, work).asked == 0


def test_a_vendor_that_an_operator_cut_off_is_not_read(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        with at.house.state.begin() as transaction:
            at.house.gateway.breaker.cut(transaction, "ledger", at.house.clock(), "drill")
        told = await at.ask("GET", LINES)
        assert (told.status, told.json()["code"]) == (503, "gateway.cut")

    drill(tmp_path, work)


def test_a_write_by_the_vendors_own_interface_gives_the_vendors_answer_once(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        told = await at.ask("POST", LINES, data=b'{"ref":"a"}', headers=headers)
        assert (told.status, told.body) == (201, b"{}")
        shown = await at.ask("GET", f"/v1/deliveries/{told.headers['Sovereign-Intent']}")
        assert shown.json()["state"] == "delivered"
        again = await at.ask("POST", LINES, data=b'{"ref":"a"}', headers=headers)
        assert again.headers["Sovereign-Intent"] == told.headers["Sovereign-Intent"]
        missing = await at.ask("DELETE", f"{LINES}/1")
        assert missing.json()["code"] == "api.key"

    assert drill(tmp_path, work).landed("a") == 1


def test_a_vendor_that_is_gone_is_said_to_be_down(tmp_path: Path) -> None:
    with serving(Ledger()) as url:
        pass

    async def run() -> None:
        async with door(tmp_path / "g", url) as at:
            told = await at.ask("GET", LINES)
            assert (told.status, told.json()["code"]) == (503, "gateway.down")
            (entry,) = at.house.gateway.deliveries.audit.entries(act="read.failed")
            assert "status" not in entry.facts

    asyncio.run(run())


def test_no_cookie_credential_or_hop_by_hop_field_passes_either_way() -> None:
    sent = [
        (b"authorization", b"Bearer x"), (b"cookie", b"a=b"), (b"connection", b"close, accept"), (b"host", b"h"),
        (b"x-http-method-override", b"DELETE"), (b"x-forwarded-for", b"1"), (b"accept", b"*/*"),
    ]  # fmt: skip
    assert outward(sent) == (("accept", "*/*"),)
    got = Headers([("Set-Cookie", "s=1"), ("WWW-Authenticate", "Basic"), ("Transfer-Encoding", "chunked"), ("ETag", '"1"')])
    assert inward(got, "ledger", "https://v.example") == [(b"etag", b'"1"')]


@pytest.mark.parametrize(
    ("location", "here"),
    [
        ("https://v.example/a?b=1", b"/v1/connections/ledger/http/a?b=1"),
        ("/a", b"/v1/connections/ledger/http/a"),
        ("https://evil.example/a", None),
        ("//evil.example/a", None),
        ("https://v.example//evil.example", None),
    ],
)
def test_a_redirect_of_the_vendor_leads_through_the_gateway_or_nowhere(location: str, here: bytes | None) -> None:
    found = dict(inward(Headers([("Location", location)]), "ledger", "https://v.example"))
    assert found.get(b"location") == here

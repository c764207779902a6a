"""What becomes of writes when a vendor refuses our credential: they wait, it is shown no more, and leave once it is right."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from saas_connectors import registry
from saas_connectors.auth import bearer
from saas_connectors.connector import Writer
from saas_connectors.errors import BadPayload, Moved, NotFound, Rejected, TokenDenied, Unauthorized
from saas_connectors.request import Headers, Request, Response
from sovereign.clock import now
from sovereign.egress.errors import CredentialRefused, NoCredential
from sovereign.egress.sparing import Spared
from sovereign.gateway.errors import VendorDown
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.intent import BY_HTTP, WriteIntent
from sovereign.gateway.outcome import of_fault, of_status
from sovereign.gateway.ports import Parts
from sovereign.gateway.reading import Read
from sovereign.gateway.refusing import Refusing
from sovereign.gateway.vendor import Sent
from sovereign.state.outbound import circuits
from sovereign.state.refusals import LOOK, standing
from tests.servers.gate import Way, gate, intent
from tests.servers.ledger import Ledger, serving
from vault.errors import Fault, NoSecret

RIGHT = "Bearer right"
TODO = "Store the new secret (`sovereign secret set ledger"
WRONG = Way(auth=bearer("wrong"))
GOOD = Way(auth=bearer("right"))


@dataclass
class House:
    """A gateway whose credential is known by `mark`; `told`: what whoever runs the service was told.

    writer: the connector, the ledger's own if none; spares: whether the way out shows no credential again just refused.
    """

    root: Path
    url: str
    mark: str = "wrong"
    writer: Writer | None = None
    spares: bool = False
    told: list[Fault] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, way: Way = WRONG, mark: str = "wrong") -> AsyncIterator[Gateway]:
        self.mark = mark

        def changed(parts: Parts) -> dict[str, object]:
            vendor = replace(parts.vendors("ledger"), mark=mark)
            vendor = replace(vendor, writer=self.writer or vendor.writer)
            if self.spares:
                spared, out = Spared("ledger", vendor.host), vendor.send
                vendor = replace(vendor, send=lambda request: spared.showing(lambda: out(request)))
            return {"vendors": lambda _: vendor, "refusing": Refusing(lambda _: self.mark, self.told.append)}

        async with gate(self.root, self.url, changed=changed, way=way) as gateway:
            stop = asyncio.Event()
            running = asyncio.create_task(gateway.run(stop))
            try:
                yield gateway
            finally:
                stop.set()
                await running


async def stands(gateway: Gateway, name: str, *wanted: str) -> str:
    for _ in range(1500):
        if (found := gateway.receipt(name)).state in wanted:
            return found.state
        await asyncio.sleep(0.02)
    pytest.fail(f"still {gateway.receipt(name)}")


async def waits(gateway: Gateway, name: str) -> None:
    """Wait until a write took its turn again, which it may not have yet."""
    for _ in range(1500):
        receipt = gateway.receipt(name)
        if receipt.state == "queued":
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"still {gateway.receipt(name)}")


def acts(gateway: Gateway, noun: str = "credential.") -> list[str]:
    return [each.act for each in gateway.deliveries.audit.entries() if each.act.startswith(noun)]


def due(gateway: Gateway) -> None:
    """Have the next look fall due now."""
    with gateway._parts.state.begin() as transaction:
        transaction.execute(update(circuits).values(until=now()))


def test_a_refused_credential_is_shown_once_and_every_write_leaves_once_it_is_right(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        house = House(tmp_path / "g", url)
        asked = [intent("add", f"n{at}") for at in range(6)]
        async with house.open() as gateway:
            for each in asked[:1]:
                await gateway.submit(each, wait=None)
            await waits(gateway, asked[0].id)
            for each in asked[1:]:
                await gateway.submit(each, wait=0.05)
            await asyncio.sleep(0.3)
            assert (ledger.refused, ledger.asked) == (1, 0)
            assert acts(gateway) == ["credential.refused"]
            assert [each.diagnostics("en").todo[:50] for each in house.told] == [TODO]
        async with house.open() as gateway:  # a restart opens nothing
            await asyncio.sleep(0.3)
            assert (ledger.refused, len(house.told)) == (1, 1)
        async with house.open(GOOD, "right") as gateway:
            for each in asked:
                await stands(gateway, each.id, "confirmed")
            assert acts(gateway) == ["credential.refused", "credential.changed"]
            with gateway._parts.state.read() as reader:
                assert standing(reader) == ()

    ledger = Ledger()
    ledger.expects = RIGHT
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert (ledger.refused, sorted(line["ref"] for line in ledger.lines)) == (1, [f"n{at}" for at in range(6)])


def test_one_write_tries_when_an_hour_is_over_and_opens_the_connection_if_it_is_accepted(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        house = House(tmp_path / "g", url)
        async with house.open() as gateway:
            asked = [intent("set", "a"), intent("set", "b"), intent("leave", "d")]
            await gateway.submit(asked[0], wait=None)
            await waits(gateway, asked[0].id)
            for each in asked[1:]:
                await gateway.submit(each, wait=None)
            due(gateway)
            while ledger.refused < 2:  # noqa: ASYNC110 - the test ends in time
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            assert (ledger.refused, acts(gateway)) == (2, ["credential.refused"])  # told once
            with gateway._parts.state.read() as reader:
                circuit = gateway.breaker.get(reader, "ledger")
            assert circuit.until is not None
            assert circuit.until - now() > LOOK - timedelta(minutes=1)
            ledger.expects = None  # the vendor unlocked the account
            due(gateway)
            for each in asked:
                await stands(gateway, each.id, "delivered")
            assert acts(gateway) == ["credential.refused", "credential.accepted"]

    ledger = Ledger()
    ledger.expects = RIGHT
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.refused == 2
    assert ledger.came.index("d") < ledger.came.index("a")  # a departure goes first, and what was refused least tries


def test_a_write_that_is_refused_for_reasons_of_its_own_holds_up_no_other_for_long(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        house = House(tmp_path / "g", url)
        async with house.open() as gateway:
            odd, good = intent("set", "odd"), intent("set", "good")
            await gateway.submit(odd, wait=None)
            await waits(gateway, odd.id)
            await gateway.submit(good, wait=None)
            due(gateway)
            await stands(gateway, good.id, "delivered")
            await stands(gateway, odd.id, "rejected")
            after = intent("set", "after")
            await gateway.submit(after, wait=None)
            await stands(gateway, after.id, "delivered")

    ledger = Ledger()
    ledger.odd = frozenset({"odd"})
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.refused == 2


def passed(ref: str) -> WriteIntent:
    """A write of the pass-through."""
    asked = intent("set", ref)
    return replace(asked, door="http", operation=BY_HTTP, method="POST", path="/lines")


def test_in_the_pass_through_a_401_that_asks_for_no_credentials_closes_when_it_comes_twice_in_a_row(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with House(tmp_path / "g", url).open() as gateway:
            assert (await gateway.submit(passed("login"), wait=10)).state == "rejected"  # of a user of theirs, say
            ledger.odd = frozenset({"second", "third"})
            assert (await gateway.submit(passed("fine"), wait=10)).state == "delivered"
            assert (await gateway.submit(passed("second"), wait=10)).state == "rejected"
            third = passed("third")
            await gateway.submit(third, wait=10)
            await waits(gateway, third.id)
            assert acts(gateway) == ["credential.refused"]

    ledger = Ledger()
    ledger.odd, ledger.challenges = frozenset({"login"}), False
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.refused == 3


def test_reads_that_show_a_refused_credential_close_the_connection_at_the_second(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with House(tmp_path / "g", url).open() as gateway:
            read = Read("app", "ledger", "GET", "/lines?ref=a")
            assert [(await gateway.reads.answer(read)).status for _ in range(2)] == [401, 401]
            with pytest.raises(VendorDown):
                await gateway.reads.answer(read)
            asked = intent("set", "a")
            await gateway.submit(asked, wait=0.2)
            await waits(gateway, asked.id)
            assert acts(gateway) == ["credential.refused"]

    ledger = Ledger()
    ledger.expects = RIGHT
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.refused == 2


def test_what_was_shown_before_the_secret_changed_closes_nothing(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        house = House(tmp_path / "g", url)
        async with house.open() as gateway:
            house.mark = "right"  # stored while the first was under way
            asked = intent("set", "a")
            await gateway.submit(asked, wait=5)
            ledger.expects = None
            await stands(gateway, asked.id, "delivered")
            assert acts(gateway) == []

    ledger = Ledger()
    ledger.expects = RIGHT
    with serving(ledger) as url:
        asyncio.run(drill(url))


def test_a_departure_whose_look_is_refused_closes_the_connection(tmp_path: Path) -> None:
    look = {"path": "/lines", "params": {"ref": "{ref}"}, "records": "", "match": {"ref": "ref"}}
    schema = {"required": ["ref"], "properties": {"ref": {"type": "string"}}}
    leave = {"method": "POST", "path": "/lines", "schema": schema, "entity": ["ref"], "departure": True, "look": look}

    async def drill(url: str) -> None:
        streams = {"lines": {"path": "/lines", "primary_key": ["ref"]}}
        settings = {"url": url, "streams": streams, "operations": {"leave": leave}}
        writer = registry.writer("rest", "ledger", settings)
        house = House(tmp_path / "g", url, writer=writer, spares=True)
        async with house.open() as gateway:
            asked = intent("leave", "a")
            await gateway.submit(asked, wait=5)
            await waits(gateway, asked.id)
            assert (ledger.refused, acts(gateway), len(house.told)) == (1, ["credential.refused"], 1)

    ledger = Ledger()
    ledger.expects = RIGHT
    with serving(ledger) as url:
        asyncio.run(drill(url))


def test_requests_that_come_at_once_show_an_unproven_credential_once() -> None:
    async def drill() -> None:
        spared, shown = Spared("ledger", "vendor.example"), 0

        async def ask() -> Response:
            nonlocal shown
            shown += 1
            await asyncio.sleep(0.05)
            return Response(401, "https://vendor.example/", b"")

        found = await asyncio.gather(*(spared.showing(ask) for _ in range(8)), return_exceptions=True)
        assert (shown, sum(isinstance(each, CredentialRefused) for each in found)) == (1, 7)

    asyncio.run(drill())


def test_requests_that_waited_for_a_credential_to_be_proven_then_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sovereign.egress.sparing.PATIENCE", 600.0)

    async def drill() -> None:
        spared, first, together = Spared("ledger", "vendor.example"), asyncio.Event(), asyncio.Barrier(3)

        async def ask() -> Response:
            if first.is_set():
                await together.wait()
            first.set()
            return Response(200, "https://vendor.example/", b"")

        async with asyncio.timeout(60):
            found = await asyncio.gather(*(spared.showing(ask) for _ in range(4)))
        assert [each.status for each in found] == [200] * 4

    asyncio.run(drill())


def test_a_new_secret_is_no_longer_told_as_refused_where_the_vendor_was_cut_since_and_stays_cut(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with House(tmp_path / "g", url).open() as gateway:
            asked = intent("set", "a")
            await gateway.submit(asked, wait=None)
            await waits(gateway, asked.id)
            with gateway._parts.state.begin() as transaction:
                gateway.breaker.cut(transaction, "ledger", now(), "contract ended")
                gateway.breaker.reopen(transaction, "ledger", now(), "credential.changed")
                assert (standing(transaction), gateway.breaker.get(transaction, "ledger").state) == ((), "cut")
            assert acts(gateway) == ["credential.refused", "credential.changed"]

    ledger = Ledger()
    ledger.expects = RIGHT
    with serving(ledger) as url:
        asyncio.run(drill(url))


REQUEST = Request("POST", "https://vendor.example/users")


class Explained(Rejected):
    """A refusal that a connector knows the meaning of."""

    code = "vendor.explained"


SHOWN = {"method": "POST", "path": "/users"}


@pytest.mark.parametrize(
    ("error", "ends", "refused"),
    [
        (TokenDenied(**SHOWN, status=400), "to_retry", "door"),
        (NoCredential(host="h", connection="c", reason="vendor.token_denied", refused=True), "to_retry", "door"),
        (NoCredential(host="h", connection="c", reason="egress.broken"), "to_retry", ""),
        (NoSecret(connection="c", name="c"), "to_retry", "door"),
        (CredentialRefused(connection="c", host="h"), "to_retry", ""),
        (Unauthorized(**SHOWN, status=401), "to_retry", "answer"),
        (Unauthorized(**SHOWN, status=403), "rejected", ""),
        (NotFound(**SHOWN, status=404), "rejected", ""),
        (Moved(**SHOWN, status=409), "rejected", ""),
        (BadPayload(pointer="", expected_fr="-", expected_en="-"), "failed", ""),
    ],
)
def test_before_the_write_a_fault_tells_a_refused_credential_from_any_other(error: Fault, ends: str, refused: str) -> None:
    found = of_fault(error, Sent(), now(), again=False, maybe=False)
    assert (found.ends, found.refused, found.arrived) == (ends, refused, False)


def test_a_401_that_means_something_else_is_a_refusal_of_that_write() -> None:
    scope = Headers([("WWW-Authenticate", 'Bearer error="insufficient_scope"')])
    assert of_status(401, scope, now(), again=True, maybe=False).ends == "rejected"
    assert of_status(403, Headers(), now(), again=True, maybe=False).ends == "rejected"
    bare = of_status(401, Headers(), now(), again=False, maybe=True)
    assert (bare.ends, bare.refused) == ("to_retry", "answer")
    known = Explained(**SHOWN, status=401, definitive=True, reason="expired_contract")
    sent = Sent(writing=True, status=401, response=Response(401, REQUEST.url, b""))
    assert of_fault(known, sent, now(), again=False, maybe=False).ends == "rejected"

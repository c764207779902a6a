"""What a delivery promises, over a real vendor and a real way out."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from saas_connectors.request import Response
from sovereign.clock import now
from sovereign.gateway.errors import KeyReused, ReadDenied, VendorCut
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.reading import Read, from_copy
from sovereign.gateway.receipt import Receipt
from sovereign.gateway.vendor import Vendor
from tests.servers.gate import gate, intent
from tests.servers.ledger import Ledger, serving


async def settled(gateway: Gateway, name: str, *states: str, seconds: float = 60.0) -> Receipt:
    """Run the dispatcher until a delivery is in one of these states."""
    stop = asyncio.Event()
    running = asyncio.create_task(gateway.run(stop))
    try:
        for _ in range(int(seconds / 0.02)):
            if gateway.receipt(name).state in states:
                return gateway.receipt(name)
            await asyncio.sleep(0.02)
        pytest.fail(f"still {gateway.receipt(name)}")
    finally:
        stop.set()
        await running


def told(mood: str, then: str = "ok") -> Ledger:
    return Ledger(lambda number: mood if number == 0 else then)


def test_an_allowed_write_is_delivered_read_back_and_proven(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            receipt = await gateway.submit(intent("add", "a"), wait=60)
            assert (receipt.state, receipt.status, receipt.vendor_id) == ("confirmed", 201, "a")
            acts = [each.act for each in gateway.deliveries.audit.entries()]
            assert acts == [
                "intent.received", "intent.decided", "delivery.in_flight", "delivery.delivered", "delivery.confirmed",
            ]  # fmt: skip

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.landed("a") == 1


def test_a_denied_write_never_leaves(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            receipt = await gateway.submit(intent("add", "a", client="stranger"), wait=60)
            assert (receipt.state, receipt.decision and receipt.decision.en) == ("denied", "by name")
            tried = await gateway.submit(intent("add", "a"), wait=60, dry_run=True)
            assert (tried.dry_run, tried.decision and tried.decision.effect) == (True, "allow")

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.asked == 0


@pytest.mark.parametrize(
    ("mood", "operation", "state", "landed"),
    [
        ("reset_after", "add", "landed", 1),  # the probe finds it
        ("reset_before", "add", "did_not_happen", 0),  # a person decides: twice would not be once
        ("reset_after", "note", "inconclusive", 1),  # nothing can look
        ("reset_before", "set", "delivered", 1),  # twice is once
        ("overloaded", "note", "delivered", 1),  # the vendor did not take it
        ("broken_after", "add", "landed", 1),
        ("conflict", "add", "rejected", 0),
        ("lost", "add", "did_not_happen", 0),  # a success that stored nothing
    ],
)
def test_each_misfortune_ends_where_the_states_say(tmp_path: Path, mood: str, operation: str, state: str, landed: int) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            asked = intent(operation, "a")
            await gateway.submit(asked, wait=None)
            await settled(gateway, asked.id, state)

    ledger = told(mood)
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.landed("a") == landed


def test_a_lane_keeps_its_order_while_the_first_is_being_tried_again(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            asked = [intent("set", f"n{i}", lane="one") for i in range(6)]
            for each in asked:
                await gateway.submit(each, wait=None)
            await settled(gateway, asked[-1].id, "delivered")

    ledger = told("overloaded")
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert [line["ref"] for line in ledger.lines] == [f"n{i}" for i in range(6)]


def test_a_key_given_again_delivers_once_and_a_key_of_another_request_is_refused(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            first = await gateway.submit(intent("add", "a", key="k"), wait=60)
            again = await gateway.submit(intent("add", "a", key="k"), wait=60)
            assert (again.intent, again.replayed, again.status) == (first.intent, True, 201)
            with pytest.raises(KeyReused):
                await gateway.submit(intent("add", "b", key="k"), wait=60)

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert [line["ref"] for line in ledger.lines] == ["a"]


def test_what_an_operator_cut_off_waits_and_leaves_when_restored(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            with gateway._parts.state.begin() as transaction:
                gateway.breaker.cut(transaction, "ledger", now(), "drill")
            asked = intent("add", "a")
            assert (await gateway.submit(asked, wait=0.2)).state == "queued"
            assert ledger.asked == 0
            with gateway._parts.state.begin() as transaction:
                gateway.breaker.restore(transaction, "ledger", now(), "drill")
            await settled(gateway, asked.id, "confirmed")

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))


def test_nothing_that_was_written_is_readable_in_the_database(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            await gateway.submit(intent("add", "canari-7d1f02", lane="canari-lane"), wait=60)
            with gateway._parts.state.read() as reader:
                assert reader.execute(text("SELECT COUNT(*) FROM intents")).scalar() == 1

    with serving(Ledger()) as url:
        asyncio.run(drill(url))
    assert not [path for path in (tmp_path / "g").glob("state.db*") if b"canari" in path.read_bytes()]


def test_a_read_goes_to_the_vendor_and_the_copy_answers_when_it_is_down_but_not_when_it_is_cut(tmp_path: Path) -> None:
    async def copy(_: Vendor, __: Read) -> Response:
        return from_copy(200, "application/json", b"the copy", 60)

    async def drill(url: str) -> None:
        read = Read("app", "ledger", "GET", "/lines?ref=a")
        async with gate(tmp_path / "g", url) as gateway:
            assert (await gateway.reads.answer(read, copy)).body == b"[]"
        async with gate(tmp_path / "g", "http://127.0.0.1:1") as gateway:
            kept = await gateway.reads.answer(read, copy)
            assert (kept.body, kept.headers["age"]) == (b"the copy", "60")
            with pytest.raises(ReadDenied):
                await gateway.reads.answer(replace(read, client="stranger"), copy)
            acts = [each.act for each in gateway.deliveries.audit.entries() if each.act.startswith("read.")]
            assert sorted(acts) == ["read.denied", "read.mirrored", "read.passed"]
            with gateway._parts.state.begin() as transaction:
                gateway.breaker.cut(transaction, "ledger", now(), "drill")
            with pytest.raises(VendorCut):
                await gateway.reads.answer(read, copy)

    with serving(Ledger()) as url:
        asyncio.run(drill(url))

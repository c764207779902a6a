"""What the dispatcher does when it fails itself: nothing is held for ever, and nothing is tried without a rest."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import update

from sovereign.clock import now
from sovereign.gateway.deliveries import Delivery
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.ports import Parts
from sovereign.gateway.receipt import Receipt
from sovereign.state import LeaseLost, StateBusy, StateUnsure
from sovereign.state.outbound import deliveries
from sovereign.state.wal import Wal
from tests.servers.gate import QUICK, gate, intent
from tests.servers.ledger import Ledger, serving


async def settled(gateway: Gateway, name: str, *states: str) -> Receipt:
    for _ in range(3000):
        if gateway.receipt(name).state in states:
            return gateway.receipt(name)
        await asyncio.sleep(0.02)
    pytest.fail(f"still {gateway.receipt(name)}")


@pytest.mark.parametrize("step", ["_claim", "requeue"])
def test_a_step_that_the_state_cannot_take_is_taken_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    failures = 0

    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url, concurrency=1) as gateway:
            dispatcher = gateway._dispatcher
            place = dispatcher if step == "_claim" else dispatcher.attending
            real = getattr(place, step)

            async def busy_once(*given: object) -> object:
                nonlocal failures
                failures += 1
                if failures == 1:
                    raise StateBusy(path="state.db", seconds=5)
                return await real(*given)

            monkeypatch.setattr(place, step, busy_once)
            stop = asyncio.Event()
            running = asyncio.create_task(gateway.run(stop))
            asked = [intent("set", "a"), intent("set", "b")]
            for each in asked:
                await gateway.submit(each, wait=None)
            for each in asked:
                await settled(gateway, each.id, "delivered")
            stop.set()
            await running
            while dispatcher.hands:  # noqa: ASYNC110 - what was just settled is let go at once, and the test ends in time
                await asyncio.sleep(0.02)

    ledger = Ledger(lambda number: "overloaded" if number == 0 and step == "requeue" else "ok")
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert (ledger.landed("a"), ledger.landed("b")) == (1, 1)
    assert failures > 1


def test_a_defect_that_one_delivery_meets_rests_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:

            async def defective(_delivery: Delivery) -> NoReturn:
                nonlocal looks
                looks += 1
                raise ZeroDivisionError

            monkeypatch.setattr(gateway._dispatcher.attending, "look_at", defective)
            stop = asyncio.Event()
            running = asyncio.create_task(gateway.run(stop))
            met, other = intent("add", "a"), intent("set", "b")
            await gateway.submit(met, wait=None)
            await settled(gateway, met.id, "unknown")
            while not looks:  # noqa: ASYNC110 - the defect is what is waited for
                await asyncio.sleep(0.02)
            await gateway.submit(other, wait=None)
            await settled(gateway, other.id, "delivered")
            await asyncio.sleep(0.3)
            assert looks == 1
            assert gateway.receipt(met.id).state == "unknown"
            assert met.id not in gateway._dispatcher.hands
            stop.set()
            await running

    with serving(Ledger(lambda number: "reset_after" if number == 0 else "ok")) as url:
        asyncio.run(drill(url))


def test_a_dispatcher_that_lost_its_lease_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:

            async def lost() -> NoReturn:
                raise LeaseLost(name="gateway")

            monkeypatch.setattr(gateway._dispatcher, "look", lost)
            with pytest.raises(LeaseLost):
                await gateway.run(asyncio.Event())

    with serving(Ledger()) as url:
        asyncio.run(drill(url))


def test_a_disk_that_does_not_confirm_ends_the_dispatcher_and_nothing_more_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Wal) -> NoReturn:
        raise StateUnsure(path="state.db-wal", reason="EIO")

    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            running = asyncio.create_task(gateway.run(asyncio.Event()))
            await gateway.submit(intent("set", "a"), wait=60)
            monkeypatch.setattr(Wal, "flush", fails)
            for ref in ("b", "c"):
                with pytest.raises(StateUnsure):
                    await gateway.submit(intent("set", ref), wait=60)
            with pytest.raises(StateUnsure):
                await running

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert (ledger.landed("a"), ledger.landed("b"), ledger.landed("c")) == (1, 0, 0)


def test_after_a_restart_a_probe_waits_for_what_the_vendor_may_still_do(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        asked = intent("add", "a")
        async with gate(tmp_path / "g", url) as gateway:
            await gateway.submit(asked, wait=60)
            with gateway._parts.state.begin() as transaction:
                transaction.execute(update(deliveries).values(state="in_flight", outcome={}))
        before = now()
        async with gate(tmp_path / "g", url) as gateway:
            with gateway._parts.state.read() as reader:
                found = gateway.deliveries.get(reader, asked.id)
            assert found.state == "unknown"
            assert found.next_at is not None
            assert (found.next_at - before).total_seconds() >= gateway._parts.terms.settle

    with serving(Ledger()) as url:
        asyncio.run(drill(url))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_back_makes_a_retry_wait_no_longer_than_it_was_to_wait(tmp_path: Path, restarted: bool) -> None:
    ahead = timedelta(days=1)

    def changed(_: Parts) -> dict[str, Any]:
        return {"clock": lambda: now() + ahead}

    async def drill(url: str) -> None:
        nonlocal ahead
        asked = intent("set", "a")

        async def go(gateway: Gateway, *states: str) -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(gateway.run(stop))
            await settled(gateway, asked.id, *states)
            stop.set()
            await running

        async with gate(tmp_path / "g", url, terms=replace(QUICK, first=2.0, longest=2.0), changed=changed) as gateway:
            await gateway.submit(asked, wait=None)
            await go(gateway, "to_retry")
            ahead = timedelta()
            if not restarted:
                await go(gateway, "delivered")
        async with gate(tmp_path / "g", url, changed=changed) as gateway:
            await go(gateway, "delivered")

    ledger = Ledger(lambda number: "overloaded" if number == 0 else "ok")
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.landed("a") == 1

"""Reads beside writes: one bound for both, writes first, and one circuit that both inform."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sovereign.clock import now
from sovereign.gateway.errors import VendorBusy, VendorDown
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.ports import Parts
from sovereign.gateway.reading import Read
from tests.servers.gate import gate, intent
from tests.servers.ledger import Ledger, serving
from tests.unit.gateway.test_trouble import settled

READ = Read("app", "ledger", "GET", "/lines?ref=a")


class Ahead:
    """A clock that can be set on and back."""

    def __init__(self) -> None:
        self.by = timedelta()

    def __call__(self) -> Any:  # noqa: ANN401 - an instant
        return now() + self.by


def drill(
    tmp_path: Path, ledger: Ledger, work: Callable[[Gateway, Ahead], Awaitable[None]], concurrency: int = 4, run: bool = True
) -> None:
    clock = Ahead()

    def changed(_: Parts) -> dict[str, Any]:
        return {"clock": clock}

    async def main(url: str) -> None:
        async with gate(tmp_path / "g", url, concurrency=concurrency, changed=changed) as gateway:
            stop = asyncio.Event()
            running = asyncio.create_task(gateway.run(stop)) if run else None
            gateway._slots._patience = 60
            await work(gateway, clock)
            stop.set()
            if running is not None:
                await running

    with serving(ledger) as url:
        asyncio.run(main(url))
    ledger.release.set()


async def reads(gateway: Gateway, many: int) -> list[object]:
    return list(await asyncio.gather(*(gateway.reads.answer(READ) for _ in range(many)), return_exceptions=True))


async def turns(gateway: Gateway, many: int) -> None:
    """Wait until so many reads wait for their turn."""
    while len(gateway._slots._turns.get("ledger", ())) < many:  # noqa: ASYNC110 - they are what is waited for
        await asyncio.sleep(0.01)


def circuit(gateway: Gateway) -> str:
    with gateway.deliveries.state.read() as reader:
        return gateway.breaker.get(reader, "ledger").state


def test_reads_and_writes_together_never_ask_more_of_a_vendor_than_its_bound(tmp_path: Path) -> None:
    ledger = Ledger(delay=0.02)

    async def work(gateway: Gateway, _: Ahead) -> None:
        asked = [intent("note", f"n{number}") for number in range(20)]
        writing = [gateway.submit(each, wait=60) for each in asked]
        got, told = await asyncio.gather(reads(gateway, 20), asyncio.gather(*writing))
        assert [getattr(each, "status", each) for each in got] == [200] * 20
        assert {each.state for each in told} == {"delivered"}

    drill(tmp_path, ledger, work, concurrency=3)
    assert ledger.most == 3


def test_slow_reads_keep_no_write_waiting_and_a_read_without_a_place_is_refused_in_bounded_time(tmp_path: Path) -> None:
    ledger = Ledger(reads=lambda _: "held")

    async def work(gateway: Gateway, _: Ahead) -> None:
        gateway._slots._patience = 0.3
        slow = [asyncio.create_task(reads(gateway, 1)) for _ in range(3)]
        while ledger.at_once < 1:  # noqa: ASYNC110 - the vendor is what is waited for
            await asyncio.sleep(0.01)
        assert (await gateway.submit(intent("note", "n"), wait=60)).state == "delivered"
        (refused,) = await reads(gateway, 1)
        assert isinstance(refused, VendorBusy)
        assert refused.fields["retry_after"] == 1
        assert ledger.at_once == 1, "one place of two is kept for writes"
        ledger.release.set()
        await asyncio.gather(*slow)

    drill(tmp_path, ledger, work, concurrency=2)


def test_where_a_vendor_has_one_place_writes_that_wait_leave_before_the_read_that_came_first(tmp_path: Path) -> None:
    ledger = Ledger(reads=lambda number: "held" if number == 0 else "ok")

    async def work(gateway: Gateway, _: Ahead) -> None:
        first = asyncio.create_task(gateway.reads.answer(READ))
        while ledger.at_once < 1:  # noqa: ASYNC110 - the vendor is what is waited for
            await asyncio.sleep(0.01)
        second = asyncio.create_task(gateway.reads.answer(READ))
        await turns(gateway, 1)
        usual, leaving = intent("note", "usual"), replace(intent("leave", "departure"), priority=0)  # type: ignore[arg-type]
        for each in (usual, leaving):
            await gateway.submit(each, wait=None)
        while "ledger" not in gateway._slots.backlog:  # noqa: ASYNC110 - the dispatcher is what is waited for
            await asyncio.sleep(0.01)
        ledger.release.set()
        await asyncio.gather(first, second)
        for each in (usual, leaving):
            await settled(gateway, each.id, "delivered")

    drill(tmp_path, ledger, work, concurrency=1)
    assert ledger.came == ["read", "departure", "usual", "read"]
    assert ledger.most == 1


def test_a_caller_that_goes_away_leaves_no_place_taken(tmp_path: Path) -> None:
    ledger = Ledger(reads=lambda number: "held" if number == 0 else "ok")

    async def work(gateway: Gateway, _: Ahead) -> None:
        slow = asyncio.create_task(reads(gateway, 1))
        while ledger.at_once < 1:  # noqa: ASYNC110 - the vendor is what is waited for
            await asyncio.sleep(0.01)
        gone = [asyncio.create_task(reads(gateway, 1)) for _ in range(3)]
        await turns(gateway, 3)
        for each in (*gone, slow):
            each.cancel()
        await asyncio.gather(slow, *gone, return_exceptions=True)
        ledger.release.set()
        assert [getattr(each, "status", each) for each in await reads(gateway, 3)] == [200] * 3
        assert gateway._slots._taken == {"ledger": 0}

    drill(tmp_path, ledger, work, concurrency=1)


def test_reads_that_fail_open_the_circuit_for_writes_too_and_nothing_more_is_asked_of_the_vendor(tmp_path: Path) -> None:
    ledger = Ledger(reads=lambda _: "reset")

    async def work(gateway: Gateway, _: Ahead) -> None:
        for _ in range(5):
            assert isinstance((await reads(gateway, 1))[0], VendorDown)
        assert circuit(gateway) == "open"
        (down,) = await reads(gateway, 1)
        assert isinstance(down, VendorDown)
        assert 1 <= int(str(down.fields["retry_after"])) <= 15
        assert (await gateway.submit(intent("note", "n"), wait=0.2)).state == "queued"
        (opened,) = gateway._parts.audit.entries(act="circuit.opened")
        assert opened.facts["why"] == "egress.broken"

    drill(tmp_path, ledger, work)
    assert (ledger.read, ledger.asked) == (5, 0)


@pytest.mark.parametrize(("answer", "state"), [("ok", "closed"), ("down", "open"), ("broken", "open")])
def test_a_read_tries_a_vendor_that_was_down_where_no_write_did_and_tells_what_it_found(
    tmp_path: Path, answer: str, state: str
) -> None:
    ledger = Ledger(reads=lambda number: "down" if number < 5 else answer if number == 5 else "ok")

    async def work(gateway: Gateway, clock: Ahead) -> None:
        for _ in range(5):
            await reads(gateway, 1)
        assert circuit(gateway) == "open"
        clock.by = timedelta(seconds=16)
        assert isinstance((await reads(gateway, 1))[0], VendorDown), "a write that waits would try first"
        clock.by = timedelta(seconds=30)
        got = await reads(gateway, 4)
        assert ledger.read == 6, "one tries, the others do without until it told"
        assert circuit(gateway) == state
        assert sum(isinstance(each, VendorDown) for each in got) == 3
        if answer == "broken":
            clock.by = timedelta(seconds=40)
            assert getattr((await reads(gateway, 1))[0], "status", None) == 200, "a trial that says nothing is made again"

    drill(tmp_path, ledger, work, run=False)


def test_reads_that_go_well_hide_no_writes_that_fail(tmp_path: Path) -> None:
    ledger = Ledger(mood=lambda _: "reset_before")

    async def work(gateway: Gateway, _: Ahead) -> None:
        for number in range(5):
            await gateway.submit(intent("note", f"n{number}"), wait=60)
            await reads(gateway, 1)
        assert circuit(gateway) == "open"

    drill(tmp_path, ledger, work)


def test_a_page_of_the_vendor_that_fails_closes_it_to_nobody(tmp_path: Path) -> None:
    ledger = Ledger(reads=lambda _: "broken")

    async def work(gateway: Gateway, _: Ahead) -> None:
        assert {getattr(each, "status", None) for each in await reads(gateway, 8)} == {500}
        assert circuit(gateway) == "closed"

    drill(tmp_path, ledger, work)


def test_a_trial_whose_process_died_and_a_clock_that_was_set_back_keep_no_circuit_open(tmp_path: Path) -> None:
    ledger = Ledger()

    async def left(gateway: Gateway, clock: Ahead) -> None:
        with gateway.deliveries.state.begin() as transaction:
            gateway.breaker.trial(transaction, gateway.breaker.get(transaction, "ledger"), clock())
        assert circuit(gateway) == "half_open"

    async def taken_up(gateway: Gateway, clock: Ahead) -> None:
        assert (await settled(gateway, (await gateway.submit(intent("note", "n"), wait=60)).intent, "delivered")).state
        assert circuit(gateway) == "closed"
        with gateway.deliveries.state.begin() as transaction:
            for _ in range(5):
                gateway.breaker.note(transaction, "ledger", clock() + timedelta(days=1), True, "drill")
        assert circuit(gateway) == "open"
        asked = await gateway.submit(intent("note", "m"), wait=60)
        assert (await settled(gateway, asked.intent, "delivered")).state
        assert circuit(gateway) == "closed"

    drill(tmp_path, ledger, left, run=False)
    drill(tmp_path, ledger, taken_up)

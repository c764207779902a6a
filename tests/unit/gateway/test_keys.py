"""How long an idempotency key answers: a day, and for as long as what it began is not over."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sovereign.gateway import keeping
from sovereign.gateway.errors import KeyBusy, KeyReused
from sovereign.gateway.gateway import Gateway
from sovereign.state.outbound import idempotency
from tests.servers.council import HELD, OPEN, Council, sitting
from tests.servers.gate import intent
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy


def drill(tmp_path: Path, work: Callable[[Gateway, Council], Awaitable[None]], rule: str, ledger: Ledger | None = None) -> None:
    async def run(url: str) -> None:
        async with sitting(tmp_path / "g", url, policy(rule)) as (gateway, council):
            await work(gateway, council)

    with serving(ledger or Ledger()) as url:
        asyncio.run(run(url))


def keys(council: Council) -> int:
    """Sweep, and count the keys that stay."""
    parts = council.parts
    keeping.sweep(parts.state, parts.audit, 30, council.clock())
    with parts.state.read() as reader:
        return int(reader.execute(select(func.count()).select_from(idempotency)).scalar_one())


def test_the_key_of_a_write_that_waits_for_approvers_answers_past_its_day_and_no_longer_once_it_is_over(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        first = await gateway.submit(intent("add", "a", key="k"), wait=60)
        council.ahead = timedelta(hours=30)
        assert keys(council) == 1
        again = await gateway.submit(intent("add", "a", key="k"), wait=60)
        assert (again.intent, again.state, again.replayed) == (first.intent, "held", True)
        with pytest.raises(KeyReused):
            await gateway.submit(intent("add", "b", key="k"), wait=60)
        await gateway.cancel(first.intent)
        fresh = await gateway.submit(intent("add", "a", key="k"), wait=60)
        assert (fresh.intent != first.intent, fresh.replayed) == (True, False)
        await gateway.cancel(fresh.intent)
        assert keys(council) == 1
        council.ahead += timedelta(hours=25)
        assert keys(council) == 1, "a day more, for clocks that jump"
        council.ahead += timedelta(hours=24)
        assert keys(council) == 0

    drill(tmp_path, work, HELD)


def test_the_key_of_a_write_whose_outcome_is_unknown_never_lets_it_be_made_twice(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        first = await gateway.submit(intent("note", "a", key="k"), wait=60)
        assert first.state in ("unknown", "inconclusive")
        council.ahead = timedelta(days=400)
        assert keys(council) == 1
        again = await gateway.submit(intent("note", "a", key="k"), wait=60)
        assert (again.intent, again.replayed) == (first.intent, True)

    ledger = Ledger(lambda _: "reset_after")
    drill(tmp_path, work, OPEN, ledger)
    assert ledger.landed("a") == 1


def test_the_key_of_a_delivered_write_is_free_after_a_day_and_not_before(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        first = await gateway.submit(intent("add", "a", key="k"), wait=60)
        assert first.state == "confirmed"
        council.ahead = timedelta(hours=23)
        assert (await gateway.submit(intent("add", "a", key="k"), wait=60)).intent == first.intent
        council.ahead = timedelta(hours=25)
        assert (await gateway.submit(intent("add", "a", key="k"), wait=60)).intent != first.intent

    drill(tmp_path, work, OPEN)


def test_a_clock_set_forwards_frees_no_key(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        first = await gateway.submit(intent("add", "a", key="k"), wait=60)
        council.jumped = timedelta(hours=25)
        assert keys(council) == 1
        assert (await gateway.submit(intent("add", "a", key="k"), wait=60)).intent == first.intent

    ledger = Ledger()
    drill(tmp_path, work, OPEN, ledger)
    assert ledger.landed("a") == 1


def test_a_key_whose_caller_went_away_before_it_was_kept_lets_nothing_be_made_twice(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        with closing(sqlite3.connect(council.parts.state.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nothing can be kept for now
            first = asyncio.create_task(gateway.submit(intent("add", "a", key="k"), wait=60))
            while gateway._group._work is None:  # noqa: ASYNC110 - from there on it is kept, whoever goes away
                await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.wait({first})
            second = asyncio.create_task(gateway.submit(intent("add", "a", key="k"), wait=60))
            while not gateway._group._waiting:  # noqa: ASYNC110 - it asks before the first is kept
                await asyncio.sleep(0.01)
            other.execute("COMMIT")
        with pytest.raises(KeyBusy):
            await second
        for _ in range(600):
            known = await gateway.submit(intent("add", "a", key="k"), wait=60)
            if known.state == "confirmed":
                break
            await asyncio.sleep(0.1)
        assert (known.state, known.replayed) == ("confirmed", True)

    ledger = Ledger()
    drill(tmp_path, work, OPEN, ledger)
    assert ledger.landed("a") == 1

"""A vendor that is gone: writes wait in their lanes, and leave in order when it returns, departures first."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers.council import OPEN
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy

LANES = ("north", "south", "west")
HEADERS = {"Content-Type": "application/json", "Prefer": "respond-async"}


async def write(at: Door, operation: str, ref: str, lane: str) -> str:
    told = await at.ask(
        "POST", f"/v1/connections/ledger/operations/{operation}", json={"ref": ref, "lane": lane},
        headers={**HEADERS, "Idempotency-Key": ref},
    )  # fmt: skip
    assert told.status == 202, told.body
    return str(told.json()["intent"])


async def state(at: Door, intent: str) -> str:
    return str((await at.ask("GET", f"/v1/deliveries/{intent}")).json()["state"])


async def circuit(at: Door) -> str:
    with at.house.state.read() as reader:
        return at.house.gateway.breaker.get(reader, "ledger").state


async def until(at: Door, asked: Callable[[Door], Awaitable[str]], *wanted: str) -> None:
    for _ in range(1200):
        if (found := await asked(at)) in wanted:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"still {found}")


def test_writes_wait_while_a_vendor_is_gone_and_leave_in_order_lane_by_lane_when_it_returns(tmp_path: Path) -> None:
    ledger = Ledger()
    with serving(ledger) as url:
        port = urlsplit(url).port or 0

    async def drill() -> None:
        async with door(tmp_path / "g", url, force=policy(OPEN)) as at:
            stop = asyncio.Event()
            running = asyncio.create_task(at.house.gateway.run(stop))
            waiting = [
                await write(at, ("add", "note", "set")[number % 3], f"{lane}-{number}", lane)
                for number in range(5)
                for lane in LANES
            ]
            waiting.append(await write(at, "leave", "departure", "gone"))
            await until(at, circuit, "open")
            assert (await at.ask("GET", "/v1/connections/ledger/http/lines")).status == 503
            waiting += [await write(at, "note", f"{lane}-5", lane) for lane in LANES]
            assert {await state(at, each) for each in waiting} <= {"queued", "to_retry"}
            assert ledger.asked == 0
            with serving(ledger, port):
                at.council.ahead += timedelta(seconds=20)
                for each in waiting:
                    await until(at, partial(state, intent=each), "confirmed", "delivered")
            stop.set()
            await running

    asyncio.run(drill())
    came = [line["ref"] for line in ledger.lines]
    assert len(came) == 19
    for lane in LANES:
        assert [ref for ref in came if ref.startswith(lane)] == [f"{lane}-{number}" for number in range(6)]
    assert came.index("departure") < 4, "no more went before the departure than was asked at once, and the one that tried"

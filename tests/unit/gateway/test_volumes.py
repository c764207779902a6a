"""A bound on how much an application writes holds however many requests come at once, over a real policy."""

import asyncio
from pathlib import Path

import pytest

from sovereign.gateway.gateway import Gateway
from sovereign.gateway.volumes import Volumes
from tests.servers.council import LATER, OPEN, sitting
from tests.servers.gate import intent
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy, rule

FULL = "CREATE TRIGGER full BEFORE INSERT ON intents BEGIN SELECT RAISE(ABORT, 'full'); END"
THREE = policy(OPEN, rule("three", "forbid", "when { context.writes_this_hour >= 3 }", expires=LATER))


async def states(gateway: Gateway, *refs: str) -> list[str]:
    """What becomes of writes that are asked for at once."""
    asked = [gateway.submit(intent("set", ref), wait=60) for ref in refs]
    return sorted(each.state for each in await asyncio.gather(*asked))


@pytest.mark.parametrize("padding", [0, 100_000], ids=["looked into at once", "looked into beside the loop"])
def test_no_more_than_the_bound_leave_however_many_ask_at_once(tmp_path: Path, padding: int) -> None:
    async def drill(url: str) -> None:
        async with sitting(tmp_path / "g", url, THREE) as (gateway, _):
            found = await states(gateway, *("x" * padding + str(number) for number in range(12)))
            assert found == ["delivered"] * 3 + ["denied"] * 9

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert len(ledger.lines) == 3


def test_a_trial_and_what_could_not_be_kept_are_not_counted_and_a_restart_counts_the_same(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with sitting(tmp_path / "g", url, THREE) as (gateway, council):
            for number in range(4):
                await gateway.submit(intent("set", f"t{number}"), wait=60, dry_run=True)
            with council.parts.state.begin() as transaction:
                transaction.exec_driver_sql(FULL)
            for number in range(4):
                with pytest.raises(Exception, match="full"):
                    await gateway.submit(intent("set", f"f{number}"), wait=60)
            with council.parts.state.begin() as transaction:
                transaction.exec_driver_sql("DROP TRIGGER full")
            assert await states(gateway, "a", "b") == ["delivered"] * 2
            assert await states(gateway, "c", "d") == ["delivered", "denied"]
            again = Volumes()
            with council.parts.state.read() as reader:
                again.rebuild(reader, council.clock())
            assert again.count("app", "ledger", council.clock()) == (3, 3)

    with serving(Ledger()) as url:
        asyncio.run(drill(url))

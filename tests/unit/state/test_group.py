import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from sovereign.state import State
from sovereign.state.group import GroupCommit
from sovereign.state.schema import counters


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        yield state


def _add(name: str, *, gate: threading.Event | None = None) -> Callable[[Connection], str]:
    def piece(connection: Connection) -> str:
        connection.execute(insert(counters).values(name=name, value=1))
        if gate is not None:
            gate.wait(10)
        return name

    return piece


def _names(state: State) -> set[str]:
    with state.read() as reader:
        return set(reader.execute(select(counters.c.name)).scalars()) - {"audit"}


def test_many_pieces_share_a_transaction_and_each_gets_its_own_result(state: State) -> None:
    group, gate = GroupCommit(state), threading.Event()
    first = group.submit(_add("first", gate=gate))
    others = [group.submit(_add(f"n{i}")) for i in range(300)]
    gate.set()
    assert first.result(10) == "first"
    assert [other.result(10) for other in others] == [f"n{i}" for i in range(300)]
    group.close()
    assert len(_names(state)) == 301


def test_a_piece_that_raises_is_undone_alone(state: State) -> None:
    group, gate = GroupCommit(state), threading.Event()

    def bad(connection: Connection) -> None:
        connection.execute(insert(counters).values(name="undone", value=1))
        raise ValueError("mine")

    held = group.submit(_add("held", gate=gate))
    wrong, right = group.submit(bad), group.submit(_add("right"))
    gate.set()
    assert held.result(10) == "held"
    with pytest.raises(ValueError, match="mine"):
        wrong.result(10)
    assert right.result(10) == "right"
    group.close()
    assert _names(state) == {"held", "right"}


def test_nothing_is_told_done_when_the_commit_fails(state: State) -> None:
    group = GroupCommit(state)

    def breaks_the_transaction(connection: Connection) -> None:
        connection.execute(insert(counters).values(name="lost", value=1))
        connection.connection.driver_connection.rollback()

    with pytest.raises(Exception, match=r".*"):
        group.submit(breaks_the_transaction).result(10)
    assert "lost" not in _names(state)
    assert group.submit(_add("after")).result(10) == "after"
    group.close()


def test_it_closes_after_what_was_given_and_takes_nothing_more(state: State) -> None:
    group = GroupCommit(state)
    given = [group.submit(_add(f"n{i}")) for i in range(20)]
    group.close()
    assert all(each.done() for each in given)
    with pytest.raises(RuntimeError):
        group.submit(_add("late"))
    group.close()


def test_a_caller_that_goes_away_undoes_nothing(state: State) -> None:
    group, gate = GroupCommit(state), threading.Event()

    async def leave() -> None:
        waiting = asyncio.create_task(group.write(_add("kept", gate=gate)))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()

    asyncio.run(leave())
    group.close()
    assert _names(state) == {"kept"}

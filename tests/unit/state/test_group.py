import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from sovereign.state import State, StateBusy, StateFull, StateUnsure
from sovereign.state.group import GroupCommit
from sovereign.state.schema import counters
from sovereign.state.wal import LONG, Wal


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        yield state


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(test(**fixtures))

    return run


def _add(name: str) -> Callable[[Connection], str]:
    def piece(connection: Connection) -> str:
        connection.execute(insert(counters).values(name=name, value=1))
        return name

    return piece


def _names(state: State) -> set[str]:
    with state.read() as reader:
        return set(reader.execute(select(counters.c.name)).scalars()) - {"audit"}


@on_a_loop
async def test_many_pieces_share_transactions_and_each_gets_its_own_result(state: State) -> None:
    group, commits = GroupCommit(state), []
    state.before_commit(lambda _: commits.append(1))
    names = [f"n{i}" for i in range(300)]
    assert await asyncio.gather(*(group.write(_add(name)) for name in names)) == names
    await group.close()
    assert _names(state) == set(names)
    assert len(commits) <= 10


@on_a_loop
async def test_a_piece_that_raises_is_undone_alone(state: State) -> None:
    def bad(connection: Connection) -> None:
        connection.execute(insert(counters).values(name="undone", value=1))
        raise ValueError("mine")

    group = GroupCommit(state)
    told = await asyncio.gather(
        group.write(_add("before")), group.write(bad), group.write(_add("after")), return_exceptions=True
    )
    await group.close()
    assert [str(each) for each in told] == ["before", "mine", "after"]
    assert _names(state) == {"before", "after"}


@on_a_loop
async def test_nothing_is_told_done_when_the_commit_fails(state: State) -> None:
    def breaks_the_transaction(connection: Connection) -> None:
        connection.execute(insert(counters).values(name="lost", value=1))
        connection.connection.dbapi_connection.rollback()

    group = GroupCommit(state)
    told = await asyncio.gather(group.write(_add("with it")), group.write(breaks_the_transaction), return_exceptions=True)
    assert [type(each) for each in told] == [sqlite3.OperationalError] * 2
    assert _names(state) == set()
    assert await group.write(_add("after")) == "after"
    await group.close()


@on_a_loop
async def test_it_closes_after_what_was_given_and_takes_nothing_more(state: State) -> None:
    group = GroupCommit(state)
    given = [asyncio.ensure_future(group.write(_add(f"n{i}"))) for i in range(20)]
    await asyncio.sleep(0)
    await group.close()
    assert [await each for each in given] == [f"n{i}" for i in range(20)]
    with pytest.raises(RuntimeError):
        await group.write(_add("late"))
    await group.close()


@on_a_loop
async def test_a_caller_that_goes_away_undoes_nothing(state: State) -> None:
    group = GroupCommit(state)
    waiting = asyncio.create_task(group.write(_add("kept")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await group.close()
    assert _names(state) == {"kept"}


@on_a_loop
async def test_nobody_is_told_before_the_disk_keeps_it(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = Wal.flush

    def seen(wal: Wal) -> None:
        flush(wal)
        flushed.append("flushed")

    monkeypatch.setattr(Wal, "flush", seen)
    group = GroupCommit(state)
    for number in range(3):
        await group.write(_add(f"n{number}"))
        assert len(flushed) == number + 1
    await group.close()


@on_a_loop
async def test_a_writer_elsewhere_is_waited_for_without_holding_up_the_loop(state: State) -> None:
    group = GroupCommit(state)
    with closing(sqlite3.connect(state.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(group.write(_add("waited")))
        for _ in range(10):
            await asyncio.sleep(0.01)  # the loop turns
        assert not waiting.done()
        other.execute("COMMIT")
        assert await waiting == "waited"
    await group.close()


@on_a_loop
async def test_a_writer_elsewhere_that_never_ends_fails_the_pieces_and_none_later(state: State) -> None:
    state.patience = 0.05
    group = GroupCommit(state)
    with closing(sqlite3.connect(state.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateBusy) as busy:
            await group.write(_add("refused"))
        assert busy.value.fields["seconds"] == 0.05
    assert await group.write(_add("later")) == "later"
    await group.close()
    assert _names(state) == {"later"}


@on_a_loop
async def test_a_disk_that_fails_to_flush_ends_the_writer(state: State) -> None:
    group = GroupCommit(state)
    await group.write(_add("kept"))
    assert group._wal is not None
    assert group._wal._file is not None
    os.close(group._wal._file)  # what a failing disk gives: the flush answers with an error
    with pytest.raises(StateUnsure):
        await group.write(_add("unsure"))
    with pytest.raises(StateUnsure):
        await group.write(_add("after"))
    group._wal._file = None
    await group.close()
    assert "after" not in _names(state)


@on_a_loop
async def test_the_log_of_pages_is_emptied_when_it_is_long(state: State) -> None:
    group, log = GroupCommit(state), state.path.with_name(state.path.name + "-wal")

    def heavy(number: int) -> Callable[[Connection], None]:
        def piece(connection: Connection) -> None:
            connection.execute(insert(counters).values(name=f"{number}" + "x" * 300_000, value=1))

        return piece

    longest = 0
    for number in range(3 * LONG // 300_000):
        await group.write(heavy(number))
        longest = max(longest, log.stat().st_size)
    await group.close()
    assert LONG / 2 < longest < 2 * LONG


@on_a_loop
async def test_what_is_to_run_before_a_commit_may_fail_and_the_next_write_goes_on(state: State) -> None:
    group, wrong = GroupCommit(state), [ValueError("mine")]

    def act(_: Connection) -> None:
        if wrong:
            raise wrong.pop()

    state.before_commit(act)
    with pytest.raises(ValueError, match="mine"):
        await group.write(_add("undone"))
    put = asyncio.to_thread(_put, state, "elsewhere")  # no lock was left behind
    assert await asyncio.gather(group.write(_add("after")), put) == ["after", None]
    await group.close()
    assert _names(state) == {"after", "elsewhere"}


def _put(state: State, name: str) -> None:
    with state.begin() as connection:
        _add(name)(connection)


@on_a_loop
async def test_no_room_fails_all_that_shared_the_transaction_by_its_name_and_none_later(state: State) -> None:
    group = GroupCommit(state)
    await group.write(_add("before"))
    assert group._wal is not None
    pages = group._wal.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    group._wal.connection.rollback()
    group._wal.connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 3}")
    group._wal.connection.rollback()
    given = (group.write(_add("small")), group.write(_add("large" + "x" * 200_000)), group.write(_add("other")))
    assert [type(each) for each in await asyncio.gather(*given, return_exceptions=True)] == [StateFull] * 3
    assert await group.write(_add("later")) == "later"
    await group.close()
    assert _names(state) == {"before", "later"}


@on_a_loop
async def test_whoever_waits_is_told_when_who_closes_goes_away(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    began, free, flush = threading.Event(), threading.Event(), Wal.flush

    def slow(wal: Wal) -> None:
        began.set()
        assert free.wait(60)
        flush(wal)

    monkeypatch.setattr(Wal, "flush", slow)
    group = GroupCommit(state)
    first = asyncio.create_task(group.write(_add("first")))
    await asyncio.to_thread(began.wait, 60)
    second = asyncio.create_task(group.write(_add("second")))
    closing_ = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    closing_.cancel()
    await asyncio.wait({closing_})
    free.set()
    assert await asyncio.wait_for(asyncio.gather(first, second), 60) == ["first", "second"]
    await group.close()


@pytest.mark.parametrize("turns", [1, 2, 3])
@on_a_loop
async def test_whoever_waits_is_told_when_the_writer_itself_is_cancelled(state: State, turns: int) -> None:
    group = GroupCommit(state)
    given = [asyncio.create_task(group.write(_add(name))) for name in ("one", "two")]
    for _ in range(turns):  # it has not begun, it gathers, it flushes
        await asyncio.sleep(0)
    assert group._work is not None
    group._work.cancel()
    told = await asyncio.wait_for(asyncio.gather(*given, return_exceptions=True), 60)
    assert [type(each) for each in told] == [RuntimeError] * 2
    assert await group.write(_add("after")) == "after"
    await group.close()


@on_a_loop
async def test_a_log_that_cannot_be_emptied_now_says_nothing_against_what_was_kept(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = GroupCommit(state)
    await group.write(_add("before"))
    assert group._wal is not None
    group._wal._allowed = 0
    highest, limits = os.dup(0), resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, limits[1]))  # no file can be opened any more
    try:
        assert await group.write(_add("kept")) == "kept"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    await group.close()
    assert _names(state) == {"before", "kept"}


@on_a_loop
async def test_a_log_that_was_taken_away_is_noticed_and_ends_the_writer(state: State) -> None:
    group = GroupCommit(state)
    await group.write(_add("before"))
    state.path.with_name(state.path.name + "-wal").unlink()
    with pytest.raises(StateUnsure):
        await group.write(_add("nowhere"))
    with pytest.raises(StateUnsure):
        await group.write(_add("after"))


OTHER = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as other:
    print(*(name for (name,) in other.execute("SELECT name FROM counters")))
"""


@on_a_loop
async def test_a_state_opened_twice_in_a_process_keeps_its_log_from_another_process(state: State) -> None:
    group = GroupCommit(state)
    await group.write(_add("before"))
    State(state.path).close()

    def elsewhere() -> set[str]:
        seen = subprocess.run([sys.executable, "-c", OTHER, str(state.path)], check=True, capture_output=True, text=True)
        return set(seen.stdout.split()) - {"audit"}

    assert elsewhere() == {"before"}  # it ends, and would empty and remove the log if nobody had it open
    await group.write(_add("after"))
    assert elsewhere() == {"before", "after"}
    await group.close()

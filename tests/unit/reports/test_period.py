"""Entries of a period are read over pages, pruned bundles and clocks that jump; damaged ones are counted, all others given."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sovereign.audit import AuditLog, NewEntry
from sovereign.reports.period import PAGE, Entries
from sovereign.state import State
from tests.servers.masters import Mortal
from tests.servers.wayout import Time
from vault.keys import Keys

SOME = 2 * PAGE + 300


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def log(state: State, time: Time, tmp_path: Path) -> AuditLog:
    return AuditLog(state, Keys.create(tmp_path / "keys", Mortal(), time.clock), time.clock)


def many(log: AuditLog, count: int) -> range:
    return log.append_many([NewEntry("query.ran", {}, {"rows": number}, {}, None) for number in range(count)])


def read(state: State, log: AuditLog, since: datetime, until: datetime) -> tuple[list[int], int]:
    entries = Entries(state, log, since, until)
    return [each.seq for each in entries], entries.unread


def test_every_page_is_read_and_the_bounds_hold(state: State, log: AuditLog, time: Time) -> None:
    many(log, 10)
    time.sleep(60)
    since = time.present
    inside = many(log, SOME)
    time.sleep(60)
    until = time.present
    many(log, 10)
    assert read(state, log, since, until) == (list(inside), 0)
    assert read(state, log, until + timedelta(days=1), until + timedelta(days=2)) == ([], 0)


def test_an_entry_made_while_the_clock_was_back_is_not_missed(state: State, log: AuditLog, time: Time) -> None:
    since = time.present
    first = many(log, 5)
    time.sleep(-3600)
    many(log, 5)
    time.sleep(3600)
    last = many(log, 5)
    assert read(state, log, since, time.present + timedelta(seconds=1)) == ([*first, *last], 0)


@pytest.mark.parametrize("damaged", [[0], [PAGE - 1], [PAGE], [PAGE, PAGE + 1], [7, PAGE + 40, SOME - 1]])
def test_damaged_entries_are_counted_and_the_others_given(state: State, log: AuditLog, time: Time, damaged: list[int]) -> None:
    since = time.present
    many(log, SOME)
    with state.begin() as connection:
        for seq in damaged:
            connection.exec_driver_sql("UPDATE audit_entries SET entry = replace(entry, 'rows', 'cows') WHERE seq = ?", (seq,))
    found, unread = read(state, log, since, since + timedelta(days=1))
    assert found == [seq for seq in range(SOME) if seq not in damaged]
    assert unread == len(damaged)


def test_pruned_bundles_are_passed_over(state: State, log: AuditLog, time: Time) -> None:
    since = time.present
    log.append("keys.created", {}, {"keys": ["a"]})  # pruning spares it
    many(log, 600)
    time.sleep(86400)
    many(log, SOME)
    gone = log.prune(time.present)
    found, unread = read(state, log, since, time.present + timedelta(seconds=1))
    assert (gone, unread) == (511, 0)
    assert found == [0, *range(512, 601 + SOME + 1)]
    with state.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_entries SET entry = replace(entry, 'rows', 'cows') WHERE seq = 512")
    assert read(state, log, since, time.present + timedelta(seconds=1)) == ([0, *range(513, 601 + SOME + 1)], 1)

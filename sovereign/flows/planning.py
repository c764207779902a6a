"""From the rows of a question to the writes they ask for. Pure, but for the count of what was done lately.

1. A row without its key, or two rows of one key, make the whole occasion wait for a person: nothing of it can be trusted.
2. More rows than the flow allows: the same. One row that cannot be mapped is stopped, and the others go on.
3. A record that was acted on too often within an hour is taken for a loop: its row is stopped.
4. A step that takes all rows at once gives one write an occasion, none when there is no row; its key is `*`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from saas_connectors.connector import Json
from sovereign.flows.errors import Unmapped
from sovereign.flows.flow import Flow, Step
from sovereign.flows.kept import Wanted
from sovereign.flows.mapping import Beyond, Row, gathered, payload
from sovereign.flows.sequence import Place

ALL: Final = ("*",)
"""The key of a write that takes all rows of an occasion."""
OFTEN: Final = 120
"""How often within an hour such a write is asked for before it is taken for a loop, if the flow allows no more."""
LATE: Final = "late"
"""Why a row of an occasion that was taken late waits for a person."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]+")
MOST: Final = 1_000_000
"""Rows of one question that are looked at: a flow is no bulk load."""


@dataclass(slots=True)
class Plan:
    """The writes of an occasion, planned at an instant. held: why a person must look first; found: rows of the question."""

    at: datetime
    rows: list[Wanted] = field(default_factory=list)
    found: int = 0
    held: str | None = None

    @property
    def stopped(self) -> int:
        """Writes that cannot be asked for."""
        return sum(each.why is not None for each in self.rows)


def plan(
    flow: Flow,
    occasion: str,
    rows: Iterable[Row],
    now: datetime,
    zone: ZoneInfo,
    lately: Callable[[tuple[Json, ...]], int],
) -> Plan:
    """Plan an occasion, by its name. lately: on how many occasions of the last hour a record was acted on."""
    made, seen = Plan(now), set()
    gathering = [step for step in flow.do if step.rows is not None]
    singly = [step for step in flow.do if step.rows is None]
    every: list[Row] = []
    for row in rows:
        made.found += 1
        key = tuple(row.get(name) for name in flow.key)
        if any(each is None or isinstance(each, Beyond) for each in key):
            made.held = made.held or "key_missing"
            continue
        if repr(key) in seen:
            made.held = made.held or "key_repeated"
        seen.add(repr(key))
        if made.found > MOST:
            made.held = "too_many"
            break
        every += [row] if gathering else []
        if singly:  # what was done lately is asked for each record: a file of many is not worth as many questions
            made.rows += _one_by_one(flow, singly, key, row, *_standing(flow, key, row, now, zone, lately))
    again = "loop" if gathering and lately(ALL) >= max(flow.again, OFTEN) else None
    made.rows += (each for step in gathering for each in _all_at_once(step, every, occasion, now, zone, again))
    if made.found > flow.most:
        made.held = made.held or "too_many"
    return made


def set_aside(rows: Iterable[Wanted], places: Collection[Place], record: Callable[[tuple[Json, ...]], bytes]) -> list[Wanted]:
    """The rows, those of some places kept for a person: a later occasion said something about their record since."""
    return [replace(each, held=LATE) if (record(each.key), each.step) in places else each for each in rows]


def undone(flow: Flow, key: tuple[Json, ...], row: Mapping[str, Json], now: datetime) -> list[Wanted]:
    """The rows that take back what was asked for a record, one a step: what waits goes, what was done is undone."""
    return [Wanted(key, step.name, row, now, undo=True) for step in flow.do if step.rows is None]


def _standing(
    flow: Flow, key: tuple[Json, ...], row: Row, now: datetime, zone: ZoneInfo, lately: Callable[[tuple[Json, ...]], int]
) -> tuple[datetime, str | None]:
    """When a row is due, and what stops it."""
    due, why = _due(flow, row, now, zone)
    return due, "loop" if why is None and lately(key) >= flow.again else why


def _one_by_one(
    flow: Flow, steps: Iterable[Step], key: tuple[Json, ...], row: Row, due: datetime, why: str | None
) -> Iterator[Wanted]:
    """The writes of one row."""
    for step in steps:
        if step.needs is None or row.get(step.needs) not in (None, ""):
            yield Wanted(key, step.name, row, due, why=why or _unmapped(flow, step.name, row))


def _all_at_once(
    step: Step, rows: Iterable[Row], occasion: str, now: datetime, zone: ZoneInfo, why: str | None
) -> Iterator[Wanted]:
    """The one write of a step that takes all rows, if there are any. why: what stops it."""
    here = now.astimezone(zone)
    said = {
        "occasion": _UNSAFE.sub("-", occasion.partition(":")[2]).strip("-.")[:120],
        "occasion_date": f"{here:%Y-%m-%d}",
        "occasion_time": f"{here:%H%M%S}",
    }
    try:
        row = gathered(step, rows, said)
        payload(step, row)
    except Unmapped as fault:
        yield Wanted(ALL, step.name, {**said, "rows": []}, now, why=fault.code)
        return
    if row["rows"]:
        yield Wanted(ALL, step.name, row, now, why=why)


def _unmapped(flow: Flow, name: str, row: Row) -> str | None:
    (step,) = (each for each in flow.do if each.name == name)
    try:
        payload(step, row)
    except Unmapped as fault:
        return fault.code
    return None


def _due(flow: Flow, row: Row, now: datetime, zone: ZoneInfo) -> tuple[datetime, str | None]:
    if flow.when is None or (said := row.get(flow.when)) in (None, ""):
        return now, None
    try:
        told = datetime.fromisoformat(said) if isinstance(said, str) else said
    except ValueError:
        return now, "when"
    if isinstance(told, date) and not isinstance(told, datetime):
        told = datetime.combine(told, time())
    if not isinstance(told, datetime):
        return now, "when"
    try:
        aware = (told.replace(tzinfo=zone) if told.tzinfo is None else told).astimezone(UTC)
    except OverflowError:  # the first or the last day there is, as some write "never"
        return now, "when"
    return max(aware, now), None

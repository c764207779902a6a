"""In what order occasions came, and what came after: an older word about a record does not act once a later one was handled.

An occasion counts from when it was first seen, however often its rows were looked for since. What a person dropped is no word.
"""

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Sequence as Several
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import Connection, func, insert, select, update

from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.flowing import flow_occasions, flow_rows

AT_ONCE: Final = 500
HOUR: Final = timedelta(hours=1)
Place = tuple[bytes, str]
"""A record, and a step for it."""
_C: Final = flow_occasions.c
SEEN: Final = func.coalesce(_C.first_at, _C.at)
"""When an occasion was first seen."""
T = TypeVar("T")


class Sequence:
    """The order of a site's occasions."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state, self._clock = state, clock

    def order(self, occasions: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
        """When occasions were first seen, by flow and name: each later than all before it of its flow."""
        with self._state.read() as reader:
            return _order(reader, occasions)

    def later(self, flow: str, occasion: str, records: Collection[bytes]) -> set[Place]:
        """The records and steps, among some records, about which an occasion that was seen after this one said something."""
        with self._state.read() as reader:
            return _later(reader, flow, occasion, records)

    def held(self, flow: str, occasion: str) -> set[Place]:
        """The records and steps of an occasion that wait for a person."""
        c = flow_rows.c
        mine = (c.flow == flow) & (c.occasion == occasion) & (c.state == "held")
        with self._state.read() as reader:
            return {(record, step) for record, step in reader.execute(select(c.record, c.step).where(mine))}

    def lately(self, flow: str, occasion: str) -> Mapping[bytes, int]:
        """On how many other occasions of the last hour each record was acted on; those that were not are left out."""
        c = flow_rows.c
        recent = (c.flow == flow) & (c.occasion != occasion) & (c.since > self._clock() - HOUR)
        counted = select(c.record, func.count(c.occasion.distinct())).where(recent).group_by(c.record)
        with self._state.read() as reader:
            return {record: int(count) for record, count in reader.execute(counted)}


def enter(
    transaction: Connection,
    flow: str,
    occasion: str,
    state: str,
    found: int,
    why: str | None,
    now: datetime,
    seen: datetime | None = None,
) -> bool:
    """Enter an occasion as it stands; False when it was taken already.

    now: when it was looked at; seen: when it came, if it was never looked at before.
    """
    wanted = (_C.flow == flow) & (_C.occasion == occasion)
    known = transaction.execute(select(_C.state, _C.at, _C.first_at).where(wanted)).one_or_none()
    values = {"at": now, "state": state, "found": found, "why": why}
    if known is None:
        transaction.execute(insert(flow_occasions).values(flow=flow, occasion=occasion, first_at=seen or now, **values))
        return True
    if known.state == "failed":
        values |= {"first_at": known.first_at or known.at}
        transaction.execute(update(flow_occasions).where(wanted).values(**values))
        return True
    return False


def latest(reader: Connection, flow: str) -> datetime | None:
    """The latest instant that an occasion of a flow bears, None when there is none."""
    both = reader.execute(select(func.max(_C.at), func.max(_C.first_at)).where(_C.flow == flow)).one()
    return max((each for each in both if each is not None), default=None)


def _order(reader: Connection, occasions: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    found = dict[tuple[str, str], datetime]()
    for flow in {flow for flow, _ in occasions}:
        for some in _some(sorted(occasion for of, occasion in occasions if of == flow)):
            query = select(_C.occasion, _C.at, _C.first_at).where((_C.flow == flow) & _C.occasion.in_(some))
            found |= {(flow, row.occasion): row.first_at or row.at for row in reader.execute(query)}
    return found


def _later(reader: Connection, flow: str, occasion: str, records: Collection[bytes]) -> set[Place]:
    rows, found = flow_rows.c, dict[str, set[Place]]()
    for some in _some(sorted(records)):
        query = select(rows.record, rows.step, rows.occasion).where(
            (rows.flow == flow) & rows.record.in_(some) & (rows.occasion != occasion)
        )
        for record, step, other in reader.execute(query):
            found.setdefault(other, set()).add((record, step))
    known = _order(reader, {(flow, occasion), *((flow, other) for other in found)})
    dropped: set[str] = set()
    for names in _some(sorted(found)):
        mine = (_C.flow == flow) & (_C.state == "dropped") & _C.occasion.in_(names)
        dropped |= set(reader.execute(select(_C.occasion).where(mine)).scalars())
    at = known.get((flow, occasion))
    after = [other for other in found.keys() - dropped if at is not None and known[flow, other] > at]
    return set().union(*(found[other] for other in after))


def _some(names: Several[T]) -> Iterator[Several[T]]:
    yield from (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))

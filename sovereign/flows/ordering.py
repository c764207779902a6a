"""Which word about a record is the last one, by the order in which its occasions were taken. Pure.

1. A row that undoes is about what was taken before it, since the row before it that undid: never about what came after. One
   that was replaced, was stopped or failed undid nothing: the next is about what it was about, too.
2. A row that is asked for ends the earlier ones that undo and still wait: whoever left, came back and left again has left.
3. In a flow that waits for dates, a later row of the same record and step replaces one that still waits: a departure that is
   put off, or brought forward, is done on its new date alone. One that waits for a person replaces nothing yet.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sovereign.flows.kept import Kept

Order = Mapping[tuple[str, str], datetime]
"""The instants at which occasions were taken, by flow and name: each later than all before it of its flow."""
_SAYS: Final = frozenset({"waiting", "asked", "settled"})
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def about(row: Kept, every: Sequence[Kept], order: Order, failed: Container[str] = ()) -> list[Kept]:
    """The rows that a row which undoes is about. every: the rows of its record; failed: writes that ended without effect."""
    then = _at(row, order)
    before = [each for each in every if each.step == row.step and _at(each, order) < then]
    undid = (each for each in before if each.undo and _undid(each, failed))
    last = max((_at(each, order) for each in undid), default=_NEVER)  # what came before was undone by then
    return [each for each in before if not each.undo and _at(each, order) >= last]


def replaced(row: Kept, every: Iterable[Kept], order: Order) -> bool:
    """Whether a row that is due, and undoes nothing, was replaced by a later one. every: the rows of its record, or more."""
    return any(_later(each, row, order) and not each.undo and each.state in _SAYS for each in every)


def ended(asked: Iterable[Kept], undoing: Iterable[Kept], order: Order) -> list[Kept]:
    """The rows that undo, and wait, which rows that are asked for now put an end to."""
    going = [each for each in asked if not each.undo]
    return [row for row in undoing if any(not _later(row, each, order) and _alike(row, each) for each in going)]


def _undid(row: Kept, failed: Container[str]) -> bool:
    """Whether a row that undoes did, or is about to, or found nothing to undo."""
    if row.state in ("stopped", "held") or (row.state == "cancelled" and row.why in ("replaced", "dropped")):
        return False
    return row.intent is None or row.intent not in failed


def _alike(one: Kept, other: Kept) -> bool:
    return (one.flow, one.record, one.step) == (other.flow, other.record, other.step)


def _later(one: Kept, other: Kept, order: Order) -> bool:
    return _alike(one, other) and _at(one, order) > _at(other, order)


def _at(row: Kept, order: Order) -> datetime:
    return order.get((row.flow, row.occasion), _NEVER)

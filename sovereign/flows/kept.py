"""What is kept of flows: whether each acts, its occasions, and the rows of each, as their tables hold them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, update

from saas_connectors.connector import Json
from sovereign.audit.entry import NewEntry
from sovereign.state.flowing import flow_rows

_NAMES: Final = ("flow", "occasion", "record", "step", "undo")
"""The columns that tell rows apart."""

RELEASED, DROPPED = "released", "dropped"
"""Why a row goes, or never will: a person said so."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An enabled or disabled flow. position: snapshots seen, by dataset, or the last event seen."""

    flow: str
    digest: str
    state: str
    since: datetime
    by: str
    position: Mapping[str, Json]
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """An occasion and what became of it: `taken`, `held`, `failed` or `dropped`, with why; found: rows of its question.

    at: when it was last looked at.
    """

    flow: str
    occasion: str
    at: datetime
    state: str
    found: int
    why: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row to keep: its record's key, its step, when it is due, why it is stopped already, if it is.

    held: why a person is asked before it goes, if one is.
    """

    key: tuple[Json, ...] = field(repr=False)
    step: str
    row: Mapping[str, Json] = field(repr=False)
    due_at: datetime
    undo: bool = False
    why: str | None = None
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it stands: `waiting`, `asked` (its `intent` tells the rest), `held`, `stopped`, `cancelled` or `settled`."""

    flow: str
    occasion: str
    record: bytes
    step: str
    undo: bool
    state: str
    due_at: datetime
    since: datetime
    intent: str | None
    why: str | None
    sealed: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """What names the row for the gateway: an idempotency key that holds no value of it."""
        digest = hashlib.sha256(f"{self.occasion}\0{self.step}\0{self.undo:d}\0".encode() + self.record).hexdigest()
        return f"{self.flow}-{digest[:40]}"


def standing_of(row: Row[Any]) -> Standing:
    """Read a flow from its table."""
    return Standing(row.flow, row.digest, row.state, row.since, row.by_whom, row.position, row.due_at)


def taken_of(row: Row[Any]) -> Taken:
    """Read an occasion from its table."""
    return Taken(row.flow, row.occasion, row.at, row.state, row.found, row.why)


def kept_of(row: Row[Any]) -> Kept:
    """Read a row from its table."""
    return Kept(
        row.flow, row.occasion, row.record, row.step, bool(row.undo), row.state, row.due_at, row.since, row.intent, row.why,
        row.sealed,
    )  # fmt: skip


def stopped(flow: str, occasion: str, record: bytes, step: str, why: str | None, *, undo: bool | int, **_: object) -> NewEntry:
    """What the log is told of a row that will not be asked for."""
    facts = {"occasion": occasion, "step": step, "record": record.hex(), "undo": bool(undo), "why": why}
    return NewEntry("flow.stopped", {"flow": flow}, facts)


def held(flow: str, occasion: str, writes: int, why: str) -> NewEntry:
    """What the log is told of rows of an occasion that wait for a person."""
    return NewEntry("flow.held", {"flow": flow}, {"occasion": occasion, "rows": writes, "writes": writes, "held": why})


def context(flow: str, record: bytes) -> bytes:
    """What a sealed row is bound to."""
    return f"sovereign-flow-row/1:{flow}:{record.hex()}".encode()


def same(row: Kept) -> Any:  # noqa: ANN401 - a condition of SQLAlchemy
    """The condition that only this row of the table meets."""
    c = flow_rows.c
    return (
        (c.flow == row.flow) & (c.occasion == row.occasion) & (c.record == row.record) & (c.step == row.step)
        & (c.undo == int(row.undo))
    )  # fmt: skip


def put(transaction: Connection, rows: Sequence[tuple[Kept, Mapping[str, Any]]]) -> None:
    """Set the same columns of several rows, by one statement: to make one a row costs more than to run it."""
    if not rows:
        return
    named = [flow_rows.c[name] == bindparam(f"of_{name}") for name in _NAMES]
    made = update(flow_rows).where(*named).values({name: bindparam(f"to_{name}") for name in rows[0][1]})
    given = [
        {f"of_{name}": getattr(row, name) for name in _NAMES} | {f"to_{name}": value for name, value in values.items()}
        for row, values in rows
    ]
    transaction.execute(made, given)

"""The store of deliveries: each moves along the edges of `states`, one step at a time, and each step is told and entered.

1. A step is a compare-and-set on (state, version): of two that would move a delivery, one does, the other learns `StateMoved`.
2. A step writes the delivery, its event and its audit entry in one transaction, or nothing.
3. `turn` numbers deliveries in the order in which they were accepted. `blocks` says that the next of the same lane must wait:
   the states of `BLOCKING`, and a delivery that is still to be read back.
4. `next_at` is when the delivery wants attention without anyone asking: a retry, a probe, a read-back, an expiry. None: never.
5. Nothing here is personal: `why` is a code, `outcome` holds counts and codes; the vendor's answer is sealed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, select

from sovereign.audit import AuditLog
from sovereign.audit.entry import NewEntry
from sovereign.gateway.errors import NoSuchStep, StateMoved, UnknownDelivery
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.sealing import Sealed
from sovereign.gateway.states import BLOCKING, FINAL, after, edge
from sovereign.state import State
from sovereign.state.outbound import deliveries, delivery_events
from sovereign.state.schema import instant_text
from sovereign.state.statements import Statement, insert

_COLUMNS: Final = tuple(deliveries.c.keys())
_ALL: Final = ", ".join(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a write stands. attempts: sends begun. outcome: what is known of it, without any personal value.

    holder: the process that has it in hand, in `in_flight` and `probing`. status: the vendor's last HTTP status.
    """

    intent: str
    turn: int
    connection: str
    lane: str
    priority: int
    state: str
    version: int
    since: datetime
    attempts: int
    next_at: datetime | None = None
    holder: str | None = None
    status: int | None = None
    why: str | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    sealed_outcome: bytes | None = field(default=None, repr=False)
    entry: int | None = None
    """The audit entry of the step just made."""

    @property
    def blocks(self) -> bool:
        """Whether the next of its lane must wait for it."""
        return blocks(self.state, self.next_at)

    @property
    def wanted(self) -> datetime | None:
        """Until when whoever sent it again wants it; None when nobody did."""
        until = self.outcome.get("wanted")
        return None if until is None else datetime.fromisoformat(until)


@dataclass(frozen=True, slots=True)
class Event:
    """One step that was made."""

    number: int
    at: datetime
    was: str | None
    state: str
    why: str
    actor: str | None
    entry: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step to make. why: a code. facts, body: what its audit entry tells, sealed. act: `delivery.<state>` if None."""

    becomes: str
    why: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    act: str | None = None


def blocks(state: str, next_at: datetime | None) -> bool:
    """Whether the next of a lane waits for a delivery in this state."""
    return state in BLOCKING or (state == "delivered" and next_at is not None)


def over_since(delivery: Delivery) -> datetime | None:
    """Since when nothing more happens to a delivery by itself; None while something may."""
    over = delivery.state in FINAL or (delivery.state == "delivered" and delivery.next_at is None)
    return delivery.since if over else None


def checked(intent: str, was: str, becomes: str) -> None:
    """Make sure that the states know this step; errors: NoSuchStep."""
    if edge(was, becomes) is None:
        raise NoSuchStep(intent=intent, was=was, becomes=becomes, after=", ".join(after(was)) or "-")


class Deliveries:
    """The deliveries of a site. Every method that writes is given the transaction it belongs to."""

    def __init__(self, state: State, audit: AuditLog) -> None:
        self.state, self.audit = state, audit
        self._turn = Statement(
            state,
            "INSERT INTO counters (name, value) VALUES ('deliveries', 1) "
            "ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
        )
        self._intent = insert(
            state, "intents", "id", "received_at", "client", "person", "connection", "door", "operation", "method", "lane",
            "priority", "digest", "bytes", "wrapped", "sealed", "expires_at",
        )  # fmt: skip
        self._new = insert(state, "deliveries", *_COLUMNS)
        self._event = insert(state, "delivery_events", "intent", "number", "at", "was", "state", "why", "actor", "entry")
        self._get = Statement(state, f"SELECT {_ALL} FROM deliveries WHERE intent = :intent")  # noqa: S608 - names of ours
        self._move = Statement(
            state,
            "UPDATE deliveries SET state = :state, blocks = :blocks, version = :version, since = :since, "
            "attempts = :attempts, next_at = :next_at, holder = :holder, status = :status, why = :why, outcome = :outcome, "
            "sealed_outcome = :sealed_outcome WHERE intent = :intent AND state = :was AND version = :before",
        )
        self._put_off = Statement(
            state,
            "UPDATE deliveries SET next_at = :next_at, blocks = :blocks, outcome = :outcome "
            "WHERE intent = :intent AND state = :was AND version = :before",
        )
        self._blocked = Statement(
            state,
            "SELECT 1 FROM deliveries WHERE connection = :connection AND lane = :lane AND turn < :turn AND blocks = 1 LIMIT 1",
        )

    def new(
        self,
        transaction: Connection,
        intent: WriteIntent,
        sealed: Sealed,
        lane: str,
        steps: Sequence[Step],
        now: datetime,
        *,
        next_at: datetime | None = None,
        holder: str | None = None,
        facts: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Delivery:
        """Enter an intent as received, and make its first steps; gives the delivery as it then is.

        next_at, holder: of its last state. facts, body: of the entry that says it was received. Errors: NoSuchStep.
        """
        made = (Step("received", intent.door, facts or {}, body or {}, "intent.received"), *steps)
        states = [step.becomes for step in made]
        for was, becomes in pairwise(states):
            checked(intent.id, was, becomes)
        delivery = Delivery(
            intent.id, int(self._turn(transaction).fetchone()[0]), intent.connection, lane, intent.priority, states[-1],
            len(steps), now, states.count("in_flight"), next_at, holder, None, made[-1].why,
        )  # fmt: skip
        self._intent(
            transaction, id=intent.id, received_at=instant_text(intent.received_at), client=intent.client, person=None,
            connection=intent.connection, door=intent.door, operation=intent.operation, method=intent.method, lane=lane,
            priority=intent.priority, digest=sealed.digest, bytes=intent.size, wrapped=sealed.wrapped,
            sealed=sealed.sealed, expires_at=None if intent.expires_at is None else instant_text(intent.expires_at),
        )  # fmt: skip
        self._new(transaction, **_values(delivery))
        entry = self._told(transaction, delivery, 0, None, made, intent.client, now)
        return replace(delivery, entry=entry)

    def get(self, reader: Connection, intent: str) -> Delivery:
        """One delivery; errors: UnknownDelivery."""
        row = self._get(reader, intent=intent).fetchone()
        if row is None:
            raise UnknownDelivery(intent=intent)
        return read(row)

    def move(
        self,
        transaction: Connection,
        delivery: Delivery,
        becomes: str,
        why: str,
        now: datetime,
        *,
        actor: str | None = None,
        next_at: datetime | None = None,
        holder: str | None = None,
        attempts: int | None = None,
        status: int | None = None,
        outcome: Mapping[str, Any] | None = None,
        sealed_outcome: bytes | None = None,
        facts: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        within: Sequence[Step] = (),
    ) -> Delivery:
        """Make a step from the delivery as it was last seen; gives it as it then is.

        why: a code. actor: who decided it, the process when None. attempts, status, outcome, sealed_outcome: None leaves them.
        facts, body: more for the audit entry. within: steps made before this one in the same instant, so that several edges
        are passed at once. Errors: NoSuchStep, StateMoved.
        """
        steps = (*within, Step(becomes, why, facts or {}, body or {}))
        for was, step in zip((delivery.state, *(step.becomes for step in within)), steps, strict=True):
            checked(delivery.intent, was, step.becomes)
        moved = replace(
            delivery, state=becomes, version=delivery.version + len(steps), since=now, next_at=next_at, holder=holder, why=why,
            attempts=delivery.attempts if attempts is None else attempts,
            status=delivery.status if status is None else status,
            outcome=delivery.outcome if outcome is None else outcome,
            sealed_outcome=delivery.sealed_outcome if sealed_outcome is None else sealed_outcome,
        )  # fmt: skip
        values = _values(moved)
        done = self._move(transaction, was=delivery.state, before=delivery.version, **values)
        if done.rowcount != 1:
            present = self.get(transaction, delivery.intent)
            raise StateMoved(intent=delivery.intent, was=delivery.state, state=present.state)
        entry = self._told(transaction, moved, delivery.version + 1, delivery.state, steps, actor, now)
        return replace(moved, entry=entry)

    def put_off(
        self, transaction: Connection, delivery: Delivery, next_at: datetime | None, outcome: Mapping[str, Any]
    ) -> None:
        """Look again at another instant (None: no more). It is no step: nothing is entered."""
        values = _values(replace(delivery, next_at=next_at, outcome=outcome))
        self._put_off(transaction, was=delivery.state, before=delivery.version, **values)

    def blocked(self, reader: Connection, connection: str, lane: str, turn: int) -> bool:
        """Whether an earlier delivery of the lane makes this turn wait."""
        return self._blocked(reader, connection=connection, lane=lane, turn=turn).fetchone() is not None

    def events(self, reader: Connection, intent: str) -> tuple[Event, ...]:
        """The steps that a delivery made, oldest first."""
        c = delivery_events.c
        columns = (c.number, c.at, c.was, c.state, c.why, c.actor, c.entry)
        rows = reader.execute(select(*columns).where(c.intent == intent).order_by(c.number))
        return tuple(Event(*row) for row in rows)

    def list(
        self, reader: Connection, *, states: Iterable[str] | None = None, connection: str | None = None, limit: int = 100
    ) -> tuple[Delivery, ...]:
        """The latest deliveries that match, newest first."""
        query = select(deliveries).order_by(deliveries.c.turn.desc()).limit(limit)
        if states is not None:
            query = query.where(deliveries.c.state.in_(list(states)))
        if connection is not None:
            query = query.where(deliveries.c.connection == connection)
        return tuple(Delivery(**_plain(row)) for row in reader.execute(query))

    def _told(
        self,
        transaction: Connection,
        delivery: Delivery,
        first: int,
        was: str | None,
        steps: Sequence[Step],
        actor: str | None,
        now: datetime,
    ) -> int:
        """Enter steps, and keep them as events; gives the last entry."""
        subject = {"connection": delivery.connection, "intent": delivery.intent}
        befores = (was, *(step.becomes for step in steps))
        seqs = self.audit.append_many(
            [
                NewEntry(
                    step.act or f"delivery.{step.becomes}",
                    subject,
                    {"state": step.becomes, "why": step.why, **({} if before is None else {"was": before}), **step.facts},
                    step.body,
                    actor,
                )
                for step, before in zip(steps, befores, strict=False)
            ],
            within=transaction,
        )
        self._event.each(
            transaction,
            [
                {"intent": delivery.intent, "number": number, "at": instant_text(now), "was": before,
                 "state": step.becomes, "why": step.why, "actor": None, "entry": seq}
                for number, (step, before, seq) in enumerate(zip(steps, befores, seqs, strict=False), first)
            ],
        )  # fmt: skip
        return seqs[-1]


def read(row: tuple[Any, ...]) -> Delivery:
    """A delivery from a row of a `Statement` over all columns."""
    held = dict(zip(_COLUMNS, row, strict=True))
    del held["blocks"]
    held["since"] = datetime.fromisoformat(held["since"])
    held["next_at"] = None if held["next_at"] is None else datetime.fromisoformat(held["next_at"])
    held["outcome"] = orjson.loads(held["outcome"])
    return Delivery(**held)


def _plain(row: Row[Any]) -> dict[str, Any]:
    held = row._asdict()
    del held["blocks"]
    return held


def _values(delivery: Delivery) -> dict[str, Any]:
    held = {name: getattr(delivery, name) for name in _COLUMNS}
    held["blocks"] = int(delivery.blocks)
    held["since"] = instant_text(delivery.since)
    held["next_at"] = None if delivery.next_at is None else instant_text(delivery.next_at)
    held["outcome"] = orjson.dumps(delivery.outcome, option=orjson.OPT_SORT_KEYS).decode()
    return held

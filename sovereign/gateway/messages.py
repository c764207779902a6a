"""The store of what applications are to be told: one row a step that ends a delivery, or leaves it to a person.

1. Rows are made from the steps themselves (`delivery_events`), from a cursor that moves in the same transaction: no step is
   forgotten nor told twice, whoever made it and whatever died since.
2. A row is entered in the audit log as it is made, and again when it is over: told, given up, or dropped.
3. It holds no personal value: an intent, a state, an address of the operator's.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from sovereign.access.callbacks import CURSOR, Callback
from sovereign.audit import AuditLog
from sovereign.audit.entry import NewEntry
from sovereign.clock import Clock
from sovereign.gateway.kept import kept
from sovereign.gateway.sealing import Sealing
from sovereign.gateway.states import FINAL
from sovereign.gateway.webhooks import body_of
from sovereign.state import State
from sovereign.state.outbound import callback_messages, clients, deliveries
from sovereign.state.schema import counters
from sovereign.state.statements import Statement
from vault.errors import Fault

TOLD: Final = frozenset({*FINAL, "delivered", "did_not_happen", "inconclusive"})
"""The states that are told; the index of `0006_callbacks.sql` names them too."""
PIECE: Final = 500
"""Steps looked at in one go."""
LOOK: Final = timedelta(seconds=2)
"""How long a delivery that may still be read back is left, before it is looked at again."""
_STATES: Final = ", ".join(f"'{state}'" for state in sorted(TOLD))


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell. at: when the step was made. attempts: sendings so far."""

    intent: str
    number: int
    client: str
    url: str
    state: str
    at: datetime
    attempts: int

    @property
    def name(self) -> str:
        """Its `webhook-id`."""
        return f"{self.intent}.{self.number}"

    @property
    def receiver(self) -> str:
        """Whom it is for."""
        return self.client

    @property
    def media(self) -> str:
        """The type of its body."""
        return "application/json"

    def body(self) -> bytes:
        """What is sent."""
        return body_of(self.intent, self.state, self.at)


class _Step(NamedTuple):
    """A step to be told, as `delivery_events` has it: `at` is text."""

    intent: str
    number: int
    state: str
    at: str
    entry: int
    client: str


class Messages:
    """The messages of a site."""

    def __init__(self, state: State, audit: AuditLog, sealing: Sealing, clock: Clock) -> None:
        self._state, self._audit, self._sealing, self._clock = state, audit, sealing, clock
        self._steps = Statement(
            state,
            "SELECT e.intent, e.number, e.state, e.at, e.entry, i.client FROM delivery_events e "  # noqa: S608 - names of ours
            f"JOIN intents i ON i.id = e.intent WHERE e.entry > :after AND e.state IN ({_STATES}) ORDER BY e.entry LIMIT :most",
        )
        self._add = Statement(
            state,
            "INSERT INTO callback_messages (intent, number, client, url, state, at, attempts, outcome, since, next_at) "
            "VALUES (:intent, :number, :client, :url, :state, :at, 0, 'waiting', :at, :at) ON CONFLICT DO NOTHING",
        )

    def gather(self, known: Mapping[str, Callback]) -> bool:
        """Make a row of each step to be told since the last look, `PIECE` at most; gives whether there may be more."""
        with self._state.read() as reader:
            after = reader.execute(select(counters.c.value).where(counters.c.name == CURSOR)).scalar() or 0
            found = [_Step(*row) for row in self._steps(reader, after=after, most=PIECE).fetchall()]
            wanted = [(row, known[row.client]) for row in found if row.client in known and row.entry > known[row.client].since]
            still = [each for each in wanted if each[0].state != "delivered" or self._delivered(reader, each[0].intent)[0]]
            made = [(row, self._address(reader, row.intent, callback)) for row, callback in still]
        if not found:
            return False
        with self._state.begin() as transaction:
            ahead = update(counters).where((counters.c.name == CURSOR) & (counters.c.value == after))
            if not transaction.execute(ahead.values(value=found[-1].entry)).rowcount:
                return False
            for row, url in made:
                self._add(
                    transaction, intent=row.intent, number=row.number, client=row.client, url=url, state=row.state, at=row.at
                )
            self._audit.append_many([_due(row, url) for row, url in made], within=transaction)
        return len(found) == PIECE

    def due(self, client: str, most: int, in_hand: Collection[str]) -> list[Message]:
        """What may be sent to an application now, the oldest first. in_hand: names of messages that are being sent."""
        held, now = callback_messages.c, self._clock()
        wanted = (held.client == client) & held.next_at.is_not(None) & (held.next_at <= now)
        query = select(callback_messages).where(wanted).order_by(held.next_at).limit(most + len(in_hand))
        with self._state.read() as reader:
            found = [_message(row) for row in reader.execute(query)]
        return [each for each in found if each.name not in in_hand][:most]

    def stands(self, message: Message, callback: Callback | None) -> Literal["tell", "later", "moved", "gone", "over"]:
        """Whether it is still to be told; `moved`: a later step says it better; `gone`: application or address is."""
        with self._state.read() as reader:
            if reader.execute(select(callback_messages.c.number).where(_is(message))).first() is None:
                return "over"
            row = reader.execute(select(clients.c.revoked_at).where(clients.c.id == message.client)).first()
            if callback is None or message.url not in callback.urls or row is None or row.revoked_at is not None:
                return "gone"
            if message.state != "delivered":
                return "tell"
            stands, more = self._delivered(reader, message.intent)
        return "moved" if not stands else "later" if more else "tell"

    def put_off(self, message: Message, next_at: datetime | None = None, why: str | None = None, attempts: int = 0) -> None:
        """Look again later: at an instant, after so many more attempts; in `LOOK` when it is not said."""
        later = {"next_at": next_at or self._clock() + LOOK, "why": why, "attempts": message.attempts + attempts}
        with self._state.begin() as transaction:
            transaction.execute(update(callback_messages).where(_is(message)).values(**later))

    def end(self, message: Message, outcome: str, why: str | None, attempts: int = 0, status: int | None = None) -> None:
        """End it, in the audit log too. outcome: `told`, `given_up` or `dropped`."""
        tried = message.attempts + attempts
        facts: dict[str, Any] = {"state": message.state, "attempts": tried}
        facts |= {name: value for name, value in (("why", why), ("status", status)) if value is not None}
        ended = {"attempts": tried, "next_at": None, "outcome": outcome, "since": self._clock(), "why": why}
        with self._state.begin() as transaction:
            if transaction.execute(update(callback_messages).where(_is(message)).values(**ended)).rowcount:
                subject = {"client": message.client, "intent": message.intent}
                self._audit.append(f"callback.{outcome}", subject, facts, {"url": message.url}, within=transaction)

    def _delivered(self, reader: Connection, intent: str) -> tuple[bool, bool]:
        """Whether a delivery stands at `delivered`, and whether it is still to be read back."""
        c = deliveries.c
        row = reader.execute(select(c.state, c.next_at).where(c.intent == intent)).one()
        return row.state == "delivered", row.next_at is not None

    def _address(self, reader: Connection, intent: str, callback: Callback) -> str:
        """Where its application asked to be told of an intent, else where it is told of all."""
        if len(callback.urls) > 1:
            with suppress(Fault):  # erased since: what it asked is gone with it
                asked = kept(reader, self._sealing, self._audit, intent).callback
                if asked in callback.urls:
                    return asked
        return callback.urls[0]


def sweep(state: State, days: int, present: datetime) -> None:
    """Forget messages that have been over for `days`."""
    held = callback_messages.c
    old = (held.outcome != "waiting") & (held.since <= present - timedelta(days=days))
    with state.begin() as transaction:
        transaction.execute(delete(callback_messages).where(old))


def _due(row: _Step, url: str) -> NewEntry:
    return NewEntry("callback.due", {"client": row.client, "intent": row.intent}, {"state": row.state}, {"url": url}, None)


def _message(row: Row[Any]) -> Message:
    return Message(row.intent, row.number, row.client, row.url, row.state, row.at, row.attempts)


def _is(message: Message) -> Any:  # noqa: ANN401 - a clause of SQLAlchemy
    """Its row, while it waits."""
    held = callback_messages.c
    return (held.intent == message.intent) & (held.number == message.number) & held.next_at.is_not(None)

"""What subscribers are told: each message as it waits, as it is sent, as it ends, and as people look at it or send it again.

1. The end of each message is entered in the log: told, given up, or dropped.
2. What waited for longer than `LASTING` is not tried again after a failure.
3. An ordered subscriber is sent one message at a time, the oldest that waits.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Row, select, update

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.events.errors import UnknownMessage
from sovereign.events.gathering import SEALING, Gathering, context
from sovereign.events.news import MEDIA
from sovereign.events.subscribing import Told
from sovereign.state import State
from sovereign.state.telling import subscriber_messages
from vault import envelope
from vault.keys import Keys

LASTING: Final = timedelta(days=4)
LOOK: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event for one subscriber. name: its `webhook-id`, the id of the event."""

    receiver: str
    sequence: int
    name: str
    type: str
    at: datetime
    attempts: int
    outcome: str
    since: datetime
    next_at: datetime | None
    status: int | None
    why: str | None
    url: str = ""
    sealed: bytes = field(default=b"", repr=False)
    opened: Callable[["Outgoing"], bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def media(self) -> str:
        """The type of its body."""
        return MEDIA

    def body(self) -> bytes:
        """What is sent; errors: those of the vault."""
        return self.opened(self) if self.opened is not None else b""


class Outbox:
    """The messages of a site's subscribers. ready: those whose secret is known."""

    def __init__(
        self,
        state: State,
        audit: AuditLog,
        keys: Keys,
        clock: Clock,
        gathering: Gathering,
        known: Callable[[], Mapping[str, Told]],
        ready: Callable[[], Collection[str]],
    ) -> None:
        self._state, self._audit, self._clock, self._known, self._ready = state, audit, clock, known, ready
        self._sealing, self.gathering = keys.derive(SEALING), gathering

    def gather(self, known: Mapping[str, Told]) -> bool:
        """Find what is new; see `gathering`."""
        return self.gathering.gather(known)

    def due(self, receiver: str, most: int, in_hand: Collection[str]) -> list[Outgoing]:
        """What may be sent to a subscriber now, in its order. in_hand: names of messages that are being sent."""
        told = self._known().get(receiver)
        held, now = subscriber_messages.c, self._clock()
        if receiver not in self._ready() or (told is not None and told.declared.ordered and in_hand):
            return []
        query = select(subscriber_messages).where((held.subscriber == receiver) & held.next_at.is_not(None))
        if told is None or not told.declared.ordered:
            query = query.where(held.next_at <= now).limit(most + len(in_hand))
        else:
            query = query.limit(1)
        with self._state.read() as reader:
            rows = [row for row in reader.execute(query.order_by(held.sequence)) if row.next_at <= now]
        url = "" if told is None else told.declared.url
        return [_outgoing(row, url, self._opened) for row in rows if row.id not in in_hand][:most]

    def stands(self, message: Outgoing, receiver: Told | None) -> Literal["tell", "later", "moved", "gone", "over"]:
        """Whether it is still to be told."""
        with self._state.read() as reader:
            there = reader.execute(select(subscriber_messages.c.id).where(_is(message))).first()
        return "over" if there is None else "gone" if receiver is None else "tell"

    def put_off(self, message: Outgoing, next_at: datetime | None = None, why: str | None = None, attempts: int = 0) -> None:
        """Look again later; given up after `LASTING`."""
        if why is not None and self._clock() - message.since > LASTING:
            self.end(message, "given_up", why, attempts)
            return
        later = {"next_at": next_at or self._clock() + LOOK, "why": why, "attempts": message.attempts + attempts}
        with self._state.begin() as transaction:
            transaction.execute(update(subscriber_messages).where(_is(message)).values(**later))

    def end(self, message: Outgoing, outcome: str, why: str | None, attempts: int = 0, status: int | None = None) -> None:
        """End it, in the audit log too."""
        tried = message.attempts + attempts
        facts: dict[str, Any] = {"event": message.name, "type": message.type, "sequence": message.sequence, "attempts": tried}
        facts |= {name: value for name, value in (("why", why), ("status", status)) if value is not None}
        ended = {"attempts": tried, "next_at": None, "outcome": outcome, "since": self._clock(), "why": why, "status": status}
        with self._state.begin() as transaction:
            if transaction.execute(update(subscriber_messages).where(_is(message)).values(**ended)).rowcount:
                subject = {"subscriber": message.receiver}
                self._audit.append(f"subscriber.{outcome}", subject, facts, {"url": message.url}, within=transaction)

    # For people

    def list(self, name: str, outcomes: Collection[str] = (), limit: int = 50) -> tuple[Outgoing, ...]:
        """The latest messages of a subscriber, newest first, without their content. outcomes: all when there is none."""
        held = subscriber_messages.c
        query = select(subscriber_messages).where(held.subscriber == name).order_by(held.sequence.desc()).limit(limit)
        if outcomes:
            query = query.where(held.outcome.in_(sorted(outcomes)))
        with self._state.read() as reader:
            return tuple(_outgoing(row) for row in reader.execute(query))

    def content(self, name: str, event: str) -> bytes:
        """What is sent of one event, which is entered in the log. Errors: UnknownMessage."""
        with self._state.read() as reader:
            row = reader.execute(select(subscriber_messages).where(_named(name, event))).one_or_none()
        if row is None:
            raise UnknownMessage(subscriber=name)
        self._audit.append("subscriber.shown", {"subscriber": name}, {"event": event})
        return self._opened(_outgoing(row))

    def replay(self, name: str, named: Collection[str] = (), outcome: str = "given_up") -> int:
        """Send again what is over, under the same ids: those that are named, or all that were given up; gives how many.

        Errors: UnknownMessage when one that is named does not exist or waits already; nothing is then changed.
        """
        now, over = self._clock(), subscriber_messages.c.next_at.is_(None)
        again = {"outcome": "waiting", "next_at": now, "since": now, "attempts": 0, "why": None, "status": None}
        with self._state.begin() as transaction:
            moved = len(named)
            for each in sorted(named):
                done = transaction.execute(update(subscriber_messages).where(_named(name, each) & over).values(**again))
                if not done.rowcount:
                    raise UnknownMessage(subscriber=name)
            if not named:
                mine = (subscriber_messages.c.subscriber == name) & (subscriber_messages.c.outcome == outcome) & over
                moved = transaction.execute(update(subscriber_messages).where(mine).values(**again)).rowcount
            self._audit.append("subscriber.replayed", {"subscriber": name}, {"events": moved}, within=transaction)
        return moved

    def drop(self, name: str, event: str) -> None:
        """Tell a waiting event no more. Errors: UnknownMessage."""
        with self._state.read() as reader:
            row = reader.execute(select(subscriber_messages).where(_named(name, event))).one_or_none()
        if row is None or row.next_at is None:
            raise UnknownMessage(subscriber=name)
        self.end(_outgoing(row), "dropped", "subscriber.dropped")

    def _opened(self, message: Outgoing) -> bytes:
        bound = context(message.receiver, message.sequence)
        return envelope.open(self._sealing, bound, message.sealed, what=message.name)


def _named(subscriber: str, event: str) -> Any:  # noqa: ANN401 - a clause of SQLAlchemy
    return (subscriber_messages.c.subscriber == subscriber) & (subscriber_messages.c.id == event)


def _is(message: Outgoing) -> Any:  # noqa: ANN401 - a clause of SQLAlchemy
    """Its row, while it waits."""
    held = subscriber_messages.c
    return (held.subscriber == message.receiver) & (held.sequence == message.sequence) & held.next_at.is_not(None)


def _outgoing(row: Row[Any], url: str = "", opened: Callable[[Outgoing], bytes] | None = None) -> Outgoing:
    return Outgoing(
        row.subscriber, row.sequence, row.id, row.type, row.at, row.attempts, row.outcome, row.since, row.next_at, row.status,
        row.why, url, row.sealed, opened,
    )  # fmt: skip

"""The diary of events: each taken once, whatever its sender repeats, and kept as it came, sealed.

1. The name that its source gives an event is remembered for good, longer than the event is kept: again, it is the same one.
2. Its bytes are sealed under the site's key; its type, its source and its instant are what a person sees without a key.
3. A position grows with each event: a reader that knows the last one it saw misses none.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, func, insert, select

from saas_connectors.connector import Class, Json
from saas_connectors.payloads import decode, encode
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.events.reading import Told, class_of
from sovereign.settings import EventSource
from sovereign.state import State
from sovereign.state.flowing import event_names, events
from vault import envelope
from vault.keys import Keys

_SEALING, _NAMING = "events/bodies", "events/names"
LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """An event on record: its position, its source, its type, when it came, when its sender signed it, its length in bytes."""

    position: int
    id: str
    source: str
    type: str
    at: datetime
    signed_at: datetime | None
    size: int


class Diary:
    """The events of a site. Safe to use from several threads and processes. sources: those declared, by name."""

    def __init__(
        self, state: State, audit: AuditLog, keys: Keys, clock: Clock, sources: Mapping[str, EventSource] | None = None
    ) -> None:
        self._state, self._audit, self._clock, self._sources = state, audit, clock, sources or {}
        self._sealing, self._naming = keys.derive(_SEALING), keys.derive(_NAMING)

    def take(self, source: str, name: str, told: Told, body: bytes, signed_at: datetime | None) -> tuple[str, bool]:
        """Keep an event; gives its id, and whether it is new. Durable when it returns. Errors: those of the state."""
        id_ = hmac.digest(self._naming, f"{source}\0{name}".encode(), "sha256")[:16].hex()
        with self._state.begin() as transaction:
            if any(transaction.execute(select(each.c.id).where(each.c.id == id_)).first() for each in (events, event_names)):
                self._audit.append("event.repeated", {"event": id_}, {"source": source}, within=transaction)
                return id_, False
            position = (transaction.execute(select(func.max(events.c.position))).scalar() or 0) + 1
            content = encode({"raw": body.decode("latin-1"), "data": dict(told.data)})
            sealed = envelope.seal(self._sealing, _context(id_), content)
            row = {
                "position": position, "id": id_, "source": source, "type": told.type, "at": self._clock(),
                "signed_at": signed_at, "bytes": len(body), "sealed": sealed,
            }  # fmt: skip
            transaction.execute(insert(events).values(**row))
            facts = {"source": source, "type": told.type, "bytes": len(body)}
            self._audit.append("event.taken", {"event": id_}, facts, within=transaction)
        return id_, True

    def refused(self, source: str, code: str, more: int) -> None:
        """Note that a message was refused, and why; nothing of it is kept. more: others like it since the last one noted."""
        self._audit.append("event.refused", {}, {"source": source, "fault": code, "more": more})

    def class_of(self, type_: str, /) -> Class:
        """The highest class that events of a type have, by what their sources declare."""
        return class_of(self._sources, type_)

    def after(self, type_: str, position: int, limit: int, /) -> Sequence[tuple[int, str, Mapping[str, Json]]]:
        """Events of a type after a position, oldest first: position, id, data."""
        query = select(events).where((events.c.type == type_) & (events.c.position > position)).order_by(events.c.position)
        with self._state.read() as reader:
            rows = reader.execute(query.limit(limit)).all()
        return [(row.position, row.id, self._opened(row)["data"]) for row in rows]

    def one(self, name: str, /) -> Mapping[str, Json] | None:
        """The data of one event, None when there is none of that id."""
        with self._state.read() as reader:
            row = reader.execute(select(events).where(events.c.id == name)).one_or_none()
        return None if row is None else self._opened(row)["data"]

    def class_at(self, name: str, /) -> Class:
        """The class of one event: that of its source; that of a source that says nothing when it is declared no more."""
        with self._state.read() as reader:
            source = reader.execute(select(events.c.source).where(events.c.id == name)).scalar()
        return self._sources.get(source or "", EventSource()).class_

    def last(self, type_: str, /) -> int:
        """The position of the latest event of a type, 0 when there is none."""
        with self._state.read() as reader:
            return reader.execute(select(func.max(events.c.position)).where(events.c.type == type_)).scalar() or 0

    def list(self, limit: int = 50, source: str | None = None) -> tuple[Event, ...]:
        """The latest events, newest first."""
        query = select(events).order_by(events.c.position.desc()).limit(limit)
        if source is not None:
            query = query.where(events.c.source == source)
        with self._state.read() as reader:
            return tuple(_event(row) for row in reader.execute(query))

    def body(self, id_: str) -> tuple[Event, bytes] | None:
        """An event and its bytes as they came; None when there is none of that id."""
        with self._state.read() as reader:
            row = reader.execute(select(events).where(events.c.id == id_)).one_or_none()
        return None if row is None else (_event(row), self._opened(row)["raw"].encode("latin-1"))

    def _opened(self, row: Row[Any]) -> Any:  # noqa: ANN401 - JSON
        return decode(envelope.open(self._sealing, _context(row.id), row.sealed, what=row.id))


def _context(id_: str) -> bytes:
    return f"sovereign-event/1:{id_}".encode()


def _event(row: Row[Any]) -> Event:
    return Event(row.position, row.id, row.source, row.type, row.at, row.signed_at, row.bytes)

"""How long events stay: `keep_days` of their source or of their subscriber, then they are removed, which the log says.

1. An event that came in stays as long as a flow, in force or not, has not seen it, or holds it, or could not read it.
2. Its name stays for good: sent again, it is still the same event, and nothing happens. So does the latest position.
3. A message that waits stays; one that was told, given up or dropped goes in its time.
4. It is done in small transactions, oldest first; a stop in between leaves the rest to the next turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, func, insert, not_, or_, select

from sovereign.audit import AuditLog
from sovereign.settings import EventSource, Subscriber
from sovereign.state import State
from sovereign.state.flowing import event_names, events, flow_occasions, flows
from sovereign.state.telling import subscriber_messages

GONE: Final = 90
"""Days for what the settings declare no longer."""
PIECE: Final = 1000
_PREFIX: Final = "event:"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed: events that came in, messages that went out."""

    events: int
    messages: int


def prune(
    state: State, audit: AuditLog, sources: Mapping[str, EventSource], subscribers: Mapping[str, Subscriber], present: datetime
) -> Pruned:
    """Remove what had its time; gives how much."""
    found = Pruned(_events(state, sources, present), _messages(state, subscribers, present))
    if found.events or found.messages:
        audit.append("event.pruned", {}, {"events": found.events, "messages": found.messages})
    return found


def _events(state: State, sources: Mapping[str, EventSource], present: datetime) -> int:
    with state.read() as reader:
        known = list(reader.execute(select(events.c.source).distinct()).scalars())
        last = reader.execute(select(func.max(events.c.position))).scalar() or 0
    removed = 0
    for source in sorted(known):
        days = sources[source].keep_days if source in sources else GONE
        old = (events.c.source == source) & (events.c.at <= present - timedelta(days=days)) & (events.c.position < last)
        while True:
            with state.begin() as transaction:
                seen = [
                    each for position in transaction.execute(select(flows.c.position)).scalars() for each in position.items()
                ]
                query = select(events.c.position, events.c.id).where(old & _spent(seen)).order_by(events.c.position)
                rows = transaction.execute(query.limit(PIECE)).all()
                if rows:
                    transaction.execute(insert(event_names), [{"id": row.id} for row in rows])
                    transaction.execute(delete(events).where(events.c.position.in_([row.position for row in rows])))
            removed += len(rows)
            if len(rows) < PIECE:
                break
    return removed


def _spent(seen: list[tuple[str, Any]]) -> Any:  # noqa: ANN401 - a clause of SQLAlchemy
    """No flow needs it. seen: how far each flow has seen, by type."""
    ahead = [and_(events.c.type == type_, events.c.position > at) for type_, at in seen if isinstance(at, int)]
    c = flow_occasions.c
    kept = select(func.substr(c.occasion, len(_PREFIX) + 1)).where(
        c.state.in_(("failed", "held")) & c.occasion.startswith(_PREFIX)
    )
    return and_(events.c.id.not_in(kept), *((not_(or_(*ahead)),) if ahead else ()))


def _messages(state: State, subscribers: Mapping[str, Subscriber], present: datetime) -> int:
    c = subscriber_messages.c
    with state.read() as reader:
        known = list(reader.execute(select(c.subscriber).distinct()).scalars())
    removed = 0
    for name in sorted(known):
        days = subscribers[name].keep_days if name in subscribers else GONE
        over = (c.subscriber == name) & (c.outcome != "waiting") & (c.since <= present - timedelta(days=days))
        while True:
            with state.begin() as transaction:
                query = select(c.sequence).where(over).order_by(c.sequence).limit(PIECE)
                rows = list(transaction.execute(query).scalars())
                if rows:
                    mine = (c.subscriber == name) & c.sequence.in_(rows)
                    transaction.execute(delete(subscriber_messages).where(mine))
            removed += len(rows)
            if len(rows) < PIECE:
                break
    return removed

"""What the state of a site saw go by: pulls, copies, events, writes, occasions of flows, events sent. Counts, names, instants.

1. Volumes are those since an instant; when something was last seen is told whatever the period.
2. Classes found in writes are those of the latest ones, and so are reads through the gateway: `LATEST` of them at most.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import case, func, select

from sovereign.cartography.marks import FOUND
from sovereign.reports.departure import DONE
from sovereign.state import State
from sovereign.state.flowing import events, flow_occasions, flows
from sovereign.state.outbound import decisions, deliveries, intents
from sovereign.state.schema import audit_entries, runs
from sovereign.state.telling import subscriber_messages

LATEST: Final = 10_000
"""Writes whose classes and findings are looked at; reads that are counted."""
GOOD: Final = ("succeeded", "partial")
"""How a run ends that brought something."""
READS: Final = ("read.passed", "read.mirrored")
SEEN: Final = ("sync.committed", "sync.unchanged")


class Seen(NamedTuple):
    """What went by: rows (or messages) and bytes of the period, and when it was last seen, None when it never was."""

    rows: int = 0
    bytes: int = 0
    last: datetime | None = None


@dataclass(slots=True)
class Writes:
    """What one application wrote to one connection: asked for and done in the period, last asked for ever."""

    asked: int = 0
    done: int = 0
    bytes: int = 0
    last: datetime | None = None
    what: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)


class Observed:
    """What a state saw since an instant."""

    def __init__(self, state: State, since: datetime) -> None:
        self._state, self._since = state, since

    def pulled(self) -> dict[str, Seen]:
        """What was pulled, by connection; last seen when a run last went well."""
        found: dict[str, Seen] = {}
        with self._state.read() as reader:
            last = select(runs.c.connection, func.max(runs.c.finished_at)).group_by(runs.c.connection)
            for name, at in reader.execute(last.where(runs.c.state.in_(GOOD))):
                found[name] = Seen(last=at)
            volumes = select(runs.c.connection, runs.c.counts).where(runs.c.started_at >= self._since)
            for name, counts in reader.execute(volumes.execution_options(yield_per=1000)):
                known = found.get(name, Seen())
                rows, size = int(counts.get("rows", 0)), int(counts.get("bytes_in", 0))
                found[name] = Seen(known.rows + rows, known.bytes + size, known.last)
        return found

    def committed(self) -> dict[str, datetime]:
        """When each dataset was last found new, or unchanged, by `connection.stream`."""
        kept = audit_entries.c
        query = select(kept.connection, kept.stream, func.max(kept.at)).where(kept.act.in_(SEEN))
        with self._state.read() as reader:
            rows = reader.execute(query.group_by(kept.connection, kept.stream))
            return {f"{connection}.{stream}": at for connection, stream, at in rows}

    def came(self) -> dict[tuple[str, str], Seen]:
        """The events that came, by source and type."""
        c = events.c
        query = select(c.source, c.type, *self._sums(c.at, 1, c.bytes), func.max(c.at)).group_by(c.source, c.type)
        with self._state.read() as reader:
            return {(row[0], row[1]): Seen(int(row[2]), int(row[3]), row[4]) for row in reader.execute(query)}

    def sent(self) -> dict[str, Seen]:
        """The events that were told to subscribers."""
        c = subscriber_messages.c
        query = select(c.subscriber, *self._sums(c.at, 1), func.max(c.at)).group_by(c.subscriber)
        with self._state.read() as reader:
            return {row[0]: Seen(int(row[1]), 0, row[2]) for row in reader.execute(query)}

    def acted(self) -> dict[tuple[str, str], Seen]:
        """What made flows act, by flow and by what it was (`change`, `event`, `every`): rows found."""
        c = flow_occasions.c
        kind = case(*((c.occasion.like(f"{each}:%"), each) for each in ("change", "event", "every")), else_="hand")
        query = select(c.flow, kind.label("kind"), *self._sums(c.at, c.found), func.max(c.at)).group_by(c.flow, "kind")
        with self._state.read() as reader:
            return {(row[0], row[1]): Seen(int(row[2]), 0, row[3]) for row in reader.execute(query)}

    def force(self) -> dict[str, str]:
        """The flows that were ever enabled: `enabled` or `disabled`."""
        with self._state.read() as reader:
            return {row.flow: row.state for row in reader.execute(select(flows.c.flow, flows.c.state))}

    def written(self) -> dict[tuple[str, str], Writes]:
        """What every application wrote, by application and connection."""
        c, found = intents.c, dict[tuple[str, str], Writes]()
        new = c.received_at >= self._since
        done = func.sum(case((new & deliveries.c.state.in_(DONE), 1), else_=0))
        counted = (*self._sums(c.received_at, 1, c.bytes), done, func.max(c.received_at))
        joined = intents.outerjoin(deliveries, deliveries.c.intent == c.id)
        query = select(c.client, c.connection, c.operation, *counted).select_from(joined)
        with self._state.read() as reader:
            for client, to, operation, asked, size, went, last in reader.execute(
                query.group_by(c.client, c.connection, c.operation)
            ):
                made = found.setdefault((client, to), Writes())
                made.asked, made.done, made.bytes = made.asked + int(asked), made.done + int(went), made.bytes + int(size)
                made.last = max(filter(None, (made.last, last)), default=None)
                made.what.add(operation)
            both = intents.join(decisions, decisions.c.intent == c.id)
            latest = select(c.client, c.connection, decisions.c.question, decisions.c.findings).select_from(both)
            for client, to, question, findings in reader.execute(latest.order_by(c.received_at.desc()).limit(LATEST)):
                made = found[client, to]
                made.classes |= {str(each) for each in question.get("classes", ())}
                made.found |= {FOUND[kind] for kind, _, sure in findings if sure and kind in FOUND}
        return found

    def asked(self) -> dict[tuple[str, str], Seen]:
        """The reads that applications passed through the gateway, by application and connection; of the latest ones."""
        kept, found = audit_entries.c, dict[tuple[str, str], Seen]()
        query = select(kept.entry, kept.at).where(kept.act.in_(READS)).order_by(kept.seq.desc()).limit(LATEST)
        with self._state.read() as reader:
            for text, at in reader.execute(query):
                entry = orjson.loads(text)
                key = str(entry["facts"].get("client", "")), str(entry["subject"].get("connection", ""))
                known = found.get(key, Seen())
                found[key] = Seen(known.rows + (at >= self._since), 0, max(filter(None, (known.last, at))))
        return found

    def _sums(self, at: Any, *values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - columns, or one for each row
        return tuple(func.sum(case((at >= self._since, value), else_=0)) for value in values)

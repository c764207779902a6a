"""When each connection is due, and what became of each due time: one occurrence a due time, whoever finds it first.

What a cadence means is `sync`'s business; here it is text.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from sovereign.clock import Clock
from sovereign.state.schema import jobs, occurrences
from sovereign.state.store import State


@dataclass(frozen=True, slots=True)
class Job:
    """A connection's cadence, when it is next due, and how it last ended; instants are UTC."""

    connection: str
    cadence: str
    due_at: datetime | None
    last_due_at: datetime | None
    last_run: str | None
    last_state: str | None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due time. `id` is `connection@due-time-in-UTC`; `state`: `started`, `missed`, or how its run ended."""

    id: str
    connection: str
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    state: str
    run: str | None
    error: str | None


def occurrence_id(connection: str, due_at: datetime) -> str:
    """The one name of a due time."""
    return f"{connection}@{due_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Jobs:
    """The jobs of a site."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state, self._clock = state, clock

    def plan(self, connection: str, cadence: str, due_at: datetime | None, *, within: Connection | None = None) -> None:
        """Set when a connection is next due; its history stays."""
        with self._state.within(within) as transaction:
            known = transaction.execute(
                select(jobs.c.connection).where(jobs.c.connection == connection).with_for_update()
            ).first()
            if known is None:
                transaction.execute(insert(jobs).values(connection=connection, cadence=cadence, due_at=due_at))
            else:
                transaction.execute(update(jobs).where(jobs.c.connection == connection).values(cadence=cadence, due_at=due_at))

    def forget(self, connection: str) -> None:
        """Take a job out; the history of its occurrences stays."""
        with self._state.begin() as transaction:
            transaction.execute(delete(jobs).where(jobs.c.connection == connection))

    def get(self, connection: str) -> Job | None:
        """The job of a connection."""
        with self._state.read() as reader:
            row = reader.execute(select(jobs).where(jobs.c.connection == connection)).one_or_none()
        return None if row is None else Job(**row._asdict())

    def list(self) -> tuple[Job, ...]:
        """All jobs, by connection."""
        with self._state.read() as reader:
            return tuple(Job(**row._asdict()) for row in reader.execute(select(jobs).order_by(jobs.c.connection)))

    def due(self) -> tuple[Job, ...]:
        """The jobs whose time has come, the most overdue first."""
        query = select(jobs).where(jobs.c.due_at <= self._clock()).order_by(jobs.c.due_at)
        with self._state.read() as reader:
            return tuple(Job(**row._asdict()) for row in reader.execute(query))

    def claim(
        self, connection: str, due_at: datetime, *, state: str = "started", within: Connection | None = None
    ) -> str | None:
        """Take a due time, once: returns its id, or None when someone took it before."""
        name, present = occurrence_id(connection, due_at), self._clock()
        values: dict[str, Any] = {"id": name, "connection": connection, "due_at": due_at, "state": state}
        with self._state.within(within) as transaction:
            # The job's row serialises claims on engines that write concurrently.
            transaction.execute(select(jobs.c.connection).where(jobs.c.connection == connection).with_for_update())
            if transaction.execute(select(occurrences.c.id).where(occurrences.c.id == name)).first() is not None:
                return None
            transaction.execute(insert(occurrences).values(**values, started_at=present))
            transaction.execute(
                update(jobs).where(jobs.c.connection == connection).values(last_due_at=due_at, last_state=state)
            )
        return name

    def settle(self, occurrence: str, state: str, *, run: str | None = None, error: str | None = None) -> None:
        """Say how a due time ended. error: a fault's code."""
        with self._state.begin() as transaction:
            row = transaction.execute(select(occurrences).where(occurrences.c.id == occurrence)).one()
            values = {"state": state, "finished_at": self._clock(), "run": run, "error": error}
            transaction.execute(update(occurrences).where(occurrences.c.id == occurrence).values(**values))
            latest = (jobs.c.connection == row.connection) & (jobs.c.last_due_at == row.due_at)
            transaction.execute(update(jobs).where(latest).values(last_run=run, last_state=state))

    def history(self, connection: str | None = None, *, limit: int = 100) -> tuple[Occurrence, ...]:
        """The latest due times, newest first."""
        query = select(occurrences).order_by(occurrences.c.due_at.desc(), occurrences.c.id).limit(limit)
        if connection is not None:
            query = query.where(occurrences.c.connection == connection)
        with self._state.read() as reader:
            return tuple(_occurrence(row) for row in reader.execute(query))


def _occurrence(row: Row[Any]) -> Occurrence:
    return Occurrence(**row._asdict())

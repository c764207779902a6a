"""Runs and their attempts, as facts: what was asked, when, how it ended. Never a record's value, never a cursor."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from sovereign.clock import Clock
from sovereign.state.identity import new_id
from sovereign.state.schema import attempts, runs
from sovereign.state.store import State


@dataclass(frozen=True, slots=True)
class Run:
    """One pull of one connection; `counts` and `outcome` are JSON without personal values, instants are UTC."""

    id: str
    connection: str
    trigger: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    waiting_until: datetime | None
    attempts: int
    verdict: str | None
    error: str | None
    counts: Mapping[str, Any]
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a run."""

    run: str
    number: int
    started_at: datetime
    finished_at: datetime | None
    state: str
    error: str | None


class Runs:
    """The runs of a site. Every writer takes the transaction it belongs to, or makes its own."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state, self._clock = state, clock

    def transaction(self) -> AbstractContextManager[Connection]:
        """A write transaction, for `within`: what is written in it is there together, or not at all."""
        return self._state.begin()

    def start(self, connection: str, trigger: str, *, run: str | None = None, within: Connection | None = None) -> str:
        """Begin a run and its first attempt; returns its name."""
        name, present = run or new_id(self._clock), self._clock()
        values = {"id": name, "connection": connection, "trigger": trigger, "state": "running", "started_at": present}
        with self._state.within(within) as transaction:
            transaction.execute(insert(runs).values(**values, attempts=1, counts={}))
            transaction.execute(insert(attempts).values(run=name, number=1, started_at=present, state="running"))
        return name

    def resume(self, run: str, *, within: Connection | None = None) -> int:
        """Begin another attempt of a run; an attempt left open is closed as `interrupted`. Returns its number."""
        present = self._clock()
        with self._state.within(within) as transaction:
            self._close(transaction, run, present, "interrupted", None)
            count = transaction.execute(select(runs.c.attempts).where(runs.c.id == run).with_for_update()).scalar_one() + 1
            values = {"state": "running", "attempts": count, "finished_at": None, "waiting_until": None, "error": None}
            transaction.execute(update(runs).where(runs.c.id == run).values(**values))
            transaction.execute(insert(attempts).values(run=run, number=count, started_at=present, state="running"))
        return int(count)

    def finish(
        self,
        run: str,
        state: str,
        *,
        verdict: str | None = None,
        error: str | None = None,
        counts: Mapping[str, Any] | None = None,
        outcome: Mapping[str, Any] | None = None,
        waiting_until: datetime | None = None,
        within: Connection | None = None,
    ) -> None:
        """Say how a run, and its present attempt, ended. error: a fault's code."""
        present = self._clock()
        values = {"state": state, "finished_at": present, "waiting_until": waiting_until, "verdict": verdict, "error": error}
        with self._state.within(within) as transaction:
            transaction.execute(
                update(runs).where(runs.c.id == run).values(**values, counts=dict(counts or {}), outcome=outcome)
            )
            self._close(transaction, run, present, state, error)

    def get(self, run: str) -> Run | None:
        """One run by its name."""
        with self._state.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run)).one_or_none()
        return None if row is None else _run(row)

    def list(self, connection: str | None = None, *, state: str | None = None, limit: int = 100) -> tuple[Run, ...]:
        """The latest runs, newest first."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if connection is not None:
            query = query.where(runs.c.connection == connection)
        if state is not None:
            query = query.where(runs.c.state == state)
        with self._state.read() as reader:
            return tuple(_run(row) for row in reader.execute(query))

    def attempts(self, run: str) -> tuple[Attempt, ...]:
        """The attempts of a run, in order."""
        query = select(attempts).where(attempts.c.run == run).order_by(attempts.c.number)
        with self._state.read() as reader:
            return tuple(Attempt(**row._asdict()) for row in reader.execute(query))

    @staticmethod
    def _close(transaction: Connection, run: str, present: datetime, state: str, error: str | None) -> None:
        opened = (attempts.c.run == run) & (attempts.c.finished_at.is_(None))
        transaction.execute(update(attempts).where(opened).values(finished_at=present, state=state, error=error))


def _run(row: Row[Any]) -> Run:
    return Run(**row._asdict())

"""The record of a run: a row of `state.db` and an entry of the audit log, written in one transaction.

When the disk is full there may be no room for the record itself; the run's outcome is returned all the same, with a remark.
The row, left as `running` without a lease, reads as interrupted until the next run closes it: it continues the draft when
there is one, and enters `sync.interrupted` otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.state import Leases, Run, Runs, StateError, new_id
from sovereign.sync.errors import UnknownRun
from sovereign.sync.landing import ResumePoint
from sovereign.sync.outcome import RunOutcome, RunState, Said, Shown, StreamOutcome
from sovereign.sync.trouble import explained
from vault.errors import Fault

_ACTS = {"waiting": "sync.waiting", "cancelled": "sync.cancelled", "failed": "sync.failed"}
_WORST = ("partial", "unverified", "complete")


@dataclass(slots=True)
class Record:
    """Writes the record of one run of a connection."""

    runs: Runs
    audit: AuditLog
    clock: Clock
    connection: str
    trigger: str
    run: str = ""
    attempts: int = 1
    started_at: datetime | None = None
    entered: bool = True
    """Whether the end could be written down."""

    def begin(self, run: str | None) -> None:
        """Note that a run begins, or that the run called `run` goes on."""
        known = self.runs.get(run) if run else None
        self.run = run or new_id(self.clock)
        self.started_at = known.started_at if known else self.clock()
        with self.runs.transaction() as within:
            if known is not None:
                self.trigger = known.trigger
                self.attempts = self.runs.resume(self.run, within=within)
            else:
                self.runs.start(self.connection, self.trigger, run=self.run, within=within)
            act, facts = "sync.resumed" if run else "sync.started", {"attempt": self.attempts, "trigger": self.trigger}
            self.audit.append(act, self._subject(), facts, within=within)

    def finish(
        self,
        state: RunState,
        point: ResumePoint,
        *,
        streams: Iterable[StreamOutcome] = (),
        fault: Fault | None = None,
        until: datetime | None = None,
        remarks: tuple[Said, ...] = (),
    ) -> RunOutcome:
        """Note how the attempt ended, and give the outcome."""
        outcome = RunOutcome(
            run=self.run, connection=self.connection, state=state, trigger=self.trigger,
            started_at=self.started_at or self.clock(), finished_at=self.clock(), waiting_until=until,
            streams=tuple(streams) or tuple(point.finished.values()), fault=Shown.of(fault) if fault else None,
            rows=point.rows, pages=point.pages, requests=point.requests, bytes_in=point.bytes_in, attempts=self.attempts,
            remarks=remarks,
        )  # fmt: skip
        counts = {"rows": point.rows, "pages": point.pages, "requests": point.requests, "bytes_in": point.bytes_in}
        verdicts = [stream.verdict for stream in outcome.streams]
        facts = {"state": state, **counts, **({"fault": fault.code} if fault else {})}
        try:
            with self.runs.transaction() as within:
                self.runs.finish(
                    self.run, state, verdict=next((each for each in _WORST if each in verdicts), None),
                    error=fault.code if fault else None, counts=counts, outcome=msgspec.to_builtins(outcome),
                    waiting_until=until, within=within,
                )  # fmt: skip
                self.audit.append(_ACTS.get(state, "sync.finished"), self._subject(), facts, within=within)
        except (SQLAlchemyError, StateError) as error:
            shown = Shown.of(explained(error, self.run))
            lost = Said(f"le journal n'a pas pu l'inscrire encore : {shown.fr}", f"it could not be entered yet: {shown.en}")
            outcome = msgspec.structs.replace(outcome, remarks=(*remarks, lost))
            self.entered = False
        return outcome

    def _subject(self) -> dict[str, object]:
        return {"connection": self.connection, "run": self.run}


def close_interrupted(runs: Runs, audit: AuditLog, connection: str, going_on: str | None) -> None:
    """Say of the runs whose end nobody wrote down that they were interrupted; the connection's lease is held.

    going_on: the run that is about to be continued, which will have its own end.
    """
    for run in runs.list(connection, state="running"):
        if run.id != going_on:
            with runs.transaction() as within:
                runs.finish(run.id, "interrupted", counts=run.counts, outcome=run.outcome, within=within)
                audit.append("sync.interrupted", {"connection": connection, "run": run.id}, {}, within=within)


def outcome_of(run: Run, leases: Leases, lease: str) -> RunOutcome:
    """Read the outcome of a run; one that says it works while nobody holds the lease was interrupted."""
    if run.outcome is not None and run.state not in ("running", "interrupted"):
        held: Any = run.outcome
        return msgspec.convert(held, RunOutcome)
    running = run.state == "running" and leases.holder(lease) is not None
    state: RunState = "running" if running else "interrupted"
    return RunOutcome(
        run=run.id, connection=run.connection, state=state, trigger=run.trigger, started_at=run.started_at,
        finished_at=run.finished_at, attempts=run.attempts, rows=run.counts.get("rows", 0),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """The runs of a site, as outcomes."""

    runs: Runs
    leases: Leases

    def latest(self, connection: str | None = None, limit: int = 50) -> tuple[RunOutcome, ...]:
        """The latest runs, newest first."""
        found = self.runs.list(connection, limit=limit)
        return tuple(outcome_of(run, self.leases, f"connection/{run.connection}") for run in found)

    def get(self, run: str) -> RunOutcome:
        """One run; raises UnknownRun."""
        found = self.runs.get(run)
        if found is None:
            raise UnknownRun(run=run)
        return outcome_of(found, self.leases, f"connection/{found.connection}")

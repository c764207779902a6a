"""Jobs: connections pulled on a cadence, by `sovereign serve`.

1. When a connection is due is kept in `state.db`. A due time is claimed once, under the name `connection@due-time-in-UTC`,
   whoever finds it first; the next one is set in the same transaction.
2. One run a connection at a time: a due time that comes while a run works, or while the vendor asked for a pause, waits for
   its end. Several that were missed make one run.
3. What fell due while nothing served is made once at the start (`missed = "once"`), or noted as missed (`"skip"`). A run that
   its process left unfinished is continued at the start; one that waits for the vendor is continued when the pause is over.
4. What has had its time (raw archives above all, of connections that no longer run too) is removed at the start and every hour.
5. A stop is clean: runs stop at their next page with everything so far kept, and the service ends when they have.

`schedule` says when to look; it counts in the machine's wall-clock time, which goes back an hour in autumn, so due times
themselves come from `cadence`, and a clock that went back starts the look-outs anew. Work is done by `Workers`, a port.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import schedule
from sqlalchemy.exc import SQLAlchemyError

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.settings import Connection, Settings
from sovereign.state import Jobs as Diary
from sovereign.state import Leases, Occurrence, Run, Runs, State
from sovereign.sync.cadence import Cadence, parse
from sovereign.sync.engine import Syncs
from sovereign.sync.errors import NoCadence
from sovereign.sync.fence import lease_of
from sovereign.sync.outcome import RunOutcome
from sovereign.sync.progress import SILENT, Progress
from sovereign.sync.workers import Threads, Work, Workers
from vault.errors import Fault

LATE: Final = timedelta(minutes=5)
"""How long after its time a due run that nothing held up is said to be late, or with `missed = "skip"` is let pass."""
LOOK: Final = 1
"""Seconds between two looks at what is due."""
SERVE: Final = "serve"
HOUSE: Final = "@"
"""How the diary's names of jobs begin that are no connection's, and that are others' to do: backups."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A connection's job as people see it; instants are UTC."""

    connection: str
    cadence: str
    zone: str
    due_at: datetime
    running: bool
    late: bool
    waiting_until: datetime | None
    last_due_at: datetime | None
    last_state: str | None
    last_run: str | None


def cadence_of(connection: Connection, settings: Settings) -> Cadence | None:
    """Give the cadence of a connection, None when it has none; raises BadCadence."""
    return said(connection.every, connection.schedule, connection.zone or settings.site.zone)


def said(every: str | None, schedule: str | None, zone: str) -> Cadence | None:
    """Understand what `every` or `schedule` says, None when neither says anything; raises BadCadence."""
    text = schedule or every
    if text is None:
        return None
    if every is not None and not text.lower().lstrip().startswith(("every", "tou", "chaque")):
        text = f"every {text}"
    return parse(text, zone)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a site.

    housekeep: called when serving starts, then every hour, with the connections that have work, which it leaves alone.
    """

    settings: Callable[[], Settings]
    state: State
    diary: Diary
    runs: Runs
    leases: Leases
    audit: AuditLog
    syncs: Syncs
    clock: Clock
    housekeep: Callable[[frozenset[str]], object] = lambda _: None

    def list(self) -> tuple[JobStatus, ...]:
        """Every job, the next one due first. Looking changes nothing."""
        present = self.clock()
        found = []
        known = {job.connection: job for job in self.diary.list()}
        pauses = self._pauses()
        for name, cadence in self._cadences().items():
            job = known.get(name)
            due = job.due_at if job and job.due_at and job.cadence == cadence.text else cadence.after(present, name)
            running = self.leases.holder(lease_of(name)) is not None
            pause = pauses[name].waiting_until if name in pauses else None
            late = not running and present - due > LATE and (pause is None or pause <= present)
            last = (job.last_due_at, job.last_state, job.last_run) if job else (None, None, None)
            found.append(JobStatus(name, cadence.text, cadence.zone.key, due, running, late, pause, *last))
        return tuple(sorted(found, key=lambda each: (each.due_at, each.connection)))

    def history(self, connection: str | None = None, *, limit: int = 50) -> tuple[Occurrence, ...]:
        """The latest due times and what became of them, newest first."""
        return self.diary.history(connection, limit=limit)

    def run(
        self, connection: str, progress: Progress = SILENT, stop: threading.Event | None = None, *, now: bool = False
    ) -> RunOutcome:
        """Make a job's run now, without moving its next due time; raises NoCadence, and what `Syncs.run` raises."""
        if connection not in self._cadences():
            raise NoCadence(connection=connection, known=", ".join(self._cadences()) or "-")
        return self.syncs.run(connection, progress=progress, stop=stop, trigger="job", now=now)

    def serve(
        self,
        stop: threading.Event,
        progress_for: Callable[[str], Progress] = lambda _: SILENT,
        make_workers: Callable[[Callable[[Work], None]], Workers] = Threads,
        beside: AbstractContextManager[object] | None = None,
    ) -> None:
        """Make every run when it is due, until `stop` is set and what is under way has stopped. Errors: Locked, BadCadence.

        beside: what only the one process that serves may do, entered once it is that one.
        """
        with self.leases.hold(SERVE, "serve"), beside or nullcontext():
            self.audit.append("serve.started", {}, {"jobs": len(self._cadences())})
            workers = make_workers(lambda work: self._perform(work, progress_for(work.connection), stop))
            try:
                self._keep_house(workers)
                self._take_up(workers)
                self._watch(workers, stop)
            finally:
                workers.close()
                self.audit.append("serve.stopped", {}, {})

    def look(self, workers: Workers) -> None:
        """Enqueue what is due now."""
        present, busy = self.clock(), workers.busy()
        known = {job.connection: job for job in self.diary.list()}
        pauses = self._pauses()
        for run in pauses.values():
            if run.waiting_until and run.waiting_until <= present and self._free(run.connection, busy):
                workers.enqueue(Work(run.id, run.connection, run.waiting_until, "resume"))
        busy = workers.busy()
        for name, cadence in self._cadences().items():
            job = known.get(name)
            if job is None or job.due_at is None or job.cadence != cadence.text:
                self.diary.plan(name, cadence.text, cadence.after(present, name))
            elif job.due_at <= present and name not in pauses and self._free(name, busy):
                self._fall_due(workers, name, cadence, job.due_at)

    def _fall_due(self, workers: Workers, name: str, cadence: Cadence, due_at: datetime) -> None:
        present = self.clock()
        skip = self.settings().connections[name].missed == "skip" and present - due_at > LATE
        with self.state.begin() as transaction:
            id_ = self.diary.claim(name, due_at, state="missed" if skip else "started", within=transaction)
            self.diary.plan(name, cadence.text, cadence.after(present, name), within=transaction)
            if id_ is not None:
                act = "job.missed" if skip else "job.due"
                self.audit.append(act, {"connection": name, "job": id_}, {}, within=transaction)
        if id_ is not None and not skip:
            workers.enqueue(Work(id_, name, due_at, "job"))

    def _take_up(self, workers: Workers) -> None:
        """At the start: continue what a process that died had begun, and forget jobs that no longer are."""
        cadences = self._cadences()
        for job in self.diary.list():
            if job.connection not in cadences and not job.connection.startswith(HOUSE):
                self.diary.forget(job.connection)
        for occurrence in self.diary.history(limit=1000):
            if occurrence.connection.startswith(HOUSE):
                continue
            if occurrence.state == "started" and self._free(occurrence.connection, workers.busy()):
                if occurrence.connection in cadences:
                    workers.enqueue(Work(occurrence.id, occurrence.connection, occurrence.due_at, "job"))
                else:
                    self.diary.settle(occurrence.id, "interrupted")

    def _watch(self, workers: Workers, stop: threading.Event) -> None:
        lookouts = self._lookouts(workers)
        while not stop.is_set():
            lookouts.run_pending()
            idle = lookouts.idle_seconds or 0.0
            if idle > 2 * LOOK:  # the wall clock went back
                lookouts = self._lookouts(workers)
                idle = 0.0
            stop.wait(max(0.05, min(idle, LOOK)))

    def _lookouts(self, workers: Workers) -> schedule.Scheduler:
        lookouts = schedule.Scheduler()
        lookouts.every(LOOK).seconds.do(self.look, workers)
        lookouts.every().hour.do(self._keep_house, workers)
        self.look(workers)
        return lookouts

    def _keep_house(self, workers: Workers) -> None:
        """Remove what has had its time. What cannot be removed now stays until the next hour; the service goes on."""
        with suppress(Fault, OSError, SQLAlchemyError):
            self.housekeep(workers.busy())

    def _perform(self, work: Work, progress: Progress, stop: threading.Event) -> None:
        run, state, error = None, "failed", None
        try:
            outcome = self.syncs.run(work.connection, progress=progress, stop=stop, trigger=work.trigger)
            run, state, error = outcome.run, outcome.state, outcome.fault.code if outcome.fault else None
        except Fault as fault:
            error = fault.code
        occurrence = work.id if work.trigger == "job" else self._occurrence_of(work)
        if occurrence is not None:
            self.diary.settle(occurrence, state, run=run, error=error)

    def _occurrence_of(self, work: Work) -> str | None:
        """Find the due time whose run waited for the vendor."""
        found = (each.id for each in self.diary.history(work.connection, limit=100) if each.run == work.id)
        return next(found, None)

    def _cadences(self) -> dict[str, Cadence]:
        settings = self.settings()
        found = {name: cadence_of(each, settings) for name, each in sorted(settings.connections.items())}
        return {name: cadence for name, cadence in found.items() if cadence is not None}

    def _free(self, connection: str, busy: frozenset[str]) -> bool:
        return connection not in busy and self.leases.holder(lease_of(connection)) is None

    def _pauses(self) -> dict[str, Run]:
        """The runs that wait for their vendor, by connection; one that a later run replaced waits for nothing."""
        waiting = self.runs.list(state="waiting")
        return {run.connection: run for run in waiting if self.runs.list(run.connection, limit=1)[0].id == run.id}

"""One run, from the lease to the audit log.

1. One run a connection at a time: the lease is held from the plan to the last mart.
2. A run that stopped (a crash, a signal, a vendor's pause, a broken network) is continued by the next one of the connection:
   same name, same plan, same instant of departure. It starts again from nothing when the settings or the connector changed,
   when it is older than a week, when the source changed under it, or when an attempt advanced nothing and met the same wrong
   answer: at once, within the same command, when that answer was below 500 (`sovereign.sync.continuing`).
3. Whatever happens, the last good copy stays as it is: only `publishing` makes a snapshot, after the last slice was read.
4. A fault becomes an outcome: it is kept with the run, shown, and entered in the audit log. What prevents a run from existing
   at all (another holds the lease, no such connection or stream, a wrong setting) is raised.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from saas_connectors.connector import Connector
from saas_connectors.errors import ConnectorError, ResumeLost
from snapshots.dataset import DatasetId
from snapshots.draft import Draft
from snapshots.errors import DraftBusy
from snapshots.manifest import Manifest, Provenance
from snapshots.repository import Repository
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.egress.budget import BUDGETS
from sovereign.egress.counters import Counters
from sovereign.egress.errors import Interrupted, Waiting
from sovereign.egress.transport import Transport
from sovereign.settings import Connection, Settings
from sovereign.state import Lease, Leases, Runs, StateFull
from sovereign.sync import attempt, disposal, retention
from sovereign.sync.continuing import Asked, fits, stuck, worth_keeping
from sovereign.sync.errors import ConnectorFailed, StillWaiting, UnknownConnection
from sovereign.sync.fence import Fenced, lease_of
from sovereign.sync.landing import Landing, ResumePoint
from sovereign.sync.outcome import RunOutcome, RunState, Said, Shown, StreamOutcome
from sovereign.sync.plan import Known, Plan, from_json, to_json
from sovereign.sync.progress import SILENT, Awaited, Phase, Progress, RunFinished, RunStarted
from sovereign.sync.publishing import Publisher, recover
from sovereign.sync.reading import Stopped
from sovereign.sync.records import Record, close_interrupted
from sovereign.sync.rollback import rolled_back
from sovereign.sync.shelving import Shelving
from sovereign.sync.tidying import tidy
from sovereign.sync.trouble import explained
from sovereign.sync.verdict import Guards
from vault.errors import Fault, Shredded


@dataclass(frozen=True, slots=True)
class Syncs:
    """Runs the syncs of a site.

    connector: makes the connector of a connection; transport: opens its way out, which a set event interrupts; refresh:
    brings the marts of a dataset up to a snapshot.
    """

    settings: Callable[[], Settings]
    repository: Repository
    audit: AuditLog
    runs: Runs
    leases: Leases
    connector: Callable[[str], Connector]
    transport: Callable[[str, threading.Event], Transport]
    refresh: Callable[[DatasetId, Manifest], None]
    clock: Clock

    def run(
        self,
        connection: str,
        *,
        streams: Sequence[str] | None = None,
        full: bool = False,
        progress: Progress = SILENT,
        stop: threading.Event | None = None,
        trigger: str = "hand",
        now: bool = False,
        accept: str | None = None,
    ) -> RunOutcome:
        """Pull a connection, or go on with the run that stopped.

        streams: which, all when None; full: read everything again; stop: set it to stop at the next page; trigger: `hand` or
        `job`; now: go ahead although the vendor asked for a pause; accept: why an operator lifts the guards for this
        run. Errors: UnknownConnection, UnknownStream, StillWaiting, Locked, SettingsError, DiskFull before it began.
        Anything else is in the outcome.
        """
        settings = self._connection(connection)
        if now:
            BUDGETS.reopen()
        elif (until := self._pause(connection)) is not None:
            raise StillWaiting(connection=connection, until=until)
        made, chosen = self.connector(connection), tuple(streams) if streams else None
        with _told(connection), self.leases.hold(lease_of(connection), f"sync {os.getpid()}") as lease:
            recover(self.repository, self.audit, connection)
            lost = rolled_back(self.repository, self.audit, connection)
            if accept is not None:
                facts = {"streams": sorted(chosen)} if chosen else {}
                self.audit.append("quarantine.released", {"connection": connection}, facts, {"reason": accept})
            book, lifted = self._book(lease), accept is not None
            asked = Asked(settings, chosen, full, trigger, progress, stop or threading.Event(), book, lost, lifted)
            # None: the source changed under the draft, which was dropped; once more, from nothing.
            outcome = self._once(asked, made) or self._once(asked, made)
            if outcome is None:
                raise ResumeLost(stream=connection)
            with suppress(Fault, OSError, SQLAlchemyError):  # the next run does it again
                tidy(self.repository, self.audit, book, connection)
        with suppress(Fault, OSError, SQLAlchemyError):  # the next run, or `serve`, does it again
            known = self.settings().connections
            retention.sweep(self.repository, self.audit, self.runs, self.leases, known, self.clock())
            mine = {connection: known[connection]}
            disposal.sweep(self.repository, self.audit, self.runs, self.leases, mine, self.clock())
        progress.emit(RunFinished(outcome.run, connection, outcome.state, self.clock()))
        return outcome

    def replay(self, run: str, *, progress: Progress = SILENT, stop: threading.Event | None = None) -> RunOutcome:
        """Make the snapshots of a run again from its raw archive, without the vendor; see `sovereign.sync.replay`.

        Errors: NothingToReplay, ReplayOld, UnknownConnection, Locked, Shredded. Anything else is in the outcome.
        """
        from sovereign.sync.replay import Tape, replay

        connection = Tape.of(self.repository, run).connection
        self._connection(connection)
        with self.leases.hold(lease_of(connection), f"replay {os.getpid()}") as lease:
            recover(self.repository, self.audit, connection)
            book = self._book(lease)
            outcome = replay(self, run, progress, stop or threading.Event(), book)
            with suppress(Fault, OSError, SQLAlchemyError):
                tidy(self.repository, self.audit, book, connection)
        return outcome

    def _book(self, lease: Lease) -> Fenced:
        return Fenced(self.audit, self.runs, self.leases, lease)

    def _pause(self, connection: str) -> datetime | None:
        """Until when the vendor asked the latest run to wait; None when it did not, or that is over."""
        latest = next(iter(self.runs.list(connection, limit=1)), None)
        until = latest.waiting_until if latest is not None and latest.state == "waiting" else None
        return until if until is not None and until > self.clock() else None

    def _connection(self, name: str) -> Connection:
        known = self.settings().connections
        if name not in known:
            raise UnknownConnection(connection=name, known=", ".join(sorted(known)) or "-")
        return known[name]

    def _once(self, asked: Asked, connector: Connector) -> RunOutcome | None:
        name = asked.connection.name
        draft = self._unfinished(asked, connector)
        record = Record(self.runs, self.audit, self.clock, name, asked.trigger)
        close_interrupted(self.runs, self.audit, name, draft.run if draft else None)
        record.begin(draft.run if draft else None)
        plan: Plan | None = None
        landing: Landing | None = None
        shelving: Shelving | None = None
        point = msgspec.convert(draft.resume, ResumePoint) if draft and draft.resume else ResumePoint()
        before, sent = (point.requests, point.bytes_in), Counters()
        try:
            with self.transport(name, asked.stop) as transport:
                sent = transport.counters
                asked.progress.emit(Phase(record.run, "planning"))
                plan, draft = self._planned(asked, connector, transport, record.run, draft)
                resumed = point.attempts > 0
                modes = dict(plan.read.modes)
                asked.progress.emit(RunStarted(record.run, name, resumed, {**modes}, plan.read.started_at))
                archive = attempt.Archive(draft, asked.connection.raw_days > 0, self.clock)
                shelving = Shelving(self.repository, name, plan.read.streams)
                landing = attempt.begin(draft, plan, point, archive, shelving)
                wrong = self._read(asked, connector, plan, landing, transport, shelving, record.run)
            if wrong is not None and stuck(landing, wrong):
                self._again(draft, record, landing.point, wrong)
                return None
            streams = self._publisher(asked, connector, record.run).publish(draft, plan, landing)
            remarks = self._serve(asked, record.run, streams)
            if wrong is not None:
                return self._stopped(asked, record, draft, landing, landing.point, plan, wrong, remarks)
            return self._over(record, draft, landing.point, streams, remarks)
        except ResumeLost as lost:
            _count(point, before, sent)
            if draft is not None and landing is not None and landing.point.attempts > 1:
                self._again(draft, record, point, lost)
                return None
            return self._stopped(asked, record, draft, landing, point, plan, lost)
        except Exception as error:  # noqa: BLE001 — whatever happens, the run has an outcome and the last copy is untouched
            _count(point, before, sent)
            fault = explained(error, record.run)
            if draft is not None and landing is not None and not asked.stop.is_set() and stuck(landing, fault):
                self._again(draft, record, point, fault)
                return None
            if fault.kind == "usage":
                self._stopped(asked, record, draft, landing, point, plan, fault)
                raise fault from None
            return self._stopped(asked, record, draft, landing, point, plan, fault)
        finally:
            if shelving is not None:
                shelving.close()
            if draft is not None:
                draft.close()

    def _read(
        self, asked: Asked, connector: Connector, plan: Plan, landing: Landing, transport: Transport, shelving: Shelving,
        run: str,
    ) -> Fault | None:  # fmt: skip
        """Read what is left; give the wrong answer that some stream met, when others have something to publish."""
        try:
            attempt.read(
                connector, plan, landing, transport.exchange, shelving, run=run,
                threads=asked.connection.limits.concurrency, progress=asked.progress, stop=asked.stop,
            )  # fmt: skip
        except (ConnectorError, ConnectorFailed) as fault:
            if not Stopped(fault).alone or asked.stop.is_set():
                raise
            return fault
        return None

    def _unfinished(self, asked: Asked, connector: Connector) -> Draft | None:
        """Take up the draft that this run can continue; drop those that none can."""
        chosen: Draft | None = None
        folder = self.repository.root / asked.connection.name / ".drafts"
        mine = [run for run in reversed(self.repository.drafts()) if (folder / run / "checkpoint").is_file()]
        for run in mine:
            try:
                draft = Draft.reopen(self.repository, run)
            except DraftBusy:
                continue
            except Fault:
                continue  # a draft whose keys were destroyed, or that is damaged: doctor tells
            known = self.runs.get(run)
            if known is not None and known.state in ("succeeded", "quarantined", "partial") and known.error is None:
                draft.discard()  # over, and a crash came before it was cleared away
            elif chosen is None and fits(asked, connector, draft, self.clock()):
                chosen = draft
            else:
                self.audit.append("sync.discarded", {"connection": asked.connection.name, "run": run}, {"rows": draft.rows})
                draft.discard()
        return chosen

    def _planned(
        self, asked: Asked, connector: Connector, transport: Transport, run: str, draft: Draft | None
    ) -> tuple[Plan, Draft]:
        if draft is not None:
            return from_json(draft.plan), draft
        name = asked.connection.name
        known = {id_.stream: self._known(id_) for id_ in self.repository.datasets() if id_.connection == name}
        known = {stream: each for stream, each in known.items() if stream not in asked.lost}
        plan = attempt.make_plan(
            connector, transport, asked.connection, {stream: each for stream, each in known.items() if each},
            wanted=asked.streams, full=asked.full, started_at=self.clock(),
        )  # fmt: skip
        return plan, Draft.create(self.repository, run, attempt.specs(name, plan), to_json(plan))

    def _known(self, dataset: DatasetId) -> Known | None:
        last = self.audit.last_commit(dataset.connection, dataset.stream)
        head = self.repository.head(dataset, last.manifest if last else None)
        if head is None:
            return None
        full = [each.created for each in self.repository.manifests(dataset) if each.mode == "full_refresh"]
        created = datetime.fromisoformat(full[-1]) if full else None
        # A full read that changed nothing left no manifest; the record of runs remembers it.
        for run in self.runs.list(dataset.connection, limit=200):
            for stream in (run.outcome or {}).get("streams", ()):
                if stream["stream"] == dataset.stream and stream["state"] == "unchanged" and stream["mode"] == "full_refresh":
                    created = max(created, run.started_at) if created else run.started_at
        readable = self.repository.readable(head)
        shape = self.repository.shape(head, readable)
        cursor = None
        with suppress(Shredded):  # without its cursor, a stream is read in full
            cursor = self.repository.cursor(head)
        period = self.repository.period()
        stale = any(part.kind == "base" and part.period != period for part in head.parts)
        stale = stale or not {*head.sealed} <= {*readable, "cursor"}
        classes = dict(zip(shape.schema.names, map(str, shape.classes), strict=True))
        return Known(cursor, created, shape.primary_key, classes, stale)

    def _publisher(self, asked: Asked, connector: Connector, run: str) -> Publisher:
        settings = asked.connection
        host = urlsplit(settings.url).hostname or "folder"
        provenance = Provenance(run, settings.connector, connector.version, host)
        guards = Guards(settings.guards.max_fall, settings.guards.max_deletions)
        lifted = None if asked.lifted else guards
        return Publisher(run, settings.name, provenance, lifted, self.repository, asked.book, asked.progress)

    def _serve(self, asked: Asked, run: str, streams: tuple[StreamOutcome, ...]) -> tuple[Said, ...]:
        """Refresh the marts of what was committed; one that cannot be is made anew when someone asks."""
        remarks = []
        for stream in streams:
            if stream.state == "committed" and stream.manifest is not None:
                asked.progress.emit(Phase(run, "serving", stream.stream))
                dataset = DatasetId(asked.connection.name, stream.stream)
                try:
                    self.refresh(dataset, self.repository.manifest(dataset, stream.manifest))
                except (Fault, OSError) as error:
                    shown = Shown.of(explained(error, run))
                    remarks.append(Said(f"{stream.stream} : {shown.fr}", f"{stream.stream}: {shown.en}"))
        return tuple(remarks)

    def _over(
        self, record: Record, draft: Draft, point: ResumePoint, streams: tuple[StreamOutcome, ...], remarks: tuple[Said, ...]
    ) -> RunOutcome:
        """End a run whose streams all came to their end. The draft stays when that cannot be entered: the next run does."""
        outcome = record.finish(_state_of(streams), point, streams=streams, remarks=remarks)
        if record.entered:
            with suppress(OSError):
                draft.discard()
        return outcome

    def _stopped(
        self, asked: Asked, record: Record, draft: Draft | None, landing: Landing | None, point: ResumePoint,
        plan: Plan | None, fault: Fault, remarks: tuple[Said, ...] = (),
    ) -> RunOutcome:  # fmt: skip
        """End an attempt that did not reach its end; the draft stays when continuing it can help.

        What was published stays published: when that is every stream, the fault is a remark; some, the run is partial.
        """
        if draft is not None and plan is not None and all(each.name in point.finished for each in plan.read.streams):
            shown = Shown.of(fault)
            streams = tuple(point.finished[each.name] for each in plan.read.streams)
            return self._over(record, draft, point, streams, (Said(shown.fr, shown.en),))
        state: RunState = "failed"
        until: datetime | None = None
        if isinstance(fault, Waiting) and isinstance(pause := fault.fields["until"], datetime):
            state, until = "waiting", pause
            said = {language: fault.diagnostics(language).what for language in ("fr", "en")}
            asked.progress.emit(Awaited(record.run, pause, **said))
        elif isinstance(fault, Interrupted) or asked.stop.is_set():
            state = "cancelled"
        elif draft is not None and not worth_keeping(landing, point, fault):
            self._drop(draft, record, fault)
        if state == "failed" and any(each.state in ("committed", "unchanged") for each in point.finished.values()):
            state = "partial"
        return record.finish(state, point, fault=fault, until=until, remarks=remarks)

    def _again(self, draft: Draft, record: Record, point: ResumePoint, fault: Fault) -> None:
        """End a run that cannot be continued: None, for the caller to start from nothing."""
        self._drop(draft, record, fault)
        record.finish("failed", point, fault=fault)

    def _drop(self, draft: Draft, record: Record, fault: Fault) -> None:
        self.audit.append("sync.discarded", {"connection": record.connection, "run": draft.run}, {"fault": fault.code})
        draft.discard()


@contextmanager
def _told(connection: str) -> Iterator[None]:
    """Say as a fault what the database refused before a run began, or after it ended."""
    try:
        yield
    except (SQLAlchemyError, StateFull) as error:
        raise explained(error, connection) from None


def _count(point: ResumePoint, before: tuple[int, int], sent: Counters) -> None:
    """Count what an attempt that stopped had sent: what it did not land cost the vendor, and us, as much."""
    point.requests = max(point.requests, before[0] + sent.requests)
    point.bytes_in = max(point.bytes_in, before[1] + sent.bytes_in)


def _state_of(streams: tuple[StreamOutcome, ...]) -> RunState:
    if any(stream.state == "quarantined" for stream in streams):
        return "quarantined"
    return "partial" if any(stream.verdict == "partial" for stream in streams) else "succeeded"

"""One run, from the lease to the audit log.

1. One run a connection at a time: the lease is held from the plan to the last mart.
2. A run that stopped (a crash, a signal, a vendor's pause, a broken network) is continued by the next one of the connection:
   same name, same plan, same instant of departure. It starts again from nothing when the settings or the connector changed,
   when it is older than a week, when the source changed under it, or when an attempt advanced nothing and met the same wrong
   answer.
3. Whatever happens, the last good copy stays as it is: only `publishing` makes a snapshot, after the last slice was read.
4. A fault becomes an outcome: it is kept with the run, shown, and entered in the audit log. What prevents a run from existing
   at all (another holds the lease, no such connection or stream, a wrong setting) is raised.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from saas_connectors.connector import Connector
from saas_connectors.errors import ConnectorError, ResumeLost
from snapshots.dataset import DatasetId
from snapshots.draft import Draft
from snapshots.errors import ContractBroken, DraftBusy
from snapshots.manifest import Manifest, Provenance
from snapshots.repository import Repository
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.egress.budget import BUDGETS
from sovereign.egress.counters import Counters
from sovereign.egress.errors import Interrupted, Waiting
from sovereign.egress.transport import Transport
from sovereign.settings import Connection, Settings
from sovereign.state import Leases, Runs
from sovereign.sync import attempt
from sovereign.sync.errors import ConnectorFailed, StillWaiting, UnknownConnection
from sovereign.sync.landing import Landing, ResumePoint
from sovereign.sync.outcome import RunOutcome, RunState, Said, Shown, StreamOutcome
from sovereign.sync.plan import Known, Plan, fingerprint, from_json, to_json
from sovereign.sync.progress import SILENT, Awaited, Phase, Progress, RunFinished, RunStarted
from sovereign.sync.publishing import Publisher, recover
from sovereign.sync.records import Record
from sovereign.sync.trouble import explained
from sovereign.sync.verdict import Guards
from vault.errors import Fault

STALE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do."""

    connection: Connection
    streams: tuple[str, ...] | None
    full: bool
    trigger: str
    progress: Progress
    stop: threading.Event


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
    ) -> RunOutcome:
        """Pull a connection, or go on with the run that stopped.

        streams: which, all when None; full: read everything again; stop: set it to stop at the next page; trigger: `hand` or
        `job`; now: go ahead although the vendor asked for a pause. Errors: UnknownConnection, UnknownStream, StillWaiting,
        Locked, SettingsError. Anything else is in the outcome.
        """
        settings = self._connection(connection)
        if now:
            BUDGETS.reopen()
        elif (until := self._pause(connection)) is not None:
            raise StillWaiting(connection=connection, until=until)
        asked = Asked(settings, tuple(streams) if streams else None, full, trigger, progress, stop or threading.Event())
        made = self.connector(connection)
        with self.leases.hold(lease_of(connection), f"sync {os.getpid()}"):
            recover(self.repository, self.audit, connection)
            # None: the source changed under the draft, which was dropped; once more, from nothing.
            outcome = self._once(asked, made) or self._once(asked, made)
            if outcome is None:
                raise ResumeLost(stream=connection)
        progress.emit(RunFinished(outcome.run, connection, outcome.state, self.clock()))
        return outcome

    def replay(self, run: str, *, progress: Progress = SILENT, stop: threading.Event | None = None) -> RunOutcome:
        """Make the snapshots of a run again from its raw archive, without the vendor; see `sovereign.sync.replay`.

        Errors: NothingToReplay, ReplayOld, UnknownConnection, Locked, Shredded. Anything else is in the outcome.
        """
        from sovereign.sync.replay import Tape, replay

        connection = Tape.of(self.repository, run).connection
        self._connection(connection)
        with self.leases.hold(lease_of(connection), f"replay {os.getpid()}"):
            recover(self.repository, self.audit, connection)
            return replay(self, run, progress, stop or threading.Event())

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
        record.begin(draft.run if draft else None)
        landing: Landing | None = None
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
                landing = attempt.begin(draft, plan, point, archive)
                attempt.read(
                    connector, plan, landing, transport.exchange, run=record.run,
                    threads=asked.connection.limits.concurrency, progress=asked.progress, stop=asked.stop,
                )  # fmt: skip
            streams = self._publisher(asked, connector, record.run).publish(draft, plan, landing)
            remarks = self._serve(asked, record.run, streams)
            draft.discard()
            return record.finish(_state_of(streams), landing.point, streams=streams, remarks=remarks)
        except ResumeLost as lost:
            _count(point, before, sent)
            if draft is not None and landing is not None and landing.point.attempts > 1:
                self._drop(draft, record, lost)
                record.finish("failed", point, fault=lost)
                return None
            return self._stopped(asked, record, draft, landing, point, lost)
        except Exception as error:  # noqa: BLE001 — whatever happens, the run has an outcome and the last copy is untouched
            _count(point, before, sent)
            fault = explained(error, record.run)
            if fault.kind == "usage":
                self._stopped(asked, record, draft, landing, point, fault)
                raise fault from None
            return self._stopped(asked, record, draft, landing, point, fault)
        finally:
            if draft is not None:
                draft.close()

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
            if chosen is None and self._fits(asked, connector, draft):
                chosen = draft
            else:
                self.audit.append("sync.discarded", {"connection": asked.connection.name, "run": run}, {"rows": draft.rows})
                draft.discard()
        return chosen

    def _fits(self, asked: Asked, connector: Connector, draft: Draft) -> bool:
        try:
            plan = from_json(draft.plan)
        except msgspec.ValidationError:
            return False
        read = plan.read
        return (
            plan.fingerprint == fingerprint(asked.connection, connector.version)
            and self.clock() - read.started_at < STALE
            and (not asked.full or all(mode == "full_refresh" for mode in read.modes.values()))
            and (asked.streams is None or {s.name for s in read.streams} >= set(asked.streams))
        )

    def _planned(
        self, asked: Asked, connector: Connector, transport: Transport, run: str, draft: Draft | None
    ) -> tuple[Plan, Draft]:
        if draft is not None:
            return from_json(draft.plan), draft
        name = asked.connection.name
        known = {id_.stream: self._known(id_) for id_ in self.repository.datasets() if id_.connection == name}
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
        return Known(self.repository.cursor(head), created)

    def _publisher(self, asked: Asked, connector: Connector, run: str) -> Publisher:
        settings = asked.connection
        host = urlsplit(settings.url).hostname or "folder"
        provenance = Provenance(run, settings.connector, connector.version, host)
        guards = Guards(settings.guards.max_fall, settings.guards.max_deletions)
        return Publisher(run, settings.name, provenance, guards, self.repository, self.audit, asked.progress)

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

    def _stopped(
        self, asked: Asked, record: Record, draft: Draft | None, landing: Landing | None, point: ResumePoint, fault: Fault
    ) -> RunOutcome:
        """End an attempt that did not reach its end; the draft stays when continuing it can help."""
        state: RunState = "failed"
        until: datetime | None = None
        if isinstance(fault, Waiting) and isinstance(pause := fault.fields["until"], datetime):
            state, until = "waiting", pause
            said = {language: fault.diagnostics(language).what for language in ("fr", "en")}
            asked.progress.emit(Awaited(record.run, pause, **said))
        elif isinstance(fault, Interrupted) or asked.stop.is_set():
            state = "cancelled"
        elif draft is not None and not _worth_keeping(landing, fault):
            self._drop(draft, record, fault)
        return record.finish(state, point, fault=fault, until=until)

    def _drop(self, draft: Draft, record: Record, fault: Fault) -> None:
        self.audit.append("sync.discarded", {"connection": record.connection, "run": draft.run}, {"fault": fault.code})
        draft.discard()


def _count(point: ResumePoint, before: tuple[int, int], sent: Counters) -> None:
    """Count what an attempt that stopped had sent: what it did not land cost the vendor, and us, as much."""
    point.requests = max(point.requests, before[0] + sent.requests)
    point.bytes_in = max(point.bytes_in, before[1] + sent.bytes_in)


def _worth_keeping(landing: Landing | None, fault: Fault) -> bool:
    if landing is None or not (landing.point.pages or landing.point.slices_done):
        return False
    return landing.advanced or not isinstance(fault, ConnectorError | ConnectorFailed | ContractBroken)


def _state_of(streams: tuple[StreamOutcome, ...]) -> RunState:
    if any(stream.state == "quarantined" for stream in streams):
        return "quarantined"
    return "partial" if any(stream.verdict == "partial" for stream in streams) else "succeeded"


def lease_of(connection: str) -> str:
    """Name the lease of a connection."""
    return f"connection/{connection}"

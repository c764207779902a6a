"""From a draft that was read to its end to snapshots: measure, judge, guard, commit, enter in the audit log.

1. A stream is measured against its previous snapshot, judged (`verdict`), guarded; then it is committed, put in quarantine,
   or, when nothing changed, left alone. Each of the three is an entry of the audit log.
2. A full read with a `partial` verdict deletes nothing: what it did not show is not known to be gone. The evidence says how
   many records were kept for that reason. Without a primary key nothing tells which those are: what came is published.
3. The cursor goes into the manifest with the data, so the two cannot disagree. The audit log is written after the manifest: a
   crash in between is repaired by `recover`, which enters what it finds as recovered.
   Nothing is entered by who lost the lease (`fence`).
4. What became of each stream goes into the draft's resume point at once, so that a run continued after a crash does nothing
   twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from saas_connectors.connector import Evidence, Json, Stream, SyncMode
from snapshots import manifest as manifests
from snapshots.dataset import DatasetId
from sovereign.audit import LastCommit
from sovereign.sync import drifting
from sovereign.sync.landing import Landing
from sovereign.sync.outcome import Noted, Said, StreamOutcome
from sovereign.sync.plan import Plan, merge_cursors
from sovereign.sync.progress import Phase, Progress, StreamDone
from sovereign.sync.rollback import gone
from sovereign.sync.verdict import Facts, Guards, Held, Verdict, hold, judge

if TYPE_CHECKING:
    from snapshots.draft import Draft
    from snapshots.manifest import Drift, Manifest
    from snapshots.measure import Measure
    from snapshots.repository import Repository

Told: TypeAlias = tuple[dict[str, Json], ...]
"""Drift as it may be kept and shown (`drifting.told`)."""


class Book(Protocol):
    """What publishing needs of the audit log."""

    def append(self, act: str, subject: Mapping[str, object], facts: Mapping[str, object]) -> int:
        """Enter an act; gives its number."""
        ...

    def last_commit(self, connection: str, stream: str) -> LastCommit | None:
        """Give the head of a dataset that was entered last."""
        ...


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the streams of one run; `guards` None when an operator lifted them."""

    run: str
    connection: str
    provenance: manifests.Provenance
    guards: Guards | None
    repository: "Repository"
    audit: Book
    progress: Progress

    def publish(self, draft: "Draft", plan: Plan, landing: Landing) -> tuple[StreamOutcome, ...]:
        """Bring every stream that was read to its end; those that an earlier attempt finished are left as they are."""
        point = landing.point
        cursors = merge_cursors(plan.slices, {key: each.cursors for key, each in point.slices.items()})
        evidence = [note.evidence() for note in point.evidence]
        unread = {
            name for part in plan.slices if not (at := point.slices.get(part.key)) or not at.done for name in part.streams
        }
        whole = [stream for stream in plan.read.streams if stream.name not in unread]
        for stream in whole:
            if stream.name not in point.finished:
                outcome = self._stream(draft, stream, plan.read.modes[stream.name], cursors.get(stream.name), evidence)
                point.finished[stream.name] = outcome
                landing.checkpoint(even_unchanged=True)
            self._tell(point.finished[stream.name])
        return tuple(point.finished[stream.name] for stream in whole)

    def _stream(
        self, draft: "Draft", stream: Stream, mode: SyncMode, cursor: Json, evidence: Sequence[Evidence]
    ) -> StreamOutcome:
        name = stream.name
        if (made := draft.committed(name)) is not None:  # a crash came right after; `recover` has entered it
            return _outcome(made, ())
        if name not in draft.streams:
            return self._kept_before(name, mode)
        known = self._served(name)
        if known is not None and any(note.stream == name and note.check == "unchanged" for note in evidence):
            return self._unmoved(known, stream, mode, evidence)
        dataset = DatasetId(self.connection, name)
        self.progress.emit(Phase(self.run, "measuring", name))
        measure = draft.measure(name, mode)
        drift = draft.drift.get(name, [])
        facts = Facts(
            full=mode == "full_refresh",
            distinct=measure.distinct,
            repeated_same=measure.repeated_same,
            repeated_different=measure.repeated_different,
            discarded=measure.keyless + sum(each.values for each in drift if each.action == "row_discarded"),
        )
        verdict = judge(name, evidence, facts)
        after = {"previous": measure.previous_rows, "rows": measure.rows_after, "deleted": measure.deleted}
        current = self.repository.head(dataset, known.manifest) if known else None
        news = partial(self._news, drift, drifting.before(self.repository, current), stream, mode)
        held = hold(**after, guards=self.guards) if self.guards and stream.guarded else None
        if held is not None:
            return self._hold(draft, dataset, measure, verdict, held, news(changed=True))
        if verdict.state == "partial" and mode == "full_refresh" and measure.deleted and stream.primary_key:
            kept = Evidence(name, "deletions_withheld", None, {"count": measure.deleted})
            verdict = Verdict(verdict.state, (*verdict.evidence, kept))
            measure = draft.measure(name, "incremental")
        self.progress.emit(Phase(self.run, "publishing", name))
        if known is not None and not measure.moved and not measure.inserted + measure.updated + measure.deleted:
            return self._unchanged(known, name, mode, verdict, _counts(measure), news(changed=False))
        judged = manifests.Verdict(verdict.state, [msgspec.to_builtins(note) for note in _noted(verdict)])
        made = draft.commit(name, measure, cursor=cursor, verdict=judged, provenance=self.provenance, mode=mode)
        enter(self.audit, "sync.committed", made)
        return _outcome(made, news(changed=True))

    @staticmethod
    def _news(drift: Sequence["Drift"], known: drifting.Before, stream: Stream, mode: SyncMode, *, changed: bool) -> Told:
        return drifting.told(drifting.news(drift, known, mode, changed=changed), stream)

    def _served(self, stream: str) -> LastCommit | None:
        """Give the head by the audit log, None when there is none, or it is no longer on disk: nothing is the same as it."""
        known = self.audit.last_commit(self.connection, stream)
        return None if known and gone(self.repository, DatasetId(self.connection, stream), known.manifest) else known

    def _unmoved(self, known: LastCommit, stream: Stream, mode: SyncMode, evidence: Sequence[Evidence]) -> StreamOutcome:
        """No page came, and the last snapshot stands: the vendor holds what it held then, or what it holds was not taken."""
        head = self.repository.head(DatasetId(self.connection, stream.name), known.manifest)
        rows = head.counts.rows if head else 0
        seen = tuple(note for note in evidence if note.stream == stream.name)
        stands = head.verdict.state if head else "unverified"
        verdict = Verdict("partial" if any(note.holds is False for note in seen) else stands, seen)
        counts = {"rows": rows, "inserted": 0, "updated": 0, "deleted": 0, "unchanged": rows}
        return self._unchanged(known, stream.name, mode, verdict, counts, ())

    def _unchanged(
        self, known: LastCommit, stream: str, mode: SyncMode, verdict: Verdict, counts: dict[str, int], drift: Told
    ) -> StreamOutcome:
        facts = {"manifest": known.manifest, "sequence": known.sequence, "verdict": verdict.state, "rows": counts["rows"]}
        self.audit.append("sync.unchanged", self._subject(stream), facts)
        return StreamOutcome(
            stream=stream, state="unchanged", mode=mode, verdict=verdict.state, counts=counts,
            manifest=known.manifest, sequence=known.sequence, evidence=_noted(verdict), drift=drift,
        )  # fmt: skip

    def _subject(self, stream: str) -> dict[str, object]:
        return {"connection": self.connection, "stream": stream, "run": self.run}

    def _hold(
        self, draft: "Draft", dataset: DatasetId, measure: "Measure", verdict: Verdict, held: Held, drift: Told
    ) -> StreamOutcome:
        draft.quarantine(dataset.stream, measure, held.rule)
        self.audit.append("sync.quarantined", self._subject(dataset.stream), {"rule": held.rule, **held.facts})
        return StreamOutcome(
            stream=dataset.stream, state="quarantined", mode=measure.mode, verdict=verdict.state, counts=_counts(measure),
            evidence=_noted(verdict), drift=drift, reason=Said(held.fr, held.en),
        )  # fmt: skip

    def _kept_before(self, stream: str, mode: SyncMode) -> StreamOutcome:
        """A crash came between a quarantine and its entry."""
        self.audit.append("sync.quarantined", self._subject(stream), {"rule": "recovered"})
        reason = Said("mis en quarantaine avant un arrêt brutal", "put in quarantine before a crash")
        return StreamOutcome(stream=stream, state="quarantined", mode=mode, verdict="unverified", counts={}, reason=reason)

    def _tell(self, outcome: StreamOutcome) -> None:
        self.progress.emit(
            StreamDone(self.run, outcome.stream, outcome.state, outcome.verdict, outcome.counts, outcome.sequence)
        )


def enter(audit: Book, act: str, made: "Manifest") -> None:
    """Enter a snapshot in the audit log: from then on it is the head of its dataset."""
    subject = {"connection": made.id.connection, "stream": made.id.stream, "run": made.provenance.run}
    counts = msgspec.to_builtins(made.counts)
    facts = {"manifest": made.hash, "sequence": made.sequence, "verdict": made.verdict.state, "mode": made.mode, **counts}
    audit.append(act, subject, facts)


def recover(repository: "Repository", audit: Book, connection: str) -> list["Manifest"]:
    """Enter the snapshots of a connection that the audit log lacks, because a crash came between the two; give them.

    Call it with the connection's lease held: a run that works has its own entry under way. Only what follows the last entry is
    taken for the work of a crash; a manifest that stands beside or before it is for `verify` to tell.
    """
    entered = []
    for dataset in repository.datasets():
        if dataset.connection != connection:
            continue
        last = audit.last_commit(connection, dataset.stream)
        head = last.manifest if last else None
        for made in repository.readable_manifests(dataset)[0]:
            if made.parent == head:
                enter(audit, "snapshot.recovered", made)
                entered.append(made)
                head = made.hash
    return entered


def _outcome(made: "Manifest", drift: Told) -> StreamOutcome:
    evidence = tuple(msgspec.convert(each, Noted) for each in made.verdict.evidence)
    return StreamOutcome(
        stream=made.id.stream, state="committed", mode=made.mode, verdict=made.verdict.state,
        counts=msgspec.to_builtins(made.counts), manifest=made.hash, sequence=made.sequence, evidence=evidence,
        drift=drift,
    )  # fmt: skip


def _counts(measure: "Measure") -> dict[str, int]:
    names = ("inserted", "updated", "deleted", "unchanged")
    return {"rows": measure.rows_after, **{name: getattr(measure, name) for name in names}}


def _noted(verdict: Verdict) -> tuple[Noted, ...]:
    return tuple(Noted.of(each) for each in verdict.evidence)

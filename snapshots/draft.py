"""A run in progress: rows gathered, sealed and resumable, until they are published, set apart or dropped.

1. One draft a run, for several streams read out of the same responses. One process holds it at a time.
2. Rows become segments, which are encrypted parts already: a first pull adopts them as they are. Nothing readable touches the
   disk.
3. `checkpoint` alone moves the resume point: segments and raw archive first, durable, then one sealed file. `reopen` drops
   whatever came after it, so a row is never lost nor doubled by a crash, provided the reader starts again from `resume`.
4. Rows keep the order in which they came: of several with one key the last counts, and a removal counts like a row.
5. Rows without a key, and rows that a `discard_row` contract refuses, are put aside, never dropped without a trace.
6. Publishing a stream twice is impossible: a reopened draft finds the manifest that its run already published.

Memory: at most one segment a stream, two in all beyond the page being appended, and one more for the small streams (`Held`).
It is thread safe: slices append concurrently.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

import msgspec
import pyarrow as pa

from snapshots import checkpoint, keyfile, quarantine, raw
from snapshots.checkpoint import Aside, Checkpoint
from snapshots.columns import Json
from snapshots.commit import commit
from snapshots.dataset import CLASSES, DatasetId, DatasetSpec
from snapshots.drift import Watch
from snapshots.durable import remove_tree
from snapshots.errors import BadName, DraftBusy, NeedsFull, NoDraft
from snapshots.gathered import Gathered, Held, spec_of
from snapshots.holding import held, hold
from snapshots.manifest import Drift, Manifest, Mode, Provenance, RawSegment, Verdict
from snapshots.measure import Comparison, Ground, Measure
from snapshots.parts import BYTES
from snapshots.repository import Repository, opener
from snapshots.standing import standing
from vault import files
from vault.content import Content
from vault.keys import Scope, Wrapped

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:+-]{0,127}")


class Draft:
    """What one run has gathered so far."""

    def __init__(self, repository: Repository, connection: str, run: str, specs: Mapping[str, DatasetSpec]) -> None:
        """Made by `create` and `reopen`."""
        self.repository = repository
        self.connection = connection
        self.run = run
        self.folder = _folder(repository, connection, run)
        self._lock = hold(files.folder(self.folder), run)  # before any key is made: rotation spares the keys of a held draft
        self.segments_folder = files.folder(self.folder / "segments")
        self.raw_folder = repository.root / connection / ".raw" / run
        self.resume: Json = None
        self.plan: Json = None
        self._created = repository.clock().isoformat()
        self._wraps: dict[str, Wrapped] = {}
        self._held = Held()
        self._streams = {name: self._gathered(spec) for name, spec in sorted(specs.items())}
        self._raw: list[RawSegment] = []
        self._raw_key: bytes | None = None
        self._writer: raw.SegmentWriter | None = None
        self._comparisons: dict[str, Comparison] = {}
        self._guard = RLock()

    @classmethod
    def create(cls, repository: Repository, run: str, specs: Mapping[str, DatasetSpec], plan: Json = None) -> Self:
        """Begin a run.

        Arguments: run: its id, a file name; specs: by stream name, all of one connection; plan: JSON given back by `reopen`.
        """
        connections = {spec.id.connection for spec in specs.values()}
        if len(connections) != 1 or not _RUN.fullmatch(run):
            raise BadName(name=run, what_fr="une exécution d'une connexion", what_en="a run of one connection")
        connection = connections.pop()
        folder = _folder(repository, connection, run)
        if (folder / "checkpoint").is_file():
            raise DraftBusy(run=run)
        _sweep(folder.parent)
        draft = cls(repository, connection, run, specs)
        draft.plan = plan
        name = checkpoint.key_name(connection, run)
        _, draft._wraps[name] = repository.keys.new_data_key(Scope(connection, "manifest", repository.period()), name.encode())
        draft._save()
        return draft

    @classmethod
    def reopen(cls, repository: Repository, run: str) -> Self:
        """Take up an unfinished run where its last checkpoint left it; raises NoDraft, DraftBusy, or says what is damaged."""
        found = list(repository.root.glob(f"*/.drafts/{run}/checkpoint")) if _RUN.fullmatch(run) else []
        if not found:
            raise NoDraft(run=run)
        folder = found[0].parent
        connection = folder.parent.parent.name
        handle = hold(folder, run)
        try:
            state = checkpoint.read(found[0], connection, run, opener(repository.keys, folder / "draft.keys"))
        finally:
            os.close(handle)
        specs = {each.stream: spec_of(connection, each) for each in state.streams}
        draft = cls(repository, connection, run, specs)
        draft._restore(state)
        return draft

    # Gathering

    @property
    def streams(self) -> list[str]:
        """The streams that are not settled yet."""
        return sorted(self._streams)

    @property
    def rows(self) -> int:
        """Rows gathered, those put aside included."""
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Rows gathered a stream."""
        return {name: each.count for name, each in self._streams.items()}

    @property
    def buffered_rows(self) -> int:
        """Rows that the next checkpoint will make durable."""
        return sum(each.rows for each in self._streams.values())

    @property
    def buffered_bytes(self) -> int:
        """Bytes of Arrow that the next checkpoint will make durable."""
        return sum(each.bytes for each in self._streams.values())

    @property
    def drift(self) -> dict[str, list[Drift]]:
        """What vendors changed, by stream; what no page had so far is told as absent."""
        return {name: each.watch.drift + each.watch.absent() for name, each in self._streams.items()}

    @property
    def raw_segments(self) -> list[RawSegment]:
        """The raw segments that are durable."""
        return list(self._raw)

    def append(self, stream: str, records: pa.Table, removed: pa.Table | None = None) -> None:
        """Add records of a stream, and the keys of those the vendor says are gone.

        Errors: ContractBroken, and then nothing of this page is kept.
        """
        with self._guard:
            self._streams[stream].add(records, removed)
            if self.buffered_bytes >= 2 * BYTES:
                max(self._streams.values(), key=lambda one: one.bytes).flush(whole=True)

    def archive(self, exchange: raw.RawExchange, content: Content | None = None) -> None:
        """Seal what the vendor answered; durable at the next checkpoint. content: its body, when that is not in `exchange`."""
        with self._guard:
            if self._raw_key is None:
                self._raw_key = self._open_archive()
            if self._writer is None:
                number = len(self._raw) + 1
                where = raw.context(self.connection, self.run, number)
                self._writer = raw.SegmentWriter(raw.segment_file(self.raw_folder, number), self._raw_key, where)
            self._writer.write(exchange, content)

    def checkpoint(self, resume: Json) -> None:
        """Make everything appended and archived durable, then move the resume point."""
        with self._guard:
            for each in self._streams.values():
                each.flush(whole=True)
            if self._writer is not None:
                self._raw.append(self._writer.close(len(self._raw) + 1, self._raw[-1].chain if self._raw else None))
                self._writer = None
            self.resume = resume
            self._save()

    # Settling

    def committed(self, stream: str) -> Manifest | None:
        """Give the snapshot that this run already published for a stream, None when it did not."""
        dataset = DatasetId(self.connection, stream)
        return next((each for each in reversed(self.repository.manifests(dataset)) if each.provenance.run == self.run), None)

    def measure(self, stream: str, mode: Mode) -> Measure:
        """Compare what was gathered with the current snapshot, in bounded memory; gathers nothing more.

        Measured again as incremental, a full read withholds its deletions; see `keyed`. Errors: NeedsFull for an incremental
        measure that nothing can be compared with.
        """
        with self._guard:
            each = self._streams[stream]
            each.flush(whole=True)
            if stream in self._comparisons:
                before = self._comparisons.pop(stream)
                before.close()
                if (before.mode, mode, before.keyed) == ("full_refresh", "incremental", False):
                    raise NeedsFull(
                        stream=stream,
                        reason_fr="sans clé primaire, une relecture complète ne peut s'ajouter à ce qui est là",
                        reason_en="without a primary key, a full refresh cannot be added to what is there",
                    )
            shape = each.spec.shape(each.watch.schema)
            ground = Ground(
                self.repository, each.spec.id, shape, self.segments_folder, tuple(each.segments), dict(self._wraps),
                self._held.of(stream),
            )  # fmt: skip
            comparison = Comparison(ground, mode, keyless=each.keyless)
            self._comparisons[stream] = comparison
            return comparison.measure

    def keyed(self, stream: str) -> bool:
        """Whether a full read of this stream may be measured again as incremental, to withhold its deletions.

        False when its rows cannot be told from those of the current snapshot: no primary key, another one, or destroyed keys.
        What was read is then published as it is, under a partial verdict.
        """
        with self._guard:
            each = self._streams[stream]
            shape, head = each.spec.shape(each.watch.schema), self.repository.head(each.spec.id)
            return bool(shape.key) and (head is None or not standing(self.repository, head, shape).incomparable)

    def commit(
        self, stream: str, measure: Measure | None = None, *, cursor: Json, verdict: Verdict, provenance: Provenance, mode: Mode
    ) -> Manifest:
        """Publish a stream as a new snapshot, or give the one that this run already published.

        `mode` is what the manifest says of the run; how the rows were compared is the measure's. `provenance.raw` is filled in
        when it is empty. Errors: NotCommitted when the current snapshot moved since `measure`.
        """
        with self._guard:
            found = self.committed(stream)
            if found is not None:
                return found
            if stream not in self._comparisons or measure is None or self._comparisons[stream].measure is not measure:
                self.measure(stream, mode if measure is None else measure.mode)
            each, comparison = self._streams[stream], self._comparisons.pop(stream)
            quarantine.keep(self.repository, each.spec, self.run, each.aside, self.segments_folder, self._wraps)
            if not provenance.raw and self._raw:
                provenance = msgspec.structs.replace(provenance, raw=self.raw_segments)
            self._held.drop(stream)
            with comparison:
                drift = each.watch.drift + each.watch.absent()
                return commit(comparison, cursor=cursor, verdict=verdict, provenance=provenance, mode=mode, drift=drift)

    def quarantine(self, stream: str, measure: Measure | None, reason: str) -> None:
        """Keep a stream apart, unpublished, under `quarantine/<run>`; this draft has done with it."""
        with self._guard:
            each = self._streams[stream]
            each.flush(whole=True)
            whole = [Aside(part, reason) for part in each.segments] + each.aside
            counts = None if measure is None else dataclasses.asdict(measure)
            if counts is not None:
                del counts["moved"]  # says nothing of rows
            quarantine.keep(
                self.repository, each.spec, self.run, whole, self.segments_folder, self._wraps, whole=True, counts=counts
            )
            if stream in self._comparisons:
                self._comparisons.pop(stream).close()
            del self._streams[stream]
            self._held.drop(stream)
            self._save()

    def discard(self) -> None:
        """End the draft: what was published or set apart stays, the rest is removed. The raw archive has its own retention."""
        with self._guard:
            self._drop_writer()
            for stream in self._streams:
                dataset = DatasetId(self.connection, stream)
                kept = {part.id for manifest in self.repository.manifests(dataset) for part in manifest.parts}
                folder = self.repository.parts_folder(dataset)
                for path in self.segments_folder.iterdir():
                    if path.name.partition(".")[0] not in kept:
                        (folder / path.name).unlink(missing_ok=True)
            (self.folder / "checkpoint").unlink(missing_ok=True)
            remove_tree(self.folder)
            self.close()

    def close(self) -> None:
        """Let go of the draft, which stays as its last checkpoint left it."""
        with self._guard:
            self._drop_writer()
            for each in self._comparisons.values():
                each.close()
            self._comparisons.clear()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # Inside

    def _gathered(self, spec: DatasetSpec) -> Gathered:
        """Begin a stream, against the columns of its current snapshot as far as their keys were not destroyed."""
        repository, head = self.repository, self.repository.head(spec.id)
        known = None if head is None else repository.shape(head, repository.readable(head)).schema
        press = repository.press(spec.id, self.segments_folder, self._wraps)
        return Gathered(spec, Watch(spec, known), press, repository.pseudonym_key(spec.id), self._held)

    def _open_archive(self) -> bytes:
        files.folder(self.raw_folder)
        path, name = self.raw_folder / "raw.keys", raw.key_name(self.connection, self.run)
        if path.is_file():
            return opener(self.repository.keys, path)(name)
        scope = Scope(self.connection, "raw", self.repository.period())
        data_key, wrapped = self.repository.keys.new_data_key(scope, name.encode())
        keyfile.write(path, {name: wrapped})
        return data_key

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    def _save(self) -> None:
        files.flush(self.segments_folder)
        keyfile.write(self.folder / "draft.keys", self._wraps)
        state = Checkpoint(
            checkpoint.FORMAT, self.connection, self.run, self._created, self.plan, self.resume,
            [each.state() for each in self._streams.values()], self._raw,
        )  # fmt: skip
        name = checkpoint.key_name(self.connection, self.run)
        checkpoint.write(self.folder / "checkpoint", state, self.repository.keys.unwrap(self._wraps[name], name.encode()))

    def _restore(self, state: Checkpoint) -> None:
        self.plan, self.resume, self._raw, self._created = state.plan, state.resume, list(state.raw), state.created
        kept = {part.id for each in state.streams for part in [*each.segments, *(one.part for one in each.aside)]}
        for path in self.segments_folder.iterdir():
            if path.name.partition(".")[0] not in kept:
                path.unlink()
        if self.raw_folder.is_dir():
            for path in self.raw_folder.glob("*.raw"):
                if int(path.stem) > len(self._raw):
                    path.unlink()
        names = {checkpoint.key_name(self.connection, self.run)}
        names |= {f"{self.connection}/{each.stream}/{one}/{at}" for each in state.streams for one in kept for at in CLASSES}
        entries = keyfile.read(self.folder / "draft.keys")
        self._wraps.update((name, entry) for name, entry in entries.items() if name in names)
        for each in state.streams:
            self._streams[each.stream].restore(each)


def _folder(repository: Repository, connection: str, run: str) -> Path:
    return repository.root / connection / ".drafts" / run


def _sweep(folder: Path) -> None:
    """Remove what is left of runs that died before their first checkpoint, or while they were discarded."""
    for each in folder.iterdir() if folder.is_dir() else ():
        if not (each / "checkpoint").is_file() and not held(each):
            remove_tree(each)

"""A run in progress: rows gathered, sealed and resumable, until they are published, set apart or dropped.

1. One draft a run, for several streams read out of the same responses. One process holds it at a time.
2. Rows become segments, which are encrypted parts already: a first pull adopts them as they are. Nothing readable touches the disk.
3. `checkpoint` alone moves the resume point: segments and raw archive first, durable, then one sealed file. `reopen` drops whatever
   came after it, so a row is never lost nor doubled by a crash, provided the reader starts again from `resume`.
4. Rows keep the order in which they came: of several with one key the last counts, and a removal counts like a row.
5. Rows without a key, and rows that a `discard_row` contract refuses, are put aside, never dropped without a trace.
6. Publishing a stream twice is impossible: a reopened draft finds the manifest that its run already published.

Memory: at most one segment a stream, two in all beyond the page being appended. It is thread safe: slices append concurrently.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from snapshots import checkpoint, keyfile, parts, quarantine, raw
from snapshots.checkpoint import Aside, Checkpoint, StreamState
from snapshots.columns import Json, conform, normalised
from snapshots.commit import commit
from snapshots.dataset import OP, DatasetId, DatasetSpec, stored_name
from snapshots.drift import Watch
from snapshots.durable import remove_tree
from snapshots.errors import BadName, DraftBusy, NoDraft
from snapshots.manifest import Drift, Manifest, Mode, Provenance, RawSegment, Verdict
from snapshots.measure import Comparison, Ground, Measure
from snapshots.parts import BYTES, ROWS, Part
from snapshots.repository import Repository, opener
from vault import files
from vault.keys import Scope, Wrapped

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:+-]{0,127}")


@dataclass(slots=True)
class _Stream:
    """What is gathered of one stream."""

    spec: DatasetSpec
    watch: Watch
    segments: list[Part] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    buffer: list[tuple[str, pa.Table]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    kept: int = 0


class Draft:
    """What one run has gathered so far."""

    def __init__(self, repository: Repository, connection: str, run: str, specs: Mapping[str, DatasetSpec]) -> None:
        """Made by `create` and `reopen`."""
        self.repository = repository
        self.connection = connection
        self.run = run
        self.folder = _folder(repository, connection, run)
        self.segments_folder = files.folder(self.folder / "segments")
        self.raw_folder = repository.root / connection / ".raw" / run
        self.resume: Json = None
        self.plan: Json = None
        self._streams = {name: _Stream(spec, Watch(spec, _known(repository, spec.id))) for name, spec in sorted(specs.items())}
        self._created = repository.clock().isoformat()
        self._wraps: dict[str, Wrapped] = {}
        self._raw: list[RawSegment] = []
        self._raw_key: bytes | None = None
        self._writer: raw.SegmentWriter | None = None
        self._comparisons: dict[str, Comparison] = {}
        self._guard = RLock()
        self._lock = _hold(self.folder, run)

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
        remove_tree(folder)  # a run that died before its first checkpoint has nothing
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
        handle = _hold(folder, run)
        try:
            state = checkpoint.read(found[0], connection, run, opener(repository.keys, folder / "draft.keys"))
        finally:
            os.close(handle)
        specs = {
            each.stream: DatasetSpec(
                DatasetId(connection, each.stream),
                each.primary_key,
                each.classes,
                each.contract,
                checkpoint.schema(each.declared),
            )
            for each in state.streams
        }
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
        return {name: each.kept + each.rows + sum(one.part.rows for one in each.aside) for name, each in self._streams.items()}

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
        """What vendors changed, by stream."""
        return {name: each.watch.drift for name, each in self._streams.items()}

    @property
    def raw_segments(self) -> list[RawSegment]:
        """The raw segments that are durable."""
        return list(self._raw)

    def append(self, stream: str, records: pa.Table, removed: pa.Table | None = None) -> None:
        """Add records of a stream, and the keys of those the vendor says are gone.

        Errors: ContractBroken, and then nothing of this page is kept.
        """
        with self._guard:
            each = self._streams[stream]
            admitted = each.watch.admit(records)
            if admitted.aside is not None:
                self._put_aside(each, admitted.aside, "contract")
            table = admitted.table
            if each.spec.primary_key and table.num_rows:
                missing = _any_null([table.column(name) for name in each.spec.primary_key])
                if pc.any(missing).as_py():
                    self._put_aside(each, table.filter(missing), "keyless")
                    table = table.filter(pc.invert(missing))
            self._gather(each, "base", table)
            if removed is not None:
                self._gather(each, "removed", normalised(removed.select(list(each.spec.primary_key))))
            if each.rows >= ROWS or each.bytes >= BYTES:
                self._flush(each, whole=False)
            elif self.buffered_bytes >= 2 * BYTES:
                self._flush(max(self._streams.values(), key=lambda one: one.bytes), whole=True)

    def archive(self, exchange: raw.RawExchange) -> None:
        """Seal what the vendor answered; durable at the next checkpoint."""
        with self._guard:
            if self._raw_key is None:
                self._raw_key = self._open_archive()
            if self._writer is None:
                number = len(self._raw) + 1
                where = raw.context(self.connection, self.run, number)
                self._writer = raw.SegmentWriter(raw.segment_file(self.raw_folder, number), self._raw_key, where)
            self._writer.write(exchange)

    def checkpoint(self, resume: Json) -> None:
        """Make everything appended and archived durable, then move the resume point."""
        with self._guard:
            for each in self._streams.values():
                self._flush(each, whole=True)
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
        """Compare what was gathered with the current snapshot, in bounded memory; gathers nothing more."""
        with self._guard:
            each = self._streams[stream]
            self._flush(each, whole=True)
            if stream in self._comparisons:
                self._comparisons.pop(stream).close()
            shape = each.spec.shape(each.watch.schema)
            ground = Ground(self.repository, each.spec.id, shape, self.segments_folder, tuple(each.segments), dict(self._wraps))
            comparison = Comparison(ground, mode, keyless=sum(one.part.rows for one in each.aside if one.reason == "keyless"))
            self._comparisons[stream] = comparison
            return comparison.measure

    def commit(
        self, stream: str, measure: Measure | None = None, *, cursor: Json, verdict: Verdict, provenance: Provenance, mode: Mode
    ) -> Manifest:
        """Publish a stream as a new snapshot, or give the one that this run already published.

        `provenance.raw` is filled in when it is empty. Errors: NotCommitted when the current snapshot moved since `measure`.
        """
        with self._guard:
            found = self.committed(stream)
            if found is not None:
                return found
            if stream not in self._comparisons or measure is None or self._comparisons[stream].measure is not measure:
                self.measure(stream, mode)
            each, comparison = self._streams[stream], self._comparisons.pop(stream)
            quarantine.keep(self.repository, each.spec, self.run, each.aside, self.segments_folder, self._wraps)
            if not provenance.raw and self._raw:
                provenance = Provenance(
                    provenance.run, provenance.connector, provenance.connector_version, provenance.host, self.raw_segments
                )
            with comparison:
                drift = each.watch.drift + each.watch.absent()
                return commit(comparison, cursor=cursor, verdict=verdict, provenance=provenance, mode=mode, drift=drift)

    def quarantine(self, stream: str, measure: Measure | None, reason: str) -> None:
        """Keep a stream apart, unpublished, under `quarantine/<run>`; this draft has done with it."""
        with self._guard:
            each = self._streams[stream]
            self._flush(each, whole=True)
            whole = [Aside(part, reason) for part in each.segments] + each.aside
            quarantine.keep(self.repository, each.spec, self.run, whole, self.segments_folder, self._wraps, whole=True)
            if stream in self._comparisons:
                self._comparisons.pop(stream).close()
            del self._streams[stream]
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
            self.close()
            (self.folder / "checkpoint").unlink(missing_ok=True)
            remove_tree(self.folder)

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

    def _gather(self, each: _Stream, kind: str, table: pa.Table) -> None:
        if table.num_rows:
            each.buffer.append((kind, table))
            each.rows += table.num_rows
            each.bytes += table.nbytes

    def _flush(self, each: _Stream, *, whole: bool) -> None:
        """Write what is gathered as segments; unless `whole`, what does not fill one waits for more."""
        pending, each.buffer, each.rows, each.bytes = each.buffer, [], 0, 0
        at = 0
        while at < len(pending):
            kind, end = pending[at][0], at
            while end < len(pending) and pending[end][0] == kind:
                end += 1
            names = list(each.spec.primary_key) if kind == "removed" else each.watch.schema.names
            schema = pa.schema([each.watch.schema.field(name) for name in names])
            table = pa.concat_tables([conform(one, schema) for _, one in pending[at:end]])
            step = max(1, min(ROWS, table.num_rows * BYTES // max(1, table.nbytes)))
            last = end == len(pending) and not whole
            for start in range(0, table.num_rows, step):
                rows = table.slice(start, step)
                if last and rows.num_rows < step:
                    self._gather(each, kind, rows)
                else:
                    self._write(each, kind, rows)
            at = end

    def _write(self, each: _Stream, kind: str, table: pa.Table) -> None:
        shape = each.spec.shape(each.watch.schema)
        stored = shape.stored(table, self.repository.pseudonym_key(each.spec.id))
        if kind == "removed":
            stored = stored.select(list(shape.key))
            stored = stored.append_column(OP, pa.repeat("d", stored.num_rows))
        part = self._write_part(each, stored, "removed" if kind == "removed" else "base")
        each.segments.append(part)
        each.kept += part.rows if kind == "base" else 0

    def _put_aside(self, each: _Stream, rows: pa.Table, reason: str) -> None:
        rows = normalised(rows)
        for start in range(0, rows.num_rows, ROWS):
            piece = rows.slice(start, ROWS).rename_columns([stored_name(name) for name in rows.column_names])
            each.aside.append(Aside(self._write_part(each, piece, "aside", rows.schema), reason))

    def _write_part(self, each: _Stream, table: pa.Table, kind: parts.Kind, schema: pa.Schema | None = None) -> Part:
        shape = each.spec.shape(each.watch.schema if schema is None else schema)
        repository = self.repository
        part, wraps = parts.write(
            self.segments_folder,
            each.spec.id,
            shape,
            table,
            kind=kind,
            keys=repository.keys,
            period=repository.period(),
            entropy=repository.entropy,
        )
        self._wraps |= wraps
        return part

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
            [_state(name, each) for name, each in self._streams.items()], self._raw,
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
        names |= {
            parts.key_name(DatasetId(self.connection, each.stream), one, at)
            for each in state.streams
            for one in kept
            for at in ("internal", "personal", "sensitive")
        }
        self._wraps = {name: one for name, one in keyfile.read(self.folder / "draft.keys").items() if name in names}
        for each in state.streams:
            stream = self._streams[each.stream]
            stream.watch.expected = checkpoint.schema(each.expected)
            stream.watch.restore(checkpoint.schema(each.schema), each.seen, each.drift)
            stream.segments, stream.aside = list(each.segments), list(each.aside)
            stream.kept = sum(part.rows for part in each.segments if part.kind == "base")


def _state(name: str, each: _Stream) -> StreamState:
    watch, spec = each.watch, each.spec
    return StreamState(
        name, spec.primary_key, dict(spec.classes), spec.contract, checkpoint.pairs(spec.schema), checkpoint.pairs(watch.expected),
        checkpoint.pairs(watch.schema), sorted(watch.seen), watch.drift, each.segments, each.aside,
    )  # fmt: skip


def _known(repository: Repository, dataset: DatasetId) -> pa.Schema | None:
    """Give the columns of the current snapshot, as far as their keys were not destroyed."""
    head = repository.head(dataset)
    return None if head is None else repository.shape(head, repository.readable(head)).schema


def _any_null(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    missing = pc.is_null(columns[0])
    for column in columns[1:]:
        missing = pc.or_(missing, pc.is_null(column))
    return missing


def _folder(repository: Repository, connection: str, run: str) -> Path:
    return repository.root / connection / ".drafts" / run


def _hold(folder: Path, run: str) -> int:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise DraftBusy(run=run) from None
    return handle


def held(folder: Path) -> bool:
    """Whether a process holds the draft in this folder."""
    try:
        os.close(_hold(folder, folder.name))
    except (DraftBusy, FileNotFoundError):
        return True
    return False

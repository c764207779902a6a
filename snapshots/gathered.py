"""One stream of a draft: records held against their contract, then written as segments.

1. A segment is an encrypted part already. It is written when enough rows are there, or when the draft is checkpointed.
2. Rows keep the order in which they came, removals among them.
3. Rows without a whole primary key, and rows that the contract refuses, are put aside with the reason.
4. The segments of small streams stay in memory too, so that comparing and publishing need not read back what was just written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from snapshots import checkpoint
from snapshots.checkpoint import Aside, StreamState
from snapshots.columns import conform, normalised
from snapshots.dataset import OP, DatasetId, DatasetSpec, stored_name
from snapshots.drift import Watch
from snapshots.parts import BYTES, ROWS, Part, Press

HELD: Final = BYTES
"""Bytes of Arrow of the segments that a draft holds in memory, its streams together, and what waits of one of them."""


@dataclass(slots=True)
class Held:
    """Segments just written, by the id of their part: all of a stream or none of it."""

    _tables: dict[str, dict[str, pa.Table]] = field(default_factory=dict)
    _past: set[str] = field(default_factory=set)
    _bytes: int = 0

    def keep(self, stream: str, part: str, table: pa.Table) -> None:
        """Hold a segment, as long as there is room for its whole stream."""
        self.beside(stream, table.nbytes)
        if stream not in self._past:
            self._tables.setdefault(stream, {})[part] = table
            self._bytes += table.nbytes

    def beside(self, stream: str, waiting: int) -> None:
        """Hold nothing of a stream any more when so many of its bytes that wait leave no room."""
        if self._bytes + waiting > HELD:
            self.drop(stream)

    def of(self, stream: str) -> Mapping[str, pa.Table]:
        """What is held of a stream."""
        return self._tables.get(stream, {})

    def drop(self, stream: str) -> None:
        """Hold nothing of a stream any more."""
        self._past.add(stream)
        self._bytes -= sum(table.nbytes for table in self._tables.pop(stream, {}).values())


@dataclass(slots=True)
class Gathered:
    """What is gathered of one stream; `rows` and `bytes` wait in memory, `kept` rows are in segments."""

    spec: DatasetSpec
    watch: Watch
    press: Press
    secret: bytes
    held: Held
    segments: list[Part] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    kept: int = 0
    _waiting: list[tuple[str, pa.Table]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Records gathered, those put aside included."""
        return self.kept + self.rows + sum(each.part.rows for each in self.aside)

    @property
    def keyless(self) -> int:
        """Records put aside because they have no key."""
        return sum(each.part.rows for each in self.aside if each.reason == "keyless")

    def add(self, records: pa.Table, removed: pa.Table | None) -> None:
        """Add records, and the keys of those that are gone; raises ContractBroken before anything of them is kept."""
        admitted = self.watch.admit(records)
        keys = None if removed is None or not self.spec.primary_key else self.watch.admit_keys(removed)
        if admitted.aside is not None:
            self._put_aside(admitted.aside, "contract")
        self._hold("base", self._named(admitted.table))
        if keys is not None:
            self._hold("removed", self._named(keys))
        self.held.beside(self.spec.id.stream, self.bytes)
        if self.rows >= ROWS or self.bytes >= BYTES:
            self.flush(whole=False)

    def flush(self, *, whole: bool) -> None:
        """Write what waits as segments; unless `whole`, what does not fill one waits for more."""
        pending, self._waiting, self.rows, self.bytes = self._waiting, [], 0, 0
        at = 0
        while at < len(pending):
            kind, end = pending[at][0], at
            while end < len(pending) and pending[end][0] == kind:
                end += 1
            table = self._joined(kind, [one for _, one in pending[at:end]])
            step = max(1, min(ROWS, table.num_rows * BYTES // max(1, table.nbytes)))
            for start in range(0, table.num_rows, step):
                rows = table.slice(start, step)
                if rows.num_rows < step and end == len(pending) and not whole:
                    self._hold(kind, rows)
                else:
                    self._write(kind, rows)
            at = end

    def state(self) -> StreamState:
        """Give what a checkpoint remembers."""
        watch, spec = self.watch, self.spec
        return StreamState(
            spec.id.stream,
            spec.primary_key,
            dict(spec.classes),
            spec.contract,
            checkpoint.pairs(spec.schema),
            checkpoint.pairs(watch.expected),
            checkpoint.pairs(watch.schema),
            sorted(watch.seen),
            watch.drift,
            self.segments,
            self.aside,
        )

    def restore(self, state: StreamState) -> None:
        """Take up where a checkpoint left."""
        self.watch.expected = checkpoint.schema(state.expected)
        self.watch.restore(checkpoint.schema(state.schema), state.seen, state.drift)
        self.segments, self.aside = list(state.segments), list(state.aside)
        self.kept = sum(part.rows for part in state.segments if part.kind == "base")

    def _named(self, table: pa.Table) -> pa.Table:
        """Put aside the rows that have no key, and give the others."""
        if not self.spec.primary_key or not table.num_rows:
            return table
        missing = pc.is_null(table.column(self.spec.primary_key[0]))
        for name in self.spec.primary_key[1:]:
            missing = pc.or_(missing, pc.is_null(table.column(name)))
        if not pc.any(missing).as_py():
            return table
        self._put_aside(table.filter(missing), "keyless")
        return table.filter(pc.invert(missing))

    def _hold(self, kind: str, table: pa.Table) -> None:
        if table.num_rows:
            self._waiting.append((kind, table))
            self.rows += table.num_rows if kind == "base" else 0
            self.bytes += table.nbytes

    def _joined(self, kind: str, tables: list[pa.Table]) -> pa.Table:
        names = list(self.spec.primary_key) if kind == "removed" else self.watch.schema.names
        schema = pa.schema([self.watch.schema.field(name) for name in names])
        return pa.concat_tables([conform(each, schema) for each in tables])

    def _write(self, kind: str, table: pa.Table) -> None:
        shape = self.spec.shape(self.watch.schema)
        stored = shape.stored(table, self.secret)
        if kind == "base":
            made = self.press.write(shape, stored, "base")
            self.segments.append(made)
            self.held.keep(self.spec.id.stream, made.id, stored)
            self.kept += table.num_rows
        else:
            keys = stored.select(list(shape.key))
            self.segments.append(self.press.write(shape, keys.append_column(OP, pa.repeat("d", keys.num_rows)), "removed"))

    def _put_aside(self, rows: pa.Table, reason: str) -> None:
        rows = normalised(rows)
        shape = self.spec.shape(rows.schema)
        named = rows.rename_columns([stored_name(name) for name in rows.column_names])
        for start in range(0, rows.num_rows, ROWS):
            self.aside.append(Aside(self.press.write(shape, named.slice(start, ROWS), "aside"), reason))


def spec_of(connection: str, state: StreamState) -> DatasetSpec:
    """Give what a checkpoint says of a stream's dataset."""
    return DatasetSpec(
        DatasetId(connection, state.stream), state.primary_key, state.classes, state.contract, checkpoint.schema(state.declared)
    )

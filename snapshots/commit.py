"""How a measured draft becomes a snapshot: as a delta on the current one, or as a new base.

1. A delta holds the rows that were inserted (`i`) or updated (`u`) and the keys of those deleted (`d`), and nothing else: the
   cost follows the change. When nothing changed there is no new part, only a manifest.
2. A new base is written for a first snapshot, when the deltas would name half as many rows as the base has or pass its bytes
   (small ones are let pass: a part costs some kilobytes whatever it holds, in a delta as in a base), when a field changed class
   or the primary key changed, when keys of the current snapshot were destroyed, and on the first commit of a key period, so
   that older periods can be destroyed. The comparison's mode decides; `mode` is only what the manifest says of the run.
3. A base adopts the draft's own segments as they are, when all their rows count and they are not small; other rows are gathered
   into new parts. Nothing is rewritten for the pleasure of it.
4. What is published adds up: rows kept and rows written are those that were measured, or nothing is published.
5. Parts are linked into place and made durable, then the key file, then the manifest. A crash before that leaves the current
   snapshot as it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from snapshots import keyfile, parts
from snapshots.chain import Chain, Piece, without
from snapshots.columns import Json, conform
from snapshots.dataset import OP
from snapshots.durable import link
from snapshots.errors import NotCommitted, Unbalanced
from snapshots.manifest import Counts, Drift, Manifest, Mode, Provenance, Verdict
from snapshots.measure import Comparison, Ground
from snapshots.parts import BYTES, ROWS, Part
from snapshots.workspace import counting
from vault import files
from vault.keys import Wrapped

LITTLE = 256 << 10
"""Bytes up to which deltas ask for no new base by their size."""
_SMALL = 4
"""A segment below a quarter of a part's rows and bytes is gathered with others."""


def commit(
    comparison: Comparison, *, cursor: Json, verdict: Verdict, provenance: Provenance, mode: Mode, drift: Sequence[Drift]
) -> Manifest:
    """Publish what was compared; gives the new snapshot.

    Errors: NotCommitted when the current one is no longer that of the measure; Unbalanced when the parts do not hold the
    rows that were measured.
    """
    ground, head, measure = comparison.ground, comparison.head, comparison.measure
    now = ground.repository.head(ground.id)
    if (now.hash if now else None) != (head.hash if head else None):
        raise NotCommitted(
            stream=ground.id.stream,
            reason_fr="l'instantané courant a changé depuis la mesure",
            reason_en="the current snapshot changed since it was measured",
        )
    hopper = _Hopper(ground)
    changed = measure.inserted + measure.updated + measure.deleted
    if head is None or _new_base(comparison, head, changed):
        if head is not None and comparison.mode == "incremental":
            _gather(hopper, _carried(comparison, head), "base")
            _gather(hopper, _changed(comparison), "base")
        else:
            _rebase(hopper, comparison)
        listed = hopper.close()
        rows = sum(part.rows for part in listed)
    else:
        if changed:
            _gather(hopper, _delta(comparison), "delta")
        listed = [*head.parts, *hopper.close()]
        rows = head.rows + hopper.gained
        inherited = keyfile.read(ground.repository.key_file(head))
        names = {parts.key_name(ground.id, part.id, at) for part in head.parts for at in part.files}
        hopper.wraps |= {name: wrapped for name, wrapped in inherited.items() if name in names}
    if rows != measure.rows_after:
        raise Unbalanced(
            stream=ground.id.stream,
            reason_fr=f"{rows} lignes au lieu des {measure.rows_after} mesurées",
            reason_en=f"{rows} rows instead of the {measure.rows_after} measured",
        )
    _put_in_place(ground, hopper.made)
    return ground.repository.publish(
        ground.id,
        ground.shape,
        parent=head,
        parts=listed,
        wraps=hopper.wraps,
        cursor=cursor,
        counts=Counts(measure.rows_after, measure.inserted, measure.updated, measure.deleted, measure.unchanged),
        verdict=verdict,
        provenance=provenance,
        mode=mode,
        drift=drift,
    )


def _new_base(comparison: Comparison, head: Manifest, changed: int) -> bool:
    """Whether law 2 asks for a new base."""
    stands = comparison.standing
    if stands is None or stands.rebases(comparison.mode):
        return True
    if not comparison.keyed and comparison.mode == "full_refresh":
        return changed > 0
    base = [part for part in head.parts if part.kind == "base"]
    size, rows = sum(part.bytes for part in base), sum(part.rows for part in base)
    deltas = [part for part in head.parts if part.kind == "delta"]
    named = sum(part.rows for part in deltas) + changed
    expected = sum(part.bytes for part in deltas) + size * changed // max(1, rows)
    return changed > 0 and stands.whole and (2 * named > rows or expected > max(size, LITTLE))


@dataclass(slots=True)
class _Hopper:
    """Gathers rows into parts of a fair size."""

    ground: Ground
    made: list[Part] = field(default_factory=list)
    wraps: dict[str, Wrapped] = field(default_factory=dict)
    _waiting: list[pa.Table] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0
    _kind: parts.Kind = "base"
    gained: int = 0
    """Rows inserted less rows deleted, by the deltas added."""

    def adopt(self, number: int) -> None:
        """Take a segment as a base part, as it is."""
        part = self.ground.segments[number]
        self.made.append(part)
        names = [parts.key_name(self.ground.id, part.id, at) for at in part.files]
        self.wraps |= {name: self.ground.wraps[name] for name in names}

    def add(self, table: pa.Table, kind: parts.Kind) -> None:
        """Add rows of stored columns."""
        if table.num_rows:
            self._kind = kind
            if kind == "delta":
                self.gained += sum({"i": 1, "d": -1}.get(each["values"], 0) * each["counts"] for each in _tallied(table))
            self._waiting.append(table)
            self._rows += table.num_rows
            self._bytes += table.nbytes
            if self._rows >= ROWS or self._bytes >= BYTES:
                self._pour(last=False)

    def close(self) -> list[Part]:
        """Write what waits; gives all the parts."""
        self._pour(last=True)
        files.flush(self.ground.folder)
        return self.made

    def _pour(self, *, last: bool) -> None:
        if not self._rows:
            return
        table = pa.concat_tables(self._waiting)
        step = max(1, min(ROWS, table.num_rows * BYTES // max(1, table.nbytes)))
        self._waiting, self._rows, self._bytes = [], 0, 0
        for start in range(0, table.num_rows, step):
            piece = table.slice(start, step)
            if piece.num_rows < step and not last:
                self._waiting, self._rows, self._bytes = [piece], piece.num_rows, piece.nbytes
            else:
                self._write(piece)

    def _write(self, table: pa.Table) -> None:
        ground = self.ground
        press = ground.repository.press(ground.id, ground.folder, self.wraps)
        self.made.append(press.write(ground.shape, table, self._kind))


def _tallied(table: pa.Table) -> list[dict[str, Any]]:
    """Give how often each operation occurs."""
    return list(pc.value_counts(table.column(OP)).to_pylist())


def _gather(hopper: _Hopper, tables: Iterator[pa.Table], kind: parts.Kind) -> None:
    for table in tables:
        hopper.add(table, kind)


def _rebase(hopper: _Hopper, comparison: Comparison) -> None:
    """Make a base of the draft's rows alone."""
    ground = comparison.ground
    for number, part in enumerate(ground.segments):
        if part.kind == "removed":
            continue
        dropped = comparison.dropped_in(number)
        fair = part.rows * _SMALL >= ROWS or part.bytes * _SMALL**2 >= BYTES  # encoded bytes are a fraction of Arrow's
        current = part.period == ground.repository.period()
        if not len(dropped) and current and (fair or len(ground.segments) == 1):
            hopper.adopt(number)
            continue
        for at, table in ground.batches(number):
            hopper.add(without(Piece(number, counting(table.num_rows, at), table), dropped).table, "base")


def _changed(comparison: Comparison, *, told: bool = False) -> Iterator[pa.Table]:
    """Give the draft's rows that were inserted or updated, with `_op` when `told`."""
    for number, part in enumerate(comparison.ground.segments):
        rows = comparison.changed_in(number)
        if part.kind != "removed" and rows.num_rows:
            for at, table in comparison.ground.batches(number):
                here = rows.filter(pc.and_(pc.greater_equal(rows["row"], at), pc.less(rows["row"], at + table.num_rows)))
                chosen = table.take(pc.subtract(here["row"], at))
                yield chosen.append_column(OP, pc.if_else(here["inserted"], "i", "u")) if told else chosen


def _delta(comparison: Comparison) -> Iterator[pa.Table]:
    """Give changed rows and deleted keys, in the columns of a delta part."""
    schema = comparison.ground.schema.append(pa.field(OP, pa.string()))
    yield from _changed(comparison, told=True)
    if comparison.keyed:
        for keys in comparison.lost():
            yield conform(keys, schema)


def _carried(comparison: Comparison, head: Manifest) -> Iterator[pa.Table]:
    """Give the current snapshot's rows that the draft leaves alone."""
    ground = comparison.ground
    for piece in Chain(ground.repository, head).pieces(comparison.workspace):
        yield conform(without(piece, comparison.replaced_in(piece.part)).table, ground.schema)


def _put_in_place(ground: Ground, made: Sequence[Part]) -> None:
    folder = files.folder(ground.repository.parts_folder(ground.id))
    for part in made:
        for class_name in part.files:
            name = parts.file_name(part.id, class_name)
            link(ground.folder / name, folder / name)
    files.flush(folder)

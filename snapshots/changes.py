# ruff: noqa: S608 - every name in SQL is ours; values and vendors' names never enter it
"""What changed between two snapshots of a dataset, row by row.

1. A change is `_op` (`i` inserted, `u` updated, `d` deleted), `before` and `after`: the row then and now, null where there is
   none, both in the columns of both snapshots; and `_key` where the primary key is not internal.
2. It tells what a clearance may see, then and now (`snapshots.reclassed`): an update of columns beyond it is no change.
3. When one snapshot is the other plus deltas, only the keys that deltas name are looked at; otherwise both are compared whole.
   Either way in bounded memory, what does not fit being spilled encrypted.
4. Rows without a primary key, or whose key changed, are compared as whole rows: inserted or deleted, never updated.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from snapshots.chain import Chain, Piece, extends
from snapshots.columns import conform, converted
from snapshots.dataset import KEY, OP, stored_name, visible
from snapshots.drift import widened
from snapshots.errors import NotCompared
from snapshots.manifest import Manifest
from snapshots.measure import SHIFT, within
from snapshots.parts import BATCH, ROWS
from snapshots.reclassed import withheld
from snapshots.repository import Repository
from snapshots.workspace import Workspace, together


def changes(
    repository: Repository, before: Manifest, after: Manifest, clearance: str, *, batch_rows: int = 16_384
) -> Iterator[pa.RecordBatch]:
    """Give the changes from one snapshot to another, in no order.

    Arguments: clearance: the highest class to show; a class whose keys were destroyed is left out; batch_rows: at most.
    Errors: NotCompared, at the start or while it is read, when memory or room ran out; Damaged, Sealed from the snapshots.
    """
    readable = set(repository.readable(before)) & set(repository.readable(after))
    classes = [each for each in visible(clearance) if each in readable]
    hidden = withheld(repository, before, clearance) | withheld(repository, after, clearance)
    with Workspace(repository.work, _held(before, after)) as workspace:
        sides = (Chain(repository, each, classes, hidden) for each in (before, after))
        try:
            yield from _Difference(workspace, *sides).batches(batch_rows)
        except (duckdb.Error, OSError, pa.ArrowException):  # their text may hold values of the rows: not chained
            raise NotCompared(dataset=f"{after.id.connection}.{after.id.stream}") from None


def _held(before: Manifest, after: Manifest) -> int:
    """At most how many rows are held at once: those that deltas name, then and now, or all of both."""
    if after.primary_key and extends(after, before):
        return 2 * sum(part.rows for part in after.parts if part.kind == "delta")
    return sum(part.rows for part in (*before.parts, *after.parts))


class _Difference:
    """Two snapshots laid side by side."""

    def __init__(self, workspace: Workspace, before: Chain, after: Chain) -> None:
        self.work, self.before, self.after = workspace, before, after
        self.keyed = before.keyed and after.keyed and before.key_schema.names == after.key_schema.names
        self.columns = _both(before, after)
        shown = {stored_name(each.name) for each in self.columns}  # a key that is withheld still tells rows apart
        own = [each for each in after.key_schema if each.name not in shown] if self.keyed else []
        self.schema = pa.schema(own + [pa.field(stored_name(each.name), each.type) for each in self.columns])
        self.key = list(after.key_schema.names) if self.keyed else []
        self.k = ", ".join(f"k{number}" for number in range(len(self.key))) if self.keyed else "k0, k1"

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """Find which rows differ, then read those alone."""
        first = len(self.before.manifest.parts)
        if self.keyed and extends(self.after.manifest, self.before.manifest):
            if first == len(self.after.manifest.parts):
                return
            self._index_touched(first)
        else:
            for side, chain in (("before", self.before), ("after", self.after)):
                self._index(side, chain.pieces(self.work), hashed=True)
        self.work.run(
            "CREATE TABLE wanted AS SELECT row_number() OVER () AS n, b.place AS before, a.place AS after "
            f"FROM before_index b FULL JOIN after_index a USING ({self.k}) "
            "WHERE b.digest IS NULL OR a.digest IS DISTINCT FROM b.digest"
        )
        self._load("before", self.before)
        self._load("after", self.after)
        yield from self._joined(size)

    def _index(self, side: str, pieces: Iterator[Piece], *, hashed: bool, where: str = "") -> None:
        """Note the key, digest and place of live rows; without their values, the digest is left for later."""
        schema = self.schema if hashed else pa.schema([self.schema.field(name) for name in self.key])
        self._make(f"{side}_index", schema, "digest", "place")
        placed = (
            _carried(conform(piece.table, schema), self.key).append_column("place", pc.add(piece.places, piece.part << SHIFT))
            for piece in pieces
        )
        for chunk in placed if hashed else together(placed, ROWS):
            digest = _digest(chunk) if hashed else "NULL::UBIGINT"
            keys = self.k if self.keyed else f"{digest}, 0::BIGINT"
            self.work.gather(f"{side}_index", f"SELECT {keys}, {digest}, place FROM chunk {where}", chunk)
        self.work.settle(f"{side}_index")
        if not self.keyed:  # the n-th of several equal rows has its own name: it meets the n-th of the other side
            named = f"SELECT * REPLACE (row_number() OVER (PARTITION BY k0) AS k1) FROM {side}_index"
            self.work.run(f"CREATE OR REPLACE TABLE {side}_index AS {named}")

    def _index_touched(self, first: int) -> None:
        """Note only the rows of the keys that parts from `first` on name."""
        self.after.outdated(self.work, first)
        self.work.run("CREATE TABLE named AS SELECT * EXCLUDE (latest) FROM touched")
        self._index("after", self.after.pieces(self.work, self.key, first=first, resolved=True), hashed=False)
        self._index("before", self.before.pieces(self.work, self.key), hashed=False, where=f"SEMI JOIN named USING ({self.k})")

    def _make(self, table: str, schema: pa.Schema, *numbers: str) -> None:
        chunk = _carried(schema.empty_table(), self.key)
        keys = self.k if self.keyed else "0::UBIGINT AS k0, 0::BIGINT AS k1"
        told = ", ".join(f"0::UBIGINT AS {name}" if name == "digest" else f"0::BIGINT AS {name}" for name in numbers)
        self.work.sql.register("chunk", chunk)
        self.work.run(f"CREATE TABLE {table} AS SELECT {keys}, {told} FROM chunk LIMIT 0")
        self.work.sql.unregister("chunk")

    def _load(self, side: str, chain: Chain) -> None:
        """Read the rows that are wanted, from the parts that have some."""
        self.work.sql.register("chunk", _carried(self.schema.empty_table(), self.key))
        self.work.run(f"CREATE TABLE {side}_rows AS SELECT 0::BIGINT AS n, 0::UBIGINT AS digest, * FROM chunk LIMIT 0")
        self.work.sql.unregister("chunk")
        for part in range(len(chain.manifest.parts)):
            low, high = part << SHIFT, (part + 1) << SHIFT
            query = f"SELECT {side} - {low} FROM wanted WHERE {side} >= {low} AND {side} < {high} ORDER BY 1"
            places = self.work.table(query).column(0)
            if not len(places):
                continue
            for chunk in together(self._taken(chain, part, places), BATCH):
                query = (
                    f"SELECT n, {_digest(chunk)}, chunk.* EXCLUDE (place) FROM chunk JOIN wanted ON wanted.{side} = chunk.place"
                )
                self.work.insert(f"{side}_rows", query, chunk)

    def _taken(self, chain: Chain, part: int, places: Any) -> Iterator[pa.Table]:  # noqa: ANN401  # pyarrow has no types
        """Read the rows of a part that are wanted, with their place."""
        for at, table in chain.batches(part):
            here = within(places, at, table.num_rows)
            if len(here):
                rows = table if len(here) == table.num_rows else table.take(pc.subtract(here, at))
                yield _carried(conform(rows, self.schema), self.key).append_column("place", pc.add(here, part << SHIFT))

    def _joined(self, size: int) -> Iterator[pa.RecordBatch]:
        names = _carried(self.schema.empty_table(), self.key).column_names
        sides = "".join(f", {side}.{name} AS {side}_{name}" for side in ("b", "a") for name in names)
        kind = f"CASE WHEN b.n IS NULL THEN 'i' WHEN a.n IS NULL THEN 'd' ELSE 'u' END AS {OP}"
        rows = "before_rows b FULL JOIN after_rows a USING (n) WHERE a.digest IS DISTINCT FROM b.digest"
        # Joined before it is streamed: what runs out of memory while it streams cannot be given more and begun again.
        self.work.run(f"CREATE TABLE joined AS SELECT {kind}{sides} FROM {rows}")
        # Closed here, whoever stops reading: never after the workspace whose rows it streams.
        with self.work.run("FROM joined").to_arrow_reader(size) as reader:
            for batch in reader:
                yield self._batch(pa.Table.from_batches([batch]), names)

    def _batch(self, table: pa.Table, names: Sequence[str]) -> pa.RecordBatch:
        kinds = table.column(OP).combine_chunks()
        sides: dict[str, pa.Table] = {}
        for side in ("b", "a"):
            found = table.select([f"{side}_{name}" for name in names]).rename_columns(list(names))
            sides[side] = _given_back(found, self.schema, self.key)
        fields, arrays = [pa.field(OP, pa.string())], [kinds]
        if KEY in self.schema.names and self.schema.names[0] == KEY and KEY in self.key:
            fields.append(pa.field(KEY, pa.string()))
            arrays.append(pc.coalesce(sides["a"].column(KEY), sides["b"].column(KEY)).combine_chunks())
        for name, side, absent in (("before", "b", "i"), ("after", "a", "d")):
            rows = sides[side].select([stored_name(each.name) for each in self.columns])
            children = [column.combine_chunks() for column in rows.columns]
            whole = (
                pa.StructArray.from_arrays(children, fields=list(self.columns), mask=pc.equal(kinds, absent))
                if children
                else None
            )
            arrays.append(pa.nulls(len(kinds), pa.struct([])) if whole is None else whole)
            fields.append(pa.field(name, pa.struct(list(self.columns))))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _digest(chunk: pa.Table) -> str:
    """Give the expression that hashes a row's values, its key apart."""
    values = ", ".join(name for name in chunk.column_names if name.startswith("v"))
    return f"hash({values})" if values else "0::UBIGINT"


def _both(before: Chain, after: Chain) -> pa.Schema:
    """Give the columns of both snapshots, in types that hold both."""
    fields = {each.name: each for each in after.shape.schema}
    for each in before.shape.schema:
        known = fields.get(each.name)
        fields[each.name] = each if known is None else pa.field(each.name, widened(known.type, each.type) or pa.string())
    return pa.schema(list(fields.values()))


def _exact(kind: pa.DataType) -> bool:
    """Whether the engine gives values of a type back as they were."""
    fine = pa.types.is_timestamp(kind) and kind.unit == "ns" and kind.tz is not None
    return not (pa.types.is_duration(kind) or fine)


def _carried(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Name columns by position, keys first; types that the engine would round are carried as whole numbers."""
    names = [*key, *(name for name in table.column_names if name not in key)]
    columns: list[Any] = []
    for name in names:
        column = table.column(name)
        columns.append(column if _exact(column.type) else column.cast(pa.int64()))
    told = [*(f"k{number}" for number in range(len(key))), *(f"v{number}" for number in range(len(names) - len(key)))]
    return pa.table(columns, names=told)


def _given_back(table: pa.Table, schema: pa.Schema, key: Sequence[str]) -> pa.Table:
    """Undo `_carried`."""
    names = [*key, *(name for name in schema.names if name not in key)]
    columns = []
    for name, column in zip(names, table.columns, strict=True):
        kind = schema.field(name).type
        columns.append(pa.chunked_array([pa.nulls(len(column))]) if pa.types.is_null(kind) else converted(column, kind))
    return pa.table(columns, names=names).select(schema.names)

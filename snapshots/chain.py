# ruff: noqa: S608 - every name in SQL is ours; values and vendors' names never enter it
"""A base, then deltas: which rows of a manifest's parts are alive, and how to lay them onto a table.

1. Parts apply in their order. For each key, the row of the last part that names it is the one that counts; if that part says
   `d` there is none. Within the parts of one commit a key is named once.
2. Rows are never merged: each part is read whole, and rows that a later part outdates are left out. Memory does not grow with
   the snapshot; it grows with the deltas, which a new base ends before they name half as many rows, and spills encrypted.
3. Older parts are brought to the manifest's schema: columns they lack are null, narrower types are widened.
4. `load` does the same onto a DuckDB table, whole or from an earlier snapshot of the same base.

Tables here have stored names (`Shape.stored`): `_key` in front where the primary key is not internal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from snapshots import parts
from snapshots.columns import conform, understood
from snapshots.dataset import CLASSES, KEY, OP, stored_name
from snapshots.manifest import Manifest
from snapshots.mart import quote
from snapshots.workspace import NARROW, Workspace, counting

if TYPE_CHECKING:
    from snapshots.repository import Repository

_GATHERED = 4 * parts.ROWS


@dataclass(frozen=True, slots=True)
class Piece:
    """Some live rows of one part: its place in the manifest, the rows' numbers in it (int64), their stored columns."""

    part: int
    places: Any
    table: pa.Table


class Chain:
    """The live rows of one snapshot, for a reader of some classes."""

    def __init__(
        self,
        repository: "Repository",
        manifest: Manifest,
        classes: Sequence[str] = CLASSES,
        withheld: frozenset[str] = frozenset(),
    ) -> None:
        """`withheld`: columns of these classes that are left out, by the vendor's names (`snapshots.reclassed`)."""
        self.manifest = manifest
        self.classes = tuple(classes)
        self.id = manifest.id
        self.shape = repository.shape(manifest, self.classes).without(withheld)
        self._folder = repository.parts_folder(self.id)
        self._opener = repository.opener(manifest)
        self.work = repository.work
        internal = {column.place: column for column in manifest.schema}
        named = all(place in internal for place in manifest.primary_key)
        found = [internal[place] for place in manifest.primary_key] if named else []
        key = (
            [pa.field(stored_name(each.name), understood(each.type)) for each in found]
            if named
            else [pa.field(KEY, pa.string())]
        )
        self.key_schema = pa.schema(key)
        own = [] if named else key
        self.schema = pa.schema(own + [pa.field(stored_name(each.name), each.type) for each in self.shape.schema])

    @property
    def named_rows(self) -> int:
        """Rows that deltas name, then and now, at most: what it takes to tell live rows from outdated ones."""
        return 2 * sum(part.rows for part in self.manifest.parts if part.kind == "delta")

    @property
    def keyed(self) -> bool:
        """Whether rows have a primary key."""
        return bool(self.manifest.primary_key)

    def batches(self, part: int, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Read all rows of a part little by little, brought to this snapshot's schema: the first row's number, and the rows.

        `columns` are stored names, `_op` among them if wanted.
        """
        wanted = list(self.schema.names) if columns is None else list(columns)
        inner = {*self.key_schema.names, OP}
        classes = (
            ("internal",)
            if inner.issuperset(wanted)
            else tuple({*self.classes, "internal"} if inner & {*wanted} else self.classes)
        )
        known = {each.name: each for each in (*self.key_schema, *self.schema, pa.field(OP, pa.string()))}
        schema = pa.schema([known[name] for name in wanted])
        listed = self.manifest.parts[part]
        for at, table in parts.batches(self._folder, self.id, listed, self._opener, classes=classes, columns=wanted):
            yield at, conform(table, schema) if wanted else table.select([])

    def read_part(self, part: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows of a part at once; see `batches`."""
        return pa.concat_tables([table for _, table in self.batches(part, columns)])

    def read_keys(self, part: int) -> pa.Table:
        """Read the key of each row of a part, in columns `k0`, `k1` and so on."""
        table = self.read_part(part, self.key_schema.names)
        return table.rename_columns([f"k{number}" for number in range(table.num_columns)])

    def pieces(
        self,
        workspace: Workspace | None = None,
        columns: Sequence[str] | None = None,
        *,
        first: int = 0,
        resolved: bool = False,
    ) -> Iterator[Piece]:
        """Give the live rows part by part, from part `first` on.

        Arguments: workspace: where to tell live rows from outdated ones; one is made when there are deltas and none is given;
        resolved: `outdated` has been called on it already.
        """
        if not self.keyed or all(part.kind == "base" for part in self.manifest.parts):
            for number in range(first, len(self.manifest.parts)):
                for at, table in self.batches(number, columns):
                    yield Piece(number, counting(table.num_rows, at), table)
            return
        if workspace is None:
            with Workspace(self.work, self.named_rows, few=NARROW) as own:
                yield from self.pieces(own, columns, first=first)
            return
        if not resolved:
            self.outdated(workspace, first)
        for number, part in enumerate(self.manifest.parts[first:], first):
            gone = workspace.table("SELECT place FROM dead WHERE part = ?", [number]).column(0)
            if len(gone) == part.rows:
                continue
            for at, table in self.batches(number, columns):
                yield without(Piece(number, counting(table.num_rows, at), table), gone)

    def outdated(self, workspace: Workspace, first: int = 0) -> None:
        """Make the table `dead(part, place)` of the rows, from part `first` on, that a later part outdates or that say `d`.

        Makes also the table `touched` of the keys that deltas from part `first` on insert, update or delete.
        """
        keys = ", ".join(f"k{number}" for number in range(len(self.key_schema)))
        sql = workspace.sql
        empty = self.key_schema.empty_table()
        sql.register("chunk", empty.rename_columns([f"k{number}" for number in range(len(self.key_schema))]))
        workspace.run(
            "CREATE OR REPLACE TABLE deltas AS "
            "SELECT *, 0::INTEGER AS part, 0::BIGINT AS place, false AS gone FROM chunk LIMIT 0"
        )
        sql.unregister("chunk")
        for number, part in enumerate(self.manifest.parts):
            if number >= first and part.kind == "delta":
                rows = self.read_keys(number)
                ops = self.read_part(number, [OP]).column(0)
                chunk = rows.append_column("place", counting(part.rows)).append_column("gone", pc.equal(ops, "d"))
                workspace.insert("deltas", f"SELECT {keys}, {number}, place, gone FROM chunk", chunk)
        workspace.run(f"CREATE OR REPLACE TABLE touched AS SELECT {keys}, max(part) AS latest FROM deltas GROUP BY ALL")
        workspace.run(
            "CREATE OR REPLACE TABLE dead AS "
            f"SELECT part, place FROM deltas JOIN touched USING ({keys}) WHERE part < latest OR gone"
        )
        workspace.run("DROP TABLE deltas")
        gathered: list[pa.Table] = []
        bases = [number for number, part in enumerate(self.manifest.parts) if number >= first and part.kind == "base"]
        for number in bases:
            rows = self.read_keys(number)
            places = counting(rows.num_rows)
            gathered.append(rows.append_column("part", pa.repeat(number, rows.num_rows)).append_column("place", places))
            if number == bases[-1] or sum(each.num_rows for each in gathered) >= _GATHERED:
                workspace.insert(
                    "dead", f"SELECT part, place FROM chunk SEMI JOIN touched USING ({keys})", pa.concat_tables(gathered)
                )
                gathered = []


def without(piece: Piece, gone: Any) -> Piece:  # noqa: ANN401  # pyarrow has no types
    """Leave out the rows of these numbers."""
    if not len(gone):
        return piece
    kept = pc.invert(pc.is_in(piece.places, value_set=gone.combine_chunks()))
    return Piece(piece.part, piece.places.filter(kept), piece.table.filter(kept))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` did: whether the table was made anew, how many rows it wrote, and the name and class of each column."""

    whole: bool
    rows: int
    columns: tuple[tuple[str, str], ...]


def load(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    repository: "Repository",
    manifest: Manifest,
    classes: Sequence[str],
    since: Manifest | None = None,
    group: int = parts.ROWS,
    withheld: frozenset[str] = frozenset(),
) -> Loaded:
    """Lay a snapshot's rows onto a DuckDB table, named `table` (an SQL identifier, quoted by the caller where it must be).

    With `since`, the snapshot that the table already holds for the same classes, only what changed is applied when `manifest`
    stands on it; otherwise, or when columns are `withheld`, the table is made anew. The caller wraps it in a transaction if
    readers are there. `group` is the table's row group, in rows. Columns have stored names; two names that SQL would confuse
    (`Id`, `ID`) are told apart by a number.
    """
    chain = Chain(repository, manifest, classes, withheld)
    names = distinct(chain.schema.names)
    described = tuple(zip(names, _classes(chain), strict=True))
    whole = since is None or bool(withheld) or not extends(manifest, since)
    if since is not None and not whole and Chain(repository, since, classes).schema.equals(chain.schema):
        return Loaded(False, _apply(connection, table, chain, names, len(since.parts), group), described)
    _run(
        connection, f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM chunk", chain.schema.empty_table().rename_columns(names)
    )
    return Loaded(True, _pour(connection, table, names, group, chain.pieces()), described)


def extends(manifest: Manifest, since: Manifest) -> bool:
    """Whether a snapshot is an earlier one and deltas on top of it."""
    before, now = [part.id for part in since.parts], [part.id for part in manifest.parts]
    same = (since.dataset, since.primary_key) == (manifest.dataset, manifest.primary_key)
    return same and now[: len(before)] == before and all(part.kind == "delta" for part in manifest.parts[len(before) :])


def distinct(names: Sequence[str]) -> list[str]:
    """Tell apart names that differ by case alone, which SQL does not see: `Id`, `ID` become `Id`, `ID_2`."""
    seen: set[str] = set()
    told: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate.casefold() in seen:
            candidate, number = f"{name}_{number}", number + 1
        seen.add(candidate.casefold())
        told.append(candidate)
    return told


def _classes(chain: Chain) -> list[str]:
    own = len(chain.schema) - len(chain.shape.classes)
    return ["internal"] * own + list(chain.shape.classes)


def _apply(connection: duckdb.DuckDBPyConnection, table: str, chain: Chain, names: list[str], first: int, group: int) -> int:
    """Apply deltas from part `first` on: what they touch goes, what they hold alive comes."""
    if first == len(chain.manifest.parts):
        return 0
    if not chain.keyed:
        return _pour(connection, table, names, group, chain.pieces(first=first))
    in_table = dict(zip(chain.schema.names, names, strict=True))
    same = " AND ".join(
        f"{table}.{quote(in_table[name])} = chunk.k{number}" for number, name in enumerate(chain.key_schema.names)
    )
    with Workspace(chain.work, chain.named_rows, few=NARROW) as workspace:
        chain.outdated(workspace, first)
        touched = workspace.table("SELECT * EXCLUDE (latest) FROM touched")
        _run(connection, f"DELETE FROM {table} USING chunk WHERE {same}", touched)
        return _pour(connection, table, names, group, chain.pieces(workspace, first=first, resolved=True))


def _pour(connection: duckdb.DuckDBPyConnection, table: str, names: list[str], group: int, pieces: Iterator[Piece]) -> int:
    """Insert rows a row group at a time: less than one would pass through DuckDB's write-ahead log, and be written twice."""
    held: list[pa.Table] = []
    room, written = group, 0
    for piece in pieces:
        rows = piece.table.rename_columns(names)
        while rows.num_rows:
            held.append(rows.slice(0, room))
            rows, room = rows.slice(room), room - held[-1].num_rows
            if not room or sum(each.nbytes for each in held) >= parts.BYTES:
                written += _insert(connection, table, pa.concat_tables(held))
                held, room = [], group
    return written + (_insert(connection, table, pa.concat_tables(held)) if held else 0)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> int:
    _run(connection, f"INSERT INTO {table} SELECT * FROM chunk", rows)
    return int(rows.num_rows)


def _run(connection: duckdb.DuckDBPyConnection, query: str, chunk: pa.Table) -> None:
    connection.register("chunk", chunk)
    try:
        connection.execute(query)
    finally:
        connection.unregister("chunk")

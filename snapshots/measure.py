# ruff: noqa: S608 - every name in SQL is ours; values and vendors' names never enter it
"""What a draft changes: its rows against the current snapshot's, by primary key, in bounded memory.

1. Rows are compared by a hash of their values, after both sides were brought to one schema; keys are compared as they are,
   never by hash. Hashes, keys and places go to a `Workspace`; the values of changed rows are read again from their part.
2. In a full refresh, a key that the draft lacks is deleted. In an incremental run, only a key that the vendor said is removed.
3. Of several rows with one key the last counts: those equal to it are `repeated_same`, the others `repeated_different`.
4. Rows without a primary key are compared as a multiset of whole rows in a full refresh; an incremental run of them only adds.
5. When nothing tells any more which row was which (destroyed keys, another primary key), rows count as replaced: updated as far
   as their number goes, then inserted or deleted. An incremental run is refused then: NeedsFull.

A 64-bit hash of a row misses one change in 10^19. It is an engine's hash, not a cryptographic one: a vendor that wishes to
hide a change from its own client need not collide hashes to do so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from snapshots import parts
from snapshots.chain import Chain
from snapshots.columns import conform
from snapshots.dataset import KEY, OP, DatasetId, Shape, stored_name
from snapshots.errors import NeedsFull
from snapshots.manifest import Manifest, Mode
from snapshots.parts import Part
from snapshots.repository import Repository
from snapshots.standing import standing
from snapshots.workspace import NARROW, Workspace, counting
from vault.keys import Wrapped

SHIFT = 32
"""A place is the part's number times 2^32, plus the row's number."""

_LOT, _LOTS = 1_000_000, 32
"""Rows of both sides compared at once, and the most lots: past that, the engine spills."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What publishing a draft would do.

    `rows`: gathered with a key; `distinct`: those that count; `repeated_*`: those that do not (law 3); `keyless`: put aside,
    without a key; `inserted`, `updated`, `deleted`, `unchanged`: against the `previous_rows` of the current snapshot; `moved`:
    publish even if all of these are 0, because the shape, the keys or the key period changed (`snapshots.standing`).
    """

    mode: Mode
    rows: int
    distinct: int
    repeated_same: int
    repeated_different: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    previous_rows: int
    keyless: int = 0
    moved: bool = False

    @property
    def rows_after(self) -> int:
        """Rows of the snapshot that publishing would make."""
        return self.previous_rows + self.inserted - self.deleted


@dataclass(frozen=True, slots=True)
class Ground:
    """What is compared: a draft's segments of one stream, with the keys that open them."""

    repository: Repository
    id: DatasetId
    shape: Shape
    folder: Path
    segments: tuple[Part, ...]
    wraps: dict[str, Wrapped] = field(repr=False)
    held: Mapping[str, pa.Table] = field(default_factory=dict, repr=False)

    def opener(self, name: str) -> bytes:
        """Unwrap one key."""
        return self.repository.keys.unwrap(self.wraps[name], name.encode())

    @property
    def schema(self) -> pa.Schema:
        """Stored columns."""
        own = [pa.field(KEY, pa.string())] if self.shape.pseudonymous else []
        return pa.schema(own + [pa.field(stored_name(each.name), each.type) for each in self.shape.schema])

    def batches(self, number: int, names: list[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Read a segment's stored columns little by little, brought to the draft's schema; a removal has its key alone."""
        part = self.segments[number]
        if part.kind == "removed":
            names = list(self.shape.key)
        classes = ("internal",) if names is not None and set(names) <= set(self.shape.key) else tuple(part.files)
        schema = self.schema if names is None else pa.schema([self.schema.field(each) for each in names])
        if part.id in self.held:
            yield 0, conform(self.held[part.id], schema)
            return
        for at, table in parts.batches(self.folder, self.id, part, self.opener, classes=classes, columns=names):
            yield at, conform(table, schema)


class Comparison:
    """A draft's stream held against the current snapshot; `measure` is the outcome.

    Its workspace has, for `commit`: `dropped(place)` rows that do not count, `changed(place, inserted)` rows to publish,
    `lost(k…)` keys to delete, and when incremental `past(k…, hash, place)` the rows of the snapshot that the draft names.
    """

    def __init__(self, ground: Ground, mode: Mode, *, keyless: int = 0) -> None:
        self.ground = ground
        self.mode = mode
        self.head: Manifest | None = ground.repository.head(ground.id)
        self.keyed = bool(ground.shape.key)
        self.standing = standing(ground.repository, self.head, ground.shape) if self.head else None
        if mode == "incremental" and self.standing is not None and self.standing.incomparable:
            raise NeedsFull(
                stream=ground.id.stream,
                reason_fr="la clé primaire, les classes ou les clés de chiffrement ont changé : relecture complète nécessaire",
                reason_en="the primary key, the classes or the encryption keys changed: a full refresh is needed",
            )
        self.k = ", ".join(f"k{number}" for number in range(max(1, len(ground.shape.key))))
        self.workspace = Workspace(ground.repository.work, _rows(ground, self.head), few=NARROW)
        try:
            moved = self.standing is not None and self.standing.moved(mode)
            self.measure = replace(self._measure(keyless), moved=moved)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the rows compared."""
        self.workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Loading

    def _measure(self, keyless: int) -> Measure:
        work, head = self.workspace, self.head
        removals = any(part.kind == "removed" for part in self.ground.segments)
        light = head is None and self.keyed and not removals
        self._tables()
        self._load_fresh(values=not light)
        rows = work.number("SELECT count(*) FROM fresh WHERE NOT gone")
        self._cut(rows + (head.rows if head else 0))
        repeated = self.keyed and self._distinct() < work.number("SELECT count(*) FROM fresh")
        if light and repeated:
            self._tables()
            self._load_fresh(values=True)
        same, different = self._drop_repeated() if repeated else (0, 0)
        previous = head.rows if head else 0
        if head is not None:
            self._load_past(head)
            self.workspace.settle("past")
        if not self.keyed:
            return self._measure_unkeyed(rows, previous, keyless)
        inserted, updated, deleted = self._compare()
        if self.standing is not None and (self.standing.rekeyed or self.standing.blind):
            inserted, updated, deleted = self._replaced(previous, inserted, updated, deleted)
        if self.mode == "full_refresh":  # what was compared is not needed any more, what was found is
            work.run("DROP TABLE fresh")
            work.run("DROP TABLE past")
        return Measure(
            self.mode, rows, rows - same - different, same, different,
            inserted, updated, deleted, previous - updated - deleted, previous, keyless,
        )  # fmt: skip

    def _cut(self, rows: int) -> None:
        """Choose how many lots, by hash of the key, keep each comparison within the workspace's memory."""
        lots = max(1, min(_LOTS, rows // _LOT))
        self.lots = ["true"] if lots == 1 else [f"hash({self.k}) % {lots} = {number}" for number in range(lots)]

    def _distinct(self) -> int:
        counted = f"SELECT count(*) FROM (SELECT DISTINCT {self.k} FROM fresh WHERE"
        return sum(self.workspace.number(f"{counted} {lot})") for lot in self.lots)

    def _tables(self) -> None:
        sql = self.workspace.sql
        if self.keyed:
            keys = pa.schema([self.ground.schema.field(name) for name in self.ground.shape.key]).empty_table()
        else:
            keys = pa.table({"k0": pa.array([], pa.uint64())})
        sql.register("chunk", keys.rename_columns([f"k{number}" for number in range(keys.num_columns)]))
        for table in ("fresh", "past"):
            self.workspace.run(
                f"CREATE OR REPLACE TABLE {table} AS "
                "SELECT *, 0::UBIGINT AS hash, 0::BIGINT AS place, false AS gone FROM chunk LIMIT 0"
            )
        self.workspace.run(f"CREATE OR REPLACE TABLE lost AS SELECT {self.k} FROM chunk LIMIT 0")
        self.workspace.run("CREATE OR REPLACE TABLE dropped (place BIGINT)")
        self.workspace.run("CREATE OR REPLACE TABLE changed (place BIGINT, inserted BOOLEAN)")
        sql.unregister("chunk")

    def _insert(self, table: str, rows: pa.Table, places: pa.Array, *, gone: bool = False, hashed: bool = True) -> None:
        """Add rows of the stored schema, or of their key alone when not `hashed`."""
        key = self.ground.shape.key
        columns = {f"k{number}": rows.column(name) for number, name in enumerate(key)}
        values = [name for name in rows.column_names if name not in key] if hashed else []
        columns |= {f"v{number}": rows.column(name) for number, name in enumerate(values)}
        chunk = pa.table({**columns, "place": places})
        digest = (
            f"hash({', '.join(f'v{number}' for number in range(len(values)))})"
            if values
            else "0::UBIGINT"
            if hashed
            else "NULL::UBIGINT"
        )
        keys = self.k if key else digest
        self.workspace.gather(table, f"SELECT {keys}, {digest}, place, {gone} FROM chunk", chunk)

    def _load_fresh(self, *, values: bool) -> None:
        for number, part in enumerate(self.ground.segments):
            gone = part.kind == "removed"
            for at, table in self.ground.batches(number, None if values else list(self.ground.shape.key)):
                places = counting(table.num_rows, (number << SHIFT) + at)
                self._insert("fresh", table, places, gone=gone, hashed=values and not gone)
        self.workspace.settle("fresh")

    def _drop_repeated(self) -> tuple[int, int]:
        """Keep the last row of each key; gives how many of the others are equal to it, and how many differ."""
        work, k = self.workspace, self.k
        work.run(f"CREATE OR REPLACE TABLE repeated AS SELECT {k}, place AS latest FROM fresh LIMIT 0")
        for lot in self.lots:
            work.run(f"INSERT INTO repeated SELECT {k}, max(place) FROM fresh WHERE {lot} GROUP BY ALL HAVING count(*) > 1")
        work.run(f"CREATE OR REPLACE TABLE claims AS SELECT fresh.*, latest FROM fresh JOIN repeated USING ({k})")
        work.run(
            f"CREATE OR REPLACE TABLE final AS SELECT {k}, max(place) AS place, arg_max(hash, place) AS hash "
            f"FROM claims WHERE NOT gone GROUP BY {k}"
        )
        others = f"FROM claims JOIN final USING ({k}) WHERE NOT gone AND claims.place <> final.place AND claims.hash"
        same = work.number(f"SELECT count(*) {others} = final.hash")
        different = work.number(f"SELECT count(*) {others} <> final.hash")
        work.run("INSERT INTO dropped SELECT place FROM claims WHERE place <> latest")
        work.run("DELETE FROM fresh WHERE place IN (SELECT place FROM dropped)")
        return same, different

    def _load_past(self, head: Manifest) -> None:
        repository, shape = self.ground.repository, self.ground.shape
        stands = self.standing
        if stands is None or stands.blind:
            return
        chain = Chain(repository, head, repository.readable(head))
        destroyed = not stands.whole  # rows of which some values are gone count as updated
        same_key = not stands.rekeyed
        if not same_key and not set(shape.primary_key) <= set(chain.shape.schema.names):
            return  # nothing tells which row is which any more: all are replaced
        if self.mode == "incremental" and self.keyed and same_key:
            self._load_named(chain, hashed=not destroyed)
            return
        for piece in chain.pieces(self.workspace):
            table, places = piece.table, piece.places
            if not same_key:
                table, places = renamed(chain, table, places, self.ground)
            self._insert("past", conform(table, self.ground.schema), pc.add(places, piece.part << SHIFT), hashed=not destroyed)

    def _load_named(self, chain: Chain, *, hashed: bool) -> None:
        """Load the rows that the draft names, and only those: keys of all rows, values of candidates."""
        work, names = self.workspace, list(self.ground.shape.key)
        work.run("CREATE OR REPLACE TABLE candidates (place BIGINT)")
        schema = pa.schema([self.ground.schema.field(name) for name in names])
        for piece in chain.pieces(work, names):
            chunk = conform(piece.table, schema).rename_columns([f"k{number}" for number in range(len(names))])
            chunk = chunk.append_column("place", pc.add(piece.places, piece.part << SHIFT))
            work.insert("candidates", f"SELECT place FROM chunk SEMI JOIN fresh USING ({self.k})", chunk)
        for part in range(len(chain.manifest.parts)):
            named = self._rows_in("candidates", part)
            if len(named):
                for at, table in chain.batches(part):
                    here = within(named, at, table.num_rows)
                    rows = conform(table.take(pc.subtract(here, at)), self.ground.schema)
                    self._insert("past", rows, pc.add(here, part << SHIFT), hashed=hashed)

    # Comparing

    def _compare(self) -> tuple[int, int, int]:
        work, k = self.workspace, self.k
        full = self.mode == "full_refresh"
        for lot in self.lots:
            fresh, past = f"(FROM fresh WHERE {lot})", f"(FROM past WHERE {lot})"
            work.run(
                f"INSERT INTO changed SELECT f.place, p.k0 IS NULL FROM {fresh} f LEFT JOIN {past} p USING ({k}) "
                "WHERE NOT f.gone AND (p.k0 IS NULL OR f.hash IS DISTINCT FROM p.hash)"
            )
            named = "ANTI JOIN (FROM fresh WHERE NOT gone AND" if full else "SEMI JOIN (FROM fresh WHERE gone AND"
            work.run(f"INSERT INTO lost SELECT {k} FROM {past} p {named} {lot}) USING ({k})")
        inserted = work.number("SELECT count(*) FROM changed WHERE inserted")
        updated = work.number("SELECT count(*) FROM changed WHERE NOT inserted")
        return inserted, updated, work.number("SELECT count(*) FROM lost")

    def _replaced(self, previous: int, inserted: int, updated: int, deleted: int) -> tuple[int, int, int]:
        """Count by number alone (law 5) where rows of the past have no key any more, or share one."""
        now = self.workspace.number("SELECT count(*) FROM fresh WHERE NOT gone")
        if previous + inserted - deleted == now and updated + deleted <= previous:
            return inserted, updated, deleted
        return max(0, now - previous), min(now, previous), max(0, previous - now)

    def _measure_unkeyed(self, rows: int, previous: int, keyless: int) -> Measure:
        """Without a key, a full refresh is compared as a multiset; an incremental run only adds."""
        if self.mode == "incremental":
            self.workspace.run("INSERT INTO changed SELECT place, true FROM fresh")
            return Measure(self.mode, rows, rows, 0, 0, rows, 0, 0, previous, previous, keyless)
        counted = (
            "SELECT coalesce(f, 0) - coalesce(p, 0) AS more FROM (SELECT k0, count(*) AS f FROM fresh GROUP BY k0) "
            "FULL JOIN (SELECT k0, count(*) AS p FROM past GROUP BY k0) USING (k0)"
        )
        inserted = self.workspace.number(f"SELECT sum(more) FROM ({counted}) WHERE more > 0")
        deleted = self.workspace.number(f"SELECT -sum(more) FROM ({counted}) WHERE more < 0")
        if previous + inserted - deleted != rows:  # the past cannot be read any more
            inserted, updated, deleted = max(0, rows - previous), min(rows, previous), max(0, previous - rows)
            return Measure(
                self.mode, rows, rows, 0, 0, inserted, updated, deleted, previous - updated - deleted, previous, keyless
            )
        return Measure(self.mode, rows, rows, 0, 0, inserted, 0, deleted, previous - deleted, previous, keyless)

    # For commit

    def changed_in(self, segment: int) -> pa.Table:
        """Give the rows of a segment to publish: `row` and `inserted`, in order."""
        low, high = segment << SHIFT, (segment + 1) << SHIFT
        query = f"SELECT place - {low} AS row, inserted FROM changed WHERE place >= {low} AND place < {high} ORDER BY place"
        return self.workspace.table(query)

    def dropped_in(self, segment: int) -> Any:  # noqa: ANN401  # pyarrow has no types
        """Give the numbers of the rows of a segment that do not count."""
        return self._rows_in("dropped", segment)

    def _rows_in(self, table: str, part: int) -> Any:  # noqa: ANN401  # pyarrow has no types
        low, high = part << SHIFT, (part + 1) << SHIFT
        query = f"SELECT place - {low} FROM {table} WHERE place >= {low} AND place < {high} ORDER BY place"
        return self.workspace.table(query).column(0)

    def lost(self) -> Iterator[pa.Table]:
        """Give the stored keys of deleted rows, by lots, with `_op`."""
        names = list(self.ground.shape.key)
        schema = pa.schema([self.ground.schema.field(name) for name in names])
        for batch in self.workspace.run("FROM lost").to_arrow_reader(parts.ROWS):
            table = pa.Table.from_batches([batch]).rename_columns(names)
            yield conform(table, schema).append_column(OP, pa.repeat("d", table.num_rows))

    def replaced_in(self, part: int) -> Any:  # noqa: ANN401  # pyarrow has no types
        """Give the numbers of the rows of a part of the snapshot that an incremental draft updates or deletes."""
        work, k = self.workspace, self.k
        work.run(
            f"CREATE TABLE IF NOT EXISTS replaced AS SELECT past.place FROM past SEMI JOIN "
            f"(FROM lost UNION ALL SELECT {k} FROM fresh JOIN changed USING (place)) USING ({k})"
        )
        return self._rows_in("replaced", part)


def _rows(ground: Ground, head: Manifest | None) -> int:
    return sum(part.rows for part in (*ground.segments, *(head.parts if head else ())))


def within(numbers: Any, first: int, count: int) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Give those of the numbers that are among `count` from `first` on."""
    return numbers.filter(pc.and_(pc.greater_equal(numbers, first), pc.less(numbers, first + count)))


def renamed(chain: Chain, table: pa.Table, places: pa.Array, ground: Ground) -> tuple[pa.Table, Any]:
    """Bring rows of a snapshot that was keyed otherwise to a draft's columns and key; rows without that key are left out."""
    names = chain.shape.schema.names
    logical = conform(table.select([stored_name(name) for name in names]).rename_columns(names), ground.shape.schema)
    for name in ground.shape.primary_key:
        named = pc.is_valid(logical.column(name))
        logical, places = logical.filter(named), places.filter(named.combine_chunks())
    return ground.shape.stored(logical, ground.repository.pseudonym_key(ground.id)), places

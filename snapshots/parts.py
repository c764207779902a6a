"""One part: the same rows in up to three encrypted Parquet files, one a class.

1. Row n of each class file is the same record. The internal file is always there; another is there when its class has columns.
2. Each file is encrypted whole (AES_GCM_V1, footer included) with a 256-bit data key of its own, under an additional
   authenticated prefix `connection/stream/part/class` that is not stored: a file renamed, swapped or cut does not open.
3. A part is written once, in one row group, at most `ROWS` rows and about `BYTES` bytes of Arrow, so that reading one whole is
   reading little. Its name is random: nothing of the data, the date or the order is in it.
4. The internal file also has `_key` when the primary key is not internal, and `_op` in a delta: `i`, `u` or `d` (key only).

Source: Parquet modular encryption. Format: docs/formats/part.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from snapshots.dataset import CLASSES, KEY, OP, DatasetId, Shape, digest_of, stored_name
from snapshots.durable import write_new
from snapshots.errors import Damaged
from vault.keys import Keys, Scope, Wrapped

ROWS = 131_072
BATCH = 16_384
BYTES = 32 << 20
SAMPLE = 2048
"""Rows looked at to find the columns whose values repeat."""
_READ = 1 << 16

Kind = Literal["base", "delta", "removed", "aside"]

Opener = Callable[[str], bytes]
"""Gives the data key that a name opens; raises WrongKey, Shredded, Damaged."""


class ClassFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes of one class of a part: SHA-256 in hexadecimal, length."""

    sha256: str
    bytes: int


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part as a manifest or a draft lists it. `period` is the key period it was written in."""

    id: str
    kind: Kind
    period: str
    rows: int
    files: dict[str, ClassFile]

    @property
    def bytes(self) -> int:
        """The size of its files, in bytes."""
        return sum(each.bytes for each in self.files.values())


def key_name(dataset: DatasetId, part: str, class_name: str) -> str:
    """Name a class file: its place in a key file, the context of its data key, and its authenticated prefix."""
    return f"{dataset}/{part}/{class_name}"


def file_name(part: str, class_name: str) -> str:
    """Give the file name of one class of a part."""
    return f"{part}.{class_name}.parquet"


def split(shape: Shape, names: Sequence[str]) -> dict[str, list[str]]:
    """Sort stored columns by class; internal is always there."""
    of = {stored_name(column): at for column, at in zip(shape.schema.names, shape.classes, strict=True)}
    of |= {KEY: "internal", OP: "internal"}
    by_class: dict[str, list[str]] = {"internal": []}
    for name in names:
        by_class.setdefault(of[name], []).append(name)
    return by_class


@dataclass(slots=True)
class Press:
    """Writes parts of one dataset, and keeps the wrapped keys of what it wrote.

    The folder is left for the caller to make durable; files are, one by one.
    """

    folder: Path
    dataset: DatasetId
    keys: Keys
    period: Callable[[], str]
    entropy: Callable[[int], bytes]
    wraps: dict[str, Wrapped]

    def write(self, shape: Shape, table: pa.Table, kind: Kind) -> Part:
        """Write rows as one part; `table` has stored columns (`Shape.stored`), at most about `BYTES`."""
        part, period, written = self.entropy(16).hex(), self.period(), {}
        by_class = split(shape, table.column_names)
        if not by_class["internal"]:
            table = table.append_column(OP, pa.repeat("i", table.num_rows))
            by_class["internal"] = [OP]
        for class_name in (each for each in CLASSES if each in by_class):
            name = key_name(self.dataset, part, class_name)
            scope = Scope(self.dataset.connection, class_name, period)
            data_key, self.wraps[name] = self.keys.new_data_key(scope, name.encode())
            data = encrypted(table.select(by_class[class_name]), data_key, name)
            write_new(self.folder / file_name(part, class_name), data)
            pa.default_memory_pool().release_unused()
            written[str(class_name)] = ClassFile(digest_of(data), len(data))
        return Part(part, kind, period, table.num_rows, written)


def repeating(table: pa.Table) -> list[str]:
    """Name the columns whose values repeat, as Parquet paths: a dictionary of values that do not is written for nothing."""
    few = table.take(list(range(0, table.num_rows, max(1, table.num_rows // SAMPLE)))) if table.num_rows > SAMPLE else table
    flat = [name for name in few.column_names if not pa.types.is_nested(few.schema.field(name).type)]
    told = [name for name in flat if 2 * len(few.column(name).unique()) <= few.num_rows]
    return told + [path for held in few.schema if pa.types.is_nested(held.type) for path in _leaves(held.name, held.type)]


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """The Parquet paths of what a nested column holds; their values are not looked at."""
    if pa.types.is_struct(kind):
        return [leaf for held in kind for leaf in _leaves(f"{path}.{held.name}", held.type)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    return [path]


def encrypted(table: pa.Table, data_key: bytes, prefix: str) -> memoryview:
    """Give a table as one encrypted Parquet file of one row group."""
    sink = pa.BufferOutputStream()
    sealing = pe.create_encryption_properties(data_key, aad_prefix=prefix.encode(), store_aad_prefix=False)
    pq.write_table(
        table,
        sink,
        row_group_size=max(1, table.num_rows),
        compression="zstd",
        use_dictionary=repeating(table),
        write_statistics=False,
        encryption_properties=sealing,
    )
    return memoryview(sink.getvalue())


def read(
    folder: Path,
    dataset: DatasetId,
    part: Part,
    opener: Opener,
    *,
    classes: Sequence[str] = CLASSES,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Read a part's stored columns whole, verified as they are decrypted; see `batches`."""
    found = [table for _, table in batches(folder, dataset, part, opener, classes=classes, columns=columns, size=ROWS)]
    return pa.concat_tables(found) if found else blank(0)


def batches(
    folder: Path,
    dataset: DatasetId,
    part: Part,
    opener: Opener,
    *,
    classes: Sequence[str] = CLASSES,
    columns: Sequence[str] | None = None,
    size: int = BATCH,
) -> Iterator[tuple[int, pa.Table]]:
    """Read a part's stored columns little by little: the number of the first row, and the rows.

    Arguments: classes: which files to open; columns: stored names to keep, all when None (those the part lacks are left out).
    Errors: Damaged names the file, at the latest at its end; WrongKey, Shredded from its key.
    """
    names = [each for each in CLASSES if each in part.files and each in classes]
    files = [
        class_batches(folder, dataset, part, each, opener(key_name(dataset, part.id, each)), columns, size) for each in names
    ]
    at = 0
    for pieces in zip(*files, strict=True):
        rows = pieces[0].num_rows
        given = [(name, column) for piece in pieces for name, column in zip(piece.schema.names, piece.columns, strict=True)]
        yield at, pa.table([column for _, column in given], names=[name for name, _ in given]) if given else blank(rows)
        at += rows
    if not files:
        yield from ((start, blank(min(size, part.rows - start))) for start in range(0, part.rows, size))


def blank(rows: int) -> pa.Table:
    """Give rows without a column that anyone knows: what is left when a part is older than all columns asked for."""
    return pa.table({"": pa.nulls(rows)})


def class_batches(
    folder: Path,
    dataset: DatasetId,
    part: Part,
    class_name: str,
    data_key: bytes,
    columns: Sequence[str] | None = None,
    size: int = BATCH,
) -> Iterator[pa.RecordBatch]:
    """Read one class file of a part; decrypting a page verifies it."""
    path, rows = folder / file_name(part.id, class_name), 0
    opening = pe.create_decryption_properties(data_key, aad_prefix=key_name(dataset, part.id, class_name).encode())
    try:
        with pq.ParquetFile(path, decryption_properties=opening, pre_buffer=False, buffer_size=_READ) as file:
            wanted = None if columns is None else [each for each in columns if each in file.schema_arrow.names]
            if wanted == []:
                counted = range(0, file.metadata.num_rows, size)
                found = (_bare(min(size, file.metadata.num_rows - start)) for start in counted)
            else:
                found = file.iter_batches(size, columns=wanted, use_threads=False)
            for batch in found:
                rows += batch.num_rows
                yield batch
    except FileNotFoundError:
        raise Damaged(file=path.name, reason_fr="fichier absent", reason_en="the file is missing") from None
    except (OSError, pa.ArrowException, ValueError):  # pyarrow's words may quote what was decrypted: not chained
        raise Damaged(
            file=path.name,
            reason_fr="coupé, altéré ou échangé : il ne se déchiffre pas",
            reason_en="cut, altered or swapped: it does not decrypt",
        ) from None
    if rows != part.rows:
        raise Damaged(
            file=path.name, reason_fr=f"{rows} lignes au lieu de {part.rows}", reason_en=f"{rows} rows instead of {part.rows}"
        )


def _bare(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.repeat(pa.scalar({}, pa.struct([])), rows))

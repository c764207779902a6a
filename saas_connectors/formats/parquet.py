"""Parquet, read by groups of rows within bounds: a few kilobytes can stand for billions of cells.

1. What the file says of itself (rows, columns, bytes once unpacked) is held to the limits before a page is read; then what each
   batch really weighs is, texts counted as many times as they come, before they are spread out.
2. Types are the file's own: exact decimals, days, instants in UTC. Types that the copy does not keep become text.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from saas_connectors.formats.columns import Raw, beyond, column, named, rows_of, written
from saas_connectors.formats.format import LIMITS, Limits, Reading, Rejected, Row, Table, Truncated, Unreadable, Values
from saas_connectors.values import INSTANT

_MAGIC: Final = b"PAR1"
_BATCH: Final = 16_384


class _Parquet:
    """See the laws above."""

    name = "parquet"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        return rows_of(Table(self.columns(body, settings).records))

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        if not body:
            raise Truncated(why_fr="il est vide", why_en="it is empty")
        if body[:4] == _MAGIC and body[-4:] != _MAGIC:
            raise Truncated(why_fr="le Parquet n'a pas sa fin", why_en="the Parquet lacks its end")
        try:
            table = _read(body, settings.limits)
        except (pa.ArrowException, OSError, ValueError, OverflowError):
            raise Unreadable(why_fr="ce n'est pas du Parquet lisible", why_en="it is not Parquet that can be read") from None
        return Raw(table, lambda: range(1, table.num_rows + 1))

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:  # noqa: ARG002
        """See `Format`: columns take the narrowest type that holds their values."""
        held = list(rows)
        table = pa.table([column([row.get(name) for row in held], LIMITS) for name in columns], names=list(columns))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        return bytes(sink.getvalue().to_pybytes())


PARQUET: Final = _Parquet()


def _read(body: bytes, limits: Limits) -> pa.Table:
    source = pa.BufferReader(body)
    most = {"thrift_string_size_limit": 1 << 24, "thrift_container_size_limit": 1 << 20}
    outline = pq.ParquetFile(source, **most)
    facts, schema = outline.metadata, outline.schema_arrow
    named(schema.names, limits)
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    weights = [group.column(c).total_uncompressed_size for group in groups for c in range(facts.num_columns)]
    if facts.num_rows > limits.rows or sum(weights) > limits.unpacked or any(weight < 0 for weight in weights):
        raise beyond("ce qu'un fichier peut contenir", "what a file may hold")
    if sum(group.num_rows for group in groups) != facts.num_rows:
        raise Unreadable(why_fr="le Parquet se contredit", why_en="the Parquet contradicts itself")
    texts = [each.name for each in schema if kinds.is_string(each.type) or kinds.is_binary(each.type)]
    file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts, **most)
    weight, batches = 0, []
    for batch in file.iter_batches(_BATCH, use_threads=False):
        weight += sum(_weight(each) for each in batch.columns)
        if weight > limits.unpacked:
            raise beyond("ce qu'un fichier peut contenir", "what a file may hold")
        batches.append(pa.table([_kept(each) for each in batch.columns], names=batch.schema.names))
    if not batches:
        return pa.table([pa.array([], _kind(each.type)) for each in schema], names=schema.names)
    return pa.concat_tables(batches, promote_options="permissive")


def _weight(held: pa.Array) -> int:
    """The bytes that an array spreads to."""
    if not kinds.is_dictionary(held.type):
        return int(held.nbytes)
    return (pc.sum(pc.binary_length(held.dictionary).take(held.indices)).as_py() or 0) + 4 * len(held)


def _kind(kind: pa.DataType) -> pa.DataType:
    if kinds.is_timestamp(kind):
        return INSTANT if kind.tz is not None else pa.timestamp("us")
    if kinds.is_integer(kind) and not kinds.is_uint64(kind):
        return pa.int64()
    if kinds.is_floating(kind):
        return pa.float64()
    if kinds.is_decimal(kind) and kind.bit_width <= 128:
        return pa.decimal128(kind.precision, kind.scale)
    kept = (kinds.is_boolean, kinds.is_date32, kinds.is_list, kinds.is_struct, kinds.is_null)
    return kind if any(check(kind) for check in kept) else pa.string()


def _kept(held: pa.Array) -> pa.Array:
    """An array of a type that the copy keeps."""
    if kinds.is_dictionary(held.type):
        held = held.cast(held.type.value_type)
    target = _kind(held.type)
    if held.type == target:
        return held
    if kinds.is_string(target) and not kinds.is_large_string(held.type):
        return pa.array([None if value is None else written(value) for value in held.to_pylist()], pa.string())
    return held.cast(target, safe=not kinds.is_timestamp(target))

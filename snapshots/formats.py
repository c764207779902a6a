"""Rows written for others to read: CSV, JSON, Arrow and Parquet, streamed in bounded memory.

    csv      RFC 4180, UTF-8, a header line, CRLF; nothing for null, "" for an empty text; nested values as JSON
    json     one array of objects          jsonl    one object a line (RFC 8259 both)
    arrow    Arrow IPC stream              parquet  zstd, row groups of at most 131,072 rows or about 64 MiB

1. Numbers keep their digits: a decimal is written as it is, never through a float. Instants carry their offset.
2. A cut is told: when `limit` left rows out, `Written.cut` says so.
3. Bytes go out as rows come in; the sink is neither flushed nor closed. An error on the way leaves a file that is visibly cut,
   save CSV and JSON lines, whose end nothing marks.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

ROWS = 8_192
GROUP_ROWS = 131_072
GROUP_BYTES = 64 << 20


class Sink(Protocol):
    """A binary file open for writing."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows, bytes, and whether the limit left rows out."""

    rows: int
    bytes: int
    cut: bool = False


def write(reader: pa.RecordBatchReader, kind: str, sink: Sink, *, limit: int = 0, formula_safe: bool = False) -> Written:
    """Write rows to a binary file as they come.

    Arguments: kind: a key of `FORMATS`; limit: rows at most, 0 for all; formula_safe: put an apostrophe before texts that a
    spreadsheet would run as formulas (CSV alone; OWASP, CSV injection).
    Errors: KeyError for an unknown kind; whatever the reader or the sink raises.
    """
    writer = FORMATS[kind]
    tap, rows = _Tap(sink), _Counted(reader, limit)
    writer(reader.schema, iter(rows), tap, formula_safe)
    return Written(rows.count, tap.bytes, rows.cut)


class _Counted:
    """Batches of at most `ROWS` rows, up to a limit."""

    def __init__(self, reader: pa.RecordBatchReader, limit: int) -> None:
        self._reader, self._limit = reader, limit
        self.count, self.cut = 0, False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            for start in range(0, batch.num_rows, ROWS):
                piece = batch.slice(start, ROWS)
                if self._limit and self.count + piece.num_rows > self._limit:
                    piece, self.cut = piece.slice(0, self._limit - self.count), True
                self.count += piece.num_rows
                if piece.num_rows:
                    yield piece
                if self.cut:
                    return


class _Tap:
    """A file that counts what passes and that no writer can close."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.bytes = 0

    def write(self, data: Any) -> int:  # noqa: ANN401  # bytes or an Arrow buffer
        self._sink.write(bytes(data) if isinstance(data, pa.Buffer) else data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


Batches = Iterator[pa.RecordBatch]


def _write_csv(schema: pa.Schema, batches: Batches, tap: _Tap, formula_safe: bool) -> None:
    fields = [pa.field(name, _cell_type(each.type)) for name, each in zip(unique(schema.names), schema, strict=True)]
    if formula_safe:
        names = _harmless(pa.array([each.name for each in fields], pa.string())).to_pylist()
        fields = [each.with_name(name) for name, each in zip(names, fields, strict=True)]
    cells, kinds = pa.schema(fields), schema.types
    with arrow_csv.CSVWriter(tap, cells, write_options=arrow_csv.WriteOptions(eol="\r\n", batch_size=ROWS)) as writer:
        for batch in batches:
            columns = [_cells(column, each.type) for column, each in zip(batch.columns, cells, strict=True)]
            if formula_safe:
                columns = [_harmless(each) if _is_text(each, kind) else each for each, kind in zip(columns, kinds, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=cells))


def _write_json(schema: pa.Schema, batches: Batches, tap: _Tap, _formula_safe: bool) -> None:
    before = b"[\n"
    for line in _objects(schema, batches):
        tap.write(before + line)
        before = b",\n"
    tap.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def _write_jsonl(schema: pa.Schema, batches: Batches, tap: _Tap, _formula_safe: bool) -> None:
    for line in _objects(schema, batches):
        tap.write(line + b"\n")


def _write_arrow(schema: pa.Schema, batches: Batches, tap: _Tap, _formula_safe: bool) -> None:
    with pa.ipc.new_stream(tap, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_parquet(schema: pa.Schema, batches: Batches, tap: _Tap, _formula_safe: bool) -> None:
    kept = pa.schema([each.with_type(pa.string()) if _is_odd(each.type) else each for each in schema], schema.metadata)
    group: list[pa.RecordBatch] = []
    with pq.ParquetWriter(tap, kept, compression="zstd") as writer:
        for batch in batches:
            columns = [_texts(column) if _is_odd(column.type) else column for column in batch.columns]
            group.append(pa.record_batch(columns, schema=kept))
            if sum(each.num_rows for each in group) >= GROUP_ROWS or sum(each.nbytes for each in group) >= GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(group))
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group))


FORMATS: Mapping[str, Callable[[pa.Schema, Batches, _Tap, bool], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "arrow": _write_arrow,
    "parquet": _write_parquet,
}
"""How rows may be written, by name."""


def unique(names: list[str]) -> list[str]:
    """Tell columns of one name apart: `a`, `a_2`…; a JSON object would lose all but one."""
    taken = set(names)
    seen: set[str] = set()
    result = []
    for name in names:
        chosen, number = name, 2
        while chosen in seen or (chosen != name and chosen in taken):
            chosen, number = f"{name}_{number}", number + 1
        seen.add(chosen)
        result.append(chosen)
    return result


def plain(value: object) -> object:
    """Give orjson what it does not know: exact decimals, base64 of bytes, ISO 8601 durations, text of anything else."""
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, timedelta):
        return f"PT{Decimal(value // timedelta(microseconds=1)).scaleb(-6):f}S"
    if isinstance(value, pa.MonthDayNano):
        return f"P{value.months}M{value.days}DT{Decimal(value.nanoseconds).scaleb(-9):f}S"
    return str(value)


def _objects(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    names = unique(schema.names)
    for batch in batches:
        columns = [_in_microseconds(column).to_pylist() for column in batch.columns]
        for values in zip(*columns, strict=True):
            yield orjson.dumps(dict(zip(names, values, strict=True)), default=plain)


def _cell_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _cell_type(kind.value_type)
    textual = pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_duration(kind) or _is_odd(kind)
    textual |= pa.types.is_decimal(kind) and not 0 <= kind.scale <= 6  # Arrow would write 0.0000001 as 1E-7
    return pa.string() if textual or pa.types.is_null(kind) else kind


def _cells(column: Any, kind: pa.DataType) -> Any:  # noqa: ANN401  # pyarrow has no types
    if column.type == kind:
        return column
    if pa.types.is_dictionary(column.type):
        return _cells(column.dictionary_decode(), kind)
    return _texts(column) if not pa.types.is_null(column.type) else pa.nulls(len(column), kind)


def _texts(column: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Values as text: JSON, without the quotes of a lone text."""
    texts = (None if v is None else orjson.dumps(v, default=plain).decode() for v in _in_microseconds(column).to_pylist())
    return pa.array((text if text is None or text[0] != '"' else orjson.loads(text) for text in texts), pa.string())


def _is_text(cells: Any, kind: pa.DataType) -> bool:  # noqa: ANN401  # pyarrow has no types
    """Tell texts from numbers that are written as text: a negative one is no formula."""
    known = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(cells.type) and not pa.types.is_decimal(known))


def _harmless(texts: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    risky = pc.fill_null(pc.match_substring_regex(texts, r"^[=+\-@\t\r]"), False)  # an Arrow value
    return pc.if_else(risky, pc.binary_join_element_wise("'", texts, ""), texts)


def _is_odd(kind: pa.DataType) -> bool:
    """Types that Parquet does not have."""
    return bool(pa.types.is_union(kind) or pa.types.is_interval(kind))


def _in_microseconds(column: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Python's instants stop at microseconds."""
    kind = _coarser(column.type)
    return column if kind == column.type else column.cast(kind, safe=False)


def _coarser(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct([each.with_type(_coarser(each.type)) for each in kind])
    if pa.types.is_list(kind):
        return pa.list_(_coarser(kind.value_type))
    return kind

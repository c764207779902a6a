"""From what a format gave to a table: declared types applied, rows that do not fit set aside with their line.

1. A format gives `Raw`: columns as it holds them. A column that is declared and came as text is converted (`cells`); one that
   came as something else is cast when nothing is lost. What no one declared stays as it came.
2. A row with one cell that is not what its column declares is set aside whole, once, for the first such column.
3. What is set aside keeps its content as JSON, so that a person can mend it: it goes where the row would have gone, sealed and
   classed as the row is, and never in an error or a log.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.connector import Json
from saas_connectors.formats.cells import Writing, convert
from saas_connectors.formats.format import Limits, Reading, Reason, Rejected, Row, Table, Unreadable
from saas_connectors.shapes import Bounds, TooDeep, conform, observe_all, settle
from saas_connectors.values import INSTANT, arrow_type

_TEXT: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
MOST_REJECTED: Final = 100_000
"""Rows that are set aside of one file; beyond, the file is not what its settings say, and none of it is read."""
_LONE: Final = re.compile("[\ud800-\udfff]")
_PLAIN: Final = frozenset({type(None), bool, int, str, float, Decimal, list, dict})
_RESERVED: Final = frozenset({"_key", "_op"})


@dataclass(frozen=True, slots=True)
class Raw:
    """What a format read. lines: where each record begins, from 1, asked only when one is set aside."""

    records: pa.Table
    lines: Callable[[], Sequence[int]]
    rejected: tuple[Rejected, ...] = ()


def gather(rows: Iterable[Row | Rejected], limits: Limits, columns: Sequence[str] = ()) -> Raw:
    """Put rows in columns, in the order in which they are first named, `columns` before; raises `Unreadable`."""
    held: list[Mapping[str, Json]] = []
    lines: list[int] = []
    rejected: list[Rejected] = []
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            bounded(rejected)
            continue
        held.append(row.values)
        lines.append(row.line)
        if len(held) > limits.rows:
            raise beyond(f"{limits.rows} lignes", f"{limits.rows} rows")
    names = list(dict.fromkeys([*columns, *(name for row in held for name in row)]))
    named(names, limits)
    arrays = [column([row.get(name) for row in held], limits) for name in names]
    table = pa.table(arrays, names) if names else pa.table({})
    return Raw(table, lambda: lines, tuple(rejected))


def bounded(rejected: Sequence[Rejected]) -> None:
    """Refuse a file of which too much would be set aside."""
    if len(rejected) > MOST_REJECTED:
        raise Unreadable(why_fr="trop de lignes sont à écarter", why_en="too many rows would be set aside")


def beyond(fr: str, en: str) -> Unreadable:
    """Say which bound a file goes beyond."""
    return Unreadable(why_fr=f"plus de {fr}", why_en=f"more than {en}")


def named(names: Sequence[str], limits: Limits) -> None:
    """Refuse columns that cannot be told apart, that are too many, or that have names of our own."""
    if len(names) > limits.columns:
        raise beyond(f"{limits.columns} colonnes", f"{limits.columns} columns")
    if len(set(names)) != len(names):
        raise Unreadable(why_fr="deux colonnes ont le même nom", why_en="two columns have the same name")
    if "" in names or any(len(name) > 512 for name in names):
        raise Unreadable(
            why_fr="une colonne n'a pas de nom, ou l'a trop long", why_en="a column has no name, or one that is too long"
        )
    if any(_LONE.search(name) for name in names):
        raise Unreadable(why_fr="le nom d'une colonne n'est pas du texte", why_en="the name of a column is not text")
    if _RESERVED & set(names):
        raise Unreadable(why_fr="une colonne a un nom réservé (_key, _op)", why_en="a column has a reserved name (_key, _op)")


def column(values: list[Any], limits: Limits) -> pa.Array:
    """Make a column of values of whatever kinds: one type when they agree, else text."""
    present = set(map(type, values))
    if present <= {date, type(None)} and date in present:
        return pa.array(values, pa.date32())
    if present <= {datetime, type(None)} and datetime in present:
        if all(value is None or value.tzinfo is not None for value in values):
            return pa.array([value and value.astimezone(UTC) for value in values], INSTANT)
        return pa.array(values, pa.timestamp("us"))
    if not present <= _PLAIN:
        values = [value if type(value) in _PLAIN else written(value) for value in values]
    if float in present:
        values = [_decimal(value) if type(value) is float else value for value in values]
    try:
        kind = settle(observe_all(values, Bounds(limits.depth, limits.columns)))
    except (TooDeep, RecursionError):
        raise beyond(f"{limits.depth} niveaux", f"{limits.depth} levels") from None
    try:
        return pa.array(values, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([conform(value, kind) for value in values], type=kind)


def _decimal(value: float) -> Decimal | int | str:
    number = Decimal(repr(value))
    if not number.is_finite():
        return repr(value)
    return int(number) if number == number.to_integral_value() and abs(number) < 1 << 53 else number


def written(value: Json) -> str:
    """Write a value that JSON does not have as text: ISO 8601 for what is of time."""
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return _TEXT.encode(value).decode() if isinstance(value, list | dict) else str(value)


def content(row: Json) -> str:
    """Write a row that is set aside."""
    text = _TEXT.encode(row).decode()
    return text if len(text) <= 1 << 20 else text[: 1 << 20]


def declared(raw: Raw, reading: Reading, settled: Mapping[str, Writing] | None = None) -> Table:
    """Apply the declared types; raises `Unsettled`. Fields that are declared and absent stay absent.

    settled: how columns are known to be written, where the settings do not say it.
    """
    table, usual = raw.records, writing_of(reading)
    bad: dict[str, tuple[pa.Array, Reason]] = {}
    for name, kind in reading.types.items():
        at = table.schema.get_field_index(name)
        if at < 0:
            continue
        held, writing = table.column(at), (settled or {}).get(name, usual)
        if kinds.is_string(held.type) or kinds.is_large_string(held.type):
            made = convert(held, kind, writing)
            values, wrong, reason = made.values, made.bad, made.reason
        else:
            values, wrong, reason = _cast(held, kind, writing)
        table = table.set_column(at, pa.field(name, values.type), values)
        if pc.any(wrong).as_py():
            bad[name] = (wrong, reason)
    if not bad:
        return Table(table, raw.rejected)
    return _aside(raw, table, bad)


def writing_of(reading: Reading) -> Writing:
    """What the settings say of how cells are written."""
    dates, decimal = reading.options.get("dates"), reading.options.get("decimal")
    return Writing(dates if isinstance(dates, str) else None, decimal if isinstance(decimal, str) else None, reading.zone)


def _cast(held: pa.ChunkedArray, kind: str, writing: Writing) -> tuple[pa.Array, pa.Array, Reason]:
    target = arrow_type(kind)
    nothing = pa.array([False] * len(held), pa.bool_())
    flat = held.combine_chunks()
    if kinds.is_timestamp(flat.type) and flat.type.tz is None and kinds.is_timestamp(target):
        flat = pc.assume_timezone(flat, writing.zone, ambiguous="earliest", nonexistent="earliest")
    if kinds.is_string(target) and not kinds.is_primitive(flat.type):
        return pa.array([None if v is None else written(v) for v in flat.to_pylist()], target), nothing, "value"
    if not kind.startswith("epoch"):
        try:
            return flat.cast(target), nothing, "value"
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            pass
    text = pa.array([None if value is None else _told(value) for value in flat.to_pylist()], pa.string())
    made = convert(text, kind, Writing(writing.dates, ".", writing.zone))
    return made.values, made.bad, made.reason


def _told(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):  # a column takes the decimals of one of its values: the others are as whole as they came
        return f"{value.to_integral_value() if value == value.to_integral_value() else value:f}"
    return written(value)


def _aside(raw: Raw, table: pa.Table, bad: Mapping[str, tuple[pa.Array, Reason]]) -> Table:
    lines = raw.lines()
    first: dict[int, tuple[str, Reason]] = {}
    for name, (wrong, reason) in bad.items():
        for at in pc.indices_nonzero(wrong).to_pylist():
            first.setdefault(at, (name, reason))
    rejected = list(raw.rejected)
    order = sorted(first)
    rows = raw.records.take(pa.array(order, pa.int64())).to_pylist()
    for at, row in zip(order, rows, strict=True):
        name, reason = first[at]
        rejected.append(Rejected(lines[at], reason, name, content(row)))
    bounded(rejected)
    keep = pa.array([True] * table.num_rows, pa.bool_()) if not first else _kept(table.num_rows, first)
    return Table(table.filter(keep), tuple(sorted(rejected, key=lambda each: each.line)))


def _kept(rows: int, without: Mapping[int, object]) -> pa.Array:
    mask = bytearray(b"\x01") * rows
    for at in without:
        mask[at] = 0
    return pa.array(memoryview(mask), pa.uint8()).cast(pa.bool_())


def rows_of(table: Table, lines: Iterable[int] | None = None) -> Iterator[Row | Rejected]:
    """Give a table row by row, what was set aside first; lines: where each record begins, else its rank."""
    yield from table.rejected
    at = iter(lines) if lines is not None else iter(range(1, table.records.num_rows + 1))
    for batch in table.records.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            yield Row(next(at), row)

"""The types that a stream declares for its fields, and how a column becomes one.

A declaration is one of: `string`, `int`, `double`, `bool`, `decimal(p,s)`, `json`, `date`, `date(FORMAT)`, `timestamp`,
`timestamp(FORMAT)`, `epoch_s`, `epoch_ms`. FORMAT is strptime's ("%d/%m/%Y"). Instants end as timestamp[us, UTC]: one written
with its zone is taken at its word, one without takes the zone the stream declares. A column that does not fit its
declaration is left as it was seen, whole: the contract check decides, nothing is guessed or dropped here.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

_DECLARATION = re.compile(
    r"(string|int|double|bool|json|epoch_s|epoch_ms)|decimal\((\d+),\s*(\d+)\)|(date|timestamp)(?:\((.+)\))?"
)
_ZONED = r"(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
INSTANT = pa.timestamp("us", tz="UTC")
_SIMPLE = {"string": pa.string(), "int": pa.int64(), "double": pa.float64(), "bool": pa.bool_(), "json": pa.string()}


def arrow_type(declared: str) -> pa.DataType:
    """Give the Arrow type of a declaration; ValueError when it is not one."""
    found = _DECLARATION.fullmatch(declared)
    if not found:
        raise ValueError(declared)
    simple, precision, scale, dated, _ = found.groups()
    if simple:
        return _SIMPLE.get(simple, INSTANT)
    if precision:
        return pa.decimal128(int(precision), int(scale))
    return pa.date32() if dated == "date" else INSTANT


def convert(column: pa.ChunkedArray, declared: str, zone: str = "UTC") -> pa.ChunkedArray:
    """Turn a column into its declared type, or give it back unchanged when one value does not fit."""
    try:
        return _convert(column, declared, arrow_type(declared), zone)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return column


def _convert(column: pa.ChunkedArray, declared: str, target: pa.DataType, zone: str) -> pa.ChunkedArray:
    if column.type == target:
        return column
    if kinds.is_null(column.type):
        return column.cast(target)
    if declared.startswith("epoch"):
        return (
            column.cast(pa.int64())
            .cast(pa.timestamp("s" if declared == "epoch_s" else "ms"))
            .cast(pa.timestamp("us"))
            .cast(target)
        )
    if kinds.is_string(column.type) and kinds.is_temporal(target):
        return _parse(column, declared.partition("(")[2].rstrip(")"), target, zone)
    return column.cast(target)


def _parse(column: pa.ChunkedArray, form: str, target: pa.DataType, zone: str) -> pa.ChunkedArray:
    column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)
    if form:
        naive = pc.strptime(column, format=form, unit="us")
    elif kinds.is_date(target):
        naive = pc.utf8_slice_codeunits(column, 0, 10).cast(pa.date32())
    else:
        return instants(column, zone)
    return naive.cast(target) if kinds.is_date(target) else _place(naive, zone)


def _place(naive: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    return pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="earliest").cast(INSTANT)


def instants(column: pa.ChunkedArray, zone: str = "UTC") -> pa.ChunkedArray:
    """Read ISO 8601 text as instants (timestamp[us, UTC]); raises ArrowInvalid when a value is not one."""
    try:
        return column.cast(INSTANT)  # every value says its zone
    except pa.ArrowInvalid:
        zoned = pc.match_substring_regex(pc.utf8_slice_codeunits(column, 10, 64), _ZONED)
    none = pa.scalar(None, pa.string())
    naive = pc.if_else(zoned, none, column).cast(pa.timestamp("us"))
    return pc.coalesce(pc.if_else(zoned, column, none).cast(INSTANT), _place(naive, zone))

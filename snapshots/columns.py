"""Arrow columns as snapshots keep them: which types, how they are written down, how a table is brought to a schema.

1. `normal` says what a type is stored as: what Parquet and DuckDB both hold without loss. Dictionaries are decoded, views and
   large variants become plain ones, a structure without fields becomes null.
2. `conform` gives a table exactly the columns of a schema, in its order: columns it lacks are null, others are cast without
   loss. It never drops a value: a cast that would lose one raises `pyarrow.ArrowInvalid`.
3. Types are written in JSON: a name for a plain type, one object a nested one.
"""

import re
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

Json = Any

_PARAMETRIC = re.compile(
    r"(decimal128|fixed_size_binary|timestamp|time32|time64|duration)[(\[](\w+)(?:, ?(?:tz=)?([^)\]]+))?[)\]]"
)
_PLAIN = {
    str(each): each
    for each in (
        pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
        pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.date32(),
    )
}  # fmt: skip


def normal(kind: pa.DataType) -> pa.DataType:  # noqa: C901  # one line a family of types
    """Give the type under which values of a type are stored."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return normal(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_date64(kind):
        return pa.timestamp("ms")
    if types.is_time32(kind):
        return pa.time64("us")
    if types.is_decimal(kind):
        return kind if types.is_decimal128(kind) else pa.decimal128(min(kind.precision, 38), min(kind.scale, 38))
    if types.is_timestamp(kind):
        return pa.timestamp("ns" if kind.unit == "ns" else "us", kind.tz)
    if types.is_struct(kind):
        return pa.struct([(each.name, normal(each.type)) for each in kind]) if kind.num_fields else pa.null()
    if types.is_map(kind):
        return pa.map_(normal(kind.key_type), normal(kind.item_type))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_list_view(kind):
        return pa.list_(normal(kind.value_type))
    return kind


def nested(kind: pa.DataType) -> bool:
    """Whether values of a type hold other values."""
    return bool(pa.types.is_nested(kind))


def normalised(table: pa.Table) -> pa.Table:
    """Give a table whose columns all have the type they are stored under, without metadata."""
    fields = [pa.field(each.name, normal(each.type)) for each in table.schema]
    columns = [_normal(column, each.type) for column, each in zip(table.columns, fields, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def _normal(column: Any, kind: pa.DataType) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Bring a column to its normal type; structures without fields are emptied row by row where they hide in others."""
    if not _holds_nothing(column.type):
        return converted(column, kind)
    if pa.types.is_null(kind):
        return pa.nulls(len(column))
    return pa.chunked_array([pa.array([_emptied(each) for each in column.to_pylist()], kind)])


def _holds_nothing(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_holds_nothing(each.type) for each in kind)
    return nested(kind) and any(_holds_nothing(kind.field(number).type) for number in range(kind.num_fields))


def _emptied(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _emptied(each) for name, each in value.items()} or None
    return [_emptied(each) for each in value] if isinstance(value, list) else value


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Bring a table to a schema (law 2); columns that the schema lacks are left out."""
    if table.schema.equals(schema, check_metadata=False):
        return table
    columns = []
    for each in schema:
        at = table.schema.get_field_index(each.name)
        columns.append(pa.nulls(table.num_rows, each.type) if at < 0 else converted(table.column(at), each.type))
    return pa.table(columns, schema=schema)


def converted(column: Any, kind: pa.DataType) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Cast a column without loss; raises pyarrow.ArrowInvalid when a value does not fit.

    Nested values become text as JSON; integers become decimals of any precision that holds them.
    """
    have = column.type
    if have.equals(kind):
        return column
    if pa.types.is_float64(kind) and pa.types.is_integer(have):
        return column.cast(kind, safe=False)  # beyond 2^53, the nearest double
    if pa.types.is_string(kind) and nested(have):
        return as_json(column)
    if pa.types.is_decimal(kind) and pa.types.is_integer(have):
        return column.cast(pa.decimal128(38, kind.scale)).cast(kind)
    if pa.types.is_string(kind) and (pa.types.is_binary(have) or pa.types.is_fixed_size_binary(have)):
        texts = [None if each is None else each.hex() for each in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, kind)])
    return column.cast(kind)


def as_json(column: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Write nested values as JSON text, one row at a time: only for a column that changed its kind."""
    texts = (
        None if each is None else orjson.dumps(each, default=str, option=orjson.OPT_SORT_KEYS).decode()
        for each in column.to_pylist()
    )
    return pa.chunked_array([pa.array(texts, pa.string())])


def fits(column: Any, kind: pa.DataType) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Say, row by row, whether a value would be kept by a cast: a boolean array."""
    try:
        converted(column, kind)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.array([False])
        half = len(column) // 2
        return pa.concat_arrays([fits(column.slice(0, half), kind), fits(column.slice(half), kind)])
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return pc.is_null(column).combine_chunks() if isinstance(column, pa.ChunkedArray) else pc.is_null(column)
    return pa.repeat(pa.scalar(True), len(column))


def described(kind: pa.DataType) -> Json:
    """Write a type in JSON (law 3)."""
    if pa.types.is_struct(kind):
        return {"struct": [[each.name, described(each.type)] for each in kind]}
    if pa.types.is_map(kind):
        return {"map": [described(kind.key_type), described(kind.item_type)]}
    if pa.types.is_list(kind):
        return {"list": described(kind.value_type)}
    return str(kind)


def understood(text: Json) -> pa.DataType:
    """Read a type from JSON; raises ValueError."""
    match text:
        case {"struct": [*fields]}:
            return pa.struct([(name, understood(kind)) for name, kind in fields])
        case {"map": [key, item]}:
            return pa.map_(understood(key), understood(item))
        case {"list": item}:
            return pa.list_(understood(item))
        case str() if text in _PLAIN:
            return _PLAIN[text]
        case str() if found := _PARAMETRIC.fullmatch(text):
            return _parametric(*found.groups())
    raise ValueError("not an Arrow type")


def _parametric(family: str, first: str, second: str | None) -> pa.DataType:
    match family:
        case "decimal128":
            return pa.decimal128(int(first), int(second or 0))
        case "fixed_size_binary":
            return pa.binary(int(first))
        case "timestamp":
            return pa.timestamp(first, second)
        case "time32":
            return pa.time32(first)
        case "time64":
            return pa.time64(first)
        case _:
            return pa.duration(first)

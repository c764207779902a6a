"""What a page's values are, found exactly: a lattice of Arrow types.

1. `observe` gives the narrowest type that holds every value; `join` the narrowest that holds two types. Joining only ever
   widens, so a stream's type settles: null < anything, int < decimal < double, and `string` holds all the rest.
2. Fractional numbers keep every digit written. While it grows, a decimal is a `decimal256` of exactly the digits seen; `settle`
   makes it a decimal128(38, s) with the smallest s of `SCALES` that fits, else a double.
3. A field whose values are of several kinds becomes text: strings as they are, the rest as JSON.
4. Objects and lists are kept, to a depth and a number of fields that are bounded.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pyarrow as pa
import pyarrow.types as kinds

from saas_connectors.connector import Json

SCALES = (0, 2, 4, 6, 9, 12, 18)
_DIGITS = 38
_TEXT = msgspec.json.Encoder(decimal_format="number")


class TooDeep(ValueError):
    """Values nested deeper, or with more fields, than the bounds allow."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most a record may hold: levels of nesting, and fields in all (nested ones counted).

    cells: the most rows by fields of a page, absent values counted: what a page would become whose first record alone has
    all of its fields.
    """

    depth: int = 32
    fields: int = 2000
    cells: int = 1 << 26


BOUNDS = Bounds()


def observe(value: Json, bounds: Bounds = BOUNDS) -> pa.DataType:
    """Give the narrowest Arrow type of one decoded JSON value (`None`, bool, int, Decimal, str, list, dict)."""
    return observe_all([value], bounds)


def observe_all(values: Collection[Json], bounds: Bounds = BOUNDS, depth: int = 0) -> pa.DataType:
    """Give the narrowest Arrow type that holds every one of `values`; raises `TooDeep`."""
    found = pa.null()
    present: set[type] = set(map(type, values))
    for kind in present - {type(None)}:
        if kind is str:
            one = pa.string()
        elif kind is bool:
            one = pa.bool_()
        elif kind is int:
            one = _integers([value for value in values if type(value) is int])
        elif kind is Decimal:
            one = _decimals([value for value in values if type(value) is Decimal])
        elif depth >= bounds.depth:
            raise TooDeep
        elif kind is list:
            one = pa.list_(observe_all([item for value in values if type(value) is list for item in value], bounds, depth + 1))
        else:
            rows = [value for value in values if type(value) is dict]
            names = dict.fromkeys(name for row in rows for name in row)
            if len(names) > bounds.fields or len(names) * len(rows) > bounds.cells:
                raise TooDeep
            columns = ((name, [row[name] for row in rows if name in row]) for name in names)
            one = pa.struct([pa.field(name, observe_all(column, bounds, depth + 1)) for name, column in columns])
        found = join(found, one)
    return found


def _integers(values: list[int]) -> pa.DataType:
    low, high = min(values), max(values)
    if low >= -(1 << 63) and high < 1 << 63:
        return pa.int64()
    digits = max(len(str(abs(low))), len(str(abs(high)))) if max(-low, high) < 10**76 else 77
    return pa.decimal256(digits, 0) if digits <= 76 else pa.float64()


def _decimals(values: list[Decimal]) -> pa.DataType:
    whole = scale = 1
    for value in values:
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            return pa.float64()
        scale = max(scale, -exponent)
        whole = max(whole, len(digits) + exponent)
    return pa.decimal256(whole + scale, scale) if whole + scale <= 76 else pa.float64()


def _digits(kind: pa.DataType) -> tuple[int, int] | None:
    """Integer digits and decimals that a number type can be asked to hold."""
    if kinds.is_int64(kind):
        return 19, 0
    if kinds.is_decimal256(kind):
        return kind.precision - kind.scale, kind.scale
    if kinds.is_decimal(kind):  # a settled one, from a stream's schema: its free digits are room, not need
        return 1, kind.scale
    return None


def join(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Give the narrowest type that holds both."""
    if one == other or kinds.is_null(other):
        return one
    if kinds.is_null(one):
        return other
    left, right = _digits(one), _digits(other)
    if left and right:
        whole, scale = max(left[0], right[0]), max(left[1], right[1])
        return pa.decimal256(whole + scale, scale) if whole + scale <= 76 else pa.float64()
    if (left or kinds.is_float64(one)) and (right or kinds.is_float64(other)):
        return pa.float64()
    if kinds.is_list(one) and kinds.is_list(other):
        return pa.list_(join(one.value_type, other.value_type))
    if kinds.is_struct(one) and kinds.is_struct(other):
        fields = {field.name: field.type for field in one}
        for field in other:
            fields[field.name] = join(fields.get(field.name, pa.null()), field.type)
        return pa.struct([pa.field(name, kind) for name, kind in fields.items()])
    return pa.string()


def settle(kind: pa.DataType) -> pa.DataType:
    """Turn what was observed into the type that is kept."""
    if kinds.is_decimal256(kind):
        whole, scale = kind.precision - kind.scale, kind.scale
        fits = [s for s in SCALES if s >= scale and whole + s <= _DIGITS]
        return pa.decimal128(_DIGITS, fits[0]) if fits else pa.float64()
    if kinds.is_list(kind):
        return pa.list_(settle(kind.value_type))
    if kinds.is_struct(kind):
        return pa.struct([pa.field(field.name, settle(field.type)) for field in kind])
    return kind


def count(kind: pa.DataType) -> int:
    """Count the fields of a type, nested ones included."""
    if kinds.is_struct(kind):
        return sum(1 + count(field.type) for field in kind)
    return count(kind.value_type) if kinds.is_list(kind) else 0


def text(value: Json) -> str:
    """Write a value as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else _TEXT.encode(value).decode()


def conform(value: Json, kind: pa.DataType) -> Json:
    """Make a decoded value ready for `pa.array(..., type=kind)`, where `kind` holds it."""
    if value is None:
        return None
    if kinds.is_string(kind):
        return text(value)
    if kinds.is_float64(kind):
        return float(value)
    if kinds.is_struct(kind):
        return {field.name: conform(value.get(field.name), field.type) for field in kind}
    if kinds.is_list(kind):
        return [conform(item, kind.value_type) for item in value]
    return value

"""A dataset too large for one answer, cut into ranges of one field; pure arithmetic.

1. Ranges are half open, and do not leave a value out: the first has no lower bound, the last no upper one, and the records
   without a value are a range of their own.
2. A range of which every record has one value cannot be cut.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.connector import Json
from saas_connectors.urban.odsql import every, literal, name

KINDS: Final = ("int", "double", "date", "datetime")
"""Kinds of fields that ranges can be made of."""


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records whose field is in [since, until), None being no bound; `empty`: those without a value.

    low, high: the values known to be in it, as far as they were asked for. counted: the records of the range it was cut from.
    """

    since: Json = None
    until: Json = None
    low: Json = None
    high: Json = None
    counted: int | None = None
    empty: bool = False

    @property
    def whole(self) -> bool:
        """Whether it asks nothing."""
        return self.since is None and self.until is None and not self.empty

    def where(self, field: str, kind: str) -> str:
        """Its condition in ODSQL."""
        if self.empty:
            return f"{name(field)} is null"
        bounds = ((self.since, ">="), (self.until, "<"))
        return every(*(f"{name(field)} {sign} {literal(at, kind)}" for at, sign in bounds if at is not None))

    def holds(self, column: pa.ChunkedArray | None) -> bool:
        """Tell whether every value of a column is in it."""
        if column is None or self.empty:
            return self.empty and (column is None or column.null_count == len(column))
        if self.whole:
            return True
        if column.null_count:
            return False
        at = [None if bound is None else _scalar(bound, column.type) for bound in (self.since, self.until)]
        within = [pc.greater_equal(column, at[0])] if at[0] is not None else []
        within += [pc.less(column, at[1])] if at[1] is not None else []
        return all(pc.all(each).as_py() is not False for each in within)


def split(part: Range, low: Json, high: Json, kind: str, ways: int, counted: int | None = None) -> tuple[Range, ...]:
    """Cut a range whose values go from `low` to `high` in about so many; one or none when it cannot be."""
    start, end = _number(low, kind), _number(high, kind)
    inner: list[float] = []
    for n in range(1, ways):
        at = start + (end - start) * n / ways
        at = at if kind == "double" else int(at) if at == int(at) else int(at) + 1
        if start < at <= end and (not inner or at > inner[-1]):
            inner.append(at)
    marks: Sequence[Json] = [_value(at, kind) for at in inner]
    since = [part.since, *marks]
    until = [*marks, part.until]
    lows, highs = [_value(start, kind), *marks], [*marks, _value(end, kind)]
    return tuple(Range(*bounds, counted) for bounds in zip(since, until, lows, highs, strict=True)) if inner else ()


def _number(value: Json, kind: str) -> float:
    if kind == "date":
        return date.fromisoformat(str(value)[:10]).toordinal()
    if kind == "datetime":
        at = datetime.fromisoformat(str(value))
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    return int(value) if kind == "int" else float(value)


def _value(at: float, kind: str) -> Json:
    if kind == "date":
        return date.fromordinal(int(at)).isoformat()
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z") if kind == "datetime" else at


def _scalar(value: Json, kind: pa.DataType) -> pa.Scalar:
    if kinds.is_date(kind):
        return pa.scalar(date.fromisoformat(value), kind)
    if kinds.is_timestamp(kind):
        return pa.scalar(datetime.fromisoformat(value), kind)
    return pa.scalar(value)

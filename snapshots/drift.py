"""What a vendor may change in its records, and what is done about it.

Each page is held against the stream's contract: the declared schema, else the last snapshot's, else the first page's.

1. A column that is narrower than the contract is widened without a word; a column that the page lacks is null.
2. For a declared column, values that read as its type are taken as such (text that is a date, a number that is a decimal).
3. Anything else is drift, recorded with the field, its type before and now, what was done, and how many values it touched. The
   first pull of a stream that nobody declared has nothing to differ from: under `evolve` it records none.
   `evolve`         a new field is added; a type is widened, and becomes text when nothing narrower holds both
   `freeze`         ContractBroken
   `discard_row`    the rows that differ are put aside, with the reason
   `discard_value`  the values that differ become null; new fields are left out
4. Widening is `widened`: null to anything, integers to wider ones, to decimals and to doubles (the nearest one), decimals to
   more digits, dates to timestamps, and the same inside lists and structures. It is symmetrical and never narrows.

It never names a personal field in a fault: places only.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from snapshots.columns import converted, described, fits, normal, normalised
from snapshots.dataset import DatasetSpec
from snapshots.errors import ContractBroken
from snapshots.manifest import Drift


def widened(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:  # noqa: C901  # one line a family of types
    """Give the narrowest type that holds the values of both, None when only text does."""
    types = pa.types
    if one.equals(two) or types.is_null(two):
        return one
    if types.is_null(one):
        return two
    if types.is_struct(one) and types.is_struct(two):
        return _widened_struct(one, two)
    if types.is_list(one) and types.is_list(two):
        return pa.list_(_inside(one.value_type, two.value_type))
    if types.is_map(one) and types.is_map(two):
        return pa.map_(_inside(one.key_type, two.key_type), _inside(one.item_type, two.item_type))
    if types.is_integer(one) and types.is_integer(two):
        return _widened_integer(one, two)
    if _number(one) and _number(two):
        if types.is_floating(one) or types.is_floating(two):
            return pa.float64()
        return _widened_decimal(one, two)
    if types.is_temporal(one) and types.is_temporal(two):
        return _widened_time(one, two)
    binary = (types.is_binary, types.is_fixed_size_binary)
    if any(each(one) for each in binary) and any(each(two) for each in binary):
        return pa.binary()
    return None


def _inside(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    return widened(one, two) or pa.string()


def _widened_struct(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    fields = {each.name: each.type for each in one}
    for each in two:
        fields[each.name] = _inside(fields[each.name], each.type) if each.name in fields else each.type
    return pa.struct(list(fields.items()))


def _widened_integer(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    if pa.types.is_signed_integer(one) == pa.types.is_signed_integer(two):
        return one if one.bit_width >= two.bit_width else two
    unsigned = two if pa.types.is_signed_integer(one) else one
    return pa.decimal128(20, 0) if unsigned.bit_width == 64 else pa.int64()


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _widened_decimal(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    digits = [(each.precision - each.scale, each.scale) if pa.types.is_decimal(each) else (20, 0) for each in (one, two)]
    scale = max(each[1] for each in digits)
    precision = max(each[0] for each in digits) + scale
    return pa.decimal128(precision, scale) if precision <= 38 else None


def _widened_time(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    types = pa.types
    moments = [each for each in (one, two) if types.is_timestamp(each)]
    if len(moments) == 2:
        if (one.tz is None) != (two.tz is None):
            return None
        return pa.timestamp("ns" if "ns" in (one.unit, two.unit) else "us", one.tz)
    if len(moments) == 1 and (types.is_date(one) or types.is_date(two)) and moments[0].tz is None:
        return moments[0]
    if types.is_time(one) and types.is_time(two):
        return pa.time64("ns" if "ns" in (one.unit, two.unit) else "us")
    return None


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of a page: rows that have the contract's columns, and rows put aside as they came."""

    table: pa.Table
    aside: pa.Table | None = None


class Watch:
    """Holds the pages of one stream, one after another, against its contract.

    `schema` is what the rows admitted so far can all be brought to; `seen` the fields that any page had.
    """

    def __init__(self, spec: DatasetSpec, known: pa.Schema | None = None) -> None:
        self._spec = spec
        self._declared = {each.name for each in spec.schema}
        fields = {each.name: pa.field(each.name, normal(each.type)) for each in spec.schema}
        for each in known or ():
            fields.setdefault(each.name, pa.field(each.name, each.type))
        self.expected = pa.schema(list(fields.values()))
        self.schema = self.expected
        self.seen: set[str] = set()
        self._drift: dict[tuple[str, str, str], Drift] = {}

    @property
    def drift(self) -> list[Drift]:
        """What the vendor changed, so far."""
        return list(self._drift.values())

    def restore(self, schema: pa.Schema, seen: Iterable[str], drift: Iterable[Drift]) -> None:
        """Take up where a checkpoint left."""
        self.schema, self.seen = schema, set(seen)
        self._drift = {(each.field, each.action, str(each.now)): each for each in drift}

    def absent(self) -> list[Drift]:
        """Give the fields of the contract that no page had: told at the end of a run."""
        gone = [each for each in self.expected if each.name not in self.seen]
        return [Drift(each.name, described(each.type), None, "absent") for each in gone] if self.seen else []

    def admit(self, page: pa.Table) -> Admitted:
        """Hold a page against the contract; raises ContractBroken."""
        if len(set(page.column_names)) != page.num_columns:
            raise self._broken("une colonne vient deux fois", "a column comes twice")
        table = normalised(page)
        missing = [name for name in self._spec.primary_key if name not in table.column_names]
        if missing and table.num_rows:
            place = self._spec.primary_key.index(missing[0]) + 1
            raise self._broken(
                f"la colonne n° {place} de la clé primaire manque", f"column no. {place} of the primary key is missing"
            )
        first = not len(self.schema)
        refused = None
        columns: dict[str, pa.ChunkedArray] = {}
        for place, each in enumerate(table.schema):
            self.seen.add(each.name)
            column, wrong = self._column(each.name, table.column(place), place + 1, first)
            if column is not None:
                columns[each.name] = column
            if wrong is not None:
                refused = wrong if refused is None else pc.or_(refused, wrong)
        kept = pa.table(list(columns.values()), names=list(columns)) if columns else table.select([])
        if refused is None or not pc.any(refused).as_py():
            return Admitted(kept)
        return Admitted(kept.filter(pc.invert(refused)), page.filter(refused))

    def admit_keys(self, removed: pa.Table) -> pa.Table:
        """Give the primary keys of removed records, as the contract holds them; raises ContractBroken."""
        table = normalised(removed.select(list(self._spec.primary_key)))
        columns = []
        for place, each in enumerate(table.schema):
            at = self.schema.get_field_index(each.name)
            if at < 0:
                self.schema = self.schema.append(each)
                columns.append(table.column(place))
                continue
            kind = widened(self.schema.field(at).type, each.type) or self.schema.field(at).type
            try:
                columns.append(converted(table.column(place), kind))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                raise self._broken("une clé retirée d'un autre type", "a removed key of another type") from None
            self.schema = self.schema.set(at, pa.field(each.name, kind))
        return pa.table(columns, names=table.column_names)

    def _column(
        self, name: str, column: pa.ChunkedArray, place: int, first: bool
    ) -> tuple[pa.ChunkedArray | None, pa.ChunkedArray | None]:
        """Give the column as it is kept, None when it is left out; and which rows are to be put aside, None when none is."""
        at = self.schema.get_field_index(name)
        if at < 0:
            return self._new(name, column, place, first)
        have, expected = column.type, self.schema.field(at).type
        if have.equals(expected):
            return column, None
        wider = widened(expected, have)
        if wider is not None and wider.equals(expected):
            return converted(column, expected), None
        if name in self._declared:
            try:
                return converted(column, expected), None
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                pass  # not every value reads as the declared type: drift
        if self._spec.contract == "evolve" or pa.types.is_null(expected):
            grown = wider or pa.string()
            self.schema = self.schema.set(at, pa.field(name, grown))
            if len(self.expected) and not pa.types.is_null(expected):
                self._record(name, expected, grown, "widened" if wider else "text", len(column) - column.null_count)
            return converted(column, grown), None
        return self._refuse(name, column, place, expected)

    def _new(
        self, name: str, column: pa.ChunkedArray, place: int, first: bool
    ) -> tuple[pa.ChunkedArray | None, pa.ChunkedArray | None]:
        values = len(column) - column.null_count
        if first or self._spec.contract == "evolve" or name in self._spec.primary_key:
            self.schema = self.schema.append(pa.field(name, column.type))
            if len(self.expected):
                self._record(name, None, column.type, "added", values)
            return column, None
        if not values:
            return None, None
        if self._spec.contract == "freeze":
            raise self._broken(f"colonne nouvelle, la {place}e de la page", f"a new column, number {place} of the page")
        rows = self._spec.contract == "discard_row"
        self._record(name, None, column.type, "row_discarded" if rows else "value_discarded", values)
        return None, pc.is_valid(column) if rows else None

    def _refuse(
        self, name: str, column: pa.ChunkedArray, place: int, expected: pa.DataType
    ) -> tuple[pa.ChunkedArray | None, pa.ChunkedArray | None]:
        """Keep the values that the expected type holds; the others break the contract, or go as it says."""
        pieces = [fits(chunk, expected) for chunk in column.chunks]
        good = pa.chunked_array(pieces, pa.bool_())
        bad = pc.sum(pc.invert(good)).as_py() or 0
        if bad and self._spec.contract == "freeze":
            raise self._broken(
                f"{bad} valeurs d'un autre type dans la colonne n° {place} de la page",
                f"{bad} values of another type in column no. {place} of the page",
            )
        kept = (
            converted(pc.if_else(good, column, pa.scalar(None, column.type)), expected) if bad else converted(column, expected)
        )
        if not bad:
            return kept, None
        rows = self._spec.contract == "discard_row"
        self._record(name, expected, column.type, "row_discarded" if rows else "value_discarded", bad)
        return kept, pc.invert(good) if rows else None

    def _record(self, field: str, was: pa.DataType | None, now: pa.DataType, action: str, values: int) -> None:
        told = described(now)
        before = self._drift.get((field, action, str(told)))
        known = before.was if before else None if was is None else described(was)
        self._drift[field, action, str(told)] = Drift(field, known, told, action, values + (before.values if before else 0))

    def _broken(self, reason_fr: str, reason_en: str) -> ContractBroken:
        return ContractBroken(
            stream=self._spec.id.stream, contract=self._spec.contract, reason_fr=reason_fr, reason_en=reason_en
        )

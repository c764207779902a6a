"""A dataset, its classes, and the shape of its rows.

1. A dataset is one stream of one connection. Both names are folder names: a lower-case letter, then letters, digits and `_`.
2. Every field has a class, `internal` < `personal` < `sensitive`; a field that no one classified is `personal`. A clearance is
   the highest class that may be read.
3. Rows are told apart by their primary key. When a field of that key is personal or sensitive, the row is named in the
   internal class by `_key`, a keyed pseudonym, and the field itself stays in its own class.
4. `_key` and `_op` are ours. A vendor's column of that name is kept under one more underscore and given back as it was.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from snapshots.errors import BadName
from vault.keyed import digests

ClassName = Literal["internal", "personal", "sensitive"]
CLASSES: tuple[ClassName, ...] = ("internal", "personal", "sensitive")

Contract = Literal["evolve", "freeze", "discard_row", "discard_value"]

KEY = "_key"
OP = "_op"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TAKEN = frozenset({"information_schema", "pg_catalog", "system", "temp"})  # schemas that SQL keeps for itself
_OURS = re.compile(r"_+(key|op)")


def visible(clearance: str) -> tuple[ClassName, ...]:
    """Give the classes that a clearance may read, lowest first."""
    return CLASSES[: [str(each) for each in CLASSES].index(clearance) + 1]


@dataclass(frozen=True, slots=True, order=True)
class DatasetId:
    """The name of a dataset: a stream of a connection."""

    connection: str
    stream: str

    def __post_init__(self) -> None:
        for name, what_fr, what_en in (
            (self.connection, "une connexion", "a connection"),
            (self.stream, "un flux", "a stream"),
        ):
            if not _NAME.fullmatch(name) or name in _TAKEN:
                raise BadName(name=name, what_fr=what_fr, what_en=what_en)

    def __str__(self) -> str:
        return f"{self.connection}/{self.stream}"

    @classmethod
    def parse(cls, text: str) -> "DatasetId":
        """Read `connection/stream`; raises BadName."""
        connection, _, stream = text.partition("/")
        return cls(connection, stream)


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What is known of a dataset before it is pulled.

    `classes` gives the class of each field that someone classified; `schema` may be empty, and is then found from the first
    records.
    An empty `primary_key` means that nothing names a row: such a dataset is stored whole at each change.
    """

    id: DatasetId
    primary_key: tuple[str, ...]
    classes: Mapping[str, str] = field(default_factory=dict)
    contract: str = "evolve"
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))

    def shape(self, schema: pa.Schema) -> "Shape":
        """Give the shape of rows of this dataset that have the columns of `schema`.

        A column of the key that no row showed yet is of type null.
        """
        for name in self.primary_key:
            if name not in schema.names:
                schema = schema.append(pa.field(name, pa.null()))
        classes = tuple(_class(self.classes.get(name, "personal")) for name in schema.names)
        return Shape(schema.remove_metadata(), classes, self.primary_key)


def _class(name: str) -> ClassName:
    return CLASSES[[str(each) for each in CLASSES].index(name)]


def stored_name(column: str) -> str:
    """Give the name under which a vendor's column is stored (law 4)."""
    return f"_{column}" if _OURS.fullmatch(column) else column


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns in the vendor's order, the class of each, and the primary key."""

    schema: pa.Schema
    classes: tuple[ClassName, ...]
    primary_key: tuple[str, ...]

    @property
    def pseudonymous(self) -> bool:
        """Whether rows are named by a pseudonym, because their primary key is not internal."""
        return any(self.class_of(name) != "internal" for name in self.primary_key)

    @property
    def key(self) -> tuple[str, ...]:
        """The stored columns, all internal, that tell rows apart; empty when nothing does."""
        return (KEY,) if self.pseudonymous else tuple(stored_name(name) for name in self.primary_key)

    def class_of(self, column: str) -> ClassName:
        """Give the class of a column, by the vendor's name."""
        names: list[str] = self.schema.names
        return self.classes[names.index(column)]

    def columns(self, classes: tuple[str, ...]) -> list[str]:
        """Give the vendor's names of the columns of these classes, in order."""
        return [name for name, at in zip(self.schema.names, self.classes, strict=True) if at in classes]

    def without(self, names: frozenset[str]) -> "Shape":
        """Leave columns out, by the vendor's names; without one of its columns the primary key is left empty."""
        if not names:
            return self
        kept = [(each, at) for each, at in zip(self.schema, self.classes, strict=True) if each.name not in names]
        key = () if names & {*self.primary_key} else self.primary_key
        return Shape(pa.schema([each for each, _ in kept]), tuple(at for _, at in kept), key)

    def described(self, classes: tuple[str, ...] = CLASSES) -> pa.Schema:
        """Give the Arrow schema of these classes.

        Each field's metadata has its `class`, and `key` when it is in the primary key.
        """
        fields = [
            each.with_metadata({"class": at, **({"key": "true"} if each.name in self.primary_key else {})})
            for each, at in zip(self.schema, self.classes, strict=True)
            if at in classes
        ]
        return pa.schema(fields)

    def stored(self, table: pa.Table, pseudonym_key: bytes) -> pa.Table:
        """Give the columns of `table` their stored names, with `_key` in front where the primary key is not internal."""
        named = table.rename_columns([stored_name(name) for name in table.column_names])
        if not self.pseudonymous:
            return named
        return named.add_column(0, KEY, pseudonyms(table.select(list(self.primary_key)), pseudonym_key))


def pseudonyms(keys: pa.Table, secret: bytes) -> pa.Array:
    """Name each row by a keyed pseudonym of its primary key.

    Arguments: keys: the columns of the primary key, without nulls; secret: 32 bytes.
    Returns: strings of 32 hexadecimal digits.
    Source: HMAC-SHA-256 truncated to 128 bits (RFC 2104, section 5), over each value as text preceded by its length in bytes.
    """
    columns = []
    for column in keys.columns:
        text = as_text(column)
        columns += [pc.binary_length(text.cast(pa.binary())).cast(pa.string()), text]
    # "2:ab:1:c": lengths make the joined text unambiguous whatever the values hold.
    joined = columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, ":")
    named = digests(secret, joined.cast(pa.binary()).to_pylist(), 16).hex().encode()
    return pa.Array.from_buffers(pa.binary(32), len(joined), [None, pa.py_buffer(named)]).cast(pa.binary()).cast(pa.string())


def as_text(column: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Write the values of a column as text, the same whatever the width, the scale or the unit of its type.

    Decimals without exponent nor trailing zeros; instants as nanoseconds since 1970 in UTC; bytes in hexadecimal.
    """
    if pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type):
        return pa.chunked_array([pa.array([None if v is None else v.hex() for v in column.to_pylist()], pa.string())])
    if pa.types.is_decimal(column.type):
        return _texts(column.to_pylist(), _plain)
    if pa.types.is_timestamp(column.type):
        step = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
        return _texts(column.cast(pa.int64()).to_pylist(), lambda value: str(value * step))
    return column.cast(pa.string())


def _texts(values: list[Any], write: Callable[[Any], str]) -> Any:  # noqa: ANN401  # pyarrow has no types
    return pa.chunked_array([pa.array([None if each is None else write(each) for each in values], pa.string())])


def _plain(value: Decimal) -> str:
    """Write a decimal without exponent nor trailing zeros: `1.50` is `1.5`, `0E-3` is `0`."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Give the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()

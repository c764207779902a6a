"""What a format is: bytes that become rows, and rows that become bytes.

1. A row is never dropped in silence and never altered: it comes as a `Row`, or as a `Rejected` that says where and why.
2. Bounded: bytes, rows, fields, depth, and what a compressed body swells to. What goes beyond raises `Unreadable`.
3. A body that was cut (an unclosed quote, an archive without its directory, JSON without its end) raises `Truncated`: none of
   it can be trusted to be the whole.
4. Columns that no one declared keep the type that the format itself gives them: text in CSV, whatever the cells look like.
5. Names inside a file (columns, entries of an archive, sheets) are data: none is used as a path.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import pyarrow as pa

from saas_connectors.connector import Json
from saas_connectors.errors import ConnectorError

if TYPE_CHECKING:
    from saas_connectors.formats.columns import Raw

Reason: TypeAlias = Literal[
    "columns", "date", "number", "boolean", "value", "undecodable", "quote", "shape", "titles", "too_long"
]
"""Why a row was set aside: its count of columns, a value that is not what its column declares, bytes that are no text, a quote
out of its place, an element that is no record (`shape`), titles that come again, a text longer than a cell holds."""

Values: TypeAlias = Mapping[str, Json]
"""A row: values of JSON, and `date`, `datetime` (with its zone) or `Decimal` where the format or a declaration gives them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record. line: where it begins in the file, from 1 (the element's rank where a format has no lines)."""

    line: int
    values: Values


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that is set aside. field: the column in cause, "" for the whole row; content: the row as it was written."""

    line: int
    reason: Reason
    field: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Records as columns, and the rows that were set aside: what a format gives when it can read without a row in hand."""

    records: pa.Table
    rejected: tuple[Rejected, ...] = ()


class Unreadable(ConnectorError):
    """The body is not what its format promises, or goes beyond what is read. Never holds a byte of it."""

    code = "vendor.format"
    fr = "Fichier illisible : {why_fr}."
    en = "Unreadable file: {why_en}."
    todo_fr = "Vérifiez le format et les réglages du flux ; son contenu n'est pas montré."
    todo_en = "Check the stream's format and settings; its content is not shown."


class Truncated(Unreadable):
    """The body ends before its own end."""

    code = "vendor.format.truncated"
    fr = "Fichier coupé : {why_fr}."
    en = "File cut short: {why_en}."


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a body may hold: rows, columns, characters of a cell, bytes once unpacked, and how far it may swell."""

    rows: int = 5_000_000
    columns: int = 2_000
    cell: int = 1 << 20
    unpacked: int = 1 << 30
    ratio: int = 200
    entries: int = 1_000
    depth: int = 64


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Reading:
    """How a body is read. types: declarations of `values`, by column; options: the format's own settings."""

    types: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)
    zone: str = "UTC"
    limits: Limits = LIMITS


class Format(Protocol):
    """A format that files are in. `saas_connectors.formats.of(name)` gives one by its name ("csv", "xlsx", ...)."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        ...

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """Read records one by one, before declared types are applied; raises Unreadable, Truncated, Unsettled."""
        ...

    def columns(self, body: bytes, settings: Reading) -> "Raw":
        """Read them all at once, as columns; declared types are not applied yet. The same records, and the same errors."""
        ...

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:
        """Write records; a value that the format cannot hold becomes text. Raises SettingsError, Unreadable."""
        ...

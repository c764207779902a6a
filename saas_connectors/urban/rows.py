"""The records of one answer of a portal, as a table: whole, of the dataset that was asked for, each named.

1. Records come as one JSON array: one that does not close, or that an error follows, is not whole and is refused.
2. A record without what names it is set aside and counted. Where nothing names records, their content does: its SHA-256, with
   the number of its turn when the same content comes again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from saas_connectors.answer import ERRORS, arrays, malformed
from saas_connectors.connector import Stream
from saas_connectors.errors import SchemaError
from saas_connectors.lumps import lumps
from saas_connectors.records import Records
from saas_connectors.request import Request, Response
from saas_connectors.urban.portal import DatasetSettings, Note, column, types_of
from saas_connectors.values import convert

_ROWS: Final = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)
_TOGETHER: Final = 8 << 20
"""Bytes of records that become one table."""
_FLOWING: Final = 2 << 20
"""The same, of an answer that was put aside."""
_RAW: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_WRITER: Final = msgspec.json.Encoder()
_SORTED: Final = msgspec.json.Encoder(order="sorted", decimal_format="number")


@dataclass(slots=True)
class Rows:
    """Turns answers into tables; `invalid` counts the records set aside so far."""

    stream: Stream
    note: Note
    said: DatasetSettings
    invalid: int = 0
    twins: dict[str, int] = field(default_factory=dict)
    _records: Records = field(default_factory=Records)
    _texts: tuple[str, ...] = ()
    _flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Know the fields by the names that the portal gives them."""
        named = {column(name): name for name in self.note.kinds}
        known = [pa.field(named[each.name], each.type) for each in self.stream.schema if each.name in named]
        types = types_of(self.note.kinds, self.said)
        self._texts = tuple(name for name, declared in types.items() if declared == "json")
        # A declared boolean is known only once it was seen, value by value: what is one already needs no declaration.
        plain = {name: declared for name, declared in types.items() if declared not in ("json", "bool")}
        self._flags = tuple(column(name) for name, declared in types.items() if declared == "bool")
        self._records = Records(plain, schema=pa.schema(known))

    def flowing(self, request: Request, response: Response) -> Iterator[pa.Table]:
        """Turn an answer that was put aside into tables, as it is read; raises `Malformed`, at its last byte if need be."""
        for lump in arrays(request, response, _FLOWING):
            yield self.table(request, response, lump)

    def tables(self, request: Request, response: Response, records: bytes) -> Iterator[pa.Table]:
        """Turn a raw JSON array into tables, a few mebibytes at a time; raises `Malformed`, `SchemaError`."""
        for lump in lumps(records, _TOGETHER):
            yield self.table(request, response, lump)

    def table(self, request: Request, response: Response, records: bytes) -> pa.Table:
        """Turn a raw JSON array into one table; raises `Malformed`, `SchemaError`."""
        table = self._records.table(request, response, _as_text(records, self._texts) if self._texts else records)
        if strange := (set(table.column_names) - self.note.kinds.keys()) & set(ERRORS):
            raise malformed(
                request,
                response,
                f"une erreur parmi les enregistrements ({min(strange)})",
                f"an error among the records ({min(strange)})",
            )
        table = table.rename_columns([column(name) for name in table.column_names])
        for name in self._flags:
            if (at := table.schema.get_field_index(name)) >= 0:
                table = table.set_column(at, name, convert(table.column(at), "bool"))
        if not table.num_rows:
            return table
        if self.note.hashed is not None:
            return table.append_column(self.note.hashed, self._hashes(records))
        return self._named(table)

    def _hashes(self, records: bytes) -> pa.Array:
        names = []
        for row in _ROWS.decode(records):
            content = hashlib.sha256(_SORTED.encode(row)).hexdigest()
            turn = self.twins[content] = self.twins.get(content, 0) + 1
            names.append(content if turn == 1 else f"{content}-{turn}")
        return pa.array(names, pa.string())

    def _named(self, table: pa.Table) -> pa.Table:
        key = self.stream.primary_key
        named = set(key) <= set(table.column_names)
        null = reduce(pc.or_, [pc.is_null(table.column(name)) for name in key]) if named else None
        nameless = (pc.sum(null).as_py() or 0) if null is not None else table.num_rows
        if nameless == table.num_rows:
            names = ", ".join(key)
            raise SchemaError(
                stream=self.stream.name,
                expected_fr=f"la clé ({names}) manque dans toute une réponse ; dites-en une autre dans « key »",
                expected_en=f"the key ({names}) is missing from a whole answer; name another one in `key`",
            )
        self.invalid += nameless
        return table.filter(pc.invert(null)) if nameless else table

    def turns(self, records: bytes, last: Mapping[str, Any]) -> dict[str, int]:
        """Those of the contents seen that may still come again: of the records that have what `last` says."""
        if self.note.hashed is None:
            return {}
        rows = [
            row
            for lump in lumps(records, _TOGETHER)
            for row in _ROWS.decode(lump)
            if all(row.get(name) == value for name, value in last.items())
        ]
        kept = {hashlib.sha256(_SORTED.encode(row)).hexdigest() for row in rows}
        return {content: turn for content, turn in self.twins.items() if content in kept}


def _as_text(records: bytes, fields: tuple[str, ...]) -> bytes:
    """Write shapes, files and whatever has a form of its own as text, as the portal wrote them; what is text already stays."""
    try:
        rows: list[dict[str, Any]] = _RAW.decode(records)
    except (msgspec.DecodeError, RecursionError):
        return records  # whoever reads them says what they are not
    for row in rows:
        for name in fields:
            held = bytes(row.get(name, b"null"))
            if held != b"null" and not held.startswith(b'"'):
                row[name] = held.decode()
    return _WRITER.encode(rows)

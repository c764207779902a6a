"""A page of bytes becomes an Arrow table: no Python object per row, and no value altered.

1. Strings stay strings (no date is guessed), integers int64, fractions exact decimals; `types` declares the rest (`values`).
2. The records array arrives cut out of its document unparsed (`answer.cut`) and costs one pass of Arrow. The first page, and
   any page that does not fit the types seen so far, is read value by value: the types are widened (`shapes`), nothing is lost.
3. A field seen for the first time is a new column; a field that only ever was null keeps the null type.
4. Bounded: bytes, depth, number of fields, of values of a record, and of rows by fields of a page, absent values counted; a
   long page is read in lumps (`lumps`), so that what Python holds of it at once is little. What is not JSON, or holds no
   records where they should be, is `Malformed`; the body of the answer never enters the error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.json

from saas_connectors.answer import malformed
from saas_connectors.lumps import LUMP, lumps
from saas_connectors.request import Request, Response
from saas_connectors.shapes import BOUNDS, Bounds, TooDeep, conform, count, join, observe_all, settle
from saas_connectors.values import arrow_type, convert

MAX_TABLE: Final = 64 << 20
"""The most bytes a page's table holds; a bigger one is cut by `pieces`."""

MAX_VALUES: Final = 1 << 22
"""The most values of a record that is longer than a lump."""
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)
_WRITTEN: Final = {"date": pa.string(), "timestamp": pa.string(), "int": pa.int64(), "epoch": pa.int64()}
_TEXT = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Records:
    """Turns the pages of one stream into tables, in the order they come.

    `types` declares fields (see `values`), `zone` places instants written without one, `schema` is what is already known of the
    stream. One instance a read in progress: it remembers the types seen, and only ever widens them.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    bounds: Bounds = BOUNDS
    lump: int = LUMP
    _seen: pa.DataType = None
    _settled: pa.Schema = None

    def table(self, request: Request, response: Response, records: bytes) -> pa.Table:
        """Turn a raw JSON array of objects into a table; raises `Malformed`."""
        try:
            structs = self._structs(records)
        except (TooDeep, RecursionError):
            fr, en = "des enregistrements trop profonds, trop larges ou trop nombreux", "records too deep, too wide or too many"
            raise malformed(request, response, fr, en) from None
        except msgspec.DecodeError:
            raise malformed(request, response, "des objets étaient attendus", "objects were expected") from None
        if not structs[-1].type.num_fields:
            return pa.table({})
        table = pa.Table.from_struct_array(structs[0] if len(structs) == 1 else pa.chunked_array(structs))
        for name, declared in self.types.items():
            at = table.schema.get_field_index(name)
            if at >= 0:
                table = table.set_column(at, name, convert(table.column(at), declared, self.zone))
        return table

    def _structs(self, records: bytes) -> list[pa.StructArray]:
        """Read the lumps of a page, all of one type in the end. Errors: TooDeep, DecodeError."""
        structs, rows = [], 0
        for lump in lumps(records, self.lump):
            if len(lump) > 2 * LUMP and sum(map(lump.count, (b",", b"{", b"["))) > MAX_VALUES:
                raise TooDeep
            if lump.count(b"{") * self._width() > self.bounds.cells:
                self._fits(len(_ITEMS.decode(lump)))
            structs.append(self._struct(lump))
            rows += len(structs[-1])
            self._fits(rows)
        last = structs[-1].type
        if any(each.type != last for each in structs):  # a lump that was read before its page was known whole is read again
            read = zip(lumps(records, self.lump), structs, strict=True)
            structs = [each if each.type == last else self._exact(lump) for lump, each in read]
        return structs

    def _fits(self, rows: int) -> None:
        if rows * self._width() > self.bounds.cells:
            raise TooDeep

    def _struct(self, records: bytes) -> pa.StructArray:
        fast = self._fast(records)
        return self._exact(records) if fast is None else fast

    def _width(self) -> int:
        return self._settled.field(0).type.value_type.num_fields if self._settled is not None else 1

    def _fast(self, records: bytes) -> pa.StructArray | None:
        if self._settled is None and self._seen is None and len(self.schema):
            self._settled = _page(self._known())
        if self._settled is None or "json" in self.types.values():
            return None
        body = b'{"r":' + records + b"}"
        try:
            page = pyarrow.json.read_json(
                pa.BufferReader(body),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(body) + 16),
                pyarrow.json.ParseOptions(
                    newlines_in_values=True, explicit_schema=self._settled, unexpected_field_behavior="error"
                ),
            )
            rows = page.column(0).chunk(0).flatten()
            rows.validate()  # pyarrow miscounts the values of a list that only ever held nulls
        except pa.ArrowInvalid:
            return None
        return None if rows.null_count else rows

    def _exact(self, records: bytes) -> pa.StructArray:
        rows = _ROWS.decode(records)
        for name, declared in self.types.items():
            if declared == "json":
                rows = [row | {name: None if row.get(name) is None else _TEXT.encode(row[name]).decode()} for row in rows]
        self._seen = join(self._known() if self._seen is None else self._seen, observe_all(rows, self.bounds))
        if count(self._seen) > self.bounds.fields:
            raise TooDeep
        kind = settle(self._seen)
        self._settled = _page(kind)
        self._fits(len(rows))
        try:
            return pa.array(rows, type=kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several kinds in one field, or numbers no decimal holds
            return pa.array([conform(row, kind) for row in rows], type=kind)

    def _known(self) -> pa.DataType:
        """What the schema says of the values as they are written: a declared field is known only where its type tells."""
        fields = []
        for held in self.schema:
            declared, kind = self.types.get(held.name), held.type
            if declared is not None:
                plain = next((kind for form, kind in _WRITTEN.items() if declared.startswith(form)), pa.null())
                kind = arrow_type(declared) if declared.startswith("decimal") else plain
            fields.append(pa.field(held.name, kind))
        return pa.struct(fields)


def _page(kind: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field("r", pa.list_(kind))]) if kind.num_fields else None


def pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Cut a table into pieces of at most `MAX_TABLE` bytes, each at least one row; an empty table is one piece."""
    parts = -(-table.nbytes // MAX_TABLE) or 1
    rows = max(1, -(-table.num_rows // parts))
    yield from (table.slice(start, rows) for start in range(0, max(1, table.num_rows), rows))

"""JSON lines, and JSON that is one array of objects, block by block.

Fields have the types of the whole: those of the first block as long as no other says otherwise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import msgspec
import pyarrow as pa

from saas_connectors.connector import Json
from saas_connectors.formats import text
from saas_connectors.formats.columns import Raw, beyond, content, named
from saas_connectors.formats.flowing import BLOCK, Again, Whole
from saas_connectors.formats.flowing_lines import Lines
from saas_connectors.formats.format import Reading, Rejected, Row
from saas_connectors.formats.json_lines import told
from saas_connectors.formats.json_rows import named_faults
from saas_connectors.lumps import NotArray, flowing
from saas_connectors.shapes import Bounds, TooDeep, conform, join, observe_all, settle
from vault.content import Content

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_LUMP: Final = BLOCK // 2
_Rows = Callable[[], Iterator[list[Row | Rejected]]]
"""Gives the rows of a file, block by block, from its beginning each time."""


@dataclass(slots=True)
class _Json:
    """Rows whose fields have one type each, throughout the file."""

    rows: _Rows
    reading: Reading
    known: bool = False
    _seen: dict[str, pa.DataType] = field(default_factory=dict)
    _types: dict[str, pa.DataType] = field(default_factory=dict)

    def learn(self) -> "_Json":
        """Read the file once; raises Truncated, Unreadable."""
        seen, limits = 0, self.reading.limits
        for rows in self.rows():
            held = [row for row in rows if isinstance(row, Row)]
            seen += len(held)
            if seen > limits.rows:
                raise beyond(f"{limits.rows} lignes", f"{limits.rows} rows")
            self._observe(held)
        self._types, self.known = self._settled(), True
        return self

    def blocks(self) -> Iterator[Raw]:
        """See `Flow`."""
        for rows in self.rows():
            held = [row for row in rows if isinstance(row, Row)]
            if held and not self.known:
                first = not self._seen
                self._observe(held)
                if first:
                    self._types = self._settled()
                elif self._types != self._settled():
                    raise Again
            table = pa.table([self._column(held, name) for name in self._types], list(self._types)) if held else pa.table({})
            rejected = tuple(row for row in rows if isinstance(row, Rejected))
            if held or rejected:
                yield Raw(table, lambda held=held: [row.line for row in held], rejected)  # type: ignore[misc] # a default

    def _observe(self, held: list[Row]) -> None:
        """Widen the types by those of some rows; raises Unreadable."""
        limits = self.reading.limits
        bounds = Bounds(limits.depth, limits.columns)
        for name in dict.fromkeys(name for row in held for name in row.values):
            try:
                kind = observe_all([row.values.get(name) for row in held], bounds)
            except (TooDeep, RecursionError):
                raise beyond(f"{limits.depth} niveaux", f"{limits.depth} levels") from None
            self._seen[name] = join(self._seen.get(name, pa.null()), kind)
        named(list(self._seen), limits)

    def _settled(self) -> dict[str, pa.DataType]:
        return {name: settle(kind) for name, kind in self._seen.items()}

    def _column(self, held: list[Row], name: str) -> pa.Array:
        values: list[Any] = [row.values.get(name) for row in held]
        try:
            return pa.array(values, type=self._types[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return pa.array([conform(value, self._types[name]) for value in values], type=self._types[name])


def lines(content: Content, reading: Reading, sure: bool) -> _Json:
    """Look at JSON lines; raises Whole, Truncated, Unreadable."""
    asked = Reading(reading.types, {"encoding": "utf-8", **reading.options}, reading.zone, reading.limits)
    held = Lines.of(content, asked)

    def rows() -> Iterator[list[Row | Rejected]]:
        count = 0
        for block in held.blocks():
            made = list(told(block.held.text, block.line, last=block.last))
            count += len(made)
            if block.last:
                text.counted(block.held, count)
            yield made

    return _Json(rows, reading).learn() if sure else _Json(rows, reading)


def array(content_: Content, reading: Reading, sure: bool) -> _Json:
    """Look at JSON that is one array; raises Whole, Truncated, Unreadable."""
    if reading.options.get("rows") or content_.size > reading.limits.unpacked:
        raise Whole

    def rows() -> Iterator[list[Row | Rejected]]:
        rank = 0
        try:
            with named_faults():
                for lump in flowing(content_, _LUMP):
                    elements: list[Json] = _DECODER.decode(lump)
                    yield [
                        Row(rank, each) if isinstance(each, dict) else Rejected(rank, "shape", "", content(each))
                        for rank, each in enumerate(elements, rank + 1)
                    ]
                    rank += len(elements)
        except NotArray:
            raise Whole from None

    return _Json(rows, reading).learn() if sure else _Json(rows, reading)

"""Long files that were put aside, read block by block: the tables are those that the whole would give, in the same order.

1. A format flows when a block of it can be read by itself: lines (CSV, fixed width, JSON lines) in UTF-8 or in single bytes, an
   array of JSON. What cannot raises `Whole`, at the latest before its last table: it is then to be held, and what was given
   is to be taken back.
2. What depends on the whole is found by reading it once before: how it is encoded, how a column writes its dates and numbers
   (`cells`), of which type a field of JSON is.
3. What a cut shows comes last (a line without its end, a trailer, a bracket): whoever takes the tables must have taken the last
   one before relying on any.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.formats.cells import Sample, Writing, sampled
from saas_connectors.formats.columns import Raw, beyond, bounded, declared, writing_of
from saas_connectors.formats.format import Reading, Rejected, Table
from saas_connectors.values import arrow_type
from vault.content import Content

BLOCK: Final = 4 << 20
"""Bytes that are read at once."""


class Whole(Exception):
    """The file has to be held whole."""


class Flow(Protocol):
    """A format that flows, once it knows its file."""

    def blocks(self) -> Iterator[Raw]:
        """Give the records of each block, all text or of types that stay the same; raises Whole, Truncated, Unreadable."""
        ...


Begin = Callable[[Content, Reading], Flow]
"""Looks at a file, all of it if need be; raises Whole, Truncated, Unreadable, Unsettled."""


def flows(name: str) -> Begin | None:
    """How a format flows, by its name; None when it does not."""
    from saas_connectors.formats import flowing_json, flowing_lines

    known: Mapping[str, Begin] = {
        "csv": flowing_lines.csv, "fixed": flowing_lines.fixed_width, "jsonl": flowing_json.lines, "json": flowing_json.array,
    }  # fmt: skip
    return known.get(name)


@dataclass(slots=True)
class Flowing:
    """A file being read. `rejected`: what was set aside so far; whole once `tables` came to its end."""

    begin: Begin
    content: Content
    reading: Reading
    rejected: list[Rejected] = field(default_factory=list)
    columns: frozenset[str] = frozenset()

    def tables(self) -> Iterator[pa.Table]:
        """Give the records, declared types applied; see the laws."""
        flow, rows = self.begin(self.content, self.reading), 0
        settled = self._settled(flow)
        for raw in flow.blocks():
            made: Table = declared(raw, self.reading, settled)
            self.columns |= frozenset(made.records.column_names)
            self.rejected += made.rejected
            bounded(self.rejected)
            rows += made.records.num_rows
            if rows > self.reading.limits.rows:
                raise beyond(f"{self.reading.limits.rows} lignes", f"{self.reading.limits.rows} rows")
            if made.records.num_rows:
                yield made.records

    def _settled(self, flow: Flow) -> dict[str, Writing]:
        """How each column whose settings do not say it writes its dates or numbers: all of its cells are looked at."""
        writing = writing_of(self.reading)
        asked = {name: kind for name, kind in self.reading.types.items() if _open(kind, writing)}
        if not asked:
            return {}
        samples = {name: Sample(kind) for name, kind in asked.items()}
        for raw in flow.blocks():
            for name, sample in samples.items():
                at = raw.records.schema.get_field_index(name)
                if at >= 0 and kinds.is_string(raw.records.schema.field(at).type):
                    sample.look(pc.unique(pc.utf8_trim_whitespace(raw.records.column(at))))
        return {name: sampled(sample, writing) for name, sample in samples.items()}


def _open(kind: str, writing: Writing) -> bool:
    """Whether a declared type leaves open how its cells are written."""
    if "%" in kind or kind.startswith(("epoch", "json", "bool", "int", "string")):
        return False
    return writing.dates is None if kinds.is_temporal(arrow_type(kind)) else writing.decimal is None

"""Long files that were put aside, read block by block: the tables are those that the whole would give, in the same order.

1. A format flows when a block of it can be read by itself: lines (CSV, fixed width, JSON lines) in UTF-8 or in single bytes, an
   array of JSON. What cannot raises `Whole`, at the latest before its last table: it is then to be held, and what was given
   is to be taken back.
2. What depends on the whole (how a column writes its dates and numbers, of which type a field of JSON is) is taken from the
   first block, and looked at in every other. Where they say otherwise, `Again`: what was given is to be taken back, and the
   file is read once more, all of it looked at before (`sure`).
3. What a cut shows comes last (a line without its end, a trailer, a bracket): whoever takes the tables must have taken the last
   one before relying on any.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.formats.cells import Sample, Unsettled, Writing, sampled
from saas_connectors.formats.columns import Raw, beyond, bounded, declared, writing_of
from saas_connectors.formats.format import Reading, Rejected, Table
from saas_connectors.values import arrow_type
from vault.content import Content

BLOCK: Final = 4 << 20
"""Bytes that are read at once."""


class Whole(Exception):
    """The file has to be held whole."""


class Again(Exception):
    """The file has to be read again, `sure`."""


class Flow(Protocol):
    """A format that flows, once it knows its file."""

    def blocks(self) -> Iterator[Raw]:
        """Give the records of each block, all text or of types that stay; raises Whole, Again, Truncated, Unreadable."""
        ...


Begin = Callable[[Content, Reading, bool], Flow]
"""Looks at a file, at all of it to be sure; raises Whole, Truncated, Unreadable, Unsettled."""


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
    sure: bool = False
    rejected: list[Rejected] = field(default_factory=list)

    def tables(self) -> Iterator[pa.Table]:
        """Give the records, declared types applied; see the laws. Raises Again unless `sure`."""
        flow, rows = self.begin(self.content, self.reading, self.sure), 0
        samples = self._samples()
        settled = self._settled(flow) if self.sure else None
        for raw in flow.blocks():
            if not self.sure:
                _look(samples, raw)
            if settled is None:
                if self._moved(samples, None):
                    raise Again
                settled = self._settle(samples)
            made: Table = declared(raw, self.reading, settled)
            if made.rejected and not self.sure and self._moved(samples, settled):
                raise Again
            self.rejected += made.rejected
            bounded(self.rejected)
            rows += made.records.num_rows
            if rows > self.reading.limits.rows:
                raise beyond(f"{self.reading.limits.rows} lignes", f"{self.reading.limits.rows} rows")
            if made.records.num_rows:
                yield made.records
        if not self.sure and self._moved(samples, settled or {}):
            raise Again

    def _samples(self) -> dict[str, Sample]:
        """Of the columns whose settings leave open how their cells are written."""
        writing = writing_of(self.reading)
        return {name: Sample(kind) for name, kind in self.reading.types.items() if _open(kind, writing)}

    def _settled(self, flow: Flow) -> dict[str, Writing]:
        """How each column writes its dates or numbers: all of its cells are looked at."""
        samples = self._samples()
        for raw in flow.blocks() if samples else ():
            _look(samples, raw)
        return self._settle(samples)

    def _moved(self, samples: Mapping[str, Sample], before: dict[str, Writing] | None) -> bool:
        """Whether what was seen so far settles columns in another way than before, or in none."""
        try:
            found = self._settle(samples)
        except Unsettled:
            return True
        return before is not None and found != before

    def _settle(self, samples: Mapping[str, Sample]) -> dict[str, Writing]:
        return {name: sampled(sample, writing_of(self.reading)) for name, sample in samples.items()}


def _look(samples: Mapping[str, Sample], raw: Raw) -> None:
    for name, sample in samples.items():
        at = raw.records.schema.get_field_index(name)
        if at >= 0 and kinds.is_string(raw.records.schema.field(at).type):
            sample.look(pc.unique(pc.utf8_trim_whitespace(raw.records.column(at))))


def _open(kind: str, writing: Writing) -> bool:
    """Whether a declared type leaves open how its cells are written."""
    if "%" in kind or kind.startswith(("epoch", "json", "bool", "int", "string")):
        return False
    return writing.dates is None if kinds.is_temporal(arrow_type(kind)) else writing.decimal is None

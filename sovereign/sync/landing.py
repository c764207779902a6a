"""The writer: what the readers bring, made durable in order, and where each slice starts again.

1. What a slice brings is held back until the page that carries a position, or the end of the slice; then its responses,
   records, evidence and position go to the draft together. So at any checkpoint the draft holds exactly what the positions
   say: nothing is lost and nothing is doubled after a stop.
   A document is filed as soon as it comes, so at the latest in the checkpoint of the records that name it; one that no record
   names yet is in nobody's way.
2. A checkpoint is made when 131,072 records or 32 MiB, documents among them, are waiting, or 5 seconds after the last one when
   there is something new.
3. Evidence is condensed as it comes, so that a resume point stays small however long the read.

One thread calls it. After a fault of `take` or `checkpoint` the draft must not be checkpointed again: a page may be half in.
It decides nothing about the verdict, and publishes nothing.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import msgspec
import pyarrow as pa

from saas_connectors.connector import Document, Filed, Json, Page
from saas_connectors.request import Request, Response
from sovereign.sync.outcome import Noted, StreamOutcome
from sovereign.sync.reading import Answered, Ended, Filing, Item, Stopped
from sovereign.sync.waiting import Waiting

ROWS: Final = 131_072
BYTES: Final = 32 * 2**20
SECONDS: Final = 5.0
_TOGETHER: Final = 16_384
"""Records of one stream that are given to the draft at once: checking a page costs as much as checking many."""
_KEPT: Final = 200
"""Pieces of evidence of one check that a run keeps for each stream; what comes after is condensed into the last."""

Monotonic: TypeAlias = Callable[[], float]
Archived: TypeAlias = Callable[[Request, Response, Filed | None], None]
"""Keeps a response in the raw archive; of a document that was filed, all but its bytes."""


class SlicePoint(msgspec.Struct):
    """How far a slice is: the position of its last safe page, and its cursors once it is done."""

    position: Json = None
    done: bool = False
    cursors: dict[str, Json] = {}


class ResumePoint(msgspec.Struct):
    """Everything a run needs to go on after a stop, besides its plan and its records."""

    slices: dict[str, SlicePoint] = {}
    evidence: list[Noted] = []
    finished: dict[str, StreamOutcome] = {}
    rows: int = 0
    pages: int = 0
    requests: int = 0
    bytes_in: int = 0
    attempts: int = 0

    @property
    def slices_done(self) -> int:
        """Slices read to their end."""
        return sum(point.done for point in self.slices.values())


class Landed(Protocol):
    """What the writer needs of a draft."""

    def append(self, stream: str, records: pa.Table, removed: pa.Table | None = None) -> None:
        """Add records, and keys of records that are gone."""
        ...

    def checkpoint(self, resume: Json) -> None:
        """Make everything durable, with the resume point."""
        ...


class Filings(Protocol):
    """What the writer needs of the document store."""

    def file(self, document: Document, filed: Filed) -> None:
        """Write a document, unless it is held."""
        ...

    def checkpoint(self) -> None:
        """Make durable all that was filed."""
        ...


class Landing:
    """Appends to a draft and makes checkpoints."""

    def __init__(
        self,
        draft: Landed,
        archive: Archived,
        point: ResumePoint,
        filings: Filings,
        monotonic: Monotonic = time.monotonic,
        *,
        aside: Path | None = None,
    ) -> None:
        """Begin. aside: a folder of the site, where what waits for its position may be put, sealed."""
        self.point = point
        self._draft, self._archive, self._filings, self._monotonic = draft, archive, filings, monotonic
        self.advanced = False
        """Whether this attempt made anything durable."""
        self._aside = aside
        self._held: dict[str, Waiting] = {}
        self._gathered: dict[str, list[pa.Table]] = {}
        self._new = False
        self._filed = 0
        self._rows = self._bytes = 0
        self._last = monotonic()

    def take(self, item: Item) -> None:
        """Receive one item; it reaches the draft with the next position of its slice."""
        what = item.what
        if isinstance(what, Stopped):
            raise TypeError("a fault is not something to land")
        if isinstance(what, Filing):
            self._filings.file(what.document, what.filed)
            self._filed += 1
            self._bytes += what.filed.size
            return
        if isinstance(what, Ended):
            self._land(item.key)
            self.point.slices[item.key] = SlicePoint(done=True, cursors=dict(what.cursors))
            return
        if item.key not in self._held:
            self._held[item.key] = Waiting(self._aside)
        self._held[item.key].add(what)
        if isinstance(what, Page) and what.position is not None:
            self._land(item.key)
            self.point.slices[item.key] = SlicePoint(position=what.position)

    def _land(self, key: str) -> None:
        waited = self._held.pop(key, None)
        for what in waited.take() if waited is not None else ():
            if isinstance(what, Answered):
                self._archive(what.request, what.response, what.filed)
                self.point.requests += 1
                self.point.bytes_in += what.filed.size if what.filed else what.response.size
            elif isinstance(what, Page):
                self._gather(what)
                self.point.rows += what.records.num_rows
                self.point.pages += 1
                self._rows += what.records.num_rows
                self._bytes += what.records.nbytes
            else:
                self.point.evidence = condense(self.point.evidence, [Noted.of(what)])
        self._new = True

    def _gather(self, page: Page) -> None:
        """Put a page with those of its stream that have the same columns."""
        tables = self._gathered.setdefault(page.stream, [])
        if tables and not tables[0].schema.equals(page.records.schema):
            self._hand_over(page.stream)
        tables.append(page.records)
        if page.removed is not None or sum(table.num_rows for table in tables) >= _TOGETHER:
            self._hand_over(page.stream, page.removed)

    def _hand_over(self, stream: str, removed: pa.Table | None = None) -> None:
        tables = self._gathered[stream]
        records = tables[0] if len(tables) == 1 else pa.concat_tables(tables)
        tables.clear()
        self._draft.append(stream, records, removed)

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        if not self._new and not self._filed:
            return False
        return self._rows >= ROWS or self._bytes >= BYTES or self._monotonic() - self._last >= SECONDS

    def checkpoint(self, *, even_unchanged: bool = False) -> None:
        """Make what has landed durable; what is still held back will be asked for again."""
        if self._filed:
            self._filings.checkpoint()  # before the records that name them
        if not self._new and not even_unchanged:
            self._settle()
            return
        for stream, tables in self._gathered.items():
            if tables:
                self._hand_over(stream)
        self._draft.checkpoint(msgspec.to_builtins(self.point))
        self.advanced = self.advanced or self._new
        self._new = False
        self._settle()

    def _settle(self) -> None:
        self._filed = self._rows = self._bytes = 0
        self._last = self._monotonic()


def condense(held: Iterable[Noted], more: Iterable[Noted]) -> list[Noted]:
    """Add evidence, keeping of the vendor's counts the smallest, the largest and the last, and nothing twice."""
    kept = list(held)
    for note in more:
        same = [each for each in kept if each.stream == note.stream and each.check == note.check]
        if note.check == "vendor_count" and "count" in note.detail:
            counted = [each for each in same if "count" in each.detail]
            others = [each for each in kept if each not in counted]
            ordered = sorted([*counted, note], key=_count)
            ends = [ordered[0], ordered[-1]] if counted else []
            kept = [*others, *(each for each in ends if each != note), note]
        elif note not in same:
            if len(same) >= _KEPT:
                kept.remove(same[-1])
            kept.append(note)
    return kept


def _count(note: Noted) -> int:
    return int(note.detail["count"])

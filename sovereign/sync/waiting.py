"""What a slice brought since its last position: it waits, whole, until it may land.

Pages beyond `HELD` bytes wait on the disk, sealed in a file without a name (`vault.spool`): an export whose last record alone
says that it is whole is never held in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from saas_connectors.connector import Evidence, Page, Withdrawn
from sovereign.sync.reading import Answered
from vault.spool import Spool

HELD: Final = 8 * 2**20
"""Bytes of records that wait in memory."""


@dataclass(frozen=True, slots=True)
class _Away:
    """A page whose records wait on the disk, in so many bytes."""

    stream: str
    size: int


@dataclass(slots=True)
class Waiting:
    """The items of one slice, in their order. folder: where records may wait; None keeps them in memory."""

    folder: Path | None
    _items: list[Answered | Page | Evidence | _Away] = field(default_factory=list)
    _bytes: int = 0
    _spool: Spool | None = None

    def add(self, what: Answered | Page | Withdrawn | Evidence) -> None:
        """Have an item wait; errors: NotSpooled."""
        if isinstance(what, Withdrawn):
            self._items = [each for each in self._items if not isinstance(each, Page | _Away)]
            self._bytes, self._spool = 0, None
            return
        if isinstance(what, Page) and what.position is None and what.removed is None and self.folder is not None:
            self._bytes += what.records.nbytes
            if self._bytes > HELD:
                self._items.append(self._away(what))
                return
        self._items.append(what)

    def take(self) -> Iterator[Answered | Page | Evidence]:
        """Give the items in their order, each once; errors: Corrupt."""
        items, spooled = self._items, self._spool.close() if self._spool is not None else None
        reader = spooled.open() if spooled is not None else None
        self._items, self._bytes, self._spool = [], 0, None
        for each in items:
            if isinstance(each, _Away) and reader is not None:
                yield Page(each.stream, pa.ipc.open_stream(reader.read(each.size)).read_all())
            elif not isinstance(each, _Away):
                yield each

    def _away(self, page: Page) -> _Away:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, page.records.schema) as stream:
            stream.write_table(page.records)
        written = memoryview(sink.getvalue())
        self._spool = self._spool or Spool(self.folder)
        self._spool.write(written)
        return _Away(page.stream, len(written))

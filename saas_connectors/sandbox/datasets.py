"""What the sandbox serves: records that can change between two pulls, and as many bench rows as asked for.

A dataset gives any stretch of its records already written as JSON, so that serving a page costs no encoding.
"""

import gzip
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import orjson

DATA: Final = Path(__file__).parent / "data"
Row = dict[str, Any]


class Dataset(Protocol):
    """Records in a stable order."""

    def total(self, since: str | None = None, until: str | None = None, /) -> int:
        """Count the records whose cursor is in [since, until)."""
        ...

    def cut(self, start: int, stop: int, since: str | None = None, until: str | None = None, /) -> bytes:
        """Give the records from `start` to `stop`, as JSON objects joined by commas."""
        ...

    def rows(self, start: int, stop: int) -> Sequence[Row]:
        """Give the same records, decoded."""
        ...


@dataclass
class Table:
    """Records in memory, named by `key`, with maybe a `cursor` field; `put` and `remove` change them, from any thread."""

    key: tuple[str, ...]
    cursor: str | None = None
    _rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    _written: list[bytes] = field(default_factory=list)
    _cursors: list[str] = field(default_factory=list)
    _stale: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], key: Sequence[str], cursor: str | None = None) -> "Table":
        """Make a table of records."""
        table = cls(tuple(key), cursor)
        table.put(*rows)
        return table

    def put(self, *rows: Mapping[str, Any]) -> None:
        """Add records, or replace those of the same key where they stand."""
        with self._lock:
            for row in rows:
                self._rows[tuple(row[name] for name in self.key)] = dict(row)
            self._stale = True

    def remove(self, *keys: Sequence[Any]) -> None:
        """Delete records by key."""
        with self._lock:
            for key in keys:
                self._rows.pop(tuple(key), None)
            self._stale = True

    def matching(self, fields: Mapping[str, str]) -> list[Row]:
        """Give the records whose fields are as said, as text."""
        with self._lock:
            return [
                dict(row) for row in self._rows.values() if all(str(row.get(name)) == value for name, value in fields.items())
            ]

    def find(self, *key: str) -> Row | None:
        """Give the record of a key, written as text."""
        found = self.matching(dict(zip(self.key, key, strict=True))) if len(key) == len(self.key) else []
        return found[0] if found else None

    def _all(self) -> list[bytes]:
        """The records, written: again only when one changed."""
        with self._lock:
            if self._stale:
                rows = self._rows.values()
                self._written = [orjson.dumps(row) for row in rows]
                self._cursors = [str(row.get(self.cursor)) for row in rows] if self.cursor else []
                self._stale = False
            return self._written

    def _within(self, since: str | None, until: str | None) -> list[bytes]:
        written, cursors = self._all(), self._cursors
        if (since is None and until is None) or not cursors:
            return written
        kept = zip(written, cursors, strict=True)
        return [row for row, at in kept if (since is None or at >= since) and (until is None or at < until)]

    def total(self, since: str | None = None, until: str | None = None) -> int:
        """Count records."""
        return len(self._within(since, until))

    def cut(self, start: int, stop: int, since: str | None = None, until: str | None = None) -> bytes:
        """Give a stretch of records, written."""
        return b",".join(self._within(since, until)[start:stop])

    def rows(self, start: int, stop: int) -> Sequence[Row]:
        """Give a stretch of records."""
        return [orjson.loads(row) for row in self._all()[start:stop]]


def communes() -> Table:
    """The communes of France: 37,590 records, named by `code` and `type`."""
    rows = msgspec.json.decode(gzip.decompress((DATA / "communes" / "communes.json.gz").read_bytes()))
    return Table.of(rows, ("code", "type"))


_MARK: Final = b"@@@@@@@"
_FIRST: Final = 1_000_000
_BLOCK: Final = 1000
_TOWNS: Final = ("Saint-Étienne", "Roanne", "Montbrison", "Firminy", "Saint-Chamond", "Rive-de-Gier", "Feurs", "Andrézieux")


@lru_cache(maxsize=128)
def _block(revision: int) -> tuple[bytes, ...]:
    """A thousand rows whose identifiers wait for their first seven digits; one in a hundred changes at each revision."""
    rows = []
    for n in range(_BLOCK):
        changed = n % 100 if 1 <= n % 100 <= revision else 0
        mixed = (n * 2_654_435_761) % 1_000_003
        town = _TOWNS[n % len(_TOWNS)]
        rows.append(
            f'{{"id":@@@@@@@{n:03},"reference":"REF-@@@@@@@-{n:03}","town":"{town}","zip":"42{n % 1000:03}",'
            f'"amount":{mixed % 90_000}.{mixed % 89 + 10},"quantity":{mixed % 97},"active":{"true" if n % 3 else "false"},'
            f'"status":"{("open", "closed", "held")[mixed % 3]}{changed or ""}",'
            f'"updated_at":"2026-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00Z",'
            f'"email":"agent.@@@@@@@{n:03}@example.org","note":"dossier {mixed} - {n % 41}","ratio":0.{n % 9}5}}'.encode()
        )
    return tuple(rows)


@lru_cache(maxsize=128)
def _page(revision: int) -> bytes:
    return b",".join(_block(revision))


@dataclass
class Bench:
    """Rows of twelve columns, made on demand: `size` of them. One in a hundred changes at each `revision` (0 to 99)."""

    size: int
    revision: int = 0
    key: tuple[str, ...] = ("id",)

    def total(self, _since: str | None = None, _until: str | None = None) -> int:
        """Count records."""
        return self.size

    def cut(self, start: int, stop: int, _since: str | None = None, _until: str | None = None) -> bytes:
        """Give a stretch of records, written."""
        stop = min(stop, self.size)
        blocks = []
        while start < stop:
            number, first = divmod(start, _BLOCK)
            last = min(_BLOCK, first + stop - start)
            whole = _page(self.revision) if last - first == _BLOCK else b",".join(_block(self.revision)[first:last])
            blocks.append(whole.replace(_MARK, str(_FIRST + number).encode()))
            start += last - first
        return b",".join(blocks)

    def rows(self, start: int, stop: int) -> Sequence[Row]:
        """Give a stretch of records."""
        rows: list[Row] = orjson.loads(b"[" + self.cut(start, stop) + b"]")
        return rows

"""A private place to compare more rows than memory holds.

1. It is a DuckDB of its own, in a folder of its own (0700), bounded in memory and threads. Small comparisons stay in memory;
   what does not fit goes to an encrypted database file and an encrypted spill, under keys that exist only in this process. A
   crash leaves nothing readable.
2. Rows enter as Arrow and are known by number: columns are named by position, so no vendor's name ever meets SQL.
3. It is removed when closed; what a crash left is swept by the next one.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from snapshots import mart
from snapshots.durable import remove_tree
from snapshots.parts import ROWS
from vault import files

MEMORY = 64
CEILING = 1024
"""MiB: the memory a comparison starts with, and what it may grow to when it cannot do with less."""

SMALL = 100_000
"""Up to so many rows, all stays in memory and nothing is written: the disk would cost more than the comparison."""

NARROW = 400_000
"""The same, of rows that are only a key, a hash and a place: 30 to 60 MB."""

THREADS = 2

ALONE = 20_000
"""Up to so many rows one thread does it all: to share them out costs more."""

_private = Lock()


class Workspace:
    """An encrypted DuckDB that lives as long as one comparison."""

    def __init__(self, folder: Path, rows: int, *, few: int = SMALL, memory: int = MEMORY, threads: int = THREADS) -> None:
        """`folder`: where workspaces go; `rows`: how many are to be compared, at most; up to `few`, nothing is written."""
        self._memory = memory
        self._waiting: dict[str, list[pa.Table]] = {}
        with files.locked(files.folder(folder) / ".sweep"):  # none is swept between its making and its locking
            _sweep(folder)
            self.folder = files.folder(folder / secrets.token_hex(8))
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.sql = _in_memory() if rows <= few else mart.connect()
        for setting in (
            f"threads={threads if rows > ALONE else 1}",
            f"memory_limit='{memory}MiB'",
            "preserve_insertion_order=false",
            "allocator_flush_threshold='8MB'",
            "allocator_bulk_deallocation_flush_threshold='8MB'",
            "TimeZone='UTC'",
        ):
            self.sql.execute(f"SET {setting}")
        if rows <= few:
            self.sql.execute("SET temp_directory=''; ATTACH ':memory:' AS rows")
        else:
            place, key = mart.literal(str(self.folder / "rows")), secrets.token_hex(32)
            self.sql.execute(f"SET temp_directory={mart.literal(str(self.folder / 'spill'))}")
            # without a write-ahead log: nothing here outlives this process
            with _private:  # DuckDB makes files by the process's mask
                mask = os.umask(0o077)
                try:
                    self.sql.execute(
                        f"ATTACH {place} AS rows (ENCRYPTION_KEY '{key}', ENCRYPTION_CIPHER 'GCM', RECOVERY_MODE NO_WAL_WRITES)"
                    )
                finally:
                    os.umask(mask)
        self.sql.execute("USE rows")

    def insert(self, table: str, query: str, rows: pa.Table) -> None:
        """Insert what a query gives; the query reads `rows` under the name `chunk`."""
        self.sql.register("chunk", rows)
        try:
            self.run(f"INSERT INTO {table} {query}")
        finally:
            self.sql.unregister("chunk")
            pa.default_memory_pool().release_unused()

    def gather(self, table: str, query: str, rows: pa.Table) -> None:
        """Insert as `insert` does, once enough rows are there for the engine to compress; `settle` ends it."""
        waiting = self._waiting.setdefault(table, [])
        self.sql.register("chunk", rows)
        found = self.table(query)
        waiting.append(found.rename_columns([f"c{number}" for number in range(found.num_columns)]))
        self.sql.unregister("chunk")
        if sum(each.num_rows for each in waiting) >= ROWS:
            self.settle(table)

    def settle(self, table: str) -> None:
        """Insert the rows that wait."""
        waiting = self._waiting.pop(table, None)
        if waiting:
            self.insert(table, "FROM chunk", pa.concat_tables(waiting))

    def run(self, query: str, parameters: Sequence[object] = ()) -> duckdb.DuckDBPyConnection:
        """Run one statement, with twice the memory as long as it asks for more than it has, up to `CEILING`."""
        while True:
            try:
                return self.sql.execute(query, list(parameters))
            except duckdb.OutOfMemoryException:
                if self._memory >= CEILING:
                    raise
                self._memory *= 2
                self.sql.execute(f"SET memory_limit='{self._memory}MiB'")

    def table(self, query: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Give the result of a query that is known to be small."""
        return self.run(query, parameters).to_arrow_table()

    def number(self, query: str) -> int:
        """Give the one number that a query gives."""
        row = self.run(query).fetchone()
        return int(row[0] or 0) if row else 0

    def close(self) -> None:
        """Forget everything."""
        self.sql.close()
        remove_tree(self.folder)
        with suppress(OSError):
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_memory() -> duckdb.DuckDBPyConnection:
    """Give an instance without what encrypts files: it writes none."""
    config = ("autoinstall_known_extensions", "autoload_known_extensions", "python_enable_replacements")
    return duckdb.connect(":memory:", config=dict.fromkeys(config, "false"))


def _sweep(folder: Path) -> None:
    """Remove the workspaces of processes that are gone."""
    for each in folder.iterdir():
        with suppress(OSError):
            handle = os.open(each / "lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(each)
            finally:
                os.close(handle)


def together(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join small tables of one schema into pieces of at least so many rows: a statement costs the same for few as for many."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(each.num_rows for each in waiting) >= rows:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


_COUNTING = pa.array(range(ROWS), pa.int64())


def counting(rows: int, start: int = 0) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Give the whole numbers from `start`, one a row."""
    numbers = _COUNTING.slice(0, rows) if rows <= ROWS else pa.array(range(rows), pa.int64())
    return pc.add(numbers, pa.scalar(start, pa.int64())) if start else numbers

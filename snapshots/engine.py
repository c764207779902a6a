"""A session: one person's questions, on the copies of her clearance, in a DuckDB that can reach nothing else.

1. One DuckDB instance a session: in a shared one, a session could read the others' questions. It holds the keys of its own
   marts and no other; a connection is a schema, a stream is a table.
2. Two fences: `snapshots.statement` judges the question before it runs, and the instance has no external access, no extension
   to load, no Python variable to read, and a locked configuration. Each alone keeps out the network and others' files.
3. What does not fit in memory spills encrypted, under a key that lives in memory alone, into a private folder which leaves with
   the session; folders of sessions that died are swept when the next one opens.
4. Time counts while the engine works, not while the reader of the result thinks. Memory, threads, spill and time are bounded.
5. A session without marts, over a few rows that it was given, spills nothing at first: what encrypts a spill takes a tenth of a
   second to load. A question that then asks for more memory than there is begins again in an instance that spills.
6. What DuckDB says is turned into faults of ours: they keep its words about the question, and none about the data, the machine
   or the keys.

It does not decide who may read what (its caller gives it the marts), and it does not log (its caller enters the question in the
audit log).
"""

import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from snapshots.mart import DATA, Mart, connect, literal, open_mart, quote
from snapshots.refusals import Cancelled, MartUnreadable, QueryFault, TimedOut, TooLarge, translated
from snapshots.statement import Statement, parse, referenced_tables
from snapshots.watchdog import Budget, Watchdog
from vault import files

__all__ = ["Limits", "Result", "Session", "referenced_tables", "sweep"]

MIB = 1 << 20
CATALOG = "local-copy"  # no connection can bear this name, so no question is ambiguous
BATCH_ROWS = 65_536
_FEW = 16
"""Rows given are few up to a sixteenth of a session's memory."""

Parameters = Sequence[object] | Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may use: memory and spill in bytes, threads, seconds of work a question."""

    memory: int = 512 * MIB
    spill: int = 8192 * MIB
    threads: int = 2
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Result:
    """The answer: `reader` streams Arrow batches of at most 65,536 rows, once; `columns` names them in order."""

    reader: pa.RecordBatchReader
    columns: tuple[str, ...]


class Session:
    """A locked DuckDB instance over some marts.

    Arguments: marts: what may be read, by (schema, table); given: tables in memory that may be read as well, named alike, with
    no schema for a bare name; spill: the folder in which sessions make their own private ones; clearance: named in refusals;
    timezone: an IANA name, in which TIMESTAMPTZ are shown and cut into days. Raises MartUnreadable.
    """

    def __init__(
        self,
        marts: Mapping[tuple[str, str], Mart],
        *,
        spill: Path,
        clearance: str = "internal",
        limits: Limits = Limits(),
        timezone: str = "Europe/Paris",
        given: Mapping[tuple[str, str], pa.Table] = MappingProxyType({}),
    ) -> None:
        self._clearance = clearance
        self._names = ", ".join(sorted(mart.name for mart in marts.values()))
        self._limits = limits
        self._working_one = threading.Lock()  # the engine works for one thread at a time
        self._watchdog = Watchdog(self._expire)
        self._serial = 0
        self._stopped: str | None = None
        self._folder = _private_folder(spill)
        self._held = (marts, given, timezone)
        small = sum(rows.nbytes for rows in given.values()) * _FEW <= limits.memory
        try:
            self._open(spills=bool(marts) or not small)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def execute(self, sql: str, parameters: Parameters = None) -> Result:
        """Ask one question; the result of the previous one ends.

        Arguments: sql: one statement, at most 2^20 characters; parameters: values by position or by name, always bound.
        Raises BadQuery, NotAllowed, UnknownName, BadParameters, BadValue, TimedOut, Cancelled, TooLarge, MartUnreadable; the
        last five may also come while the result is read.
        """
        statement = parse(sql)
        text, values = _listing(statement) if statement.listing is not None else (sql, parameters)
        left = Budget(self._limits.timeout)
        self._serial = serial = self._serial + 1
        with self._working(left):
            reader = self._ask(text, values)
        schema = reader.schema
        return Result(pa.RecordBatchReader.from_batches(schema, self._batches(reader, left, serial)), tuple(schema.names))

    def cancel(self) -> None:
        """Stop the question being worked on, or whose result is being read, from any thread."""
        self._stopped = "cancelled"
        self._serial += 1
        self._interrupt()

    def close(self) -> None:
        """End the session: its instance, its keys in memory, its spill."""
        handle, folder = self._folder
        if handle < 0:
            return
        self._folder = (-1, folder)
        if hasattr(self, "_duckdb"):
            self.cancel()
            while not self._working_one.acquire(timeout=0.1):
                self._interrupt()  # the other thread may have been about to start
            self._working_one.release()
            self._watchdog.close()
            self._duckdb.close()
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)

    def _open(self, *, spills: bool) -> None:
        """Make the instance (law 5)."""
        marts, given, timezone = self._held
        self._duckdb, self._spills = connect(writes=spills), spills
        self._furnish(marts)
        self._give(given)
        self._lock_down(timezone)

    def _ask(self, text: str, values: Parameters) -> pa.RecordBatchReader:
        try:
            return self._duckdb.execute(text, values).to_arrow_reader(BATCH_ROWS)
        except duckdb.OutOfMemoryException:
            if self._spills:
                raise
        before = self._duckdb
        self._open(spills=True)
        before.close()
        return self._duckdb.execute(text, values).to_arrow_reader(BATCH_ROWS)

    def _furnish(self, marts: Mapping[tuple[str, str], Mart]) -> None:
        run = self._duckdb.execute
        run(f"ATTACH ':memory:' AS {quote(CATALOG)}")
        run(f"USE {quote(CATALOG)}")
        run("DETACH memory")  # `memory.t` would otherwise be ambiguous for a connection named memory
        for number, ((schema, table), mart) in enumerate(sorted(marts.items())):
            alias, view = f"mart-{number}", f"{quote(CATALOG)}.{quote(schema)}.{quote(table)}"
            columns = open_mart(self._duckdb, mart, alias)
            shown = ", ".join(f"{quote(each.stored)} AS {quote(each.shown)}" for each in columns if not each.hidden)
            run(f"CREATE SCHEMA IF NOT EXISTS {quote(CATALOG)}.{quote(schema)}")
            run(f"CREATE VIEW {view} AS SELECT {shown} FROM {quote(alias)}.main.{DATA}")  # noqa: S608 - names are quoted
            for column in columns:
                if not column.hidden:
                    run(f"COMMENT ON COLUMN {view}.{quote(column.shown)} IS {literal(column.class_name)}")

    def _give(self, given: Mapping[tuple[str, str], pa.Table]) -> None:
        for (schema, table), rows in given.items():
            place = f"{quote(CATALOG)}.{quote(schema or 'main')}"
            self._duckdb.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")
            self._duckdb.register("given", rows)
            self._duckdb.execute(f"CREATE TABLE {place}.{quote(table)} AS SELECT * FROM given")  # noqa: S608 - names are quoted
            self._duckdb.unregister("given")

    def _lock_down(self, timezone: str) -> None:
        for setting in (
            f"temp_directory={literal(str(self._folder[1]) if self._spills else '')}",
            f"max_temp_directory_size='{self._limits.spill}B'",
            f"memory_limit='{self._limits.memory}B'",
            f"threads={self._limits.threads}",
            f"TimeZone={literal(timezone)}",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            self._duckdb.execute(f"SET {setting}")

    def _batches(self, reader: pa.RecordBatchReader, left: Budget, serial: int) -> Iterator[pa.RecordBatch]:
        while True:
            if serial != self._serial:
                raise Cancelled
            with self._working(left):
                batch = next(reader, None)
            if batch is None:
                return
            yield batch

    @contextmanager
    def _working(self, left: Budget) -> Iterator[None]:
        """Let the engine work for what is left of the question's time, and translate what it raises."""
        with self._working_one, self._watchdog.spending(left):
            self._stopped = None
            try:
                yield
            except (duckdb.Error, OSError, pa.ArrowException) as error:
                raise self._translated(str(error)) from None  # its text may hold values of the data

    def _expire(self) -> None:
        self._stopped = "expired"
        self._interrupt()

    def _interrupt(self) -> None:
        with suppress(duckdb.Error):  # it was left a moment ago for one that spills
            self._duckdb.interrupt()

    def _translated(self, text: str) -> QueryFault:
        if text.startswith("INTERRUPT"):
            return TimedOut(seconds=f"{self._limits.timeout:g}") if self._stopped == "expired" else Cancelled()
        if text.startswith("Out of Memory"):
            return TooLarge(memory=self._limits.memory // MIB, spill=self._limits.spill // MIB)
        if "AES tag" in text or text.startswith(("IO Error", "INTERNAL", "FATAL", "Serialization", "Corrupt")):
            return MartUnreadable(dataset=self._names)
        return translated(text, self._clearance)


def sweep(spill: Path) -> int:
    """Remove the spill that sessions left when they died; gives how many there were."""
    swept = 0
    for folder in spill.glob("session-*"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its session lives
                shutil.rmtree(folder)
                swept += 1
            finally:
                os.close(handle)
    return swept


def _private_folder(spill: Path) -> tuple[int, Path]:
    """Make a folder of our own, held by a lock that dies with the process."""
    files.folder(spill)
    sweep(spill)
    while True:
        folder = spill / f"session-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.is_dir():  # another session's sweep may have come between the two lines above
                return handle, folder
        os.close(handle)


def _listing(statement: Statement) -> tuple[str, Parameters]:
    """SHOW TABLES, answered with what a session holds: one line a stream."""
    return _LISTING, [CATALOG, statement.listing]


_LISTING = """
SELECT schema_name AS connection, table_name AS stream, list(column_name ORDER BY column_index) AS columns
FROM duckdb_columns() WHERE database_name = $1 AND ($2 = '' OR schema_name = $2) GROUP BY ALL ORDER BY ALL
"""

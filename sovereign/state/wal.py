"""A connection that commits without waiting for the disk, and the flush that makes its commits durable.

1. With `synchronous=NORMAL` SQLite writes a commit to the write-ahead log and does not flush it (sqlite.org/pragma.html);
   `flush` then makes the call that `FULL` would have made, `fdatasync` of that file, for all commits before it.
2. A commit that was not flushed may be lost when the machine stops, never torn, and never without those after it: whoever is
   told only after `flush` loses nothing.
3. The log is emptied into the database here, between two transactions, and not in a commit: nobody waits for it on the loop.
4. It waits for no other writer: `begin` raises StateBusy at once.
5. A log that is no longer under its name is not flushed but refused: what it takes, nobody would find again.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from sovereign.state.errors import StateUnsure
from sovereign.state.statements import direct
from sovereign.state.store import State, settings
from sovereign.state.trouble import told

LONG: Final = 8 * 2**20
"""How long the write-ahead log grows before it is emptied, in bytes."""
_PRAGMAS: Final = ("synchronous=NORMAL", "busy_timeout=0", "wal_autocheckpoint=0")


class Wal:
    """The write side of a state, without its flushes. For one thread, but for `flush`."""

    def __init__(self, state: State) -> None:
        """Open it; errors: StateError."""
        self._state = state
        self.connection = state.engine.connect().execution_options(writes=True)
        self.connection.detach()  # its settings are its own: it never goes back to the others
        with told(state.path, 0):
            for pragma in _PRAGMAS:
                direct(self.connection).execute(f"PRAGMA {pragma}")
        self._file: int | None = None
        self._allowed = LONG

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction, committed when the block ends; not durable before `flush`. Errors: StateError."""
        with told(self._state.path, 0):
            try:
                with self.connection.begin():
                    yield self.connection
            except BaseException:
                # SQLAlchemy does not roll back after a commit that failed, and the database may still hold it open.
                direct(self.connection).rollback()
                raise

    def flush(self) -> None:
        """Have the disk keep every commit so far; errors: StateUnsure when it does not say that it does."""
        path = self._state.path.with_name(self._state.path.name + "-wal")
        try:
            if self._file is None:
                self._file = _named(path)
            os.fdatasync(self._file)
            found = os.fstat(self._file)
        except OSError as error:
            raise StateUnsure(path=path.name, reason=errno.errorcode.get(error.errno or 0, "?")) from None
        if not found.st_nlink:
            raise StateUnsure(path=path.name, reason="ENOENT")
        if found.st_size > self._allowed:
            self._empty()
            # A long reader may keep it: the next try is for when it has grown as much again.
            self._allowed = os.fstat(self._file).st_size + LONG

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _empty(self) -> None:
        """Move the log into the database, as far as readers allow; it does not matter when it cannot be done now."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._state.path, timeout=0, isolation_level=None)) as own:
            settings(own)
            own.execute("PRAGMA busy_timeout=0")
            own.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def keep(state: State) -> None:
    """Have the disk keep all that was committed so far, by whomever; errors: StateUnsure."""
    path = state.path.with_name(state.path.name + "-wal")
    try:
        file = _named(path)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise StateUnsure(path=path.name, reason=errno.errorcode.get(error.errno or 0, "?")) from None


def _named(path: Path) -> int:
    """Open a log for its flushes, its name in the folder flushed first: SQLite does so only on the connection that made it."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

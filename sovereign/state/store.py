"""The database itself: opened, migrated, and lent as transactions.

1. The file is 0600 from its first byte; its WAL takes the same mode.
2. `begin` is a write transaction that starts as one (BEGIN IMMEDIATE): it never fails half-way because another writer came
   first.
3. An error of the database quotes no value: it may end in a log. What the disk, the file or another process did is a fault of
   its own (`trouble`), at opening and ever after; the transaction is then undone, and what was committed stays.
4. What was given to `before_commit` runs last in each write transaction, whoever began it; it raises, and all is undone.
5. Deleted bytes are overwritten (secure_delete); `scrub` also empties the WAL, where old pages wait.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from sovereign.clock import Clock, now
from sovereign.state.errors import StateBusy, StateDamaged
from sovereign.state.migrate import migrate
from sovereign.state.trouble import refused, told

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "trusted_schema=OFF")
_BUSY = 30.0
"""How long a writer waits for another, in seconds."""


class State:
    """A site's `state.db`. Safe to use from several threads and several processes."""

    def __init__(self, path: Path, clock: Clock = now, *, migrations: Traversable | None = None) -> None:
        """Open the database, made and migrated as needed; errors: StateError."""
        self.path = path
        self.patience = _BUSY
        """How long a writer waits for another, in seconds."""
        try:
            _made(path)
        except OSError as error:
            raise refused(error, path) from None
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY}, hide_parameters=True)
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        self._writer = self.engine.execution_options(writes=True)
        try:
            with self.begin() as connection:
                migrate(connection, migrations or files("sovereign.state") / "migrations", clock)
        except (DBAPIError, sqlite3.Error) as error:
            self.close()
            raise StateDamaged(path=path.name, reason=type(error).__name__) from None
        except BaseException:
            self.close()
            raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed and durable when the block ends, undone when it raises; errors: StateError."""
        with told(self.path, _BUSY), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; it blocks no writer."""
        with told(self.path, _BUSY), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def within(self, connection: Connection | None) -> Iterator[Connection]:
        """The transaction given, or one of its own."""
        if connection is not None:
            yield connection
        else:
            with self.begin() as own:
                yield own

    def before_commit(self, act: Callable[[Connection], None]) -> None:
        """Have `act` called with the connection of each write transaction, just before it is committed."""
        event.listen(self.engine, "commit", act)

    def scrub(self) -> None:
        """Leave no deleted byte behind in the write-ahead log; errors: StateBusy when a long reader still needs it."""
        with told(self.path, _BUSY), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            busy, *_ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
        if busy:
            raise StateBusy(path=self.path.name, seconds=_BUSY)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _made(path: Path) -> None:
    """Make the file when there is none; errors: OSError when it cannot be written.

    One that is there is never opened here: to close any descriptor of it lets go of all locks that the process has on it
    (sqlite.org/howtocorrupt, section 2.2), and another process could then take the log away from under us.
    """
    if not path.is_file():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK):
        raise OSError(errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES, "")


def settings(connection: sqlite3.Connection) -> None:
    """Set up a connection of SQLite's as all of a state are."""
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # Transactions are ours alone (see `_begin`): the driver must not open any by itself.
    connection.isolation_level = None
    settings(connection)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

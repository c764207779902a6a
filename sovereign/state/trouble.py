"""What the database's own errors mean to a person: each becomes one fault of the state, chosen by SQLite's result code.

1. No message of the database is repeated: it may quote a statement. Only the result code's name is shown (sqlite.org/rescode).
2. An error that is not about the file, the disk or another process (a constraint, a wrong statement) is a defect of ours, and
   goes on as it is.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from sovereign.state.errors import StateBusy, StateDamaged, StateError, StateFull, StateReadOnly, StateUnreadable

_SCARCE = 1 << 16
"""Bytes left under which an input or output error is taken for a full disk: less than the WAL's index takes to grow."""


@contextmanager
def told(path: Path, seconds: float) -> Iterator[None]:
    """Turn the database's errors into faults for the length of a block. seconds: how long a writer waits for another."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        found = fault(error, path, seconds)
        if found is None:
            raise
        raise found from None


def fault(error: DBAPIError | sqlite3.Error, path: Path, seconds: float) -> StateError | None:
    """Give the fault that `error` is, None when it is a defect of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = str(getattr(cause, "sqlite_errorname", ""))
    family = "_".join(reason.split("_")[:2])
    if family in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return StateBusy(path=path.name, seconds=seconds)
    if family == "SQLITE_FULL" or (family in {"SQLITE_IOERR", "SQLITE_CANTOPEN"} and _is_full(path)):
        return StateFull(path=path.name)
    if family in {"SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN", "SQLITE_AUTH"}:
        return StateReadOnly(path=path.name, reason=reason)
    if family in {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"}:
        return StateDamaged(path=path.name, reason=reason)
    if family in {"SQLITE_IOERR", "SQLITE_PROTOCOL", "SQLITE_NOLFS"}:
        return StateUnreadable(path=path.name, reason=reason)
    return None


def refused(error: OSError, path: Path) -> StateError:
    """Give the fault of a file that the system does not let us make or open."""
    reason = errno.errorcode.get(error.errno or 0, "?")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StateFull(path=path.name)
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return StateReadOnly(path=path.name, reason=reason)
    if error.errno in {errno.EISDIR, errno.ENXIO, errno.ELOOP, errno.ENOENT, errno.ENOTDIR}:
        return StateDamaged(path=path.name, reason=reason)
    return StateUnreadable(path=path.name, reason=reason)


def _is_full(path: Path) -> bool:
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    # A file system that counts no inodes says 0 of 0.
    return room.f_bavail * room.f_frsize < _SCARCE or (room.f_files > 0 and room.f_favail == 0)

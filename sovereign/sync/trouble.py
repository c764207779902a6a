"""What stopped a run, said as a fault: the disk's errors, the libraries', and our own defects.

No message of a library is repeated: it may quote a record, a path or a statement.
"""

import errno
from collections.abc import Iterator

from sovereign.state import StateFull
from sovereign.sync.errors import Defect, DiskFull, WriteFailed
from vault.errors import Fault

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# SQLite and DuckDB, and Arrow's own layer, keep the system's words and lose its number.
_WORDS = ("no space left on device", "disk is full", "disk quota exceeded", "file too large", "disk full")


def explained(error: BaseException, run: str) -> Fault:
    """Give the fault that says what `error` means to a person."""
    if any(_is_full(each) for each in _chain(error)):
        return DiskFull(run=run)
    if isinstance(error, Fault):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return WriteFailed(run=run, error=errno.errorcode.get(error.errno, str(error.errno)))
    trace, where = error.__traceback__, "?"
    while trace is not None:
        where = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return Defect(run=run, error=type(error).__name__, where=where)


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if isinstance(error, Fault):
        return isinstance(error, StateFull)
    said = str(error).lower()
    return any(words in said for words in _WORDS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(16):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__

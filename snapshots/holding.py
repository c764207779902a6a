"""Who holds a draft: one process at a time, by a lock on a file of its folder that lasts until the folder is gone.

Looking whether a draft is held takes the lock for an instant, so holding it waits out such instants.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snapshots.errors import DraftBusy

_PATIENCE = 1.0
"""Seconds: longer than anyone who only looks, or who rewraps one key file, keeps the lock."""


def hold(folder: Path, run: str) -> int:
    """Take a draft's lock and give its handle; closing it lets go. Raises DraftBusy."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(handle)
                raise DraftBusy(run=run) from None
            time.sleep(0.01)
        else:
            return handle


@contextmanager
def unheld(folder: Path) -> Iterator[bool]:
    """Keep a draft from being held meanwhile; gives whether nobody held it. A folder that is gone is not held."""
    try:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(handle)


def held(folder: Path) -> bool:
    """Whether a process holds the draft in this folder."""
    with unheld(folder) as free:
        return not free

"""Files of the vault: whole or absent, never half written, readable by their owner alone.

A write goes to a temporary file of the same folder, is flushed to the disk, takes its name by rename, and the folder is
flushed: after a crash a reader finds the old bytes or the new ones. Reads are bounded. Files are 0600, folders 0700.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from vault.errors import AlreadyThere, Corrupt


def folder(path: Path) -> Path:
    """Make a folder, and those above it, for its owner alone; return it."""
    for each in (*reversed(path.parents), path):  # mkdir(parents=True) would leave those above open to all
        if not each.is_dir():
            each.mkdir(mode=0o700, exist_ok=True)
    return path


def write(path: Path, data: bytes, *, new: bool = False) -> None:
    """Put `data` at `path` in one step. With `new`, raise `AlreadyThere` instead of replacing a file."""
    folder(path.parent)
    scratch = path.parent / f".{path.name}.{secrets.token_hex(6)}"
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(scratch, path)
        else:
            scratch.replace(path)
    except FileExistsError:
        raise AlreadyThere(what=path.name) from None
    finally:
        with suppress(FileNotFoundError):
            scratch.unlink()
    flush(path.parent)


def remove(path: Path) -> None:
    """Remove a file and make its absence durable."""
    path.unlink()
    flush(path.parent)


def read(path: Path, *, limit: int) -> bytes:
    """Give the bytes of a file; more than `limit` bytes is `Corrupt`."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Corrupt(what=path.name)
    return data


def flush(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the writers' lock at `path`: one holder at a time among all threads and processes of the machine."""
    folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def busy(path: Path) -> bool:
    """Say whether someone holds the writers' lock at `path` now, without waiting."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a private folder that is absent or empty, to be filled: whole, or on an error as it was."""
    there = path.is_dir()
    folder(path)
    try:
        yield path
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        if there:
            folder(path)
        raise

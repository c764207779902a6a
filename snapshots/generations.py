"""The files of a mart: generations, and the pointer that says which one counts and what opens it.

    marts/<connection>/<stream>/<clearance>.json                  the pointer to the current generation
                               /<clearance>@<manifest>.json       the pointer to the mart of an older snapshot
                               /<random>.mart                     generations (see `snapshots.mart`)
                               /.<random>.building                one being made; after a crash, encrypted rubbish

A pointer is replaced in one step and holds the file's name together with its wrapped key, so file and key always agree. It
names no column. One that is absent, cut, or of another format is none at all: marts are a cache, and are made anew.

Format: docs/formats/mart.md.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from vault import files
from vault.errors import Corrupt
from vault.keys import Wrapped

_LIMIT = 1 << 20


class Pointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which file is a mart, what it holds, and what opens it.

    `missing` names the classes left out because a key of theirs was destroyed; `withheld` are columns left out because their
    class was raised since, by place among those that the clearance covered then; `churn` counts the rows written since it was
    made whole.
    """

    format: Literal["sovereign-mart/2"] = "sovereign-mart/2"
    file: str
    key: Wrapped
    manifest: str
    sequence: int
    clearance: str
    missing: list[str]
    withheld: list[int]
    churn: int


def read(path: Path) -> Pointer | None:
    """Read a pointer; None when there is none that can be used."""
    try:
        pointer = msgspec.json.decode(files.read(path, limit=_LIMIT), type=Pointer)
    except (FileNotFoundError, Corrupt, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return pointer if pointer.file == Path(pointer.file).name else None


def write(path: Path, pointer: Pointer) -> None:
    """Write or replace a pointer in one step."""
    files.write(path, msgspec.json.format(msgspec.json.encode(pointer)) + b"\n")


def settle(building: Path, file: Path) -> None:
    """Make a finished generation durable under its name."""
    handle = os.open(building, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    building.rename(file)
    files.flush(file.parent)


def remove(path: Path) -> None:
    """Remove a generation, and what DuckDB left beside it."""
    for each in (path, path.with_name(f"{path.name}.wal")):
        with suppress(FileNotFoundError):
            each.unlink()
    shutil.rmtree(path.with_name(f"{path.name}.spill"), ignore_errors=True)


def touch(path: Path, now: float) -> None:
    """Date a file: a pointer by its last use, a generation by when it was replaced."""
    with suppress(FileNotFoundError):
        os.utime(path, (now, now))


def sweep(folder: Path, *, now: float, grace: float, kept: float, outlived: Callable[[Pointer], bool]) -> int:
    """Remove what nothing needs in a folder whose lock is held; gives how many generations went.

    Arguments: now: seconds since the epoch; grace: seconds that a replaced generation stays; kept: seconds that the mart of an
    older snapshot stays after its last use; outlived: whether a pointer's mart holds what must no longer be read.
    """
    used, doomed = set(), set()
    for path in folder.glob("*.json"):
        pointer = read(path)
        if pointer is not None and outlived(pointer):
            doomed.add(pointer.file)
            path.unlink()
        elif pointer is None or ("@" in path.name and now - path.stat().st_mtime > kept):
            path.unlink()
        else:
            used.add(pointer.file)
    rubbish = {path for path in folder.glob(".*.building") if path.is_file()}  # its maker died: the lock is ours
    for path in folder.glob("*.mart"):
        if path.name in doomed or (path.name not in used and now - path.stat().st_mtime > grace):
            rubbish.add(path)
    for path in rubbish:
        remove(path)
    return len(rubbish)

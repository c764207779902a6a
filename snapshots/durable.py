"""Large files that survive a power cut, and bounded reading of small ones.

Small files are written by `vault.files`. A large one is written under its final name, fsynced, and counts only once something
written later names it: a checkpoint, a manifest. Files are 0600.
"""

import os
import shutil
from pathlib import Path

from snapshots.errors import Damaged
from vault import files

_ATTEMPTS = 5


def write_new(path: Path, data: bytes | memoryview) -> None:
    """Write a file that did not exist, and fsync it; its name becomes durable with its folder (`vault.files.flush`)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def link(source: Path, target: Path) -> None:
    """Give a durable file a second name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        files.write(target, source.read_bytes())


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes; raises Damaged when it is missing or larger."""
    try:
        with path.open("rb") as file:
            data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)  # a read makes room for all it is asked
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Damaged(file=path.name, reason_fr="fichier absent", reason_en="the file is missing") from None
    if len(data) > limit:
        raise Damaged(file=path.name, reason_fr=f"plus de {limit} octets", reason_en=f"more than {limit} bytes")
    return data


def remove_tree(path: Path) -> None:
    """Remove a folder and what it holds, if it is there, and make its absence durable."""
    for attempt in range(_ATTEMPTS):
        if not path.is_dir():
            return
        try:
            shutil.rmtree(path)
        except OSError:  # something came or went meanwhile
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            files.flush(path.parent)

"""The port that backups are written through: objects by name, put whole or not at all, never changed.

    data/ab/<sha256>            an object, named by the SHA-256 of its bytes
    backups/<id>.backup         a signed record, written last

1. An object is there under its name when `put` returned, durably; what a crash left on the way has no such name.
2. Names are content, so an object that is there is never written again. Nothing is renamed: an object store cannot.
3. Whatever an adapter raises comes out as `TargetFailed`, or `Absent` for a name that is not there.

Every target passes tests/conformance/targets. It knows nothing of what it holds, and judges no byte: who reads compares hashes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

DATA: Final = "data/"
RECORDS: Final = "backups/"
BLOCK: Final = 2**18
"""Bytes read or written at a time."""


class Absent(Exception):
    """No object of that name."""


class Target(Protocol):
    """Where backups are kept. Its methods are called from several threads at once."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder it is, None when it is none of this machine."""
        ...

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Make an object of these bytes; nothing of it stands when the iterable raises. Errors: TargetFailed."""
        ...

    def get(self, name: str) -> Iterator[bytes]:
        """Give an object's bytes, at most `BLOCK` at a time. Errors: Absent, TargetFailed."""
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """Give the objects whose name begins with `prefix` (`data/` or `backups/`), and their sizes in bytes."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def sweep(self) -> None:
        """Remove what puts that were killed left without a name, where the target can; nobody puts meanwhile."""
        ...


def object_name(digest: str) -> str:
    """The name of the object whose bytes have this SHA-256 (hex)."""
    return f"{DATA}{digest[:2]}/{digest}"


def record_name(id_: str) -> str:
    """The name of a backup's record."""
    return f"{RECORDS}{id_}.backup"

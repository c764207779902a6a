"""Drafts that nobody holds: what runs that were killed, cancelled or cut left, to be gone on with or dropped.

A draft with a checkpoint is gone on with by the next run of its connection; one without, its run having died before the first,
is removed by it. One whose checkpoint does not read is neither until a person discards it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from snapshots import checkpoint
from snapshots.holding import unheld
from snapshots.repository import Repository, opener
from vault.errors import Fault


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A draft that was left: its bytes on disk, whether it has a checkpoint, and what keeps that from being read."""

    connection: str
    run: str
    bytes: int
    begun: bool
    fault: Fault | None = None


def unfinished(repository: Repository) -> Iterator[Unfinished]:
    """The drafts that no process holds, by connection and run."""
    for folder in sorted(repository.root.glob("*/.drafts/*")):
        if not folder.is_dir() or folder.is_symlink():
            continue
        with unheld(folder) as free:
            if not free:
                continue
            connection, run, fault = folder.parent.parent.name, folder.name, None
            begun = (folder / "checkpoint").is_file()
            if begun:
                try:
                    checkpoint.read(folder / "checkpoint", connection, run, opener(repository.keys, folder / "draft.keys"))
                except Fault as told:
                    fault = told
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
            yield Unfinished(connection, run, size, begun, fault)

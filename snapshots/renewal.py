"""Key files after a rotation: every data key under the newest generation, and which generations something still needs.

1. A file that is removed meanwhile is passed over; the key file of a draft that is being written is left alone.
2. What a process may be about to write counts as in use: its connection's keys are kept, all of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from snapshots import keyfile
from snapshots.errors import Damaged
from snapshots.holding import held, unheld
from vault.keys import Keys

_PATTERNS: Final = (
    "*/*/keys/*.keys", "*/.drafts/*/draft.keys", "*/.raw/*/raw.keys", "*/*/quarantine/*/quarantine.keys",
    "*/.documents/*/*.keys",
)  # fmt: skip


def rewrap(root: Path, keys: Keys) -> int:
    """Wrap every data key under the newest generation; gives how many entries changed. root: of the snapshots."""
    changed = 0
    for path in _files(root):
        with unheld(path.parent) as free, _unless_gone(path):
            changed += keyfile.rewrap(path, keys) if free else 0
    return changed


def keks_in_use(root: Path, keys: Keys) -> set[str]:
    """Give the key-encryption keys that wrap something under a folder.

    All those of a connection of which a process holds a draft, or is merging packs of documents, are among them: it may have
    keys that no file has yet.
    """
    while True:
        working = [*root.glob("*/.drafts/*"), *(each.parent for each in root.glob("*/.documents/*/lock"))]
        held_now = {each.parent.parent.name for each in working if held(each)}
        used = {each.id for each in keys.list() if each.scope.connection in held_now}
        listed = _files(root)
        for path in listed:
            with _unless_gone(path):
                used |= {entry.kek for entry in keyfile.read(path).values()}
        if listed == _files(root):  # a draft that was published meanwhile left its keys in a new file
            return used


def _files(root: Path) -> list[Path]:
    return sorted(path for pattern in _PATTERNS for path in root.glob(pattern) if not path.name.startswith("."))


@contextmanager
def _unless_gone(path: Path) -> Iterator[None]:
    """Pass over a file that was removed since it was listed."""
    try:
        yield
    except (Damaged, FileNotFoundError):
        if path.exists():
            raise

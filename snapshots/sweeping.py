"""What a crash left beside a dataset's snapshots: files that were put in place for a manifest that never came.

1. Only who holds the dataset's lease calls it: nobody else puts files in place then.
2. Nothing is removed while a draft of the connection is left, since it may still need them, nor while a manifest is missing or
   cannot be read: files that look orphaned may then be a snapshot's, and are all that is left of it.
3. What goes: parts and key files that no manifest names, be it replaced or not; quarantines without a description; temporary
   files that nobody can be writing any more (`SETTLED`), since rotation rewrites key files without the lease.
4. Parts have second names; removing one leaves every file that a manifest names as it is.

It enters nothing in the audit log: its caller does, before `remove`.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from snapshots import manifest as manifests
from snapshots import parts, quarantine
from snapshots.dataset import DatasetId
from snapshots.durable import read_bounded, remove_tree
from snapshots.holding import held
from snapshots.manifest import Manifest
from snapshots.repository import Repository
from vault import files
from vault.errors import Fault

SETTLED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Orphans:
    """What no snapshot names: files, and folders of quarantines that were never whole."""

    parts: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    scratch: tuple[Path, ...] = ()
    quarantines: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind, those of which there are some."""
        named = ("parts", "keys", "scratch", "quarantines")
        return {name: len(getattr(self, name)) for name in named if getattr(self, name)}

    def remove(self) -> None:
        """Remove them, and make their absence durable."""
        paths = [*self.parts, *self.keys, *self.scratch]
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in sorted({path.parent for path in paths}):
            files.flush(folder)
        for folder in self.quarantines:
            remove_tree(folder)


def orphans(repository: Repository, dataset: DatasetId, expected_head: str | None, entered: Sequence[str] = ()) -> Orphans:
    """Find what a crash left of a dataset; nothing when law 2 forbids to touch it. The caller holds the lease.

    Arguments: expected_head: the hash of the manifest that the audit log entered last, None when it entered none; entered: all
    that it ever entered.
    """
    if _drafted(repository, dataset.connection):
        return Orphans()
    every = _every(repository, dataset)
    if every is None or not _whole(every, [*entered, *([expected_head] if expected_head else [])]):
        return Orphans()
    folder = repository.folder(dataset)
    named = {parts.file_name(part.id, at) for each in every for part in each.parts for at in part.files}
    named |= {each.keys for each in every}
    found = {name: _unnamed(folder / name, named) for name in ("parts", "keys")}
    incomplete = [
        path for run in quarantine.runs(repository, dataset)
        if not ((path := quarantine.folder_of(repository, dataset, run)) / "quarantine").is_file()
    ]  # fmt: skip
    return Orphans(tuple(found["parts"]), tuple(found["keys"]), tuple(_scratch(repository, folder)), tuple(incomplete))


def _drafted(repository: Repository, connection: str) -> bool:
    folders = (repository.root / connection / ".drafts").glob("*")
    return any((each / "checkpoint").is_file() or held(each) for each in folders)


def _every(repository: Repository, dataset: DatasetId) -> list[Manifest] | None:
    """Read every manifest on disk, the replaced ones too; None when one does not verify. Nothing remembered is trusted."""
    found = []
    for path in sorted((repository.folder(dataset) / "manifests").glob("*.manifest")):
        try:
            each = manifests.opened(read_bounded(path, manifests.LIMIT), path.name, repository.keys.verifier)
        except Fault:
            return None
        if each.dataset != str(dataset):
            return None
        found.append(each)
    return found


def _whole(every: Sequence[Manifest], entered: Sequence[str]) -> bool:
    """Whether the line of snapshots has no gap, ends at one head, and holds all that was entered, or what replaced it."""
    replaced = {each.amends: each.hash for each in every if each.amends}
    there = {each.hash for each in every}

    def current(wanted: str | None) -> str | None:
        seen: set[str] = set()
        while wanted in replaced and wanted not in seen:
            seen.add(wanted)
            wanted = replaced[wanted]
        return wanted

    line = sorted((each for each in every if each.hash not in replaced), key=lambda each: each.sequence)
    parent: str | None = None
    for number, each in enumerate(line, 1):
        if each.sequence != number or current(each.parent) != parent:
            return False
        parent = each.hash
    return all(current(each) in there for each in entered)


def _unnamed(folder: Path, named: set[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return [each for each in sorted(folder.iterdir()) if each.name not in named and not each.name.startswith(".")]


def _scratch(repository: Repository, folder: Path) -> list[Path]:
    settled, found = (repository.clock() - SETTLED).timestamp(), []
    for name in ("parts", "keys", "manifests", "amendments"):
        for each in sorted((folder / name).glob(".*")):
            with suppress(FileNotFoundError):  # its writer gave it its name meanwhile
                if each.is_file() and each.stat().st_mtime < settled:
                    found.append(each)
    return found

"""What a backup takes of a site, held still: second names (hard links) of files that are write-once, a copy of `state.db`.

What is there together is taken together, in this order, while nobody renews or destroys keys (`older_keyring.custody`):

1. `audit/`, under its writer's lock, then `state.db` by SQLite's backup: the published log is never ahead of the database.
2. Manifests and whatever else names other files, then what they name. A part is there before the manifest that names it and
   goes after it, so every manifest taken has its parts and its keys.
3. The keyring, last of all: it holds every key that something taken before was wrapped under.
4. Whatever was seen of snapshots and documents is still there once all is taken, or all is taken anew: packs that are merged
   meanwhile, and what is removed as its time is over, would otherwise be in neither form.

A file replaced or removed afterwards stays as it was under its second name. Where a file system has no links, the file itself
is read later; one that changed meanwhile is `Lost`, and the backup begins again.

Not taken: marts, spill and other caches, runs that are not over with their archives, locks, temporary files, former stagings.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sovereign.backup.errors import Lost
from sovereign.older_keyring import custody
from vault import files

if TYPE_CHECKING:
    from sovereign.site import Site

STAGING: Final = ".backup"
STATE: Final = "state.db"
_SEALED_ALREADY: Final = ("snapshots", "spool", "audit")
"""Folders whose files nobody reads without keys, or that anyone may read."""
_NOT_TAKEN: Final = frozenset({"keys", "marts", "spill", "state.db", "state.db-wal", "state.db-shm", "state.db-journal"})
_NAMED_BY_OTHERS: Final = (".parquet", ".raw", ".pack", ".keys")
"""What is taken after the files that name it; key files last, so that they are as new as the keyring."""
_NAMING: Final = (".manifest", ".index")
_LOOKS: Final = 5
"""How often all is taken before a site that keeps changing is told so: taking is making links, and no merge lasts that long."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file held still: its path in the site, where its bytes are, its length and instant of change, how it is kept."""

    path: str
    source: Path
    bytes: int
    changed: int
    kept: Literal["as_is", "sealed"]


@contextmanager
def staged(site: "Site", copy_keys: Callable[[], None]) -> Iterator[list[Staged]]:
    """Hold a site still for a block; `copy_keys` is called at the instant at which the keyring has to be copied."""
    place = site.root / STAGING
    with files.locked(site.root / f"{STAGING}.lock"):
        shutil.rmtree(place, ignore_errors=True)  # what a crash left
        files.folder(place)
        try:
            with files.locked(custody(site)):
                taken = _still(site, place)
                copy_keys()
            yield taken
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _still(site: "Site", place: Path) -> list[Staged]:
    for look in range(_LOOKS):
        try:
            return list(_take(site, place))
        except Lost:
            if look + 1 == _LOOKS:
                raise
            shutil.rmtree(place)
            files.folder(place)
    raise AssertionError


def _take(site: "Site", place: Path) -> Iterator[Staged]:
    root, seen = site.root, set[str]()

    def take(paths: Iterator[Path]) -> Iterator[Staged]:
        for path in paths:
            name = path.relative_to(root).as_posix()
            if name not in seen and (found := _link(root, path, place / "files" / name)) is not None:
                seen.add(name)
                yield found

    yield from take(_walk(root / "spool", _whole))
    audit = root / "audit"
    if audit.is_dir():
        with files.locked(audit / ".lock"):
            yield from take(_walk(audit, _whole))
    yield _copy_state(root / STATE, place / STATE)
    yield from take(_walk(root / "spool", _whole))
    unfinished = _unfinished(root)
    snapshots = list(_walk(root / "snapshots", _whole))
    unfinished |= _unfinished(root)
    kept = [path for path in snapshots if not _of_a_run(root, path, unfinished)]
    yield from take(path for path in kept if path.suffix not in _NAMED_BY_OTHERS)
    # What a manifest names may have come after the first look.
    rest = [path for path in _walk(root / "snapshots", _whole) if not _of_a_run(root, path, unfinished)]
    for last in (False, True):
        yield from take(path for path in rest if path.suffix in _NAMED_BY_OTHERS and (path.suffix == ".keys") is last)
    for path in {*kept, *rest}:
        if path.suffix in (*_NAMING, *_NAMED_BY_OTHERS) and path.suffix != ".raw" and not path.exists():
            raise Lost(file=path.relative_to(root).as_posix())
    master = _master(site)
    own = (path for path in sorted(root.iterdir()) if _own(path.name))
    for path in own:
        yield from take(
            each for each in (_walk(path, _whole) if path.is_dir() else iter([path])) if each != master and _whole(each)
        )


def _own(name: str) -> bool:
    """Whether it is of the site itself, beside its data: stagings, of this backup first, and half restores are not."""
    return not name.startswith(".") and name not in _NOT_TAKEN and name not in _SEALED_ALREADY


def _whole(path: Path) -> bool:
    """Whether a name is that of something whole: temporary files and locks begin with a dot, or end as such."""
    return not path.name.startswith(".") or path.name == ".raw" or path.name == ".documents"


def _walk(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in (".drafts", ".work", ".lock"):
                yield from _walk(path, wanted)
        elif (
            entry.is_file(follow_symlinks=False)
            and wanted(path)
            and not entry.name.endswith((".part", ".lock"))
            and entry.name != "lock"
        ):
            yield path


def _unfinished(root: Path) -> set[tuple[str, str]]:
    """Connections and runs that have a draft: their archives grow."""
    return {(path.parent.parent.name, path.name) for path in (root / "snapshots").glob("*/.drafts/*")}


def _of_a_run(root: Path, path: Path, runs: set[tuple[str, str]]) -> bool:
    connection, *inner = path.relative_to(root / "snapshots").parts
    return len(inner) > 2 and any((connection, each) in runs for each in inner)


def _link(root: Path, path: Path, second: Path) -> Staged | None:
    top = path.relative_to(root).parts[0]
    kept: Literal["as_is", "sealed"] = "as_is" if top in _SEALED_ALREADY else "sealed"
    try:
        files.folder(second.parent)
        try:
            os.link(path, second, follow_symlinks=False)
            source = second
        except FileExistsError:
            source = second
        except PermissionError:
            source = path
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            source = path
        found = source.stat()
    except FileNotFoundError:
        return None
    return Staged(path.relative_to(root).as_posix(), source, found.st_size, found.st_mtime_ns, kept)


def _copy_state(path: Path, copy: Path) -> Staged:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    copy.chmod(0o600)
    return Staged(STATE, copy, copy.stat().st_size, 0, "sealed")


def _master(site: "Site") -> Path | None:
    """The file of the master key, when it lies in the site."""
    scheme, _, place = site.settings.keys.provider.partition(":")
    return site.root / place if scheme == "file" else None


def unchanged(staged: Staged) -> None:
    """Make sure that a file read under its own name is still the one taken; errors: Lost."""
    try:
        found = staged.source.stat()
    except FileNotFoundError:
        raise Lost(file=staged.path) from None
    if staged.path != STATE and (found.st_size, found.st_mtime_ns) != (staged.bytes, staged.changed):
        raise Lost(file=staged.path)

"""Copies of a site's keys, kept apart from its data: one folder a backup, as `keys/` was at that instant.

    KEYS/<backup id>/keyring.json  site.vkey  master.json  secrets/…       0600, made whole under another name, then renamed

1. A copy is as strong as `keys/`: keys in it are wrapped by the provider's master and sealed to the recovery kit.
2. What is destroyed stays destroyed: each backup takes what was shredded since out of former copies (`Keys.shred_copy`), and
   a restore follows the newest copy there is (`Keys.follow`). What rotation retired stays: the data of that time need it.
3. A copy that a crash left without its name is removed by the next backup, before anything else.
4. A copy is removed with its backup, in two steps that a kill may part (`condemn`, `remove_condemned`); never the newest.
5. A plain copy of `keys/` is understood too; then nothing newer is known, and the restore says so.
"""

import re
import shutil
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sovereign.backup.errors import KeysWithin, NoKeys
from vault import files
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.site import Site
    from vault.keys import Keys

KEYRING: Final = "keyring.json"
OWNER: Final = "site.vkey"
_UNNAMED: Final = re.compile(r"\.\d{8}-\d{9}-[0-9a-f]{8}")
_LIMIT: Final = 64 * 2**20
_MASTER: Final = ".master"
_CONDEMNED: Final = ".pruned"
"""In a copy whose backup is being removed: the name of the target."""


def refuse_within(keys: Path, *others: Path | None) -> None:
    """Raise KeysWithin unless `keys` lies outside of each of the others, and they outside of it."""
    here = keys.resolve()
    for other in others:
        if other is not None:
            there = other.resolve()
            if here == there or here.is_relative_to(there) or there.is_relative_to(here):
                raise KeysWithin


def copy(site: "Site", keys: Path, id_: str) -> None:
    """Copy the keys of a site as they are now; the caller holds its custody."""
    part, source = keys / f".{id_}", site.root / "keys"
    _drop(part)
    files.folder(part)
    files.write(part / OWNER, files.read(source / OWNER, limit=_LIMIT))  # first: whose it is, should it be cut
    for path in _files(source):
        if path.name not in (KEYRING, OWNER) or path.parent != source:
            files.write(part / path.relative_to(source), files.read(path, limit=_LIMIT))
    scheme, _, place = site.settings.keys.provider.partition(":")
    master = site.root / place
    if scheme == "file" and master.is_relative_to(site.root) and not master.is_relative_to(source):
        files.write(part / _MASTER, files.read(master, limit=_LIMIT))
    # Last: what was copied before opens with it.
    files.write(part / KEYRING, files.read(source / KEYRING, limit=_LIMIT))


def finish(keys: Path, id_: str) -> None:
    """Give a copy its name."""
    (keys / f".{id_}").rename(keys / id_)
    files.flush(keys)


def sweep(site: "Site", keys: Path) -> None:
    """Remove the copies of this site's keys that a crash left without a name: what is shredded would stay in them.

    The caller alone makes backups of the site.
    """
    own = files.read(site.root / "keys" / OWNER, limit=_LIMIT)
    for path in keys.glob(".*") if keys.is_dir() else ():
        if path.is_dir() and not path.is_symlink() and _UNNAMED.fullmatch(path.name):
            owner = path / OWNER
            begun = any(not each.name.startswith(".") for each in path.iterdir())  # else cut before it was anybody's
            if not begun or (owner.is_file() and files.read(owner, limit=_LIMIT) == own):
                _drop(path)
    if keys.is_dir():
        files.flush(keys)


def forget(keys: Path, id_: str) -> None:
    """Remove a copy that has no name yet."""
    _drop(keys / f".{id_}")


def _drop(part: Path) -> None:
    """Remove an unnamed copy: its keyring first, and last of all whose it is, so that a removal that is cut is gone on with."""
    with suppress(FileNotFoundError):
        (part / KEYRING).unlink(missing_ok=True)
        for path in list(part.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != OWNER:
                path.unlink(missing_ok=True)
    shutil.rmtree(part, ignore_errors=True)


def copies(keys: Path) -> list[Path]:
    """The copies there are, oldest first."""
    if not keys.is_dir():
        return []
    return sorted(path for path in keys.iterdir() if not path.name.startswith(".") and (path / KEYRING).is_file())


def condemn(keys: Path, gone: Iterable[str], target: str) -> None:
    """Mark the copies of backups that a target is about to lose."""
    for id_ in gone:
        if (keys / id_ / KEYRING).is_file():
            files.write(keys / id_ / _CONDEMNED, target.encode())


def remove_condemned(keys: Path, target: str, listed: Container[str]) -> int:
    """Remove the marked copies of backups that this target no longer lists; gives how many. The newest stays."""
    removed, found = 0, copies(keys)
    for path in found:
        mark = path / _CONDEMNED
        if not mark.is_file() or files.read(mark, limit=_LIMIT) != target.encode():
            continue
        if path.name in listed:  # a removal that was killed, and rules that are others now
            files.remove(mark)
        elif path != found[-1]:
            unnamed = keys / f".{path.name}"
            path.rename(unnamed)
            _drop(unnamed)
            removed += 1
    if removed:
        files.flush(keys)
    return removed


def shred(opened: "Keys", keys: Path) -> int:
    """Take out of all copies what was shredded since; gives how many keys went. One that is not this site's is left."""
    gone = 0
    for path in copies(keys):
        try:
            gone += len(opened.shred_copy(path))
        except Fault:
            continue
    return gone


def find(keys: Path, id_: str) -> Path:
    """The copy of a backup's keys, or the folder itself when it is a plain copy of `keys/`; errors: NoKeys."""
    if (keys / KEYRING).is_file():
        return keys
    if (keys / id_ / KEYRING).is_file():
        return keys / id_
    raise NoKeys(keys=str(keys), id=id_)


def newest(keys: Path) -> Path | None:
    """The newest copy, None in a plain copy of `keys/`."""
    if (keys / KEYRING).is_file():
        return None
    found = copies(keys)
    return found[-1] if found else None


def later(keys: Path, id_: str) -> list[str]:
    """The backups made after this one, of the same site, whose keys are here; oldest first."""
    own = files.read(find(keys, id_) / OWNER, limit=_LIMIT)
    made = [path for path in copies(keys) if path.name > id_ and not (path / _CONDEMNED).is_file()]
    return [path.name for path in made if (path / OWNER).is_file() and files.read(path / OWNER, limit=_LIMIT) == own]


def put_back(copy_: Path, root: Path, provider: str) -> None:
    """Copy keys into a site that is being restored."""
    target = root / "keys"
    for path in _files(copy_):
        files.write(target / path.relative_to(copy_), files.read(path, limit=_LIMIT))
    master = copy_ / _MASTER
    place = root / provider.partition(":")[2]
    if master.is_file() and provider.startswith("file:") and place.is_relative_to(root):
        files.write(place, files.read(master, limit=_LIMIT))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if (
            path.is_file()
            and not path.is_symlink()
            and path.suffix != ".lock"
            and not any(each.startswith(".") for each in inside)
        ):
            yield path

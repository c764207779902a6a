"""A backup made a site again, in an empty folder, on any machine.

1. Keys first: the copy of that backup, opened by its provider, or by the shares of its recovery kit under a new one. Then
   what a newer copy says was shredded is destroyed here too.
2. Every file is held to its hash while it is written, then flushed. `sovereign.toml` takes its name last of all: a restore that
   was cut is no site, and doing it again goes on with it.
3. What was restored is proved equal to what was saved (`proof`) before anything of it changes.
4. No write that may have left since is sent by itself: it becomes `unknown`. Leases of the lost machine are let go.

It cannot know whether the former site still runs; who restores is told that it must not.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete

from sovereign import settings as toml
from sovereign.backup import apart, proof, record
from sovereign.backup.creating import PURPOSE, WORKERS
from sovereign.backup.errors import Foreign, NoKeys
from sovereign.backup.inflight import settle
from sovereign.backup.proof import Proof
from sovereign.backup.reading import data_of, ids, latest, opened_listing, plain_piece, stored
from sovereign.backup.record import Entry, Listing, Record
from sovereign.backup.staging import STATE
from sovereign.backup.target import Target
from sovereign.clock import Clock, now
from sovereign.custody import name_provider
from sovereign.older_keyring import few, watched
from sovereign.site import SETTINGS, Site
from sovereign.state.schema import leases
from vault import files, recovery
from vault.keys import Keys
from vault.providers import create_provider, open_provider

if TYPE_CHECKING:
    from vault.providers import Passphrase, Provider

HALF: Final = ".restore"
_ID: Final = "id"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: the backup, the proof, keys destroyed again, writes whose outcome is now unknown, and held ones.

    newest: whether newer copies of the keys could say what was shredded since. unlisted: names of later backups whose keys are
    there, and which the target does not list: cut, made elsewhere, or taken away.
    """

    record: Record
    proof: Proof
    shredded: int
    unknown: int
    held: int
    newest: bool
    unlisted: tuple[str, ...] = ()


def restore(
    target: Target,
    root: Path,
    keys: Path,
    *,
    id_: str | None = None,
    provider: str | None = None,
    passphrase: "Passphrase" = None,
    shares: Sequence[str] = (),
    read_all: bool = False,
    clock: Clock = now,
) -> Restored:
    """Make a site of a backup in `root`, absent or empty, or left half restored from the same backup.

    Errors: BackupError (Altered, Forged, Unproved: nothing is put in service), those of the key provider and of the kit.
    """
    root = root.absolute()
    id_ = latest(target, id_)
    _begin(root, id_)
    claimed = record.unverified(data_of(target, id_), id_)
    uri = provider or claimed.provider
    shutil.rmtree(root / "keys", ignore_errors=True)
    copy = apart.find(keys, id_)
    apart.put_back(copy, root, uri)
    once = _once(passphrase)
    opened = Keys.open(root / "keys", _provider(root, uri, once, shares), clock)
    of = record.opened(data_of(target, id_), id_, opened.verifier)
    if opened.revision < of.revision:
        raise NoKeys(keys=str(keys), id=id_)
    newest = apart.newest(keys)
    shredded = opened.follow(newest) if newest is not None else []
    listing = opened_listing(target, of, opened.derive(PURPOSE))
    _write(target, root, listing, opened.derive(PURPOSE))
    held_settings = root / HALF / SETTINGS
    if uri != claimed.provider:
        name_provider(held_settings, uri)
    site = Site(root, toml.load(held_settings), once, clock)
    site.__dict__["keys"] = watched(site, opened)  # already open: nobody is asked twice
    with site:
        proved = proof.prove(site, of, listing, read_all=read_all)
        with site.state.begin() as transaction:
            transaction.execute(delete(leases))
        if shares:
            facts = {"keys": len(opened.list()), "lost": 0, "intact": True, "revision": opened.revision}
            site.audit.append("recovery.restored", {}, facts)
        for some in few(shredded):
            site.audit.append("keys.destroyed", {}, {"keys": some, "revision": opened.revision, "backup": of.id})
        unknown, held = settle(site)
        said = {"backup": of.id, "files": of.files, "entries": of.log.size, "unknown": unknown, "shredded": len(shredded)}
        site.audit.append("site.restored", {}, said, {"source": target.name})
    held_settings.rename(root / SETTINGS)
    files.flush(root)
    shutil.rmtree(root / HALF, ignore_errors=True)
    listed = set(ids(target))
    unlisted = tuple(each for each in apart.later(keys, id_) if each not in listed) if newest is not None else ()
    return Restored(of, proved, len(shredded), unknown, held, newest is not None, unlisted)


def _begin(root: Path, id_: str) -> None:
    """Take an empty folder, or go on with the same restore; errors: Foreign."""
    mark = root / HALF / _ID
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        same = mark.is_file() and not (root / SETTINGS).exists() and files.read(mark, limit=200).decode(errors="replace") == id_
        if not same:
            raise Foreign(path=str(root), id=id_)
    files.folder(root)
    root.chmod(0o700)
    files.write(mark, id_.encode())


def _provider(root: Path, uri: str, passphrase: "Passphrase", shares: Sequence[str]) -> "Provider":
    if not shares:
        return open_provider(uri, passphrase=passphrase, directory=root)
    recovery.rehearse(root / "keys", shares)  # before a new master is made
    made = create_provider(uri, passphrase=passphrase, directory=root)
    recovery.restore(root / "keys", shares, made)
    return made


def _once(passphrase: "Passphrase") -> "Passphrase":
    given: list[str] = []

    def ask() -> str:
        if not given and passphrase is not None:
            given.append(passphrase())
        return given[0]

    return ask if passphrase is not None else None


def _write(target: Target, root: Path, listing: Listing, key: bytes) -> None:
    """Write every file that is not there yet, whole."""
    places = {entry.path: _place(root, entry.path) for entry in listing.files}
    for folder in sorted({path.parent for path in places.values()}):
        files.folder(folder)
    scratch = files.folder(root / HALF / "files")
    for end in ("", "-wal", "-shm", "-journal"):  # a log that a cut restore left would be played over the database
        (root / f"{STATE}{end}").unlink(missing_ok=True)

    def write(numbered: tuple[int, Entry]) -> None:
        number, entry = numbered
        path = places[entry.path]
        if _same(path, entry):
            return
        part = scratch / f"{number}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for piece in entry.pieces:
                chunks = (
                    iter([plain_piece(target, piece, key, entry.path)]) if piece.plain else stored(target, piece, entry.path)
                )
                for chunk in chunks:
                    view = memoryview(chunk)
                    while view:
                        view = view[file.write(view) :]
            os.fsync(file.fileno())
        os.utime(part, ns=(entry.changed, entry.changed))
        part.replace(path)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="restore") as pool:
        for _ in pool.map(write, enumerate(listing.files)):
            pass
    for folder in sorted({path.parent for path in places.values()}):
        files.flush(folder)


def _place(root: Path, path: str) -> Path:
    """Where a file goes: inside the site, never in `keys/`, and the settings under another name."""
    from sovereign.backup.errors import Forged

    parts = Path(path).parts
    if not parts or Path(path).is_absolute() or ".." in parts or parts[0] in ("keys", HALF):
        raise Forged(id=path[:80])
    return root / HALF / SETTINGS if path == SETTINGS else root / path


def _same(path: Path, entry: Entry) -> bool:
    """Whether a file was written by the restore that was cut; its bytes are hashed again, not its date believed."""
    if entry.kept != "as_is" or not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.pieces[0].sha256

"""Making a backup: hold the site still, copy what the target lacks, then sign and write the record.

1. Nothing begins that a bad day could not use: the keys are checked and the recovery kit covers them (`NotRecoverable`).
2. The record is written last. A backup that was killed leaves the former ones whole; objects that it copied have their names
   already, and the next one does not copy them again.
3. A file that the former backup had, of the same path, length and instant of change, is not read again.
4. A place where backups were made and none is left is not written to (`Emptied`): a disk that is not mounted looks so, and
   what is written in its stead lies on another.
5. Files that nobody reads without keys are copied as they are, under the name of their content. The others, `state.db` among
   them, are sealed a piece at a time; a piece that did not change is not sealed again.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

from sovereign import __version__
from sovereign.backed_up import TURN
from sovereign.backup import apart, record, staging
from sovereign.backup.errors import Emptied, Lost, NotRecoverable
from sovereign.backup.reading import ids, opened_listing, records, rotten
from sovereign.backup.record import PIECE, Entry, Listing, Log, Piece, Record
from sovereign.backup.staging import STATE, Staged, staged
from sovereign.backup.target import BLOCK, DATA, Target, object_name, record_name
from sovereign.errors import Locked
from sovereign.state.identity import new_id
from vault import files
from vault.errors import Fault, Finding

if TYPE_CHECKING:
    from sovereign.site import Site

WORKERS: Final = 4
SMALL: Final = 16 * 2**20
"""Files up to this many bytes are held whole while they are hashed and copied."""
_ATTEMPTS: Final = 3
_LOOKED_AT: Final = 500
"""How many former backups are looked at in the log."""
_BLOCKING: Final = frozenset({"keys.no_kit"})
PURPOSE: Final = "backup"
Told = Callable[[int, int], None]
"""Called with how many bytes are copied so far, and how many there are."""


@dataclass(frozen=True, slots=True)
class Created:
    """A backup that was made: its record, and how many objects and bytes the target did not have before."""

    record: Record
    objects: int
    added: int
    shredded: int


def create(
    site: "Site",
    target: Target,
    keys: Path,
    told: Told = lambda _done, _all: None,
    *,
    anew: bool = False,
    read_all: bool = False,
) -> Created:
    """Back a site up; errors: BackupError, Locked, those of the audit log.

    anew: also where backups were made and none is left. read_all: read what the target has, and put again what is no longer
    what was written there, as far as the site still has it.
    """
    apart.refuse_within(keys, target.folder, site.root)
    for finding in _recoverable(site):
        raise NotRecoverable(subject=finding.subject, code=finding.code)
    if not anew:
        for place in _emptied(site, target, keys):
            raise Emptied(place=place)
    with files.locked(_turn(site)):  # one backup of a site at a time
        apart.sweep(site, keys)
        for attempt in range(_ATTEMPTS):
            try:
                return _Making(site, target, keys, told, rotten(target) if read_all else frozenset()).run()
            except Lost:
                if attempt + 1 == _ATTEMPTS:
                    raise
    raise AssertionError


@contextmanager
def alone(site: "Site") -> Iterator[None]:
    """Let no backup of the site be made for a block; errors: Locked while one is."""
    if files.busy(_turn(site)):
        raise Locked(what="backup")
    with files.locked(_turn(site)):
        yield


def _turn(site: "Site") -> Path:
    return site.root / TURN


def _recoverable(site: "Site") -> Iterator[Finding]:
    from sovereign.inspection import of_keys

    yield from (each for each in of_keys(site) if each.severity == "error" or each.code in _BLOCKING)


def _emptied(site: "Site", target: Target, keys: Path) -> Iterator[str]:
    """Name the places where the log says that backups were made, and none is left."""
    empty = {name: place for name, place, held in (
        ("target", target.name, ids(target)), ("keys", str(keys), apart.copies(keys)),
    ) if not held}  # fmt: skip
    made = site.audit.entries(act="backup.created", limit=_LOOKED_AT) if empty else ()
    for name, place in empty.items():
        if any(each.body is not None and each.body.get(name) == place for each in made):
            yield place


class _Making:
    """One backup being made."""

    def __init__(self, site: "Site", target: Target, keys: Path, told: Told, rotten: frozenset[str]) -> None:
        self.site, self.target, self.keys, self.told = site, target, keys, told
        self.id = new_id(site.clock)
        self.key = site.keys.derive(PURPOSE)
        self.known = {name: size for name, size in target.sizes(DATA).items() if name not in rotten}
        self.parent, self.former = self._parent()
        self.sealed = {each.plain: each for entry in self.former.values() for each in entry.pieces if each.plain}
        self.objects = self.added = self.done = self.all = 0
        self.lock = Lock()

    def run(self) -> Created:
        try:
            with staged(self.site, lambda: apart.copy(self.site, self.keys, self.id)) as taken:
                revision = self.site.keys.revision
                log, rows = self._log(next(each.source for each in taken if each.path == STATE))
                self.all = sum(each.bytes for each in taken)
                with ThreadPoolExecutor(WORKERS, thread_name_prefix="backup") as pool:
                    entries = list(pool.map(self._entry, taken))
            listing = Listing(tuple(sorted(entries, key=lambda each: each.path)), rows)
            pieces = self._seal(iter([msgspec.json.encode(listing)]))
            made = Record(
                format=record.FORMAT,
                id=self.id,
                site=self.site.keys.verifier.name,
                created=self.site.clock(),
                version=__version__,
                parent=self.parent.id if self.parent else None,
                provider=self.site.settings.keys.provider,
                revision=revision,
                listing=pieces,
                files=len(entries),
                bytes=sum(each.bytes for each in entries),
                log=log,
            )
            shredded = apart.shred(self.site.keys, self.keys)
            apart.finish(self.keys, self.id)
            self.target.put(record_name(self.id), iter([record.signed(made, self.site.keys.signer)]))
        except BaseException:
            apart.forget(self.keys, self.id)
            raise
        facts = {"backup": made.id, "files": made.files, "bytes": made.bytes, "added": self.added, "entries": log.size}
        self.site.audit.append("backup.created", {}, facts, {"target": self.target.name, "keys": str(self.keys)})
        return Created(made, self.objects, self.added, shredded)

    def _parent(self) -> tuple[Record | None, dict[str, Entry]]:
        """The newest backup of this site there that can be read: it only spares work, so faults are passed over."""
        for each in reversed(records(self.target, self.site.keys.verifier)):
            if isinstance(each, Record):
                try:
                    listing = opened_listing(self.target, each, self.key)
                except Fault:
                    continue
                return each, {entry.path: entry for entry in listing.files}
        return None, {}

    def _log(self, state: Path) -> tuple[Log, dict[str, int]]:
        """Sign the log as the copy of the database has it; count the rows of its tables."""
        from sovereign.audit.checkpoints import Checkpoints
        from sovereign.state import State

        with State(state, self.site.clock) as copy:
            signed = Checkpoints(copy, self.site.keys, self.site.clock).sign()
        with closing(sqlite3.connect(state)) as opened:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            opened.execute("PRAGMA journal_mode=DELETE")
            rows = row_counts(opened)
        return Log(signed.size, signed.note), rows

    # Files

    def _entry(self, file: Staged) -> Entry:
        former = self.former.get(file.path)
        size = file.source.stat().st_size if file.path == STATE else file.bytes
        if (
            former is not None
            and file.path != STATE
            and (former.bytes, former.changed, former.kept) == (file.bytes, file.changed, file.kept)
            and all(self.known.get(object_name(each.sha256)) == each.bytes for each in former.pieces)
        ):
            self._count(size)
            return former
        pieces = (self._as_is(file),) if file.kept == "as_is" else self._seal(_blocks(file.source, PIECE), file.path)
        if staging.STAGING not in file.source.parts:
            staging.unchanged(file)
        return Entry(file.path, size, file.changed, file.kept, pieces)

    def _as_is(self, file: Staged) -> Piece:
        if file.bytes <= SMALL:
            data = file.source.read_bytes()
            return self._put(Piece(record.digest(data), len(data)), iter([data]))
        hashed, size = hashlib.sha256(), 0
        for block in _blocks(file.source, BLOCK):
            hashed.update(block)
            size += len(block)
            self._count(0)
        return self._put(Piece(hashed.hexdigest(), size), _held_to(hashed.hexdigest(), file))

    def _seal(self, blocks: Iterator[bytes], path: str = "") -> tuple[Piece, ...]:
        pieces = []
        for whole in blocks:
            for start in range(0, len(whole), PIECE):
                block = whole[start : start + PIECE]
                former = self.sealed.get(record.digest(block))
                if former is not None and self.known.get(object_name(former.sha256)) == former.bytes:
                    pieces.append(former)
                    self._count(len(block) if path else 0)
                    continue
                data = record.seal(self.key, block)
                pieces.append(self._put(Piece(record.digest(data), len(data), record.digest(block)), iter([data])))
        return tuple(pieces)

    def _put(self, piece: Piece, chunks: Iterator[bytes]) -> Piece:
        name = object_name(piece.sha256)
        if self.known.get(name) != piece.bytes:
            self.target.put(name, chunks)
            with self.lock:
                self.known[name] = piece.bytes
                self.objects += 1
                self.added += piece.bytes
        self._count(piece.bytes)
        return piece

    def _count(self, size: int) -> None:
        with self.lock:
            self.done += size
        self.told(self.done, self.all)


def row_counts(opened: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table of a state has."""
    names = [name for (name,) in opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    quoted = {name: name.replace('"', '""') for name in names if not name.startswith("sqlite_")}
    return {name: opened.execute(f'SELECT count(*) FROM "{said}"').fetchone()[0] for name, said in quoted.items()}  # noqa: S608


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while block := file.read(size):
            yield block


def _held_to(digest: str, file: Staged) -> Iterator[bytes]:
    hashed = hashlib.sha256()
    for block in _blocks(file.source, BLOCK):
        hashed.update(block)
        yield block
    if hashed.hexdigest() != digest:
        raise Lost(file=file.path)

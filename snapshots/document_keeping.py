"""The care of a connection's packs: leftovers swept, small packs merged, documents destroyed that had their time.

1. Only who holds the connection's lease calls it, once its run has closed its draft: nobody else writes packs then. While key
   files change, `lock` in the class's folder is held, so that no rotation writes an older one back.
2. Merging copies frames as they are, of packs of one period, into a new pack; the former ones go once it exists. After a crash
   in between two packs hold the same document, and any is read; the next look removes the one that another holds whole.
3. A document may be destroyed once no current snapshot of its connection has named it for so many days. When it ceased to be
   named is noted in `unnamed` at each look; without that file the days count anew. While a current snapshot does not open
   whole, or a pack is damaged, nothing is destroyed.
4. To destroy is to put the address and the instant in the index, in the entry's stead, then to drop the document's key from
   the key file: the frame that is left in the pack, or in a copy of it, opens for nobody. A pack of which half is dead is
   written anew.

It enters nothing in the audit log: its caller does, before `destroy`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from snapshots import keyfile, packs
from snapshots.documents import Shelf, classes_of
from snapshots.errors import Damaged
from snapshots.holding import hold
from snapshots.manifest import Manifest
from snapshots.packs import Gone, Index, PackWriter, Place
from snapshots.repository import Repository
from vault import envelope, files
from vault.errors import Fault
from vault.keys import Wrapped

SMALL: Final = 16 << 20
"""Bytes: a pack below this may be merged with others."""
MANY: Final = 16
"""Small packs of a class and period from which they are merged."""
LEDGER: Final = "unnamed"
"""The file of a connection's `Ledger`, sealed under a key that the site derives: names of fields may be delicate."""


class Ledger(msgspec.Struct, forbid_unknown_fields=True):
    """Since when documents are named by no current snapshot (ISO 8601, UTC), and the snapshots that were looked at.

    `fields`: by stream, those that ever named documents, also as packs told that open no more.
    """

    format: str = "sovereign-unnamed/1"
    heads: dict[str, str] = {}
    since: dict[str, str] = {}
    fields: dict[str, list[str]] = {}


@dataclass(frozen=True, slots=True)
class _Pack:
    index: Index
    wraps: Mapping[str, Wrapped]
    size: int

    @property
    def dead(self) -> int:
        """Bytes of frames that nobody opens any more."""
        return self.size - packs.EMPTY - sum(each.length for each in self.index.entries)

    @property
    def whole(self) -> bool:
        """Whether its frames are there, as far as its length tells."""
        return all(each.at + each.length <= self.size for each in self.index.entries)

    @property
    def undone(self) -> bool:
        """Whether a crash came before the keys of destroyed documents were dropped."""
        return any(name.rpartition("/")[2] in {each.address for each in self.index.gone} for name in self.wraps)


def settle(repository: Repository, connection: str, *, many: int = MANY) -> int:
    """Sweep what a crash left, write again the indexes that are lost, merge small packs; gives how many packs were merged."""
    merged = 0
    for class_name in _folders(repository, connection):
        place = Place.of(repository.root, connection, class_name)
        for path in place.leftovers():
            path.unlink(missing_ok=True)
        found = list(_packs(repository, place))
        for each in found:
            if not place.index(each.index.pack).is_file():
                packs.write_index(place, each.index, _index_key(repository, place, each))
            if each.undone:
                with _changing(place):
                    _drop_keys(place, each.index.pack, {gone.address for gone in each.index.gone})
        found = _drop_doubles(place, found)
        for period in sorted({packs.period_of(each.index.pack) for each in found}):
            mine = [each for each in found if packs.period_of(each.index.pack) == period]
            small = [each for each in mine if each.size < SMALL]
            rotten = [each for each in mine if each.dead > each.size // 2]
            chosen = [each for each in mine if each in rotten or (each in small and len(small) >= many)]
            with suppress(Damaged):  # a frame that is not there: `verify` tells, and packs stay as they are
                merged += _merge(repository, place, period, chosen) if chosen else 0
    return merged


def naming(repository: Repository, manifest: Manifest, fields: Sequence[str], classes: Sequence[str]) -> Iterator[str]:
    """Give the addresses that the records of a snapshot name, in these fields of these classes, once a record.

    Errors: Shredded, Damaged and those of reading rows.
    """
    shape = repository.shape(manifest, classes)
    columns = [each for each in fields if each in shape.schema.names]
    if columns:
        for batch in repository.read(manifest, classes, columns):
            for column in batch.columns:
                yield from (each for each in column.to_pylist() if isinstance(each, str) and each)


def expired(
    repository: Repository, connection: str, heads: Mapping[str, Manifest], *, days: int, present: datetime
) -> dict[str, list[str]]:
    """Give the documents that no current snapshot has named for `days`, by class; notes those that just ceased to be.

    Arguments: heads: the snapshot that is served of each stream.
    """
    ledger, limit = _ledger(repository, connection), timedelta(days=days)
    now = {stream: each.hash for stream, each in sorted(heads.items())}
    if ledger.heads == now and not _late(ledger.since, present, limit):
        return {}
    shelves = _shelves(repository, connection)
    if any(shelf.damaged for shelf in shelves.values()):
        return {}
    unnamed = set().union(*(set(shelf.held) for shelf in shelves.values())) if shelves else set()
    fields = {stream: set(names) for stream, names in ledger.fields.items()}
    for shelf in shelves.values():
        for stream, names in shelf.fields.items():
            fields.setdefault(stream, set()).update(names)
    for stream, head in heads.items():
        if stream in fields:
            readable = repository.readable(head)
            if not {*head.sealed} <= {*readable, "cursor"}:
                return {}
            unnamed.difference_update(naming(repository, head, sorted(fields[stream]), readable))
    at = present.astimezone(UTC).isoformat()
    since = {address: ledger.since.get(address, at) for address in sorted(unnamed)}
    seen = Ledger(heads=now, since=since, fields={stream: sorted(names) for stream, names in sorted(fields.items())})
    if seen != ledger:
        key, context = _ledger_key(repository, connection)
        sealed = envelope.seal(key, context, msgspec.json.encode(seen))
        files.write(repository.root / connection / ".documents" / LEDGER, sealed)
    late = _late(since, present, limit)
    found = {class_name: sorted(late & set(shelf.held)) for class_name, shelf in shelves.items()}
    return {class_name: each for class_name, each in found.items() if each}


def destroy(repository: Repository, connection: str, class_name: str, addresses: Sequence[str], present: datetime) -> None:
    """Destroy documents for good: their keys go, and what is left of them in packs once half of one is dead."""
    place, doomed = Place.of(repository.root, connection, class_name), set(addresses)
    when = present.astimezone(UTC).isoformat(timespec="seconds")
    with _changing(place):
        for pack in list(_packs(repository, place)):
            old = pack.index
            mine = sorted(doomed & {each.address for each in old.entries})
            if mine or any(each.address in doomed for each in old.names):
                index = msgspec.structs.replace(
                    old,
                    gone=[*(each for each in old.gone if each.address not in mine), *(Gone(each, when) for each in mine)],
                    entries=[each for each in old.entries if each.address not in doomed],
                    names=[each for each in old.names if each.address not in doomed],
                )
                packs.write_index(place, index, _index_key(repository, place, pack))
                _drop_keys(place, old.pack, set(mine))
    settle(repository, connection)


def _drop_doubles(place: Place, found: Sequence[_Pack]) -> list[_Pack]:
    """Remove the packs of which another, whole one holds everything; gives those that are left."""
    held = [each.address for pack in found for each in pack.index.entries]
    left = list(found)
    if len(held) == len(set(held)):
        return left
    for pack in found:
        mine, names = {each.address for each in pack.index.entries}, {*pack.index.names}
        others = (each.index for each in left if each is not pack and each.whole)
        if mine and any(mine <= {each.address for each in other.entries} and names <= {*other.names} for other in others):
            left.remove(pack)
            _remove(place, pack.index.pack)
    return left


def _remove(place: Place, pack: str) -> None:
    for path in (place.keys(pack), place.index(pack), place.pack(pack)):
        path.unlink(missing_ok=True)
    files.flush(place.folder)


def _late(since: Mapping[str, str], present: datetime, limit: timedelta) -> set[str]:
    return {address for address, when in since.items() if present - datetime.fromisoformat(when) >= limit}


def _drop_keys(place: Place, pack: str, gone: set[str]) -> None:
    """Take documents out of a key file, as it is now; the caller keeps rotations from it."""
    wraps = keyfile.read(place.keys(pack))
    keyfile.write(place.keys(pack), {name: entry for name, entry in wraps.items() if name.rpartition("/")[2] not in gone})


def _merge(repository: Repository, place: Place, period: str, chosen: Sequence[_Pack]) -> int:
    with _changing(place):
        writer = PackWriter(place, repository.keys, period, repository.clock())
        try:
            taken: set[str] = set()
            for pack in reversed(chosen):  # of two that hold the same, the newer
                wraps, index = keyfile.read(place.keys(pack.index.pack)), pack.index
                for entry in index.entries:
                    wrapped = wraps.get(place.key_name(entry.address))
                    if wrapped is not None and entry.address not in taken:
                        writer.copy(entry, memoryview(packs.frame(place, index.pack, entry)), wrapped)
                        taken.add(entry.address)
                writer.names[:0] = index.names
                writer.fields |= index.fields
                writer.gone += index.gone
            writer.gone = [each for each in writer.gone if each.address not in taken]
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        for pack in chosen:
            _remove(place, pack.index.pack)
    return len(chosen)


def _packs(repository: Repository, place: Place) -> Iterator[_Pack]:
    """Give the packs of a class that open, oldest first; `verify` tells the others."""
    for name in place.names():
        try:
            wraps = keyfile.read(place.keys(name))
            index = packs.read_index(place, name, wraps, repository.keys)
        except Fault:
            continue
        path = place.pack(name)
        yield _Pack(index, wraps, path.stat().st_size if path.is_file() else 0)


def _index_key(repository: Repository, place: Place, pack: _Pack) -> bytes:
    name = place.key_name(pack.index.pack)
    return repository.keys.unwrap(pack.wraps[name], name.encode())


def _shelves(repository: Repository, connection: str) -> dict[str, Shelf]:
    return {each: Shelf.load(repository, connection, each) for each in classes_of(repository, connection)}


def _folders(repository: Repository, connection: str) -> list[str]:
    return sorted(path.name for path in (repository.root / connection / ".documents").glob("*") if path.is_dir())


def _ledger_key(repository: Repository, connection: str) -> tuple[bytes, bytes]:
    name = f"{connection}/.documents/{LEDGER}"
    return repository.keys.derive(name), name.encode()


def _ledger(repository: Repository, connection: str) -> Ledger:
    key, context = _ledger_key(repository, connection)
    try:
        sealed = files.read(repository.root / connection / ".documents" / LEDGER, limit=1 << 30)
        return msgspec.json.decode(envelope.open(key, context, sealed), type=Ledger)
    except (FileNotFoundError, Fault, msgspec.DecodeError, UnicodeDecodeError):
        return Ledger()


@contextmanager
def _changing(place: Place) -> Iterator[None]:
    handle = hold(place.folder, "documents")
    try:
        yield
    finally:
        os.close(handle)

"""Whether documents are still what was filed: every pack of a connection, and every document that a snapshot names.

1. Every frame of every pack is walked, and every document opened under its key: its tag speaks, then its size, its SHA-256 and
   its address. A frame that nothing names, a pack that is cut or longer, a key file that was put back are told.
2. Every address in every part of a dataset must be held, or noted as destroyed, or lie under keys that were destroyed. Fields
   that name documents are those that packs tell, and any text column of the newest snapshot that begins with an address: so a
   store that was taken away whole is missed all the same.
3. A pack that a run is writing has no key file yet, and is not judged while the connection's draft is held.

It tells and changes nothing. Memory: one document, and the addresses of one dataset.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from snapshots import fixity, keyfile, packs, parts
from snapshots.dataset import CLASSES, DatasetId, stored_name
from snapshots.documents import Shelf, classes_of
from snapshots.holding import held
from snapshots.manifest import Manifest
from snapshots.packs import Entry, Place
from snapshots.parts import Part
from snapshots.repository import Repository
from vault.errors import Fault, Finding, Shredded
from vault.keys import Wrapped

ADDRESS = re.compile(r"d[0-9a-f]{32}")
_FEW = 64


def findings(
    repository: Repository,
    dataset: DatasetId,
    chain: Sequence[Manifest],
    data_keys: Mapping[str, bytes],
    opened: set[Path],
) -> Iterator[Finding]:
    """Check the packs of a dataset's connection, and the documents that its snapshots name.

    Arguments: chain: the dataset's snapshots, oldest first; data_keys: of their parts, by name; opened: packs that need not be
    read again; those that are, are added.
    """
    connection = dataset.connection
    writing = any(held(each) for each in (repository.root / connection / ".drafts").glob("*"))
    for class_name in CLASSES:
        place = Place.of(repository.root, connection, class_name)
        if place.folder.is_dir():
            yield from _packs(repository, place, opened, writing=writing)
    yield from _named(repository, dataset, chain, data_keys)


def _packs(repository: Repository, place: Place, opened: set[Path], *, writing: bool) -> Iterator[Finding]:
    for name in place.names():
        if place.pack(name) not in opened:
            opened.add(place.pack(name))
            found = list(_pack(repository, place, name))
            yield from found if place.keys(name).exists() else ()  # else it was merged meanwhile
    for path in place.leftovers() if not writing else ():
        if path not in opened:
            opened.add(path)
            yield _warn(
                "document.leftover",
                path.name,
                "reste d'une panne : une liasse sans clés",
                "left by a crash: a pack without keys",
            )


def _pack(repository: Repository, place: Place, name: str) -> Iterator[Finding]:
    try:
        wraps = keyfile.read(place.keys(name))
    except Fault as fault:
        yield _told("document.keys", place.keys(name).name, fault)
        return
    try:
        key = packs.index_key(place, name, wraps, repository.keys)
        index = packs.open_index(place, name, key) if place.index(name).is_file() else None
    except Shredded:
        yield _shredded(repository, place.keys(name).name, wraps[place.key_name(name)])
        return
    except Fault as fault:
        yield _told("document.index", place.index(name).name, fault)
        return
    if index is None:
        yield _warn(
            "document.index", place.index(name).name,
            "index absent : la prochaine exécution le refait de la liasse et de ses clés",
            "the index is missing: the next run makes it again from the pack and its keys",
        )  # fmt: skip
        try:
            index = packs.rebuilt(place, name, wraps, repository.keys)
        except Fault as fault:
            yield _told("document.unverified", place.pack(name).name, fault)
            return
    gone = {each.address for each in index.gone}
    left = [each for each in sorted(gone) if place.key_name(each) in wraps]
    if left:
        yield Finding(
            "error", "document.replayed", place.keys(name).name,
            f"la clé de documents détruits y est encore : {len(left)}, dont {left[0]}",
            f"it still has the keys of documents that were destroyed: {len(left)}, {left[0]} among them",
        )  # fmt: skip
    yield from _frames(repository, place, name, {each.at: each for each in index.entries}, wraps, gone)


def _frames(
    repository: Repository, place: Place, name: str, entries: dict[int, Entry], wraps: Mapping[str, Wrapped], gone: set[str]
) -> Iterator[Finding]:
    secret = repository.keys.derive(f"documents/{place.connection}/{place.class_name}")
    missed = dict(entries)
    try:
        for address, at, sealed in packs.frames(place, name):
            entry = missed.pop(at, None)
            if entry is None and address not in gone:
                yield _warn("document.unnamed", f"{name}/{address}", "aucun index ne le nomme", "no index names it")
            elif entry is not None:
                try:
                    wrapped = wraps[place.key_name(entry.address)]
                    key = repository.keys.unwrap(wrapped, place.key_name(entry.address).encode())
                    content = packs.unsealed(place, entry.address, sealed, key)[1]
                except KeyError:
                    yield _wrong("document.key", f"{name}/{entry.address}", "sa clé manque", "its key is missing")
                    continue
                except Shredded:
                    yield _shredded(repository, f"{name}/{entry.address}", wrapped)
                    continue
                except Fault as fault:
                    yield _told("document.unverified", f"{name}/{entry.address}", fault)
                    continue
                digest = hashlib.sha256(content).digest()
                mine = f"d{hmac.digest(secret, digest, 'sha256')[:16].hex()}"
                if (digest, len(content), mine, address) != (entry.sha256, entry.size, entry.address, entry.address):
                    yield _wrong(
                        "document.altered", f"{name}/{entry.address}", "ce n'est pas le document inscrit",
                        "it is not the document written down",
                    )  # fmt: skip
    except Fault as fault:
        yield _told("document.unverified", place.pack(name).name, fault)
        return
    for entry in missed.values():
        yield _wrong("document.missing", f"{name}/{entry.address}", "il n'est pas dans sa liasse", "it is not in its pack")


def _named(
    repository: Repository, dataset: DatasetId, chain: Sequence[Manifest], data_keys: Mapping[str, bytes]
) -> Iterator[Finding]:
    held_here, known, shredded = set[str](), set[str](), False
    for class_name in classes_of(repository, dataset.connection):
        shelf = Shelf.load(repository, dataset.connection, class_name)
        if shelf.damaged:
            return  # told with its pack: what it holds is not known
        held_here |= shelf.held.keys() | shelf.gone.keys()
        known |= shelf.fields.get(dataset.stream, set())
        shredded = shredded or bool(shelf.shredded)
    folder = repository.parts_folder(dataset)
    try:
        columns = sorted({stored_name(each) for each in known} | _columns(folder, dataset, chain, data_keys))
        missing: set[str] = set()
        for part in {part.id: part for each in chain for part in each.parts}.values() if columns else ():
            missing |= _addresses(folder, dataset, part, columns, data_keys) - held_here
    except Fault:
        return  # told with its part
    if missing and not shredded:
        subject = min(missing)
        yield _wrong(
            "document.missing", subject, f"documents nommés par {dataset} et absents : {len(missing)}",
            f"documents that {dataset} names and that are not there: {len(missing)}",
        )  # fmt: skip


def _columns(folder: Path, dataset: DatasetId, chain: Sequence[Manifest], data_keys: Mapping[str, bytes]) -> set[str]:
    """Find the text columns of the newest snapshot that begin with an address."""
    found: set[str] = set()
    newest = max((part for each in chain[-1:] for part in each.parts), key=lambda part: part.rows, default=None)
    if newest is None:
        return found
    for class_name in CLASSES:
        key = data_keys.get(parts.key_name(dataset, newest.id, class_name))
        if class_name in newest.files and key is not None:
            batch = next(iter(parts.class_batches(folder, dataset, newest, class_name, key, size=_FEW)), None)
            for name, column in zip(batch.schema.names, batch.columns, strict=True) if batch is not None else ():
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                    first = next((each for each in column.to_pylist() if each), "")
                    found |= {name} if ADDRESS.fullmatch(first) else set()
    return found


def _addresses(
    folder: Path, dataset: DatasetId, part: Part, columns: Sequence[str], data_keys: Mapping[str, bytes]
) -> set[str]:
    found: set[str] = set()
    for class_name in part.files:
        key = data_keys.get(parts.key_name(dataset, part.id, class_name))
        for batch in parts.class_batches(folder, dataset, part, class_name, key, columns) if key is not None else ():
            for column in batch.columns:
                found.update(each for each in column.to_pylist() if isinstance(each, str) and ADDRESS.fullmatch(each))
    return found


def _shredded(repository: Repository, subject: str, entry: Wrapped) -> Finding:
    if fixity.put_back(repository, entry):
        return _wrong(
            "document.replayed", subject, "ancien fichier de clés remis en place : sa clé fut retirée par rotation",
            "an old key file was put back: its key was retired by rotation",
        )  # fmt: skip
    return Finding(
        "info",
        "document.shredded",
        subject,
        "clés détruites : ces données sont effacées",
        "keys destroyed: this data is erased",
    )


def _told(code: str, subject: str, fault: Fault) -> Finding:
    return Finding("error", code, subject, fault.diagnostics("fr").what, fault.diagnostics("en").what)


def _wrong(code: str, subject: str, fr: str, en: str) -> Finding:
    return Finding("error", code, subject, fr, en)


def _warn(code: str, subject: str, fr: str, en: str) -> Finding:
    return Finding("warning", code, subject, fr, en)

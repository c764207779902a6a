"""Backups read back: which there are, what each holds, whether its objects are there and are what was written.

1. A record counts once the site's key is seen to have signed it; one that does not verify is told, never passed over.
2. The list is opened from sealed pieces, each held to the hash that the record gives.
3. `verify` looks at every object's length; with `read_all` it reads each, holds it to its name, and opens what is sealed.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from sovereign.backup import record
from sovereign.backup.errors import Altered, Forged, NoBackup
from sovereign.backup.record import Entry, Listing, Piece, Record, pieces_of
from sovereign.backup.target import DATA, RECORDS, Absent, Target, object_name, record_name
from vault.errors import Fault, Finding, VaultError
from vault.notes import Verifier

_READERS: Final = 4
_LARGEST: Final = record.PIECE + 2**20


def ids(target: Target) -> list[str]:
    """The names of the backups of a target, oldest first."""
    return sorted(
        name.removeprefix(RECORDS).removesuffix(".backup") for name in target.sizes(RECORDS) if name.endswith(".backup")
    )


def data_of(target: Target, id_: str) -> bytes:
    """The bytes of a record; errors: NoBackup, Forged."""
    data = bytearray()
    try:
        for chunk in target.get(record_name(id_)):
            data += chunk
            if len(data) > record.LIMIT:
                raise Forged(id=id_)
    except Absent:
        raise NoBackup(id=id_, target=target.name) from None
    return bytes(data)


def records(target: Target, verifier: Verifier) -> list[Record | Fault]:
    """The records of a target, oldest first; in the place of one that does not verify, its fault."""
    found: list[Record | Fault] = []
    for id_ in ids(target):
        try:
            found.append(record.opened(data_of(target, id_), id_, verifier))
        except Fault as fault:
            found.append(fault)
    return found


def latest(target: Target, id_: str | None) -> str:
    """The name given, or that of the newest backup; errors: NoBackup."""
    held = ids(target)
    if not held or (id_ is not None and id_ not in held):
        raise NoBackup(id=id_ or "-", target=target.name)
    return id_ or held[-1]


def opened_listing(target: Target, of: Record, key: bytes) -> Listing:
    """Open the list of a backup; errors: Altered, Forged."""
    plain = b"".join(plain_piece(target, piece, key, f"{of.id}.list") for piece in of.listing)
    try:
        listing = msgspec.json.decode(plain, type=Listing)
    except msgspec.DecodeError:
        raise Forged(id=of.id) from None
    if len(listing.files) != of.files or sum(each.bytes for each in listing.files) != of.bytes:
        raise Forged(id=of.id)
    return listing


def stored(target: Target, piece: Piece, file: str) -> Iterator[bytes]:
    """Give the bytes of an object; the last of them only once the whole is what its name says. Errors: Altered."""
    hashed, size, held = hashlib.sha256(), 0, b""
    try:
        for chunk in target.get(object_name(piece.sha256)):
            hashed.update(chunk)
            size += len(chunk)
            if held:
                yield held
            held = chunk
            if size > piece.bytes:
                break
    except Absent:
        raise altered(piece, file, "il manque", "it is missing") from None
    if size != piece.bytes:
        raise altered(piece, file, "sa longueur n'est pas celle inscrite", "its length is not the one written down")
    if hashed.hexdigest() != piece.sha256:
        raise altered(
            piece, file, "ses octets ne sont pas ceux que son nom annonce", "its bytes are not those its name announces"
        )
    if held:
        yield held


def plain_piece(target: Target, piece: Piece, key: bytes, file: str) -> bytes:
    """Open a sealed piece; errors: Altered."""
    if piece.bytes > _LARGEST:
        raise altered(piece, file, "trop long pour une pièce", "too long for a piece")
    data = b"".join(stored(target, piece, file))
    try:
        return record.unseal(key, piece, data)
    except VaultError:
        raise altered(piece, file, "le scellé ne s'ouvre pas", "its seal does not open") from None


def altered(piece: Piece, file: str, fr: str, en: str) -> Altered:
    """The fault of an object."""
    return Altered(object=piece.sha256[:16], file=file, reason_fr=fr, reason_en=en)


def rotten(target: Target) -> frozenset[str]:
    """The objects of a target whose bytes are not those that their names announce; errors: TargetFailed."""

    def differs(name: str) -> bool:
        hashed = hashlib.sha256()
        try:
            for chunk in target.get(name):
                hashed.update(chunk)
        except Absent:
            return True
        return object_name(hashed.hexdigest()) != name

    names = sorted(target.sizes(DATA))
    with ThreadPoolExecutor(_READERS, thread_name_prefix="verify") as pool:
        return frozenset(name for name, differ in zip(names, pool.map(differs, names), strict=True) if differ)


def verify(target: Target, id_: str, verifier: Verifier, key: bytes, *, read_all: bool = False) -> Iterator[Finding]:
    """Check a backup; what does not hold is told. read_all: read every object, not its length alone."""
    try:
        of = record.opened(data_of(target, id_), id_, verifier)
        listing = opened_listing(target, of, key)
    except Fault as fault:
        yield told(fault, id_)
        return
    sizes = target.sizes(DATA)
    for digest, (size, file) in pieces_of(listing.files).items():
        piece = Piece(digest, size)
        found = sizes.get(object_name(digest))
        if found is None:
            yield told(altered(piece, file, "il manque", "it is missing"), file)
        elif found != size:
            fr, en = "sa longueur n'est pas celle inscrite", "its length is not the one written down"
            yield told(altered(piece, file, fr, en), file)
    if read_all:
        yield from _read(target, listing.files, key, sizes)


def _read(target: Target, files: tuple[Entry, ...], key: bytes, sizes: dict[str, int]) -> Iterator[Finding]:
    seen = set[str]()
    for entry in files:
        for piece in entry.pieces:
            if piece.sha256 in seen or sizes.get(object_name(piece.sha256)) != piece.bytes:
                continue
            seen.add(piece.sha256)
            try:
                if piece.plain:
                    plain_piece(target, piece, key, entry.path)
                else:
                    for _ in stored(target, piece, entry.path):
                        pass
            except Altered as fault:
                yield told(fault, entry.path)


def told(fault: Fault, subject: str) -> Finding:
    """Tell a fault as a finding."""
    return Finding("error", fault.code, subject, fault.diagnostics("fr").what, fault.diagnostics("en").what)

"""What a backup says of itself: a signed record, and the sealed list of its files. Pure: bytes in, values out.

    record   signed note (vault.notes): one line of canonical JSON (RFC 8785), docs/formats/backup.md
    list     JSON of `Listing`, sealed in pieces as every readable file is

1. The record names the list's pieces by hash and length, the list those of each file: one signature covers every byte.
2. The record holds nothing of what is backed up but counts. Paths, hashes of contents and row counts are in the list, sealed.
3. A piece is an envelope under a key of the site (`keys.derive("backup")`), in a context that says its place in nothing: its
   name is its hash, and who names it is signed.
4. An unknown format is refused, never guessed.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from sovereign.audit.canonical import dumps
from sovereign.backup.errors import Forged
from vault import envelope, notes
from vault.errors import Corrupt, UnknownVersion, VaultError

FORMAT: Final = "sovereign-backup/1"
LIMIT: Final = notes.LIMIT
PIECE: Final = 4 * 2**20
"""Bytes of a readable file that one sealed piece holds."""
_CONTEXT: Final = b"sovereign-backup/1:piece"


class Piece(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An object: the SHA-256 of its bytes (hex), how many there are, and the SHA-256 of what it seals, "" when nothing."""

    sha256: str
    bytes: int
    plain: str = ""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A file: its path in the site, its length, when it was changed (ns), how it is kept, its pieces in order."""

    path: str
    bytes: int
    changed: int
    kept: Literal["as_is", "sealed"]
    pieces: tuple[Piece, ...]


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every file of a backup by path, and how many rows each table of `state.db` had."""

    files: tuple[Entry, ...]
    rows: dict[str, int]


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The audit log at that instant: its size and the checkpoint that was signed over it."""

    size: int
    checkpoint: str


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the site signs of a backup; `bytes`: of its files; `revision`: of the keyring that opens it."""

    format: str
    id: str
    site: str
    created: datetime
    version: str
    parent: str | None
    provider: str
    revision: int
    listing: tuple[Piece, ...]
    files: int
    bytes: int
    log: Log


class _Version(msgspec.Struct):
    format: str


def signed(record: Record, signer: notes.Signer) -> bytes:
    """Give the bytes of a record."""
    return notes.sign(dumps(msgspec.to_builtins(record)).decode() + "\n", signer).encode()


def unverified(data: bytes, id_: str) -> Record:
    """Read a record without believing it; errors: Forged, UnknownVersion."""
    try:
        text, _ = notes.split(data.decode(), id_)
        return _read(text, id_)
    except (UnicodeDecodeError, Corrupt):
        raise Forged(id=id_) from None


def opened(data: bytes, id_: str, verifier: notes.Verifier) -> Record:
    """Read a record that `verifier` must have signed; errors: Forged, UnknownVersion."""
    try:
        return _read(notes.verify(data.decode(), [verifier], what=id_), id_)
    except UnknownVersion:
        raise
    except (UnicodeDecodeError, VaultError):
        raise Forged(id=id_) from None


def _read(text: str, id_: str) -> Record:
    try:
        found = msgspec.json.decode(text, type=_Version).format
        if found != FORMAT:
            raise UnknownVersion(what=id_, found=found[:60])
        record = msgspec.json.decode(text, type=Record)
    except msgspec.DecodeError:
        raise Forged(id=id_) from None
    if record.id != id_:
        raise Forged(id=id_)
    return record


def digest(data: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def seal(key: bytes, data: bytes) -> bytes:
    """Seal a piece."""
    return envelope.seal(key, _CONTEXT, data)


def unseal(key: bytes, piece: Piece, data: bytes) -> bytes:
    """Open a piece; errors: those of `envelope.open`, Corrupt when it seals something else."""
    plain = envelope.open(key, _CONTEXT, data, what=piece.sha256)
    if digest(plain) != piece.plain:
        raise Corrupt(what=piece.sha256)
    return plain


def pieces_of(files: Iterable[Entry]) -> dict[str, tuple[int, str]]:
    """Every object that files need: its length, and the first path that needs it."""
    found: dict[str, tuple[int, str]] = {}
    for entry in files:
        for piece in entry.pieces:
            found.setdefault(piece.sha256, (piece.bytes, entry.path))
    return found

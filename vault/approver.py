"""An approver's own signing key: a file that only its holder opens, and that the gateway never sees.

    {"format": "sovereign-approver/1", "kdf": {…}, "sealed": base64 envelope of the seed, "vkey": NAME+id+key}

The public half (`vkey`, C2SP) is in clear, so that it can be handed over for enrolment without the passphrase; it is checked
against the seed when the file is opened, so nobody can make an approver sign under another name. Who holds the file and the
passphrase is the approver.
"""

import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from vault import envelope, files, notes
from vault.errors import AlreadyThere, BadName, Corrupt, UnknownVersion, WrongKey, WrongPassphrase
from vault.kdf import Kdf

FORMAT: Final = "sovereign-approver/1"
_LIMIT: Final = 16 * 1024


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    kdf: Kdf
    sealed: bytes
    vkey: str


class _Version(msgspec.Struct):
    format: str


def create(path: Path, name: str, passphrase: str, *, entropy: Callable[[int], bytes] = os.urandom) -> notes.Verifier:
    """Make a key under a name, in a new file; gives the public half.

    name: what the key signs under, without space or `+`. Errors: AlreadyThere, BadName.
    """
    if not passphrase:
        raise BadName(given="", expected_fr="une phrase secrète non vide", expected_en="a passphrase that is not empty")
    if path.exists():
        raise AlreadyThere(what=path.name)
    seed = entropy(32)
    verifier = notes.Signer(name, seed).verifier
    kdf = Kdf(entropy(32))
    sealed = envelope.seal(kdf.key(passphrase), _context(kdf, verifier.vkey), seed, entropy=entropy)
    files.write(path, msgspec.json.format(msgspec.json.encode(_File(FORMAT, kdf, sealed, verifier.vkey))) + b"\n", new=True)
    return verifier


def public(path: Path) -> notes.Verifier:
    """Give the public half of a key file. Errors: Corrupt, UnknownVersion, and OSError."""
    return notes.Verifier.parse(_read(path).vkey)


def unlock(path: Path, passphrase: str) -> notes.Signer:
    """Open a key file. Errors: WrongPassphrase, Corrupt, UnknownVersion, and OSError."""
    found = _read(path)
    try:
        seed = envelope.open(found.kdf.key(passphrase), _context(found.kdf, found.vkey), found.sealed, what=path.name)
    except WrongKey:
        raise WrongPassphrase(what=path.name) from None
    verifier = notes.Verifier.parse(found.vkey)
    if len(seed) != 32 or notes.Signer(verifier.name, seed).verifier != verifier:
        raise Corrupt(what=path.name)
    return notes.Signer(verifier.name, seed)


def fingerprint(verifier: notes.Verifier) -> str:
    """Name a public key so that two people can compare it: its C2SP key id, then the key in base64."""
    return verifier.key_id.hex() + "-" + b64encode(verifier.public).decode().rstrip("=")


def _context(kdf: Kdf, vkey: str) -> bytes:
    return kdf.context(FORMAT) + b":" + vkey.encode()


def _read(path: Path) -> _File:
    data = files.read(path, limit=_LIMIT)
    try:
        found = msgspec.json.decode(data, type=_Version).format
        if found != FORMAT:
            raise UnknownVersion(what=path.name, found=found[:60])
        read = msgspec.json.decode(data, type=_File)
    except msgspec.DecodeError:
        raise Corrupt(what=path.name) from None
    if not read.kdf.bounded():
        raise Corrupt(what=path.name)
    return read

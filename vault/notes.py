"""Signed notes: a text that people can read and that no one can alter, in the form of C2SP signed-note.

    text, ending with a newline
    (an empty line)
    — NAME base64(key id(4) || Ed25519 signature(64))

The key id is the first four bytes of SHA-256(NAME, newline, 0x01, public key), and a verifier is written as a `vkey`:
NAME+hex(key id)+base64(0x01 || public key). `verify` raises, never returns False: it gives the text only when one accepted
key at least has signed it well, and refuses it when a signature under an accepted key's name and id is wrong. Lines of
unknown signers are ignored, as the specification asks. Signing says who wrote, not when: time belongs to the text.
"""

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from dataclasses import dataclass
from hmac import compare_digest
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vault.errors import BadName, Corrupt, NotSigned

_ED25519: Final = b"\x01"
_SIGNATURES = 100
LIMIT = 16 * 1024 * 1024
"""The longest note that `verify` takes, in bytes."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key and the name that its owner signs under."""

    kind: ClassVar[bytes] = _ED25519
    """The byte that tells what this key's signatures are of (C2SP signed-note)."""
    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(c.isspace() or not c.isprintable() for c in self.name):
            raise BadName(given=self.name, expected_fr="un nom sans espace ni « + »", expected_en="a name without space or `+`")

    @property
    def key_id(self) -> bytes:
        """The four bytes that announce this key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key in one word, to be given to those who check: NAME+hex+base64."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self.kind + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a vkey; anything else is `Corrupt`."""
        try:
            name, key_id, material = vkey.strip().split("+", 2)
            raw = b64decode(material, validate=True)
        except (ValueError, NotBase64):
            raise Corrupt(what="vkey") from None
        if len(raw) != 33 or raw[:1] != cls.kind:
            raise Corrupt(what="vkey")
        verifier = cls(name, raw[1:])
        if not compare_digest(verifier.key_id.hex(), key_id):
            raise Corrupt(what="vkey")
        return verifier

    def check(self, text: str, signature: bytes) -> None:
        """Raise `NotSigned` unless this key signed `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            raise NotSigned(what="note", accepted=self.name) from None


class Signer:
    """A private Ed25519 key under a name; it never shows its seed."""

    __slots__ = ("_key", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw())

    @property
    def name(self) -> str:
        """The name it signs under."""
        return self.verifier.name

    def sign(self, text: str) -> bytes:
        """Sign the bytes of `text`: 64 bytes."""
        return self._key.sign(text.encode())


def sign(text: str, signer: Signer) -> str:
    """Give `text`, which ends with a newline and holds no other control character, with its signature line."""
    if not _writable(text):
        raise ValueError("a note is text that ends with a newline, without control characters")
    blob = b64encode(signer.verifier.key_id + signer.sign(text)).decode()
    return f"{text}\n— {signer.name} {blob}\n"


def verify(note: str, verifiers: Iterable[Verifier], *, what: str = "note") -> str:
    """Give the text of `note` once an accepted key is found to have signed it.

    Errors, naming `what`: `Corrupt` when this is no signed note, `NotSigned` when no accepted key signed it well.
    """
    accepted = {(v.name, v.key_id): v for v in verifiers}
    names = ", ".join(sorted(name for name, _ in accepted)) or "—"
    text, signatures = split(note, what)
    signed = False
    for name, blob in signatures:
        verifier = accepted.get((name, blob[:4]))
        if verifier is None:
            continue
        try:
            verifier.check(text, blob[4:])
        except NotSigned:
            raise NotSigned(what=what, accepted=names) from None
        signed = True
    if not signed:
        raise NotSigned(what=what, accepted=names)
    return text


def split(note: str, what: str = "note") -> tuple[str, list[tuple[str, bytes]]]:
    """Give the text of a note and its signatures as name and bytes, none of them checked; errors: `Corrupt`."""
    text, mark, tail = note.rpartition("\n\n")
    text += "\n"
    lines = tail.split("\n")
    if len(note) > LIMIT or not mark or lines.pop() != "" or not 1 <= len(lines) <= _SIGNATURES or not _writable(text):
        raise Corrupt(what=what)
    signatures = []
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            blob = b64decode(encoded, validate=True)
        except (ValueError, NotBase64):
            raise Corrupt(what=what) from None
        if dash != "—" or not name or len(blob) < 5:
            raise Corrupt(what=what)
        signatures.append((name, blob))
    return text, signatures


def _writable(text: str) -> bool:
    return text.endswith("\n") and not any(c < " " and c != "\n" for c in set(text))

"""Sealed records: many small bodies under one key, each bound to its number, each erasable alone.

    record     = version(1) || nonce(12) || AES-256-GCM(block key, nonce, plaintext, context || ":" || number)
    block key  = HKDF-SHA256(key, "sovereign-record/1:" || context || ":" || number // 65,536)

1. A key seals at most 65,536 numbers, under random nonces: a number sealed again, after a transaction that was undone, takes
   another.
2. `open` gives nothing before all is verified; a record put under another number, or altered, is `Corrupt`.
3. It commits to no key: whoever needs that holds the plaintext against a commitment of its own, as the audit log does.

An envelope (`vault.envelope`) costs a key derivation each and streams; this is for what is small and comes by the thousand.
Bytes and vectors: docs/formats/audit-body.md.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import Corrupt, UnknownVersion
from vault.hkdf import derive

NONCE: Final = 12
OVERHEAD: Final = 1 + NONCE + 16
"""Bytes that a record is longer than its plaintext."""
BLOCK: Final = 65_536
"""Numbers under one derived key."""
_VERSION: Final = b"\x01"


class Records:
    """Seals and opens the records of one series. key: 32 bytes; context: what the series is, bound and not stored."""

    def __init__(self, key: bytes, context: bytes) -> None:
        if len(key) != 32:
            raise ValueError("records take a key of 32 bytes")
        self._context = context + b":"
        label = b"sovereign-record/1:" + self._context
        self._cipher = lru_cache(maxsize=16)(lambda block: AESGCM(derive(key, label + b"%d" % block)))

    def seal(self, number: int, plaintext: bytes, nonce: bytes) -> bytes:
        """Seal the body of a number. nonce: 12 random bytes, never used before."""
        sealed = self._cipher(number // BLOCK).encrypt(nonce, plaintext, self._context + b"%d" % number)
        return _VERSION + nonce + sealed

    def open(self, number: int, sealed: bytes, *, what: str = "record") -> bytes:
        """Open it, wholly verified. Errors, naming `what`: `Corrupt`, `UnknownVersion`."""
        if len(sealed) < OVERHEAD:
            raise Corrupt(what=what)
        if sealed[:1] != _VERSION:
            raise UnknownVersion(what=what, found=f"sovereign-record/{sealed[0]}")
        try:
            nonce, body = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
            return self._cipher(number // BLOCK).decrypt(nonce, body, self._context + b"%d" % number)
        except InvalidTag:
            raise Corrupt(what=what) from None

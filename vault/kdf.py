"""A key out of a passphrase: scrypt (RFC 7914), with parameters that travel beside what it closes.

Slow on purpose (n=2^17, r=8, p=1: 128 MiB, about 0.4 s). Parameters read from a file are bounded before they are obeyed, and
the envelope is bound to them by its context, so that none can be lowered.
"""

import unicodedata
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt


class Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a passphrase becomes a key of 32 bytes. salt: 16 to 64 bytes."""

    salt: bytes
    name: Literal["scrypt"] = "scrypt"
    n: int = 2**17
    r: int = 8
    p: int = 1

    def bounded(self) -> bool:
        """Say whether these parameters are sane: at most 1 GiB and 16 passes, and n a power of two."""
        if self.n < 2 or self.n & (self.n - 1) or self.r < 1:
            return False
        return 1 <= self.p <= 16 and 128 * self.n * self.r <= 2**30 and 16 <= len(self.salt) <= 64

    def key(self, passphrase: str) -> bytes:
        """Derive the key, from the passphrase as NFKC UTF-8."""
        secret = unicodedata.normalize("NFKC", passphrase).encode()
        return Scrypt(salt=self.salt, length=32, n=self.n, r=self.r, p=self.p).derive(secret)

    def context(self, form: str) -> bytes:
        """What an envelope closed by the key is bound to: the file's format and these parameters."""
        return form.encode() + b":" + msgspec.json.encode(self)

"""A keyed hash of many values under one key: HMAC-SHA-256 (RFC 2104), its key set up once, for that costs more than hashing."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC


def digests(secret: bytes, values: Iterable[bytes], size: int) -> bytes:
    """Hash values under a secret, each cut to `size` bytes (at most 32); gives them one after the other."""
    copy = HMAC(secret, SHA256()).copy
    made = []
    for value in values:  # in one function: to call one a value costs as much as to hash it
        copied = copy()
        copied.update(value)
        made.append(copied.finalize()[:size])
    return b"".join(made)

"""A keyed hash of many values under one key: HMAC-SHA-256 (RFC 2104), its key set up once, for that costs more than hashing."""

from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC


def keyed(secret: bytes) -> Callable[[bytes], bytes]:
    """Give what hashes under a secret: from a value to 32 bytes."""
    base = HMAC(secret, SHA256())

    def digest(value: bytes) -> bytes:
        copied = base.copy()
        copied.update(value)
        return copied.finalize()

    return digest

"""Keys out of keys: HKDF-SHA256 (RFC 5869), always with a label, so that no two uses ever share a key."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(key: bytes, label: bytes, *, salt: bytes | None = None, length: int = 32) -> bytes:
    """Derive `length` bytes from `key` for the use that `label` names."""
    return HKDF(SHA256(), length, salt, label).derive(key)

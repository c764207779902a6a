"""The public side of the recovery kit: seal a key so that only the holders of enough shares can open it.

Each key is sealed by HPKE (RFC 9180, base mode, X25519, HKDF-SHA256, AES-256-GCM) to the kit's public key, bound to its
record's identity. HPKE hides and does not authenticate, so two tags close the ring against someone who can write to `keys/`:

- `mac`, by the site key over the kit: Sovereign never seals a key to a public key that it did not put there itself;
- `proof`, by the recovery key over the site key, and in each sealed record a tag by the site key over the record's key: a
  restore takes back no key that an attacker chose.
"""

import hmac
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from vault.errors import Corrupt
from vault.hkdf import derive
from vault.keyring import Kit, Record

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def make(kit_id: str, private: bytes, site: bytes, *, threshold: int, shares: int, created: datetime) -> Kit:
    """Make the kit of a recovery key (32 bytes, X25519) for the site key `site`."""
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    kit = Kit(kit_id, created, threshold, shares, public, proof=_proof(private, site), mac=b"")
    return msgspec.structs.replace(kit, mac=_mac(kit, site))


def check(kit: Kit, site: bytes) -> None:
    """Raise `Corrupt` unless this site made this kit."""
    if not hmac.compare_digest(kit.mac, _mac(kit, site)):
        raise Corrupt(what="keyring.json: kit")


def seal(kit: Kit, record: Record, key: bytes, site: bytes) -> bytes:
    """Seal the key of a record to the kit: 112 bytes for a key of 32."""
    tag = _tag(record, key, site)
    return _SUITE.encrypt(key + tag, X25519PublicKey.from_public_bytes(kit.public), info=record.context())


def owns(kit: Kit, private: bytes) -> bool:
    """Say whether a recovery key is this kit's."""
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return hmac.compare_digest(public, kit.public)


def open_site(kit: Kit, record: Record, private: bytes) -> bytes:
    """Open the site key, which proves the others."""
    site = _open(record, private)[:32]
    if not hmac.compare_digest(kit.proof, _proof(private, site)):
        raise Corrupt(what=f"keyring.json: {record.id}")
    return site


def open_record(record: Record, private: bytes, site: bytes) -> bytes:
    """Open the key of a record: `Corrupt` when it is not the one that this site sealed."""
    opened = _open(record, private)
    if not hmac.compare_digest(opened[32:], _tag(record, opened[:32], site)):
        raise Corrupt(what=f"keyring.json: {record.id}")
    return opened[:32]


def _open(record: Record, private: bytes) -> bytes:
    try:
        return _SUITE.decrypt(record.sealed, X25519PrivateKey.from_private_bytes(private), info=record.context())
    except (InvalidTag, ValueError):
        raise Corrupt(what=f"keyring.json: {record.id}") from None


def _mac(kit: Kit, site: bytes) -> bytes:
    said = msgspec.json.encode(msgspec.structs.replace(kit, mac=b""))
    return hmac.digest(derive(site, b"sovereign-kit-mac/1"), said, "sha256")


def _proof(private: bytes, site: bytes) -> bytes:
    return hmac.digest(derive(private, b"sovereign-kit-proof/1"), site, "sha256")


def _tag(record: Record, key: bytes, site: bytes) -> bytes:
    return hmac.digest(derive(site, b"sovereign-kit-record/1"), record.context() + key, "sha256")

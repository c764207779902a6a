"""The keyring as a whole: nothing in it was added, dropped, altered or turned back one by one since this site wrote it.

    mac = HMAC-SHA256(HKDF(site key, "sovereign-keyring-mac/1"), the keyring as compact JSON, `mac` empty)

Only who opens the site key can make it, so it covers what no other tag does: which records there are, their states, the bytes
sealed to the kit, the revision. It cannot tell a whole keyring of former times from that of today. Layout:
docs/formats/keyring.md.
"""

import hmac

import msgspec

from vault.errors import Corrupt
from vault.hkdf import derive
from vault.keyring import Keyring


def bind(keyring: Keyring, site: bytes) -> Keyring:
    """Give the keyring with its MAC, under the site key `site`."""
    return msgspec.structs.replace(keyring, mac=_mac(keyring, site))


def check(keyring: Keyring, site: bytes) -> None:
    """Raise `Corrupt` unless this site wrote this keyring, all of it."""
    if not hmac.compare_digest(keyring.mac, _mac(keyring, site)):
        raise Corrupt(what="keyring.json")


def _mac(keyring: Keyring, site: bytes) -> bytes:
    said = msgspec.json.encode(msgspec.structs.replace(keyring, mac=b""))
    return hmac.digest(derive(site, b"sovereign-keyring-mac/1"), said, "sha256")

"""The keys by which an SSH server is known: `network.host_key`, one a line, as OpenSSH writes them.

1. A line is a fingerprint (`SHA256:…`, RFC 4648 base64 without padding, as `ssh-keygen -l` prints it, its other words kept or
   not) or a public key (`ssh-ed25519 AAAA…`, as in a `.pub` or `known_hosts` file, a host before it or not).
2. Nothing else is understood, and a server that shows another key is not spoken to: there is no first use to trust.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

FAMILIES: Final = ("ed25519", "ecdsa", "rsa")
"""The kinds of keys that a server may show, the preferred one first."""
_PRINT: Final = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?(?=\s|\Z)")
_KEY: Final = re.compile(
    r"\b(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521))\s+(AAAA[A-Za-z0-9+/]{40,3000}={0,2})(?=\s|\Z)"
)
_FAMILY: Final = re.compile(r"ed25519|ecdsa|rsa", re.IGNORECASE)
_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class HostKey:
    """One key: its fingerprint (`SHA256:…`), and its family where the line tells."""

    fingerprint: str
    family: str | None = None


def host_keys(text: str) -> tuple[HostKey, ...]:
    """Read `network.host_key`; errors: ValueError when a line is neither a fingerprint nor a key, or there are none."""
    found = tuple(_line(line.strip()) for line in text.splitlines() if line.strip())
    if not 0 < len(found) <= _MOST:
        raise ValueError
    return found


def fingerprint(key: bytes) -> str:
    """The fingerprint of a public key in its wire form (RFC 4253 section 6.6), as OpenSSH writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def known(keys: tuple[HostKey, ...], shown: str) -> bool:
    """Whether a fingerprint is one of these keys'."""
    return sum(compare_digest(key.fingerprint.encode(), shown.encode()) for key in keys) > 0


def _line(line: str) -> HostKey:
    key = _KEY.search(line)
    if key is not None:
        family = _FAMILY.search(key[0])
        try:
            return HostKey(fingerprint(base64.b64decode(key[1], validate=True)), family and family[0].lower())
        except binascii.Error:
            raise ValueError from None
    shown = _PRINT.search(line)
    if shown is None:
        raise ValueError
    family = _FAMILY.search(line.replace(shown[0], " "))
    return HostKey(f"SHA256:{shown[1]}", family and family[0].lower())

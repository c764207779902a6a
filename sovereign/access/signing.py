"""The secrets that sign what this site tells to others: one a receiver, shown once, sealed by the vault.

After a rotation the former one signs beside the new one for `OVERLAP`, so that a receiver changes when it can.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from sovereign.access.errors import BadRight
from sovereign.clock import Clock
from vault.secrets import Secrets

OVERLAP: Final = timedelta(days=1)
PREFIX: Final = "whsec_"
"""What a secret begins with as text (Standard Webhooks)."""
LEAST, MOST = 24, 64
"""Bytes of a key that someone gives (Standard Webhooks)."""


class _Kept(msgspec.Struct, frozen=True):
    """The secrets at rest, sealed."""

    current: bytes
    former: bytes | None = None
    until: datetime | None = None


class Signing:
    """The secrets of one kind of receivers. shelf: where they lie, in place of a connection: a name that none can bear."""

    def __init__(self, secrets: Secrets, shelf: str, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._secrets, self._shelf, self._clock, self._entropy = secrets, shelf, clock, entropy

    def names(self) -> frozenset[str]:
        """The receivers that have one."""
        return frozenset(self._secrets.names(self._shelf))

    def make(self, name: str, key: bytes | None = None) -> str:
        """Make a first secret, or keep one that is given; gives it as text, to be shown once."""
        return self._keep(name, _Kept(key or self._entropy(32)))

    def renew(self, name: str, until: datetime, key: bytes | None = None) -> str:
        """Put a new one in its place; the former signs too until an instant. Errors: NoSecret."""
        return self._keep(name, _Kept(key or self._entropy(32), self._kept(name).current, until))

    def keys(self, name: str) -> tuple[bytes, ...]:
        """The keys that sign at this instant, the newest first. Errors: NoSecret."""
        kept = self._kept(name)
        late = kept.until is None or kept.until <= self._clock()
        return (kept.current,) if kept.former is None or late else (kept.current, kept.former)

    def remove(self, name: str) -> None:
        """Forget it; errors: NoSecret."""
        self._secrets.remove(self._shelf, name)

    def _kept(self, name: str) -> _Kept:
        return msgspec.msgpack.decode(self._secrets.get(self._shelf, name), type=_Kept)

    def _keep(self, name: str, kept: _Kept) -> str:
        self._secrets.put(self._shelf, name, msgspec.msgpack.encode(kept))
        return PREFIX + b64encode(kept.current).decode()


def key_of(text: bytes) -> bytes:
    """The key that a secret says as text. Errors: BadRight, which does not repeat it."""
    try:
        key = b64decode(text.strip().removeprefix(PREFIX.encode()), validate=True)
    except ValueError:
        key = b""
    if not LEAST <= len(key) <= MOST:
        raise BadRight(
            field="secret",
            expected_fr=f"attendu : « {PREFIX} » et de {LEAST} à {MOST} octets en base64",
            expected_en=f"expected `{PREFIX}` and {LEAST} to {MOST} bytes in base64",
        )
    return key

"""Masters that this process may hold: what the three schemes of this machine share.

    masters   = newest first, 32 random bytes each, as {"format": "sovereign-master/1", "masters": [base64, …]}
    wrapped   = 0x01 || master id(16) || nonce(12) || AES-256-GCM(wrapping key, nonce, key, context)

The master id and the wrapping key come from the master by HKDF under two labels. The id says which generation wrapped, tells a
foreign master from damage, and commits to the key.

A `Store` is where a scheme keeps them. Masters are read again before each wrap, and whenever an unknown id is met, so
that a long-lived process follows a rotation made by another.
"""

import os
from contextlib import AbstractContextManager
from hmac import compare_digest
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import Corrupt, UnknownVersion, WrongKey
from vault.hkdf import derive

FORMAT = "sovereign-master/1"
_VERSION = b"\x01"
_WRAPPED = 77

Masters = tuple[bytes, ...]


class Store(Protocol):
    """Where a scheme keeps the masters of a site."""

    def load(self) -> Masters:
        """Read them, newest first."""
        ...

    def save(self, masters: Masters) -> None:
        """Replace them, durably and whole."""
        ...

    def alone(self) -> AbstractContextManager[object]:
        """Keep other writers out, from reading what there is to replacing it."""
        ...


class LocalProvider:
    """A provider whose masters are loaded into this process from a store."""

    def __init__(self, uri: str, store: Store, masters: Masters) -> None:
        self.uri = uri
        self._store = store
        self._masters = masters

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap `key` under the newest master."""
        self._masters = self._store.load()
        master, nonce = self._masters[0], os.urandom(12)
        return _VERSION + _id(master) + nonce + _cipher(master).encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap what any kept master wrapped."""
        if wrapped[:1] not in (b"", _VERSION):
            raise UnknownVersion(what="wrapped key", found=str(wrapped[0]))
        if len(wrapped) != _WRAPPED:
            raise Corrupt(what="wrapped key")
        try:
            return _cipher(self._find(wrapped[1:17])).decrypt(wrapped[17:29], wrapped[29:], context)
        except InvalidTag:
            raise WrongKey(what="wrapped key") from None

    def rotate(self) -> None:
        """Put a new master before the others."""
        with self._store.alone():
            self._store.save((os.urandom(32), *self._store.load()))
            self._masters = self._store.load()

    def retire(self) -> None:
        """Keep the newest master alone."""
        with self._store.alone():
            self._store.save(self._store.load()[:1])
            self._masters = self._store.load()

    def _find(self, master_id: bytes) -> bytes:
        for attempt in (self._masters, ()):
            self._masters = attempt or self._store.load()
            for master in self._masters:
                if compare_digest(_id(master), master_id):
                    return master
        raise WrongKey(what="wrapped key")


def encode(masters: Masters) -> bytes:
    """Give the bytes that a store keeps."""
    return msgspec.json.encode(_Masters(FORMAT, masters))


def decode(data: bytes, what: str) -> Masters:
    """Read the bytes that a store kept; `Corrupt` and `UnknownVersion` name `what`."""
    try:
        kept = msgspec.json.decode(data, type=_Masters)
    except msgspec.DecodeError:
        raise Corrupt(what=what) from None
    if kept.format != FORMAT:
        raise UnknownVersion(what=what, found=kept.format[:60])
    return checked(kept.masters, what)


def checked(masters: Masters, what: str) -> Masters:
    """Give masters that are whole: one at least, 32 bytes each."""
    if not masters or any(len(master) != 32 for master in masters):
        raise Corrupt(what=what)
    return masters


class _Masters(msgspec.Struct, frozen=True):
    format: str
    masters: tuple[bytes, ...]


def _id(master: bytes) -> bytes:
    return derive(master, b"sovereign-master-id/1", length=16)


def _cipher(master: bytes) -> AESGCM:
    return AESGCM(derive(master, b"sovereign-master-wrap/1"))

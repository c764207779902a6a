"""`file:PATH`: the masters in a file, sealed by a passphrase through scrypt (RFC 7914).

    {"format": "sovereign-keystore/1", "kdf": {"name": "scrypt", "n", "r", "p", "salt"}, "sealed": base64 envelope}

The envelope's key is scrypt(passphrase as NFKC UTF-8, salt) and its context binds the parameters, so none can be lowered.
scrypt (n=2^17, r=8, p=1: 128 MiB, about 0.4 s) runs once an opening; then the derived key is kept, so that a rotation made
elsewhere is followed without asking again. Parameters from the file are bounded before they are obeyed.
"""

import os
import unicodedata
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vault import envelope, files
from vault.errors import AlreadyThere, BadName, Corrupt, ProviderError, Sealed, UnknownVersion, WrongKey, WrongPassphrase
from vault.providers import Passphrase
from vault.providers.local import LocalProvider, Masters, decode, encode

FORMAT = "sovereign-keystore/1"
_LIMIT = 64 * 1024


class _Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
        """Derive the envelope's key: slow on purpose."""
        secret = unicodedata.normalize("NFKC", passphrase).encode()
        return Scrypt(salt=self.salt, length=32, n=self.n, r=self.r, p=self.p).derive(secret)

    def context(self) -> bytes:
        """What the envelope is bound to."""
        return FORMAT.encode() + b":" + msgspec.json.encode(self)


class _Keystore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    kdf: _Kdf
    sealed: bytes


class _Version(msgspec.Struct):
    format: str


class _FileStore:
    def __init__(self, uri: str, path: Path, passphrase: Passphrase) -> None:
        self._uri, self._path, self._passphrase = uri, path, passphrase
        self._kdf: _Kdf | None = None
        self._key = b""

    def create(self, masters: Masters) -> None:
        if self._path.exists():
            raise AlreadyThere(what=self._path.name)
        self._kdf = _Kdf(os.urandom(32))
        self._key = self._kdf.key(self._ask())
        files.write(self._path, self._seal(self._kdf, masters), new=True)

    def change(self, passphrase: Passphrase) -> None:
        self.load()
        former, self._passphrase = self._passphrase, passphrase
        kdf = _Kdf(os.urandom(32))
        key = kdf.key(self._ask())
        self._passphrase = former
        # Read again, now that nobody is awaited: a rotation made meanwhile must not be undone, its master is in use.
        with self.alone():
            masters = self.load()
            self._passphrase, self._kdf, self._key = passphrase, kdf, key
            files.write(self._path, self._seal(kdf, masters))

    def load(self) -> Masters:
        keystore = self._read()
        if keystore.kdf != self._kdf:
            self._kdf, self._key = keystore.kdf, keystore.kdf.key(self._ask())
        try:
            return decode(
                envelope.open(self._key, keystore.kdf.context(), keystore.sealed, what=self._path.name), self._path.name
            )
        except WrongKey:
            self._kdf = None
            raise WrongPassphrase(what=self._path.name) from None

    def save(self, masters: Masters) -> None:
        self.load()
        assert self._kdf is not None  # noqa: S101 - load sets it
        files.write(self._path, self._seal(self._kdf, masters))

    def alone(self) -> AbstractContextManager[None]:
        return files.locked(self._path.with_name(f".{self._path.name}.lock"))

    def _seal(self, kdf: _Kdf, masters: Masters) -> bytes:
        sealed = envelope.seal(self._key, kdf.context(), encode(masters))
        return msgspec.json.format(msgspec.json.encode(_Keystore(FORMAT, kdf, sealed))) + b"\n"

    def _read(self) -> _Keystore:
        try:
            data = files.read(self._path, limit=_LIMIT)
        except FileNotFoundError:
            where = self._path.name
            raise ProviderError(uri=self._uri, reason_fr=f"{where} n'existe pas", reason_en=f"{where} does not exist") from None
        try:
            found = msgspec.json.decode(data, type=_Version).format
            if found != FORMAT:
                raise UnknownVersion(what=self._path.name, found=found[:60])
            keystore = msgspec.json.decode(data, type=_Keystore)
        except msgspec.DecodeError:
            raise Corrupt(what=self._path.name) from None
        if not keystore.kdf.bounded():
            raise Corrupt(what=self._path.name)
        return keystore

    def _ask(self) -> str:
        if self._passphrase is None:
            raise Sealed(what=self._path.name)
        passphrase = self._passphrase()
        if not passphrase:
            raise BadName(given="", expected_fr="une phrase secrète non vide", expected_en="a passphrase that is not empty")
        return passphrase


def create(uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> LocalProvider:
    """Make a master in a new file."""
    store, masters = _FileStore(uri, directory / place, passphrase), (os.urandom(32),)
    store.create(masters)
    return LocalProvider(uri, store, masters)


def open(uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> LocalProvider:  # noqa: A001 - as the port says
    """Open the file at `place`."""
    store = _FileStore(uri, directory / place, passphrase)
    return LocalProvider(uri, store, store.load())


def change_passphrase(place: str, *, passphrase: Passphrase, new: Passphrase, directory: Path) -> None:
    """Seal the same masters under another passphrase. Whoever copied the file still opens that copy with the former one."""
    _FileStore(f"file:{place}", directory / place, passphrase).change(new)

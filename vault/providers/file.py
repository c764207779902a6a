"""`file:PATH`: the masters in a file, sealed by a passphrase through scrypt (RFC 7914).

    {"format": "sovereign-keystore/1", "kdf": {"name": "scrypt", "n", "r", "p", "salt"}, "sealed": base64 envelope}

The envelope's key is scrypt(passphrase as NFKC UTF-8, salt) and its context binds the parameters, so none can be lowered.
scrypt (n=2^17, r=8, p=1: 128 MiB, about 0.4 s) runs once an opening; then the derived key is kept, so that a rotation made
elsewhere is followed without asking again. Parameters from the file are bounded before they are obeyed.
"""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from vault import envelope, files
from vault.errors import AlreadyThere, BadName, Corrupt, ProviderError, Sealed, UnknownVersion, WrongKey, WrongPassphrase
from vault.kdf import Kdf
from vault.providers import Passphrase
from vault.providers.local import LocalProvider, Masters, decode, encode

FORMAT = "sovereign-keystore/1"
_LIMIT = 64 * 1024


class _Keystore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    kdf: Kdf
    sealed: bytes


class _Version(msgspec.Struct):
    format: str


class _FileStore:
    def __init__(self, uri: str, path: Path, passphrase: Passphrase) -> None:
        self._uri, self._path, self._passphrase = uri, path, passphrase
        self._kdf: Kdf | None = None
        self._key = b""

    def create(self, masters: Masters) -> None:
        if self._path.exists():
            raise AlreadyThere(what=self._path.name)
        self._kdf = Kdf(os.urandom(32))
        self._key = self._kdf.key(self._ask())
        files.write(self._path, self._seal(self._kdf, masters), new=True)

    def change(self, passphrase: Passphrase) -> None:
        self.load()
        former, self._passphrase = self._passphrase, passphrase
        kdf = Kdf(os.urandom(32))
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
                envelope.open(self._key, keystore.kdf.context(FORMAT), keystore.sealed, what=self._path.name), self._path.name
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

    def _seal(self, kdf: Kdf, masters: Masters) -> bytes:
        sealed = envelope.seal(self._key, kdf.context(FORMAT), encode(masters))
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

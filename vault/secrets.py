"""Vendor secrets at rest: one sealed file a secret, opened only for the connection and the name it was stored under.

    CONNECTION/NAME.secret   {"format": "sovereign-secret/1", "wrapped": {"kek", "key"}, "sealed": base64 envelope}

The data key belongs to the scope (connection, `secret`, `always`): destroying it erases the secrets of a connection. A secret
moved to another connection or name does not open. Values are bytes, at most 64 KiB; they are never logged, shown or listed.
"""

import re
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from vault import envelope, files
from vault.errors import BadName, Corrupt, NoSecret, UnknownVersion
from vault.keys import Keys, Scope, Wrapped

FORMAT = "sovereign-secret/1"
LIMIT = 64 * 1024
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    wrapped: Wrapped
    sealed: bytes


class _Version(msgspec.Struct):
    format: str


class Secrets:
    """The secrets of a site, under `directory`."""

    def __init__(self, keys: Keys, directory: Path) -> None:
        self._keys = keys
        self._directory = directory

    def put(self, connection: str, name: str, value: bytes) -> None:
        """Seal `value` (at most 64 KiB) under a name, in the place of a former value."""
        path, context = self._path(connection, name), _context(connection, name)
        if len(value) > LIMIT:
            raise BadName(given=name, expected_fr="un secret de 64 Kio au plus", expected_en="a secret of at most 64 KiB")
        with self._writing():
            key, wrapped = self._keys.new_data_key(Scope(connection, "secret", "always"), context)
            self._write(path, _Stored(FORMAT, wrapped, envelope.seal(key, context, value)))

    def get(self, connection: str, name: str) -> bytes:
        """Open a secret; `NoSecret` when there is none of that name, `Shredded` when its key was destroyed."""
        stored, context = self._read(connection, name), _context(connection, name)
        return envelope.open(
            self._keys.unwrap(stored.wrapped, context), context, stored.sealed, what=f"{connection}/{name}.secret"
        )

    def names(self, connection: str) -> list[str]:
        """Give the names of a connection's secrets, in order."""
        return sorted(path.stem for path in self._path(connection, "any").parent.glob("*.secret") if _NAME.fullmatch(path.stem))

    def changed(self, connection: str) -> int:
        """Give an instant of the disk's clock that moves when a secret of a connection is stored or removed; 0 without any."""
        try:
            return self._path(connection, "any").parent.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def remove(self, connection: str, name: str) -> None:
        """Remove a secret; `NoSecret` when there is none of that name."""
        path = self._path(connection, name)
        try:
            with self._writing():
                files.remove(path)
        except FileNotFoundError:
            raise NoSecret(connection=connection, name=name) from None

    def rewrap(self) -> int:
        """Put every data key under the newest generation of its scope; give the count of files changed."""
        changed = 0
        with self._writing():
            for connection, name in self._all():
                stored, context = self._read(connection, name), _context(connection, name)
                if not self._keys.is_current(stored.wrapped):
                    rewrapped = self._keys.rewrap(stored.wrapped, context)
                    self._write(self._path(connection, name), msgspec.structs.replace(stored, wrapped=rewrapped))
                    changed += 1
        return changed

    def keks_in_use(self) -> set[str]:
        """Give the ids of the key-encryption keys that some secret needs."""
        with self._writing():
            return {self._read(connection, name).wrapped.kek for connection, name in self._all()}

    def _writing(self) -> AbstractContextManager[None]:
        """One writer at a time, from taking a data key to storing it: `keks_in_use` after `rewrap` then misses none."""
        return files.locked(self._directory / ".lock")

    def _all(self) -> list[tuple[str, str]]:
        connections = (path.name for path in self._directory.glob("*") if path.is_dir() and _NAME.fullmatch(path.name))
        return [(connection, name) for connection in sorted(connections) for name in self.names(connection)]

    def _path(self, connection: str, name: str) -> Path:
        for given in (connection, name):
            if not _NAME.fullmatch(given):
                expected = "[a-z][a-z0-9_-]{0,62}"
                raise BadName(given=given[:80], expected_fr=f"attendu {expected}", expected_en=f"expected {expected}")
        return self._directory / connection / f"{name}.secret"

    def _write(self, path: Path, stored: _Stored) -> None:
        files.write(path, msgspec.json.encode(stored) + b"\n")

    def _read(self, connection: str, name: str) -> _Stored:
        what = f"{connection}/{name}.secret"
        try:
            data = files.read(self._path(connection, name), limit=4 * LIMIT)
            found = msgspec.json.decode(data, type=_Version).format
            if found != FORMAT:
                raise UnknownVersion(what=what, found=found[:60])
            return msgspec.json.decode(data, type=_Stored)
        except FileNotFoundError:
            raise NoSecret(connection=connection, name=name) from None
        except msgspec.DecodeError:
            raise Corrupt(what=what) from None


def _context(connection: str, name: str) -> bytes:
    return f"sovereign-secret/1:{connection}/{name}".encode()

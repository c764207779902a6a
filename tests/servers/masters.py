"""A key provider for tests: the real wrapping over masters kept in memory, which dies on demand."""

import secrets
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from vault.providers.local import LocalProvider, Masters


class Stopped(BaseException):
    """The process died here."""


class MemoryStore:
    def __init__(self) -> None:
        self.masters: Masters = (secrets.token_bytes(32),)

    def load(self) -> Masters:
        return self.masters

    def save(self, masters: Masters) -> None:
        self.masters = masters

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()


class FileStore(MemoryStore):
    """Masters in a file of a folder, in clear: no passphrase to stretch, and another process opens what one made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "masters"
        if not self._path.exists():
            self.save((secrets.token_bytes(32),))
        held = self._path.read_bytes()
        self.masters = tuple(held[at : at + 32] for at in range(0, len(held), 32))

    def save(self, masters: Masters) -> None:
        self._path.write_bytes(b"".join(masters))
        self.masters = masters


class Mortal(LocalProvider):
    """A provider whose process dies at the act number `lives` (never when None)."""

    def __init__(self, store: MemoryStore | None = None, lives: int | None = None) -> None:
        self.store = store or MemoryStore()
        self.lives = lives
        super().__init__("memory:test", self.store, self.store.masters)

    def _act(self) -> None:
        if self.lives is not None:
            self.lives -= 1
            if self.lives < 0:
                raise Stopped

    def wrap(self, key: bytes, context: bytes) -> bytes:
        self._act()
        return super().wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        self._act()
        return super().unwrap(wrapped, context)

    def rotate(self) -> None:
        self._act()
        super().rotate()

    def retire(self) -> None:
        self._act()
        super().retire()

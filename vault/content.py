"""Bytes that may be too many to hold: what can be read little by little, wherever they are."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

BLOCK: Final = 1 << 20
"""Bytes that are read at once."""


class Content(Protocol):
    """Bytes put aside: whole, verified as they are read."""

    @property
    def size(self) -> int:
        """Their number."""
        ...

    @property
    def sha256(self) -> str:
        """Their SHA-256, in hexadecimal."""
        ...

    def open(self) -> BinaryIO:
        """Begin to read, from anywhere; any number of readers may read at once."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes in memory, seen as a `Content`."""

    body: bytes

    @property
    def size(self) -> int:
        """Their number."""
        return len(self.body)

    @property
    def sha256(self) -> str:
        """Their SHA-256, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()

    def open(self) -> BinaryIO:
        """Begin to read."""
        return io.BytesIO(self.body)


def blocks(content: Content, size: int = BLOCK) -> Iterator[bytes]:
    """Give the bytes in order, `size` at a time."""
    with content.open() as file:
        while block := file.read(size):
            yield block

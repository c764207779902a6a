"""A spool: bytes on their way that are too many to be held, put aside sealed in a file without a name.

1. What is small stays in memory. The rest goes to a file of its owner alone (0600), sealed as it is written (`envelope`) under
   a key that only this process ever holds: nothing readable touches the disk.
2. The file has no name: made without one, or unlinked before a byte is in it. Whatever ends the process ends the file, so
   nothing is left to sweep.
3. It is written once, closed, then read as often as wanted, from anywhere in it, each reader at a place of its own. A chunk
   that was altered meanwhile is `Corrupt`, and never other bytes.
"""

import hashlib
import io
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from vault import envelope
from vault.envelope import CHUNK, HEADER, TAG
from vault.errors import Corrupt, NotSpooled

SMALL: Final = 2 << 20
"""Bytes that stay in memory."""
_CONTEXT: Final = b"spool"
_AHEAD: Final = 8 * CHUNK
_BLOCK: Final = CHUNK + TAG


class Spool:
    """Takes bytes as they come. folder: where the file is made, None to keep all in memory; small: bytes."""

    def __init__(self, folder: Path | None, small: int = SMALL) -> None:
        self._folder, self._small = folder, small
        self._held = io.BytesIO()
        self._digest = hashlib.sha256()
        self._sink: _Sink | None = None
        self._sealer: envelope.Sealer | None = None
        self._key = b""
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take bytes; errors: NotSpooled."""
        self._digest.update(data)
        self.size += len(data)
        try:
            if self._sealer is None and (self._folder is None or self.size <= self._small):
                return self._held.write(data)
            if self._sealer is None and self._folder is not None:
                self._key = os.urandom(32)
                self._sink = _Sink(self._folder)
                self._sealer = envelope.Sealer(self._key, _CONTEXT, self._sink)
                self._sealer.write(self._held.getbuffer())
                self._held = io.BytesIO()
            if self._sealer is not None:
                self._sealer.write(data)
        except OSError as error:
            raise NotSpooled(error=type(error).__name__) from error
        return len(data)

    def close(self) -> "Spooled":
        """Give what was written, to be read; errors: NotSpooled."""
        try:
            if self._sealer is not None:
                self._sealer.close()
        except OSError as error:
            raise NotSpooled(error=type(error).__name__) from error
        return Spooled(self.size, self._digest.hexdigest(), self._held, self._sink, self._key)


class Spooled:
    """Bytes that were put aside. size: bytes; sha256: hexadecimal. They are there as long as this is, or a reader of it."""

    def __init__(self, size: int, sha256: str, held: io.BytesIO, sink: "_Sink | None", key: bytes) -> None:
        self.size, self.sha256 = size, sha256
        self._held, self._sink, self._key = held, sink, key

    @property
    def held(self) -> bytes | None:
        """The bytes, when they are in memory; None when they are in a file."""
        return self._held.getvalue() if self._sink is None else None

    @property
    def parted(self) -> "tuple[bytes, Spooled | None]":
        """The bytes, when they are in memory; else none, and this."""
        held = self.held
        return (b"", self) if held is None else (held, None)

    def open(self) -> BinaryIO:
        """Begin to read; any number may read at once. Reading raises `Corrupt` for what was altered."""
        if self._sink is None:
            return io.BytesIO(self._held.getvalue())
        return cast(BinaryIO, io.BufferedReader(_Window(self._sink, self._key, self.size), _AHEAD))


class _Sink:
    """A file without a name."""

    def __init__(self, folder: Path) -> None:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            self.handle = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.handle)

    def write(self, data: memoryview, /) -> None:
        while data:
            data = data[os.write(self.handle, data) :]


class _Window(io.RawIOBase):
    """The bytes of an envelope, from anywhere."""

    def __init__(self, sink: _Sink, key: bytes, size: int) -> None:
        self._sink, self._size, self._at = sink, size, 0
        self._cipher = envelope.resumed(key, _CONTEXT, os.pread(sink.handle, HEADER, 0), "spool")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer, as io asks
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._at, _AHEAD)
        if wanted <= 0:
            return 0
        first, last = self._at // CHUNK, (self._at + wanted - 1) // CHUNK
        sealed = memoryview(os.pread(self._sink.handle, (last - first + 1) * _BLOCK, HEADER + first * _BLOCK))
        final, done = (self._size - 1) // CHUNK, 0
        for number in range(first, last + 1):
            block = sealed[(number - first) * _BLOCK : (number - first + 1) * _BLOCK]
            chunk = memoryview(envelope.decrypted(self._cipher, number, block, number == final, "spool"))
            piece = chunk[self._at - number * CHUNK :][: wanted - done]
            if not piece:
                raise Corrupt(what="spool")
            view[done : done + len(piece)] = piece
            done, self._at = done + len(piece), self._at + len(piece)
        return done

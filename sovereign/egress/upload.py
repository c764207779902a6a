"""A body on its way out: in hand, or streamed from whoever sends it, within a cap; it remembers how it broke off.

A source that is a function can be read again from its beginning: for a request of which the vendor took nothing (401).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Final

Source = AsyncIterator[bytes] | Callable[[], AsyncIterator[bytes]]
SLOWEST: Final = 64 * 1024
"""Bytes a second that a vendor must take of a streamed body, on the whole, beside the time that any request has."""

_SLICE: Final = 256 * 1024


class Upload:
    """A streamed body. length: bytes, when it was announced; cap: the most that may pass, in bytes."""

    def __init__(self, source: Source, length: int | None, cap: int) -> None:
        self._open = source if callable(source) else None
        self._source = source() if callable(source) else source
        self.length, self._cap = length, cap
        self._first: bytes | None = None
        self._begun = False
        self.broke: str | None = None

    @property
    def repeats(self) -> bool:
        """Whether it can begin again."""
        return self._open is not None

    async def begin(self) -> None:
        """Wait for the first piece, so that a source that gives nothing costs nothing; what the source raises passes.

        Called again, it begins again, where it can.
        """
        if self._begun and self._open is not None:
            await self.close()
            self._source = self._open()
        self._begun, self.broke = True, None
        self._first = await anext(self._source, None)

    async def close(self) -> None:
        """Let go of a source that was made for it."""
        if self._open is not None and isinstance(self._source, AsyncGenerator):
            with suppress(RuntimeError):  # the task that reads it ends it
                await self._source.aclose()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces, measured; raises EOFError when it is not what was announced."""
        total, piece = 0, self._first
        while piece is not None:
            total += len(piece)
            if total > self._cap:
                self.broke = "cap"
            elif self.length is not None and total > self.length:
                self.broke = "length"
            if self.broke is not None:
                raise EOFError
            if piece:
                yield piece
            try:
                piece = await anext(self._source, None)
            except Exception:
                self.broke = "source"
                raise
        if self.length not in (None, total):
            self.broke = "length"
            raise EOFError


async def slices(body: bytes) -> AsyncIterator[bytes]:
    """A body in hand, piece by piece, so that a large one does not hold up the loop."""
    for at in range(0, len(body), _SLICE):
        yield body[at : at + _SLICE]

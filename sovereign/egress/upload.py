"""A body on its way out: in hand, or streamed from whoever sends it, within a cap; it remembers how it broke off."""

from collections.abc import AsyncIterator
from typing import Final

_SLICE: Final = 256 * 1024


class Upload:
    """A streamed body. length: bytes, when it was announced; cap: the most that may pass, in bytes."""

    def __init__(self, source: AsyncIterator[bytes], length: int | None, cap: int) -> None:
        self._source, self.length, self._cap = source, length, cap
        self._first: bytes | None = None
        self.broke: str | None = None

    async def begin(self) -> None:
        """Wait for the first piece, so that a source that gives nothing costs nothing; what the source raises passes."""
        self._first = await anext(self._source, None)

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

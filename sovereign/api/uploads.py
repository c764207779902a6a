"""How the body of a request is taken: whole in memory, or spooled to a sealed file as it arrives when it is long.

1. What a row keeps (`IN_ROW` bytes) stays in memory, and so does JSON, which must be read whole to be judged, up to `max_body`.
2. A longer body of a write by the pass-through, its length told or not, passes by pieces of `PIECE` bytes to a file
   (`gateway.spool`), up to `max_upload` and the application's own cap.
3. At most `uploads` are on their way in at once, half of them of one application; the next is told to come back, before it
   sends anything where it said how long it is.
4. Whatever ends a request, its file goes unless a row needs it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from starlette.types import Receive

from sovereign.access.clients import Client
from sovereign.api.arrival import Arrival, body_of, length_of, pieces
from sovereign.api.errors import Full, TooLarge
from sovereign.api.limits import Share
from sovereign.gateway.intent import Spooled
from sovereign.gateway.spool import PIECE, Arriving, Spool
from sovereign.settings import GatewaySettings

IN_ROW: Final = 2**20
"""The longest body that is kept in a row of `state.db` although it could be streamed, in bytes."""
_BACK: Final = 10
"""Seconds after which a caller that found no place may come back."""


class Uploads:
    """Takes the bodies of one door. spool: where long ones go, None when none may come."""

    def __init__(self, settings: GatewaySettings, spool: Spool | None) -> None:
        self._settings = settings
        self._spool = spool if settings.max_upload else None
        self._taken: list[str] = []

    @asynccontextmanager
    async def body(
        self, arrival: Arrival, receive: Receive, client: Client, share: Share, name: str, *, long: bool
    ) -> AsyncIterator[tuple[bytes, Spooled | None]]:
        """The body of a request, in hand or in a file, until the context is left. name: of the file, the intent's.

        long: whether it may be streamed. Errors: TooLarge, Full, NoRoom, BadRequest.
        """
        said = length_of(arrival)
        if self._spool is None or not long or "json" in arrival.fields.get("content-type", "").lower() or 0 <= said <= IN_ROW:
            held = await body_of(arrival, receive, share, min(int(self._settings.max_body), client.limits.max_bytes))
            try:
                yield held, None
            finally:
                share.give(len(held))
            return
        most, coming = min(int(self._settings.max_upload), client.limits.max_bytes), _Coming(receive, share)
        if said > most:
            raise TooLarge(most=most)
        try:
            if said < 0 and await coming.within(IN_ROW, most):
                yield coming.taken(), None
                return
            try:
                with self._place(client.id):
                    async with self._spool.arriving(name, max(0, said)) as file:
                        await _spool(file, coming, most)
                        spooled = await asyncio.to_thread(file.finish)
                yield b"", spooled
            finally:
                await self._spool.settle(name)
        finally:
            coming.drop()

    @contextmanager
    def _place(self, client: str) -> Iterator[None]:
        """Hold one of the places. Errors: Full."""
        most = self._settings.uploads
        if len(self._taken) >= most or self._taken.count(client) >= max(1, most // 2):
            raise Full(retry_after=_BACK)
        self._taken.append(client)
        try:
            yield
        finally:
            self._taken.remove(client)


class _Coming:
    """A body that comes, its beginning in hand; what is in hand counts against the share of whoever sends it."""

    def __init__(self, receive: Receive, share: Share) -> None:
        self._pieces, self._share = pieces(receive), share
        self._held, self._counted, self.size = list[bytes](), 0, 0

    async def within(self, few: int, most: int) -> bool:
        """Take pieces until more than `few` bytes are in hand; whether no more come. Errors: TooLarge, Full, TooMany."""
        async for piece in self._pieces:
            self._share.take(len(piece))
            self._held.append(piece)
            self._counted += len(piece)
            self.size += len(piece)
            if self.size > most:
                raise TooLarge(most=most)
            if self._counted > few:
                return False
        return True

    def taken(self) -> bytes:
        """What is in hand."""
        return b"".join(self._held)

    def drop(self) -> None:
        """Let go of what is in hand."""
        self._share.give(self._counted)
        self._held, self._counted = [], 0


async def _spool(file: Arriving, coming: _Coming, most: int) -> None:
    """Write what is in hand and what comes after it. Errors: those of `within` and of the file."""
    over = False
    while not over:
        if held := coming.taken():
            await asyncio.to_thread(file.write, held)
        del held
        coming.drop()
        over = await coming.within(PIECE, most)
    if held := coming.taken():
        await asyncio.to_thread(file.write, held)

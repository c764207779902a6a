"""What the asynchronous driver gives: a status, headers that may go further, and a body read whole or as it comes.

1. An answer holds its connection and its place in the vendor's budget until it is read to its end or closed; a reader that asks
   for nothing during the connection's `timeout` loses it.
2. The body is decompressed here, within the cap. That of a 4xx or 5xx is what redact.py leaves of it.
3. An answer that repeats the credential is cut before it: read whole, it is empty; as it comes, it ends with `Echoed`. A
   status is never lost to that: a write that was accepted stays known as accepted.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime

from aiohttp import ClientError, ClientResponse

from saas_connectors.request import Headers
from sovereign.egress.body import Inflater
from sovereign.egress.errors import BadEncoding, Broken, Echoed, EgressError, TimedOut, TooLarge
from sovereign.egress.redact import Sieve

PIECE = 256 * 1024
"""The most that one piece holds, in bytes."""


class Answer:
    """An answer of a vendor; see the module's law. `headers` may be relayed as they are."""

    def __init__(
        self, status: int, url: str, headers: Headers, received_at: datetime, body: "Body | bytes", *, close: Callable[[], None]
    ) -> None:
        self.status, self.url, self.headers, self.received_at = status, url, headers, received_at
        self._body, self._close = body, close

    def close(self) -> None:
        """Let the connection go; what was not read is lost."""
        self._close()

    async def read(self) -> bytes:
        """Give the whole body, bytes within the cap; errors: EgressError."""
        if isinstance(self._body, bytes):
            return self._body
        try:
            return b"".join([piece async for piece in self._body.pieces()])
        except Echoed:
            return b""
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body as it comes, in pieces of at most 256 KiB; errors: EgressError."""
        if isinstance(self._body, bytes):
            if self._body:
                yield self._body
            return
        body, loop = self._body, asyncio.get_running_loop()
        try:
            async for piece in body.pieces():
                late = loop.call_later(body.patience, self.close)
                try:
                    yield piece
                finally:
                    late.cancel()
                if body.closed:
                    raise TimedOut(host=body.host, connection=body.connection, phase="reader", seconds=body.patience)
        finally:
            self.close()


class Body:
    """The body of a live answer. fault: says in our words what aiohttp raised."""

    def __init__(
        self,
        response: ClientResponse,
        *,
        host: str,
        connection: str,
        cap: int,
        patience: float,
        sieve: Sieve | None,
        fault: Callable[[Exception], EgressError],
    ) -> None:
        self._response, self._cap, self._sieve, self._fault = response, cap, sieve, fault
        self.host, self.connection, self.patience = host, connection, patience
        encoding = response.headers.get("content-encoding", "").strip().lower()
        self.closed, self.decoded = False, encoding not in ("", "identity") and not self._empty
        if self.decoded and encoding not in ("gzip", "x-gzip", "deflate"):
            raise BadEncoding(host=host, connection=connection, encoding="unknown")
        self._encoding = encoding
        length = response.headers.get("content-length", "")
        if not self._empty and length.isascii() and length.isdigit() and int(length[:19]) > cap:
            raise TooLarge(host=host, connection=connection, limit=cap, what="content-length")

    @property
    def _empty(self) -> bool:
        return self._response.method == "HEAD" or self._response.status in (204, 304)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body's bytes as they may go further; errors: EgressError."""
        sieve = self._sieve
        try:
            async for piece in self._decoded():
                if sieve is None:
                    yield piece
                elif passed := sieve.sift(piece):
                    yield passed
            if sieve is not None and (rest := sieve.rest()):
                yield rest
        except ValueError:
            raise Echoed(host=self.host, connection=self.connection) from None
        except OverflowError:
            raise TooLarge(host=self.host, connection=self.connection, limit=self._cap, what="decompressed") from None
        except EOFError:
            raise Broken(host=self.host, connection=self.connection, reason="truncated") from None
        except zlib.error:
            raise BadEncoding(host=self.host, connection=self.connection, encoding=self._encoding) from None

    async def _decoded(self) -> AsyncIterator[bytes]:
        """What came, decompressed."""
        inflater, total = Inflater(self._encoding, self._cap) if self.decoded else None, 0
        while data := await self._received():
            total += len(data)
            if total > self._cap:
                raise TooLarge(host=self.host, connection=self.connection, limit=self._cap, what="received")
            pieces: Iterator[bytes]
            if inflater is None:
                pieces = (data[at : at + PIECE] for at in range(0, len(data), PIECE)) if len(data) > PIECE else iter((data,))
            else:
                pieces = inflater.feed(data, PIECE)
            for piece in pieces:
                yield piece
        if inflater is not None:
            inflater.finish()

    async def _received(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (ClientError, OSError, RuntimeError) as error:
            raise self._fault(error) from None

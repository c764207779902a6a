"""The connections of the asynchronous driver: aiohttp's own, each watched, and honest about what left.

1. `Progress.left` turns true at the last instant before bytes of the request are given to an open connection: between that
   instant and the write nothing else runs. Until then, whatever fails is provably not sent.
2. A connection is used again only if nothing came on it while it rested and the peer has not closed it; for what must not be
   sent twice, only if it rested less than `REST`, or half of what the peer announced.
3. What one answer puts on the wire has a cap, headers, chunk sizes and trailers included; a peer that accepts nothing for too
   long while we send is cut off.

It relies on the order in which aiohttp's connector and its readers end an answer, which is not documented; the tests of
tests/security/egress fail if it moves.
"""

import asyncio
import re
import select
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import (
    BytesPayload,
    ClientConnectionError,
    ClientRequest,
    ClientResponse,
)
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from sovereign.egress.errors import Refused

REST: Final = 1.0
"""How long a connection may have rested before a write uses it, in seconds: less than any server keeps one open."""
KEPT: Final = 15.0
"""How long a connection is kept at rest, in seconds."""
_ANNOUNCED: Final = re.compile(rb"timeout=(\d{1,6})")


@dataclass(slots=True)
class Progress:
    """How far one request went. left: a byte of it may have reached the vendor, who has not refused it since."""

    left: bool = False
    received: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """One attempt: what it may do, and what was learned meanwhile."""

    progress: Progress
    most: int
    patience: float
    again: bool
    fresh: bool = False
    reused: bool = False
    over: bool = False
    stalled: bool = False
    refusal: Refused | None = None
    lost: BaseException | None = None
    writer: AbstractStreamWriter | None = field(default=None, repr=False)

    @property
    def sent(self) -> int:
        """Bytes given to the connection."""
        return self.writer.output_size if self.writer is not None and self.progress.left else 0


CALL: ContextVar[Call] = ContextVar("egress call")


class Wire(ResponseHandler):
    """One connection."""

    call: Call | None = None
    answers = 0
    rested_at: float | None = None
    announced: float = 2 * REST
    _watch: asyncio.TimerHandle | None = None

    def resting(self) -> bool:
        """Whether it waits for its next request."""
        return self.rested_at is not None

    def data_received(self, data: bytes) -> None:
        """Count what comes; what nobody asked for ends the connection."""
        call = self.call
        if call is not None:
            call.progress.received += len(data)
            if call.progress.received > call.most:
                call.over = True
                self._abort()
                return
        # aiohttp gives no bytes to have its own parser go on.
        if not data or not self.resting():
            super().data_received(data)
            if not (self.resting() and self.should_close):
                return
        # A whole answer more, or bytes on a connection at rest: the next request would take them for its own.
        self._abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remember why."""
        if self.call is not None and exc is not None:
            self.call.lost = exc
        self._unwatch()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch a peer that does not take what we send."""
        super().pause_writing()
        if self.call is not None and self.transport is not None:
            self._watched(self.call, self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        """The peer takes it."""
        self._unwatch()
        super().resume_writing()

    def begin(self, call: Call) -> None:
        """A request takes the connection; errors: ClientConnectionError when it may not."""
        call.reused = self.answers > 0
        rested, self.rested_at = self.rested_at, None
        if rested is not None:
            limit = KEPT if call.again else min(REST, self.announced / 2)
            if call.fresh or asyncio.get_running_loop().time() - rested > limit:
                raise ClientConnectionError
        self.call = call
        if self.should_close or not self.usable(quiet=call.reused):
            raise ClientConnectionError

    def usable(self, *, quiet: bool) -> bool:
        """Whether the peer still listens, as far as this machine knows. quiet: and has said nothing."""
        if not self.is_connected() or self.transport is None:
            return False
        number = self.transport.get_extra_info("socket").fileno()
        if number < 0:
            return False
        watched = select.poll()
        watched.register(number, select.POLLRDHUP | (select.POLLIN if quiet else 0))
        return not watched.poll(0)

    def rest(self) -> None:
        """The answer is whole: the connection rests."""
        self.call = None
        self.answers += 1
        self.rested_at = asyncio.get_running_loop().time()

    def _watched(self, call: Call, left: int) -> None:
        """Cut off a peer that took nothing since the last look."""
        if self.transport is None:
            return
        waiting = self.transport.get_write_buffer_size()
        if waiting >= left:
            call.stalled = True
            self._abort()
            return
        self._watch = asyncio.get_running_loop().call_later(call.patience, self._watched, call, waiting)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _abort(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.abort()


class Sending(ClientRequest):
    """A request of ours, which says when it leaves."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 — passed on as they are
        self.passage = CALL.get()
        super().__init__(*args, **options)

    async def send(self, conn: Connection) -> ClientResponse:
        """Send the head, and the body by `write_bytes` when there is one."""
        wire = conn.protocol
        if not isinstance(wire, Wire):
            raise ClientConnectionError
        wire.begin(self.passage)
        if not self._body and not wire.writing_paused:
            self.passage.progress.left = True
        return await super().send(conn)

    async def write_bytes(self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None) -> None:
        """Send the body, the head before it, unless the connection ended since."""
        wire = conn.protocol
        if isinstance(wire, Wire) and wire.usable(quiet=self.passage.reused):
            self.passage.progress.left = True
            if not isinstance(self._body, BytesPayload):
                # A body in hand leaves with its head, at once; no source of another may come between.
                writer.send_headers()
            await super().write_bytes(writer, conn, content_length)
        elif wire is not None and wire.transport is not None:
            wire.transport.abort()


class Receiving(ClientResponse):
    """An answer, which tells its connection when it is whole."""

    def __init__(self, *args: Any, stream_writer: AbstractStreamWriter, **options: Any) -> None:  # noqa: ANN401 — passed on
        CALL.get().writer = stream_writer
        super().__init__(*args, stream_writer=stream_writer, **options)

    async def start(self, connection: Connection) -> ClientResponse:
        """Read the head."""
        wire = connection.protocol
        await super().start(connection)
        if isinstance(wire, Wire):
            for name, value in self.raw_headers:
                if name.lower() == b"keep-alive" and (found := _ANNOUNCED.search(value.lower())):
                    wire.announced = float(found[1])
            # Called in the same instant as the connector takes the connection back: nobody is given it in between.
            self.content.on_eof(wire.rest)
        return self

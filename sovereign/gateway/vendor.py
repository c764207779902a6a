"""The vendor behind a connection, as the gateway needs it, and a conversation with it.

1. Requests go one at a time, in the order in which the connector asks.
2. Exactly one request of an `apply` may write. A second one is a defect of the connector and is not sent.
3. `Sent` remembers how far the writing request got, whatever happens next: what to make of a fault depends on it alone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeVar, cast

from saas_connectors.connector import Exchange, Fetch, Operation, Writer
from saas_connectors.request import Request, Response
from sovereign.gateway.beside import beside
from sovereign.gateway.breaker import Breaker, Circuit
from sovereign.gateway.errors import NotWritable
from vault.errors import Fault

T = TypeVar("T")
Send = Callable[[Request], Awaitable[Response]]
"""Sends one request, once; errors: those of `sovereign.egress.errors`."""
Upload = Callable[[Request, Callable[[], AsyncIterator[bytes]], int], Awaitable[Response]]
"""Sends one request, once, its body read from what the function gives: so many bytes. Asked again only when nothing arrived."""
_READS: Final = frozenset({"GET", "HEAD"})
_REFUSED: Final = 401


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor, ready to be written to.

    origin: `https://host[:port]`, where the pass-through's paths start. concurrency: sends at once.
    writer: the connector, when it can write; None leaves the pass-through alone. upload: streams a long body; None where none
    can be streamed. mark: says which credential is shown, None when none is. renew: has it read anew before the next use.
    """

    connection: str
    host: str
    origin: str
    send: Send = field(repr=False)
    writer: Writer | None = field(default=None, repr=False)
    concurrency: int = 4
    upload: Upload | None = field(default=None, repr=False)
    mark: str | None = field(default=None, repr=False)
    renew: Callable[[], None] = field(default=lambda: None, repr=False)

    def operation(self, name: str) -> tuple[Writer, Operation]:
        """An operation that the connection offers; errors: NotWritable."""
        offered = self.writer.operations() if self.writer else ()
        for each in offered:
            if each.name == name and self.writer:
                return self.writer, each
        known = ", ".join(each.name for each in offered) or "-"
        raise NotWritable(connection=self.connection, operation=name, known=known)


class Vendors(Protocol):
    """Gives the vendor of a connection."""

    def __call__(self, connection: str, /) -> Vendor:
        """Errors: UnknownConnection, those of making a connector or opening its way out."""
        ...


def fresh(vendors: Vendors, breaker: Breaker, circuit: Circuit) -> None:
    """Have the credential of a connection read anew, where it was closed for it and no longer is."""
    if breaker.renewed(circuit):
        with suppress(Fault):
            vendors(circuit.connection).renew()


class SecondWrite(Exception):
    """A connector asked for a second writing request."""


@dataclass(slots=True)
class Sent:
    """How far a write got. writing: its request was handed to the way out. status: what the vendor answered to it.

    holds: whether a look just before it showed that the vendor held already what is asked; None when that is not known.
    unseen: whether its last look met a 401, which a connector may take for a look that does not tell.
    """

    writing: bool = False
    status: int | None = None
    until: datetime | None = None
    response: Response | None = None
    holds: bool | None = None
    unseen: bool = False


async def converse(exchange: Exchange[T], send: Send, sent: Sent | None = None, *, size: int = 0) -> T:
    """Carry a conversation to its end; gives what it returns.

    sent: filled when the conversation may write; without it a writing request is refused. size: bytes of the payload; the
    connector holds a large one to its schema, and writes it out, beside the loop.
    """

    def step(responses: tuple[Response, ...] | None) -> tuple[Fetch | None, T | None]:
        try:
            return (next(exchange) if responses is None else exchange.send(responses)), None
        except StopIteration as end:
            return None, end.value

    try:
        fetch, result = await beside(size, step, None)
        while fetch is not None:
            responses = []
            for request in fetch.requests:
                reads = request.reads or request.method in _READS
                if not reads:
                    if sent is None or sent.writing:
                        raise SecondWrite
                    sent.writing, sent.holds = True, fetch.holds
                response = await send(request)
                if not reads and sent is not None:
                    sent.status, sent.response = response.status, response
                elif sent is not None:
                    sent.unseen = response.status == _REFUSED
                responses.append(response)
            fetch, result = await beside(size, step, tuple(responses))
        return cast("T", result)
    finally:
        exchange.close()

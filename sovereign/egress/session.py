"""The session of a connection on the event loop: whom it may dial, its timeouts and its caps.

1. Names are resolved by the resolver given, and all their addresses judged; the address really dialled is judged again where
   its socket is made, since a literal never meets a resolver.
2. aiohttp never sends again by itself.

It relies on one name of aiohttp that is not documented (`BaseConnector._factory`): the tests of tests/security/egress fail if
it moves.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, cast

from aiohttp import (
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client import ClientSession

from sovereign.egress import guard
from sovereign.egress.errors import Refused
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.wire import CALL, KEPT, Receiving, Sending, Wire

MAX_HEADERS: Final = 256 * 1024
"""The most a vendor may send before the body, in bytes; one line of it: a quarter."""


class Resolver(AbstractResolver):
    """Resolves names away from the loop, in threads of the connection's own, and judges every address."""

    def __init__(self, resolve: Resolve, judge: Callable[[str], None]) -> None:
        self._resolve, self._judge = resolve, judge
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="egress-names")

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Give the addresses of a name, of any family; errors: OSError."""
        del family
        loop = asyncio.get_running_loop()
        asked = partial(self._resolve, host, port, type=socket.SOCK_STREAM)
        try:
            found = await loop.run_in_executor(self._threads, asked)
        except UnicodeError:
            raise OSError from None
        for *_, address in found:
            self._judge(str(address[0]))
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=0, flags=0)
            for kind, *_, address in found
        ]

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def session(policy: EgressPolicy, tls: ssl.SSLContext, resolve: Resolve, proxy: str | None) -> tuple[ClientSession, Resolver]:
    """Make the session of a connection, in the running loop."""
    private = policy.private or proxy is not None

    def judge(address: str) -> None:
        try:
            guard.check(address, private=private, loopback=policy.loopback)
        except Refused as refusal:
            CALL.get().refusal = refusal
            raise OSError("refused") from None

    def made(info: Any) -> socket.socket:  # noqa: ANN401 — aiohappyeyeballs' own tuple
        family, kind, protocol, _, address = info
        judge(str(address[0]))
        return socket.socket(family, kind, protocol)

    resolver = Resolver(resolve, judge)
    connector = TCPConnector(
        resolver=resolver, use_dns_cache=False, ssl=tls, limit=0, keepalive_timeout=KEPT, socket_factory=made
    )
    connector._factory = cast(Any, partial(Wire, loop=asyncio.get_running_loop()))  # noqa: SLF001 — the one door to its connections
    opened = ClientSession(
        connector=connector, timeout=timeout(policy), request_class=Sending, response_class=Receiving,
        cookie_jar=DummyCookieJar(), auto_decompress=False, trust_env=False, skip_auto_headers=("Content-Type", "User-Agent"),
        max_line_size=MAX_HEADERS // 4, max_field_size=MAX_HEADERS // 4, max_headers=1000, middlewares=(_once,),
    )  # fmt: skip
    return opened, resolver


def timeout(policy: EgressPolicy, more: float = 0.0) -> ClientTimeout:
    """How long a request may take. more: seconds that its body is given beside."""
    return ClientTimeout(
        total=policy.total_timeout + more,
        connect=policy.connect_timeout,
        sock_connect=policy.connect_timeout,
        sock_read=policy.timeout,
    )


class Failed(Exception):
    """An attempt that failed; `error` is aiohttp's, which would make it try again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _once(request: ClientRequest, handler: Any) -> ClientResponse:  # noqa: ANN401 — aiohttp's handler
    """Keep aiohttp from sending PUT and DELETE again by itself, as it does when a connection it kept breaks."""
    try:
        answer: ClientResponse = await handler(request)
    except (ClientOSError, ServerDisconnectedError) as error:
        raise Failed(error) from None
    return answer

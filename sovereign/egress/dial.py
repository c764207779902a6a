"""The socket: names resolved once, every address judged, and the judged address dialled.

1. A name is resolved here, by the resolver given; if any of its addresses is refused, none is dialled. The connection then goes
   to
   one of those very addresses: a name that changes its answer in between (rebinding) gains nothing.
2. Failing to connect is told as urllib3's `NewConnectionError`, so that "provably not sent" stays known (`DialFailed.fault`).
3. Each read is held to the deadline of its call: a vendor that drips its answer is cut off. Headers are capped, and so is all
   that one answer puts on the wire. Interim answers (1xx) are passed over: what follows is the answer (RFC 9110 section 15.2).
4. Through a proxy, the proxy's own address is judged (its network may be private), and only the pinned proxy is dialled; the
   proxy resolves the vendor's name, and this guard does not see that address.

It plugs into urllib3's connection classes, under requests' adapter; the environment's proxies are never read.
"""

import io
import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from sovereign.egress import guard
from sovereign.egress.errors import EgressError, NotSent, Refused
from sovereign.egress.policy import Resolve

MAX_HEADERS = 256 * 1024
"""The most a vendor may send before the body, in bytes."""

_BUFFER = 64 * 1024

for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry", "urllib3.response"):
    # These write URLs with their queries, and a vendor's malformed headers.
    # A filter, since configuring logging may enable a disabled logger again.
    logging.getLogger(_name).addFilter(lambda _: False)


class Call(threading.local):
    """What the present call of this thread has left, and has done."""

    deadline: float = 0.0
    patience: float = 0.0
    most: int = 0
    received: int = 0
    sent: int = 0
    committed: bool = False

    def begin(self, seconds: float, patience: float, most: int) -> None:
        """Start a call. seconds: until the whole answer is read; patience: of one silent read; most: bytes on the wire."""
        self.most = most
        self.deadline = time.monotonic() + seconds
        self.patience = patience
        self.received = self.sent = 0
        self.committed = False

    @property
    def late(self) -> bool:
        """Whether the deadline passed."""
        return time.monotonic() >= self.deadline

    @property
    def over(self) -> bool:
        """Whether the answer put more on the wire than it may."""
        return self.received > self.most


CALL = Call()


class DialFailed(NewConnectionError):
    """No connection: `fault` says why."""

    def __init__(self, connection: HTTPConnection, fault: EgressError) -> None:
        super().__init__(connection, fault.code)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Dialler:
    """Resolves, judges, dials. The proxy's network may be private even when the connection's may not."""

    connection: str
    private: bool
    loopback: bool
    resolve: Resolve
    proxied: bool

    def __call__(self, host: str, port: int, seconds: float, options: Any) -> socket.socket:  # noqa: ANN401 — urllib3's type
        """Give a connected socket, or raise Refused or NotSent."""
        try:
            found = self.resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NotSent(host=host, connection=self.connection, reason="dns") from None
        try:
            for *_, address in found:
                guard.check(str(address[0]), private=self.private or self.proxied, loopback=self.loopback)
        except Refused as refusal:
            raise Refused(refusal.rule, host, self.connection) from None
        deadline = time.monotonic() + seconds
        reason = "dns"
        for left, (family, kind, protocol, _, address) in zip(range(len(found), 0, -1), found, strict=True):
            try:
                dialled = socket.socket(family, kind, protocol)
            except OSError:
                # A machine without IPv6, or out of handles.
                reason = "network"
                continue
            try:
                for option in options or ():
                    dialled.setsockopt(*option)
                # What is left is shared between the addresses still to try, so that a dead first one does not eat it all.
                dialled.settimeout(max(0.05, (deadline - time.monotonic()) / left))
                dialled.connect(address)
            except OSError as error:
                dialled.close()
                reason = (
                    "timeout"
                    if isinstance(error, TimeoutError)
                    else "refused"
                    if isinstance(error, ConnectionRefusedError)
                    else "network"
                )
            else:
                dialled.settimeout(seconds)
                return dialled
        raise NotSent(host=host, connection=self.connection, reason=reason)


class _Metered(io.RawIOBase):
    """The bytes of one answer, counted, under the deadline of the call."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self.left: int | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 — a writable buffer
        remaining = CALL.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        if remaining < CALL.patience:
            self._sock.settimeout(remaining)
        size = self._raw.readinto(buffer)
        if size:
            CALL.received += size
            if CALL.over:
                raise HTTPException("answer too large")
            if self.left is not None:
                self.left -= size
                if self.left < 0:
                    raise HTTPException("headers too large")
        return size

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._metered = _Metered(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._metered, _BUFFER)

    def begin(self) -> None:
        self._metered.left = MAX_HEADERS
        super().begin()
        self._metered.left = None

    def _read_status(self) -> tuple[str, int, str]:
        # http.client passes over 100 alone: any other interim answer would be given as the answer, and the true one to whoever
        # uses the connection next.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc] # typeshed leaves it out
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HTTPException("an upgrade nobody asked for")
            if not HTTPStatus.PROCESSING <= status < HTTPStatus.OK:
                return version, status, reason
            parse_headers(self.fp)


def _make(dialler: Dialler) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pool classes, whose connections dial through `dialler`."""

    class Guarded(HTTPConnection):
        response_class = _Answer

        def _new_conn(self) -> socket.socket:
            seconds = self.timeout if isinstance(self.timeout, int | float) else 30.0
            try:
                return dialler(self._dns_host, self.port, seconds, self.socket_options)
            except EgressError as fault:
                raise DialFailed(self, fault) from None

        def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 — passed on as they are
            CALL.committed = True
            super().request(*args, **options)

        def send(self, data: Any) -> None:  # noqa: ANN401 — passed on as it is
            CALL.sent += len(data) if isinstance(data, bytes | bytearray) else 0
            super().send(data)

    class GuardedTls(Guarded, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Guarded

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = GuardedTls

    return {"http": Pool, "https": TlsPool}


class GuardedAdapter(HTTPAdapter):
    """requests' adapter over guarded connections: mounted on a `requests.Session`, it guards that session the same way."""

    def __init__(self, dialler: Dialler, *, tls: ssl.SSLContext, size: int, proxy_headers: dict[str, str]) -> None:
        self._classes = _make(dialler)
        self._tls = tls
        self._proxy_headers = proxy_headers
        self._through: dict[str, ProxyManager] = {}
        super().__init__(pool_connections=64, pool_maxsize=size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: ANN401, FBT
        """Make the pools of guarded connections."""
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._tls, **options)
        self.poolmanager.pool_classes_by_scheme = self._classes
        self._size = maxsize

    def proxy_manager_for(self, proxy: str, **_: Any) -> ProxyManager:  # noqa: ANN401 — requests' signature
        """Make the pools that reach vendors through the pinned proxy, by CONNECT."""
        manager = self._through.get(proxy)
        if manager is None:
            manager = ProxyManager(
                proxy,
                num_pools=64,
                maxsize=self._size,
                ssl_context=self._tls,
                proxy_ssl_context=self._tls,
                proxy_headers=self._proxy_headers,
            )
            manager.pool_classes_by_scheme = self._classes
            self._through[proxy] = self.proxy_manager[proxy] = manager
        return manager

    def pool(self, scheme: str, host: str, port: int, proxy: str | None) -> HTTPConnectionPool:
        """The pool of one origin."""
        manager = self.poolmanager if proxy is None else self.proxy_manager_for(proxy)
        return manager.connection_from_host(f"[{host}]" if ":" in host else host, port, scheme)

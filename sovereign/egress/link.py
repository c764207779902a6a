"""A guarded connection that a session is held on (mail, directories): dialled, secured, then read and written by who speaks.

1. The socket comes from the dialler, or from the proxy's CONNECT; TLS is verified before a byte of ours leaves. What came in
   clear before TLS is never read as if it came after.
2. Traffic in clear goes on only where it is allowed, and to a private or local peer.
3. Each read and each write is held to the deadline of the call, and to the connection's patience with silence.
4. One thread at a time; another may interrupt it.
"""

import socket
import ssl
import time
from contextlib import suppress
from typing import Final

from sovereign.egress import errors, guard, tls
from sovereign.egress.dial import Dialler
from sovereign.egress.origin import Origin, declared
from sovereign.egress.policy import EgressPolicy

_PIECE: Final = 256 * 1024
_HEAD: Final = 1024 * 1024


class LoginRefused(Exception):
    """The server did not let us in. status: what to answer, 503 when it may later; headers: what to say with it."""

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        super().__init__()
        self.status, self.headers = status, headers


class Link:
    """The connection under a session. `received`, `sent`: bytes of the present call."""

    def __init__(
        self,
        policy: EgressPolicy,
        own: Origin,
        dialler: Dialler,
        secure: ssl.SSLContext,
        proxy: tuple[str, dict[str, str]] | None,
    ) -> None:
        self._policy, self._own, self._dialler, self._secure, self._proxy = policy, own, dialler, secure, proxy
        self.received = self.sent = 0
        self._buffer = bytearray()
        self._deadline = 0.0
        self._interrupted = False
        self._sock: socket.socket | None = None

    def begin(self) -> None:
        """Start a call: its time, and its bytes."""
        self._deadline = time.monotonic() + self._policy.total_timeout
        self.received = self.sent = 0

    def open(self, user: str, password: str) -> None:
        """Connect, secure, log in; errors: EgressError, LoginRefused."""
        raise NotImplementedError

    def close(self) -> None:
        """Take leave, and let the connection go; nothing is waited for."""
        if self._sock is not None:
            with suppress(OSError, errors.EgressError):
                self._sock.settimeout(1.0)
                self._sock.sendall(self._farewell())
        self.drop()

    def drop(self) -> None:
        """Cut the connection: what is left of an answer would be taken for the next one."""
        if self._sock is not None:
            with suppress(OSError):
                self._sock.close()
            self._sock = None

    def interrupt(self) -> None:
        """End the connection under whoever reads or writes on it, from another thread: for them it broke."""
        self._interrupted = True  # before the socket is looked at: during a handshake there is none to end
        sock = self._sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _farewell(self) -> bytes:
        """What a session says when it leaves."""
        raise NotImplementedError

    def _connect(self) -> None:
        own, seconds = self._own, self._policy.connect_timeout
        if self._proxy is None:
            self._sock = self._dialler(own.host, own.port, seconds, ())
            return
        address, headers = self._proxy
        place = declared(address)
        if place.scheme != "http":
            raise errors.NotSent(host=place.host, connection=self._policy.connection, reason="proxy")
        self._sock = self._dialler(place.host, place.port, seconds, ())
        host = f"[{own.host}]" if ":" in own.host else own.host
        head = [f"CONNECT {host}:{own.port} HTTP/1.1", f"Host: {host}:{own.port}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self._send("\r\n".join([*head, "", ""]).encode("latin-1"))
        status = self._line(_HEAD).split(b" ")
        while self._line(_HEAD).strip():
            pass
        if len(status) < 2 or status[1] != b"200":
            said = status[1].decode("ascii", "replace")[:3] if len(status) > 1 else "?"
            raise errors.NotSent(host=own.host, connection=self._policy.connection, reason=f"proxy {said}")

    def _wrap(self) -> None:
        own = self._own
        if self._buffer or self._sock is None:
            raise self._insecure("bytes before TLS")
        try:
            self._sock.settimeout(self._policy.connect_timeout)
            self._sock = self._secure.wrap_socket(self._sock, server_hostname=own.host)
        except ssl.SSLError as error:
            raise self._insecure(tls.reason(error)) from None
        except OSError:
            raise self._insecure("network") from None

    def _in_clear(self) -> None:
        """Go on without TLS, which the server does not offer, or raise TlsFailed, Refused `egress.plaintext`."""
        if not self._policy.plaintext or self._proxy is not None:
            raise self._insecure("no starttls")
        if self._sock is None or not local(str(self._sock.getpeername()[0])):
            raise errors.Refused("egress.plaintext", self._own.host, self._policy.connection)

    def _insecure(self, reason: str) -> errors.TlsFailed:
        return errors.TlsFailed(host=self._own.host, connection=self._policy.connection, reason=reason)

    def _broken(self, reason: str) -> errors.Broken:
        return errors.Broken(host=self._own.host, connection=self._policy.connection, reason=reason)

    def _too_large(self, limit: int, what: str) -> errors.TooLarge:
        return errors.TooLarge(host=self._own.host, connection=self._policy.connection, limit=limit, what=what)

    def _line(self, most: int) -> bytes:
        start = 0
        while (at := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > most:
                raise self._too_large(most, "line")
            self._more()
        line = bytes(self._buffer[: at + 1])
        del self._buffer[: at + 1]
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _more(self) -> None:
        host, connection, policy = self._own.host, self._policy.connection, self._policy
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise errors.TimedOut(host=host, connection=connection, phase="total", seconds=policy.total_timeout)
        if self._sock is None or self._interrupted:
            raise self._broken("closed")
        try:
            self._sock.settimeout(min(left, policy.timeout))
            data = self._sock.recv(_PIECE)
        except TimeoutError:
            late = time.monotonic() >= self._deadline
            phase, seconds = ("total", policy.total_timeout) if late else ("read", policy.timeout)
            raise errors.TimedOut(host=host, connection=connection, phase=phase, seconds=seconds) from None
        except OSError:
            raise self._broken("reset") from None
        if not data:
            raise self._broken("closed")
        self.received += len(data)
        self._buffer += data

    def _send(self, data: bytes) -> None:
        if self._sock is None or self._interrupted:
            raise self._broken("closed")
        try:
            self._sock.settimeout(min(max(self._deadline - time.monotonic(), 0.05), self._policy.timeout))
            self._sock.sendall(data)
        except OSError:
            raise self._broken("reset") from None
        self.sent += len(data)


def local(address: str) -> bool:
    """Whether an address is of a private network or of this machine, where traffic in clear may be allowed."""
    try:
        guard.check(address)
    except errors.Refused as refusal:
        return refusal.rule in ("egress.address.private", "egress.address.loopback")
    return False

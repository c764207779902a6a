"""A TLS stream to a host of the operator's own, for protocols that are not HTTP: the address guarded, the peer verified.

It is dialled as HTTP connections are (dial.py): the address that is reached is the one that was judged. TLS 1.2 or later, the
name in the certificate is the host's, and the only authorities are those of the bundle.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Self

from sovereign.egress import tls
from sovereign.egress.dial import Dialler
from sovereign.egress.errors import Broken, TimedOut, TlsFailed, Unconfirmed
from sovereign.egress.policy import EgressPolicy, Resolve


@dataclass(frozen=True, slots=True)
class TlsStream:
    """An open stream. seconds: how long one step may take; close_notify: whether the peer must end TLS in so many words."""

    host: str
    connection: str
    seconds: float
    close_notify: bool
    _socket: ssl.SSLSocket

    @classmethod
    def open(
        cls, policy: EgressPolicy, host: str, port: int, *, close_notify: bool = True, resolve: Resolve = socket.getaddrinfo
    ) -> Self:
        """Dial and shake hands. policy: what may be reached, whom to believe. Errors: Refused, NotSent, TlsFailed."""
        secure = tls.context(policy, ())
        dialler = Dialler(policy.connection, policy.private, policy.loopback, resolve, proxied=False)
        plain = dialler(host, port, policy.connect_timeout, ())
        try:
            plain.settimeout(policy.timeout)
            wrapped = secure.wrap_socket(plain, server_hostname=host)
        except (OSError, ValueError) as error:
            plain.close()
            reason = tls.reason(error) if isinstance(error, ssl.SSLError) else "handshake"
            raise TlsFailed(host=host, connection=policy.connection, reason=reason) from None
        return cls(host, policy.connection, policy.timeout, close_notify, wrapped)

    def send(self, data: bytes) -> None:
        """Send bytes, all of them; errors: Broken, TimedOut."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._fault(error) from None

    def finish(self) -> None:
        """End TLS and wait until the peer does: it has then read all that was sent. Errors: Unconfirmed, Broken, TimedOut."""
        try:
            self._socket.unwrap().close()
        except ssl.SSLEOFError:
            if self.close_notify:
                raise Unconfirmed(host=self.host, connection=self.connection) from None
        except OSError as error:
            raise self._fault(error) from None

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _fault(self, error: OSError) -> Broken | TimedOut:
        if isinstance(error, TimeoutError):
            return TimedOut(host=self.host, connection=self.connection, phase="total", seconds=self.seconds)
        return Broken(host=self.host, connection=self.connection, reason="reset")

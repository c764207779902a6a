"""The sandbox on its socket: a thread a connection, loopback only, in clear or over TLS."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from saas_connectors.sandbox.wire import Call, Reply, receive, send


class Answering(Protocol):
    """A vendor: from a call to a reply."""

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        ...


V = TypeVar("V", bound=Answering)


class Sandbox(Generic[V]):
    """A vendor listening on loopback while the `with` block lasts; `certificate` and `key` (PEM files) make it speak TLS."""

    def __init__(self, vendor: V, *, port: int = 0, certificate: Path | None = None, key: Path | None = None) -> None:
        self.vendor = vendor
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, name="sandbox", daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def serve(self) -> None:
        """Listen until interrupted."""
        self._listen()

    def close(self) -> None:
        """Stop listening and hang up."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(2)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._converse, args=(connection,), name="sandbox-connection", daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        plain = connection
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            buffer = bytearray()
            with connection:
                while (call := receive(connection, buffer)) is not None:
                    if not send(connection, call, self.vendor.answer(call)):
                        return
        except OSError:  # the client hung up, or refused the certificate
            return
        finally:
            plain.close()
            with self._lock:
                self._open.discard(plain)

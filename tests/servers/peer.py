"""A vendor that answers whatever a test wants, byte by byte: for what no honest server does."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, Thread

Script = Callable[[socket.socket, bytes], None]
"""Given the connection and one request (head and body), writes the answer."""


@dataclass(slots=True)
class Peer:
    """A listening peer: its port, and what it was sent."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    lock: Lock = field(default_factory=Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer. Header names are given with underscores."""
    fields = {"content-length": str(len(body)), "content-type": "application/json"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def always(data: bytes) -> Script:
    """Answer every request with the same bytes."""
    return lambda connection, _: connection.sendall(data)


def each(*scripts: Script | bytes) -> Script:
    """Answer the first request by the first script, and so on; the last one stays."""
    left = [always(script) if isinstance(script, bytes) else script for script in scripts]
    turn = Lock()

    def script(connection: socket.socket, request: bytes) -> None:
        with turn:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        chosen(connection, request)

    return script


def reset(connection: socket.socket, _: bytes) -> None:
    """Break the connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


@contextmanager
def peer(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Run a peer on loopback."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    found = Peer(listener.getsockname()[1])
    open_connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
                open_connections.append(connection)
            waiting = b""
            while True:
                while b"\r\n\r\n" not in waiting:
                    data = connection.recv(65536)
                    if not data:
                        return
                    waiting += data
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                while len(waiting) < length:
                    waiting += connection.recv(65536)
                request, waiting = head + b"\r\n\r\n" + waiting[:length], waiting[length:]
                with found.lock:
                    found.requests.append(request)
                script(connection, request)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_connections.append(connection)
                with found.lock:
                    found.connections += 1
                Thread(target=serve, args=(connection,), daemon=True).start()

    acceptor = Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield found
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for connection in open_connections:
            with suppress(OSError):
                connection.close()

"""Calls and replies of the sandbox, and how they are written on the wire (HTTP/1.1, RFC 9112), mishaps included."""

import socket
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

_MOST_HEAD: Final = 64 << 10
_MOST_BODY: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """A request received; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Reply:
    """What is answered, and what goes wrong with it.

    `delay`: seconds before it; `reset`: the connection is; `sent`: bytes of the body that leave; `length`: another than the
    body's; `flow`: more of the body, piece by piece.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay: float = 0.0
    reset: bool = False
    sent: int | None = None
    length: int | None = None
    flow: Iterator[bytes] | None = None


def receive(connection: socket.socket, buffer: bytearray) -> Call | None:
    """Read one request, None when the client is gone or does not speak HTTP; `buffer` keeps what was read too far."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        received = connection.recv(65536)
        if not received or len(buffer) > _MOST_HEAD:
            return None
        buffer += received
    lines = buffer[:end].decode("latin-1").split("\r\n")
    del buffer[: end + 4]
    try:
        method, target, _ = lines[0].split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
    except ValueError:
        return None
    if length > _MOST_BODY:
        return None
    while len(buffer) < length:
        received = connection.recv(65536)
        if not received:
            return None
        buffer += received
    body = bytes(buffer[:length])
    del buffer[:length]
    parts = urlsplit(target)
    return Call(method, unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def send(connection: socket.socket, call: Call, reply: Reply) -> bool:
    """Write a reply; False when the connection ends with it."""
    if reply.delay:
        time.sleep(reply.delay)
    if reply.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    length = reply.length if reply.length is not None else len(reply.body)
    try:
        reason = HTTPStatus(reply.status).phrase
    except ValueError:
        reason = ""
    head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    start = f"HTTP/1.1 {reply.status} {reason}\r\n{head}Content-Length: {length}\r\n\r\n".encode()
    body = b"" if call.method == "HEAD" else reply.body[: reply.sent]
    connection.sendall(start + body if len(body) < 65536 else start)
    if len(body) >= 65536:
        connection.sendall(body)
    for piece in reply.flow or ():
        connection.sendall(piece)
    whole = reply.sent is None and reply.length is None and reply.flow is None
    return whole and call.headers.get("connection", "").lower() != "close"

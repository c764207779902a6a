"""A vendor for the benches of writes: it takes any POST and answers `201` with a fixed body, on one thread, with no framework.

Usage: python bench/taker.py. Prints its port, then serves until it is killed; it has to cost less than what is measured.
"""

import selectors
import socket
import sys

BODY = b'{"id":"l-1","state":"received"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def whole(held: bytes) -> int:
    """How many bytes the first request of these is, head and body; 0 while it is not all there."""
    end = held.find(b"\r\n\r\n")
    if end < 0:
        return 0
    _, found, after = held[:end].lower().partition(b"content-length:")
    length = end + 4 + (int(after.split(b"\r\n", 1)[0]) if found else 0)
    return length if len(held) >= length else 0


def main() -> None:
    """Serve on a free port of the loopback."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.setblocking(False)
    print(listening.getsockname()[1], flush=True)
    sys.stdout.close()
    ready = selectors.DefaultSelector()
    ready.register(listening, selectors.EVENT_READ)
    held: dict[socket.socket, bytes] = {}
    while True:
        for key, _ in ready.select():
            if key.fileobj is listening:
                made, _ = listening.accept()
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(made, selectors.EVENT_READ)
                held[made] = b""
                continue
            given = key.fileobj
            assert isinstance(given, socket.socket)  # noqa: S101 -- the only other kind registered
            try:
                piece = given.recv(65_536)
            except ConnectionError:
                piece = b""
            if not piece:
                ready.unregister(given)
                given.close()
                del held[given]
                continue
            waiting = held[given] + piece
            while length := whole(waiting):
                waiting = waiting[length:]
                given.send(ANSWER)
            held[given] = waiting


if __name__ == "__main__":
    main()

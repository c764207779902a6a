"""A relay on loopback that cuts: it carries bytes both ways until so many went to the server, then ends both sides."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay:
    """A running relay. left: bytes left to go to the server (None: all); hold: nothing passes, from `pause_at` bytes on."""

    def __init__(self, port: int) -> None:
        self.left: int | None = None
        self.carried = 0
        self.hold = False
        self.pause_at: int | None = None
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for source, sink, counted in ((near, far, True), (far, near, False)):
                thread = threading.Thread(target=self._carry, args=(source, sink), kwargs={"counted": counted}, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket, *, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(16_384):
                while self.hold and source.fileno() >= 0:
                    time.sleep(0.01)
                if counted:
                    if self.left is not None:
                        data = data[: self.left]
                        self.left -= len(data)
                    self.carried += len(data)
                    if self.pause_at is not None and self.carried >= self.pause_at:
                        self.pause_at, self.hold = None, True
                sink.sendall(data)
                if counted and self.left == 0:
                    break
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut everything."""
        self.hold = False
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._open:
            each.close()


@contextmanager
def relaying(port: int) -> Iterator[Relay]:
    """Relay to a port of this machine."""
    made = Relay(port)
    try:
        yield made
    finally:
        made.close()

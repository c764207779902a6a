"""Group commit: many small write transactions of one process, made durable by one fsync.

1. Each piece of work is a function of a connection. One thread runs what is waiting in a single transaction, then tells
   everyone; nobody is told before the commit is durable.
2. A piece that raises is undone alone (savepoint) and its own caller is told; the others are kept.
3. A transaction that cannot commit (disk full, database busy) fails every piece in it: nothing of them is kept.

Pieces run one after the other in the order given, so a piece may count on what the earlier ones wrote.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from sovereign.state.store import State

T = TypeVar("T")
MOST: Final = 256
"""How many pieces one transaction takes."""

_Piece = tuple[Callable[[Connection], Any], Future[Any]]


class GroupCommit:
    """The writer of a process. Made once; `close` finishes what was given."""

    def __init__(self, state: State, *, most: int = MOST) -> None:
        self._state, self._most = state, most
        self._waiting: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, piece: Callable[[Connection], T]) -> "Future[T]":
        """Give a piece of work; its future has the result once that is durable. Raises RuntimeError after `close`."""
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise RuntimeError("closed")
            self._waiting.put((piece, future))
        return future

    async def write(self, piece: Callable[[Connection], T]) -> T:
        """Run a piece of work and wait until it is durable. A caller that is cancelled does not undo it."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(piece)))

    def close(self) -> None:
        """Finish what was given, then stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._waiting.get()) is not None:
            pieces, last = [first], False
            while len(pieces) < self._most and not self._waiting.empty():
                piece = self._waiting.get()
                if piece is None:
                    last = True
                    break
                pieces.append(piece)
            self._commit(pieces)
            if last:
                return

    def _commit(self, pieces: list[_Piece]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            with self._state.begin() as connection:
                for piece, future in pieces:
                    if not future.set_running_or_notify_cancel():
                        continue
                    try:
                        with connection.begin_nested():
                            result = piece(connection)
                    except Exception as error:  # noqa: BLE001 — it belongs to whoever gave the piece
                        future.set_exception(error)
                    else:
                        done.append((future, result))
        except Exception as error:  # noqa: BLE001 — nothing was kept: each caller must know
            for _, future in pieces:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)

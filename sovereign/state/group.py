"""Group commit: many small write transactions of one event loop, made durable by one flush of the disk.

1. Each piece of work is a function of a connection. What is waiting runs in a single transaction on the loop; then a thread has
   the disk keep it, and only then is anyone told.
2. A piece that raises is undone alone (savepoint) and its own caller is told; the others are kept.
3. A transaction that cannot commit (disk full) fails every piece in it: nothing of them is kept. One that cannot begin because
   another process writes is tried again, without holding up the loop, as long as any writer waits.
4. A disk that cannot say that it keeps what it was given ends the writer: every later piece is refused.
5. Everyone who gave a piece is told something, be the writer itself cancelled.

Pieces run one after the other in the order given, so a piece may count on what the earlier ones wrote. While the disk is at
work the next ones gather. The database's own flush at each commit is replaced by the same one, of the same file, made on the
thread (docs/adr/0012-group-commit-on-the-loop.md).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from sovereign.state.errors import StateBusy
from sovereign.state.statements import Statement, driver
from sovereign.state.store import State
from sovereign.state.trouble import told
from sovereign.state.wal import Wal

T = TypeVar("T")
MOST: Final = 64
"""How many pieces one transaction takes."""
_AGAIN: Final = 0.005
"""Seconds between two tries to begin while another process writes."""

_Piece = tuple[Callable[[Connection], Any], asyncio.Future[Any]]


class GroupCommit:
    """The writer of an event loop. Made once; `close` finishes what was given."""

    def __init__(self, state: State, *, most: int = MOST, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._state, self._most, self._monotonic = state, most, monotonic
        self._waiting: deque[_Piece] = deque()
        self._flushing = ThreadPoolExecutor(1, "group-commit")
        self._wal: Wal | None = None
        self._work: asyncio.Task[None] | None = None
        self._broken: Exception | None = None
        self._closed = False

    async def write(self, piece: Callable[[Connection], T]) -> T:
        """Run a piece of work and wait until it is durable. A caller that is cancelled does not undo it.

        Errors: StateError, what the piece raises, RuntimeError after `close` or when the loop ends first.
        """
        if self._closed:
            raise RuntimeError("closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, future))
        if self._work is None:
            self._work = asyncio.create_task(self._serve())
            self._work.add_done_callback(self._ended)
        return await future

    def look(self, statement: Statement, /, **values: object) -> Any:  # noqa: ANN401 - a row, or None
        """The first row of what is committed, on the loop and at once; errors: StateError."""
        self._wal = self._wal or Wal(self._state)
        with told(self._state.path, 0):
            return statement.look(self._wal.connection, **values)

    def check(self) -> None:
        """Raise what ended the writer, if anything did; errors: StateUnsure."""
        if self._broken is not None:
            raise self._broken.with_traceback(None)  # else it grows by what each caller holds

    async def close(self) -> None:
        """Finish what was given, then stop."""
        self._closed = True
        if self._work is not None:
            await asyncio.shield(self._work)  # whoever closes may be cancelled: those who wait are not
        self._flushing.shutdown()
        if self._wal is not None:
            self._wal.close()

    async def _serve(self) -> None:
        pieces: list[_Piece] = []
        try:
            while self._waiting:
                await asyncio.sleep(0)  # all that is ready in this turn of the loop comes along
                pieces = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                await self._turn(pieces)
        except BaseException:
            self._stopped(pieces)
            raise
        self._work = None

    def _ended(self, work: asyncio.Task[None]) -> None:
        if self._work is work:  # it was cancelled before it began
            self._stopped([])

    def _stopped(self, pieces: list[_Piece]) -> None:
        """The loop ends: what was given may be kept or not, and nobody must wait for ever."""
        _tell([*pieces, *self._waiting], RuntimeError("stopped"))
        self._waiting.clear()
        self._work = None

    async def _turn(self, pieces: list[_Piece]) -> None:
        try:
            done = await self._committed(pieces)
            if done:
                await self._flushed()
        except Exception as error:  # noqa: BLE001 - nothing of them may be relied on: each caller must know
            _tell(pieces, error)
            return
        for future, result in done:
            if not future.done():
                future.set_result(result)

    async def _committed(self, pieces: list[_Piece]) -> list[tuple[asyncio.Future[Any], Any]]:
        """Run pieces in one transaction; gives the results of those that were kept."""
        self.check()
        self._wal = self._wal or Wal(self._state)
        until = self._monotonic() + self._state.patience
        while True:
            try:
                return self._run(self._wal, pieces)
            except StateBusy:
                if self._monotonic() >= until:
                    raise StateBusy(path=self._state.path.name, seconds=self._state.patience) from None
            await asyncio.sleep(_AGAIN)

    @staticmethod
    def _run(wal: Wal, pieces: list[_Piece]) -> list[tuple[asyncio.Future[Any], Any]]:
        done: list[tuple[asyncio.Future[Any], Any]] = []
        failed: list[tuple[asyncio.Future[Any], Exception]] = []
        with wal.begin() as connection:
            under = driver(connection)
            for piece, future in pieces:
                under.execute("SAVEPOINT piece")
                try:
                    result = piece(connection)
                except Exception as wrong:
                    if not under.in_transaction:
                        raise  # it took the others with it, as a disk that is full may do
                    under.execute("ROLLBACK TO piece")
                    failed.append((future, wrong))
                else:
                    done.append((future, result))
                under.execute("RELEASE piece")
        for future, error in failed:
            if not future.done():
                future.set_exception(error)
        return done

    async def _flushed(self) -> None:
        """Have the disk keep what was committed; whatever it raises, nothing is written any more."""
        assert self._wal is not None  # noqa: S101 - something was committed through it
        try:
            await asyncio.get_running_loop().run_in_executor(self._flushing, self._wal.flush)
        except Exception as error:
            self._broken = error
            raise


def _tell(pieces: Iterable[_Piece], error: Exception) -> None:
    """Tell those who still wait that nothing of what they gave may be relied on."""
    for _, future in pieces:
        if not future.done():
            future.set_exception(error)

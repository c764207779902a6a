"""How many requests a connection has under way at once, writes and reads together: never more than its `limits.concurrency`.

1. Writes first: a slot that comes free while writes wait is the dispatcher's to fill, departures first; reads have what it
   leaves.
2. Reads never hold the last slot where there are several, so that no write waits for slow reads. Where there is but one, a
   write waits for one read at most.
3. A read waits its turn, in the order of arrival, and no longer than `PATIENCE` seconds: then it is refused.

Counts are those of this process: one process a site sends.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from sovereign.gateway.errors import VendorBusy

PATIENCE: Final = 5.0
"""Seconds that a read waits for its turn."""


class Slots:
    """Requests at once, by connection. backlog: the connections for which writes wait; wake: has the dispatcher look now."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._taken: dict[str, int] = {}
        self._reading: dict[str, int] = {}
        self._owed: dict[str, int] = {}
        """Connections whose free slots the dispatcher has not looked at yet, and the number of the last that came free."""
        self._freed = 0
        self._turns: dict[str, deque[tuple[asyncio.Future[None], int]]] = {}
        self.backlog: set[str] = set()
        self.wake: Callable[[], None] = lambda: None

    # Writes

    def free(self, connection: str, limit: int) -> int:
        """How many more writes may begin."""
        return max(0, limit - self._taken.get(connection, 0))

    def take(self, connection: str, limit: int) -> bool:
        """Take a slot for a write; False when none is free."""
        if not self.free(connection, limit):
            return False
        self._taken[connection] = self._taken.get(connection, 0) + 1
        return True

    def give(self, connection: str) -> None:
        """Give a slot back."""
        self._taken[connection] -= 1
        if connection in self.backlog:
            self._freed += 1
            self._owed[connection] = self._freed
            self.wake()
        else:
            self._pass_on(connection)

    def look(self, waiting: set[str]) -> int:
        """Note for which connections writes wait; gives what `looked` is told once each was seen to."""
        self.backlog = waiting
        return self._freed

    def looked(self, freed: int) -> None:
        """Leave to reads what the dispatcher left."""
        self._owed = {connection: number for connection, number in self._owed.items() if number > freed}
        for connection in list(self._turns):
            if connection not in self._owed:
                self._pass_on(connection)

    # Reads

    @asynccontextmanager
    async def reading(self, connection: str, limit: int) -> AsyncIterator[None]:
        """Hold a slot for a read. Errors: VendorBusy."""
        if connection in self._owed or connection in self._turns or not self._room(connection, limit):
            await self._turn(connection, limit)
        else:
            self._read(connection)
        try:
            yield
        finally:
            self._reading[connection] -= 1
            self.give(connection)

    async def _turn(self, connection: str, limit: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turns = self._turns.setdefault(connection, deque())
        turns.append((turn, limit))
        had = False
        try:
            await asyncio.wait({turn}, timeout=self._patience)
            had = turn.done()
        finally:
            if not had and turn.done():  # whoever asked went away in the very instant in which its turn came
                self._reading[connection] -= 1
                self.give(connection)
            elif not had:
                turns.remove((turn, limit))
                if not turns and self._turns.get(connection) is turns:
                    del self._turns[connection]
        if not had:
            raise VendorBusy(connection=connection, retry_after=1)

    def _room(self, connection: str, limit: int) -> bool:
        return bool(self.free(connection, limit)) and self._reading.get(connection, 0) < max(1, limit - 1)

    def _read(self, connection: str) -> None:
        self._taken[connection] = self._taken.get(connection, 0) + 1
        self._reading[connection] = self._reading.get(connection, 0) + 1

    def _pass_on(self, connection: str) -> None:
        turns = self._turns.get(connection)
        while turns and self._room(connection, turns[0][1]):
            turn, _ = turns.popleft()
            self._read(connection)
            turn.set_result(None)
        if turns is not None and not turns:
            del self._turns[connection]

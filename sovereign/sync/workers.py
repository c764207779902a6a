"""Who carries out the work that falls due: a port, and its implementation inside one process.

The port is what several machines will need: a piece of work has a name that is the same wherever it is found due, enqueueing
it twice does it once, and one connection has one piece of work at a time. An implementation over a database adds durability
and places; nothing above it changes.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Work:
    """A run to make: its name (`connection@due-time`, or a run's name), its connection, and why (`job` or `resume`)."""

    id: str
    connection: str
    due_at: datetime
    trigger: str


class Workers(Protocol):
    """Carries out work."""

    def enqueue(self, work: Work) -> None:
        """Take charge of a piece of work; one already taken, or whose connection is busy, is left where it is."""
        ...

    def busy(self) -> frozenset[str]:
        """The connections that have work waiting or under way."""
        ...

    def close(self) -> None:
        """Finish what is under way, drop what waits; nothing is taken any more."""
        ...


class Threads:
    """Carries out work in threads of this process, `size` at once."""

    def __init__(self, perform: Callable[[Work], None], size: int = 2) -> None:
        """Call `perform` for each piece of work; it must not raise."""
        self._perform = perform
        self._waiting: deque[Work] = deque()
        self._busy: set[str] = set()
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, name=f"job-{n}", daemon=True) for n in range(size)]
        for thread in self._threads:
            thread.start()

    def enqueue(self, work: Work) -> None:
        """Take charge of a piece of work."""
        with self._changed:
            if not self._closed and work.connection not in self._busy:
                self._busy.add(work.connection)
                self._waiting.append(work)
                self._changed.notify()

    def busy(self) -> frozenset[str]:
        """The connections that have work waiting or under way."""
        with self._changed:
            return frozenset(self._busy)

    def close(self) -> None:
        """Wait for what is under way."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                work = self._waiting.popleft()
            try:
                self._perform(work)
            finally:
                with self._changed:
                    self._busy.discard(work.connection)

"""How long a question may work: its time is counted while the engine works, and no longer."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Watchdog:
    """Calls `expire` when a block of work outlasts its time: one thread a session, asleep nearly always."""

    def __init__(self, expire: Callable[[], None]) -> None:
        self._expire = expire
        self._bell = threading.Condition()
        self._deadline = self._asleep_until = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def spending(self, left: "Budget") -> Iterator[None]:
        """Watch a block of work, and take its time from what was left."""
        started = time.monotonic()
        self._watch(started + max(left.seconds, 0.001))
        try:
            yield
        finally:
            self._watch(math.inf)
            left.seconds -= time.monotonic() - started

    def close(self) -> None:
        """End the thread."""
        with self._bell:
            self._closed = True
            self._bell.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, deadline: float) -> None:
        with self._bell:
            self._deadline = deadline
            if deadline < self._asleep_until:  # else it wakes in time by itself, and sleeps again if all is well
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, daemon=True, name="sovereign-session")
                    self._thread.start()
                self._bell.notify()

    def _run(self) -> None:
        with self._bell:
            while not self._closed:
                now = time.monotonic()
                if now >= self._deadline:
                    self._deadline = math.inf
                    self._expire()
                self._asleep_until = self._deadline
                self._bell.wait(None if self._deadline == math.inf else self._deadline - now)


@dataclass(slots=True)
class Budget:
    """The seconds of work that a question has left."""

    seconds: float

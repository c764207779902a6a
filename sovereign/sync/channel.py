"""Between the threads that read and the one that writes: a queue bounded by bytes.

A put waits while the queue holds `limit` bytes or more, so that memory stays bounded when the vendor is faster than the disk.
One item larger than the limit passes alone. Closing wakes everybody: puts are then dropped, for the run is over.
"""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """A first-in first-out queue of items that have a size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T, size: int) -> None:
        """Add `item`, of `size` bytes, waiting for room."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._items or self._bytes + size <= self._limit)
            if not self._closed:
                self._items.append((item, size))
                self._bytes += size
                self._changed.notify_all()

    def get(self, timeout: float) -> T | None:
        """Take the oldest item, or None when none came within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items, timeout):
                return None
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Let every waiting thread go; what is put from now on is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

"""What a transport tells about itself: how much passed, what guards it."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """Something `doctor` says about a way out: a stable code, a sentence in French and one in English."""

    code: str
    fr: str
    en: str


class Counters:
    """Requests sent, and bytes on the wire (as HTTP, inside TLS); they only grow. Thread safe."""

    __slots__ = ("_lock", "bytes_in", "bytes_out", "requests")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.bytes_in = 0
        self.bytes_out = 0

    def add(self, bytes_in: int, bytes_out: int) -> None:
        """Count one request."""
        with self._lock:
            self.requests += 1
            self.bytes_in += bytes_in
            self.bytes_out += bytes_out

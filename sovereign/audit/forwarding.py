"""The audit log followed by a receiver of syslog over TLS (RFC 5425): each entry at least once, in order, numbered.

1. The log is the spool: it is on the disk, in order, and whole. What is kept beside it is a position, the number of the first
   entry that the receiver has not confirmed; pruning lets go of nothing from there on.
2. Syslog has no acknowledgement. A session sends what there is and ends TLS; only when the receiver answers that end with its
   own (`close_notify`, RFC 5425 section 4.4), which it does after reading all that came before, does the position move. A
   session that ends in any other way is sent again from where it began.
3. One session at a time, of `MOST` entries or `LONGEST` seconds at most; `BATCH` entries in memory. A receiver that is down is
   tried again after longer and longer pauses, without end, and nothing of the service waits for it.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from sqlalchemy import insert, select, update

from sovereign.audit.log import AuditLog
from sovereign.audit.repeating import Repeating
from sovereign.audit.syslog import Writer
from sovereign.state import State
from sovereign.state.schema import counters
from vault.errors import Fault

BATCH: Final = 100
MOST: Final = 5000
LONGEST: Final = 30.0
"""Seconds after which a session under way is ended, to be confirmed."""
QUIET: Final = 2.0
"""Seconds without anything new after which a session is ended."""
LOOK: Final = 0.5
"""Seconds between two looks at what is new."""
AGAIN: Final = 1.0
"""Seconds before a receiver that failed is tried again; each failure doubles it, up to `LATEST`."""
LATEST: Final = 300.0
_NAME: Final = "audit.export"


class Line(Protocol):
    """An open channel to the receiver."""

    def send(self, data: bytes) -> None:
        """Send bytes; errors: EgressError."""
        ...

    def finish(self) -> None:
        """End the channel and wait until the receiver did the same; errors: EgressError when it does not."""
        ...

    def close(self) -> None:
        """Let go of it, whatever its state."""
        ...


class Position:
    """The number of the first entry that the receiver has not confirmed, kept in `state.db`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self) -> int:
        """Read it; 0 before anything was confirmed."""
        with self._state.read() as connection:
            return int(connection.execute(select(counters.c.value).where(counters.c.name == _NAME)).scalar() or 0)

    def advance(self, to: int) -> None:
        """Move it forward, never back."""
        with self._state.begin() as connection:
            moved = update(counters).where(counters.c.name == _NAME).values(value=to)
            known = connection.execute(select(counters.c.value).where(counters.c.name == _NAME)).scalar()
            if known is None:
                connection.execute(insert(counters).values(name=_NAME, value=to))
            elif known < to:
                connection.execute(moved)


class Forwarder(Repeating):
    """Follows a log in a thread of its own, until it is left; a context manager.

    line: opens a channel to the receiver. trouble: told of a fault, once until the next success.
    """

    def __init__(
        self,
        log: AuditLog,
        position: Position,
        writer: Writer,
        line: Callable[[], Line],
        trouble: Callable[[Fault], None],
        *,
        quiet: float = QUIET,
        again: float = AGAIN,
    ) -> None:
        self._log, self._position, self._writer, self._line, self._quiet = log, position, writer, line, quiet
        super().__init__("audit-forwarder", self.session, trouble, every=LOOK, again=again, latest=LATEST)

    def session(self) -> int:
        """Send what is not confirmed yet and have it confirmed; gives the new position. Errors: EgressError, Damaged."""
        first = at = self._position.get()
        if not self._log.bare(at, limit=1):
            return at
        began = fresh = time.monotonic()
        line = self._line()
        try:
            while at - first < MOST and time.monotonic() - began < LONGEST and not self.stop.is_set():
                found = self._log.bare(at, limit=BATCH)
                if found:
                    self._log.settle()  # a number told to the receiver is never another entry's
                    line.send(b"".join(self._writer.frame(*each) for each in found))
                    at, fresh = found[-1][0] + 1, time.monotonic()
                elif time.monotonic() - fresh >= self._quiet or self.stop.wait(LOOK):
                    break
            line.finish()
        finally:
            line.close()
        self._position.advance(at)
        return at

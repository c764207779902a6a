"""Whose turn it is: order within a lane, priority across lanes, and what time asks for.

1. A lane is (connection, entity). Its deliveries leave in the order of their turns; while one `blocks`, the later ones
   wait, whatever their priority.
2. Across lanes the lower priority number goes first (departures are 0), then the earlier turn.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from sovereign.gateway.deliveries import Delivery, read
from sovereign.state import State
from sovereign.state.outbound import deliveries
from sovereign.state.schema import instant_text
from sovereign.state.statements import Statement

_ALL: Final = ", ".join(f"d.{name}" for name in deliveries.c.keys())  # noqa: SIM118 - a collection of columns is no mapping


class Lanes:
    """The questions that the dispatcher asks of the table; each is answered by an index."""

    def __init__(self, state: State) -> None:
        self._ready = Statement(
            state,
            f"SELECT {_ALL} FROM deliveries d WHERE d.state = 'queued' AND d.connection = :connection AND NOT EXISTS ("  # noqa: S608 - names of ours
            "SELECT 1 FROM deliveries e WHERE e.connection = d.connection AND e.lane = d.lane AND e.turn < d.turn "
            "AND e.blocks = 1) ORDER BY d.priority, d.turn LIMIT :most",
        )
        self._waiting = Statement(state, "SELECT DISTINCT connection FROM deliveries WHERE state = 'queued'")
        self._due = Statement(
            state,
            f"SELECT {_ALL} FROM deliveries d WHERE d.next_at IS NOT NULL AND d.next_at <= :now ORDER BY d.next_at LIMIT :most",  # noqa: S608 - names of ours
        )
        self._soonest = Statement(state, "SELECT MIN(next_at) FROM deliveries WHERE next_at IS NOT NULL")
        self._unread = Statement(
            state,
            f"SELECT {_ALL} FROM deliveries d WHERE d.blocks = 1 AND d.state = 'delivered' ORDER BY d.turn LIMIT 10000",  # noqa: S608 - names of ours
        )
        self._stranded = Statement(
            state,
            f"SELECT {_ALL} FROM deliveries d WHERE d.next_at IS NOT NULL AND d.since > :now AND d.next_at >= d.since "  # noqa: S608 - names of ours
            "AND d.state IN ('to_retry', 'unknown', 'delivered') ORDER BY d.next_at LIMIT 10000",
        )
        self._in = Statement(state, f"SELECT {_ALL} FROM deliveries d WHERE d.state = :state ORDER BY d.turn LIMIT :most")  # noqa: S608 - names of ours

    def ready(self, reader: Connection, connection: str, most: int) -> list[Delivery]:
        """The next deliveries of a connection, at most one a lane."""
        return [read(row) for row in self._ready(reader, connection=connection, most=most).fetchall()]

    def waiting(self, reader: Connection) -> list[str]:
        """The connections for which something is queued."""
        return [row[0] for row in self._waiting(reader).fetchall()]

    def due(self, reader: Connection, now: datetime, most: int) -> list[Delivery]:
        """The deliveries that want attention now, the most overdue first."""
        return [read(row) for row in self._due(reader, now=instant_text(now), most=most).fetchall()]

    def soonest(self, reader: Connection) -> datetime | None:
        """When one next will."""
        found = self._soonest(reader).fetchone()[0]
        return None if found is None else datetime.fromisoformat(found)

    def unread(self, reader: Connection) -> list[Delivery]:
        """The deliveries that the vendor accepted and nobody has read back yet, by turn."""
        return [read(row) for row in self._unread(reader).fetchall()]

    def stranded(self, reader: Connection, now: datetime) -> list[Delivery]:
        """The deliveries whose next look was set by a clock that was set back since."""
        return [read(row) for row in self._stranded(reader, now=instant_text(now)).fetchall()]

    def within(self, reader: Connection, state: str, most: int = 1000) -> list[Delivery]:
        """The deliveries in a state, by turn."""
        return [read(row) for row in self._in(reader, state=state, most=most).fetchall()]

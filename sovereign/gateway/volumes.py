"""How much each client wrote to each connection of late: counted by the minute, rebuilt from the table at the start.

A write is counted in the very step that decides on it, before anything is waited for: however many ask at once, each decision
counts those before it. What could not be kept after all is taken off again.
"""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from sovereign.state.schema import instant_text

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Volumes:
    """Accepted writes (allowed or held) by client and connection. For one thread."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, str], OrderedDict[datetime, int]] = {}

    def rebuild(self, reader: Connection, now: datetime) -> None:
        """Count the last day again."""
        query = text(
            "SELECT i.client, i.connection, SUBSTR(i.received_at, 1, 16) AS minute, COUNT(*) FROM intents i "
            "JOIN decisions d ON d.intent = i.id WHERE i.received_at >= :since AND d.effect <> 'deny' "
            "GROUP BY i.client, i.connection, SUBSTR(i.received_at, 1, 16) ORDER BY minute"
        )
        self._minutes.clear()
        for client, connection, minute, count in reader.execute(query, {"since": instant_text(now - DAY)}):
            at = datetime.fromisoformat(minute).replace(tzinfo=UTC)
            self._minutes.setdefault((client, connection), OrderedDict())[at] = count

    def add(self, client: str, connection: str, now: datetime) -> None:
        """Count one."""
        minutes = self._minutes.setdefault((client, connection), OrderedDict())
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        minutes[minute] = minutes.get(minute, 0) + 1

    def remove(self, client: str, connection: str, at: datetime) -> None:
        """Count one less, that was counted at an instant."""
        minutes, minute = self._minutes.get((client, connection)), at.astimezone(UTC).replace(second=0, microsecond=0)
        if minutes and minutes.get(minute):
            minutes[minute] -= 1

    def count(self, client: str, connection: str, now: datetime) -> tuple[int, int]:
        """How many in the last hour, and in the last day."""
        minutes = self._minutes.get((client, connection))
        if not minutes:
            return 0, 0
        while minutes and next(iter(minutes)) < now - DAY:
            minutes.popitem(last=False)
        return sum(count for at, count in minutes.items() if at >= now - HOUR), sum(minutes.values())

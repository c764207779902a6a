"""Reading what changed since last time: the value asked for, and whether the vendor's answer keeps to it.

1. The filter asks again for a little of what is already held (`lookback`: a minute for instants, a day for dates, one for
   numbers), so it always covers the newest record known. An answer without any record is therefore suspect: the record is
   gone, the filter does not work, or the vendor went back in time. The reader then reads all.
2. Every record given must satisfy the filter asked; one that does not means that the filter is ignored.
3. A value more than a day after the beginning of the run does not move the cursor: one record dated 2099 would stop the sync.
4. The cursor kept is a number, or the vendor's own text, so that it can be given back as it came.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.connector import Json
from saas_connectors.paging import fill
from saas_connectors.values import INSTANT, instants

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Filter:
    """How a stream is asked for what changed: field, parameter and its template, lookback, zone of the dates without one."""

    field: str
    param: str
    template: str
    lookback: timedelta | None
    zone: str

    def since(self, cursor: Json) -> Json:
        """Give the value to ask from: the cursor less the lookback, written as the cursor is."""
        if not isinstance(cursor, str):
            return cursor - (int(self.lookback.total_seconds()) if self.lookback is not None else 1)
        try:
            held = datetime.fromisoformat(cursor)
        except ValueError:
            return cursor
        if len(cursor) <= 10:
            return (held.date() - max(_DAY, self.lookback or _DAY)).isoformat()
        back = held - (self.lookback if self.lookback is not None else _MINUTE)
        spec = "microseconds" if "." in cursor else "seconds"
        written = back.isoformat(sep=cursor[10], timespec=spec)
        return written.removesuffix("+00:00") + "Z" if cursor[-1] in "zZ" else written

    def value(self, since: Json) -> str:
        """Write the value as the parameter wants it."""
        if self.template and isinstance(since, str) and "{}" not in self.template:
            held = datetime.fromisoformat(since)
            since = (held if held.tzinfo else held.replace(tzinfo=ZoneInfo(self.zone))).isoformat()
        return fill(self.template, since, self.zone)

    def _slack(self) -> timedelta:
        """What a written value may lose: its time of day when a template cuts it, the fraction of a second otherwise."""
        return timedelta(days=2) if self.template and "{}" not in self.template else timedelta(seconds=1)

    def outside(self, column: pa.ChunkedArray, since: Json) -> int:
        """Count the records that do not satisfy the filter; those without a value are left out."""
        if not isinstance(since, str):
            below = pc.less(column, pa.scalar(since)) if kinds.is_integer(column.type) else None
        elif (at := self._instants(column)) is not None and (bound := self._instants(pa.chunked_array([[since]]))) is not None:
            below = pc.less(at, pa.scalar(bound[0].as_py() - self._slack(), INSTANT))
        else:
            below = pc.less(column, since) if kinds.is_string(column.type) else None
        return 0 if below is None else pc.sum(below).as_py() or 0

    def _instants(self, column: pa.ChunkedArray) -> Any:  # noqa: ANN401 — a pyarrow array or None
        try:
            if kinds.is_string(column.type):
                return instants(column, self.zone)
            return column.cast(INSTANT) if kinds.is_temporal(column.type) else None
        except pa.ArrowInvalid:
            return None

    def highest(self, column: pa.ChunkedArray, started_at: datetime) -> tuple[Json, int]:
        """Give the greatest value that is not in the future (None when there is none), and how many are."""
        ahead = 0
        at = self._instants(column)
        if at is not None:
            future = pc.fill_null(pc.greater(at, pa.scalar(started_at + _DAY, INSTANT)), False)
            ahead = pc.sum(future).as_py() or 0
            if ahead:
                column, at = column.filter(pc.invert(future)), at.filter(pc.invert(future))
            top = pc.max(at).as_py()
            place = pc.index(at, pa.scalar(top, INSTANT)).as_py() if top is not None else -1
            return (written(column[place].as_py()) if place >= 0 else None), ahead
        if kinds.is_string(column.type) or kinds.is_integer(column.type):
            return pc.max(column).as_py(), ahead
        return None, ahead

    def greater(self, one: Json, other: Json) -> Json:
        """Give the greater of two cursors, None being less than any."""
        if one is None or other is None:
            return other if one is None else one
        if not (isinstance(one, str) and isinstance(other, str)):
            return max(one, other) if not isinstance(one, str) and not isinstance(other, str) else other
        at = [self._instants(pa.chunked_array([[value]])) for value in (one, other)]
        if at[0] is None or at[1] is None:
            return max(one, other)
        return one if at[0][0].as_py() >= at[1][0].as_py() else other


def written(value: Json) -> Json:
    """Write a value of a column as JSON: an instant in UTC, a date, a number or a text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value

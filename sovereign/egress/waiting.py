"""Until when a vendor asks us to wait (RFC 9110 section 10.2.3). Pure: the present is given.

A date is read against the vendor's own `Date`, so that a clock that is off does not matter; what is not legible asks nothing.
Where `Retry-After` says nothing, the end of a quota does (`X-RateLimit-Reset`, as portals of open data write it).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_FOREVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_WRITTEN_OUT: Final = re.compile(r"([0-9]{1,9}) ?(s|sec|second|min|minute|h|hour)s?", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600}
_LONGEST: Final = 10**8
"""Seconds: a smaller number is a time to wait (three years), a greater one a date since 1970 (after 1973)."""


def retry_after(headers: Mapping[str, str], present: datetime) -> datetime | None:
    """Until when a response asks us to wait; None when it does not say, or not legibly.

    headers: names in lower case. present: an instant, UTC. A date is read against the vendor's own `Date`, so that a clock that
    is off does not matter. Source: RFC 9110 section 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return later(present, int(value[:12]))
    if written := _WRITTEN_OUT.fullmatch(value):  # `5 minutes`, as MaarchCourrier says while it is being updated
        return later(present, int(written[1]) * _UNITS[written[2][0].lower()])
    date = _date(value)
    if date is None:
        return None
    sent = _date(headers.get("date", ""))
    return later(present, max(0.0, (date - (sent or present)).total_seconds()))


def quota_reset(headers: Mapping[str, str], present: datetime) -> datetime | None:
    """Until when a quota that is used up stays so; None when the response does not say, or not legibly.

    `X-RateLimit-Reset` is no standard: seconds since 1970, seconds from now, or an ISO 8601 date, as vendors please.
    """
    value = headers.get("x-ratelimit-reset", "").strip()
    if value.isascii() and value.isdigit():
        seconds = int(value[:12])
        if seconds < _LONGEST:
            return later(present, seconds)
        ends = datetime.fromtimestamp(seconds, UTC) if seconds < _FOREVER.timestamp() else _FOREVER
    else:
        try:
            ends = datetime.fromisoformat(value)
        except ValueError:
            return None
        ends = ends if ends.tzinfo is not None else ends.replace(tzinfo=UTC)
    sent = _date(headers.get("date", ""))
    return later(present, max(0.0, (ends - (sent or present)).total_seconds()))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def later(present: datetime, seconds: float) -> datetime:
    """An instant so many seconds later; the end of the calendar when it lies beyond."""
    try:
        return present + timedelta(seconds=seconds)
    except OverflowError:
        return _FOREVER

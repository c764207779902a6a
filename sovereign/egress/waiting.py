"""Until when a vendor asks us to wait (RFC 9110 section 10.2.3). Pure: the present is given.

A date is read against the vendor's own `Date`, so that a clock that is off does not matter; what is not legible asks nothing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_FOREVER: Final = datetime(9999, 12, 31, tzinfo=UTC)


def retry_after(headers: Mapping[str, str], present: datetime) -> datetime | None:
    """Until when a response asks us to wait; None when it does not say, or not legibly.

    headers: names in lower case. present: an instant, UTC. A date is read against the vendor's own `Date`, so that a clock that
    is off does not matter. Source: RFC 9110 section 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return later(present, int(value[:12]))
    date = _date(value)
    if date is None:
        return None
    sent = _date(headers.get("date", ""))
    return later(present, max(0.0, (date - (sent or present)).total_seconds()))


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

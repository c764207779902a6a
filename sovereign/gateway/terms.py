"""When a delivery is tried, probed or read again, and when that ends. Pure: instants and chance are given.

1. What the vendor asks (`Retry-After`) is honoured in full, however long.
2. Else the wait doubles from `first` to `longest`, and takes a random half of itself, so that what failed together does not
   come back together.
3. An attempt counts against `attempts` only when it may have arrived: a vendor that is down for a week loses no write that is
   still wanted.
4. A probe looks only once the vendor can no longer be at work on what it received (`settle`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Terms:
    """first, longest: seconds between tries. attempts: that may have arrived. settle: seconds before the first probe.

    probes: looks that fail before a person is asked. lifetime: how long a write that says nothing is still wanted. looks,
    look_again: how often a read-back that finds nothing is repeated, and after how many seconds.
    """

    first: float = 1.0
    longest: float = 600.0
    attempts: int = 6
    settle: float = 5.0
    probes: int = 8
    lifetime: timedelta = timedelta(days=7)
    looks: int = 2
    look_again: float = 2.0

    def next(self, now: datetime, failures: int, chance: float, until: datetime | None = None) -> datetime:
        """When to try again after so many failures in a row (from 1). chance: in [0, 1). until: what the vendor asked."""
        seconds = min(self.longest, self.first * 2 ** min(failures - 1, 30)) * (0.5 + chance / 2)
        own = now + timedelta(seconds=seconds)
        return own if until is None else max(own, until)

    def expiry(self, received_at: datetime, asked: datetime | None, again: datetime | None = None) -> datetime:
        """Until when a write makes sense. again: until when whoever sends it again wants it, which is a term of its own."""
        first = asked or received_at + self.lifetime
        return first if again is None else max(first, again)

    def later(self, now: datetime, seconds: float) -> datetime:
        """An instant so many seconds later."""
        return now + timedelta(seconds=seconds)

"""Which backups are kept: the latest ones, and the newest of each day, week and month. Pure: instants in, names out.

1. A policy keeps at least one backup; one that would keep none is no policy.
2. A day, a week (ISO 8601) and a month are those of the site's zone; those without a backup are not counted.
3. What two rules keep is kept once; it counts for each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Keep:
    """How many to keep: the latest `last`, the newest of each of the latest `daily` days, `weekly` weeks, `monthly` months."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __bool__(self) -> bool:
        """Whether it keeps anything."""
        return any((self.last, self.daily, self.weekly, self.monthly))


_PERIODS: Final[dict[str, Callable[[datetime], tuple[int, ...]]]] = {
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: tuple(at.isocalendar())[:2],
    "monthly": lambda at: (at.year, at.month),
}


def kept(made: Iterable[tuple[str, datetime]], policy: Keep, zone: ZoneInfo) -> dict[str, tuple[str, ...]]:
    """Give the names that a policy keeps, newest first, each with the rules that keep it.

    made: names, and when each was made (UTC).
    """
    newest = sorted(made, key=lambda each: (each[1], each[0]), reverse=True)
    why: dict[str, list[str]] = {name: ["last"] for name, _ in newest[: policy.last]}
    for rule, period in _PERIODS.items():
        seen: dict[tuple[int, ...], str] = {}
        for name, at in newest:
            seen.setdefault(period(at.astimezone(zone)), name)
        for name in list(seen.values())[: getattr(policy, rule)]:
            why.setdefault(name, []).append(rule)
    return {name: tuple(why[name]) for name, _ in newest if name in why}

"""When a job falls due, in plain words: "every 15 minutes", "chaque jour ouvré à 07:00".

    every 15 minutes | every 2 hours | every hour              toutes les 15 minutes | toutes les 2 heures | toutes les heures
    every 1 day | every 3 days                                  tous les 3 jours
    every day at 03:30 | every day at 08:00, 12:00 and 18:00    chaque jour à 03:30 | tous les jours à 08:00 et 18:00
    every monday at 06:00 | every monday and friday at 06:00    chaque lundi à 06:00 | tous les lundis à 06:00
    every weekday at 07:00                                      chaque jour ouvré à 07:00
    … on weekdays | … between 08:00 and 19:00                   … les jours ouvrés | … entre 08:00 et 19:00
    … spread over 20 minutes                                    … étalé sur 20 minutes

1. Times of day are those of the zone. A time that the spring change skips falls due as much later as was skipped (02:30 at
   03:30); one that the autumn change repeats falls due once, the first time. Intervals are elapsed time and do not notice
   either change.
2. With a window, the interval starts again at its opening, so that there is always one run a day; without one, it counts from
   1970-01-01 UTC, so that a restart does not move it.
3. Starts are spread by an offset computed from the connection's name: always the same for one connection, different between
   them. Intervals spread over 10 minutes at most unless told otherwise; times of day are kept to the minute.

The present instant is a parameter; nothing here waits, stores or runs anything.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sovereign.sync.errors import BadCadence

_DAYS: Final = {
    name: number
    for number, names in enumerate(
        ["monday lundi", "tuesday mardi", "wednesday mercredi", "thursday jeudi", "friday vendredi", "saturday samedi",
         "sunday dimanche"]
    )
    for name in names.split()
}  # fmt: skip
_ALL: Final = frozenset(range(7))
_WORKING: Final = frozenset(range(5))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULT_SPREAD: Final = timedelta(minutes=10)

_TIME = r"\d{1,2}(?::|h)\d{2}"
_UNITS: Final = {
    "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "heure": 3600, "heures": 3600,
    "day": 86_400, "days": 86_400, "jour": 86_400, "jours": 86_400,
}  # fmt: skip
_WINDOW = re.compile(rf" (?:between|entre) ({_TIME}) (?:and|et) ({_TIME})")
_SPREAD = re.compile(r" (?:spread|étalée?) (?:over|sur) (\d{1,4}) (minutes?|hours?|heures?)")
_ONLY_WORKING = re.compile(r" (?:on weekdays|les jours ouvrés)")
_INTERVAL = re.compile(r"(?:every|toutes les|chaque)(?: (\d{1,5}))? (minutes?|hours?|heures?)")
_DAYS_APART = re.compile(r"(?:every|tous les) (\d{1,3}) (days?|jours?)")
_AT = re.compile(rf"(?:every|chaque|tous les) (.+?) (?:at|à) ({_TIME}(?:(?:, ?| and | et ){_TIME})*)")
_EVERY_DAY = {"day", "jour", "jours"}
_EVERY_WORKING_DAY = {"weekday", "jour ouvré", "jours ouvrés", "jour de semaine", "jours de semaine"}


@dataclass(frozen=True, slots=True)
class Cadence:
    """A cadence that was understood; `text` is what the person wrote."""

    text: str
    zone: ZoneInfo
    every: timedelta | None = None
    days: frozenset[int] = _ALL
    times: tuple[time, ...] = ()
    window: tuple[time, time] | None = None
    spread: timedelta = timedelta()

    def after(self, instant: datetime, name: str) -> datetime:
        """Give the first due instant (UTC) strictly after `instant` for the connection called `name`."""
        offset = self.offset(name)
        if self.every is not None and self.window is None and self.days == _ALL:
            return instant + self.every - (instant - _EPOCH - offset) % self.every
        today = instant.astimezone(self.zone).date()
        # A day before, for windows that cross midnight and offsets; nine after, for a weekly time that a change of hour moves.
        for shift in range(-2, 10):
            for due in sorted(set(self._day(today + timedelta(days=shift), offset))):
                if due > instant:
                    return due
        raise BadCadence(text=self.text)

    def offset(self, name: str) -> timedelta:
        """Give how much later than the plain cadence this connection starts, in whole seconds."""
        seconds = int(self.spread.total_seconds())
        if not seconds:
            return timedelta()
        return timedelta(seconds=int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % seconds)

    def _day(self, day: date, offset: timedelta) -> Iterator[datetime]:
        if day.weekday() not in self.days:
            return
        if self.every is None:
            for moment in self.times:
                yield self._at(day, moment) + offset
            return
        opens, closes = self.window or (time(), time())
        start = self._at(day, opens)
        end = self._at(day if closes > opens else day + timedelta(days=1), closes)
        due = start + min(offset, (end - start) / 2)
        while due < end:
            yield due
            due += self.every

    def _at(self, day: date, moment: time) -> datetime:
        # fold=0: the first of two, and for a time that does not exist the offset before the change, hence as much later (PEP
        # 495).
        return datetime.combine(day, moment, self.zone).astimezone(UTC)


def parse(text: str, zone: str = "Europe/Paris") -> Cadence:
    """Understand a cadence; raises BadCadence, with examples."""
    words = " ".join(text.lower().split())
    words, window = _cut(_WINDOW, words)
    words, spread = _cut(_SPREAD, words)
    words, working = _cut(_ONLY_WORKING, words)
    days = _WORKING if working else _ALL
    gap = timedelta(seconds=int(spread[1]) * _UNITS[spread[2]]) if spread else None
    try:
        if found := _INTERVAL.fullmatch(words) or _DAYS_APART.fullmatch(words):
            every = timedelta(seconds=int(found[1] or 1) * _UNITS[found[2]])
            if not timedelta(minutes=1) <= every <= timedelta(days=31):
                raise BadCadence(text=text)
            hours = (_time(window[1]), _time(window[2])) if window else None
            wide = min(every, _DEFAULT_SPREAD) if gap is None else min(gap, every)
            return Cadence(text, ZoneInfo(zone), every=every, days=days, window=hours, spread=wide)
        if (found := _AT.fullmatch(words)) and not window:
            times = tuple(sorted({_time(each) for each in re.findall(_TIME, found[2])}))
            chosen = _named_days(found[1]) & days
            if chosen:
                return Cadence(text, ZoneInfo(zone), days=chosen, times=times, spread=gap or timedelta())
    except (ValueError, KeyError):
        pass
    raise BadCadence(text=text)


def _named_days(words: str) -> frozenset[int]:
    if words in _EVERY_DAY:
        return _ALL
    if words in _EVERY_WORKING_DAY:
        return _WORKING
    return frozenset(_DAYS[each.removesuffix("s")] for each in re.split(r", ?(?:les )?| and | et (?:les )?", words))


def _time(text: str) -> time:
    hours, minutes = re.split("[:h]", text)
    return time(int(hours), int(minutes))


def _cut(pattern: re.Pattern[str], words: str) -> tuple[str, re.Match[str] | None]:
    found = pattern.search(words)
    return (words[: found.start()] + words[found.end() :], found) if found else (words, None)

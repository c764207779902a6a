"""What a run reads of the letters, decided before the first row.

1. A full read begins with a survey of all letters: it cuts the identifiers into slices, counts them, and says what later runs
   compare with. It comes before the rows: what moves in between is read again next time.
2. An incremental read surveys too, and reads again only the stretches where something moved. With `survey_every`, surveys are
   rarer, and between two of them only what moved `modification_date` is read, from `lookback` before the newest one seen.
3. Each stream compares the columns that its own rows hold: a survey that moved means a row that moved, so the cursor that
   says so is committed with it.
4. A survey whose newest change is older than the last one's is told: the server may have been restored from a backup. What
   it holds now is read again where it differs.
5. A letter that no list shows any more is looked for by its number. Only the vendor's word that it does not exist removes it;
   that it still answers, or may not be seen, is told, and keeps its row: a full read then withholds its deletions.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from saas_connectors.connector import Exchange, Fetch, ReadPlan, Slice, Stream
from saas_connectors.mail.maarch_calls import GONE, Calls, admit, sentence
from saas_connectors.mail.maarch_settings import Settings
from saas_connectors.mail.maarch_streams import CORE, LIGHT
from saas_connectors.mail.maarch_survey import SPAN, Bitmap, Survey
from saas_connectors.mail.maarch_walk import Fact, Walk

LETTER: Final = "GET/resources/{resId}"
_OF_FILES: Final = ("res_id", "fingerprint", "modification_date")
_PARTS: Final = 16
_LOOKED_FOR: Final = 64
_MOST_LIGHT: Final = 5_000
_LARGEST: Final = 50_000

Surveys = Mapping[str, Survey]


@dataclass(slots=True)
class Planning:
    """Plans the letters of one run: `streams` are `resources`, `documents` or both."""

    calls: Calls
    settings: Settings
    streams: Sequence[Stream]
    _answers: dict[int, str] = field(default_factory=dict)

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """Survey the letters, and cut what is to be read."""
        names = tuple(stream.name for stream in self.streams)
        full = any(plan.modes[name] == "full_refresh" for name in names)
        past = self._past(plan)
        if past and not full and not self._due(past, plan.started_at):
            return (self._moved(past, names),)
        large = min((each.page for each in (past or {}).values()), default=0)
        now, facts = yield from self._survey(plan.started_at, large)
        gone: dict[str, list[int]] = {}
        told: dict[str, list[Fact]] = {}
        for name, before in (past or {}).items():
            gone[name], told[name] = yield from self._vanished(before, now[name], full=full)
            if now[name].latest < before.latest:
                told[name].append(("went_backwards", False if full else None, {"field": "modification_date"}))
        if full or past is None:
            listed = now[names[0]].ids
            ranges = _cut(listed, self.settings.limit)
            facts.append(("vendor_count", None, {"count": len(listed) + now[names[0]].beyond}))
        else:
            ranges = _merged(each for name in names for each in now[name].changed(past[name]))
        if now[names[0]].beyond:
            ranges.append([SPAN, None])
        end = {
            name: {
                "cursor": now[name].to_json(),
                "facts": [list(fact) for fact in (*facts, *told.get(name, ()))],
                "removed": gone.get(name, []),
            }
            for name in names
        }
        made = [Slice(f"letters:{n:02}", names, {"ranges": part}) for n, part in enumerate(_shared(ranges))]
        return (*made, Slice("letters:end", names, {"ranges": [], "end": end}))

    def _moved(self, past: Surveys, names: tuple[str, ...]) -> Slice:
        """What moved `modification_date` since the last survey."""
        since = back(min(each.latest for each in past.values()), self.settings.server_zone, self.settings.lookback)
        moved = f"modification_date >= '{since}' OR creation_date >= '{since}'"
        end = {name: {"cursor": each.to_json(), "facts": [], "removed": []} for name, each in past.items()}
        return Slice("letters", names, {"ranges": [[1, None]], "moved": moved, "end": end})

    def _past(self, plan: ReadPlan) -> Surveys | None:
        """The last survey of each stream; None when one has none that can be compared with."""
        found = {s.name: Survey.from_json(plan.cursors.get(s.name), self._compared(s.name)) for s in self.streams}
        kept = {name: each for name, each in found.items() if each is not None}
        return kept if len(kept) == len(found) else None

    def _compared(self, name: str) -> tuple[str, ...]:
        """What is compared: columns that this server has, under this perimeter (a name that no row has)."""
        known = next((stream.schema.names for stream in self.streams if stream.name == "resources"), CORE)
        columns = LIGHT if name == "resources" else _OF_FILES
        perimeter = hashlib.sha256((self.settings.where or "").encode()).hexdigest()[:16]
        return (*(each for each in columns if each in known), f"where {perimeter}")

    def _due(self, past: Surveys, now: datetime) -> bool:
        """Whether it is time for a survey: the last one that was kept is old enough."""
        try:
            newest = max(datetime.fromisoformat(each.at) for each in past.values())
            old = now - newest >= timedelta(seconds=self.settings.survey_every)
            return old or not all(datetime.fromisoformat(each.latest) for each in past.values())
        except (ValueError, TypeError):
            return True

    def _survey(self, at: datetime, large: int) -> Exchange[tuple[Surveys, list[Fact]]]:
        tomorrow = local(at + timedelta(days=1), self.settings.server_zone)
        found = {each.name: Survey(self._compared(each.name), at=at.isoformat(), ceiling=tomorrow) for each in self.streams}
        columns = tuple(dict.fromkeys(name for each in found.values() for name in each.columns[:-1]))
        limit = self.settings.limit
        walk = Walk(self.calls, columns, min(_MOST_LIGHT, 10 * limit), most=min(_LARGEST, 100 * limit), large=large)
        while letters := (yield from walk.page()):
            for number, row in letters:
                for each in found.values():
                    each.look(number, row)
        for each in found.values():
            each.page = walk.large
        return {name: each.done() for name, each in found.items()}, walk.facts

    def _vanished(self, past: Survey, now: Survey, *, full: bool) -> Exchange[tuple[list[int], list[Fact]]]:
        """Look for the letters that were listed and are not: those that are gone, and what is to be told of the others."""
        unlisted = past.ids.plus(past.missing).minus(now.ids)
        looked_for = list(unlisted if full else unlisted.minus(past.missing))[:_LOOKED_FOR]
        yield from self._asked([number for number in looked_for if number not in self._answers])
        gone = [number for number in looked_for if self._answers[number] == "gone"]
        now.missing = unlisted.minus(_of(gone))
        left, hidden = len(now.missing), sum(self._answers[number] == "hidden" for number in looked_for)
        if not left:
            return gone, []
        return gone, [("vanished", False if full else None, {"count": left, "hidden": hidden, "unsure": left - hidden})]

    def _asked(self, numbers: Sequence[int]) -> Exchange[None]:
        """Ask for letters by their numbers: each is gone, hidden (it answers and no list shows it) or unsure."""
        for start in range(0, len(numbers), _PARTS):
            asked = numbers[start : start + _PARTS]
            requests = tuple(self.calls.get(f"resources/{number}", (("light", "true"),)) for number in asked)
            for number, request, response in zip(asked, requests, (yield Fetch(requests)), strict=True):
                if response.status == 401:
                    admit(request, response, LETTER)
                gone = response.status == 400 and sentence(response) == GONE
                self._answers[number] = "gone" if gone else "hidden" if 200 <= response.status < 300 else "unsure"


def back(written: str, zone: str, lookback: int) -> str:
    """Where a look back begins, from an instant as the vendor wrote it."""
    instant = datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
    return local(instant - timedelta(seconds=lookback), zone)


def local(instant: datetime, zone: str) -> str:
    """Write an instant as the vendor does, so that no later instant is written smaller.

    In autumn, local time says again what it said an hour before: in that hour, it is written an hour earlier.
    """
    here, next_hour = (each.astimezone(ZoneInfo(zone)) for each in (instant, instant + timedelta(hours=1)))
    falls = max(timedelta(0), (here.utcoffset() or timedelta(0)) - (next_hour.utcoffset() or timedelta(0)))
    return (here.replace(tzinfo=None) - falls).strftime("%Y-%m-%d %H:%M:%S")


def _of(numbers: Sequence[int]) -> Bitmap:
    made = Bitmap()
    for number in numbers:
        made.add(number)
    return made


def _cut(ids: Bitmap, limit: int) -> list[list[Any]]:
    """Cut the identifiers into stretches of as many letters, one for each slice."""
    held = list(ids)
    size = max(limit, -(-len(held) // _PARTS))
    return [[held[start], held[min(start + size, len(held)) - 1]] for start in range(0, len(held), size)]


def _merged(ranges: Iterable[list[int]]) -> list[list[Any]]:
    """Join stretches that overlap, in their order."""
    found: list[list[Any]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return found


def _shared(ranges: Sequence[list[Any]]) -> Iterator[list[Any]]:
    size = -(-len(ranges) // _PARTS) or 1
    yield from (list(ranges[start : start + size]) for start in range(0, len(ranges), size))

"""Letters and their files: what a run reads of them, then the reading.

1. A full read begins with a survey of all letters, made while the read is planned: it cuts the identifiers into slices, counts
   them, and says what later runs compare with. It comes before the rows: what moves in between is read again next time.
2. An incremental read surveys too, and reads again only the stretches where something moved. With `survey_every`, surveys are
   rarer, and between two of them only what moved `modification_date` is read, from `lookback` before the newest one seen.
3. A letter that no list shows any more is looked for by its number. Only the vendor's word that it does not exist removes it;
   that it still answers, or may not be seen, is told, and keeps its row: a full read then withholds its deletions.
4. A deleted letter is a status (`DEL`): its row and its file stay.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from saas_connectors.asking import Answer
from saas_connectors.connector import Evidence, Exchange, Fetch, Filed, Json, Page, Reading, ReadPlan, Slice, Stream
from saas_connectors.mail.maarch_calls import GONE, Calls, admit, sentence
from saas_connectors.mail.maarch_files import Files, Taken, Wanted, batches
from saas_connectors.mail.maarch_settings import Settings
from saas_connectors.mail.maarch_streams import CORE, LIGHT, Tables
from saas_connectors.mail.maarch_survey import Bitmap, Survey
from saas_connectors.mail.maarch_walk import Fact, Letter, Walk

CONTENT: Final = "GET/resources/{resId}/originalContent"
LETTER: Final = "GET/resources/{resId}"
_PARTS: Final = 16
_LOOKED_FOR: Final = 64
_FOLD: Final = timedelta(hours=1)
"""What local time may go back by, in autumn."""


@dataclass(frozen=True, slots=True)
class Letters:
    """Plans and reads `resources` and `documents`."""

    calls: Calls
    settings: Settings

    def slices(self, plan: ReadPlan, streams: Sequence[Stream]) -> Exchange[tuple[Slice, ...]]:
        """Survey the letters, and cut what is to be read."""
        names = tuple(stream.name for stream in streams)
        columns = self._light(streams)
        full = any(plan.modes[name] == "full_refresh" for name in names)
        past = self._past(plan, names, columns)
        if not full and past is not None and not self._due(past, plan.started_at):
            since = back(past.latest, self.settings.server_zone, self.settings.lookback)
            moved = f"modification_date >= '{since}' OR creation_date >= '{since}'"
            detail = {"ranges": [[1, None]], "moved": moved, "end": {"cursor": past.to_json()}}
            return (Slice("letters", names, detail),)
        now, facts = yield from self._survey(columns)
        now.at = plan.started_at.isoformat()
        gone, told = yield from self._vanished(past, now, full=full)
        if full or past is None:
            ranges = _cut(now.ids, self.settings.limit)
            facts += [("vendor_count", None, {"count": len(now.ids)})]
        else:
            ranges = now.changed(past)
        end = {"cursor": now.to_json(), "facts": [list(fact) for fact in (*facts, *told)], "removed": gone}
        parts = list(_shared(ranges))
        made = [Slice(f"letters:{n:02}", names, {"ranges": part}) for n, part in enumerate(parts)]
        return (*made, Slice("letters:end", names, {"ranges": [], "end": end}))

    def read(self, part: Slice, streams: Sequence[Stream], position: Json) -> Reading:
        """Read one part of the letters; the last gives what was found, and the cursors."""
        detail, start = part.detail, position or {"range": 0, "after": None}
        reader = _Reader(self.calls, self.settings, {stream.name: stream for stream in streams})
        for n, (first, last) in enumerate(detail["ranges"]):
            if n < start["range"]:
                continue
            after = start["after"] if n == start["range"] and start["after"] is not None else first - 1
            conditions = (detail["moved"],) if "moved" in detail else ()
            walk = Walk(self.calls, reader.columns, self.settings.limit, after, last, conditions)
            yield from reader.walked(walk, n)
        end = detail.get("end")
        if end is None:
            return {}
        if "done" not in start:
            yield from _ended(end, streams)
        return {stream.name: end["cursor"] for stream in streams if end["cursor"] is not None}

    def _past(self, plan: ReadPlan, names: Sequence[str], columns: Sequence[str]) -> Survey | None:
        cursors = [plan.cursors.get(name) for name in names]
        if not cursors or any(each != cursors[0] for each in cursors):
            return None
        return Survey.from_json(cursors[0], columns)

    def _light(self, streams: Sequence[Stream]) -> tuple[str, ...]:
        """What the survey compares: the columns that this server has, under this perimeter (a name that no row has)."""
        known = next((stream.schema.names for stream in streams if stream.name == "resources"), CORE)
        perimeter = hashlib.sha256((self.settings.where or "").encode()).hexdigest()[:16]
        return (*(name for name in LIGHT if name in known), f"where {perimeter}")

    def _due(self, past: Survey, now: datetime) -> bool:
        try:
            return not past.latest or now - datetime.fromisoformat(past.at) >= timedelta(seconds=self.settings.survey_every)
        except (ValueError, TypeError):
            return True

    def _survey(self, columns: Sequence[str]) -> Exchange[tuple[Survey, list[Fact]]]:
        found = Survey(tuple(columns))
        walk = Walk(self.calls, columns[:-1], min(5_000, 10 * self.settings.limit))
        while letters := (yield from walk.page()):
            for number, row in letters:
                found.look(number, row)
        return found.done(), walk.facts

    def _vanished(self, past: Survey | None, now: Survey, *, full: bool) -> Exchange[tuple[list[int], list[Fact]]]:
        """Look for the letters that were listed and are not: those that are gone, and what is to be told of the others."""
        if past is None:
            return [], []
        unlisted = past.ids.plus(past.missing).minus(now.ids)
        looked_for = list(unlisted if full else unlisted.minus(past.missing))[:_LOOKED_FOR]
        gone: list[int] = []
        hidden = 0
        for start in range(0, len(looked_for), 16):
            asked = looked_for[start : start + 16]
            requests = tuple(self.calls.get(f"resources/{number}", (("light", "true"),)) for number in asked)
            for number, request, response in zip(asked, requests, (yield Fetch(requests)), strict=True):
                if response.status == 401:
                    admit(request, response, LETTER)
                if response.status == 400 and sentence(response) == GONE:
                    gone.append(number)
                hidden += 200 <= response.status < 300
        now.missing = unlisted.minus(_of(gone))
        left = len(now.missing)
        if not left:
            return gone, []
        return gone, [("vanished", False if full else None, {"count": left, "hidden": hidden, "unsure": left - hidden})]


class _Reader:
    """Turns letters into pages of the streams asked for."""

    def __init__(self, calls: Calls, settings: Settings, streams: dict[str, Stream]) -> None:
        self.calls, self.settings, self.streams = calls, settings, streams
        self._tables = {name: Tables(name, each.schema, self.settings.server_zone) for name, each in self.streams.items()}
        self._files = Files("documents", CONTENT, self.settings.verify)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to ask for."""
        needed = ("res_id", "fingerprint", "filesize", "format", "filename", "modification_date")
        resources = self.streams.get("resources")
        named = tuple(resources.schema.names) if resources else ()
        return tuple(dict.fromkeys((*named, *(needed if "documents" in self.streams else ()))))

    def walked(self, walk: Walk, n: int) -> Reading:
        """Give the pages of a walk, cut where files are fetched."""
        while letters := (yield from walk.page()):
            for check, holds, detail in walk.facts:
                yield from (Evidence(name, check, holds, detail) for name in self.streams)
            walk.facts.clear()
            if "documents" not in self.streams:
                yield from self._page("resources", [row for _, row in letters], {"range": n, "after": letters[-1][0]})
                continue
            wanted = [self._wanted(*letter) for letter in letters]
            held = yield from self._files.held(wanted)
            for cut in batches(wanted, held):
                yield from self._batch(letters[cut], wanted[cut], held, n)
        for check, holds, detail in walk.facts:
            yield from (Evidence(name, check, holds, detail) for name in self.streams)
        return {}

    def _batch(
        self, letters: Sequence[Letter], wanted: Sequence[Wanted | None], held: dict[str, Filed], n: int
    ) -> Answer[None]:
        taken = yield from self._files.take(wanted, held)
        for state, count in sorted(self._files.troubles.items()):
            yield Evidence("documents", f"document_{state}", False, {"count": count})
        self._files.troubles.clear()
        if "resources" in self.streams:
            yield from self._page("resources", [row for _, row in letters], None)
        filed = [_document(number, row, each) for (number, row), each in zip(letters, taken, strict=True)]
        yield from self._page("documents", filed, {"range": n, "after": letters[-1][0]})

    def _page(self, name: str, rows: Sequence[Any], position: Json) -> Iterator[Page | Evidence]:
        tables = self._tables[name]
        made = tables.table(rows)
        if tables.suspect:
            yield Evidence(name, "suspect_values", None, {"count": tables.suspect, "rules": {"type": tables.suspect}})
            tables.suspect = 0
        yield Page(name, made, position)

    def _wanted(self, number: int, row: Any) -> Wanted | None:  # noqa: ANN401 - a row of the vendor
        fingerprint = row.get("fingerprint") or None
        if not (fingerprint or row.get("filename") or row.get("filesize")):
            return None
        size = row.get("filesize")
        return Wanted(
            self.calls.get(f"resources/{number}/originalContent", document=True),
            f"{number}.{row.get('format') or 'bin'}",
            f"fingerprint:{str(fingerprint).lower()}" if fingerprint else None,
            str(fingerprint) if fingerprint else None,
            size if isinstance(size, int) else None,
        )


def back(written: str, zone: str, lookback: int) -> str:
    """Where a look back begins, as the vendor writes instants.

    An hour more than asked: in autumn, local time says again what it said an hour before.
    """
    instant = datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
    return local(instant - timedelta(seconds=lookback), zone)


def local(instant: datetime, zone: str) -> str:
    """Write an instant in the vendor's zone, an hour before: no local time after it is smaller."""
    return (instant - _FOLD).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def _document(number: int, row: Any, taken: Taken) -> dict[str, Json]:  # noqa: ANN401 - a row of the vendor
    filed = taken.filed
    return {
        "res_id": number,
        "document": filed.document if filed else None,
        "size": filed.size if filed else None,
        "sha256": filed.sha256 if filed else None,
        "fingerprint": row.get("fingerprint"),
        "format": row.get("format"),
        "state": taken.state,
        "modification_date": row.get("modification_date"),
    }


def _ended(end: Json, streams: Sequence[Stream]) -> Iterator[Page | Evidence]:
    for check, holds, detail in end.get("facts", ()):
        yield from (Evidence(stream.name, check, holds, detail) for stream in streams)
    if end.get("removed"):
        for stream in streams:
            removed = pa.table({"res_id": pa.array(end["removed"], pa.int64())})
            position = {"range": 0, "after": None, "done": True} if stream is streams[-1] else None
            yield Page(stream.name, stream.schema.empty_table(), position, removed)


def _of(numbers: Sequence[int]) -> Bitmap:
    made = Bitmap()
    for number in numbers:
        made.add(number)
    return made


def _cut(ids: Bitmap, limit: int) -> list[list[int]]:
    """Cut the identifiers into stretches of as many letters, one for each slice."""
    held = list(ids)
    size = max(limit, -(-len(held) // _PARTS))
    return [[held[start], held[min(start + size, len(held)) - 1]] for start in range(0, len(held), size)]


def _shared(ranges: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    size = -(-len(ranges) // _PARTS) or 1
    yield from (list(ranges[start : start + size]) for start in range(0, len(ranges), size))

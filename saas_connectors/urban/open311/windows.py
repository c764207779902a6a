"""Asking for the requests of a window of time, at a server whose filters are not believed on their word.

1. The standard filters on `requested_datetime`, both ends included. Servers were seen to exclude them, to reverse them (`<` the
   start and `>` the end), to ignore them. A control question settles it: a request that is known is asked for by the second it
   was made in, and must come back, with nothing made more than `SLACK` away from it. A server that drops the zone of a date
   answers hours away from what was asked: windows then overlap.
2. What comes back of each window is held against it all the same.
3. A cap smaller than the standard's is found out: a round number of rows, or as many as the list without a filter gave, is
   asked again on either side of its middle row, which must give no more. Larger answers are then asked for (`page_size`,
   `per_page`, `limit`), and kept to where they are given.
4. A server that shows only open requests to who names no status is found out: a closed one is looked for in its window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from saas_connectors.connector import Exchange, Fetch
from saas_connectors.errors import Malformed, NotFound, Rejected
from saas_connectors.request import Pairs
from saas_connectors.urban.open311.answers import Speech
from saas_connectors.urban.open311.records import Raw, Registry, Reported
from saas_connectors.urban.open311.state import Mark, Sense, State, epoch

DAY: Final = 86_400
SLACK: Final = 26 * 3600
"""Seconds by which a row may lie outside its window and the filter still be honoured: a zone that is not said, a whole day."""
ROUND: Final = frozenset({10, 20, 25, 30, 40, 50, 100, 150, 200, 250, 300, 400, 500})
"""Numbers of rows at which a list may have been cut."""
_WAYS: Final[tuple[tuple[Sense, int], ...]] = (
    ("honoured", 0), ("reversed", 1), ("honoured", 1), ("honoured", 4 * 3600), ("honoured", DAY), ("reversed", DAY),
)  # fmt: skip
_SIZES: Final = ("page_size", "per_page", "limit")
EVERY: Final = (("open,closed",), ("open", "closed"))
"""What `status` may have to be for every request to be shown."""
WHOLE: Final = 1000
"""Rows that one answer holds at most, by the standard."""
Named = Literal["requested", "updated"]
_NAMES: Final = {"requested": ("start_date", "end_date"), "updated": ("updated_after", "updated_before")}


def stamp(at: int) -> str:
    """Write an instant as the standard wants it (W3C date and time, with its zone)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Windows:
    """Asks one server. `registry` counts what cannot be read of what is given; control questions count nothing."""

    speech: Speech
    registry: Registry
    state: State

    @property
    def overlap(self) -> int:
        """Seconds around an edge in which two windows may bring the same request."""
        return self.state.margin + (SLACK if self.state.margin > 1 else 0)

    def params(self, start: int, end: int, named: Named = "requested") -> Pairs:
        """The parameters of a window, as this server takes them."""
        low, high = stamp(max(0, start - self.state.margin)), stamp(end + self.state.margin)
        if self.state.sense == "reversed" and named == "requested":
            low, high = high, low
        first, last = _NAMES[named]
        return ((first, low), (last, high))

    def ask(self, start: int, end: int, more: Pairs = (), *, named: Named = "requested") -> Exchange[list[Reported]]:
        """The requests of a window."""
        return self.registry.requests((yield from self.listed((*self.params(start, end, named), *more))))

    def listed(self, params: Pairs, *, empty: bool = True) -> Exchange[list[Raw]]:
        """What the server lists, of every status unless one is asked for."""
        found: list[Raw] = []
        for asked in self._questions(params):
            found += yield from self.speech.ask("requests", "requests", asked, empty=empty)
        return found

    def aside(self, params: Pairs, *, empty: bool = True) -> Exchange[list[Reported]]:
        """The requests of a question that is no part of the read."""
        return Registry(self.registry.zone).requests((yield from self.listed(params, empty=empty)))

    def tried(self, params: Pairs) -> Exchange[list[Reported]]:
        """The requests of a question that a server may not take: none when it refuses."""
        try:
            return (yield from self.aside(params))
        except (NotFound, Rejected, Malformed):
            return []

    def _questions(self, params: Pairs) -> list[Pairs]:
        sized = ((self.state.paged, str(WHOLE)),) if self.state.paged else ()
        if not self.state.every or any(name == "status" for name, _ in params):
            return [(*params, *sized)]
        return [(*params, ("status", value), *sized) for value in self.state.every]

    def holds(self, known: Mark, named: Named = "requested") -> Exchange[bool]:
        """The control question: whether a request that is known comes back, and nothing made far from it."""
        rows = yield from self.aside(self.params(known[1], known[1] + 1, named))
        return any(row.id == known[0] for row in rows) and self.within(rows, known[1], known[1] + 1, named)

    def prove(self, rows: Sequence[Reported]) -> Exchange[None]:
        """Find out how the filter is to be asked, from some requests of the server; `ignored` when no way works."""
        dated = sorted((at, row.id) for row in rows if (at := epoch(row)) is not None)
        if not dated:
            return
        at, name = dated[len(dated) // 2]
        for self.state.sense, self.state.margin in _WAYS:
            if (yield from self.holds((name, at))):
                self.state.reach = self.overlap
                return
        self.state.sense, self.state.margin = "ignored", 0

    def cut(self, start: int, end: int, rows: Sequence[Reported]) -> Exchange[bool]:
        """Whether a list was cut at its number of rows: on either side of its middle row there are more."""
        made = sorted(at for row in rows if (at := epoch(row)) is not None)
        middle = min(max(start, made[len(made) // 2]), end) if made else start + (end - start) // 2
        asked = [*self._questions(self.params(start, middle)), *self._questions(self.params(middle, end))]
        requests = tuple(self.speech.request("requests", params) for params in asked)
        answers = yield Fetch(requests)
        names: set[str] = set()
        for params, request, response in zip(asked, requests, answers, strict=True):
            found = yield from self.speech.told("requests", "requests", params, request, response, empty=True)
            names |= {row.id for row in Registry(self.registry.zone).requests(found)}
        return bool(names - {row.id for row in rows})

    def widen(self, start: int, end: int, rows: Sequence[Reported]) -> Exchange[bool]:
        """Whether the server gives more rows an answer when it is asked to; that is kept to."""
        taken = {name for name, _ in self.speech.params}
        if self.state.paged or taken & {*_SIZES}:
            return False
        for self.state.paged in _SIZES:
            more = yield from self.tried(self.params(start, end))
            if len(more) > len(rows) and self.within(more, start, end):
                return True
        self.state.paged = ""
        return False

    def discover(self, rows: Sequence[Reported]) -> Exchange[None]:
        """Find out whether every request is shown to who names no status, from rows that show none that is closed."""
        if self.state.every or any(not row.open for row in rows):
            return
        shown = yield from self.tried((("status", "closed"),))
        closed = [row for row in shown if not row.open and epoch(row) is not None]
        if not closed or (yield from self._shows(closed[0])):
            return
        for every in EVERY:
            self.state.every = list(every)
            if (yield from self._shows(closed[0])):
                return
        self.state.every = []

    def _shows(self, known: Reported) -> Exchange[bool]:
        at = epoch(known) or 0
        rows = yield from self.tried(self.params(at, at + 1) if self.state.sense in ("honoured", "reversed") else ())
        return any(row.id == known.id for row in rows)

    def within(self, rows: Iterable[Reported], start: int, end: int, named: Named = "requested") -> bool:
        """Whether what came back satisfies the window asked for; a row without a time says nothing, but of `updated`."""
        slack = SLACK + self.state.margin
        for row in rows:
            at = row.at if named == "requested" else row.updated
            if at is None and named == "updated":
                return False
            if at is not None and not start - slack <= at.timestamp() <= end + slack:
                return False
        return True

"""One slice of one list, read: pages, what they prove, where to start again, and the cursor for next time.

1. A read for changes asks with the filter of `cursors`. If a record does not satisfy it, or if nothing comes although the
   newest record known should, the slice is read again without a filter, from its beginning, and that is said.
2. A position holds all it takes to go on: the phase (`changes` or `all`), the place in the list, the greatest cursor so far.
3. A record without its primary key is set aside and counted. The vendor's counts are given as they come, as hints.
4. A vendor that gave its first page again to every probe for a second one is said to (`page_repeated`): it speaks against
   completeness where the vendor counts more than that page holds.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from saas_connectors.answer import MISSING, decode
from saas_connectors.connector import Evidence, Fetch, Json, Page, Reading, ReadPlan
from saas_connectors.errors import SchemaError, VendorError
from saas_connectors.paging import Walk, Windows, put
from saas_connectors.records import pieces
from saas_connectors.request import Request, Response
from saas_connectors.rest.cursors import Filter
from saas_connectors.rest.patterns import look
from saas_connectors.rest.understanding import Understanding, flows, long

Told = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, None]


@dataclass(slots=True)
class _State:
    """Where the slice stands; `at` is None once the phase's list is read."""

    phase: str
    at: Json
    high: Json = None
    rows: int = 0
    why: str = ""

    def json(self) -> Json:
        return {"phase": self.phase, "at": self.at, "high": self.high, "rows": self.rows, "why": self.why}


@dataclass(slots=True)
class Reader:
    """Reads a slice of `stream`; `count` is the request of its count endpoint, in the slice that asks for it.

    `repeats`: a probe for a second page was answered by the first one again.
    """

    stream: str
    primary_key: tuple[str, ...]
    base: Request
    start: Json
    understanding: Understanding
    filter: Filter | None
    cursor: Json
    count: tuple[Request, str] | None
    plan: ReadPlan
    repeats: bool = False
    _announced: int | None = None

    def read(self, position: Json) -> Reading:
        """Read from a position, None being the slice's beginning."""
        windows = isinstance(self.understanding.paging, Windows)  # they bear the bounds of what changed themselves
        changes = self.filter is not None and self.cursor is not None and not windows
        state = _State("changes" if changes else "all", self.start) if position is None else _State(**position)
        if state.phase == "changes":
            yield from self._changes(state)
        if state.phase == "all":
            if state.why:
                yield self._evidence(state.why, None, {"read_in_full": True})
            yield from self._pages(state, self.base, None)
            if self.count:
                yield from self._counted(*self.count)
        if self.filter is None:
            return {}
        high = state.high
        if not state.why:
            high = self.filter.greater(high, self.cursor)
        elif high is not None and self.filter.greater(high, self.cursor) != high:
            yield self._evidence("went_backwards", False, {})
        return {} if high is None else {self.stream: high}

    def _evidence(self, check: str, holds: bool | None, detail: Mapping[str, Json]) -> Evidence:
        return Evidence(self.stream, check, holds, detail)

    def _changes(self, state: _State) -> Told:
        """Read what the filter gives; leave `state` at the beginning of phase `all` when it cannot be trusted."""
        held = self.filter
        if held is None:
            return
        since = held.since(self.cursor)
        yield from self._pages(state, put(self.base, {held.param: held.value(since)}), since)
        if state.phase == "changes" and state.rows == 0:
            self._restart(state, "went_backwards")

    def _restart(self, state: _State, why: str) -> None:
        state.phase, state.at, state.high, state.why = "all", self.start, None, why
        self._announced = None

    def _pages(self, state: _State, base: Request, since: Json) -> Told:
        known = self.understanding
        walk = Walk(known.paging, base, state.at) if state.at is not None else None
        while walk is not None and walk.position is not None:
            request = walk.request()
            if since is None:
                request = long(request, known.paging, known.path, known.form, known.keyed)
            answers = yield Fetch((request,))
            response = answers[0] if answers else Response(0, request.url, b"")
            if walk.ends(response):
                state.at = None
                return
            if flows(response):
                yield from self._long(state, known.tables(request, response))
                return
            seen, table = known.page(request, response)
            step = walk.take(seen)
            for check, holds, detail in step.facts:
                yield self._evidence(check, holds, detail)
            if seen.total is not None and seen.total != self._announced and step.keep:
                self._announced = seen.total
                yield self._evidence("vendor_count", None, {"count": seen.total})
            if not step.keep or not table.num_rows:
                state.at = step.position
                continue
            if since is not None and self._ignored(table, since):
                self._restart(state, "filter_ignored")
                return
            if self.repeats and since is None:
                yield self._evidence("page_repeated", False if (seen.total or 0) > table.num_rows else None, {"probed": True})
            state.at, state.rows = step.position, state.rows + table.num_rows
            yield from self._emit(state, table)

    def _ignored(self, table: pa.Table, since: Json) -> bool:
        held = self.filter
        return held is not None and held.field in table.column_names and held.outside(table.column(held.field), since) > 0

    def _emit(self, state: _State, table: pa.Table) -> Told:
        table, nameless = self._named(table)
        yield from self._told(nameless, self._reached(state, table))
        held = list(pieces(table))
        for piece in held[:-1]:
            yield Page(self.stream, piece)
        yield Page(self.stream, held[-1], state.json())

    def _long(self, state: _State, tables: Iterator[pa.Table]) -> Told:
        """Give the records of a list that was put aside, as it is read; they count once its end was seen."""
        waiting, nameless, ahead = None, 0, 0
        state.at = None
        if self.repeats:
            yield self._evidence("page_repeated", None, {"probed": True})
        for each in tables:
            if not each.num_rows:
                continue
            table, without = self._named(each)
            nameless, ahead, state.rows = nameless + without, ahead + self._reached(state, table), state.rows + each.num_rows
            for piece in pieces(table) if table.num_rows else ():
                if waiting is not None:
                    yield Page(self.stream, waiting)
                waiting = piece
        yield from self._told(nameless, ahead)
        if waiting is not None:
            yield Page(self.stream, waiting, state.json())

    def _named(self, table: pa.Table) -> tuple[pa.Table, int]:
        """The records that have their primary key, and how many have not; raises SchemaError when none has."""
        named = all(name in table.column_names for name in self.primary_key)
        nulls = [pc.is_null(table.column(name)) for name in self.primary_key] if named else []
        null = reduce(pc.or_, nulls) if nulls else None
        nameless = (pc.sum(null).as_py() or 0) if named else table.num_rows
        if nameless == table.num_rows:
            key = ", ".join(self.primary_key)
            raise SchemaError(
                stream=self.stream,
                expected_fr=f"la clé primaire ({key}) manque dans toute une page",
                expected_en=f"the primary key ({key}) is missing from a whole page",
            )
        return (table.filter(pc.invert(null)) if nameless else table), nameless

    def _reached(self, state: _State, table: pa.Table) -> int:
        """Note how far the cursor is; gives how many records are ahead of time."""
        if not self.filter or self.filter.field not in table.column_names:
            return 0
        high, ahead = self.filter.highest(table.column(self.filter.field), self.plan.started_at)
        state.high = self.filter.greater(state.high, high)
        return ahead

    def _told(self, nameless: int, ahead: int) -> Told:
        if nameless:
            yield self._evidence("invalid_records", False, {"count": nameless, "rules": ["primary_key"]})
        if ahead:
            yield self._evidence("suspect_values", None, {"count": ahead, "rules": ["cursor_in_the_future"]})

    def _counted(self, request: Request, field: str) -> Told:
        """Ask the count endpoint; a hint that cannot be had is said and changes nothing."""
        answers = yield Fetch((request,))
        try:
            document = decode(request, answers[0]) if answers and answers[0].status == 200 else None
        except VendorError:
            document = None
        if field:
            document = look(document, field)
        elif isinstance(document, Mapping):
            numbers = [value for value in document.values() if type(value) is int]
            document = numbers[0] if len(numbers) == 1 else MISSING
        if type(document) is int:
            yield self._evidence("vendor_count", None, {"count": document})
        else:
            yield self._evidence("vendor_count", None, {"unavailable": True})

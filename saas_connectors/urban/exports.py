"""One dataset being pulled: by exports where the portal gives them, by pages of records where it does not.

1. An export has no limit of its own and begins at the first record: one is asked for each range of the dataset, small enough
   to be held in memory. It is the unit of resumption: a read goes on with the next range, while the dataset is the same.
2. Pages (100 records at most, `offset + limit` at most 10,000) are asked for after the last value seen of one field, so that no
   offset grows with the dataset.
3. What comes back is held against what was asked. Ranges that are not honoured are given up (`filter_ignored`), and the dataset
   is asked for whole.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import msgspec
import pyarrow as pa

from saas_connectors.answer import accept, cut, decode, malformed
from saas_connectors.connector import Evidence, Fetch, Json, Page, Stream, Withdrawn
from saas_connectors.errors import ResumeLost
from saas_connectors.paging import Seen, Walk
from saas_connectors.records import pieces
from saas_connectors.request import Request, Response
from saas_connectors.rest.cursors import Filter
from saas_connectors.urban.odsql import every, literal, name, writable
from saas_connectors.urban.portal import DatasetSettings, Note, entry
from saas_connectors.urban.ranges import Range, split
from saas_connectors.urban.record_pages import RecordPages
from saas_connectors.urban.rows import Rows

Told: TypeAlias = Generator[Fetch | Page | Withdrawn | Evidence, tuple[Response, ...] | None, None]
Asking: TypeAlias = Generator[Fetch | Page | Withdrawn | Evidence, tuple[Response, ...] | None, Any]

_REFUSED: Final = {400, 403, 404, 405, 501}
"""Statuses of a portal that gives no export; of a request it does not understand, pages say it again."""
_WAYS: Final = 64
_FUTILE: Final = 12
"""Cuts that leave a part as large as it was, before a dataset is asked for whole."""


class _State(msgspec.Struct):
    """Where the pull stands; `walk` is where the pages of the first range stand."""

    todo: list[Range]
    processed: str | None = None
    walk: Json = None
    pages: bool = False
    begun: bool = False
    several: bool = False
    futile: int = 0
    changes: bool = False
    ignored: str | None = None
    latest: Json = None
    counts: list[int] = []
    invalid: int = 0
    twins: dict[str, int] = {}
    rows: int = 0


@dataclass(slots=True)
class Pull:
    """The pull of one stream. `url`: the dataset's; `since`: the cursor to read changes from, None for everything."""

    url: str
    stream: Stream
    note: Note
    said: DatasetSettings
    most: int
    filter: Filter | None
    since: Json
    started_at: Any
    latest: Json = None
    by_changes: bool = False

    def read(self, position: Json) -> Asking:
        """Give the pages, then what was found; returns whether the dataset held still meanwhile."""
        steady = True
        state = _State([Range()], self.note.processed, pages=not self.said.exports, changes=self.since is not None)
        if position is not None:
            state = msgspec.convert(position, _State)
            if state.todo and (yield from self._processed()) != state.processed:
                raise ResumeLost(stream=self.stream.name)
        while state.todo:
            yield from self._pages(state) if state.pages else self._export(state)
            if state.changes and not state.todo and not state.rows:
                self._restart(state, "filter_ignored")  # the record at the cursor should be there
        if state.several and (yield from self._processed()) != state.processed:
            yield Evidence(self.stream.name, "order_unstable", False, {"field": "data_processed"})
            steady = False
        yield from self._found(state)
        self.latest, self.by_changes = state.latest, state.changes
        return steady

    def _found(self, state: _State) -> Told:
        stream = self.stream.name
        if state.ignored:
            yield Evidence(stream, state.ignored, None, {"read_in_full": True})
        if state.invalid:
            yield Evidence(stream, "invalid_records", False, {"count": state.invalid, "rules": {"key": state.invalid}})
        for count in dict.fromkeys(state.counts):
            yield Evidence(stream, "vendor_count", None, {"count": count})

    def _restart(self, state: _State, why: str) -> None:
        state.todo, state.changes, state.ignored = [Range()], False, why
        state.begun, state.walk, state.latest, state.counts, state.rows, state.invalid, state.twins = (
            False,
            None,
            None,
            [],
            0,
            0,
            {},
        )

    def _export(self, state: _State) -> Told:
        """Export the first range, or cut it."""
        part = state.todo[0]
        count = yield from self._count(state, part)
        if count == 0 and not part.whole:
            state.todo = state.todo[1:]
            return
        if count is not None and count > self.most and (smaller := (yield from self._smaller(state, part, count))):
            state.todo, state.several = [*smaller, *state.todo[1:]], True
            return
        request = replace(self._asked("exports/json", self._where(state, part)), spooled=True)
        (response,) = yield from _fetch(request)
        if response.status in _REFUSED:
            self._restart(state, state.ignored or "")
            state.pages, state.changes = True, self.since is not None and not state.ignored
            return
        accept(request, response)
        if response.content is not None:
            yield from self._long(state, part, request, response)
            return
        records = cut(request, response, "").records
        rows = Rows(self.stream, self.note, self.said)
        tables = list(rows.tables(request, response, records))
        if not all(self._honoured(state, part, table) for table in tables):
            self._restart(state, "filter_ignored")
            return
        state.todo, state.invalid = state.todo[1:], state.invalid + rows.invalid
        state.rows += sum(table.num_rows for table in tables)
        yield from self._give(state, tables)

    def _long(self, state: _State, part: Range, request: Request, response: Response) -> Told:
        """Give the records of an export that was put aside, as it is read; they count once its end was seen."""
        rows, waiting, ahead = Rows(self.stream, self.note, self.said), None, 0
        for table in rows.flowing(request, response):
            if not self._honoured(state, part, table):
                yield Withdrawn()
                self._restart(state, "filter_ignored")
                return
            ahead += self._reached(state, table)
            state.rows += table.num_rows
            for piece in pieces(table) if table.num_rows else ():
                if waiting is not None:
                    yield Page(self.stream.name, waiting)
                waiting = piece
        state.todo, state.invalid = state.todo[1:], state.invalid + rows.invalid
        yield from self._ahead(ahead)
        if waiting is not None:
            yield Page(self.stream.name, waiting, msgspec.to_builtins(state))

    def _pages(self, state: _State) -> Told:
        """Read the first range by pages of records."""
        _, field = self.note.order(self.said, self.stream.primary_key)
        kind = self.note.kinds.get(field or "", "text")
        keyed = field is not None and self.stream.primary_key == (field,)
        if not state.begun:
            state.begun = state.several = True
            yield from self._count(state, Range())
            # Without a value, a record stands nowhere in the order: those are pages of their own.
            state.todo = [Range()] if field is None or keyed else [Range(), Range(empty=True)]
        part = state.todo[0]
        where = self._where(state, Range()) if field is None else every(
            self._where(state, Range()), f"{name(field)} is {'' if part.empty else 'not '}null"
        )  # fmt: skip
        order = [field, *(self.said.key or ())] if field else []
        paging = RecordPages(None if part.empty else field, kind, where, tuple(filter(writable, dict.fromkeys(order))))
        walk = Walk(paging, self._asked("records", ""), state.walk)
        rows = Rows(self.stream, self.note, self.said, twins=dict(state.twins))
        while walk.position is not None:
            request = walk.request()
            (response,) = yield from _fetch(request)
            accept(request, response)
            document = cut(request, response, "results")
            if paging.passed(walk.position, document.records):
                raise self._not_honoured(request, response)
            table = rows.table(request, response, document.records)
            step = walk.take(Seen(request, response, document, table.num_rows + rows.invalid))
            for check, holds, detail in step.facts:
                yield Evidence(self.stream.name, check, holds, detail)
            state.invalid, rows.invalid = state.invalid + rows.invalid, 0
            if walk.position is None:
                state.todo = state.todo[1:]
            state.walk = walk.position
            if step.keep and table.num_rows:
                if not self._honoured(state, Range(), table):
                    self._restart(state, "filter_ignored")
                    return
                state.rows += table.num_rows
                after = step.position.get("after") if step.position else None
                state.twins = rows.turns(document.records, {field: after} if field and after is not None else {})
                rows.twins = dict(state.twins)
                yield from self._give(state, [table])

    def _give(self, state: _State, tables: list[pa.Table]) -> Told:
        """Give the records of one answer: the last piece bears the position."""
        yield from self._ahead(sum([self._reached(state, table) for table in tables]))
        held = [piece for table in tables if table.num_rows for piece in pieces(table)]
        for number, piece in enumerate(held, start=1):
            yield Page(self.stream.name, piece, msgspec.to_builtins(state) if number == len(held) else None)

    def _reached(self, state: _State, table: pa.Table) -> int:
        """Note how far the cursor is; gives how many records are ahead of time."""
        cursor = self.stream.cursor
        if self.filter is None or cursor not in table.column_names:
            return 0
        high, future = self.filter.highest(table.column(cursor), self.started_at)
        state.latest = self.filter.greater(state.latest, high)
        return future

    def _ahead(self, count: int) -> Told:
        if count:
            yield Evidence(self.stream.name, "suspect_values", None, {"count": count, "rules": ["cursor_in_the_future"]})

    def _honoured(self, state: _State, part: Range, table: pa.Table) -> bool:
        ranged, _ = self.note.order(self.said, self.stream.primary_key)
        held = self.filter
        if state.changes and held is not None:
            if held.field not in table.column_names:
                return not table.num_rows
            if table.column(held.field).null_count or held.outside(table.column(held.field), held.since(self.since)):
                return False
        if part.whole or not table.num_rows:
            return True
        return part.holds(table.column(ranged) if ranged in table.column_names else None)

    def _not_honoured(self, request: Request, response: Response) -> Exception:
        fr, en = "des enregistrements hors de ce qui était demandé", "records outside of what was asked"
        return malformed(request, response, fr, en)

    def _smaller(self, state: _State, part: Range, count: int) -> Asking:
        """Ask for the bounds of a range, and cut it; nothing where that cannot be done."""
        field, _ = self.note.order(self.said, self.stream.primary_key)
        if part.counted is not None and count >= part.counted:
            state.futile += 1  # once or twice where values are uneven; for ever where ranges, or counts, are not to be believed
        if field is None or part.empty or state.ignored == "filter_ignored" or state.futile > _FUTILE:
            return ()
        kind = self.note.kinds[field]
        low, high = part.low, part.high
        if low is None or high is None:
            bounds = (("select", f"min({name(field)}) as low, max({name(field)}) as high"), ("limit", "1"))
            request = self._asked("records", self._where(state, part), *bounds)
            (response,) = yield from _fetch(request)
            try:
                (found,) = decode(request, response)["results"] if response.status == 200 else ({},)
                low, high = found["low"], found["high"]
            except (KeyError, TypeError, ValueError):
                return ()
        try:
            cuts = split(part, low, high, kind, min(_WAYS, -(-count // self.most) + 1), count)
        except (TypeError, ValueError, OverflowError):
            return ()
        return [*cuts, Range(empty=True)] if cuts and part.whole else cuts

    def _count(self, state: _State, part: Range) -> Asking:
        """How many records the portal counts in a range; None when it does not say."""
        if part.whole and not state.changes and self.note.count is not None:
            count: Json = self.note.count
        else:
            request = self._asked("records", self._where(state, part), ("limit", "0"))
            (response,) = yield from _fetch(request)
            if response.status in _REFUSED:
                return None
            accept(request, response)
            found = decode(request, response)
            count = found.get("total_count") if isinstance(found, Mapping) else None
        if type(count) is not int:
            return None
        if part.whole and count not in state.counts:
            state.counts = [*state.counts, count]
        return count

    def _where(self, state: _State, part: Range) -> str:
        changed = ""
        if state.changes and self.filter is not None and self.said.cursor:
            kind = self.note.kinds.get(self.said.cursor, "text")
            changed = f"{name(self.said.cursor)} >= {literal(self.filter.since(self.since), kind)}"
        if part.whole:
            return changed
        field, _ = self.note.order(self.said, self.stream.primary_key)
        return every(changed, part.where(field or "", self.note.kinds.get(field or "", "text")))

    def _asked(self, path: str, where: str, *more: tuple[str, str]) -> Request:
        params = (("where", where),) if where else ()
        accepted = (("Accept", "application/json"),)
        return Request("GET", f"{self.url}/{path}", (*params, ("timezone", "UTC"), *more), accepted)

    def _processed(self) -> Asking:
        """When the data of the dataset were last processed, as the portal says now."""
        request = Request("GET", self.url, headers=(("Accept", "application/json"),))
        (response,) = yield from _fetch(request)
        found = entry(request, response)
        return found.said("data_processed") or found.said("modified")


def _fetch(request: Request) -> Asking:
    return (yield Fetch((request,)))

"""The pull of the requests: windows of at most 90 days, halved when they are full; then, next time, what may have changed.

1. `windows`: from `since` (or from the last read) to now. A window that gives as many rows as the cap is halved, down to a
   second; one that is full and cannot be halved is said (`page_cap`, against completeness).
2. The filter is proved first (module `windows`). Where it is reversed, windows are asked reversed; where it is ignored, the
   list is read whole, without a filter (`whole`); that speaks against completeness when the 90 days or the cap of the standard
   may have cut it.
3. The standard has no filter on changes. What was open is read again: by what changed (`updates`), where the server was seen to
   honour that extension of a request more than 90 days old; else by identifier, in lists (`open`); else by a list of the open
   ones a window, those windows that differ from what was known being read again (`leaves`). None of these filters is believed.
4. Nothing is deleted at the vendor; what is no longer shown is found by comparing a full read.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import quote

import msgspec
import pyarrow as pa

from saas_connectors.connector import Evidence, Fetch, Json, Page
from saas_connectors.errors import NotFound
from saas_connectors.records import pieces
from saas_connectors.request import Response
from saas_connectors.urban.open311.answers import Speech
from saas_connectors.urban.open311.records import REQUESTS, Registry, Reported
from saas_connectors.urban.open311.settings import Said
from saas_connectors.urban.open311.state import Leaf, State, epoch, plain, total
from saas_connectors.urban.open311.windows import DAY, ROUND, Windows, stamp

NAME: Final = "requests"
BATCH: Final = 100
_LONGEST: Final = 1500  # characters of a list of identifiers, so that an address stays short
_SINGLES: Final = 5
_FILTER: Final = "start_date, end_date"

Pulling: TypeAlias = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, None]
Finding: TypeAlias = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, bool]


@dataclass(slots=True)
class Pull:
    """One read. `past`: the cursor of the last copy; `again`: everything is asked for; `started`: seconds since 1970."""

    speech: Speech
    said: Said
    started: int
    past: Mapping[str, Json] | None
    again: bool
    state: State = field(default_factory=State)
    registry: Registry = field(init=False)
    windows: Windows = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry(self.said.zone)
        self._restart()

    @property
    def until(self) -> int:
        """Where windows end: a day ahead, for clocks that differ."""
        return self.started + DAY

    @property
    def widest(self) -> int:
        """The widest window, in seconds, so that what is asked for never spans more than the setting."""
        return max(DAY, self.said.settings.window * DAY - 2 * self.state.margin)

    def pages(self, position: Json) -> Pulling:
        """Give the pages from a position, then what was found."""
        if position is None:
            yield from self._begin()
        else:
            self._adopt(msgspec.convert(position, State))
        state = self.state
        while state.phase != "done":
            match state.phase:
                case "whole":
                    yield from self._whole()
                case "updates":
                    yield from self._updates()
                case "open":
                    yield from self._by_identifier()
                case "leaves":
                    yield from self._by_leaf()
                case _:
                    yield from self._windows()
            state = self.state
        yield from self._end()

    def cursor(self) -> dict[str, Json]:
        """What the next read starts from."""
        kept = ("form", "sense", "margin", "cap", "updates", "newest", "touched", "old", "ids", "leaves")
        held = plain(self.state)
        return {"after": self.started, **{name: held[name] for name in kept}}

    def _adopt(self, state: State) -> None:
        self.state = state
        self.speech.form = state.form
        self.registry.invalid, self.registry.suspect = state.invalid, dict(state.suspect)
        self.windows = Windows(self.speech, self.registry, state)

    def _restart(self) -> None:
        state = State(form=self.speech.form, cap=self.said.settings.cap, at=self.said.since)
        self._adopt(state)
        state.width = self.widest

    def _begin(self) -> Pulling:
        past = self.past
        if past is not None and not self.again and past.get("newest"):
            held = {name: value for name, value in past.items() if name != "after"}
            self._adopt(msgspec.convert(held | {"full": False}, State))
            state = self.state
            known = state.newest
            if state.sense == "ignored":
                state.phase = "whole"
                return
            if known is not None and (yield from self.windows.holds(known)):
                self._aim(int(past["after"]))
                if state.updates and state.touched is not None:
                    state.phase = "updates"
                    state.at = max(0, state.touched[1] - self.said.settings.lookback)
                else:
                    state.phase = "leaves" if state.ids is None else "open"
                return
            self._restart()
        yield from self._prove()

    def _aim(self, after: int) -> None:
        """Set the windows of what is new, beginning where a window that held open requests began."""
        state = self.state
        start = max(self.said.since, after - self.said.settings.lookback)
        start = min([start, *(leaf[0] for leaf in state.leaves if leaf[0] < start < leaf[1])])
        state.at, state.onward, state.width, state.reach = start, start, self.widest, self.windows.overlap

    def _prove(self) -> Pulling:
        """Ask for the list without a filter, and settle how windows are asked."""
        rows = yield from self.windows.aside((), empty=False)
        if not any(row.at for row in rows):  # nothing lately: a window that only a server that reverses it can fill
            reversed_window = (("start_date", stamp(self.until)), ("end_date", stamp(self.said.since)))
            rows = yield from self.windows.aside(reversed_window)
        yield from self._proved(rows)

    def _proved(self, rows: Sequence[Reported]) -> Pulling:
        state = self.state
        yield from self.windows.prove(rows)
        state.form, state.width = self.speech.form, self.widest
        if state.sense == "ignored":
            state.phase = "whole"
        elif state.sense == "reversed":
            yield Evidence(NAME, "filter_ignored", None, {"filter": _FILTER, "reversed": True})

    def _windows(self) -> Pulling:
        """Phase `windows`."""
        state = self.state
        while state.at < self.until:
            start, end = state.at, min(state.at + state.width, self.until)
            rows = yield from self.windows.ask(start, end)
            if not self.windows.within(rows, start, end):
                self._distrust()
                return
            if state.sense == "unproven" and any(row.at for row in rows):
                yield from self._proved(rows)
                state.at = self.said.since
                return
            if (yield from self._full(start, end, rows)) and end - start > 1:
                state.width = (end - start) // 2
                continue
            state.track(rows, self.started)
            state.count(start, end, rows)
            state.at = end
            if len(rows) * 3 < state.cap:
                state.width = min(self.widest, max(state.width, end - start) * 2)
            yield from self._give(state.fresh(rows, start, end))
        if state.full and state.old is not None:
            state.updates = yield from self.windows.holds(state.old, "updated")
        state.phase = "done"

    def _full(self, start: int, end: int, rows: Sequence[Reported]) -> Finding:
        """Whether a window gave as many rows as the server gives at most; one that cannot be halved is said."""
        state, given = self.state, len(rows)
        full = given >= state.cap
        if not full and end - start > 1 and given in ROUND and given not in state.cleared:
            full = yield from self.windows.cut(start, end, rows)
            if full:
                yield Evidence(NAME, "page_cap", None, {"asked": state.cap, "given": given})
                state.cap = given
            else:
                state.cleared.append(given)
        if full and end - start <= 1:
            yield Evidence(NAME, "page_cap", False, {"asked": state.cap, "given": given, "seconds": end - start})
        return full

    def _distrust(self) -> None:
        """Give up windows: something came back that was not asked for."""
        invalid, suspect = self.registry.invalid, self.registry.suspect
        self._restart()
        self.registry.invalid, self.registry.suspect = invalid, suspect
        self.state.sense, self.state.phase = "ignored", "whole"

    def _whole(self) -> Pulling:
        """Phase `whole`."""
        state = self.state
        found = yield from self.speech.ask("requests", "requests")
        rows = self.registry.requests(found)
        made = [at for row in rows if (at := epoch(row)) is not None]
        recent = self.said.since < self.started - 91 * DAY <= min(made, default=self.started)
        cut = len(rows) >= self.said.settings.cap
        state.full, state.ids, state.leaves = True, {}, []
        detail = {"filter": _FILTER, "read_in_full": True, "rows": len(rows), "limited": bool(recent or cut)}
        yield Evidence(NAME, "filter_ignored", False if recent or cut else None, detail)
        rows = [row for row in rows if (at := epoch(row)) is None or at >= self.said.since]
        state.track(rows, self.started)
        state.phase = "done"
        yield from self._give(rows)

    def _updates(self) -> Pulling:
        """Phase `updates`: what changed, by the extension `updated_after`, `updated_before`."""
        state, width = self.state, self.widest
        known = (self.past or {}).get("touched") or [""]
        while state.at < self.until:
            start, end = state.at, min(state.at + width, self.until)
            rows = yield from self.windows.ask(start, end, named="updated")
            honoured = self.windows.within(rows, start, end, "updated")
            full = len(rows) >= state.cap
            if honoured and full and end - start > 1:
                width = (end - start) // 2
                continue
            if honoured and full:
                yield Evidence(NAME, "page_cap", False, {"asked": state.cap, "given": len(rows), "seconds": end - start})
            state.seen = state.seen or any(row.id == known[0] for row in rows)
            last = end >= self.until
            if not honoured or (last and not state.seen):
                yield Evidence(NAME, "filter_ignored", None, {"filter": "updated_after, updated_before"})
                state.updates, state.at = False, state.onward
                state.phase = "leaves" if state.ids is None else "open"
                return
            state.at, width = end, min(self.widest, width * 2)
            state.settle(rows)
            state.track(rows, self.started)
            if last:
                state.phase, state.at = "windows", state.onward
            yield from self._give(rows)
            if last:
                return

    def _by_identifier(self) -> Pulling:
        """Phase `open`: ask for open requests by lists of identifiers, while the server answers such lists as it should."""
        state = self.state
        while batch := self._batch():
            names = {name for name, _ in batch}
            listed = (("service_request_id", ",".join(name for name, _ in batch)),)
            found = yield from self.speech.ask("requests", "requests", listed, empty=True)
            rows = self.registry.requests(found)
            missing = [name for name, _ in batch if name not in {row.id for row in rows}]
            answered = all(row.id in names for row in rows)
            for name in missing[:_SINGLES] if answered else ():
                alone = yield from self._alone(name)
                answered &= not alone
            if not answered or (len(missing) > _SINGLES and not rows):
                yield Evidence(NAME, "filter_ignored", None, {"filter": "service_request_id"})
                state.phase = "leaves"
                return
            for name in missing:  # shown no more: the copy keeps it, a full read will tell
                (state.ids or {}).pop(name, None)
            state.pointer = batch[-1]
            state.settle(rows)
            state.track(rows, self.started)
            yield from self._give(rows)
        state.phase = "windows"

    def _batch(self) -> list[tuple[str, int]]:
        held = sorted((self.state.ids or {}).items(), key=lambda one: (one[1], one[0]))
        pointer = self.state.pointer
        left = [one for one in held if pointer is None or (one[1], one[0]) > (pointer[1], pointer[0])]
        batch: list[tuple[str, int]] = []
        length = 0
        for name, at in left[:BATCH]:
            length += len(quote(name, safe="")) + 3
            if batch and length > _LONGEST:
                break
            batch.append((name, at))
        return batch

    def _alone(self, name: str) -> Generator[Fetch, tuple[Response, ...], bool]:
        """Whether a request is shown at its own path."""
        if name in (".", ".."):
            return False
        try:
            found = yield from self.speech.ask("requests", f"requests/{quote(name, safe='')}", empty=True)
        except NotFound:
            return False
        return any(row.id == name for row in Registry(self.registry.zone).requests(found))

    def _by_leaf(self) -> Pulling:
        """Phase `leaves`: list the open requests of the windows that held some; read again those that differ."""
        state = self.state
        most = len(state.leaves)
        while True:
            while state.again:
                if not (yield from self._reread()):
                    return
            leaves = self._span(most)
            if not leaves:
                break
            start, end = leaves[0][0], leaves[-1][1]
            if not state.statuses or end - start > self.widest:
                state.again, state.leaf_at = [(leaf[0], leaf[1]) for leaf in leaves], end
                continue
            rows = yield from self.windows.ask(start, end, (("status", "open"),))
            if not self.windows.within(rows, start, end):
                self._distrust()
                return
            if any(not row.open for row in rows):
                yield Evidence(NAME, "filter_ignored", None, {"filter": "status"})
                state.statuses = False
                continue
            if len(rows) >= state.cap and len(leaves) > 1:
                most = len(leaves) // 2
                continue
            state.again = [(leaf[0], leaf[1]) for leaf in leaves if not _same(leaf, rows)]
            state.leaf_at = end
            state.track(rows, self.started)
            self._reopened(rows)
            yield from self._give(rows)
        state.phase = "windows"

    def _reopened(self, rows: Sequence[Reported]) -> None:
        """Remember open requests of windows that held none."""
        for row in rows:
            at = epoch(row)
            if at is not None and not any(leaf[0] <= at < leaf[1] for leaf in self.state.leaves):
                self.state.count(at, at + 1, rows)

    def _span(self, most: int) -> list[Leaf]:
        """The next leaves that one window may hold."""
        left = [leaf for leaf in self.state.leaves if leaf[0] >= self.state.leaf_at]
        return [leaf for leaf in left[: max(1, most)] if leaf[1] - left[0][0] <= self.widest or leaf is left[0]]

    def _reread(self) -> Finding:
        """Read the first of the windows to read again; False when the filter turns out not to be honoured."""
        state = self.state
        start, end = state.again[0]
        if end - start > self.widest:
            state.again[:1] = _halves(start, end)
            return True
        rows = yield from self.windows.ask(start, end)
        if not self.windows.within(rows, start, end):
            self._distrust()
            return False
        full = len(rows) >= state.cap
        if full and end - start > 1:
            state.again[:1] = _halves(start, end)
            return True
        if full:
            yield Evidence(NAME, "page_cap", False, {"asked": state.cap, "given": len(rows), "seconds": end - start})
        del state.again[0]
        state.track(rows, self.started)
        state.count(start, end, rows)
        yield from self._give(rows)
        return True

    def _give(self, rows: Sequence[Reported]) -> Iterator[Page]:
        state = self.state
        state.form, state.invalid, state.suspect = self.speech.form, self.registry.invalid, dict(self.registry.suspect)
        if not rows:
            return
        tables = list(pieces(pa.Table.from_pylist([row.row for row in rows], schema=REQUESTS)))
        yield from (Page(NAME, table) for table in tables[:-1])
        yield Page(NAME, tables[-1], plain(state))

    def _end(self) -> Iterator[Evidence]:
        state, past = self.state, self.past or {}
        before = past.get("newest")
        if state.full and before and (state.newest is None or state.newest[1] < before[1]):
            yield Evidence(NAME, "went_backwards", False, {"field": "requested_datetime"})
        if self.registry.invalid:
            rules = {"service_request_id": self.registry.invalid}
            yield Evidence(NAME, "invalid_records", False, {"count": self.registry.invalid, "rules": rules})
        if self.registry.suspect:
            rules = dict(sorted(self.registry.suspect.items()))
            yield Evidence(NAME, "suspect_values", None, {"count": sum(rules.values()), "rules": rules})


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    middle = start + (end - start) // 2
    return [(start, middle), (middle, end)]


def _same(leaf: Leaf, rows: Sequence[Reported]) -> bool:
    names = [row.id for row in rows if (at := epoch(row)) is not None and leaf[0] <= at < leaf[1]]
    return len(names) == leaf[2] and total(names) == leaf[3]

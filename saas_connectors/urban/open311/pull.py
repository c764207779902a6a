"""The pull of the requests: windows of at most 90 days, halved when they are full; then, next time, what may have changed.

1. `windows`: from `since` (or from the last read) to now. A window that gives as many rows as the cap is halved, down to a
   second; one that is full and cannot be halved is said (`page_cap`, against completeness).
   Larger answers are asked for where the server is seen to give them. A window that it fails on (500) is halved, to an hour.
2. The filter is proved first (module `windows`). Where it is reversed, windows are asked reversed; where it is ignored, the
   list is read whole, without a filter (`whole`); that speaks against completeness when the 90 days or the cap of the standard
   may have cut it.
3. The standard has no filter on changes: what was open is read again first (module `closures`). The extension that filters on
   changes is taken up once a full read saw it honoured for a request that is more than 100 days old.
4. Nothing is deleted at the vendor; what is no longer shown is found by comparing a full read.
5. Servers answer 404 to a question that nothing answers. Of the first one it is believed only where the services are listed.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from saas_connectors.connector import Evidence, Exchange, Json
from saas_connectors.errors import NotFound, Rejected
from saas_connectors.urban.open311.closures import Closures
from saas_connectors.urban.open311.reading import NAME, Finding, Pulling
from saas_connectors.urban.open311.records import Reported
from saas_connectors.urban.open311.state import State, epoch, plain
from saas_connectors.urban.open311.windows import DAY, EVERY, ROUND, stamp

_HOUR: Final = 3600
_FILTER: Final = "start_date, end_date"


class Pull(Closures):
    """One read of the requests."""

    __slots__ = ()

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
        kept = (
            "form", "sense", "margin", "cap", "updates", "newest", "touched", "old", "ids", "leaves", "statuses", "lists",
            "every", "paged",
        )  # fmt: skip
        held = plain(self.state)
        return {"after": self.started, **{name: held[name] for name in kept}}

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
                    state.phase = self.followed
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
        rows = yield from self._lately()
        self.state.first = len(rows)
        undated = bool(rows)
        if not any(row.at for row in rows):  # nothing lately: a window that only a server that reverses it can fill
            reversed_window = (("start_date", stamp(self.until)), ("end_date", stamp(self.said.since)))
            rows = yield from self.windows.aside(reversed_window)
            if undated and not any(row.at for row in rows):  # no window can be held against rows without a time
                self.state.sense, self.state.phase = "ignored", "whole"
                return
        yield from self._proved(rows)

    def _lately(self) -> Exchange[list[Reported]]:
        """What the server lists when nothing is filtered; where that is nothing, when every status is asked for."""
        try:
            rows = yield from self.windows.aside((), empty=False)
        except NotFound as refusal:
            rows = yield from self.windows.aside(())
            if not rows and not (yield from self.speech.ask("services", "services")):
                raise refusal from None
        for every in EVERY if not rows else ():
            self.state.every = list(every)
            rows = yield from self.windows.tried(())
            if rows:
                return rows
        self.state.every = []
        return rows

    def _proved(self, rows: Sequence[Reported]) -> Pulling:
        state = self.state
        yield from self.windows.prove(rows)
        yield from self.windows.discover(rows)
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
            try:
                rows = yield from self.windows.ask(start, end)
            except Rejected as refusal:  # a wide window was more than some servers can list
                if refusal.status != 500 or end - start <= _HOUR or state.sense == "unproven":
                    raise
                state.width = (end - start) // 2
                continue
            if not self.windows.within(rows, start, end):
                self._distrust()
                return
            if state.sense == "unproven" and any(row.at for row in rows):
                yield from self._proved(rows)
                state.at = self.said.since
                return
            paged = state.paged
            if (yield from self._full(start, end, rows)) and end - start > 1:
                state.width = (end - start) // 2 if state.paged == paged else end - start
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
        if not full and end - start > 1 and (given in ROUND or given == state.first > 4) and given not in state.cleared:
            full = yield from self.windows.cut(start, end, rows)
            if full and (yield from self.windows.widen(start, end, rows)):
                return True
            if full:
                yield Evidence(NAME, "page_cap", None, {"asked": state.cap, "given": given})
                state.cap = given
            else:
                state.cleared.append(given)
        if full and end - start <= 1:
            yield self._cut(rows, end - start)
        return full

    def _whole(self) -> Pulling:
        """Phase `whole`."""
        state = self.state
        rows = self.registry.requests((yield from self.windows.listed((), empty=False)))
        made = [at for row in rows if (at := epoch(row)) is not None]
        recent = self.said.since < self.started - 91 * DAY <= min(made, default=self.started)
        cut = len(rows) >= self.said.settings.cap or (yield from self._hides(rows))
        state.full, state.ids, state.leaves = True, {}, []
        detail = {"filter": _FILTER, "read_in_full": True, "rows": len(rows), "limited": bool(recent or cut)}
        yield Evidence(NAME, "filter_ignored", False if recent or cut else None, detail)
        rows = [row for row in rows if (at := epoch(row)) is None or at >= self.said.since]
        state.track(rows, self.started)
        state.phase = "done"
        yield from self._give(rows)

    def _hides(self, rows: Sequence[Reported]) -> Exchange[bool]:
        """Whether a round number of rows is less than the server holds: one status alone shows others."""
        names = {row.id for row in rows}
        for status in ("open", "closed") if len(rows) in ROUND else ():
            if any(row.id not in names for row in (yield from self.windows.tried((("status", status),)))):
                return True
        return False

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

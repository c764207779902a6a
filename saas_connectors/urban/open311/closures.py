"""What was open when it was last read, read again: the standard has no filter on changes.

1. `updates`: by the extension `updated_after`, `updated_before`, where the server was seen to honour it, and while no second
   saw more changes than an answer holds.
2. `open`: by identifier, in lists, while they are few and the server answers such lists as it should.
3. `leaves`: by lists of the open ones, a window at a time; a window whose list differs from what was known is read again.
4. None of these filters is believed: each gives way to the next, and is said. Lists of identifiers that were not answered are
   not asked for again until the next full read.
"""

from collections.abc import Generator, Sequence
from itertools import accumulate
from typing import Final
from urllib.parse import quote

from saas_connectors.connector import Evidence, Fetch
from saas_connectors.errors import Malformed, NotFound, Rejected, Unauthorized, VendorError
from saas_connectors.request import Response
from saas_connectors.urban.open311.reading import NAME, Finding, Pulling, Reading
from saas_connectors.urban.open311.records import Registry, Reported
from saas_connectors.urban.open311.state import Leaf, Phase, epoch, total

BATCH: Final = 150
_LONGEST: Final = 1500  # characters of a list of identifiers, so that an address stays short
_SINGLES: Final = 5
_REFUSALS: Final = (Malformed, NotFound, Rejected, Unauthorized)
_NOT_TAKEN: Final = {200, 400, 403, 404, 405, 410, 414, 422, 500, 501}
"""What becomes of a list taken for one identifier: unknown, withheld, no number (400, 500), a page that says so (200)."""


class Closures(Reading):
    """The phases that come before what is new."""

    __slots__ = ()

    @property
    def followed(self) -> Phase:
        """The phase that finds closures where the server has no filter on changes."""
        return "leaves" if self.state.ids is None or not self.state.lists else "open"

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
            if honoured and full:  # more changed in one second than an answer holds: closures are looked for the other way
                yield Evidence(NAME, "page_cap", None, dict(self._cut(rows, end - start).detail))
                state.at, state.phase = state.onward, self.followed
                return
            state.seen = state.seen or any(row.id == known[0] for row in rows)
            last = end >= self.until
            if not honoured or (last and not state.seen):
                yield Evidence(NAME, "filter_ignored", None, {"filter": "updated_after, updated_before"})
                state.updates, state.at = False, state.onward
                state.phase = self.followed
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
            try:
                rows = self.registry.requests((yield from self.windows.listed(listed)))
                answered = True
            except _REFUSALS as refusal:
                if not _refused(refusal):
                    raise
                rows, answered = [], False
            missing = [name for name, _ in batch if name not in {row.id for row in rows}]
            answered = answered and all(row.id in names for row in rows)
            for name in missing[:_SINGLES] if answered else ():
                alone = yield from self._alone(name)
                answered &= not alone
            if not answered or (len(missing) > _SINGLES and not rows):
                yield Evidence(NAME, "filter_ignored", None, {"filter": "service_request_id"})
                state.phase, state.lists = "leaves", False
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
        except _REFUSALS as refusal:
            if not _refused(refusal):
                raise
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
            rows = yield from self._open_ones(start, end)
            if rows is None:
                yield Evidence(NAME, "filter_ignored", None, {"filter": "status"})
                state.statuses = False
                continue
            if not self.windows.within(rows, start, end):
                self._distrust()
                return
            if len(rows) >= state.cap and len(leaves) > 1:
                most = len(leaves) // 2
                continue
            state.again = [(leaf[0], leaf[1]) for leaf in leaves if not _same(leaf, rows)]
            state.leaf_at = end
            state.track(rows, self.started)
            self._reopened(rows)
            yield from self._give(rows)
        state.phase = "windows"

    def _open_ones(self, start: int, end: int) -> Generator[Fetch, tuple[Response, ...], list[Reported] | None]:
        """The open requests of a window; None where the server does not filter on the status."""
        try:
            rows = yield from self.windows.ask(start, end, (("status", "open"),))
        except Rejected as refusal:
            if not _refused(refusal):
                raise
            return None
        return rows if all(row.open for row in rows) else None

    def _reopened(self, rows: Sequence[Reported]) -> None:
        """Remember open requests of windows that held none."""
        for row in rows:
            at = epoch(row)
            if at is not None and not any(leaf[0] <= at < leaf[1] for leaf in self.state.leaves):
                self.state.count(at, at + 1, rows)

    def _span(self, most: int) -> list[Leaf]:
        """The next leaves that one window may hold, and whose open requests one answer may."""
        left = [leaf for leaf in self.state.leaves if leaf[0] >= self.state.leaf_at]
        held = list(accumulate(leaf[2] for leaf in left))
        fits = [leaf for leaf, known in zip(left, held, strict=True) if known < self.state.cap or leaf is left[0]]
        return [leaf for leaf in fits[: max(1, most)] if leaf[1] - left[0][0] <= self.widest or leaf is left[0]]

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
            yield self._cut(rows, end - start)
        del state.again[0]
        state.track(rows, self.started)
        state.count(start, end, rows)
        yield from self._give(rows)
        return True


def _refused(refusal: VendorError) -> bool:
    """Whether a server that does not take such a question may have answered so."""
    return refusal.fields.get("status") in _NOT_TAKEN


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    middle = start + (end - start) // 2
    return [(start, middle), (middle, end)]


def _same(leaf: Leaf, rows: Sequence[Reported]) -> bool:
    names = [row.id for row in rows if (at := epoch(row)) is not None and leaf[0] <= at < leaf[1]]
    return len(names) == leaf[2] and total(names) == leaf[3]

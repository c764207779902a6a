"""Lists whose pages are known in advance: by number, by offset, by time. They can be cut into slices that start at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from saas_connectors.answer import MISSING
from saas_connectors.connector import Json
from saas_connectors.paging.port import Fact, Seen, Step, fill, instant, more, put
from saas_connectors.request import Request


def _cut(first: int, end: int, unit: int, ways: int) -> list[tuple[int, int | None]]:
    """Cut [first, end) at multiples of `unit` into at most `ways` ranges of two units at least; the last one is open."""
    units = -(-(end - first) // unit)
    parts = max(1, min(ways, units // 2))
    marks = [first + unit * (units * n // parts) for n in range(parts)]
    return list(zip(marks, [*marks[1:], None], strict=True))


def _short(position: Json, seen: Seen, asked: int | None) -> bool:
    """Tell whether a page is smaller than the ones before it, or, when it is the first, than what was asked."""
    return bool(seen.rows < position.get("given", asked or 0))


def _onward(position: Json, seen: Seen, following: dict[str, Json], tail: bool) -> Json:
    following["given"] = max(seen.rows, position.get("given", 0))
    if "to" in position:
        following["to"] = position["to"]
    return following | {"tail": True} if tail else following


@dataclass(frozen=True, slots=True)
class Page:
    """Pages by number: `param` carries it, `first` is the number of the first; `pages` is where the vendor says how many."""

    param: str = "page"
    size_param: str = ""
    size: int | None = None
    first: int = 1
    pages: str = ""
    more: str = ""

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.size

    def start(self) -> Json:
        """The first page."""
        return {"page": self.first}

    def request(self, base: Request, position: Json) -> Request:
        """Ask for a page."""
        return put(base, {self.param: position["page"], self.size_param: self.size})

    def _last(self, seen: Seen) -> int | None:
        """Number after the last page, as the vendor tells it."""
        pages = seen.document.find(self.pages) if self.pages else MISSING
        if isinstance(pages, int) and not isinstance(pages, bool):
            return self.first + pages
        return None

    def step(self, position: Json, seen: Seen) -> Step:
        """The next number, until an empty page."""
        following = position["page"] + 1
        if seen.rows == 0 or not more(seen, self.more) or following == position.get("to"):
            return Step(None)
        last = self._last(seen)
        if last is None and seen.total is not None:
            last = self.first + -(-seen.total // max(seen.rows, position.get("given", 0)))
        tail = _short(position, seen, self.size) if last is None else following >= last
        return Step(_onward(position, seen, {"page": following}, tail))

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:
        """Ranges of page numbers."""
        end = self._last(seen)
        if end is None and seen.total is not None and seen.rows:
            end = self.first + -(-seen.total // seen.rows)
        if end is None or not seen.rows:
            return (self.start(),)
        cuts = _cut(self.first, end, 1, ways)
        return tuple({"page": a, "given": seen.rows} | ({"to": b} if b else {}) for a, b in cuts)


@dataclass(frozen=True, slots=True)
class Offset:
    """Pages by offset: the next one starts after the records given, whatever was asked."""

    param: str = "offset"
    size_param: str = "limit"
    size: int | None = None
    first: int = 0
    more: str = ""

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.size

    def start(self) -> Json:
        """The first record."""
        return {"offset": self.first}

    def request(self, base: Request, position: Json) -> Request:
        """Ask for the records from an offset; in a slice, for no more than are left."""
        size = self.size
        if size is not None and "to" in position:
            size = min(size, position["to"] - position["offset"])
        return put(base, {self.param: position["offset"], self.size_param: size})

    def step(self, position: Json, seen: Seen) -> Step:
        """The offset after the records given, until an empty page."""
        following = position["offset"] + seen.rows
        bound = position.get("to")
        if seen.rows == 0 or not more(seen, self.more) or (bound is not None and following >= bound):
            return Step(None)
        tail = _short(position, seen, self.size) if seen.total is None else following >= self.first + seen.total
        return Step(_onward(position, seen, {"offset": following}, tail))

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:
        """Ranges of offsets, at multiples of what the vendor gives."""
        if not seen.total or not seen.rows:
            return (self.start(),)
        cuts = _cut(self.first, self.first + seen.total, seen.rows, ways)
        return tuple({"offset": a, "given": seen.rows} | ({"to": b} if b else {}) for a, b in cuts)


@dataclass(frozen=True, slots=True)
class Windows:
    """Pages by time: one window at a time, halved when it holds as many records as the vendor's `cap`, down to a second."""

    since: str
    until: str
    start_at: str
    end_at: str
    width: int = 86_400
    cap: int = 1000
    template: str = "{%Y-%m-%dT%H:%M:%SZ}"
    size_param: str = ""

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.cap

    def start(self) -> Json:
        """The first window."""
        return {"from": self.start_at, "width": self.width}

    def _end(self, position: Json) -> datetime:
        bound = min(instant(position.get("to", self.end_at)), instant(self.end_at))
        return min(instant(position["from"]) + timedelta(seconds=position["width"]), bound)

    def request(self, base: Request, position: Json) -> Request:
        """Ask for a window."""
        window = {self.since: fill(self.template, position["from"])}
        window[self.until] = fill(self.template, self._end(position).isoformat())
        return put(base, window | ({self.size_param: self.cap} if self.size_param else {}))

    def step(self, position: Json, seen: Seen) -> Step:
        """The next window, or half of this one when it is full; a full window of one second is said to be cut."""
        start, end = instant(position["from"]), self._end(position)
        span = int((end - start).total_seconds())
        full = seen.rows >= self.cap or (seen.total is not None and seen.total > seen.rows)
        if full and span > 1:
            return Step(position | {"width": span // 2}, keep=False)
        facts: tuple[Fact, ...] = (("page_cap", False, {"asked": self.cap, "given": seen.rows}),) if full else ()
        if end >= min(instant(position.get("to", self.end_at)), instant(self.end_at)):
            return Step(None, facts=facts)
        width = min(self.width, position["width"] * 2)
        return Step(position | {"from": end.isoformat(), "width": width}, facts=facts)

    def ranges(self, _seen: Seen, ways: int) -> tuple[Json, ...]:
        """Ranges of time."""
        first, last = instant(self.start_at), instant(self.end_at)
        cuts = _cut(0, max(1, int((last - first).total_seconds())), self.width, ways)
        at = [(first + timedelta(seconds=a), b and first + timedelta(seconds=b)) for a, b in cuts]
        return tuple({"from": a.isoformat(), "width": self.width} | ({"to": b.isoformat()} if b else {}) for a, b in at)

"""The ways vendors cut their lists into pages, each a value without any input or output.

A strategy knows where a read starts, makes the request of a position, and says from a page what comes after it. A position is
JSON, so that a read resumes from it in another process. A count, a total, a short page are hints: none of them ends a read.
What ends it is an empty page, the vendor's own word (no next link, no cursor, `more` false), or the bound of a slice (`to`).

A position whose `tail` is true follows a page that seemed to be the last: a refusal there is the end, not an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from saas_connectors.answer import MISSING, Document
from saas_connectors.connector import Json
from saas_connectors.paging.links import follow, next_link
from saas_connectors.request import Request, Response

Fact = tuple[str, bool | None, Mapping[str, Json]]
"""An evidence to come: its check, whether it holds, its detail."""


class Elsewhere(ValueError):
    """A next link leads to another host."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A page, as paging sees it: `rows` records, `last` the keyset field of the last one, `total` what the vendor counts."""

    request: Request
    response: Response
    document: Document
    rows: int
    last: Json = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What follows a page: the next position (None at the end), whether the page's records are kept, what was found."""

    position: Json
    keep: bool = True
    facts: tuple[Fact, ...] = ()


class Paging(Protocol):
    """A way to cut a list into pages."""

    @property
    def asked(self) -> int | None:
        """How many records a page is asked to hold."""
        ...

    def start(self) -> Json:
        """The first position."""
        ...

    def request(self, base: Request, position: Json) -> Request:
        """Make the request of a position."""
        ...

    def step(self, position: Json, seen: Seen) -> Step:
        """Say what follows a page."""
        ...

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:
        """Cut the read into positions that may start at once, from its first page; one where that is unknown."""
        ...


def put(request: Request, values: Mapping[str, Json]) -> Request:
    """Set parameters: in the JSON body of a request that has one, else in the query, in place of those of the same name."""
    values = {name: value for name, value in values.items() if name and value is not None}
    if request.body is not None:
        return replace(request, body=msgspec.json.encode(msgspec.json.decode(request.body) | values))
    parts = urlsplit(request.url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in values]
    url = parts._replace(query=urlencode(kept)).geturl() if parts.query else request.url
    params = tuple((name, value) for name, value in request.params if name not in values)
    return replace(request, url=url, params=(*params, *((name, str(value)) for name, value in values.items())))


def fill(template: str, value: Json) -> str:
    """Put a value in a template: `{}` as it is, `{FORMAT}` for an instant by strftime (`{%d/%m/%Y}`); none means the value."""

    def one(found: re.Match[str]) -> str:
        form = found[1]
        return instant(value).astimezone(UTC).strftime(form) if form else str(value)

    return re.sub(r"\{([^{}]*)\}", one, template) if template else str(value)


def instant(value: Json) -> datetime:
    """Read an instant, UTC when it names no zone."""
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _absent(value: Json) -> bool:
    return value is MISSING or value is None or value is False or value in ("", "false")


def _more(seen: Seen, path: str) -> bool:
    return not path or not _absent(seen.document.find(path))


@dataclass(frozen=True, slots=True)
class Single:
    """The whole list at once."""

    asked: int | None = None

    def start(self) -> Json:
        """The only position."""
        return {}

    def request(self, base: Request, position: Json) -> Request:  # noqa: ARG002 - the port's shape
        """The request as it is."""
        return base

    def step(self, position: Json, seen: Seen) -> Step:  # noqa: ARG002 - the port's shape
        """Nothing follows."""
        return Step(None)

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:  # noqa: ARG002 - the port's shape
        """One read."""
        return (self.start(),)


def _cut(first: int, end: int, unit: int, ways: int) -> list[tuple[int, int | None]]:
    """Cut [first, end) at multiples of `unit` into at most `ways` ranges of two units at least; the last one is open."""
    units = -(-(end - first) // unit)
    parts = max(1, min(ways, units // 2))
    marks = [first + unit * (units * n // parts) for n in range(parts)]
    return list(zip(marks, [*marks[1:], None], strict=True))


def _short(position: Json, seen: Seen, asked: int | None) -> bool:
    """Is this page smaller than the ones before it, or than what was asked when it is the first?"""
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
        if seen.rows == 0 or not _more(seen, self.more) or following == position.get("to"):
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
        if seen.rows == 0 or not _more(seen, self.more) or (bound is not None and following >= bound):
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
class Cursor:
    """Pages by an opaque cursor, found at `path` in each page and given back in `param`."""

    path: str
    param: str = "cursor"
    size_param: str = ""
    size: int | None = None
    more: str = ""

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.size

    def start(self) -> Json:
        """No cursor yet."""
        return {}

    def request(self, base: Request, position: Json) -> Request:
        """Give the cursor back."""
        return put(base, {self.param: position.get("cursor"), self.size_param: self.size})

    def step(self, position: Json, seen: Seen) -> Step:
        """The next cursor; a feed that ends on an empty page repeats the same one."""
        cursor = seen.document.find(self.path)
        if _absent(cursor) or not _more(seen, self.more):
            return Step(None)
        if cursor == position.get("cursor") and seen.rows == 0:
            return Step(None)
        return Step({"cursor": cursor})

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:  # noqa: ARG002 - the port's shape
        """One read: a cursor is known only from the page before."""
        return (self.start(),)


@dataclass(frozen=True, slots=True)
class Link:
    """Pages by their next link: in the `Link` header (RFC 8288) when `path` is empty, else in the document, at `path`."""

    path: str = ""
    size_param: str = ""
    size: int | None = None

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.size

    def start(self) -> Json:
        """The address of the stream."""
        return {}

    def request(self, base: Request, position: Json) -> Request:
        """Follow the link, with the headers of the first request."""
        if "next" not in position:
            return put(base, {self.size_param: self.size})
        url = follow(base.url, position["next"])
        if url is None:
            raise Elsewhere
        return replace(base, url=url, params=())

    def step(self, position: Json, seen: Seen) -> Step:  # noqa: ARG002 - the port's shape
        """The next link, where there is one; raises `Elsewhere`."""
        link = self.link(seen)
        if link is None:
            return Step(None)
        url = follow(seen.request.url, link)
        if url is None:
            raise Elsewhere
        return Step({"next": url})

    def link(self, seen: Seen) -> str | None:
        """The next link of a page: a text, an object with `href`, or a list of links with `rel` (GeoJSON, HAL)."""
        if not self.path:
            return next_link(seen.response.headers.get("link", ""))
        found: Any = seen.document.find(self.path)
        if isinstance(found, list):
            found = next((item for item in found if isinstance(item, dict) and item.get("rel") == "next"), None)
        if isinstance(found, dict):
            found = found.get("href")
        return found if isinstance(found, str) and found else None

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:  # noqa: ARG002 - the port's shape
        """One read: a link is known only from the page before."""
        return (self.start(),)


@dataclass(frozen=True, slots=True)
class Keyset:
    """Pages after the last key seen: records come in the order of `field`, and `param` asks for what follows it."""

    field: str
    param: str
    template: str = ""
    size_param: str = "limit"
    size: int | None = None
    more: str = ""

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.size

    def start(self) -> Json:
        """No key yet."""
        return {}

    def request(self, base: Request, position: Json) -> Request:
        """Ask for what follows the last key."""
        after = {self.param: fill(self.template, position["after"])} if "after" in position else {}
        return put(base, after | {self.size_param: self.size})

    def step(self, position: Json, seen: Seen) -> Step:
        """The last key of the page; the same key again is the end (an inclusive filter gives its last record for ever)."""
        known = position.get("after")
        if seen.rows == 0 or seen.last is None or seen.last == known or not _more(seen, self.more):
            return Step(None)
        if type(known) is type(seen.last) and seen.last < known:
            return Step(None, facts=(("order_unstable", False, {"field": self.field}),))
        return Step({"after": seen.last})

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:  # noqa: ARG002 - the port's shape
        """One read: a key is known only from the page before."""
        return (self.start(),)


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

    def ranges(self, seen: Seen, ways: int) -> tuple[Json, ...]:  # noqa: ARG002 - the port's shape
        """Ranges of time."""
        first, last = instant(self.start_at), instant(self.end_at)
        cuts = _cut(0, max(1, int((last - first).total_seconds())), self.width, ways)
        at = [(first + timedelta(seconds=a), b and first + timedelta(seconds=b)) for a, b in cuts]
        return tuple({"from": a.isoformat(), "width": self.width} | ({"to": b.isoformat()} if b else {}) for a, b in at)

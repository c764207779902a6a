"""Lists whose next page is known only from the page before: a cursor, a link, the last key. And lists given whole."""

from dataclasses import dataclass, replace
from typing import Any

from saas_connectors.connector import Json
from saas_connectors.paging.links import follow, next_link, next_of
from saas_connectors.paging.port import Elsewhere, Seen, Step, absent, fill, more, put
from saas_connectors.request import Request


class _OneRead:
    """What such lists share: they are read from their beginning, by one reader, since no page is known in advance."""

    __slots__ = ()
    size: int | None

    @property
    def asked(self) -> int | None:
        """Records asked for."""
        return self.size

    def start(self) -> Json:
        """Nothing is known before the first page."""
        return {}

    def ranges(self, _seen: Seen, _ways: int) -> tuple[Json, ...]:
        """One read."""
        return (self.start(),)


@dataclass(frozen=True, slots=True)
class Single(_OneRead):
    """The whole list at once."""

    @property
    def asked(self) -> int | None:
        """Nothing is asked."""
        return None

    def request(self, base: Request, _position: Json) -> Request:
        """The request as it is."""
        return base

    def step(self, _position: Json, _seen: Seen) -> Step:
        """Nothing follows."""
        return Step(None)


@dataclass(frozen=True, slots=True)
class Cursor(_OneRead):
    """Pages by an opaque cursor, found at `path` in each page and given back in `param`."""

    path: str
    param: str = "cursor"
    size_param: str = ""
    size: int | None = None
    more: str = ""

    def request(self, base: Request, position: Json) -> Request:
        """Give the cursor back."""
        return put(base, {self.param: position.get("cursor"), self.size_param: self.size})

    def step(self, position: Json, seen: Seen) -> Step:
        """The next cursor; a feed that ends on an empty page repeats the same one."""
        cursor = seen.document.find(self.path)
        if absent(cursor) or not more(seen, self.more):
            return Step(None)
        if cursor == position.get("cursor") and seen.rows == 0:
            return Step(None)
        return Step({"cursor": cursor})


@dataclass(frozen=True, slots=True)
class Link(_OneRead):
    """Pages by their next link: in the `Link` header (RFC 8288) when `path` is empty, else in the document, at `path`."""

    path: str = ""
    size_param: str = ""
    size: int | None = None

    def request(self, base: Request, position: Json) -> Request:
        """Follow the link, with the headers of the first request."""
        if "next" not in position:
            return put(base, {self.size_param: self.size})
        url = follow(base.url, position["next"])
        if url is None:
            raise Elsewhere
        return replace(base, url=url, params=())

    def step(self, _position: Json, seen: Seen) -> Step:
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
            found = next_of(found)
        if isinstance(found, dict):
            found = found.get("href")
        return found if isinstance(found, str) and found else None


@dataclass(frozen=True, slots=True)
class Keyset(_OneRead):
    """Pages after the last key seen: records come in the order of `field`, and `param` asks for what follows it."""

    field: str
    param: str
    template: str = ""
    size_param: str = "limit"
    size: int | None = None
    more: str = ""

    def request(self, base: Request, position: Json) -> Request:
        """Ask for what follows the last key."""
        after = {self.param: fill(self.template, position["after"])} if "after" in position else {}
        return put(base, after | {self.size_param: self.size})

    def step(self, position: Json, seen: Seen) -> Step:
        """The last key of the page; the same key again is the end (an inclusive filter gives its last record for ever)."""
        known = position.get("after")
        if seen.rows == 0 or seen.last is None or seen.last == known or not more(seen, self.more):
            return Step(None)
        if type(known) is type(seen.last) and seen.last < known:
            return Step(None, facts=(("order_unstable", False, {"field": self.field}),))
        return Step({"after": seen.last})

"""The ways this vendor cuts its lists into pages; one function a style, each a pure function of the query.

A style is given `List`: the dataset as the troubles of the moment let it be seen. It answers a body and maybe headers.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import orjson

from saas_connectors.sandbox.datasets import Dataset

Answer = tuple[bytes, dict[str, str]]


@dataclass(frozen=True, slots=True)
class List:
    """A dataset as it is shown for one request: what was asked, where, at most `cap` records a page, counts off by `lie`."""

    dataset: Dataset
    query: Mapping[str, str]
    address: str
    cap: int = 1000
    lie: int = 0
    since: str | None = None
    until: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many records it claims to hold."""
        return self.dataset.total(self.since, self.until) + self.lie

    def number(self, name: str, default: int) -> int:
        """Read a number of the query."""
        value = self.query.get(name, "")
        return int(value) if value.isdecimal() else default

    def size(self, name: str, default: int = 100) -> int:
        """Read the size of a page, within the cap."""
        return max(1, min(self.number(name, default), self.cap))

    def rows(self, start: int, size: int) -> bytes:
        """Give records as a JSON array."""
        written = b"[" + self.dataset.cut(start, start + size, self.since, self.until) + b"]"
        return _changed(written, self.fields) if self.fields else written

    def link(self, **query: object) -> str:
        """Give the address of another page of the same list."""
        return f"{self.address}?{urlencode(dict(self.query) | query)}"


def _changed(written: bytes, fields: Mapping[str, Any]) -> bytes:
    rows = orjson.loads(written)
    for row in rows:
        for name, new in fields.get("rename", {}).items():
            if name in row:
                row[new] = row.pop(name)
        for name in fields.get("drop", ()):
            row.pop(name, None)
        for name in fields.get("text", ()):
            if row.get(name) is not None:
                row[name] = f"about {row[name]}"
    return orjson.dumps(rows)


def _json(around: Mapping[str, Any], name: str, rows: bytes) -> bytes:
    """Write an object that holds `around` and, under a name, the records."""
    head = orjson.dumps(dict(around))[1:-1]
    return b'{"%s":%s%s}' % (name.encode(), rows, b"," + head if head else b"")


def page(shown: List) -> Answer:
    """Pages by number, under `data`, with a `meta` object."""
    size, number = shown.size("per_page"), shown.number("page", 1)
    meta = {"page": number, "per_page": size, "total": shown.total, "total_pages": -(-shown.total // size)}
    return _json({"meta": meta}, "data", shown.rows((number - 1) * size, size)), {}


def offset(shown: List) -> Answer:
    """Pages by offset, with limit and total."""
    size, start = shown.size("limit"), shown.number("offset", 0)
    return _json({"offset": start, "limit": size, "total": shown.total}, "items", shown.rows(start, size)), {}


def _start(shown: List) -> int:
    try:
        return int(base64.urlsafe_b64decode(shown.query.get("cursor", "") or b"MA=="))
    except ValueError:
        return 0


def cursor(shown: List) -> Answer:
    """Pages by opaque cursor."""
    size, start = shown.size("limit"), _start(shown)
    more = start + size < shown.dataset.total(shown.since, shown.until)
    following = base64.urlsafe_b64encode(str(start + size).encode()).decode() if more else None
    return _json({"next_cursor": following}, "items", shown.rows(start, size)), {}


def link(shown: List) -> Answer:
    """A bare array, the next page in the Link header."""
    size, number = shown.size("per_page"), shown.number("page", 1)
    relations = [f'<{shown.link(page=1)}>; rel="first"']
    if number * size < shown.dataset.total(shown.since, shown.until):
        relations.append(f'<{shown.link(page=number + 1)}>; title="a, b"; rel="next last"')
    return shown.rows((number - 1) * size, size), {"Link": ", ".join(relations)}


def following(shown: List) -> Answer:
    """Pages by a next link in the document."""
    size, start = shown.size("limit"), shown.number("offset", 0)
    more = start + size < shown.dataset.total(shown.since, shown.until)
    around = {"count": shown.total, "next": shown.link(offset=start + size) if more else None, "previous": None}
    return _json(around, "results", shown.rows(start, size)), {}


def odata(shown: List) -> Answer:
    """OData 4 (section 11.2.6.7 of its protocol): `@odata.nextLink`."""
    size, start = shown.size("$top", shown.cap), shown.number("$skip", 0)
    more = start + size < shown.dataset.total(shown.since, shown.until)
    around = {"@odata.context": "$metadata#list", "@odata.count": shown.total}
    return _json(around | ({"@odata.nextLink": shown.link(**{"$skip": start + size})} if more else {}), "value",
                 shown.rows(start, size)), {}  # fmt: skip


def hal(shown: List) -> Answer:
    """HAL: `_embedded` and `_links`."""
    size, number = shown.size("size"), shown.number("page", 0)
    more = (number + 1) * size < shown.dataset.total(shown.since, shown.until)
    links = {"self": {"href": shown.link()}} | ({"next": {"href": shown.link(page=number + 1)}} if more else {})
    return _json({"_links": links}, "_embedded", b'{"items":%s}' % shown.rows(number * size, size)), {}


def keyset(shown: List) -> Answer:
    """Pages after the last `id`, which must be in order."""
    size, after = shown.size("limit"), shown.query.get("after")
    low, high = 0, shown.dataset.total(shown.since, shown.until)
    while after is not None and low < high:
        middle = (low + high) // 2
        row = msgspec.json.decode(b"[" + shown.dataset.cut(middle, middle + 1, shown.since, shown.until) + b"]")[0]
        low, high = (middle + 1, high) if row["id"] <= int(after) else (low, middle)
    return _json({}, "items", shown.rows(low, size)), {}


def windows(shown: List) -> Answer:
    """Records of a window of time, silently no more than the cap."""
    return _json({}, "items", shown.rows(0, shown.cap)), {}


def bare(shown: List) -> Answer:
    """A bare array that says nothing of its pages."""
    size, number = shown.size("per_page"), shown.number("page", 1)
    return shown.rows((number - 1) * size, size), {}


def whole(shown: List) -> Answer:
    """All of it, whatever is asked."""
    return shown.rows(0, shown.total), {}


STYLES: Final[Mapping[str, Callable[[List], Answer]]] = {
    "page": page,
    "offset": offset,
    "cursor": cursor,
    "link": link,
    "next": following,
    "odata": odata,
    "hal": hal,
    "keyset": keyset,
    "windows": windows,
    "bare": bare,
    "whole": whole,
}

"""What is found from a sample page when the settings leave it out: where the records are, how pages follow, where the total is.

The names looked for are those that public APIs use. Nothing is guessed from values alone, except that a next link looks like
an address. A list whose page says nothing at all is probed (see `exploration`), never assumed whole when it is full.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from saas_connectors.answer import MISSING
from saas_connectors.connector import Json
from saas_connectors.paging import Cursor, Keyset, Link, Offset, Page, Paging, next_link
from saas_connectors.request import Response

_RECORDS: Final = (
    "data", "items", "results", "records", "value", "values", "features", "resources", "Resources", "content", "rows", "list",
    "entries", "elements", "objects", "hits", "result", "response", "_embedded", "d",
)  # fmt: skip
_AROUND: Final = (
    "", "meta.", "pagination.", "paging.", "page.", "_meta.", "info.", "paginator.", "meta.pagination.", "pageInfo.",
)  # fmt: skip
_NEXT: Final = (
    "links.next", "_links.next", "@odata.nextLink", "odata.nextLink", "meta.links.next", "links",
    *(
        around + name
        for name in ("next", "nextLink", "next_link", "next_page_url", "nextPageUrl", "next_url")
        for around in _AROUND
    ),
)  # fmt: skip
_CURSORS: Final = {
    "next_cursor": "cursor",
    "nextCursor": "cursor",
    "cursor.next": "cursor",
    "cursors.after": "after",
    "endCursor": "after",
    "nextPageToken": "pageToken",
    "next_page_token": "page_token",
    "next_token": "next_token",
    "nextToken": "nextToken",
    "continuationToken": "continuationToken",
    "continuation_token": "continuation_token",
    "next_page.offset": "offset",
}
_PAGES: Final = ("total_pages", "totalPages", "last_page", "lastPage", "page_count", "pageCount", "nb_pages", "pages")
_NUMBERS: Final = ("page", "current_page", "currentPage", "pageNumber", "page_number", "number")
_SIZES: Final = ("per_page", "perPage", "page_size", "pageSize", "limit", "size", "items_per_page", "itemsPerPage")
_OFFSETS: Final = {"offset": "limit", "skip": "limit", "start": "rows", "startIndex": "count", "from": "size"}
_TOTALS: Final = (
    "total", "total_count", "totalCount", "numberMatched", "@odata.count", "totalResults", "total_results", "totalElements",
    "total_elements", "totalItems", "total_items", "recordsTotal", "nhits", "hits.total.value", "hits.total", "count",
)  # fmt: skip
_MORE: Final = ("has_more", "hasMore", "has_next", "hasNext", "hasNextPage")


def look(document: Json, path: str) -> Json:
    """Give what stands at a dotted path, or `MISSING`; a key may itself hold dots."""
    while isinstance(document, Mapping):
        if path in document:
            return document[path]
        head, dot, path = path.partition(".")
        if not dot or head not in document:
            return MISSING
        document = document[head]
    return MISSING


def records_path(document: Json) -> str | None:
    """Find where the records are: "" for a bare array, None when nothing looks like a list of objects."""
    if isinstance(document, list):
        return ""
    found = list(_lists(document, "", 0))
    if not found:
        return None

    def rank(path: str) -> tuple[bool, int, int]:
        name = path.rsplit(".", 1)[-1]
        return not look(document, path), path.count("."), _RECORDS.index(name) if name in _RECORDS else len(_RECORDS)

    return min(found, key=rank)


def _lists(document: Json, prefix: str, depth: int) -> Iterator[str]:
    if not isinstance(document, Mapping) or depth > 3:
        return
    for name, value in document.items():
        path = f"{prefix}{name}"
        if isinstance(value, list) and name not in {"links", "errors", "warnings"}:
            if all(isinstance(item, Mapping) for item in value) and (value or name in _RECORDS):
                yield path
        else:
            yield from _lists(value, f"{path}.", depth + 1)


def _number(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def total_path(document: Json, rows: int) -> str:
    """Find where the vendor counts all its records, "" when nowhere.

    A number below `rows` contradicts what came with it: it is taken, as such, only where nothing better is and its name is
    no page's own `count`.
    """
    lower = ""
    for name in _TOTALS:
        for around in _AROUND:
            found = look(document, around + name)
            if _number(found) and found >= rows:
                return around + name
            if not lower and _number(found) and name != "count":
                lower = around + name
    return lower


def paging_of(document: Json, response: Response, last: Mapping[str, Json]) -> Paging | None:
    """Find how pages follow, from one page and its last record; None when the page does not say."""
    if next_link(response.headers.get("link", "")):
        return Link()
    if not isinstance(document, Mapping):
        return None
    return _by_link(document) or _by_cursor(document) or _by_page(document) or _by_offset(document) or _by_key(document, last)


def _by_link(document: Json) -> Paging | None:
    """A next link, or a null where one would be while nothing else says how pages follow."""
    empty: Paging | None = None
    for path in _NEXT:
        found = look(document, path)
        if isinstance(found, list) and any(isinstance(item, Mapping) and "rel" in item for item in found):
            return Link(path)
        target = found.get("href") if isinstance(found, Mapping) else found
        if isinstance(target, str) and ("/" in target or target.startswith("?")):
            return Link(path)
        if found is None:
            empty = empty or Link(path)
    return empty if empty and not _by_page(document) and not _by_offset(document) else None


def _by_cursor(document: Json) -> Paging | None:
    for name, param in _CURSORS.items():
        for around in (*_AROUND, "response_metadata.", "metadata."):
            found = look(document, around + name)
            if found is not MISSING and (found is None or isinstance(found, str | int)):
                more = around + "hasNextPage" if name == "endCursor" else ""
                return Cursor(around + name, param, more=more)
    return None


def _named(document: Json, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Find the first of `names` that holds a number: its path and its name."""
    found = ((around + name, name) for around in _AROUND for name in names if _number(look(document, around + name)))
    return next(found, None)


def _by_page(document: Json) -> Paging | None:
    number, pages, size = _named(document, _NUMBERS), _named(document, _PAGES), _named(document, _SIZES)
    more = next((around + name for around in _AROUND for name in _MORE if isinstance(look(document, around + name), bool)), "")
    if number is None or (pages is None and size is None and not more):
        return None
    param = number[1] if number[1] in {"page", "pageNumber", "page_number"} else "page"
    first = min(1, look(document, number[0]))
    return Page(param, size[1] if size else "", None, first, pages[0] if pages else "", more)


def _by_offset(document: Json) -> Paging | None:
    for name, limit in _OFFSETS.items():
        found = _named(document, (name,))
        if found:
            size = _named(document, (*_SIZES, "rows", "count"))
            param = size[1] if size and name != "startIndex" else limit
            return Offset(name, param, None, min(1, look(document, found[0])))
    return None


def _by_key(document: Json, last: Mapping[str, Json]) -> Paging | None:
    """Lists that say only that there is more, and go on after the last identifier."""
    if "has_more" in document and "id" in last:
        return Keyset("id", "starting_after", more="has_more")
    return None

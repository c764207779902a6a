"""The port of a way to page, and what the ways share. No input or output.

A strategy knows where a read starts, makes the request of a position, and says from a page what comes after it. A position is
JSON, so that a read resumes from it in another process. A count, a total, a short page are hints: none of them ends a read.
What ends it is an empty page, the vendor's own word (no next link, no cursor, `more` false), or the bound of a slice (`to`).

A position whose `tail` is true follows a page that seemed to be the last: a refusal there is the end, not an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

import msgspec

from saas_connectors.answer import MISSING, Document
from saas_connectors.connector import Json
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

    def request(self, base: Request, position: Json, /) -> Request:
        """Make the request of a position."""
        ...

    def step(self, position: Json, seen: Seen, /) -> Step:
        """Say what follows a page."""
        ...

    def ranges(self, seen: Seen, ways: int, /) -> tuple[Json, ...]:
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


def fill(template: str, value: Json, zone: str = "UTC") -> str:
    """Put a value in a template: `{}` as it is, `{FORMAT}` for an instant by strftime (`{%d/%m/%Y}`), in `zone`."""

    def one(found: re.Match[str]) -> str:
        form = found[1]
        return instant(value).astimezone(ZoneInfo(zone)).strftime(form) if form else str(value)

    return re.sub(r"\{([^{}]*)\}", one, template) if template else str(value)


def instant(value: Json) -> datetime:
    """Read an instant, UTC when it names no zone."""
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def absent(value: Json) -> bool:
    """Tell whether the vendor says no: missing, null, false, empty."""
    return value is MISSING or value is None or value is False or value in ("", "false")


def more(seen: Seen, path: str) -> bool:
    """Tell whether the flag at `path` leaves room for more; it does when no flag is named."""
    return not path or not absent(seen.document.find(path))

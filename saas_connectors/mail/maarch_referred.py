"""What letters refer to: contacts, users, services, statuses, types. Each is read whole; a comparison finds what is gone.

Contacts alone come in pages, in the order of their numbers; the others in one answer, however many they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Json, Page, Reading, Slice, Stream
from saas_connectors.mail.maarch_calls import Calls, rows
from saas_connectors.mail.maarch_settings import Settings
from saas_connectors.mail.maarch_streams import STREAMS, Tables
from saas_connectors.request import Pairs, Request

PLACES: Final = {
    "contacts": ("contacts", "contacts"),
    "users": ("users", "users"),
    "entities": ("entities", "entities"),
    "statuses": ("statuses", "statuses"),
    "doctypes": ("doctypes/types", "doctypes"),
}
"""The path of each, and where its rows are in the answer."""


def route(name: str) -> str:
    """The route of a stream, as `authorized_api` writes it."""
    return f"GET/{PLACES[name][0]}"


def request(calls: Calls, name: str, offset: int = 0, limit: int = 1) -> Request:
    """Ask for a stream; only contacts know an offset and a limit."""
    paged: Pairs = (("offset", str(offset)), ("limit", str(limit)), ("order", "asc"), ("orderBy", "id"))
    return calls.get(PLACES[name][0], paged if name == "contacts" else ())


@dataclass(frozen=True, slots=True)
class Referred:
    """Reads one of these streams."""

    calls: Calls
    settings: Settings
    stream: Stream

    def read(self, _part: Slice, position: Json) -> Reading:
        """Read it whole, or what follows `position`."""
        start = position or {"offset": 0}
        if start["offset"] is not None:
            yield from self._pages(start["offset"])
        return {}

    def _pages(self, offset: int) -> Answer[None]:
        name, limit = self.stream.name, self.settings.limit
        tables = Tables(name, self.stream.schema, self.settings.server_zone)
        seen: set[object] = set()
        while True:
            asked = request(self.calls, name, offset, limit)
            (response,) = yield from fetch(asked)
            found = rows(asked, response, route(name), PLACES[name][1])
            made = tables.table(self._new(found, seen))
            if len(found) > made.num_rows:
                yield Evidence(name, "page_repeated", False, {"field": STREAMS[name].key[0]})
            if tables.suspect:
                count, tables.suspect = tables.suspect, 0
                yield Evidence(name, "suspect_values", None, {"count": count, "rules": {"type": count}})
            offset += len(found)
            more = name == "contacts" and bool(made.num_rows)
            yield Page(name, made, {"offset": offset if more else None})
            if not more:
                return

    def _new(self, found: list[dict[str, Any]], seen: set[object]) -> list[Mapping[str, Any]]:
        """The rows that bear their name and were not seen in this read."""
        shape = STREAMS[self.stream.name]
        key = shape.names.get(shape.key[0], shape.key[0])
        kept: dict[object, Mapping[str, Any]] = {}
        for row in found:
            named = row.get(key)
            if isinstance(named, str | int) and str(named) not in seen:
                seen.add(str(named))
                kept[str(named)] = row
        return list(kept.values())

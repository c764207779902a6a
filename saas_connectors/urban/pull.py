"""One collection being pulled: filtered where that is asked and honoured, whole otherwise.

What comes back is held against what was asked. A resume point says where the walk stands, what was counted, and whether the
filter had been given up.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from saas_connectors.answer import accept, cut
from saas_connectors.connector import Evidence, Exchange, Fetch, Json, Page, Stream
from saas_connectors.errors import SchemaError
from saas_connectors.paging import Seen, Walk, instant
from saas_connectors.records import Records, pieces
from saas_connectors.request import Request, Response
from saas_connectors.stream_settings import StreamSettings, Text, Texts
from saas_connectors.urban.features import FeaturePages, Features, text

ROWS: Final = msgspec.json.Encoder()
_SMALL: Final = 100
_NOT_A_FILTER: Final = {401, 403, 429}

Pulling: TypeAlias = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, bool]


class CollectionSettings(StreamSettings, frozen=True, forbid_unknown_fields=True):
    """What can be said of one collection."""

    collection: Text | None = None
    key: Texts | None = None
    cursor: Text | None = None
    filter: Literal["datetime", "cql2"] = "datetime"
    lookback: int = 0
    types: dict[str, str] = msgspec.field(default_factory=dict)
    bbox: bool = False
    reference: Text | None = None


@dataclass(slots=True)
class Pull:
    """The pull of one stream.

    `items` is the request of the collection; `after` is the instant asked for, None for all; `before` what the last copy
    reached; `latest` what this one does (both ISO 8601).
    """

    items: Request
    stream: Stream
    said: CollectionSettings
    limit: int
    after: str | None
    before: str | None
    latest: str | None = None
    ignored: bool = False
    invalid: int = 0
    counts: list[int] = field(default_factory=list)

    def pages(self, position: Json) -> Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, None]:
        """Give the pages, then what was found."""
        start = None
        if position is not None:
            start, self.latest, self.counts = position["walk"], position["latest"], list(position["counts"])
            self.ignored, self.invalid, self.limit = position["ignored"], position["invalid"], position["limit"]
        if position is None or start is not None:
            after = None if self.ignored else self.after
            if not (yield from self._walk(after, start)):
                self.counts, self.latest, self.ignored, self.invalid = [], None, True, 0
                yield from self._walk(None, None)
        yield from self._evidence()
        if self.before and (self.latest is None or (self.after and not self.ignored)):
            self.latest = max(self.latest or self.before, self.before, key=instant)

    def _evidence(self) -> Iterator[Evidence]:
        name, whole = self.stream.name, self.ignored or not self.after
        if self.ignored:
            yield Evidence(name, "filter_ignored", None, {"filter": self.said.filter, "field": self.said.cursor})
        if whole and self.latest and self.before and instant(self.latest) < instant(self.before):
            yield Evidence(name, "went_backwards", False, {"field": self.said.cursor})
        if self.invalid:
            yield Evidence(name, "invalid_records", False, {"count": self.invalid, "rules": {"feature:type": self.invalid}})
        for count in dict.fromkeys(self.counts):
            yield Evidence(name, "vendor_count", None, {"count": count})

    def _walk(self, after: str | None, start: Json) -> Pulling:
        """Give the pages; False when the filter turns out not to be honoured."""
        walk = Walk(FeaturePages(self.limit), self._filtered(after), start)
        features = Features(self.stream.name, keyed_by_id=self.said.key is None, bbox=self.said.bbox)
        records = Records(self.said.types, schema=self.stream.schema)
        empty = start is None
        while walk.position is not None:
            request = walk.request()
            response = yield from _ask(request)
            if walk.ends(response):
                break
            if response.status == 400 and empty and self.limit > _SMALL:  # a server that refuses what others cap in silence
                yield Evidence(self.stream.name, "page_cap", None, {"asked": self.limit, "given": _SMALL})
                self.limit = _SMALL
                walk = Walk(FeaturePages(self.limit), self._filtered(after))
                continue
            if after and 400 <= response.status < 500 and response.status not in _NOT_A_FILTER:
                return False  # a filter that the server does not even understand
            accept(request, response)
            document = cut(request, response, "features")
            rows = features.rows(document.records)
            if after and not self._honours(rows, after):
                return False
            matched = document.find("numberMatched")
            total = matched if isinstance(matched, int) and not isinstance(matched, bool) else None
            given = len(rows) + features.invalid
            step = walk.take(Seen(request, response, document, given, total=total))
            if total is not None and total not in self.counts:
                self.counts.append(total)
            for check, holds, detail in step.facts:
                yield Evidence(self.stream.name, check, holds, detail)
            self.invalid, features.invalid = self.invalid + features.invalid, 0
            if step.keep and rows:
                empty = False
                self._reach(rows)
                tables = list(pieces(records.table(request, response, ROWS.encode(rows))))
                yield from (Page(self.stream.name, table) for table in tables[:-1])
                yield Page(self.stream.name, tables[-1], self._position(walk.position))
        return not (after and empty)  # the feature at the cursor should be there

    def _position(self, walk: Json) -> Json:
        counted = {"counts": list(self.counts), "invalid": self.invalid, "limit": self.limit}
        return {"walk": walk, "latest": self.latest, "ignored": self.ignored, **counted}

    def _filtered(self, after: str | None) -> Request:
        if not after:
            return self.items
        since = self._since(after).astimezone(UTC).isoformat().replace("+00:00", "Z")
        if self.said.filter == "cql2":
            wanted = f"{self.said.cursor} >= TIMESTAMP('{since}')"
            return replace(self.items, params=(("filter", wanted), ("filter-lang", "cql2-text")))
        return replace(self.items, params=(("datetime", f"{since}/.."),))

    def _since(self, after: str) -> datetime:
        return instant(after) - timedelta(seconds=self.said.lookback)

    def _honours(self, rows: list[dict[str, Json]], after: str) -> bool:
        since = self._since(after)
        return all(moment is not None and moment >= since for moment in self._moments(rows))

    def _moments(self, rows: list[dict[str, Json]]) -> Iterator[datetime | None]:
        for row in rows:
            found = text(row.get(self.stream.cursor or ""))
            try:
                yield instant(found) if found else None
            except ValueError:
                raise SchemaError(
                    stream=self.stream.name,
                    expected_fr=f"des dates ISO 8601 dans « {self.said.cursor} »",
                    expected_en=f"ISO 8601 times in `{self.said.cursor}`",
                ) from None

    def _reach(self, rows: list[dict[str, Json]]) -> None:
        if self.said.cursor:
            moments = [moment for moment in self._moments(rows) if moment is not None]
            moments += [instant(self.latest)] if self.latest else []
            self.latest = max(moments).astimezone(UTC).isoformat() if moments else None


def _ask(request: Request) -> Exchange[Response]:
    (response,) = yield Fetch((request,))
    return response

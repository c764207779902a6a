"""A server of OGC API Features on loopback, in one process: one collection, pages by offset, `datetime` honoured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox.mishaps import after, instead
from saas_connectors.sandbox.troubles import Troubles
from saas_connectors.sandbox.wire import Call, Reply

ITEMS: Final = "/collections/lieux/items"
Feature = dict[str, Any]


def place(number: int, **properties: object) -> Feature:
    """A feature, one minute after the one before."""
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
    known = {"nom": f"Lieu {number}", "maj": at.isoformat().replace("+00:00", "Z"), "places": number % 11}
    geometry = {"type": "Point", "coordinates": [4.39, 45.43]}
    return {"type": "Feature", "id": number, "geometry": geometry, "properties": known | properties}


@dataclass
class Places:
    """The server; `features` by number."""

    features: dict[int, Feature]
    cap: int = 1000
    troubles: Troubles = field(default_factory=Troubles)
    calls: list[Call] = field(default_factory=list)

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        self.calls.append(call)
        striking = self.troubles.striking(call.path, call.method)
        reply = instead(call, striking) or self._serve(call.path, call.query)
        after(call, reply, striking)
        return reply

    def respond(self, request: Request) -> Response:
        """Answer a connector's request in the same process."""
        parts = urlsplit(request.full_url)
        query = dict(parse_qsl(parts.query))
        reply = self.answer(Call(request.method, parts.path, query, {name.lower(): value for name, value in request.headers}))
        return Response(reply.status, request.full_url, reply.body, Headers(reply.headers.items()))

    def _serve(self, path: str, query: Mapping[str, str]) -> Reply:
        documents: dict[str, Any] = {
            "/": {"title": "City", "links": []},
            "/conformance": {"conformsTo": ["http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"]},
            "/collections": {"collections": [{"id": "lieux", "itemType": "feature"}]},
        }
        found = self._page(query) if path == ITEMS else documents.get(path or "/")
        return Reply(404, b"{}") if found is None else Reply(200, orjson.dumps(found))

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        found = [feature for _, feature in sorted(self.features.items())]
        if since := query.get("datetime", "").removesuffix("/.."):
            found = [feature for feature in found if feature["properties"]["maj"] >= since]
        start, size = int(query.get("offset", 0)), min(self.cap, int(query.get("limit", 10)))
        page = {"type": "FeatureCollection", "features": found[start : start + size], "numberMatched": len(found), "links": []}
        if start + size < len(found):
            page["links"] = [{"rel": "next", "href": f"{ITEMS}?{urlencode({**query, 'offset': start + size})}"}]
        return page

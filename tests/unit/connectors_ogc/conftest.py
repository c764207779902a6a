"""A real pygeoapi, and a simulator for what no server at hand does wrong."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from saas_connectors import registry
from saas_connectors.connector import Connector
from saas_connectors.request import Headers, Request, Response
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport, open_transport
from tests.servers import pygeoapi
from tests.servers.pulls import NOW

Feature = dict[str, Any]


@dataclass(frozen=True, slots=True)
class City:
    """The real server: its folder, its address, a way out to it."""

    folder: Path
    url: str
    transport: Transport

    def connector(self, **settings: object) -> Connector:
        return registry.make("ogc-features", "city", {"url": self.url, **settings})


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    if parts := pygeoapi.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {parts}")
        pytest.skip(f"missing: {parts}")
    folder = tmp_path_factory.mktemp("city")
    with pygeoapi.running(folder) as url:
        policy = EgressPolicy("city", url, private=True, loopback=True, plaintext=True, attempts=1)
        with open_transport(policy, None, lambda: NOW) as transport:
            yield City(folder, url, transport)


@dataclass(slots=True)
class Simulated:
    """A server of one collection, `lieux`, that pages by offset; `answer` may lie about each page before it leaves."""

    features: list[Feature]
    cap: int = 100
    answer: Callable[[dict[str, Any], dict[str, str]], dict[str, Any]] = lambda page, _: page
    keep: Callable[[Feature, str], bool] = lambda feature, since: feature["properties"]["maj"] >= since
    asked: list[Request] = field(default_factory=list)
    refuse_above: int = 10_000

    url = "https://city.example/ogc"

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        return tuple(self._send(request) for request in requests)

    def connector(self, **settings: object) -> Connector:
        return registry.make("ogc-features", "city", {"url": self.url, **settings})

    def items(self) -> list[dict[str, str]]:
        """Parameters of the items asked for so far (the sample of `discover` left out)."""
        asked = [r for r in self.asked if urlsplit(r.url).path.endswith("/items")]
        return [self._params(request) for request in asked]

    @staticmethod
    def _params(request: Request) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(request.full_url).query))

    def _send(self, request: Request) -> Response:
        self.asked.append(request)
        path = urlsplit(request.url).path.removeprefix("/ogc")
        documents: dict[str, Any] = {
            "": {"title": "City", "links": []},
            "/conformance": {"conformsTo": []},
            "/collections": {"collections": [{"id": "lieux", "itemType": "feature"}]},
            "/collections/lieux/items": None,
        }
        if path not in documents:
            return Response(404, request.url, b"<h1>404 admin:hunter2</h1>")
        if int(self._params(request).get("limit", 0)) > self.refuse_above:
            return Response(400, request.url, b"{}")
        body = documents[path] if documents[path] is not None else self._page(self._params(request))
        return Response(200, request.url, json.dumps(body).encode(), Headers([("Content-Type", "application/json")]))

    def _page(self, asked: dict[str, str]) -> dict[str, Any]:
        found: Sequence[Feature] = self.features
        if "datetime" in asked:
            found = [feature for feature in found if self.keep(feature, asked["datetime"].removesuffix("/.."))]
        start, size = int(asked.get("offset", 0)), min(self.cap, int(asked["limit"]))
        page: dict[str, Any] = {"type": "FeatureCollection", "features": found[start : start + size], "links": []}
        if start + size < len(found):
            rest = "".join(f"&{name}={value}" for name, value in asked.items() if name not in ("offset", "limit"))
            href = f"{self.url}/collections/lieux/items?limit={asked['limit']}&offset={start + size}{rest}"
            page["links"] = [{"rel": "self", "href": "https://elsewhere.example/"}, {"rel": "next", "href": href}]
        return self.answer(page | {"numberMatched": len(found)}, asked)


def place(number: int, **properties: object) -> Feature:
    """A feature, one minute after the one before."""
    known = {"nom": f"Lieu {number}", "maj": f"2026-03-01T{number // 60:02d}:{number % 60:02d}:00Z"}
    geometry = {"type": "Point", "coordinates": [4.39, 45.43]}
    return {"type": "Feature", "id": number, "geometry": geometry, "properties": known | properties}


@pytest.fixture
def server() -> Simulated:
    return Simulated([place(number) for number in range(250)])

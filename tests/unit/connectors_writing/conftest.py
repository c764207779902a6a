"""A real pygeoapi with a collection that can be written to, and a way out to it."""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.connector import Writer
from saas_connectors.request import Request, Response
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport, open_transport
from tests.servers import pygeoapi
from tests.servers.pulls import NOW

TRAVAUX = {
    "streams": {"travaux": {"reference": "numero", "classes": {"internal": ["numero", "geometry"]}}},
    "writes": ["travaux"],
}


@dataclass
class Town:
    """The real server, its collection on disk, and what was asked of it."""

    folder: Path
    url: str
    transport: Transport
    asked: list[Request] = field(default_factory=list)

    def writer(self, **settings: object) -> Writer:
        return registry.writer("ogc-features", "city", {"url": self.url, "update": "replace", **TRAVAUX, **settings})

    def do(self, exchange: Generator[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the conversation ends in
        return converse(exchange, self._send)

    def writes(self) -> list[str]:
        return [request.method for request in self.asked if request.method != "GET" and not request.reads]

    def _send(self, request: Request) -> Response:
        self.asked.append(request)
        return self.transport.send(request)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    if parts := pygeoapi.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {parts}")
        pytest.skip(f"missing: {parts}")
    folder = tmp_path_factory.mktemp("town")
    with pygeoapi.running(folder) as url:
        yield folder, url


@pytest.fixture
def town(served: tuple[Path, str]) -> Iterator[Town]:
    folder, url = served
    policy = EgressPolicy("city", url, private=True, loopback=True, plaintext=True, attempts=1)
    with open_transport(policy, None, lambda: NOW) as transport:
        yield Town(folder, url, transport)

"""A portal of two datasets, and a connector to it."""

from dataclasses import dataclass

import pytest

from saas_connectors import registry
from saas_connectors.connector import Connector
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.opendatasoft import Portal, PortalDataset, notices

URL = "https://portail.example"


@dataclass
class Town:
    """A portal, asked as a transport would."""

    portal: Portal

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        return tuple(self.portal.respond(request) for request in requests)

    @property
    def boamp(self) -> PortalDataset:
        return self.portal.datasets["boamp"]

    def connector(self, **settings: object) -> Connector:
        return registry.make("opendatasoft", "portail", {"url": URL, **settings})

    def asked(self) -> list[tuple[str, str]]:
        """Where the calls so far went, and what they filtered."""
        return [(call.path.rpartition("/datasets")[2], call.query.get("where", "")) for call in self.portal.calls]


@pytest.fixture
def town() -> Town:
    return Town(Portal({"boamp": notices(500)}))

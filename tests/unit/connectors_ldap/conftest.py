"""An Active Directory behind sockets and TLS, and a connector in front of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import Read, converse, read
from saas_connectors.connector import Applied, Evidence, Json, Probed, ReadPlan, SyncMode, Writer
from saas_connectors.identity.ldap.operations import OPERATIONS
from saas_connectors.request import Request, Response
from sovereign.egress.transport import Transport
from tests.servers.active_directory import GROUPS, LEFT, PEOPLE, ActiveDirectory
from tests.servers.directory import way_out
from tests.servers.ldap import serving

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BASE = {"bases": [PEOPLE, GROUPS]}
WRITES = {
    "writes": list(OPERATIONS), "update": ["title", "phone", "display_name"], "destinations": [LEFT],
    "create": {"unit": PEOPLE}, "reset": "password",
}  # fmt: skip


@dataclass
class Directory:
    """A directory, the connector of it, and what was asked."""

    vendor: ActiveDirectory
    url: str
    way: Transport
    settings: Mapping[str, Json] = field(default_factory=lambda: {"page": 20, **BASE})
    asked: list[Request] = field(default_factory=list)
    tampering: Callable[[Request, Response], Response] | None = None

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        response = self.way.send(request)
        return response if self.tampering is None else self.tampering(request, response)

    def pull(
        self, kind: str = "people", *, mode: SyncMode = "full_refresh", cursors: Mapping[str, Json] | None = None
    ) -> Read:  # fmt: skip
        """Read one slice; `asked` is then what this read asked."""
        self.asked.clear()
        connector = registry.make("ldap", "annuaire", {"url": self.url, **self.settings})
        streams = converse(connector.discover(), self.send).streams
        plan = ReadPlan(streams, dict.fromkeys((each.name for each in streams), mode), cursors or {}, NOW)
        (part,) = (part for part in converse(connector.slices(plan), self.send) if part.key == kind)
        return read(connector, plan, part, None, self.send)

    def again(self, before: Read) -> Read:
        """Read what changed among people since a read."""
        return self.pull(mode="incremental", cursors=before.cursors)

    def writer(self) -> Writer:
        return registry.writer("ldap", "annuaire", {"url": self.url, **self.settings, **WRITES})

    def apply(self, operation: str, **payload: Json) -> Applied:
        self.asked.clear()
        return converse(self.writer().apply(operation, payload), self.send)

    def write(self, operation: str, **payload: Json) -> str:
        """Apply, and read back; gives what was seen."""
        applied = self.apply(operation, **payload)
        return converse(self.writer().read_back(operation, payload, applied), self.send).outcome

    def probe(self, operation: str, **payload: Json) -> Probed:
        return converse(self.writer().probe(operation, payload), self.send)

    def tuned(self, **settings: Json) -> "Directory":
        """The same, with other settings."""
        return replace(self, settings={**self.settings, **settings})


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Directory]]:
    """Opens directories, of so many people."""
    ends: list[Any] = []

    def make(people: int = 30, **more: bool) -> Directory:
        vendor = ActiveDirectory(people, **more)
        served = serving(vendor, tmp_path)
        ends.append(served)
        running = served.__enter__()
        way = way_out(running.url, running.authority)
        ends.append(way)
        return Directory(vendor, running.url, way.__enter__())

    yield make
    for each in reversed(ends):
        each.__exit__(None, None, None)


def rows(one: Read, stream: str = "people") -> list[dict[str, Any]]:
    return [row for page in one.pages if page.stream == stream for row in page.records.to_pylist()]


def removed(one: Read, stream: str = "people") -> set[str]:
    return {
        row["id"]
        for page in one.pages
        if page.stream == stream and page.removed is not None
        for row in page.removed.to_pylist()
    }


def facts(one: Read, check: str) -> list[Evidence]:
    return [fact for fact in one.evidence if fact.check == check]

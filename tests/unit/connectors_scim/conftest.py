"""A SCIM server of the sandbox, a real one, and a connector in front of either."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.auth import bearer
from saas_connectors.conformance.driver import Read, Send, converse, read
from saas_connectors.connector import Connector, Evidence, Json, ReadPlan, SyncMode
from saas_connectors.identity.scim.operations import OPERATIONS
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.scim import NOW, ROOT, Scim
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import open_transport
from tests.servers import scim2

URL = f"http://scim.example{ROOT}"


@dataclass
class Service:
    """A server, and what was asked of it."""

    send_on: Send
    url: str = URL
    settings: Mapping[str, Json] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    at: datetime = NOW

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        return self.send_on(request)

    @property
    def connector(self) -> Connector:
        return registry.make("scim", "saas", {"url": self.url, "count": 20, **self.settings})

    def pull(self, stream: str = "users", *, mode: SyncMode = "full_refresh", cursor: Json = None) -> Read:
        """Read one stream; `asked` is then what this read asked."""
        catalog = converse(self.connector.discover(), self.send)
        streams = tuple(each for each in catalog.streams if each.name == stream)
        plan = ReadPlan(streams, {stream: mode}, {} if cursor is None else {stream: cursor}, self.at)
        (part,) = converse(self.connector.slices(plan), self.send)
        self.asked.clear()
        return read(self.connector, plan, part, None, self.send)

    def again(self, before: Read) -> Read:
        """Read what changed since a read."""
        return self.pull(mode="incremental", cursor=before.cursors["users"])

    def write(self, operation: str, payload: dict[str, Any], **settings: Json) -> tuple[str, str]:
        """Apply, and read back; gives the identifier and what was seen."""
        writer = registry.writer("scim", "saas", {"url": self.url, "writes": list(OPERATIONS), **settings})
        applied = converse(writer.apply(operation, payload), self.send)
        return applied.vendor_id or "", converse(writer.read_back(operation, payload, applied), self.send).outcome


def simulated(*moods: str, **settings: Json) -> tuple[Scim, Service]:
    vendor = Scim(moods=moods)
    return vendor, Service(vendor.respond, settings=settings)


def rows(one: Read) -> list[dict[str, Any]]:
    return [row for page in one.pages for row in page.records.to_pylist()]


def facts(one: Read, check: str) -> list[Evidence]:
    return [fact for fact in one.evidence if fact.check == check]


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server."""
    if parts := scim2.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {parts}")
        pytest.skip(f"missing: {parts}")
    with scim2.running(tmp_path_factory.mktemp("scim2")) as url:
        yield url


@pytest.fixture
def real(directory: str) -> Iterator[Service]:
    from sovereign.clock import now

    for kind in ("Users", "Groups"):
        for one in scim2.call(directory, "GET", f"/{kind}?count=1000")["Resources"]:
            scim2.call(directory, "DELETE", f"/{kind}/{one['id']}")
    policy = EgressPolicy("saas", directory, private=True, loopback=True, plaintext=True, attempts=1)
    with open_transport(policy, bearer(scim2.TOKEN), now) as transport:
        yield replace(Service(transport.send, directory), at=now())

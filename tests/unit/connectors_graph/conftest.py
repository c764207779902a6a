"""A tenant of the sandbox, and a connector in front of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saas_connectors import registry
from saas_connectors.conformance.driver import Read, converse, read
from saas_connectors.connector import Evidence, Json, ReadPlan, SyncMode
from saas_connectors.identity.graph.operations import OPERATIONS
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.graph import NOW, ROOT, Graph
from saas_connectors.sandbox.vendor import SECRET, USER

URL = f"http://graph.example{ROOT}"


def tokened(vendor: Graph) -> Callable[[Request], Response]:
    """Sends in the same process, with the tokens of client credentials."""
    auth = {"kind": "oauth2", "client": USER, "secret": "api", "token_url": "http://graph.example/oauth/token"}
    flows = registry.auth(auth, lambda _: SECRET.encode(), lambda: NOW)
    assert flows is not None

    def send(request: Request) -> Response:
        flow = flows.flow(request)
        response = vendor.respond(next(flow))
        try:
            while True:
                response = vendor.respond(flow.send(response))
        except StopIteration:
            return response

    return send


@dataclass
class Tenant:
    """A tenant, and what was asked of it."""

    vendor: Graph
    settings: Mapping[str, Json] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.send_on = tokened(self.vendor)

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        return self.send_on(request)

    def pull(self, kind: str = "users", *, mode: SyncMode = "full_refresh", cursors: Mapping[str, Json] | None = None) -> Read:
        """Read one slice; `asked` is then what this read asked."""
        self.asked.clear()
        connector = registry.make("graph-users", "tenant", {"url": URL, **self.settings})
        streams = converse(connector.discover(), self.send).streams
        plan = ReadPlan(streams, dict.fromkeys((each.name for each in streams), mode), cursors or {}, NOW)
        (part,) = (part for part in converse(connector.slices(plan), self.send) if part.key == kind)
        return read(connector, plan, part, None, self.send)

    def again(self, before: Read, kind: str = "users") -> Read:
        """Read what changed since a read."""
        return self.pull(kind, mode="incremental", cursors=before.cursors)

    def write(self, operation: str, payload: dict[str, Any]) -> str:
        """Apply, and read back; gives what was seen."""
        writer = registry.writer("graph-users", "tenant", {"url": URL, "writes": list(OPERATIONS)})
        applied = converse(writer.apply(operation, payload), self.send)
        return converse(writer.read_back(operation, payload, applied), self.send).outcome


def tenant(*moods: str) -> tuple[Graph, Tenant]:
    vendor = Graph(moods=moods)
    return vendor, Tenant(vendor)


def rows(one: Read, stream: str = "users") -> list[dict[str, Any]]:
    return [row for page in one.pages if page.stream == stream for row in page.records.to_pylist()]


def removed(one: Read, stream: str = "users") -> list[dict[str, Any]]:
    return [row for page in one.pages if page.stream == stream and page.removed is not None for row in page.removed.to_pylist()]


def facts(one: Read, check: str) -> list[Evidence]:
    return [fact for fact in one.evidence if fact.check == check]

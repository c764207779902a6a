"""An Open311 server of the sandbox, and a connector in front of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from saas_connectors import registry
from saas_connectors.conformance.driver import Read, converse, read
from saas_connectors.connector import Checked, Connector, Evidence, Json, ReadPlan, SyncMode
from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox.open311 import NOW, Open311

URL = "http://ville.example/v2"


@dataclass
class City:
    """A server, its connector, and what was asked. `change` may alter an answer before it leaves."""

    vendor: Open311
    settings: Mapping[str, Json] = field(default_factory=dict)
    change: Callable[[Request, Response], Response] = lambda _, response: response
    asked: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        return self.change(request, self.vendor.respond(request))

    @property
    def connector(self) -> Connector:
        return registry.make("open311", "ville", {"url": URL, "since": "2024-01-01", **self.settings})

    def check(self) -> Checked:
        return converse(self.connector.check(), self.send)

    def pull(
        self, stream: str = "requests", *, mode: SyncMode = "full_refresh", cursor: Json = None, at: datetime | None = None
    ) -> Read:
        """Read one stream; `asked` is then what this read asked."""
        self.asked.clear()
        (found,) = (one for one in converse(self.connector.discover(), self.send).streams if one.name == stream)
        plan = ReadPlan((found,), {stream: mode}, {} if cursor is None else {stream: cursor}, at or self.vendor.now)
        (part,) = converse(self.connector.slices(plan), self.send)
        return read(self.connector, plan, part, None, self.send)

    def again(self, before: Read, stream: str = "requests") -> Read:
        """Read what changed since a read."""
        return self.pull(stream, mode="incremental", cursor=before.cursors[stream])


def rows(one: Read) -> list[dict[str, Any]]:
    return [row for page in one.pages for row in page.records.to_pylist()]


def named(one: Read) -> dict[str, dict[str, Any]]:
    return {row["service_request_id"]: row for row in rows(one)}


def facts(one: Read, check: str) -> list[Evidence]:
    return [fact for fact in one.evidence if fact.check == check]


def city(moods: Sequence[str] = (), **settings: Json) -> City:
    return City(Open311(moods=moods, now=NOW), settings)


def answered(body: bytes, kind: str = "application/json", status: int = 200) -> Response:
    return Response(status, URL, body, Headers([("Content-Type", kind)]))

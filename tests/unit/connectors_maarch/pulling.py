"""Pulls from the Maarch sandbox without a socket, as a run does: catalog, slices, pages, one shelf of documents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from saas_connectors.conformance.driver import Read, Shelf, converse, read
from saas_connectors.connector import Evidence, Json, ReadPlan
from saas_connectors.registry import auth, make
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET, USER

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "http://maarch.example"
LETTERS: dict[str, Json] = {"streams": ["resources", "documents"]}
EVERYTHING = frozenset({"admin_users", "admin_contacts", "update_status_mail", "update_resources"})


def agent(clause: str | None = "1=1", authorized_api: tuple[str, ...] = (), privileges: frozenset[str] = EVERYTHING) -> Account:
    return Account(USER, SECRET, clause=clause, authorized_api=authorized_api, privileges=privileges)


def sender(
    server: Maarch, login: str = USER, kind: str = "basic", clock: Callable[[], datetime] = lambda: NOW
) -> Callable[[Request], Response]:
    flows = auth({"kind": kind, "user": login, "secret": "x"}, lambda _: SECRET.encode(), clock)
    assert flows is not None

    def send(request: Request) -> Response:
        flow = flows.flow(request)
        response = server.respond(next(flow))
        try:
            while True:
                response = server.respond(flow.send(response))
        except StopIteration:
            return response

    return send


@dataclass
class Pulled:
    """What a run gave."""

    reads: Mapping[str, Read]
    calls: list[str]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return [
            row
            for one in self.reads.values()
            for page in one.pages
            if page.stream == stream
            for row in page.records.to_pylist()
        ]

    def removed(self, stream: str) -> list[int]:
        pages = [
            page for one in self.reads.values() for page in one.pages if page.stream == stream and page.removed is not None
        ]
        return [key for page in pages for key in page.removed.column("res_id").to_pylist()]

    def evidence(self, stream: str) -> list[Evidence]:
        return [each for one in self.reads.values() for each in one.evidence if each.stream == stream]

    @property
    def cursors(self) -> dict[str, Json]:
        return {name: cursor for one in self.reads.values() for name, cursor in one.cursors.items()}


@dataclass
class Town:
    """A server, a connection to it, and the copy that grows."""

    server: Maarch
    settings: dict[str, Json] = field(default_factory=dict)
    login: str = USER
    shelf: Shelf = field(default_factory=Shelf)
    cursors: dict[str, Json] = field(default_factory=dict)
    now: datetime = NOW

    def pull(self, mode: str = "incremental") -> Pulled:
        send = sender(self.server, self.login)
        connector = make("maarch", "courrier", {"url": URL, **self.settings})
        self.server.calls.clear()
        catalog = converse(connector.discover(), send)
        known = {s.name for s in catalog.streams if s.name in self.cursors}
        modes = {s.name: mode if mode in s.modes and s.name in known else "full_refresh" for s in catalog.streams}
        plan = ReadPlan(catalog.streams, modes, dict(self.cursors), self.now)
        slices = converse(connector.slices(plan), send)
        reads = {part.key: read(connector, plan, part, None, send, self.shelf) for part in slices}
        pulled = Pulled(reads, [f"{call.method}{call.path}" for call in self.server.calls])
        self.cursors |= pulled.cursors
        return pulled


def town(letters: int = 20, **more: object) -> Town:
    """A server of letters, read with their files alone."""
    return Town(Maarch(letters, accounts=(agent(),), **more), dict(LETTERS))


def checked(here: Town) -> tuple[tuple[str, str], ...]:
    """What a check remarks, in French and English."""
    found = converse(make("maarch", "courrier", {"url": URL, **here.settings}).check(), sender(here.server))
    return tuple(found.remarks)

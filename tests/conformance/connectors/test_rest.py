"""The declarative connector keeps the laws of all connectors, over a real socket; and the laws are able to fail."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import requests

from saas_connectors.conformance import suite
from saas_connectors.connector import Catalog, Checked, Exchange, Fetch, Json, Page, Reading, ReadPlan, Slice
from saas_connectors.errors import Malformed
from saas_connectors.registry import auth, make
from saas_connectors.request import Headers, Request, Response
from saas_connectors.rest import Rest
from saas_connectors.sandbox import Sandbox, Table, Vendor
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.servers import wayout

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STYLES = ["page", "offset", "cursor", "link", "next", "odata", "hal", "keyset", "bare", "whole", "windows"]
PAGING = {
    "keyset": {"kind": "keyset", "field": "id", "param": "after", "size": 100},
    "windows": {"kind": "windows", "since": "from", "until": "to", "start": "2026-01-01", "width": "60 days", "cap": 100},
}


def people() -> Table:
    rows = (
        {"id": n, "name": f"n{n}", "amount": n + 0.25, "updated_at": f"2026-{n % 11 + 1:02}-01T{n // 60:02}:{n % 60:02}:00Z"}
        for n in range(620)
    )
    return Table.of(rows, ["id"], "updated_at")


class Driver:
    """The smallest driver there is: one session of requests, an authentication flow."""

    def __init__(self, settings: Mapping[str, Json] | None = None) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._auth = auth(settings or {}, lambda _: SECRET.encode(), lambda: NOW)

    def __call__(self, request: Request) -> Response:
        if self._auth is None:
            return self._send(request)
        flow = self._auth.flow(request)
        response = self._send(next(flow))
        try:
            while True:
                response = self._send(flow.send(response))
        except StopIteration:
            return response

    def _send(self, request: Request) -> Response:
        answer = self._session.request(
            request.method,
            request.full_url,
            headers=dict(request.headers),
            data=request.body,
            allow_redirects=False,
            timeout=10,
        )
        return Response(answer.status_code, request.full_url, answer.content, Headers(answer.headers.items()))

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def driver() -> Iterator[Callable[..., Driver]]:
    made: list[Driver] = []

    def give(settings: Mapping[str, Json] | None = None) -> Driver:
        made.append(Driver(settings))
        return made[-1]

    yield give
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Vendor({"people": people()}, cap=100)) as running:
        yield running


def connect(url: str, path: str, **more: Json) -> Rest:
    settings = {"url": url, "streams": {"people": {"path": path, "primary_key": ["id"], **more}}}
    connector = make("rest", "town", settings)
    assert isinstance(connector, Rest)
    return connector


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_paging_keeps_the_laws(style: str, sandbox: Sandbox, driver: Callable[..., Driver]) -> None:
    more = {"paging": PAGING[style]} if style in PAGING else {}
    report = suite.run(connect(sandbox.url, f"/{style}/people", **more), driver(), resumes=8, started_at=NOW)
    assert report.rows == {"people": 620}


@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("basic", {"kind": "basic", "user": USER}),
        ("bearer", {"kind": "bearer"}),
        ("key", {"kind": "key"}),
        ("query", {"kind": "key", "query": "api_key"}),
        ("oauth", {"kind": "oauth2", "client": USER}),
    ],
)
def test_no_credential_enters_a_request_whatever_the_vendor_echoes(
    scheme: str, settings: dict[str, str], sandbox: Sandbox, driver: Callable[..., Driver]
) -> None:
    settings = {"secret": "api", **settings}
    if scheme == "oauth":
        settings["token_url"] = f"{sandbox.url}/oauth/token"
    connector = connect(sandbox.url, f"/auth/{scheme}/next/people")  # its next link brings the query back, key included
    report = suite.run(connector, driver(settings), secrets=[SECRET], resumes=4, started_at=NOW)
    assert report.rows == {"people": 620}


def test_reading_what_changed_keeps_the_laws(sandbox: Sandbox, driver: Callable[..., Driver]) -> None:
    connector = connect(sandbox.url, "/cursor/people", cursor="updated_at", param="updated_since")
    cursors = {"people": "2026-09-01T00:00:00Z"}
    report = suite.run(connector, driver(), mode="incremental", cursors=cursors, resumes=8, started_at=NOW)
    assert 100 < report.rows["people"] < 300


@dataclass(frozen=True)
class Wrong:
    """A connector that breaks one law, over a sound one."""

    sound: Rest
    how: str
    name: str = "wrong"
    version: str = "1"

    def check(self) -> Exchange[Checked]:
        checked = yield from self.sound.check()
        return replace(checked, vendor="") if self.how == "check" else checked

    def discover(self) -> Exchange[Catalog]:
        if self.how == "echo":
            (response,) = yield Fetch((Request("GET", self.sound.settings.url),))
            if response.status != 404 or b"html" in response.body:
                raise Malformed(
                    method="GET", path="/", status=200, expected_fr=str(response.body), expected_en=str(response.body)
                )
        catalog = yield from self.sound.discover()
        stream = catalog.streams[0]
        if self.how == "class":
            stream = replace(stream, classes={})
        if self.how == "key":
            stream = replace(stream, primary_key=("nothing",))
        return Catalog((stream,))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        slices = yield from self.sound.slices(plan)
        if self.how == "overlap":
            return (slices[0], *(replace(slices[0], key=f"again/{n}") for n in range(2)))
        return tuple(replace(part, key="same") for part in slices) if self.how == "slice" else slices

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        reading = self.sound.read(plan, part, None if self.how == "resume" else position)
        try:
            asked = next(reading)
            while True:
                if isinstance(asked, Fetch):
                    first = asked.requests[0]
                    if self.how == "credential":
                        asked = Fetch((replace(first, headers=(*first.headers, ("Authorization", "Bearer x"))),))
                    if self.how == "secret":
                        asked = Fetch((replace(first, params=(*first.params, ("key", SECRET))),))
                elif isinstance(asked, Page):
                    asked = self._page(asked)
                answers = yield asked
                if self.how == "crash" and answers and answers[0].body.startswith(b"<"):
                    raise KeyError(answers[0].body)
                asked = reading.send(answers)
        except StopIteration as end:
            return end.value

    def _page(self, page: Page) -> Page:
        records = page.records
        match self.how:
            case "order":
                records = records.take(
                    pa.array(sorted(range(records.num_rows), key=lambda n: id(object()) + hash((n, id(page)))))
                )
            case "rename":
                records = records.rename_columns([f"{name}_" for name in records.column_names])
            case "position":
                return replace(page, position=None)
            case "stranger":
                return replace(page, stream="strangers")
        return replace(page, records=records)


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("check", "gives what the vendor is"),
        ("class", "has a class"),
        ("key", "is in its schema"),
        ("slice", "unique keys"),
        ("overlap", "come once"),
        ("resume", "exactly the rest"),
        ("credential", "no credential"),
        ("secret", "no secret"),
        ("rename", "hold its key"),
        ("position", "ends on a position"),
        ("stranger", "its own streams"),
        ("crash", "ends in KeyError"),
        ("echo", "shows in the error"),
    ],
)
def test_a_connector_that_breaks_a_law_is_caught(how: str, law: str) -> None:
    vendor = Vendor({"people": people()}, cap=100)
    connector = Wrong(connect("http://vendor.example", "/page/people"), how)
    with pytest.raises(suite.Violation, match=law):
        suite.run(connector, vendor.respond, secrets=[SECRET], resumes=4)


def test_a_replay_that_differs_is_caught() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    connector = Wrong(connect("http://vendor.example", "/page/people"), "order")
    with pytest.raises(suite.Violation):
        suite.run(connector, vendor.respond, resumes=4)


def test_the_laws_hold_through_the_product_s_own_way_out(sandbox: Sandbox) -> None:
    settings = {"kind": "oauth2", "client": USER, "secret": "api", "token_url": f"{sandbox.url}/oauth/token"}
    flow = auth(settings, lambda _: SECRET.encode())
    with wayout.way(sandbox.url, flow) as transport:
        connector = connect(sandbox.url, "/auth/oauth/page/people")
        report = suite.run(connector, transport.send, secrets=[SECRET], resumes=2, started_at=NOW)
    assert report.rows == {"people": 620}

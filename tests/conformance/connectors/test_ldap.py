"""The laws of a connector, and those before a vendor that misbehaves, held over an Active Directory behind sockets and TLS."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saas_connectors import registry
from saas_connectors.conformance import misbehaviour, suite
from saas_connectors.conformance.tampering import WRONG, Tampered
from saas_connectors.connector import Connector, Json
from saas_connectors.request import Request, Response
from sovereign.egress.transport import Transport
from tests.servers.active_directory import GROUPS, PEOPLE, ActiveDirectory
from tests.servers.directory import way_out
from tests.servers.ldap import serving
from tests.servers.ldap_tree import PASSWORD

WAYS = ["dirsync", "usn", "list"]


@pytest.fixture
def vendor() -> ActiveDirectory:
    made = ActiveDirectory(26)
    keys = [made.person(number) for number in range(100, 106)]
    made.group("VPN", *keys[:4])
    made.group("Paie", *keys)
    return made


@pytest.fixture
def way(vendor: ActiveDirectory, tmp_path: Path) -> Iterator[Transport]:
    with serving(vendor, tmp_path) as served, way_out(served.url, served.authority) as opened:
        opened.url = served.url  # type: ignore[attr-defined] # where it leads
        yield opened


def connect(way: Transport, **settings: Json) -> Connector:
    url = way.url  # type: ignore[attr-defined] # set by the fixture
    return registry.make("ldap", "annuaire", {"url": url, "page": 20, "bases": [PEOPLE, GROUPS], **settings})


@pytest.mark.parametrize("way_of_changes", WAYS)
def test_it_keeps_the_laws_of_a_connector(way: Transport, way_of_changes: str) -> None:
    report = suite.run(connect(way, changes=way_of_changes), way.send, secrets=[PASSWORD])
    assert report.rows == {"people": 32, "groups": 2, "group_members": 10, "units": 2}


@pytest.mark.parametrize("way_of_changes", ["dirsync", "usn"])
def test_it_keeps_the_laws_when_it_asks_what_changed(vendor: ActiveDirectory, way: Transport, way_of_changes: str) -> None:
    connector = connect(way, changes=way_of_changes, streams=["people"])
    first = misbehaviour.pull(connector, way.send)
    for number in range(5):
        vendor.change(vendor.person(number + 200), title="Cheffe")
    report = suite.run(connector, way.send, mode="incremental", cursors=first.cursors)
    assert report.rows["people"] >= 5


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_a_wrong_answer_loses_nothing_in_silence(vendor: ActiveDirectory, way: Transport, wrong: str) -> None:
    connector = connect(way, changes="usn", streams=["people", "groups", "group_members"])
    cursors: dict[str, Json] | None = None
    for _ in ("in full", "what changed"):
        honest = misbehaviour.pull(connector, way.send, cursors=cursors)
        assert honest.error is None
        counting = Tampered(way.send, lambda _, response: response)
        misbehaviour.pull(connector, counting, cursors=cursors)
        for at in {*range(0, counting.sent, 3), counting.sent - 1}:
            found = misbehaviour.pull(connector, Tampered(way.send, WRONG[wrong], {at}), cursors=cursors)
            misbehaviour.sure(f"{wrong}, answer {at}", honest, found)
        cursors = honest.cursors
        vendor.person(300)


def test_a_connection_that_breaks_at_any_request_loses_nothing(way: Transport) -> None:
    connector = connect(way)
    misbehaviour.broken(connector, way.send, misbehaviour.pull(connector, way.send), 100)


def entries(change: Callable[[list[Any]], list[Any]]) -> Callable[[Request, Response], Response]:
    """Tampers with the entries of an answer."""

    def tampered(request: Request, response: Response) -> Response:
        if response.status != 200:
            return response
        told = msgspec.json.decode(response.body)
        return replace(response, body=msgspec.json.encode({**told, "entries": change(told["entries"])}))

    return tampered


@pytest.mark.parametrize("change", [lambda held: held[::-1], lambda held: held + held[1:2]], ids=["reordered", "repeated"])
def test_entries_that_come_in_another_order_or_twice_are_the_same(
    way: Transport, change: Callable[[list[Any]], list[Any]]
) -> None:  # fmt: skip
    connector = connect(way)
    honest = misbehaviour.pull(connector, way.send)
    struck = Tampered(way.send, entries(change))
    assert misbehaviour.pull(connector, struck).rows == honest.rows
    assert struck.struck


def test_entries_that_a_list_leaves_out_weigh(way: Transport) -> None:
    def short(request: Request, response: Response) -> Response:
        listed = b'"displayName"' in (request.body or b"") and b'"page"' in (request.body or b"")
        return entries(lambda held: held[1:])(request, response) if listed else response

    found = misbehaviour.pull(connect(way), Tampered(way.send, short))
    read = len(found.keys["people"])
    counts = [fact.detail["count"] for fact in found.evidence if fact.stream == "people" and fact.check == "vendor_count"]
    assert read < min(counts) == 32


@pytest.mark.parametrize("way_of_changes", ["dirsync", "usn"])
def test_a_server_that_goes_back_in_time_does_not_stall_the_copy(
    vendor: ActiveDirectory, way: Transport, way_of_changes: str
) -> None:
    backup = vendor.kept()
    vendor.person(200)

    def onward() -> tuple[str, dict[str, Json]]:
        return "people", {"id": vendor.person(201)}

    connector = connect(way, changes=way_of_changes, streams=["people"])
    misbehaviour.restored(connector, way.send, lambda: vendor.restore(backup), onward)

"""The laws of the connector of directories, over a real OpenLDAP: read whole, written to, its limits, its own schema."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import misbehaviour, suite
from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.writing import run_writer
from saas_connectors.connector import Connector, Json
from saas_connectors.errors import Rejected
from saas_connectors.identity.ldap.calls import Limited
from sovereign.egress.transport import Transport
from tests.servers import slapd
from tests.servers.directory import asked, way_out

LOCK = {"attribute": "employeeType", "value": "parti", "open": "agent"}
GROUPS = slapd.BASE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slapd.Slapd]:
    slapd.required()
    with slapd.running(tmp_path_factory.mktemp("openldap"), agents=120) as running:
        yield running


@pytest.fixture
def way(server: slapd.Slapd) -> Iterator[Transport]:
    with way_out(server.url, server.authority, user=slapd.USER, password=slapd.PASSWORD) as opened:
        yield opened


def settings(server: slapd.Slapd, **more: Json) -> dict[str, Json]:
    return {"url": server.url, "page": 40, "lock": LOCK, **more}


def connect(server: slapd.Slapd, **more: Json) -> Connector:
    return registry.make("ldap", "annuaire", settings(server, **more))


def group(way: Transport, url: str, name: str, **attributes: list[str]) -> str:
    dn = f"cn={name},{slapd.BASE}"
    answer = way.send(asked(url, "ADD", dn=dn, attributes={"cn": [name], **attributes}))
    assert answer.status in (200, 409)
    return dn


def test_it_keeps_the_laws_of_a_connector(server: slapd.Slapd, way: Transport) -> None:
    report = suite.run(connect(server), way.send, secrets=[slapd.PASSWORD], started_at=datetime.now(UTC) + timedelta(minutes=1))
    assert report.rows["people"] >= 120
    assert report.catalog.streams[0].modes == ("full_refresh",)
    (row, *_) = [
        row for page in report.reads["people"].pages for row in page.records.to_pylist() if row["login"] == "agent00007"
    ]
    assert (row["mail"], row["enabled"], row["unit"]) == ("agent7@ville.example", True, slapd.PEOPLE)
    assert len(row["id"]) == 36
    assert row["created_at"] is not None
    counts = {fact.detail["count"] for fact in report.reads["people"].evidence if fact.check == "vendor_count"}
    assert counts == {report.rows["people"]}


def test_a_connection_that_breaks_at_any_request_loses_nothing(server: slapd.Slapd, way: Transport) -> None:
    connector = connect(server)
    misbehaviour.broken(connector, way.send, misbehaviour.pull(connector, way.send), 6)


def test_a_limit_that_stops_a_list_is_a_fault(server: slapd.Slapd, way: Transport) -> None:
    who, word = slapd.person(1), "un-mot-de-passe-quelconque"
    change = [{"do": "replace", "attribute": "userPassword", "values": [word]}]
    assert way.send(asked(server.url, "MODIFY", dn=who, changes=change)).status == 200
    with way_out(server.url, server.authority, user=who, password=word) as narrow:
        found = misbehaviour.pull(connect(server), narrow.send)
    assert isinstance(found.error, Limited)


def test_it_keeps_the_laws_of_a_writer(server: slapd.Slapd, way: Transport) -> None:
    hard = f"uid=agent00009,{slapd.PEOPLE}"
    group(way, server.url, "vpn", objectClass=["groupOfNames"], member=[slapd.USER])
    group(way, server.url, "paie", objectClass=["groupOfNames"], member=[slapd.USER, hard])
    group(way, server.url, "unique", objectClass=["groupOfUniqueNames"], uniqueMember=[slapd.USER, hard])
    opened: dict[str, Any] = {
        "writes": [
            "disable_user", "enable_user", "add_to_group", "remove_from_group", "remove_from_groups", "update_user",
            "move_user", "create_user",
        ],
        "update": ["title", "department"], "create": {"unit": slapd.PEOPLE}, "bases": [slapd.PEOPLE, slapd.LEFT],
    }  # fmt: skip
    writer = registry.writer("ldap", "annuaire", settings(server, **opened))
    payloads: dict[str, dict[str, Any]] = {
        "disable_user": {"login": "AGENT00009"},
        "enable_user": {"login": "agent00009"},
        "add_to_group": {"login": "agent00009", "group_name": "vpn"},
        "remove_from_group": {"login": "agent00009", "group_name": "unique"},
        "remove_from_groups": {"login": "agent00009"},
        "update_user": {"login": "agent00009", "changes": {"title": "Cheffe", "department": "Voirie"}},
        "move_user": {"login": "agent00009", "to": slapd.LEFT},
        "create_user": {"login": 'l,é+"a\\', "surname": "D'Arc, Jeanne", "employee_number": "M9"},
    }
    for operation, payload in payloads.items():
        run_writer(writer, operation, payload, way.send, secrets=[slapd.PASSWORD])
    applied = converse(writer.apply("move_user", {"login": 'l,é+"a\\', "to": slapd.LEFT}), way.send)
    assert (
        converse(writer.read_back("move_user", {"to": slapd.LEFT, "login": 'l,é+"a\\'}, applied), way.send).outcome
        == "confirmed"
    )


@pytest.mark.parametrize("login", ["*", "agent0000*", "agent00008)(uid=*", "agent00008\\2a", "a|b", "("])
def test_a_login_is_a_value_whatever_it_holds(server: slapd.Slapd, way: Transport, login: str) -> None:
    writer = registry.writer("ldap", "annuaire", settings(server, writes=["disable_user"]))
    with pytest.raises(Rejected) as refusal:
        converse(writer.apply("disable_user", {"login": login}), way.send)
    assert refusal.value.reason == "not_found"


def test_who_is_shut_out_is_read_as_such(server: slapd.Slapd, way: Transport) -> None:
    writer = registry.writer("ldap", "annuaire", settings(server, writes=["disable_user"]))
    converse(writer.apply("disable_user", {"login": "agent00011"}), way.send)
    found = misbehaviour.pull(connect(server, streams=["people"]), way.send)
    shut = {row["login"]: row["enabled"] for page in found.pages for row in page.records.to_pylist() if row["login"]}
    assert (shut["agent00011"], shut["agent00012"]) == (False, True)


def test_our_own_account_is_told_by_the_server_and_spared(server: slapd.Slapd, way: Transport) -> None:
    said = settings(server, login="cn", people="(objectClass=person)", writes=["disable_user"])
    with pytest.raises(Rejected) as refusal:
        converse(registry.writer("ldap", "annuaire", said).apply("disable_user", {"login": "sovereign"}), way.send)
    assert (refusal.value.reason, refusal.value.definitive) == ("protected", True)

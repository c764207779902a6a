"""The laws of the connector of directories, over a domain controller of Active Directory (Samba), where one is installed."""

import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import misbehaviour, suite
from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.misbehaviour import Pulled
from saas_connectors.conformance.writing import run_writer
from saas_connectors.connector import Connector, Json
from saas_connectors.errors import Moved, Rejected
from saas_connectors.identity.ldap.operations import OPERATIONS
from saas_connectors.request import Request, Response
from sovereign.egress.transport import Transport
from tests.servers import samba
from tests.servers.directory import asked, way_out

TOP, URL = samba.TOP, samba.URL
PEOPLE, LEFT, GROUPS = f"OU=Agents,{TOP}", f"OU=Partis,{TOP}", f"OU=Groupes,{TOP}"
READER = "Lecteur-du-domaine-1"
SETTINGS: dict[str, Json] = {"url": URL, "page": 20, "bases": [PEOPLE, GROUPS]}
WRITES: dict[str, Json] = {
    **SETTINGS, "writes": list(OPERATIONS), "update": ["title", "phone"], "destinations": [LEFT], "create": {"unit": PEOPLE},
    "reset": "password",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[samba.Samba]:
    samba.required()
    with samba.running(tmp_path_factory.mktemp("samba")) as running:
        with way_out(URL, running.authority, user=samba.USER, password=samba.PASSWORD) as way:
            _town(way)
        yield running


def _town(way: Transport) -> None:
    def add(dn: str, **attributes: list[str]) -> None:
        answer = way.send(asked(URL, "ADD", dn=dn, attributes=attributes))
        assert answer.status == 200, (dn, answer.headers.get("ldap-code"))

    for unit in (PEOPLE, LEFT, GROUPS):
        add(unit, objectClass=["organizationalUnit"])
    for n in range(50):
        add(
            f"CN=Agent {n},{PEOPLE}", objectClass=["user"], sAMAccountName=[f"agent{n}"], sn=["Martin"],
            userPrincipalName=[f"agent{n}@ville.example"], employeeID=[f"M{n:05d}"], userAccountControl=["514"],
        )  # fmt: skip
    for name in ("VPN", "Paie"):
        members = [f"CN=Agent {n},{PEOPLE}" for n in range(20)]
        add(f"CN={name},{GROUPS}", objectClass=["group"], sAMAccountName=[name], member=members)


@pytest.fixture
def way(server: samba.Samba) -> Iterator[Transport]:
    with way_out(URL, server.authority, user=samba.USER, password=samba.PASSWORD) as opened:
        yield opened


@pytest.fixture
def narrow(server: samba.Samba, way: Transport) -> Iterator[Transport]:
    """The way out of an ordinary account, without any right to replicate."""
    writer = registry.writer("ldap", "annuaire", WRITES)
    with suppress(Rejected):  # it is there already
        converse(writer.apply("create_user", {"login": "lecteur", "surname": "Lecteur"}), way.send)
    word = f'"{READER}"'.encode("utf-16-le")

    change = {"do": "replace", "attribute": "unicodePwd", "values": [{"base64": base64.b64encode(word).decode()}]}
    assert way.send(asked(URL, "MODIFY", dn=f"CN=Lecteur,{PEOPLE}", changes=[change])).status == 200
    converse(writer.apply("enable_user", {"login": "lecteur"}), way.send)
    with way_out(URL, server.authority, user="lecteur@ville.example", password=READER) as opened:
        yield opened


def connect(**more: Json) -> Connector:
    return registry.make("ldap", "annuaire", {**SETTINGS, **more})


def pull(way: Transport, before: Pulled | None = None, **more: Json) -> Pulled:
    found = misbehaviour.pull(
        connect(streams=["people"], **more), way.send, started_at=datetime.now(UTC), cursors=before.cursors if before else None
    )  # fmt: skip
    assert found.error is None
    return found


def gone(found: Pulled) -> set[str]:
    return {row["id"] for page in found.pages if page.removed is not None for row in page.removed.to_pylist()}


def person(found: Pulled, login: str) -> dict[str, Any]:
    (row,) = [row for page in found.pages for row in page.records.to_pylist() if row["login"] == login]
    return dict(row)


@pytest.mark.parametrize("changes", ["dirsync", "usn", "list"])
def test_it_keeps_the_laws_of_a_connector(way: Transport, changes: str) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    report = suite.run(connect(changes=changes), way.send, secrets=[samba.PASSWORD], started_at=soon)
    assert report.rows["people"] >= 40
    assert report.rows["units"] == 2
    counted = {fact.detail["count"] for fact in report.reads["people"].evidence if fact.check == "vendor_count"}
    assert counted == {report.rows["people"]}


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_it_keeps_the_laws_of_a_writer(way: Transport, operation: str) -> None:
    converse(registry.writer("ldap", "annuaire", WRITES).apply("revoke_sessions", {"login": "agent9"}), way.send)
    if operation == "disable_user":
        converse(registry.writer("ldap", "annuaire", WRITES).apply("enable_user", {"login": "agent9"}), way.send)
    more: dict[str, dict[str, Any]] = {
        "expire_user": {"at": "2026-12-31T22:59:59Z"}, "move_user": {"to": LEFT},
        "update_user": {"changes": {"title": "Cheffe"}}, "add_to_group": {"group_name": "VPN"},
        "remove_from_group": {"group_name": "VPN"},
    }  # fmt: skip
    payload = {"login": "agent9", **more.get(operation, {})}
    if operation == "add_to_group":
        payload["login"] = "agent30"
    elif operation == "create_user":
        payload = {"login": "nouveau", "surname": "D'Arc", "display_name": 'D\'Arc, Zoé + "la chef" <a=b>;\\', "title": "Agent"}
    run_writer(registry.writer("ldap", "annuaire", WRITES), operation, payload, way.send, secrets=[samba.PASSWORD])


def test_dirsync_tells_who_changed_who_moved_away_and_who_is_deleted(server: samba.Samba, way: Transport) -> None:
    first = pull(way, changes="dirsync")
    writer = registry.writer("ldap", "annuaire", WRITES)
    converse(writer.apply("update_user", {"login": "agent11", "changes": {"title": "Cheffe"}}), way.send)
    converse(writer.apply("move_user", {"login": "agent12", "to": LEFT}), way.send)
    server.remove(f"CN=Agent 13,{PEOPLE}")
    second = pull(way, first, changes="dirsync")
    assert person(second, "agent11")["title"] == "Cheffe"
    assert gone(second) >= {person(first, "agent12")["id"], person(first, "agent13")["id"]}
    assert not second.doubtful
    converse(writer.apply("move_user", {"login": "agent12", "to": PEOPLE}), way.send)
    assert person(pull(way, second, changes="dirsync"), "agent12")["id"] == person(first, "agent12")["id"]


def test_an_ordinary_account_reads_by_numbers_and_misses_who_is_deleted_by_count(
    server: samba.Samba, narrow: Transport
) -> None:
    first = pull(narrow)
    assert first.cursors["people"]["by"] == "usn"
    server.remove(f"CN=Agent 14,{PEOPLE}")
    second = pull(narrow, first)
    assert [fact.holds for fact in second.evidence if fact.check == "vanished"] == [False]
    assert second.cursors == {"people": None}
    full = pull(narrow)
    assert {row["login"] for page in full.pages for row in page.records.to_pylist()}.isdisjoint({"agent14"})


def test_a_change_between_the_look_and_the_write_is_seen_by_the_server(way: Transport) -> None:
    writer = registry.writer("ldap", "annuaire", WRITES)
    for operation in ("revoke_sessions", "enable_user"):
        converse(writer.apply(operation, {"login": "agent15"}), way.send)
    change = [{"do": "replace", "attribute": "userAccountControl", "values": ["66048"]}]
    with pytest.raises(Moved):
        converse(writer.apply("disable_user", {"login": "agent15"}), _before(way, f"CN=Agent 15,{PEOPLE}", change))
    converse(writer.apply("disable_user", {"login": "agent15"}), way.send)
    assert person(pull(way), "agent15")["enabled"] is False


def _before(way: Transport, dn: str, change: list[Json]) -> Callable[[Request], Response]:
    def send(request: Request) -> Response:
        if request.method == "MODIFY":
            assert way.send(asked(URL, "MODIFY", dn=dn, changes=change)).status == 200
        return way.send(request)

    return send


def test_nobody_is_put_among_those_who_rule_the_domain(way: Transport) -> None:
    writer = registry.writer("ldap", "annuaire", WRITES)
    with pytest.raises(Rejected) as refusal:
        converse(writer.apply("add_to_group", {"login": "agent16", "group_name": "Domain Admins"}), way.send)
    assert refusal.value.reason == "protected"


@pytest.mark.parametrize("login", ["Administrator", "krbtgt", "Guest", "lecteur"])
def test_a_file_that_names_an_account_of_the_domain_or_our_own_shuts_nobody_out(
    server: samba.Samba, narrow: Transport, login: str
) -> None:
    writer = registry.writer("ldap", "annuaire", {**WRITES, "bases": [TOP], "destinations": []})
    with pytest.raises(Rejected) as refusal:
        converse(writer.apply("disable_user", {"login": login}), narrow.send)
    assert (refusal.value.reason, refusal.value.definitive) == ("protected", True)

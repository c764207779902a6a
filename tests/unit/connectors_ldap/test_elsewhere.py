"""A directory that is not Active Directory: logins in groups, another server's part of the tree, entries without a key."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.misbehaviour import pull
from saas_connectors.connector import Json
from saas_connectors.errors import Rejected
from sovereign.egress.transport import Transport
from tests.servers.directory import asked, search, way_out
from tests.servers.ldap import Served, serving
from tests.servers.ldap_tree import PASSWORD, Outcome, Session, Tree
from tests.servers.ldap_wire import Attributes, Search

BASE = "dc=ville,dc=example"


class Posix(Tree):
    """People of the kind of Unix, and groups that know them by their login."""

    def __init__(self) -> None:
        super().__init__({BASE: {"objectClass": [b"domain"], "dc": [b"ville"]}})
        self.elsewhere: list[str] = []
        for n in range(6):
            login = b"agent%d" % n
            self.hold(f"uid=agent{n},{BASE}", objectClass=[b"posixAccount"], uid=[login], cn=[login], shadowExpire=[b"-1"])
        self.hold(f"cn=vpn,{BASE}", objectClass=[b"posixGroup"], cn=[b"vpn"], memberUid=[b"agent1", b"agent2"])

    def hold(self, dn: str, **attributes: list[bytes]) -> None:
        key = str(uuid.uuid5(uuid.NAMESPACE_DNS, dn)).encode()
        entry = type(self.find(BASE))(dn, {**attributes, "entryUUID": [key], "createTimestamp": [b"20260101000000Z"]})
        self.entries[dn.lower()] = entry

    def root(self, session: Session) -> Attributes:
        return {**super().root(session), "namingContexts": [BASE.encode()]}

    def search(self, session: Session, asked: Search) -> Outcome:
        outcome = super().search(session, asked)
        outcome.referrals = list(self.elsewhere) if asked.base else []
        return outcome


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(Posix(), tmp_path) as running:
        yield running


@pytest.fixture
def way(served: Served) -> Iterator[Transport]:
    with way_out(served.url, served.authority) as opened:
        yield opened


def held(served: Served, dn: str) -> Attributes:
    return served.directory.find(dn).attributes


def test_people_are_known_by_their_uuid_and_members_by_their_login(served: Served, way: Transport) -> None:
    found = pull(registry.make("ldap", "annuaire", {"url": served.url}), way.send)
    assert (found.error, found.doubtful) == (None, False)
    assert {stream: len(keys) for stream, keys in found.keys.items()} == {
        "people": 6, "groups": 1, "group_members": 2, "units": 0,
    }  # fmt: skip
    members = [row for page in found.pages if page.stream == "group_members" for row in page.records.to_pylist()]
    assert {(row["member"], row["kind"]) for row in members} == {("agent1", "login"), ("agent2", "login")}


def test_someone_enters_and_leaves_such_a_group_and_is_given_an_end_in_days(served: Served, way: Transport) -> None:
    settings: dict[str, Json] = {"url": served.url, "writes": ["add_to_group", "remove_from_groups", "expire_user"]}
    writer = registry.writer("ldap", "annuaire", settings)
    for operation, payload in (
        ("add_to_group", {"login": "agent3", "group_name": "vpn"}),
        ("remove_from_groups", {"login": "agent1"}),
        ("expire_user", {"login": "agent3", "at": "2026-01-01T10:00:00+01:00"}),
    ):
        applied = converse(writer.apply(operation, payload), way.send)
        assert converse(writer.read_back(operation, payload, applied), way.send).outcome == "confirmed"
    assert held(served, f"cn=vpn,{BASE}")["memberUid"] == [b"agent2", b"agent3"]
    assert held(served, f"uid=agent3,{BASE}")["shadowExpire"] == [b"20454"]


def test_our_own_account_is_told_by_its_name_and_spared(served: Served) -> None:
    own = f"UID=agent4, {BASE}"
    served.directory.passwords[own] = PASSWORD
    writer = registry.writer("ldap", "annuaire", {"url": served.url, "writes": ["expire_user"]})
    with way_out(served.url, served.authority, user=own) as way:
        with pytest.raises(Rejected) as refusal:
            converse(writer.apply("expire_user", {"login": "agent4", "at": "2026-01-01T10:00:00+01:00"}), way.send)
        converse(writer.apply("expire_user", {"login": "agent5", "at": "2026-01-01T10:00:00+01:00"}), way.send)
    assert (refusal.value.reason, refusal.value.definitive) == ("protected", True)
    assert [held(served, f"uid=agent{n},{BASE}")["shadowExpire"] for n in (4, 5)] == [[b"-1"], [b"20454"]]


def test_another_servers_part_of_the_tree_and_an_entry_without_a_key_speak_against_completeness(
    served: Served, way: Transport
) -> None:
    assert isinstance(served.directory, Posix)
    connector = registry.make("ldap", "annuaire", {"url": served.url, "streams": ["people"]})
    served.directory.elsewhere = ["ldap://autre.example/ou=x"]
    assert next((fact.check, fact.holds) for fact in pull(connector, way.send).evidence) == ("vanished", False)
    served.directory.elsewhere = []
    del held(served, f"uid=agent5,{BASE}")["entryUUID"]
    found = pull(connector, way.send)
    assert next((fact.check, fact.holds) for fact in found.evidence) == ("invalid_records", False)
    assert len(found.keys["people"]) == 5


def test_a_comma_that_is_escaped_cuts_no_name_whichever_way_it_is_written(served: Served, way: Transport) -> None:
    posix, wanted = served.directory, f"cn=Martin\\, Jeanne,{BASE}"
    assert isinstance(posix, Posix)
    posix.hold(f"ou=partis,{BASE}", objectClass=[b"organizationalUnit"])
    answer = way.send(asked(served.url, "ADD", dn=wanted, attributes={"cn": ["Martin, Jeanne"]}))
    assert answer.status == 200
    posix.hold(f"cn=a\\,{BASE}", cn=[b"not below the base: its parent is the part after"])
    found = search(way, served.url, BASE, {"present": "cn"}, scope="one")["entries"]
    assert wanted in {each["dn"] for each in found}
    assert not any(each["dn"].startswith("cn=a") for each in search(way, served.url, BASE)["entries"])
    move = asked(
        served.url, "MOVE", dn=f"CN=martin\\2c Jeanne, {BASE}", rdn="cn=Martin\\, Jeanne", delete_old=True,
        parent=f"ou=partis,{BASE}",
    )  # fmt: skip
    assert way.send(move).status == 200
    (moved,) = search(way, served.url, f"ou=partis,{BASE}", scope="one")["entries"]
    assert moved["dn"] == f"cn=Martin\\, Jeanne,ou=partis,{BASE}"

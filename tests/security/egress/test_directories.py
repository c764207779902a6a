"""The LDAP way out: whom it dials, what can be asked there, what is known of a write, and what a hostile server makes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from saas_connectors.connector import Json
from sovereign.egress.errors import Broken, Refused, TlsFailed
from tests.servers.directory import ALL, asked, code, search, way_out
from tests.servers.ldap import Served, serving
from tests.servers.ldap_tree import Code, Hangup, Outcome, Session, Tree
from tests.servers.ldap_wire import Bind, Modify, Search

BASE = "dc=ville,dc=example"
JEANNE = f"cn=jeanne,{BASE}"


class Town(Tree):
    """A directory of a few people, which can be told to misbehave."""

    def __init__(self) -> None:
        super().__init__({BASE: {"dc": [b"ville"]}, JEANNE: {"cn": [b"jeanne"], "userAccountControl": [b"512"]}})
        for n in range(25):
            self.entries[f"cn=agent{n},{BASE}"] = type(self.find(BASE))(f"cn=agent{n},{BASE}", {"cn": [b"agent%d" % n]})
        self.refusal: Code | None = None
        self.hang = self.late = False

    def bind(self, session: Session, asked: Bind) -> Outcome:
        if self.refusal is not None:
            raise self.refusal
        return super().bind(session, asked)

    def search(self, session: Session, asked: Search) -> Outcome:
        if self.hang:
            raise Hangup
        return super().search(session, asked)

    def modify(self, session: Session, asked: Modify) -> Outcome:
        if self.refusal is not None:
            raise self.refusal
        done = super().modify(session, asked)
        if self.hang:
            raise Hangup
        return done


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(Town(), tmp_path) as running:
        yield running


def town(served: Served) -> Town:
    assert isinstance(served.directory, Town)
    return served.directory


def disabled(value: str = "514") -> Json:
    return [{"do": "replace", "attribute": "userAccountControl", "values": [value]}]


def test_this_machine_is_not_dialled_unless_it_is_allowed(served: Served) -> None:
    with way_out(served.url, served.authority, loopback=False) as way, pytest.raises(Refused) as refusal:
        search(way, served.url, BASE)
    assert refusal.value.rule == "egress.address.loopback"


def test_an_authority_that_is_not_trusted_sees_no_credential(served: Served, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for url in (served.url, served.clear_url):
        with way_out(url, other) as way, pytest.raises(TlsFailed):
            search(way, url, BASE)
    assert served.directory.asked == []


def test_without_starttls_nothing_is_sent_in_clear_unless_it_is_allowed(tmp_path: Path) -> None:
    with serving(Town(), tmp_path, tls=False) as served:
        with way_out(served.clear_url, served.authority) as way, pytest.raises(TlsFailed) as failure:
            search(way, served.clear_url, BASE)
        assert "no starttls" in str(failure.value)
        assert served.directory.asked == []
        with way_out(served.clear_url, served.authority, plaintext=True) as way:
            assert search(way, served.clear_url, "", scope="base")["entries"] != []


def test_a_page_goes_on_where_the_one_before_ended_and_its_cookie_serves_once(served: Served) -> None:
    with way_out(served.url, served.authority) as way:
        first = search(way, served.url, BASE, scope="one", page=20)
        between = search(way, served.url, BASE, scope="base")
        second = search(way, served.url, BASE, scope="one", page=20, cookie=first["cookie"])
        again = way.send(asked(served.url, "SEARCH", base=BASE, scope="one", filter=ALL, page=20, cookie=first["cookie"]))
    assert (len(first["entries"]), len(second["entries"]), len(between["entries"])) == (20, 6, 1)
    assert (second["cookie"], again.status) == ("", 410)


def test_a_write_whose_connection_breaks_may_have_arrived_and_is_not_sent_again(served: Served) -> None:
    town(served).hang = True
    with way_out(served.url, served.authority, attempts=4) as way, pytest.raises(Broken) as fault:
        way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled()))
    assert fault.value.may_have_arrived
    assert [type(each) for each in served.directory.asked] == [Bind, Modify]
    assert served.directory.find(JEANNE).attributes["userAccountControl"] == [b"514"]


def test_a_write_on_a_session_that_was_let_go_is_sent_on_a_new_one(served: Served) -> None:
    with way_out(served.url, served.authority) as way:
        search(way, served.url, BASE, scope="base")
        served.cut()
        answer = way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled()))
    assert code(answer) == (200, "0", "")
    assert len([each for each in served.directory.asked if isinstance(each, Modify)]) == 1

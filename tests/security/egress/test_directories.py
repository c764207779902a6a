"""The LDAP way out: whom it dials, what can be asked there, what is known of a write, and what a hostile server makes of it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from saas_connectors.auth import basic, bearer
from saas_connectors.connector import Json
from saas_connectors.request import Request
from sovereign.egress import open_transport
from sovereign.egress.errors import (
    Broken,
    EgressError,
    Interrupted,
    NoCredential,
    NotSent,
    Refused,
    TlsFailed,
)
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport
from tests.servers import ldap_wire as wire
from tests.servers.directory import ALL, CONNECTION, asked, code, search, way_out
from tests.servers.ldap import Served, serving
from tests.servers.ldap_tree import PASSWORD, USER, Code, Hangup, Outcome, Session, Tree
from tests.servers.ldap_wire import Add, Bind, Modify, Move, Search
from tests.servers.proxy import tinyproxy
from tests.servers.sites import Wandering

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


def test_two_searches_whose_cookies_are_the_same_go_on_each_on_its_own_session(served: Served) -> None:
    class Repeating(Town):
        def cookie(self) -> bytes:
            return b"the same"

    served.directory = Repeating()
    trees: list[Json] = [{"starts": ["cn", "agent1"]}, {"starts": ["cn", "agent2"]}]
    with way_out(served.url, served.authority) as way:
        pages = [search(way, served.url, BASE, tree, page=4) for tree in trees]
        assert len({page["cookie"] for page in pages}) == 1
        rest = [search(way, served.url, BASE, tree, page=20, cookie=pages[0]["cookie"]) for tree in reversed(trees)]
    assert [len(page["entries"]) for page in rest] == [2, 7]
    assert all(entry["dn"].startswith("cn=agent2") for entry in rest[0]["entries"])


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


def test_a_login_that_was_refused_is_not_tried_again_while_directories_count(served: Served) -> None:
    with way_out(served.url, served.authority, password="autre", attempts=4) as way:
        answers = [way.send(asked(served.url, "SEARCH", base=BASE, scope="base", filter=ALL)) for _ in range(3)]
    assert [code(answer) for answer in answers] == [(401, "49", "")] * 3
    assert len(served.directory.asked) == 1


def test_calls_at_once_with_a_wrong_password_are_one_login_for_who_counts(served: Served) -> None:
    released, answers = threading.Event(), list[int]()

    def bind(_session: Session, _asked: Bind) -> Outcome:
        released.wait(60)
        raise Code(49)

    town(served).bind = bind  # type: ignore[method-assign]
    with way_out(served.url, served.authority, concurrency=4) as way:

        def call() -> None:
            answers.append(way.send(asked(served.url, "SEARCH", base=BASE, scope="base", filter=ALL)).status)

        several = [threading.Thread(target=call) for _ in range(4)]
        for each in several:
            each.start()
        several[0].join(0.3)
        released.set()
        for each in several:
            each.join()
    assert answers == [401] * 4
    assert len(served.directory.asked) == 1


def test_a_login_that_stays_refused_is_tried_less_than_five_times_in_half_an_hour(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = [1000.0]
    monkeypatch.setattr("sovereign.egress.ldap.time", SimpleNamespace(monotonic=lambda: present[0]))

    def half_an_hour(way: Transport) -> int:
        before = len(served.directory.asked)
        for _ in range(180):
            assert way.send(asked(served.url, "SEARCH", base=BASE, scope="base", filter=ALL)).status == 401
            present[0] += 10
        return len(served.directory.asked) - before

    town(served).refusal = Code(49)
    with way_out(served.url, served.authority) as way:
        assert [half_an_hour(way), half_an_hour(way)] == [4, 2]
        town(served).refusal = None
        present[0] += 900
        search(way, served.url, BASE, scope="base")
        served.cut()
        town(served).refusal = Code(49)
        assert half_an_hour(way) == 4, "a login that went well ends the count"


@pytest.mark.parametrize("detail", ["525", "52e", "530", "531", "532", "533", "701", "773", "775"])
def test_the_reason_of_active_directory_for_a_refused_login_is_read(served: Served, detail: str) -> None:
    words = f"80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {detail}, v3839\0"
    town(served).refusal = Code(49, words)
    with way_out(served.url, served.authority) as way:
        answer = way.send(asked(served.url, "SEARCH", base=BASE, scope="base", filter=ALL))
    assert (code(answer), answer.body) == ((401, "49", detail), b"")


@pytest.mark.parametrize(
    "words",
    [
        "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data canari-7d1f02, v3839",
        "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839 canari-7d1f02",
        "canari-7d1f02, data 52e, v3839",
        "data 52e",
    ],
    ids=["value", "after", "before", "alone"],
)
def test_other_words_of_a_refusal_are_not_given_on(served: Served, words: str) -> None:
    town(served).refusal = Code(49, words)
    with way_out(served.url, served.authority) as way:
        answer = way.send(asked(served.url, "SEARCH", base=BASE, scope="base", filter=ALL))
    assert (dict(answer.headers), answer.body) == ({"ldap-code": "49"}, b"")


STATUSES = {
    1: 502, 2: 400, 3: 413, 4: 413, 8: 403, 10: 421, 11: 413, 12: 501, 13: 403, 16: 409, 18: 400, 19: 409, 20: 409, 21: 400,
    32: 404, 34: 400, 50: 403, 51: 503, 52: 503, 53: 422, 64: 409, 65: 409, 66: 409, 68: 409, 71: 409, 80: 502, 99: 502,
}  # fmt: skip


@pytest.mark.parametrize("number", STATUSES)
def test_a_result_code_has_its_status_and_no_word_of_the_server(served: Served, number: int) -> None:
    with way_out(served.url, served.authority) as way:
        search(way, served.url, BASE, scope="base")
        town(served).refusal = Code(number, "canari-7d1f02")
        answer = way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled()))
    assert (code(answer), answer.body) == ((STATUSES[number], str(number), ""), b"")
    assert "canari" not in f"{dict(answer.headers)}"
    assert ("retry-after" in answer.headers) is (answer.status == 503)


def test_an_empty_password_never_leaves(served: Served) -> None:
    for user, password, fault in ((USER, "", NoCredential), ("", PASSWORD, Refused)):
        with way_out(served.url, served.authority, user=user, password=password) as way, pytest.raises(fault):
            search(way, served.url, BASE)
    assert served.directory.asked == []


def test_only_a_login_and_a_password_can_be_shown(served: Served) -> None:
    policy = EgressPolicy(CONNECTION, served.url, loopback=True, ca_bundle=served.authority)
    for shown in (bearer("jeton"), None):
        with open_transport(policy, shown, Wandering()) as way, pytest.raises(Refused) as refusal:
            search(way, served.url, BASE)
        assert refusal.value.rule == "egress.credential"
    assert served.sessions == 0


NESTED: dict[str, Json] = {"present": "cn"}
for _ in range(40):
    NESTED = {"not": NESTED}
DEEP = b'{"base":"","scope":"base","filter":' + b'{"not":' * 100_000 + b"}" * 100_001
FIND: dict[str, Json] = {"base": BASE, "scope": "base", "filter": ALL}
CHANGE: dict[str, Json] = {"dn": JEANNE, "changes": disabled()}
MISASKED: dict[str, tuple[str, dict[str, Json] | bytes]] = {
    "not-json": ("SEARCH", b"(objectClass=*)"),
    "no-body": ("SEARCH", b""),
    "deep-json": ("SEARCH", DEEP),
    "filter-text": ("SEARCH", {**FIND, "filter": "(objectClass=*)"}),
    "filter-deep": ("SEARCH", {**FIND, "filter": NESTED}),
    "filter-wide": ("SEARCH", {**FIND, "filter": {"or": [ALL] * 10_001}}),
    "filter-two": ("SEARCH", {**FIND, "filter": {"present": "cn", "not": ALL}}),
    "filter-unknown": ("SEARCH", {**FIND, "filter": {"approx": ["cn", "a"]}}),
    "filter-number": ("SEARCH", {**FIND, "filter": {"equals": ["cn", 5]}}),
    "starts-with-nothing": ("SEARCH", {**FIND, "filter": {"starts": ["cn", ""]}}),
    "attribute-syntax": ("SEARCH", {**FIND, "filter": {"equals": ["cn=a)(cn", "a"]}}),
    "attribute-star": ("SEARCH", {**FIND, "filter": {"present": "*"}}),
    "listed-syntax": ("SEARCH", {**FIND, "attributes": ["cn,dn"]}),
    "rule-syntax": ("SEARCH", {**FIND, "filter": {"rule": ["cn", "1.2:=", "a"]}}),
    "scope": ("SEARCH", {**FIND, "scope": "children"}),
    "unknown-field": ("SEARCH", {**FIND, "size": 5}),
    "cookie-unpaged": ("SEARCH", {**FIND, "cookie": "AAAA"}),
    "cookie-base64": ("SEARCH", {**FIND, "page": 5, "cookie": "é"}),
    "page-zero": ("SEARCH", {**FIND, "page": 0}),
    "no-entry": ("MODIFY", {**CHANGE, "dn": ""}),
    "no-change": ("MODIFY", {**CHANGE, "changes": []}),
    "verb": ("MODIFY", {**CHANGE, "changes": [{"do": "increment", "attribute": "uid", "values": ["1"]}]}),
    "option-syntax": ("MODIFY", {**CHANGE, "changes": [{"do": "delete", "attribute": "cn;a b"}]}),
    "base64": ("ADD", {"dn": JEANNE, "attributes": {"cn": [{"base64": "?"}]}}),
    "surrogate": ("MODIFY", b'{"dn": "cn=\\ud800", "changes": [{"do": "delete", "attribute": "cn"}]}'),
    "whoami": ("WHOAMI", {"dn": JEANNE}),
}


@pytest.mark.parametrize("name", MISASKED)
def test_a_body_that_is_not_its_methods_is_refused_before_anything_is_dialled(served: Served, name: str) -> None:
    method, body = MISASKED[name]
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with way_out(served.url, served.authority) as way, pytest.raises(Refused) as refusal:
        way.send(Request(method, f"{served.url}/", body=sent))
    assert (refusal.value.rule, served.sessions) == ("egress.body", 0)


@pytest.mark.parametrize("method", ["DELETE", "GET", "POST", "BIND", "PASSWORD", "ABANDON"])
def test_nothing_deletes_an_entry_and_no_other_method_is_known(served: Served, method: str) -> None:
    with way_out(served.url, served.authority) as way, pytest.raises(Refused) as refusal:
        way.send(asked(served.url, method, dn=JEANNE))
    assert (refusal.value.rule, served.sessions) == ("egress.method", 0)


def test_a_write_that_passes_for_a_read_is_refused(served: Served) -> None:
    write = Request("MODIFY", f"{served.url}/", body=json.dumps(CHANGE).encode(), reads=True)
    with way_out(served.url, served.authority) as way, pytest.raises(Refused) as refusal:
        way.send(write)
    assert (refusal.value.rule, served.sessions) == ("egress.method", 0)


@pytest.mark.parametrize("path", ["/cn=jeanne", "/?filter=a", "/dc=ville??sub?(uid=*)"])
def test_an_address_names_no_entry(served: Served, path: str) -> None:
    with way_out(served.url, served.authority) as way, pytest.raises(Refused) as refusal:
        way.send(Request("SEARCH", f"{served.url}{path}", body=json.dumps(FIND).encode(), reads=True))
    assert refusal.value.rule == "egress.url"


def test_another_origin_is_refused(served: Served) -> None:
    with way_out(served.url, served.authority) as way, pytest.raises(Refused) as refusal:
        way.send(asked("ldaps://autre.example", "SEARCH", **FIND))
    assert refusal.value.rule == "egress.origin"


def test_a_read_is_tried_again_and_a_write_is_not(served: Served) -> None:
    served.raw += [None, None]
    with way_out(served.url, served.authority, attempts=4) as way:
        assert search(way, served.url, BASE, scope="base")["entries"] != []
        served.raw += [None]
        with pytest.raises(Broken):
            way.send(asked(served.url, "MODIFY", **CHANGE))
        served.raw += [None]
        with pytest.raises(Broken):
            way.send(asked(served.url, "ADD", dn=f"cn=a,{BASE}", attributes={"cn": ["a"]}))
        served.raw += [None]
        with pytest.raises(Broken):
            way.send(asked(served.url, "MOVE", dn=JEANNE, rdn="cn=a", delete_old=True))
    assert [each for each in served.directory.asked if isinstance(each, Modify | Add | Move)] == []


def test_a_way_out_that_closes_lets_nobody_wait(served: Served) -> None:
    faults: list[EgressError] = []
    way = way_out(served.url, served.authority)

    def ask() -> None:
        try:
            search(way, served.url, BASE)
        except EgressError as fault:
            faults.append(fault)

    waiting = threading.Thread(target=ask)
    with town(served).lock:  # the server answers nothing meanwhile
        waiting.start()
        while served.sessions == 0:
            waiting.join(0.05)
        way.close()
        waiting.join(50)
        assert not waiting.is_alive()
    assert [type(fault) for fault in faults] == [NotSent]


def test_a_write_that_a_stop_keeps_from_leaving_is_not_sent(served: Served) -> None:
    stop = threading.Event()
    stop.set()
    policy = EgressPolicy(CONNECTION, served.url, loopback=True, ca_bundle=served.authority)
    with open_transport(policy, basic(USER, PASSWORD), Wandering(), stop=stop) as way:
        with pytest.raises(NotSent) as fault:
            way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled()))
        with pytest.raises(Interrupted):
            search(way, served.url, BASE)
    assert (fault.value.may_have_arrived, served.sessions) == (False, 0)


def test_what_is_asked_in_turn_shares_a_session(served: Served) -> None:
    with way_out(served.url, served.authority) as way:
        search(way, served.url, BASE, scope="base")
        assert code(way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled()))) == (200, "0", "")
        assert code(way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled("512")))) == (200, "0", "")
        assert len(search(way, served.url, BASE)["entries"]) == 27
    assert served.sessions == 1


def test_a_proxy_sees_the_name_of_the_server_and_nothing_of_what_is_said(served: Served, tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as proxy:
        with way_out(served.url, served.authority, proxy=proxy.url) as way:
            assert len(search(way, served.url, BASE)["entries"]) == 27
        assert proxy.connects() == [f"localhost:{served.port}"]


def test_referrals_are_counted_and_not_followed(served: Served) -> None:
    class Referring(Town):
        def search(self, session: Session, asked: Search) -> Outcome:
            return Outcome(entries=[self.find(JEANNE)], referrals=["ldap://autre.example/dc=autre", "ldap://b.example/dc=b"])

    served.directory = Referring()
    with way_out(served.url, served.authority) as way:
        found = search(way, served.url, BASE)
    assert (len(found["entries"]), found["referrals"]) == (1, 2)


def test_an_attribute_keeps_its_options_and_what_is_no_text_is_base64(served: Served) -> None:
    served.directory.find(JEANNE).attributes = {
        "member;range=0-1499": [b"cn=a", b"cn=b"], "userCertificate;binary": [b"ab"], "info": ["é".encode(), b"a\0b", b"\xff"],
    }  # fmt: skip
    with way_out(served.url, served.authority) as way:
        found = search(way, served.url, JEANNE, scope="base")
    assert found["entries"][0]["attributes"] == {
        "member;range=0-1499": ["cn=a", "cn=b"], "userCertificate;binary": [{"base64": "YWI="}],
        "info": ["é", {"base64": "YQBi"}, {"base64": "/w=="}],
    }  # fmt: skip


def test_dirsync_deleted_objects_and_permissive_changes_are_asked_by_critical_controls(served: Served) -> None:
    seen: list[tuple[int, int, bytes]] = []

    class Syncing(Town):
        known = Town.known | {wire.DIRSYNC, wire.SHOW_DELETED}

        def search(self, session: Session, asked: Search) -> Outcome:
            assert asked.controls[wire.SHOW_DELETED].critical
            seen.append(wire.dirsync(asked.controls[wire.DIRSYNC].value))
            done = super().search(session, asked)
            done.controls = {wire.DIRSYNC: wire.synced(b"\0cookie", more=True)}
            return done

    served.directory = Syncing()
    with way_out(served.url, served.authority) as way:
        sync: Json = {"flags": 0x80000001, "max": 1000, "cookie": "AGE="}
        found = search(way, served.url, BASE, dirsync=sync, show_deleted=True)
        again = way.send(asked(served.url, "MODIFY", dn=JEANNE, changes=disabled("512"), permissive=True))
    assert found["dirsync"] == {"more": True, "cookie": "AGNvb2tpZQ=="}
    assert seen == [(0x80000001, 1000, b"\0a")]
    assert again.status == 200
    assert [each.controls[wire.PERMISSIVE].critical for each in served.directory.asked if isinstance(each, Modify)] == [True]

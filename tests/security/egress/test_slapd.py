"""The LDAP way out against a real OpenLDAP: pages, changes, moves, refusals, and a server that dies."""

import base64
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saas_connectors.connector import Json
from sovereign.egress.errors import Broken, EgressError, TlsFailed
from tests.servers import slapd
from tests.servers.directory import ALL, asked, code, search, way_out
from tests.servers.slapd import BASE, LEFT, LIMIT, PASSWORD, PEOPLE, USER, person

AGENTS = 130


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slapd.Slapd]:
    slapd.required()
    with slapd.running(tmp_path_factory.mktemp("slapd"), agents=AGENTS) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[slapd.Slapd]:
    """A server that a test may kill."""
    slapd.required()
    with slapd.running(tmp_path, agents=30) as running:
        yield running


def test_every_entry_comes_once_page_after_page_beyond_the_size_limit(server: slapd.Slapd) -> None:
    found: list[str] = []
    cookie: dict[str, Json] = {}
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        while True:
            page = search(way, server.url, PEOPLE, {"equals": ["objectClass", "inetOrgPerson"]}, page=40, **cookie)
            found += [entry["dn"] for entry in page["entries"]]
            if not page["cookie"]:
                break
            cookie = {"cookie": page["cookie"]}
    assert sorted(found) == [person(n) for n in range(AGENTS)]


def test_two_searches_go_on_page_by_page_each_on_its_own_session(server: slapd.Slapd) -> None:
    trees: list[Json] = [{"starts": ["uid", "agent0"]}, {"at_most": ["uid", "agent00099"]}, {"present": "mail"}]
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        pages = [search(way, server.url, PEOPLE, tree, page=30) for tree in trees[::2]]
        following = [
            search(way, server.url, PEOPLE, tree, page=30, cookie=page["cookie"])
            for tree, page in reversed(list(zip(trees[::2], pages, strict=True)))
        ]
    for page in (*pages, *following):
        assert len(page["entries"]) == 30
    assert [each["entries"] for each in pages] == [pages[0]["entries"]] * 2
    assert [each["entries"] for each in following] == [following[0]["entries"]] * 2


def test_what_passes_the_size_limit_is_a_413_without_an_entry(server: slapd.Slapd) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        answer = way.send(asked(server.url, "SEARCH", base=PEOPLE, scope="one", filter=ALL))
        limited = way.send(asked(server.url, "SEARCH", base=PEOPLE, scope="one", filter=ALL, limit=LIMIT // 2))
    assert (code(answer), answer.body) == ((413, "4", ""), b"")
    assert (code(limited), limited.body) == ((413, "4", ""), b"")


def test_text_is_text_and_bytes_are_base64(server: slapd.Slapd) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        names: Json = ["uid", "description", "jpegPhoto", "title"]
        found = search(way, server.url, person(7), scope="base", attributes=names, binary=["Title"])
    assert found["entries"] == [
        {
            "dn": person(7),
            "attributes": {
                "uid": ["agent00007"], "description": ["numéro 7"], "jpegPhoto": [{"base64": "/9j/AP8="}],
                "title": [{"base64": base64.b64encode(b"adjoint").decode()}],
            },
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "count"),
    [
        ({"equals": ["cn", "agent 7"]}, 1),
        ({"not": {"starts": ["uid", "agent0000"]}}, AGENTS - 10),
        ({"or": [{"equals": ["uid", "agent00001"]}, {"equals": ["uid", "agent00002"]}]}, 2),
        ({"and": [{"present": "mail"}, {"at_least": ["uid", "agent00120"]}]}, 0),
        ({"rule": ["uid", "caseIgnoreMatch", "AGENT00004"]}, 1),
        ({"rule": ["uid", "2.5.13.5", "AGENT00004"]}, 0),
        ({"equals": ["jpegPhoto", {"base64": "/9j/AP8="}]}, 0),
    ],
    ids=["equals", "not", "or", "no-order", "rule", "rule-exact", "no-equality"],
)  # fmt: skip
def test_a_filter_selects_what_its_tree_says(server: slapd.Slapd, tree: dict[str, Json], count: int) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        found = search(way, server.url, PEOPLE, tree, scope="one", page=1000)
    assert len(found["entries"]) == count


HOSTILE = ["*", "agent*", "*)(uid=*", "agent00001)(|(uid=*))", "\\2a", "(uid=*)", "agent00001\0", "\0"]


@pytest.mark.parametrize("value", HOSTILE, ids=[str(n) for n in range(len(HOSTILE))])
@pytest.mark.parametrize("kind", ["equals", "starts"])
def test_no_value_becomes_a_part_of_a_filter(server: slapd.Slapd, kind: str, value: str) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        answer = way.send(asked(server.url, "SEARCH", base=PEOPLE, scope="one", filter={kind: ["uid", value]}))
    assert answer.status == 200
    assert json.loads(answer.body)["entries"] == []


def test_a_name_with_the_signs_of_its_syntax_names_one_entry_and_no_other(server: slapd.Slapd) -> None:
    odd, escaped = 'a,ou=partis"+<;>\\=', "a\\,ou=partis\\22\\+\\3c\\3b\\3e\\5c\\3d"
    dn = f"ou={escaped},{PEOPLE}"
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        made: Json = {"objectClass": ["organizationalUnit"], "ou": [odd]}
        added = way.send(asked(server.url, "ADD", dn=dn, attributes=made))
        found = search(way, server.url, PEOPLE, {"equals": ["ou", odd]}, scope="one")
        refused = way.send(asked(server.url, "ADD", dn=f"ou={odd},{PEOPLE}", attributes=made))
    assert code(added) == (200, "0", "")
    assert [entry["attributes"]["ou"] for entry in found["entries"]] == [[odd]]
    assert code(refused) == (400, "34", "")


def test_an_entry_is_changed_moved_and_read_back_by_another_client(server: slapd.Slapd) -> None:
    changes: Json = [
        {"do": "replace", "attribute": "title", "values": ["maire"]},
        {"do": "add", "attribute": "description", "values": ["été", {"base64": "w6k="}]},
        {"do": "delete", "attribute": "jpegPhoto"},
    ]
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        changed = way.send(asked(server.url, "MODIFY", dn=person(3), changes=changes))
        moved = way.send(asked(server.url, "MOVE", dn=person(3), rdn="uid=agent00003", delete_old=True, parent=LEFT))
        back = way.send(
            asked(server.url, "MOVE", dn=f"uid=agent00003,{LEFT}", rdn="uid=agent00003", delete_old=True, parent=PEOPLE)
        )
        missing = way.send(asked(server.url, "MODIFY", dn=f"uid=agent00003,{LEFT}", changes=changes))
        whole: Json = {"objectClass": ["inetOrgPerson"], "cn": ["a"], "sn": ["a"], "uid": ["agent00003"]}
        there = way.send(asked(server.url, "ADD", dn=person(3), attributes=whole))
        twice = way.send(asked(server.url, "MODIFY", dn=person(3), changes=[changes[1]]))
    assert [code(each)[:2] for each in (changed, moved, back)] == [(200, "0")] * 3
    assert (code(missing)[:2], code(there)[:2], code(twice)[:2]) == ((404, "32"), (409, "68"), (409, "20"))
    told = server.client("ldapsearch", "-LLL", "-b", person(3), "-s", "base", "title", "description", "jpegPhoto")
    assert "title: maire" in told
    assert f"description:: {base64.b64encode('été'.encode()).decode()}" in told
    assert "jpegPhoto" not in told


@pytest.mark.parametrize("password", ["autre", f"{PASSWORD}x"])
def test_a_wrong_password_is_a_401_without_a_word_of_the_server(server: slapd.Slapd, password: str) -> None:
    with way_out(server.url, server.authority, user=USER, password=password, attempts=4) as way:
        answer = way.send(asked(server.url, "SEARCH", base=BASE, scope="base", filter=ALL))
    assert (code(answer), answer.body) == ((401, "49", ""), b"")


def test_who_may_only_read_cannot_write(server: slapd.Slapd) -> None:
    server.client("ldappasswd", "-s", "secret-7", person(9))
    with way_out(server.url, server.authority, user=person(9), password="secret-7") as way:
        who = way.send(asked(server.url, "WHOAMI"))
        answer = way.send(
            asked(server.url, "MODIFY", dn=person(8), changes=[{"do": "replace", "attribute": "title", "values": ["a"]}])
        )
    assert json.loads(who.body) == {"authzid": f"dn:{person(9)}"}
    assert code(answer) == (403, "50", "")


def test_a_plain_address_is_secured_by_starttls(server: slapd.Slapd, tmp_path: Path) -> None:
    with way_out(server.clear_url, server.authority, user=USER, password=PASSWORD) as way:
        assert search(way, server.clear_url, BASE, scope="base")["entries"] != []


def test_a_control_that_the_server_cannot_do_is_a_501(server: slapd.Slapd) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        answer = way.send(
            asked(server.url, "SEARCH", base=BASE, scope="base", filter=ALL, dirsync={"flags": 0, "max": 10, "cookie": ""})
        )
    assert code(answer) == (501, "12", "")


def test_the_root_tells_what_the_server_can_do(server: slapd.Slapd) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD) as way:
        found = search(way, server.url, "", scope="base", attributes=["supportedControl", "namingContexts"])
    (root,) = found["entries"]
    assert root["dn"] == ""
    assert "1.2.840.113556.1.4.319" in root["attributes"]["supportedControl"]
    assert root["attributes"]["namingContexts"] == [BASE]


def test_a_server_killed_between_two_pages_makes_the_next_one_a_410(own: slapd.Slapd) -> None:
    with way_out(own.url, own.authority, user=USER, password=PASSWORD, attempts=4) as way:
        first = search(way, own.url, PEOPLE, scope="one", page=10)
        own.kill()
        own.start()
        gone = way.send(asked(own.url, "SEARCH", base=PEOPLE, scope="one", filter=ALL, page=10, cookie=first["cookie"]))
        anew = search(way, own.url, PEOPLE, scope="one", page=10)
    assert gone.status == 410
    assert anew["entries"] == first["entries"]


def test_a_server_killed_during_a_write_leaves_a_fault_that_says_it_may_have_arrived(own: slapd.Slapd) -> None:
    faults: list[EgressError] = []
    with way_out(own.url, own.authority, user=USER, password=PASSWORD, attempts=4) as way:
        search(way, own.url, BASE, scope="base")

        def write() -> None:
            try:
                changes: Json = [{"do": "replace", "attribute": "title", "values": ["maire"]}]
                way.send(asked(own.url, "MODIFY", dn=person(1), changes=changes))
            except EgressError as fault:
                faults.append(fault)

        own.signal(signal.SIGSTOP)
        writing = threading.Thread(target=write)
        writing.start()
        for _ in range(1200):
            if own.unread():
                break
            time.sleep(0.05)
        own.kill()
        writing.join(60)
    (fault,) = faults
    assert isinstance(fault, Broken)
    assert fault.may_have_arrived


def test_a_server_that_is_not_there_received_nothing(own: slapd.Slapd) -> None:
    with way_out(own.url, own.authority, user=USER, password=PASSWORD) as way:
        search(way, own.url, BASE, scope="base")
        own.kill()
        with pytest.raises(EgressError) as fault:
            way.send(asked(own.url, "ADD", dn=f"cn=a,{BASE}", attributes={"objectClass": ["person"]}))
    assert not fault.value.may_have_arrived


def test_another_authority_than_the_connections_is_refused(server: slapd.Slapd) -> None:
    with way_out(server.url, server.authority, user=USER, password=PASSWORD, ca_bundle=None) as way, pytest.raises(TlsFailed):
        search(way, server.url, BASE)

"""What is asked of a directory, whatever a payload holds: its values are values, its kind is what its root says."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.misbehaviour import pull
from saas_connectors.connector import Fetch
from saas_connectors.errors import BadPayload, Malformed, Rejected
from saas_connectors.request import Request, Response
from tests.servers.active_directory import PEOPLE, ActiveDirectory
from tests.servers.ldap_tree import Code
from tests.unit.connectors_ldap.conftest import Directory

URL = "ldaps://annuaire.example"
ROOT = {"supportedCapabilities": ["1.2.840.113556.1.4.800"], "defaultNamingContext": ["DC=ville,DC=example"]}


def _answer(request: Request, *entries: Any) -> Response:  # noqa: ANN401 - any JSON
    told = {"entries": list(entries), "cookie": "", "dirsync": None, "referrals": 0}
    return Response(200, request.url, json.dumps(told).encode())


def _leaves(tree: dict[str, Any]) -> list[Any]:
    ((kind, held),) = tree.items()
    return [leaf for one in held for leaf in _leaves(one)] if kind in ("and", "or") else [[kind, held]]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80), st.sampled_from(["login", "employee_number"])
)
def test_whatever_a_name_holds_it_is_asked_as_one_value(value: str, name: str) -> None:
    writer = registry.writer("ldap", "annuaire", {"url": URL, "bases": [PEOPLE], "writes": ["disable_user"]})
    exchange = writer.apply("disable_user", {name: value})
    try:
        asked = next(exchange)
    except BadPayload:
        return
    found = exchange.send((_answer(asked.requests[0], {"dn": "", "attributes": ROOT}),))
    assert isinstance(found, Fetch)
    body = json.loads(found.requests[0].body or b"")
    attribute = "sAMAccountName" if name == "login" else "employeeID"
    assert _leaves(body["filter"]) == [
        ["equals", ["objectCategory", "person"]], ["equals", ["objectClass", "user"]], ["equals", [attribute, value]],
    ]  # fmt: skip
    with pytest.raises(Rejected):
        exchange.send((_answer(found.requests[0]),))


@pytest.mark.parametrize(
    "body",
    [
        b'{"entries":{}}', b'{"entries":[1]}', b'{"entries":[{"dn":1,"attributes":{}}]}', b'{"entries":[{"dn":"a"}]}',
        b'{"entries":[{"dn":"a","attributes":{"cn":"a"}}]}', b'{"entries":[{"dn":"a","attributes":{"cn":[1]}}]}',
        b'{"entries":[{"dn":"a","attributes":{"cn":[{"base64":"*"}]}}]}', b'{"entries":[],"cookie":1}',
        b'{"entries":[],"dirsync":[]}', b'{"entries":[],"dirsync":{"more":1,"cookie":""}}', b'{"entries":[],"referrals":"1"}',
        b'{"entries":[],"dirsync":{"more":false,"cookie":"' + b"A" * (1 << 21) + b'"}}',
    ],
    ids=range(12),
)  # fmt: skip
def test_an_answer_that_is_not_entries_is_malformed(body: bytes) -> None:
    connector = registry.make("ldap", "annuaire", {"url": URL})
    with pytest.raises(Malformed):
        converse(connector.check(), lambda request: Response(200, request.url, body))


def test_what_the_directory_is_is_said_and_what_it_lacks_is_remarked(opened: Callable[..., Directory]) -> None:
    here = opened(1)
    connector = registry.make("ldap", "annuaire", {"url": here.url, "bases": [PEOPLE]})
    checked = converse(connector.check(), here.send)
    assert (checked.vendor, checked.remarks) == ("Active Directory", ())
    here.vendor.known = frozenset(ActiveDirectory.known - {"1.2.840.113556.1.4.841"})
    here.vendor.entries.pop("cn=agent 0,ou=agents,dc=ville,dc=example")
    remarks = converse(connector.check(), here.send).remarks
    assert ["bases" in en or "DIRSYNC" in en for _, en in remarks] == [True, True]
    other = registry.make("ldap", "annuaire", {"url": here.url, "bases": [PEOPLE], "kind": "openldap"})
    assert converse(other.check(), here.send).vendor == "LDAP"
    streams = {each.name: each.modes for each in converse(other.discover(), here.send).streams}
    assert streams["people"] == ("full_refresh",)


@pytest.mark.parametrize("number", [1, 12, 53, 80])
def test_a_token_that_the_directory_no_longer_knows_reads_all_again(opened: Callable[..., Directory], number: int) -> None:
    here = opened(9)
    first = here.pull()
    search = here.vendor.search

    def forgetful(session: Any, asked: Any) -> Any:  # noqa: ANN401 - as the hook has them
        if "1.2.840.113556.1.4.841" in asked.controls and forgotten:
            forgotten.pop()
            raise Code(number)
        return search(session, asked)

    forgotten = [True]
    here.vendor.search = forgetful  # type: ignore[method-assign]
    second = here.again(first)
    assert [fact.detail["why"] for fact in second.evidence if fact.check == "filter_ignored"] == ["expired"]
    assert sum(page.records.num_rows for page in second.pages) == 9
    assert second.cursors == {"people": None}


def test_pages_without_an_end_are_malformed_whether_people_are_listed_or_looked_for() -> None:
    turned = []

    def endless(request: Request) -> Response:
        body = json.loads(request.body or b"")
        if not body["base"]:
            return _answer(request, {"dn": "", "attributes": ROOT})
        turned.append(body.get("cookie"))
        told = {"entries": [], "cookie": "QQ==" if body.get("cookie") != "QQ==" else "Qg==", "dirsync": None, "referrals": 0}
        return Response(200, request.url, json.dumps(told).encode())

    settings = {"url": URL, "bases": [PEOPLE], "writes": ["disable_user"], "streams": ["units"], "changes": "list"}
    with pytest.raises(Malformed):
        converse(registry.writer("ldap", "annuaire", settings).apply("disable_user", {"login": "agent1"}), endless)
    found = pull(registry.make("ldap", "annuaire", settings), endless)
    assert isinstance(found.error, Malformed)
    assert len(turned) < 100_000


def test_a_server_whose_pages_all_have_the_same_cookie_is_asked_for_the_last_one() -> None:
    def person(n: int) -> Any:  # noqa: ANN401 - any JSON
        key = base64.b64encode(bytes([n]) * 16).decode()
        return {"dn": f"CN=Agent,OU={n},{PEOPLE}", "attributes": {"sAMAccountName": ["agent"], "objectGUID": [{"base64": key}]}}

    def same(request: Request) -> Response:
        if not json.loads(request.body or b"")["base"]:
            return _answer(request, {"dn": "", "attributes": ROOT})
        asked.append(request)
        told = {"entries": [person(len(asked))], "cookie": "QQ==" if len(asked) < 3 else "", "dirsync": None, "referrals": 0}
        return Response(200, request.url, json.dumps(told).encode())

    asked: list[Request] = []
    writer = registry.writer("ldap", "annuaire", {"url": URL, "bases": [PEOPLE], "writes": ["disable_user"]})
    with pytest.raises(Rejected) as refusal:
        converse(writer.apply("disable_user", {"login": "agent"}), same)
    assert (refusal.value.reason, len(asked)) == ("ambiguous", 3)

"""What SCIM servers do wrong, one test each."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.connector import Change, MirrorQuery
from saas_connectors.errors import BadPayload, Rejected, SettingsError
from saas_connectors.identity.scim.operations import OPERATIONS
from saas_connectors.identity.scim.order import MOST_PASSES
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.scim import NOW, ROOT, user
from tests.unit.connectors_scim.conftest import URL, Service, facts, rows, simulated

SEVEN = user(7)["id"]


def ids(one: Any) -> list[str]:  # noqa: ANN401 - a read
    return [row["id"] for row in rows(one)]


def test_a_list_in_another_order_each_time_is_walked_until_nothing_new_comes_or_said_to_be_unstable() -> None:
    vendor, here = simulated("unstable")
    read = here.pull()
    assert len(set(ids(read))) == len(ids(read)), "nothing is given twice"
    (fact,) = facts(read, "order_unstable")
    assert fact.detail["repeated"] > 0
    assert len(ids(read)) == len(vendor.users) or fact.holds is False
    assert 2 <= sum(request.params[0] == ("startIndex", "1") for request in here.asked) <= MOST_PASSES


@pytest.mark.parametrize("gone", [3, 39, 20], ids=str)
def test_accounts_that_leave_while_the_list_is_read_hide_no_other(gone: int) -> None:
    vendor, here = simulated()
    ordered = sorted(vendor.users)
    count = 0

    def send(request: Request) -> Response:
        nonlocal count
        count += request.url.endswith("/Users")
        if count == 3:
            for name in ordered[max(0, gone - 3) : gone]:
                vendor.users.pop(name, None)
        return vendor.respond(request)

    here.send_on = send
    found = ids(here.pull())
    assert set(vendor.users) <= set(found)
    assert len(found) == len(set(found))


def test_accounts_that_come_while_the_list_is_read_double_no_other() -> None:
    vendor, here = simulated()
    count = 0

    def send(request: Request) -> Response:
        nonlocal count
        count += request.url.endswith("/Users")
        if count == 3:
            for number in range(5):
                vendor.put("users", user(900 + number, id=f"0000-{number}"))
        return vendor.respond(request)

    here.send_on = send
    found = ids(here.pull())
    assert len(found) == len(set(found)) >= 130


def test_a_filter_that_is_ignored_is_found_out_and_all_is_read() -> None:
    vendor, here = simulated("filter_ignored")
    first = here.pull()
    vendor.put("users", user(3, active=False))
    second = here.again(first)
    assert len(ids(second)) == 130
    assert [fact.holds for fact in facts(second, "filter_ignored")] == [None]
    assert second.cursors["users"] is None


def test_an_account_deleted_without_a_trace_is_told_by_the_survey_and_only_at_its_cadence() -> None:
    vendor, here = simulated()
    first = here.pull()
    vendor.put("users", user(5, title="A"))
    second = here.again(first)
    assert not any("attributes" in dict(request.params) for request in here.asked), "no survey before its time"
    del vendor.users[SEVEN]
    vendor.put("users", user(500))
    here.at = NOW + timedelta(days=2)
    vendor.put("users", user(6, title="B"))
    third = here.again(second)
    assert [fact.detail for fact in facts(third, "vanished")] == [{"count": 1}]
    assert third.cursors["users"] is None


def test_accounts_that_came_are_no_deletion_and_the_survey_counts_them_next_time() -> None:
    vendor, here = simulated(reconcile=0)
    first = here.pull()
    vendor.put("users", user(500))
    second = here.again(first)
    assert facts(second, "vanished") == []
    assert second.cursors["users"]["size"] == 131
    del vendor.users[user(500)["id"]]
    vendor.put("users", user(1, title="C"))
    assert facts(here.again(second), "vanished")[0].detail == {"count": 1}


def test_a_password_is_never_kept_and_names_are_taken_whatever_their_case() -> None:
    vendor, here = simulated("texts")
    vendor.put("users", {**user(7), "PassWord": "canari", "USERTYPE": "agent", "urn:x:extension:acme:2.0:User": {"badge": 7}})
    row = next(row for row in rows(here.pull()) if row["id"] == SEVEN)
    assert "canari" not in repr(row)
    assert (row["userType"], row["acme"], row["active"]) == ("agent", {"badge": 7}, True)


def test_a_success_that_did_nothing_is_found_out() -> None:
    vendor, here = simulated()
    for operation, payload in (
        ("disable_user", {"id": SEVEN}),
        ("delete_user", {"id": SEVEN}),
        ("add_to_group", {"id": SEVEN, "group": "g-2"}),
        ("create_user", {"userName": "n@ville.example"}),
    ):
        vendor.troubles.plan(Trouble("lost", path=ROOT, method="PATCH"), Trouble("lost", path=ROOT, method="DELETE"))
        vendor.troubles.plan(Trouble("lost", path=ROOT, method="POST"))
        _, outcome = here.write(operation, payload)
        assert (operation, outcome) == (operation, "unsupported" if operation == "create_user" else "absent")
        vendor.troubles.clear()
    writer = registry.writer("scim", "saas", {"url": URL, "writes": ["create_user"]})
    assert converse(writer.probe("create_user", {"userName": "n@ville.example"}), here.send).outcome == "did_not_happen"


@pytest.mark.parametrize(
    ("moods", "payload", "reason"),
    [
        (("filter_ignored",), {"userName": "agent7@ville.example"}, "filter_ignored"),
        ((), {"userName": "nobody@ville.example"}, "not_found"),
        ((), {"externalId": "double"}, "ambiguous"),
        ((), {"externalId": "m00007"}, "not_found"),
    ],
    ids=["ignored", "nobody", "two", "case"],
)
def test_unless_exactly_one_account_bears_the_name_nothing_is_written(
    moods: tuple[str, ...], payload: dict[str, Any], reason: str
) -> None:
    vendor, here = simulated(*moods)
    for number in (1, 2):
        vendor.put("users", user(number, externalId="double"))
    with pytest.raises(Rejected) as refusal:
        here.write("disable_user", payload)
    assert (refusal.value.reason, refusal.value.definitive) == (reason, True)
    assert {request.method for request in here.asked} == {"GET"}
    assert all(row["active"] for row in vendor.users.values())


def test_a_value_in_a_filter_is_quoted_and_controls_are_refused() -> None:
    _, here = simulated()
    with pytest.raises(Rejected):
        here.write("disable_user", {"userName": 'x" or active eq true or userName eq "\\'})
    (asked,) = [dict(request.params)["filter"] for request in here.asked]
    assert asked == 'userName eq "x\\" or active eq true or userName eq \\"\\\\"'
    with pytest.raises(BadPayload):
        here.write("disable_user", {"userName": "x\n"})
    with pytest.raises(BadPayload):
        here.write("disable_user", {"id": SEVEN, "userName": "two names"})
    with pytest.raises(BadPayload):
        here.write("create_user", {"userName": "x", "password": "never"})


def test_a_refusal_says_the_word_of_the_standard_and_nothing_of_the_server() -> None:
    _, here = simulated()
    here.send_on = _blind(here)
    with pytest.raises(Rejected) as refusal:
        here.write("create_user", {"userName": "agent7@ville.example"})
    assert (refusal.value.reason, refusal.value.definitive) == ("uniqueness", True)
    assert "agent7" not in f"{refusal.value!r} {refusal.value.diagnostics('fr')}"


def _blind(here: Service) -> Any:  # noqa: ANN401 - a sender
    """A server whose filters find no one."""
    ask = here.send_on
    empty = orjson.dumps({"totalResults": 0, "Resources": []})
    return lambda request: Response(200, request.full_url, empty) if "filter" in dict(request.params) else ask(request)


def test_an_account_put_back_whole_keeps_what_was_not_asked_and_the_version_read() -> None:
    vendor, here = simulated("no_patch")
    before = vendor.users[SEVEN]
    assert here.write("disable_user", {"id": SEVEN})[1] == "confirmed"
    (put,) = [request for request in here.asked if request.method == "PUT"]
    assert ("If-Match", before["meta"]["version"]) in put.headers
    kept = {name: value for name, value in vendor.users[SEVEN].items() if name not in ("meta", "active")}
    assert kept == {name: value for name, value in before.items() if name not in ("meta", "active")}


def test_a_departure_goes_first_and_names_the_account_before_and_after() -> None:
    writer = registry.writer("scim", "saas", {"url": URL, "writes": list(OPERATIONS)})
    assert [made.name for made in writer.operations() if made.departure] == ["disable_user"]
    assert writer.changes("disable_user", {"externalId": "M1"}) == (
        Change("update", "users", (("externalId", "M1"),), {"active": False}),
    )
    body = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    assert writer.passed("PATCH", f"{ROOT}/Users/u1", body) == (Change("update", "users", (("id", "u1"),), {"active": False}),)
    assert writer.passed("PATCH", f"{ROOT}/Users/u1", {"Operations": [{"op": "add", "path": "emails"}]}) == ()
    assert writer.is_read("POST", f"{ROOT}/Users/.search")
    assert not writer.is_read("POST", f"{ROOT}/Users")


def test_the_copy_answers_for_an_account_as_the_server_would() -> None:
    vendor, here = simulated()
    writer = registry.writer("scim", "saas", {"url": URL})
    query = writer.mirror("GET", f'{ROOT}/Users?filter=externalId eq "M00007"&count=5')
    assert query == MirrorQuery("list", "users", (("externalId", "M00007"),), 5, 0)
    held = [row for row in rows(here.pull()) if row["externalId"] == "M00007"]
    (shown,) = orjson.loads(writer.present(query, held, 1).body)["Resources"]
    assert shown == vendor.users[SEVEN]
    assert writer.mirror("GET", f'{ROOT}/Users?filter=userName eq "a" or active eq true') is None
    assert writer.mirror("GET", f"{ROOT}/Groups/g-1") is None


@pytest.mark.parametrize(
    "wrong", [{"count": 1}, {"lookback": 0}, {"writes": ["drop"]}, {"streams": ["people"]}, {"update": "put"}], ids=str
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refusal:
        registry.make("scim", "saas", {"url": URL, **wrong})
    assert next(iter(wrong)) in refusal.value.diagnostics("en").what

"""What a delta query does that one does not expect, one test each; and writes that are read back."""

from dataclasses import replace
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.connector import Change
from saas_connectors.errors import BadPayload, Malformed, Rejected, SettingsError
from saas_connectors.identity.graph.operations import OPERATIONS
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.graph import ROOT, member
from tests.unit.connectors_graph.conftest import URL, facts, removed, rows, tenant

SEVEN = member(7)["id"]


def test_what_changed_comes_by_halves_and_is_read_whole() -> None:
    vendor, here = tenant()
    first = here.pull()
    manager = next(iter(vendor.users))
    assert {row["manager_id"] for row in rows(first)} == {manager, None}
    vendor.change("users", SEVEN, jobTitle="Cheffe")
    vendor.change("users", SEVEN, accountEnabled=False)
    (row,) = rows(here.again(first))
    assert (row["jobTitle"], row["accountEnabled"], row["surname"]) == ("Cheffe", False, "Martin 7")
    assert sum(SEVEN in request.url for request in here.asked) == 1


@pytest.mark.parametrize("reason", ["changed", "deleted"])
def test_a_user_removed_softly_or_for_good_leaves_the_copy_and_one_restored_comes_back(reason: str) -> None:
    vendor, here = tenant()
    first, held = here.pull(), vendor.users[SEVEN]
    vendor.remove("users", SEVEN, reason)
    second = here.again(first)
    assert (rows(second), removed(second)) == ([], [{"id": SEVEN}])
    vendor.change("users", SEVEN, **held)
    assert [row["id"] for row in rows(here.again(second))] == [SEVEN]


def test_pages_without_order_take_out_no_user_that_was_restored() -> None:
    vendor, here = tenant()
    first, held = here.pull(), vendor.users[SEVEN]
    vendor.remove("users", SEVEN)
    vendor.change("users", SEVEN, **held)
    for number in range(25):
        vendor.change("users", member(number + 10)["id"], jobTitle="Chef")
    gone = next(told for told in vendor.log if "@removed" in told[1])
    vendor.log.remove(gone)
    vendor.log.append(gone)
    second = here.again(first)
    assert SEVEN in {row["id"] for row in rows(second)}
    assert removed(second) == []


def test_a_token_that_expired_reads_all_again_and_so_does_the_next_read() -> None:
    vendor, here = tenant()
    first = here.pull()
    vendor.moods.add("expired")
    second = here.again(first)
    assert len(rows(second)) == 65
    assert facts(second, "filter_ignored")[0].detail["expired"] is True
    assert second.cursors == {"users": None}


def test_members_come_and_go_one_by_one_and_a_large_group_goes_on_by_its_members() -> None:
    vendor, here = tenant()
    first = here.pull("groups")
    assert (len(rows(first, "groups")), len(rows(first, "group_members"))) == (3, 40)
    one, two, three = vendor.groups
    vendor.leave(one, SEVEN)
    vendor.join(three, SEVEN)
    second = here.again(first, "groups")
    assert removed(second, "group_members") == [{"group_id": one, "member_id": SEVEN}]
    assert rows(second, "group_members") == [{"group_id": three, "member_id": SEVEN, "type": "user"}]
    vendor.remove("groups", two, "deleted")
    third = here.again(second, "groups")
    assert removed(third, "groups") == [{"id": two}]
    assert facts(third, "vanished")[0].holds is False
    assert third.cursors == {"groups": None, "group_members": None}, "who was in it is found by a full read"


def test_a_next_link_to_another_host_is_not_followed() -> None:
    _, here = tenant("foreign")
    with pytest.raises(Malformed):
        here.pull()
    assert all(request.url.startswith(URL) for request in here.asked)


def test_a_page_that_leads_nowhere_is_no_end() -> None:
    _, here = tenant()
    ask = here.send_on
    here.send_on = lambda request: replace(ask(request), body=ask(request).body.replace(b"@odata.nextLink", b"link"))
    with pytest.raises(Malformed):
        here.pull()


def test_a_success_that_did_nothing_is_found_out() -> None:
    vendor, here = tenant("lost")
    for operation in ("disable_user", "add_to_group"):
        payload: dict[str, Any] = {"id": SEVEN} | ({"group": list(vendor.groups)[2]} if "group" in operation else {})
        assert here.write(operation, payload) == "absent"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"userPrincipalName": "nobody@ville.example"}, "not_found"),
        ({"employeeId": "x' or 1 eq 1 or employeeId eq 'y"}, "not_found"),
        ({"employeeId": "double"}, "ambiguous"),
        ({"userPrincipalName": "../groups"}, "not_found"),
    ],
    ids=["nobody", "injection", "two", "path"],
)
def test_unless_exactly_one_user_bears_the_name_nothing_is_written(payload: dict[str, Any], reason: str) -> None:
    vendor, here = tenant()
    for number in (1, 2):
        vendor.change("users", member(number)["id"], employeeId="double")
    with pytest.raises(Rejected) as refusal:
        here.write("disable_user", payload)
    assert (refusal.value.reason, refusal.value.definitive) == (reason, True)
    assert {request.method for request in here.asked} == {"GET"}


def test_a_member_that_is_there_already_is_told_before_anything_is_sent() -> None:
    vendor, here = tenant()
    with pytest.raises(Rejected) as refusal:
        here.write("add_to_group", {"id": SEVEN, "group": next(iter(vendor.groups))})
    assert (refusal.value.reason, {request.method for request in here.asked}) == ("exists", {"GET"})
    assert here.write("remove_from_group", {"id": SEVEN, "group": next(iter(vendor.groups))}) == "confirmed"
    assert here.write("remove_from_group", {"id": SEVEN, "group": next(iter(vendor.groups))}) == "confirmed"


def test_an_error_of_graph_shows_nothing_of_what_it_says() -> None:
    vendor, here = tenant()
    vendor.troubles.plan(Trouble("lands_then_fails", 500, path=ROOT, method="PATCH"))
    with pytest.raises(Rejected) as refusal:
        here.write("disable_user", {"id": SEVEN})
    assert refusal.value.definitive is False
    assert "agent7" not in f"{refusal.value!r}{refusal.value.diagnostics('fr')}"


def test_departures_go_first_and_calls_that_only_ask_are_reads() -> None:
    writer = registry.writer("graph-users", "tenant", {"url": URL, "writes": list(OPERATIONS)})
    assert [made.name for made in writer.operations() if made.departure] == ["disable_user", "revoke_sessions"]
    assert writer.changes("disable_user", {"id": SEVEN}) == (
        Change("update", "users", (("id", SEVEN),), {"accountEnabled": False}),
    )
    assert writer.is_read("POST", f"{ROOT}/users/{SEVEN}/checkMemberGroups")
    assert not writer.is_read("POST", f"{ROOT}/$batch")
    assert not writer.is_read("POST", f"{ROOT}/users/{SEVEN}/revokeSignInSessions")
    with pytest.raises(BadPayload):
        writer.entity("disable_user", {"id": "../x"})


@pytest.mark.parametrize("wrong", [{"writes": ["drop"]}, {"streams": ["people"]}, {"count": 3}], ids=str)
def test_a_wrong_setting_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refusal:
        registry.make("graph-users", "tenant", {"url": URL, **wrong})
    assert next(iter(wrong)) in refusal.value.diagnostics("en").what

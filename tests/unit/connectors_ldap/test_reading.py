"""What an Active Directory does that one does not expect of a directory, one test each: all of it, then what changed."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from saas_connectors.errors import Rejected, ResumeLost, SettingsError, Unauthorized, VendorError
from saas_connectors.identity.ldap.calls import Limited, NoBase
from saas_connectors.request import Request, Response
from tests.servers.active_directory import GROUPS, LEFT, PEOPLE, TOP
from tests.unit.connectors_ldap.conftest import Directory, facts, removed, rows

Opened = Callable[..., Directory]
WAYS = pytest.mark.parametrize("replicates", [True, False], ids=["dirsync", "usn"])


def test_people_are_read_whole_under_names_of_ours_and_counted_again(opened: Opened) -> None:
    here = opened(45)
    key = here.vendor.person(
        100, cn="Lefèvre, Zoé + \"chef\"", userAccountControl="514", accountExpires="134102304000000000", title="Cheffe"
    )  # fmt: skip
    one = here.pull()
    assert len(rows(one)) == 46
    (row,) = (row for row in rows(one) if row["id"] == key)
    assert (row["login"], row["upn"], row["employee_number"]) == ("agent100", "agent100@ville.example", "M00100")
    assert (row["enabled"], row["expires_at"], row["unit"]) == (False, datetime(2025, 12, 15, tzinfo=UTC), PEOPLE)
    assert row["created_at"] == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert {(row["enabled"], row["expires_at"]) for row in rows(one) if row["id"] != key} == {(True, None)}
    assert [fact.detail["count"] for fact in facts(one, "vendor_count")] == [46]


@WAYS
def test_what_changed_is_read_by_its_key_and_who_is_gone_leaves_the_copy(opened: Opened, replicates: bool) -> None:
    here = opened(30, replicates=replicates)
    first = here.pull()
    keys = {row["login"]: row["id"] for row in rows(first)}
    here.vendor.change(keys["agent3"], userAccountControl="514")
    here.vendor.remove(keys["agent7"])
    new = here.vendor.person(200)
    second = here.again(first)
    assert {(row["login"], row["enabled"]) for row in rows(second)} >= {("agent3", False), ("agent200", True)}
    assert removed(second) == {keys["agent7"]}
    assert new in {row["id"] for row in rows(second)}
    assert not [fact for fact in second.evidence if fact.holds is False]
    third = here.again(second)
    assert removed(third) <= {keys["agent7"]}
    assert third.cursors["people"] is not None


@WAYS
def test_someone_who_moves_out_of_the_bases_leaves_the_copy_and_comes_back_with_the_same_key(
    opened: Opened, replicates: bool
) -> None:  # fmt: skip
    here = opened(10, replicates=replicates)
    first = here.pull()
    key = rows(first)[4]["id"]
    here.vendor.transfer(key, LEFT)
    second = here.again(first)
    assert removed(second) == {key}
    here.vendor.transfer(key, PEOPLE)
    third = here.again(second)
    assert key in {row["id"] for row in rows(third)}


def test_deleted_people_that_are_hidden_from_our_account_are_missed_by_count_and_the_next_read_is_full(opened: Opened) -> None:
    here = opened(30, replicates=False, sees_deleted=False)
    first = here.pull()
    gone = rows(first)[5]["id"]
    here.vendor.remove(gone)
    second = here.again(first)
    (fact,) = facts(second, "vanished")
    assert (fact.holds, fact.detail["count"], second.cursors) == (False, 1, {"people": None})
    assert gone not in {row["id"] for row in rows(here.pull())}


def test_a_group_that_shows_its_members_by_ranges_is_followed_to_the_end(opened: Opened) -> None:
    here = opened(0)
    keys = [here.vendor.person(number) for number in range(3100)]
    group = here.vendor.group("Tous", *keys)
    small = here.vendor.group("Trois", *keys[:3])
    empty = here.vendor.group("Personne")
    one = here.tuned(page=1000).pull("groups")
    assert {row["id"]: row["members"] for row in rows(one, "groups")} == {group: 3100, small: 3, empty: 0}
    members = rows(one, "group_members")
    assert len(members) == len({(row["group_id"], row["member"]) for row in members}) == 3103


def test_who_is_in_a_group_is_right_when_someone_moved_though_the_group_says_it_did_not_change(opened: Opened) -> None:
    here = opened(3)
    key = here.vendor.person(50)
    here.vendor.group("VPN", key)
    here.pull("groups")
    here.vendor.transfer(key, LEFT)
    (member,) = rows(here.pull("groups"), "group_members")
    assert member["member"] == f"CN=Agent 50,{LEFT}"


@WAYS
def test_who_no_longer_satisfies_the_filter_leaves_the_copy_and_who_comes_to_satisfy_it_joins(
    opened: Opened, replicates: bool
) -> None:  # fmt: skip
    here = opened(10, replicates=replicates).tuned(people="(&(objectClass=user)(department=Voirie*))")
    keys = sorted(
        entry.attributes["objectGUID"][0]
        for entry in here.vendor.entries.values()
        if b"user" in entry.attributes["objectClass"]
    )
    one, two, three = (str(uuid.UUID(bytes_le=key)) for key in keys[:3])
    for key in (one, two):
        here.vendor.change(key, department="Voirie nord")
    first = here.pull()
    assert {row["id"] for row in rows(first)} == {one, two}
    here.vendor.change(two, department="Écoles")
    here.vendor.change(three, department="Voirie")
    second = here.again(first)
    assert ({row["id"] for row in rows(second)} >= {three}, two in removed(second)) == (True, True)


def test_a_full_read_goes_on_from_the_token_that_is_known(opened: Opened) -> None:
    here = opened(40)
    first = here.pull()
    walked = sum(b'"dirsync"' in (request.body or b"") for request in here.asked)
    second = here.pull(cursors=first.cursors)
    assert len(rows(second)) == 40
    assert sum(b'"dirsync"' in (request.body or b"") for request in here.asked) == 1 < walked


@pytest.mark.parametrize("replicates", [True, False])
@pytest.mark.parametrize("what", ["another server", "restored"])
def test_a_cursor_of_another_server_or_of_the_future_reads_all_again_and_says_so(
    opened: Opened, what: str, replicates: bool
) -> None:  # fmt: skip
    here = opened(20, replicates=replicates)
    backup = here.vendor.kept()
    here.vendor.person(21)
    first = here.pull()
    if what == "restored":
        here.vendor.restore(backup)
    else:
        entry = here.vendor.find(f"CN=NTDS Settings,CN=DC1,CN=Configuration,{TOP}")
        entry.attributes["invocationId"] = [bytes(15) + b"\2"]
    second = here.again(first)
    check = "went_backwards" if what == "restored" else "filter_ignored"
    assert facts(second, check)
    assert (len(rows(second)), second.cursors) == (20 if what == "restored" else 21, {"people": None})


def test_a_name_that_two_servers_answer_to_gives_no_cursor(opened: Opened) -> None:
    here = opened(5)
    first = here.pull()
    seen: list[int] = []

    def other(request: Request, response: Response) -> Response:
        if b"highestCommittedUSN" in (request.body or b""):
            seen.append(1)
            if len(seen) == 3:
                entry = here.vendor.find(f"CN=NTDS Settings,CN=DC1,CN=Configuration,{TOP}")
                entry.attributes["invocationId"] = [bytes(16)]
        return response

    here.tampering = other
    second = here.again(first)
    assert facts(second, "order_unstable")[0].holds is False
    assert second.cursors == {"people": None}


def test_a_limit_of_the_server_is_a_fault_and_no_page_is_the_end(opened: Opened) -> None:
    here = opened(30)

    def limited(request: Request, response: Response) -> Response:
        return replace(response, status=413, body=b"") if b'"cookie"' in (request.body or b"") else response

    here.tampering = limited
    with pytest.raises(Limited):
        here.pull()


def test_a_walk_that_lost_its_session_starts_again(opened: Opened) -> None:
    here = opened(30)

    def lost(request: Request, response: Response) -> Response:
        return replace(response, status=410, body=b"") if b'"cookie"' in (request.body or b"") else response

    here.tampering = lost
    with pytest.raises(ResumeLost):
        here.pull()


def test_someone_missing_from_the_list_speaks_against_completeness(opened: Opened) -> None:
    here = opened(8)

    def short(request: Request, response: Response) -> Response:
        if b'"displayName"' not in (request.body or b"") or b'{"dn":"CN=Agent 3,' not in response.body:
            return response
        start = response.body.index(b'{"dn":"CN=Agent 3,')
        return replace(response, body=response.body[:start] + response.body[response.body.index(b'{"dn":"CN=Agent 4,') :])

    here.tampering = short
    one = here.pull()
    assert len(rows(one)) == 7
    assert [fact.detail["count"] for fact in facts(one, "vendor_count")] == [8]


def test_an_attribute_that_the_settings_ask_for_is_a_column_and_a_password_never_is(opened: Opened) -> None:
    here = opened(2).tuned(attributes=["extensionAttribute1", "objectSid"])
    here.vendor.change(rows(here.pull())[0]["id"], extensionAttribute1="bâtiment B")
    assert sorted(row["extensionattribute1"] or [] for row in rows(here.pull())) == [[], ["bâtiment B"]]
    for wrong in ("unicodePwd", "userPassword", "ms-Mcs-AdmPwd", "msDS-ManagedPassword", "a(b", "login"):
        with pytest.raises(SettingsError) as refusal:
            here.tuned(attributes=[wrong]).pull()
        assert refusal.value.fields["field"] == "connections.annuaire.attributes"


def test_dirsync_that_is_wanted_and_denied_is_a_fault(opened: Opened) -> None:
    with pytest.raises(VendorError) as refusal:
        opened(2, replicates=False).tuned(changes="dirsync").pull()
    assert refusal.value.code == "vendor.dirsync_denied"


def test_a_base_that_is_not_there_or_not_ours_to_see_is_no_empty_list(opened: Opened) -> None:
    here = opened(3)
    with pytest.raises(NoBase):
        here.tuned(bases=[f"OU=Ailleurs,{TOP}"]).pull()
    first = here.pull()
    here.vendor.change(rows(first)[0]["id"], title="x")

    def denied(request: Request, response: Response) -> Response:
        return replace(response, status=403, body=b"") if b'"base64"' in (request.body or b"") else response

    here.tampering = denied
    with pytest.raises((Unauthorized, Rejected)):
        here.again(first)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"url": "https://annuaire.example"}, "url"),
        ({"bases": [PEOPLE, TOP]}, "bases"),
        ({"bases": ["pas un nom"]}, "bases"),
        ({"people": "(objectClass=person"}, "people"),
        ({"groups": "(cn=*a*)"}, "groups"),
        ({"page": 5000}, "page"),
        ({"lock": {"attribute": "userPassword"}}, "lock"),
        ({"writes": ["update_user"]}, "update"),
        ({"writes": ["create_user"]}, "create"),
        ({"writes": ["revoke_sessions"]}, "reset"),
        ({"url": "ldap://annuaire.example", "writes": ["revoke_sessions"], "reset": "password"}, "reset"),
        ({"create": {"unit": PEOPLE, "attributes": {"memberOf": GROUPS}}}, "create"),
        ({"create": {"unit": PEOPLE, "attributes": {"1.2.840.113556.1.4.8": "512"}}}, "create"),
        ({"create": {"unit": PEOPLE, "attributes": {"member;x": GROUPS}}}, "create"),
        ({"attributes": ["2.5.4.35"]}, "attributes"),
        ({"attributes": ["userPassword;x"]}, "attributes"),
        ({"login": "unixUserPassword"}, "login"),
        ({"streams": ["users"]}, "streams.users"),
        ({"destinations": ["x"]}, "destinations"),
        ({"cle": 1}, "cle"),
    ],
    ids=range(20),
)
def test_a_setting_that_is_wrong_is_named(wrong: dict[str, object], where: str) -> None:
    from saas_connectors import registry

    with pytest.raises(SettingsError) as refusal:
        registry.make("ldap", "annuaire", {"url": "ldaps://annuaire.example", **wrong})
    assert refusal.value.fields["field"] == f"connections.annuaire.{where}"

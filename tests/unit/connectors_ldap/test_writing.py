"""A directory is written to: each act, what is refused, what someone else changes meanwhile, and names that are hard to say."""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.writing import run_writer
from saas_connectors.connector import Change
from saas_connectors.errors import BadPayload, Moved, Rejected
from saas_connectors.identity.ldap.operations import OPERATIONS
from saas_connectors.request import Request, Response
from tests.servers.active_directory import GROUPS, LEFT, OWN, PEOPLE, TOP
from tests.servers.ldap_tree import PASSWORD, Code
from tests.unit.connectors_ldap.conftest import WRITES, Directory, rows

Opened = Callable[..., Directory]


def control(here: Directory, key: str) -> bytes:
    return here.vendor.at(key).attributes["userAccountControl"][0]


def sent(here: Directory, method: str = "MODIFY") -> list[Any]:
    return [json.loads(request.body or b"") for request in here.asked if request.method == method]


def test_an_account_is_shut_and_opened_by_its_bit_alone(opened: Opened) -> None:
    here = opened(3)
    key = here.vendor.person(9, userAccountControl="66048", accountExpires="134102304000000000")
    assert here.write("disable_user", employee_number="M00009") == "confirmed"
    entry = here.vendor.at(key).attributes
    assert (entry["userAccountControl"], entry["accountExpires"]) == ([b"66050"], [b"134102304000000000"])
    assert here.write("disable_user", id=key) == "confirmed"
    assert not sent(here), "what is as asked already is not written"
    assert here.write("enable_user", login="AGENT9") == "confirmed"
    assert control(here, key) == b"66048"


def test_a_change_that_someone_makes_between_the_look_and_the_write_is_not_lost(opened: Opened) -> None:
    here = opened(3)
    key = rows(here.pull())[0]["id"]
    here.vendor.meddling.append((key, "userAccountControl", b"66048"))
    with pytest.raises(Moved) as refusal:
        here.apply("disable_user", id=key)
    assert not refusal.value.definitive
    assert control(here, key) == b"66048"
    assert here.write("disable_user", id=key) == "confirmed"
    assert control(here, key) == b"66050"


def test_someone_who_moved_between_the_look_and_the_write_is_looked_for_again(opened: Opened) -> None:
    here = opened(3)
    key = rows(here.pull())[0]["id"]

    def meanwhile(request: Request, response: Response) -> Response:
        if f'"base":"{LEFT}"'.encode() in (request.body or b""):
            here.vendor.transfer(key, LEFT)
        return response

    here.tampering = meanwhile
    with pytest.raises(Moved):
        here.apply("disable_user", id=key)
    here.tampering = None
    assert here.write("disable_user", id=key) == "confirmed"


def test_a_success_that_did_nothing_is_found_out(opened: Opened) -> None:
    here = opened(3)
    key = rows(here.pull())[0]["id"]
    group = here.vendor.group("VPN")
    send = here.way.send

    def lost(request: Request) -> Response:
        if request.method in ("MODIFY", "MOVE"):
            return Response(200, request.url, b"{}")
        return send(request)

    writer = here.writer()
    for operation, more in {
        "disable_user": {}, "expire_user": {"at": "2026-12-31T22:59:59Z"}, "move_user": {"to": LEFT},
        "add_to_group": {"group": group}, "update_user": {"changes": {"title": "Cheffe"}},
    }.items():  # fmt: skip
        payload = {"id": key, **more}
        applied = converse(writer.apply(operation, payload), lost)
        seen = converse(writer.read_back(operation, payload, applied), lost)
        assert seen.outcome in ("absent", "differs"), operation


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"login": "personne"}, "not_found"),
        ({"login": "*"}, "not_found"),
        ({"login": "agent1)(objectClass=*"}, "not_found"),
        ({"employee_number": "*)(|(uid=*"}, "not_found"),
        ({"login": "agent1\\2a"}, "not_found"),
        ({"employee_number": "double"}, "ambiguous"),
        ({"login": "lefevre"}, "ambiguous"),
        ({"login": "weiss"}, "ambiguous"),
        ({"upn": "nul@ville.example"}, "not_found"),
        ({"id": "00000000-0000-4000-8000-000000000000"}, "not_found"),
    ],
    ids=["nobody", "star", "parenthesis", "or", "escape", "two", "accent", "sharp s", "upn", "key"],
)
def test_unless_exactly_one_person_bears_the_name_nothing_is_written(
    opened: Opened, payload: dict[str, str], reason: str
) -> None:
    here = opened(3)
    here.vendor.person(10, employeeID="double")
    here.vendor.person(11, employeeID="double")
    here.vendor.person(12, sAMAccountName="lefèvre")
    here.vendor.person(13, sAMAccountName="weiß")
    with pytest.raises(Rejected) as refusal:
        here.apply("disable_user", **payload)
    assert (refusal.value.reason, refusal.value.definitive) == (reason, True)
    assert not sent(here)


@pytest.mark.parametrize(
    "name",
    ["Martin, Jeanne", "D'Arc + Cie", 'Zoé "la chef" Lefèvre', "a=b;c<d>", "#dièse", "Jean\\Paul"],
    ids=["comma", "plus", "quotes", "signs", "sharp", "backslash"],
)
def test_an_account_is_created_and_written_to_whatever_its_name_holds(opened: Opened, name: str) -> None:
    here = opened(2)
    group = here.vendor.group("Bibliothèque")
    made = here.write("create_user", login="nouveau", surname="Martin", display_name=name, employee_number="M7", title="Agent")
    assert made == "confirmed"
    (add,) = [request for request in here.asked if request.method == "ADD"]
    said = json.loads(add.body or b"")["attributes"]
    assert (said["cn"], said["userAccountControl"], said["employeeID"]) == ([name], ["514"], ["M7"])
    assert here.write("add_to_group", login="nouveau", group=group) == "confirmed"
    assert here.write("remove_from_group", login="nouveau", group_name="bibliothèque") == "confirmed"
    assert here.write("move_user", employee_number="M7", to=LEFT) == "confirmed"
    assert here.write("update_user", login="nouveau", changes={"title": None, "phone": "01 02"}) == "confirmed"


def test_a_creation_in_a_unit_that_is_not_there_is_refused_once_and_for_all(opened: Opened) -> None:
    here = opened(1)
    with pytest.raises(Rejected) as refusal:
        here.apply("create_user", login="nouveau", surname="Martin", unit=f"OU=2026,{PEOPLE}")
    assert (refusal.value.reason, refusal.value.definitive) == ("not_found", True)


def test_a_login_that_anything_bears_is_not_created_twice(opened: Opened) -> None:
    here = opened(2)
    here.vendor.group("imprimantes")
    for payload in (
        {"login": "AGENT1", "surname": "x"},
        {"login": "imprimantes", "surname": "x"},
        {"login": "libre", "surname": "x", "employee_number": "M00001"},
    ):
        with pytest.raises(Rejected) as refusal:
            here.apply("create_user", **payload)
        assert refusal.value.reason == "exists"
    assert not sent(here, "ADD")


def test_a_creation_of_unknown_outcome_is_told_by_what_bears_its_login(opened: Opened) -> None:
    here = opened(2)
    payload = {"login": "nouveau", "surname": "Martin", "title": "Agent"}
    assert here.probe("create_user", **payload).outcome == "did_not_happen"
    here.apply("create_user", **payload)
    landed = here.probe("create_user", **payload)
    assert landed.outcome == "landed"
    assert here.probe("create_user", **{**payload, "title": "Autre"}).outcome == "inconclusive"


def test_all_groups_are_left_but_those_that_are_kept_and_nobody_else_leaves_one(opened: Opened) -> None:
    here = opened(3).tuned(keep=["Tous les agents"])
    one, other = (row["id"] for row in rows(here.pull())[:2])
    kept = here.vendor.group("Tous les agents", one, other)
    groups = [here.vendor.group(f"Métier {number}", one, other) for number in range(12)]
    assert here.write("remove_from_groups", id=one) == "confirmed"
    members = {key: [value.decode() for value in here.vendor._members(here.vendor.at(key))] for key in (kept, *groups)}
    assert {key: len(held) for key, held in members.items()} == {kept: 2, **dict.fromkeys(groups, 1)}
    assert here.probe("remove_from_groups", id=one).outcome == "landed"
    assert here.write("remove_from_groups", id=one) == "confirmed"
    assert not sent(here)


def test_nobody_is_put_in_a_group_that_rules_the_domain(opened: Opened) -> None:
    here = opened(1)
    key = rows(here.pull())[0]["id"]
    rulers = here.vendor.group("Admins du domaine")
    here.vendor.change(rulers, adminCount="1")
    with pytest.raises(Rejected) as refusal:
        here.apply("add_to_group", id=key, group_name="admins du domaine")
    assert (refusal.value.reason, refusal.value.definitive, sent(here)) == ("protected", True, [])


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - {"create_user"}))
@pytest.mark.parametrize("who", ["own", "ruler", "critical", "built in", "machine"])
def test_nothing_is_written_to_our_own_account_nor_to_one_that_the_directory_protects(
    opened: Opened, who: str, operation: str
) -> None:
    here = opened(1)
    group = here.vendor.group("VPN")
    key = here.vendor.person(9, sAMAccountName="Administrator", userAccountControl="66048")
    here.vendor.groups[uuid.UUID(group).bytes_le] |= {uuid.UUID(key).bytes_le}
    known = {"own": OWN, "built in": OWN[:-4] + (500).to_bytes(4, "little")}
    here.vendor.at(key).attributes["objectSid"] = [known.get(who, OWN[:-4] + (5000).to_bytes(4, "little"))]
    told = {
        "own": {}, "ruler": {"adminCount": "1"}, "critical": {"isCriticalSystemObject": "TRUE"},
        "machine": {"userAccountControl": "4096"}, "built in": {},
    }  # fmt: skip
    here.vendor.change(key, **told[who])
    more: dict[str, dict[str, Any]] = {
        "expire_user": {"at": "2026-12-31T22:59:59Z"}, "move_user": {"to": LEFT}, "add_to_group": {"group": group},
        "update_user": {"changes": {"title": "x"}}, "remove_from_group": {"group": group},
    }  # fmt: skip
    with pytest.raises(Rejected) as refusal:
        here.apply(operation, login="administrator", **more.get(operation, {}))
    assert (refusal.value.reason, refusal.value.definitive) == ("protected", True)
    assert not [request for request in here.asked if not request.reads]


def test_a_directory_that_ignores_what_is_looked_for_changes_nobody(opened: Opened) -> None:
    here = opened(1)
    (other,) = (row["id"] for row in rows(here.pull()))
    here.vendor.group("VPN")

    def ignoring(tree: Any, entry: Any) -> bool:  # noqa: ANN401 - as the hook has them
        ((kind, held),) = tree.items()
        if kind == "and":
            return all(ignoring(each, entry) for each in held)
        return kind != "equals" or held[0] != "objectClass" or held[1] in entry.attributes["objectClass"]

    here.vendor.matches = ignoring  # type: ignore[method-assign]
    for payload in ({"id": str(uuid.UUID(int=1))}, {"login": "agent1"}, {"employee_number": "M1"}):
        with pytest.raises(Rejected):
            here.apply("disable_user", **payload)
        assert not sent(here)
    with pytest.raises(Rejected):
        here.apply("add_to_group", id=other, group=str(uuid.UUID(int=1)))
    assert not sent(here)


@pytest.mark.parametrize("name", ["Jeanne\nDEL:1", "Jeanne\x7f"], ids=["deleted", "control"])
def test_no_account_is_given_a_name_that_passes_for_a_deleted_one(opened: Opened, name: str) -> None:
    here = opened(1)
    for field in ("display_name", "given_name"):
        with pytest.raises(BadPayload):
            here.apply("create_user", login="jeanne", surname="Martin", **{field: name})
    with pytest.raises(BadPayload):
        here.apply("update_user", login="agent0", changes={"display_name": name})


def test_a_look_whose_pages_are_lost_starts_again(opened: Opened) -> None:
    here = opened(1).tuned(page=2)
    key = rows(here.pull())[0]["id"]
    for number in range(5):
        here.vendor.group(f"Métier {number}", key)
    lost = []

    def once(request: Request, response: Response) -> Response:
        if b'"cookie"' in (request.body or b"") and not lost:
            lost.append(request)
            return replace(response, status=410, body=b"")
        return response

    here.tampering = once
    assert here.write("remove_from_groups", id=key) == "confirmed"
    assert lost
    assert not any(here.vendor.groups.values())


def test_nobody_is_put_in_a_group_that_is_built_in(opened: Opened) -> None:
    here = opened(1)
    here.vendor.change(here.vendor.group("Éditeurs de certificats"), isCriticalSystemObject="TRUE")
    here.vendor.at(here.vendor.group("Admins")).attributes["objectSid"] = [OWN[:-4] + (512).to_bytes(4, "little")]
    for name in ("Éditeurs de certificats", "Admins"):
        with pytest.raises(Rejected) as refusal:
            here.apply("add_to_group", login="agent0", group_name=name)
        assert (refusal.value.reason, sent(here)) == ("protected", [])


def test_a_group_whose_name_differs_by_an_accent_is_another_one(opened: Opened) -> None:
    here = opened(1)
    group = here.vendor.group("Élus")
    with pytest.raises(Rejected) as refusal:
        here.apply("add_to_group", login="agent0", group_name="elus")
    assert (refusal.value.reason, refusal.value.definitive, sent(here)) == ("ambiguous", True, [])
    assert here.write("add_to_group", login="agent0", group_name="ÉLUS") == "confirmed"
    assert len(here.vendor.groups[uuid.UUID(group).bytes_le]) == 1


def test_an_account_is_given_an_end_and_the_end_is_taken_away(opened: Opened) -> None:
    here = opened(1)
    key = rows(here.pull())[0]["id"]
    assert here.write("expire_user", id=key, at="2026-12-31T23:59:59+01:00") == "confirmed"
    (row,) = rows(here.pull())
    assert row["expires_at"].isoformat() == "2026-12-31T22:59:59+00:00"
    assert here.write("expire_user", id=key, at=None) == "confirmed"
    assert here.vendor.at(key).attributes["accountExpires"] == [b"9223372036854775807"]


def test_an_account_is_moved_only_where_the_settings_say(opened: Opened) -> None:
    here = opened(1)
    key = rows(here.pull())[0]["id"]
    for wrong in (f"CN=Users,{TOP}", f"OU=Agents2,{TOP}", f"CN=x,OU=Partis,OU=Y,{TOP}", "x"):
        with pytest.raises(BadPayload) as refusal:
            here.apply("move_user", id=key, to=wrong + ("xx" if wrong == "x" else ""))
        assert refusal.value.fields["pointer"] == "/to"
    with pytest.raises(Rejected) as gone:
        here.apply("move_user", id=key, to=f"OU=2026,{LEFT}")
    assert gone.value.reason == "not_found"
    assert here.write("move_user", id=key, to=LEFT) == "confirmed"
    assert here.write("disable_user", id=key) == "confirmed", "it is found below a destination as well"


def test_a_password_that_nobody_knows_is_given_over_tls_and_never_twice_the_same(opened: Opened) -> None:
    here = opened(1)
    key = rows(here.pull())[0]["id"]
    given = []
    for _ in range(2):
        assert here.write("revoke_sessions", id=key) == "unsupported"
        (change,) = sent(here)[0]["changes"]
        given.append(base64.b64decode(change["values"][0]["base64"]).decode("utf-16-le"))
    assert len(set(given)) == 2
    assert all(len(password) > 60 and password[0] == password[-1] == '"' for password in given)


def test_it_keeps_the_laws_of_a_writer(opened: Opened) -> None:
    here = opened(9)
    group = here.vendor.group("VPN")
    here.vendor.group("Paie", *(row["id"] for row in rows(here.pull())))
    payloads: dict[str, dict[str, Any]] = {
        "disable_user": {"employee_number": "M00003"},
        "enable_user": {"upn": "agent3@ville.example"},
        "revoke_sessions": {"login": "agent3"},
        "expire_user": {"login": "agent3", "at": "2026-12-31T22:59:59Z"},
        "add_to_group": {"login": "agent3", "group": group},
        "remove_from_group": {"login": "agent3", "group_name": "VPN"},
        "remove_from_groups": {"login": "agent3"},
        "update_user": {"login": "agent3", "changes": {"phone": "01"}},
        "move_user": {"login": "agent3", "to": LEFT},
        "create_user": {"login": "nouveau", "surname": "Martin", "upn": "n@ville.example"},
    }
    assert payloads.keys() == set(OPERATIONS)
    writer = here.writer()
    for operation, payload in payloads.items():
        run_writer(writer, operation, payload, here.send, secrets=[PASSWORD])


def test_what_a_write_would_change_in_the_copy_is_said_beforehand(opened: Opened) -> None:
    writer = registry.writer("ldap", "annuaire", {"url": "ldaps://annuaire.example", "bases": [PEOPLE, GROUPS], **WRITES})
    who = (("login", "agent3"),)
    assert writer.changes("disable_user", {"login": "agent3"}) == (Change("update", "people", who, {"enabled": False}),)
    assert writer.changes("move_user", {"login": "agent3", "to": LEFT}) == (Change("update", "people", who, {"unit": LEFT}),)
    assert writer.classes("disable_user", {"id": "00000000-0000-4000-8000-000000000000"}) == {"internal"}
    assert writer.classes("move_user", {"login": "a", "to": LEFT}) == {"internal", "personal"}
    assert writer.entity("disable_user", {"login": "Agent3"}) == writer.entity("enable_user", {"login": "AGENT3"})


def test_no_address_and_no_header_says_whom_a_request_is_about(opened: Opened) -> None:
    here = opened(3)
    here.write("disable_user", login="agent2")
    here.pull("groups")
    assert {request.full_url for request in here.asked} == {f"{here.url}/"}
    assert all(len(request.headers) == 1 for request in here.asked)


def test_a_refusal_of_the_directory_is_definitive_and_shows_nothing_of_it(opened: Opened) -> None:
    here = opened(2)
    key = rows(here.pull())[0]["id"]

    def refuse(request: Request, response: Response) -> Response:
        return replace(response, status=403, body=b"") if request.method == "MODIFY" else response

    here.tampering = refuse
    with pytest.raises(Rejected) as refusal:
        here.apply("disable_user", id=key)
    assert (refusal.value.reason, refusal.value.definitive) == ("forbidden", True)


@pytest.mark.parametrize("operation", ["disable_user", "create_user"])
def test_a_controller_that_may_only_be_read_is_told_as_such(opened: Opened, operation: str) -> None:
    here = opened(2)

    def elsewhere(_session: Any, _asked: Any) -> Any:  # noqa: ANN401 - as the hooks have them
        raise Code(10)

    here.vendor.modify = here.vendor.add = elsewhere  # type: ignore[method-assign]
    with pytest.raises(Rejected) as refusal:
        here.apply(operation, **{"disable_user": {"login": "agent1"}, "create_user": {"login": "n", "surname": "N"}}[operation])
    assert (refusal.value.reason, refusal.value.definitive) == ("read_only", True)


def test_several_changes_stop_at_the_first_that_is_refused_and_no_one_takes_what_was_begun_for_a_refusal(
    opened: Opened,
) -> None:
    here = opened(2)
    one = here.vendor.at(rows(here.pull())[0]["id"])
    lost, after = "CN=Perdu,DC=ville,DC=example", here.vendor.at(rows(here.pull())[1]["id"])

    def change(dn: str) -> dict[str, Any]:
        return {"dn": dn, "changes": [{"do": "replace", "attribute": "title", "values": ["x"]}]}

    body = json.dumps({"several": [change(one.dn), change(lost), change(after.dn)]}).encode()
    answer = here.send(Request("MODIFY", f"{here.url}/", body=body))
    assert (answer.status, answer.headers["ldap-code"], answer.headers["ldap-done"]) == (502, "32", "1")
    alone = json.dumps({"several": [change(lost), change(after.dn)]}).encode()
    assert here.send(Request("MODIFY", f"{here.url}/", body=alone)).status == 404
    assert (one.attributes["title"], "title" in after.attributes) == ([b"x"], False)

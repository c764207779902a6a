"""Against a real server: scim2-server, which lists in no stable order unless asked, and leaves no trace of what it deleted."""

from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import suite
from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.writing import run_writer
from saas_connectors.errors import Rejected
from saas_connectors.identity.scim.operations import OPERATIONS
from saas_connectors.identity.scim.records import ENTERPRISE, GROUP, USER
from tests.servers import scim2
from tests.unit.connectors_scim.conftest import Service, facts, rows


def people(url: str, count: int = 45) -> list[str]:
    made = []
    for number in range(count):
        manager = {"manager": {"value": made[0]}} if made else {}
        made.append(
            scim2.call(
                url, "POST", "/Users",
                {
                    "schemas": [USER, ENTERPRISE], "userName": f"agent{number}@ville.example", "externalId": f"M{number:03}",
                    "active": True, "name": {"familyName": "Martin", "givenName": "Léa"},
                    "emails": [{"value": f"agent{number}@ville.example", "type": "work", "primary": True}],
                    ENTERPRISE: {"employeeNumber": f"{number:03}", **manager},
                },
            )["id"]
        )  # fmt: skip
    return made


def group(url: str, name: str, members: list[str]) -> str:
    named = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members]}
    return str(scim2.call(url, "POST", "/Groups", named)["id"])


def test_accounts_and_groups_are_read_whole_with_their_extension_and_lists(real: Service) -> None:
    made = people(real.url)
    group(real.url, "Voirie", made[:3])
    report = suite.run(real.connector, real.send, secrets=[scim2.TOKEN], started_at=real.at, resumes=3)
    assert report.rows == {"users": 45, "groups": 1, "group_members": 3}
    held = {row["id"]: row for row in rows(real.pull())}
    last = held[made[-1]]
    assert (last["userName"], last["active"], last["externalId"]) == ("agent44@ville.example", True, "M044")
    assert (last["enterprise"]["employeeNumber"], last["enterprise"]["manager"]["value"]) == ("044", made[0])
    assert last["emails"][0]["value"] == "agent44@ville.example"
    assert last["version"].startswith('W/"')


def test_what_changed_is_read_alone_and_what_was_deleted_is_found_by_the_survey(real: Service) -> None:
    made = people(real.url)
    first = real.pull()
    scim2.call(
        real.url, "PATCH", f"/Users/{made[7]}",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        },
    )  # fmt: skip
    real.settings = {"lookback": 1, "reconcile": 0}
    second = real.again(first)
    assert {row["id"]: row["active"] for row in rows(second)}[made[7]] is False
    assert facts(second, "vanished") == facts(second, "filter_ignored") == []
    scim2.call(real.url, "DELETE", f"/Users/{made[3]}")
    third = real.again(second)
    assert facts(third, "vanished")[0].detail == {"count": 1}
    assert third.cursors["users"] is None, "the next read is a full one"


PAYLOADS: dict[str, dict[str, Any]] = {
    "disable_user": {"externalId": "M007"},
    "enable_user": {"userName": "AGENT7@ville.example"},
    "update_user": {
        "externalId": "M007",
        "changes": {"title": "Cheffe", "name": {"givenName": "Zoé"}, "enterprise": {"department": "Voirie"}},
    },
    "create_user": {
        "userName": "neuve@ville.example", "externalId": "N1", "name": {"familyName": "Neuve"},
        "emails": [{"value": "neuve@ville.example", "type": "work"}], "enterprise": {"employeeNumber": "N1"},
    },
    "add_to_group": {"externalId": "M007", "groupName": "Voirie"},
    "remove_from_group": {"externalId": "M007", "groupName": "Voirie"},
    "delete_user": {"externalId": "M007"},
}  # fmt: skip


@pytest.mark.parametrize("update", ["auto", "replace"])
def test_each_operation_is_written_read_back_and_found_by_its_probe(real: Service, update: str) -> None:
    made = people(real.url, 10)
    group(real.url, "Voirie", made[:2])
    writer = registry.writer("scim", "saas", {"url": real.url, "writes": list(OPERATIONS), "update": update})
    assert PAYLOADS.keys() == set(OPERATIONS)
    for operation, payload in PAYLOADS.items():
        if operation == "delete_user":  # once it is gone its name tells nothing more: it is said by its identifier
            run_writer(writer, operation, {"id": made[7]}, real.send, secrets=[scim2.TOKEN])
        else:
            run_writer(writer, operation, payload, real.send, secrets=[scim2.TOKEN])


def test_a_version_that_is_not_the_last_is_a_conflict_and_a_name_that_is_taken_is_refused(real: Service) -> None:
    made = people(real.url, 2)
    version = scim2.call(real.url, "GET", f"/Users/{made[1]}")["meta"]["version"]
    assert real.write("update_user", {"id": made[1], "version": version, "changes": {"title": "A"}}) == (made[1], "confirmed")
    with pytest.raises(Rejected) as late:
        real.write("update_user", {"id": made[1], "version": version, "changes": {"title": "B"}})
    assert (late.value.reason, late.value.definitive) == ("precondition", True)
    with pytest.raises(Rejected) as taken:
        real.write("create_user", {"userName": "Agent1@VILLE.example"})
    assert (taken.value.reason, taken.value.definitive) == ("exists", True)


@pytest.mark.parametrize(
    "name", ['x" or userName pr or userName eq "y', "x\\", 'agent0@ville.example" or "1" eq "1', "é'\u2028"]
)
def test_a_name_that_would_be_a_filter_finds_no_one(real: Service, name: str) -> None:
    made = people(real.url, 2)
    with pytest.raises(Rejected) as refusal:
        real.write("disable_user", {"userName": name})
    assert refusal.value.reason in ("not_found", "filter_ignored", "invalidFilter", "status")
    assert all(scim2.call(real.url, "GET", f"/Users/{one}")["active"] for one in made)
    assert converse(real.connector.check(), real.send).vendor == "SCIM 2.0"

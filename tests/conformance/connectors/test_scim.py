"""SCIM keeps the laws of connectors and of writers, whatever the mood of the server."""

from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import suite
from saas_connectors.conformance.writing import run_writer
from saas_connectors.identity.scim.operations import OPERATIONS
from saas_connectors.sandbox.scim import NOW, ROOT, Scim, user

URL = f"http://scim.example{ROOT}"
MOODS = [
    (), ("unsorted",), ("filter_ignored",), ("no_filter",), ("no_patch",), ("no_config",), ("texts",), ("omits",), ("shy",),
]  # fmt: skip
ONE = user(7)["id"]
PAYLOADS: dict[str, dict[str, Any]] = {
    "disable_user": {"userName": "AGENT7@ville.example"},
    "enable_user": {"id": ONE},
    "create_user": {
        "userName": "nouvelle@ville.example", "externalId": "M9", "name": {"familyName": "N"},
        "emails": [{"value": "n@ville.example", "primary": True}], "enterprise": {"employeeNumber": "9"},
    },
    "update_user": {"externalId": "M00007", "changes": {"title": "Cheffe", "name": {"givenName": "Zoé"}}},
    "add_to_group": {"id": ONE, "groupName": "Service 2"},
    "remove_from_group": {"id": ONE, "group": "g-2"},
    "delete_user": {"id": ONE},
}  # fmt: skip


@pytest.mark.parametrize("moods", MOODS, ids="+".join)
def test_a_server_of_any_mood_is_read_by_the_laws_in_full_then_for_what_changed(moods: tuple[str, ...]) -> None:
    vendor = Scim(moods=moods)
    settings = {"url": URL, "count": 20, "members": "each" if "shy" in moods else "list"}
    connector = registry.make("scim", "saas", settings)
    report = suite.run(connector, vendor.respond, started_at=NOW, resumes=4)
    assert report.rows == {"users": 130, "groups": 3, "group_members": 70}
    if "no_filter" in moods:
        assert report.catalog.streams[0].modes == ("full_refresh",)
        return
    cursors = report.reads["users"].cursors
    vendor.put("users", user(3, active=False))
    again = suite.run(connector, vendor.respond, started_at=NOW, resumes=4, mode="incremental", cursors=cursors)
    rows = [row for page in again.reads["users"].pages for row in page.records.to_pylist()]
    assert {row["externalId"] for row in rows if row["active"] is False} == {"M00003"}
    assert (len(rows) == 130) == ("filter_ignored" in moods)


@pytest.mark.parametrize("moods", [(), ("no_patch",), ("no_config",), ("texts",), ("omits",), ("loose",)], ids="+".join)
def test_a_server_of_any_mood_is_written_to_by_the_laws(moods: tuple[str, ...]) -> None:
    vendor = Scim(moods=moods)
    writer = registry.writer("scim", "saas", {"url": URL, "writes": list(OPERATIONS)})
    assert PAYLOADS.keys() == set(OPERATIONS)
    for operation, payload in PAYLOADS.items():
        run_writer(writer, operation, payload, vendor.respond)
    assert ONE not in vendor.users

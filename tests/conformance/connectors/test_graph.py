"""Microsoft Graph keeps the laws of connectors and of writers."""

from collections.abc import Callable
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import suite
from saas_connectors.conformance.writing import run_writer
from saas_connectors.identity.graph.operations import OPERATIONS
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.graph import NOW, ROOT, Graph, member
from saas_connectors.sandbox.vendor import SECRET
from tests.unit.connectors_graph.conftest import URL, tokened

SEVEN = member(7)["id"]
GROUP = "00000000-0000-4000-9000-000000000002"
PAYLOADS: dict[str, dict[str, Any]] = {
    "disable_user": {"userPrincipalName": "AGENT7@ville.example"},
    "enable_user": {"employeeId": "M00007"},
    "revoke_sessions": {"id": SEVEN},
    "add_to_group": {"id": SEVEN, "group": GROUP},
    "remove_from_group": {"userPrincipalName": "agent7@ville.example", "group": GROUP},
}


def _send(vendor: Graph) -> Callable[[Request], Response]:
    return tokened(vendor)


@pytest.mark.parametrize("moods", [(), ("texts",)], ids="+".join)
def test_a_tenant_is_read_by_the_laws_in_full_then_for_what_changed(moods: tuple[str, ...]) -> None:
    vendor = Graph(moods=moods)
    connector = registry.make("graph-users", "tenant", {"url": URL})
    report = suite.run(connector, _send(vendor), secrets=[SECRET], started_at=NOW, resumes=4)
    assert report.rows == {"users": 65, "groups": 3, "group_members": 40}
    cursors = {name: cursor for one in report.reads.values() for name, cursor in one.cursors.items()}
    vendor.change("users", SEVEN, accountEnabled=False)
    vendor.leave(next(iter(vendor.groups)), SEVEN)
    again = suite.run(connector, _send(vendor), started_at=NOW, resumes=4, mode="incremental", cursors=cursors)
    (row,) = [row for page in again.reads["users"].pages for row in page.records.to_pylist()]
    assert (row["id"], row["accountEnabled"], row["mail"]) == (SEVEN, False, "agent7@ville.example")
    (page,) = [page for page in again.reads["groups"].pages if page.removed is not None]
    assert page.removed.to_pylist() == [{"group_id": next(iter(vendor.groups)), "member_id": SEVEN}]


def test_a_tenant_is_written_to_by_the_laws() -> None:
    vendor = Graph()
    writer = registry.writer("graph-users", "tenant", {"url": f"http://graph.example{ROOT}", "writes": list(OPERATIONS)})
    assert PAYLOADS.keys() == set(OPERATIONS)
    for operation, payload in PAYLOADS.items():
        run_writer(writer, operation, payload, _send(vendor), secrets=[SECRET])
    assert vendor.revoked == [SEVEN]

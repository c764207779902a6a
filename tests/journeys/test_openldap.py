"""A real OpenLDAP copied by the real sync, and written to by the real gateway: who leaves is shut out, and comes back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.servers import slapd
from tests.servers.served import Served, served

LOCK = {"attribute": "employeeType", "value": "parti", "open": "agent"}
WRITES = ["disable_user", "enable_user", "move_user", "update_user", "create_user"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[slapd.Slapd]:
    slapd.required()
    with slapd.running(tmp_path, agents=90) as running:
        yield running


def connect(here: Served, server: slapd.Slapd) -> None:
    with here.site() as site:
        settings: dict[str, Any] = {
            "connector": "ldap", "url": server.url, "page": 40, "lock": LOCK, "bases": [slapd.PEOPLE],
            "destinations": [slapd.LEFT], "update": ["title"], "create": {"unit": slapd.PEOPLE}, "writes": WRITES,
            "network": {"loopback": True, "ca_bundle": str(server.authority)}, "secret": "api",
            "limits": {"attempts": 1},
            "auth": {"kind": "basic", "user": slapd.USER},
        }  # fmt: skip
        site.add_connection("annuaire", settings)
        site.set_secret("annuaire", "api", slapd.PASSWORD.encode())


def counts(here: Served) -> dict[str, int]:
    """What a pull made of the copy of people; its verdict must be the best."""
    with here.site() as site:
        outcome = site.syncs.run("annuaire")
    assert outcome.state == "succeeded", outcome.fault
    (found,) = [each for each in outcome.streams if each.stream == "people"]
    assert found.verdict == "complete"
    return {name: count for name, count in found.counts.items() if name in ("inserted", "updated", "deleted") and count}


def test_a_town_is_copied_and_whoever_leaves_is_shut_out_by_the_gateway_and_read_back(
    tmp_path: Path, server: slapd.Slapd
) -> None:
    with served(tmp_path, {}) as here:
        connect(here, server)
        assert counts(here) == {"inserted": 90}
        with here.serving() as door:
            for operation, payload in {
                "disable_user": {"login": "agent00007"},
                "update_user": {"login": "agent00008", "changes": {"title": "Cheffe"}},
                "move_user": {"login": "agent00009", "to": slapd.LEFT},
                "create_user": {"login": "zoé", "surname": "Lefèvre, Zoé"},
            }.items():
                url = f"{door.address}/v1/connections/annuaire/operations/{operation}"
                told = requests.post(url, json=payload, headers=door.headers("app", operation, {}), timeout=60)
                assert told.status_code in (200, 201, 202), told.text
            states = here.settled()
        assert set(states.values()) == {"confirmed"}
        said = server.client("ldapsearch", "-LLL", "-b", slapd.BASE, "(employeeType=parti)", "uid", "employeeType")
        assert "uid: agent00007" in said
        assert counts(here) == {"inserted": 1, "updated": 2, "deleted": 1}
        assert here.check_log() > 0


def test_who_is_deleted_leaves_the_copy_and_a_server_that_stops_halfway_takes_nobody_out(
    tmp_path: Path, server: slapd.Slapd
) -> None:
    with served(tmp_path, {}) as here:
        connect(here, server)
        counts(here)
        server.client("ldapdelete", slapd.person(3))
        assert counts(here) == {"deleted": 1}
        server.kill()
        with here.site() as site:
            assert site.syncs.run("annuaire").state == "failed"
        server.start()
        assert counts(here) == {}

"""A directory copied by the real sync, and an account shut by the real gateway when human resources say that someone leaves."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.cli.main import main
from sovereign.sync.outcome import RunOutcome
from tests.servers.active_directory import GROUPS, LEFT, PEOPLE, ActiveDirectory
from tests.servers.ldap import Served as Directory
from tests.servers.ldap import serving
from tests.servers.ldap_tree import PASSWORD, USER
from tests.servers.served import Served, served

FLOW = """
title = "Départ d'un agent"
title_en = "Someone leaves"
owner = "agathe"
on = { change = "rh.agents" }
clearance = "personal"
key = ["matricule"]
select = '''
SELECT after.id AS matricule FROM changes('rh.agents')
 WHERE after.statut = 'parti' AND (_op = 'i' OR before.statut <> 'parti')
'''

[[do]]
connection = "annuaire"
operation = "disable_user"
payload = { employee_number = "{matricule}" }
undo = "enable_user"

[[do]]
name = "groupes"
connection = "annuaire"
operation = "remove_from_groups"
payload = { employee_number = "{matricule}" }

[[do]]
name = "unité"
connection = "annuaire"
operation = "move_user"
payload = { employee_number = "{matricule}", to = "OU=Partis,DC=ville,DC=example" }
"""
WRITES = ["disable_user", "enable_user", "remove_from_groups", "move_user"]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    with serving(ActiveDirectory(20), tmp_path) as running:
        yield running


def vendor(directory: Directory) -> ActiveDirectory:
    assert isinstance(directory.directory, ActiveDirectory)
    return directory.directory


def connect(here: Served, directory: Directory) -> None:
    with here.site() as site:
        network = {"loopback": True, "ca_bundle": str(directory.authority)}
        settings: dict[str, Any] = {
            "connector": "ldap", "url": directory.url, "bases": [PEOPLE, GROUPS], "mode": "incremental", "page": 10,
            "destinations": [LEFT], "writes": WRITES, "network": network, "secret": "api",
            "auth": {"kind": "basic", "user": USER},
        }  # fmt: skip
        site.add_connection("annuaire", settings)
        site.set_secret("annuaire", "api", PASSWORD.encode())


def pull(here: Served, name: str = "annuaire") -> RunOutcome:
    with here.site() as site:
        return site.syncs.run(name)


def counts(outcome: RunOutcome, stream: str) -> dict[str, int]:
    (found,) = [each for each in outcome.streams if each.stream == stream]
    return {name: count for name, count in found.counts.items() if name in ("inserted", "updated", "deleted") and count}


def test_a_directory_is_copied_whole_then_by_what_changed_and_who_is_gone(tmp_path: Path, directory: Directory) -> None:
    with served(tmp_path, {}) as here:
        connect(here, directory)
        keys = [vendor(directory).person(number) for number in range(100, 105)]
        vendor(directory).group("VPN", *keys)
        first = pull(here)
        assert first.state == "succeeded", first.fault
        verdicts = {each.stream: each.verdict for each in first.streams}
        assert (verdicts["people"], verdicts["groups"], verdicts["units"]) == ("complete", "complete", "complete")
        assert counts(first, "people") == {"inserted": 25}
        vendor(directory).remove(keys[0])
        vendor(directory).change(keys[1], title="Cheffe")
        vendor(directory).person(200)
        second = pull(here)
        assert second.state == "succeeded", second.fault
        assert counts(second, "people") == {"inserted": 1, "updated": 1, "deleted": 1}
        assert counts(second, "group_members") == {"deleted": 1}
        third = pull(here)
        assert {stream.stream: counts(third, stream.stream) for stream in third.streams} == {name: {} for name in verdicts}


def test_who_leaves_is_shut_out_loses_their_groups_and_is_put_aside_each_read_back(
    tmp_path: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = Table.of(({"id": f"M{n:05d}", "statut": "présent"} for n in range(20)), ["id"])
    known = vendor(directory)
    key, other = _key(known, "M00007"), _key(known, "M00008")
    known.group("VPN", key, other)
    known.group("Paie", key)
    with ExitStack() as stack:
        rh = stack.enter_context(Sandbox(Vendor({"agents": agents})))
        here = stack.enter_context(served(tmp_path, {}))
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        with here.site() as site:
            table = {"agents": {"path": "/page/agents", "primary_key": ["id"]}}
            local = {"loopback": True, "plaintext": True}
            site.add_connection("rh", {"connector": "rest", "url": rh.url, "network": local, "streams": table})
        connect(here, directory)
        here.clear("agathe", "rh")
        (here.root / "flows").mkdir(mode=0o700)
        (here.root / "flows" / "depart.toml").write_text(FLOW)
        assert (pull(here, "rh").state, pull(here).state) == ("succeeded", "succeeded")
        assert main(["flow", "enable", "depart", "--json"]) == 0
        agents.put({"id": "M00007", "statut": "parti"})
        pull(here, "rh")
        with here.serving():
            last = time.monotonic() + 60
            while len(here.states()) < 3 and time.monotonic() < last:
                time.sleep(0.1)
            states = here.settled()
        assert sorted(states.values()) == ["confirmed"] * 3
        left = known.at(key)
        assert (left.attributes["userAccountControl"], left.dn) == ([b"514"], f"CN=Agent 7,{LEFT}")
        assert [len(members) for members in known.groups.values()] == [1, 0]
        assert known.at(other).attributes["userAccountControl"] == [b"512"]
        assert counts(pull(here), "people") == {"deleted": 1}, "the copy follows: who left is no longer below the bases"
        assert here.check_log() > 0


def test_a_departure_that_crosses_another_change_loses_neither(tmp_path: Path, directory: Directory) -> None:
    known = vendor(directory)
    key = _key(known, "M00003")
    known.meddling.append((key, "userAccountControl", b"66048"))
    with served(tmp_path, {}) as here:
        connect(here, directory)
        with here.serving() as door:
            url = f"{door.address}/v1/connections/annuaire/operations/disable_user"
            told = requests.post(url, json={"login": "agent3"}, headers=door.headers("app", "once", {}), timeout=60)
            assert told.status_code in (200, 202), told.text
            states = here.settled()
        assert list(states.values()) == ["confirmed"]
    assert known.at(key).attributes["userAccountControl"] == [b"66050"]


def _key(known: ActiveDirectory, employee: str) -> str:
    (found,) = [
        entry.attributes["objectGUID"][0] for entry in known.entries.values()
        if entry.attributes.get("employeeID") == [employee.encode()]
    ]  # fmt: skip
    return str(uuid.UUID(bytes_le=found))

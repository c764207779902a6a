"""A service that is down for a day when someone leaves: the departure stays open and is told, and completes when it returns."""

import io
import json
import time
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.sandbox import Sandbox, Table, Vendor
from saas_connectors.sandbox.scim import ROOT, Scim, user
from sovereign.cli.main import main
from tests.journeys.porter import clock
from tests.journeys.test_flows import agent
from tests.servers.ports import free_port
from tests.servers.served import Served, served

SERVICES = ("annuaire", "messagerie")
FLOW = """
title = "Départ d'un agent"
owner = "agathe"
on = { change = "rh.agents" }
clearance = "personal"
key = ["matricule"]
select = '''
SELECT upper(after.id) AS matricule FROM changes('rh.agents')
 WHERE after.statut = 'parti' AND (_op = 'i' OR before.statut <> 'parti')
'''
""" + "".join(
    f"""
[[do]]
connection = "{name}"
operation = "disable_user"
payload = {{ externalId = "{{matricule}}" }}
"""
    for name in SERVICES
)
LOCAL = {"loopback": True, "plaintext": True}
HOUR = 3600


def account(number: int) -> dict[str, Any]:
    return user(number, externalId=f"M{number:03}")


def active(service: Scim, number: int) -> bool:
    (found,) = (row["active"] for row in service.users.values() if row["externalId"] == f"M{number:03}")
    return bool(found)


def shown(number: int) -> dict[str, dict[str, Any]]:
    """The page of a departure, by system."""
    said = io.StringIO()
    with redirect_stdout(said):
        assert main(["flow", "show", "depart", "--key", f"M{number:03}", "--json"]) == 0
    return {row["step"]: row for row in map(json.loads, said.getvalue().splitlines())}


def until_shown(number: int, step: str, *standings: str, seconds: float = 60) -> None:
    last = time.monotonic() + seconds
    while (standing := shown(number).get(step, {}).get("standing")) not in standings:
        assert time.monotonic() < last, standing
        time.sleep(0.1)


def test_a_departure_outlives_a_day_without_a_service_and_is_done_once_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, down = SERVICES
    ahead = tmp_path / "ahead"
    agents = Table.of(map(agent, range(10)), ["id"])
    services = {name: Scim(map(account, range(10))) for name in SERVICES}
    with ExitStack() as stack:
        rh = stack.enter_context(Sandbox(Vendor({"agents": agents})))
        doors = {name: stack.enter_context(Sandbox(service, port=free_port())) for name, service in services.items()}
        here = stack.enter_context(served(tmp_path, {}, clock=lambda: clock(ahead)))
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        with here.site() as site:
            streams = {"agents": {"path": "/page/agents", "primary_key": ["id"]}}
            site.add_connection("rh", {"connector": "rest", "url": rh.url, "network": LOCAL, "streams": streams})
            for name, door in doors.items():
                table = {"connector": "scim", "url": f"{door.url}{ROOT}", "writes": ["disable_user"], "network": LOCAL}
                site.add_connection(name, table)
        here.clear("agathe", "rh")
        (here.root / "flows").mkdir(mode=0o700)
        (here.root / "flows" / "depart.toml").write_text(FLOW)
        pull(here)
        assert main(["flow", "enable", "depart", "--json"]) == 0
        doors[down].close()
        agents.put(agent(7, "parti"))
        pull(here)
        with here.serving(("-m", "tests.journeys.porter", str(ahead))):
            until_shown(7, up, "confirmed")
            until_shown(7, down, "to_retry")
            for hour in range(1, 25):
                ahead.with_suffix(".fresh").write_text(str(hour * HOUR))
                ahead.with_suffix(".fresh").replace(ahead)
                time.sleep(0.2)
                assert shown(7)[down]["standing"] in ("to_retry", "queued", "in_flight")
            assert (active(services[up], 7), active(services[down], 7)) == (False, True)
            stack.enter_context(Sandbox(services[down], port=doors[down].port))
            ahead.write_text(str(25 * HOUR))
            until_shown(7, down, "confirmed")
        assert [active(services[name], 7) for name in SERVICES] == [False, False]
        assert sum(call.method == "PATCH" for call in services[down].calls) == 1
        assert all(active(services[name], number) for name in SERVICES for number in range(7))
        assert here.check_log() > 0


def pull(here: Served) -> None:
    with here.site() as site:
        assert site.syncs.run("rh").state == "succeeded"

"""Human resources say that someone leaves: a real SCIM service and a tenant of Graph disable the account, and are read back."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from saas_connectors.identity.scim.records import USER
from saas_connectors.sandbox import Sandbox, Table, Trouble, Vendor
from saas_connectors.sandbox.graph import ROOT, Graph, member
from saas_connectors.sandbox.scim import ROOT as SCIM
from saas_connectors.sandbox.scim import Scim
from saas_connectors.sandbox.vendor import SECRET
from saas_connectors.sandbox.vendor import USER as CLIENT
from sovereign.cli.main import main
from tests.servers import scim2
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
connection = "espaces"
operation = "disable_user"
payload = { externalId = "{matricule}" }
undo = "enable_user"

[[do]]
connection = "tenant"
operation = "disable_user"
payload = { employeeId = "{matricule}" }
undo = "enable_user"

[[do]]
name = "sessions"
connection = "tenant"
operation = "revoke_sessions"
payload = { employeeId = "{matricule}" }
"""
LOCAL = {"loopback": True, "plaintext": True}


def agent(number: int, statut: str = "présent") -> dict[str, Any]:
    return {"id": f"M{number:05d}", "statut": statut}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    if parts := scim2.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {parts}")
        pytest.skip(f"missing: {parts}")
    with scim2.running(tmp_path) as url:
        for number in range(10):
            named = {"schemas": [USER], "userName": f"agent{number}", "externalId": f"M{number:05d}", "active": True}
            scim2.call(url, "POST", "/Users", named)
        yield url


def _connections(here: Served, service: str, graph: str, rh: str) -> None:
    with here.site() as site:
        agents = {"agents": {"path": "/page/agents", "primary_key": ["id"]}}
        site.add_connection("rh", {"connector": "rest", "url": rh, "network": LOCAL, "streams": agents})
        writes = ["disable_user", "enable_user"]
        bearer = {"secret": "api", "auth": {"kind": "bearer"}, "network": LOCAL}
        site.add_connection("espaces", {"connector": "scim", "url": service, "writes": writes, **bearer})
        site.set_secret("espaces", "api", scim2.TOKEN.encode())
        oauth = {"kind": "oauth2", "client": CLIENT, "token_url": f"{graph}/oauth/token"}
        tenant = {"connector": "graph-users", "url": f"{graph}{ROOT}", "secret": "api", "auth": oauth, "network": LOCAL}
        site.add_connection("tenant", {**tenant, "writes": [*writes, "revoke_sessions"]})
        site.set_secret("tenant", "api", SECRET.encode())
    here.clear("agathe", "rh")
    (here.root / "flows").mkdir(mode=0o700)
    (here.root / "flows" / "depart.toml").write_text(FLOW)


def _pull(here: Served, *names: str) -> None:
    with here.site() as site:
        for name in names:
            assert site.syncs.run(name).state == "succeeded"


def test_someone_who_leaves_loses_the_account_of_each_service_and_each_is_read_back(
    tmp_path: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents, graph = Table.of(map(agent, range(10)), ["id"]), Graph()
    with ExitStack() as stack:
        rh = stack.enter_context(Sandbox(Vendor({"agents": agents})))
        tenant = stack.enter_context(Sandbox(graph))
        here = stack.enter_context(served(tmp_path, {}))
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        _connections(here, service, tenant.url, rh.url)
        _pull(here, "rh", "espaces", "tenant")
        assert main(["flow", "enable", "depart", "--json"]) == 0
        agents.put(agent(7, "parti"))
        _pull(here, "rh")
        with here.serving():
            last = time.monotonic() + 60
            while len(here.states()) < 3 and time.monotonic() < last:
                time.sleep(0.1)
            states = here.settled()
        assert sorted(states.values()) == ["confirmed", "confirmed", "delivered"]
        held = scim2.call(service, "GET", "/Users?count=100")["Resources"]
        assert {one["externalId"]: one["active"] for one in held} == {f"M{n:05d}": n != 7 for n in range(10)}
        assert [row["id"] for row in graph.users.values() if not row["accountEnabled"]] == [member(7)["id"]]
        assert graph.revoked == [member(7)["id"]]
        _pull(here, "espaces", "tenant")
        assert here.check_log() > 0


def test_a_departure_that_a_service_only_says_it_did_is_asked_again_until_it_is_read_back(tmp_path: Path) -> None:
    scim = Scim(secret=SECRET)
    scim.troubles.plan(Trouble("lost", path=SCIM, method="PATCH"))
    with Sandbox(scim) as sandbox, served(tmp_path, {}) as here:
        with here.site() as site:
            bearer = {"secret": "api", "auth": {"kind": "bearer"}, "network": LOCAL}
            table = {"connector": "scim", "url": f"{sandbox.url}{SCIM}", "writes": ["disable_user"], **bearer}
            site.add_connection("espaces", table)
            site.set_secret("espaces", "api", SECRET.encode())
        with here.serving() as door:
            url = f"{door.address}/v1/connections/espaces/operations/disable_user"
            requests.post(url, json={"externalId": "M00001"}, headers=door.headers("app", "once", {}), timeout=60)
            states = here.settled()
    assert list(states.values()) == ["confirmed"]
    assert [row["externalId"] for row in scim.users.values() if not row["active"]] == ["M00001"]
    assert sum(call.method == "PATCH" for call in scim.calls) == 2

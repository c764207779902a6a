"""A secret that dies on a Friday night, before a real SCIM server: departures wait, it is hardly shown, all is done later."""

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.cli.main import main
from sovereign.cli.vendor import STATES
from sovereign.credentials import findings, gauges, refused
from sovereign.gateway.breaker import Breaker, Position
from tests.journeys.porter import clock
from tests.journeys.test_flows import agent
from tests.servers import scim2
from tests.servers.served import Served, served
from tests.servers.sites import CONNECTION, town

HOUR = 3600
NAME = "annuaire"
LEAVERS = (3, 5, 7)
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

[[do]]
connection = "annuaire"
operation = "disable_user"
payload = { externalId = "{matricule}" }
"""
LOCAL = {"loopback": True, "plaintext": True}


@dataclass
class City:
    """A site with its human resources and its directory. ahead: where the clock of what serves is set."""

    here: Served
    agents: Table
    ahead: Path
    url: str
    log: Path

    def shown(self, number: int) -> dict[str, Any]:
        """The step of a departure, as its page tells it."""
        rows = run("flow", "show", "depart", "--key", f"M{number:03}")
        return next((row for row in rows if row.get("step") == NAME), {})

    def until(self, number: int, *standings: str) -> None:
        last = time.monotonic() + 60
        while (standing := self.shown(number).get("standing")) not in standings:
            assert time.monotonic() < last, standing
            time.sleep(0.2)

    def refusals(self) -> int:
        """How often the server was shown a credential that it refused."""
        return sum('" 401 ' in line for line in self.log.read_text().splitlines())

    def changes(self) -> int:
        """How many writes the server took."""
        return sum('"PATCH ' in line and '" 401 ' not in line for line in self.log.read_text().splitlines())

    def at(self, hours: float) -> None:
        """Set the clock of what serves."""
        self.ahead.with_suffix(".fresh").write_text(str(hours * HOUR))
        self.ahead.with_suffix(".fresh").replace(self.ahead)

    def leave(self, *numbers: int) -> None:
        """Have human resources tell departures."""
        self.agents.put(*(agent(number, "parti") for number in numbers))
        with self.here.site() as site:
            assert site.syncs.run("rh").state == "succeeded"


def run(*line: str, code: int = 0) -> list[dict[str, Any]]:
    said = io.StringIO()
    with redirect_stdout(said):
        assert main([*line, "--json"]) == code, said.getvalue()
    return [json.loads(each) for each in said.getvalue().splitlines()]


@contextmanager
def city(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    if parts := scim2.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {parts}")
        pytest.skip(f"missing: {parts}")
    ahead = folder / "ahead"
    agents = Table.of(map(agent, range(10)), ["id"])
    with ExitStack() as stack:
        url = stack.enter_context(scim2.running(folder))
        rh = stack.enter_context(Sandbox(Vendor({"agents": agents})))
        here = stack.enter_context(served(folder, {}, clock=lambda: clock(ahead)))
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        for number in range(10):
            names = {"userName": f"agent{number}", "externalId": f"M{number:03}", "active": True}
            scim2.call(url, "POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], **names})
        with here.site() as site:
            streams = {"agents": {"path": "/page/agents", "primary_key": ["id"]}}
            site.add_connection("rh", {"connector": "rest", "url": rh.url, "network": LOCAL, "streams": streams})
            table = {"connector": "scim", "url": url, "writes": ["disable_user"], "network": LOCAL, "secret": NAME}
            site.add_connection(NAME, {**table, "auth": {"kind": "bearer"}})
            site.set_secret(NAME, NAME, b"expired-on-friday-night")
        here.clear("agathe", "rh")
        (here.root / "flows").mkdir(mode=0o700)
        (here.root / "flows" / "depart.toml").write_text(FLOW)
        made = City(here, agents, ahead, url, folder / "scim2.log")
        made.leave()
        run("flow", "enable", "depart")
        yield made


def active(url: str) -> dict[str, bool]:
    found = scim2.call(url, "GET", "/Users?count=100")["Resources"]
    return {each["externalId"]: each["active"] for each in found}


def test_departures_of_a_week_end_with_a_dead_secret_are_done_once_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = ("-m", "tests.journeys.porter", str(tmp_path / "ahead"))
    with city(tmp_path, monkeypatch) as here:
        before = here.refusals()
        with here.here.serving(serve, ends=(-signal.SIGKILL,)) as door:
            here.leave(LEAVERS[0])
            here.until(LEAVERS[0], "queued", "to_retry")
            here.leave(*LEAVERS[1:])
            for number in LEAVERS:
                here.until(number, "queued", "to_retry")
            assert here.refusals() - before == 1
            door.process.kill()
        with here.here.serving(serve):
            time.sleep(2)  # what would show it again would do so at once
            assert here.refusals() - before == 1
            here.at(60)
            last = time.monotonic() + 60
            while here.refusals() - before < 2 and time.monotonic() < last:
                time.sleep(0.2)
            assert here.refusals() - before == 2
            assert here.shown(LEAVERS[0])["why"] == "credential.refused"
            assert [row["what"] for row in run("flow", "pending", "depart")] == [["secret"]] * len(LEAVERS)
            assert {row["why"] for row in run("delivery", "list") if row["type"] == "delivery"} == {"credential.refused"}
            assert [each["state"] for each in run("vendor", "list") if each["connection"] == NAME] == ["refused"]
            assert {"error"} == {each["state"] for each in doctored() if each.get("check") == "credential.refused"}
            assert set(active(here.url).values()) == {True}
            secret = tmp_path / "new"
            secret.write_text(scim2.TOKEN)
            run("secret", "set", NAME, "--file", str(secret))
            for number in LEAVERS:
                here.until(number, "confirmed")
        left = {name for name, found in active(here.url).items() if not found}
        assert left == {f"M{number:03}" for number in LEAVERS}
        assert (here.refusals() - before, here.changes()) == (2, len(LEAVERS))
        acts = [each["act"] for each in run("audit", "show", "--act", "credential.refused")]
        assert len(acts) == 1
        assert here.here.check_log() > 0


def doctored() -> list[dict[str, Any]]:
    said = io.StringIO()
    with redirect_stdout(said):
        main(["doctor", "--json"])
    return [json.loads(each) for each in said.getvalue().splitlines()]


def test_a_scheduled_pull_shows_a_refused_password_at_most_twice_until_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with city(tmp_path, monkeypatch) as here, here.here.site() as site:
        before = here.refusals()
        runs = [site.syncs.run(NAME, trigger="job") for _ in range(4)]
        assert [each.state for each in runs] == ["failed"] * 4
        assert runs[-1].fault is not None
        assert runs[-1].fault.code == "egress.credential_refused"
        shown = here.refusals() - before
        assert 1 <= shown <= 2
        assert [each.act for each in site.audit.entries() if each.act.startswith("credential.")] == ["credential.refused"]
        here.at(2)
        site.syncs.run(NAME, trigger="job")
        assert 1 <= here.refusals() - before - shown <= 2
        site.set_secret(NAME, NAME, scim2.TOKEN.encode())
        assert site.syncs.run(NAME, trigger="job").state == "succeeded"


def test_a_connection_that_is_gone_is_no_longer_told_as_refused(tmp_path: Path) -> None:
    with town(tmp_path, 5) as here:
        here.site.set_secret(CONNECTION, "agents", b"expired")
        assert here.sync().state == "failed"
        assert ([each.subject for each in findings(here.site)], refused(here.site)) == ([CONNECTION], {CONNECTION})
        assert f'connection="{CONNECTION}"' in gauges(here.site)
        here.site.remove_connection(CONNECTION)
        assert (list(findings(here.site)), refused(here.site)) == ([], set())
        assert CONNECTION not in gauges(here.site)


@pytest.mark.parametrize(("language", "said"), [("fr", "✗ secret refusé"), ("en", "✗ secret refused")])
def test_a_refused_secret_is_told_in_words_by_the_list_of_vendors(tmp_path: Path, language: str, said: str) -> None:
    with town(tmp_path, 5) as here:
        breaker = Breaker(here.site.state, here.site.audit)
        with here.site.state.begin() as transaction:
            breaker.refuse(transaction, CONNECTION, here.clock(), "mark", "status.401")
        here.close()
        told = io.StringIO()
        with redirect_stdout(told):
            assert main(["--site", str(here.root), "--lang", language, "vendor", "list"]) == 0
        assert said in told.getvalue()


def test_every_position_of_a_circuit_has_its_words() -> None:
    assert set(get_args(Position)) == set(STATES)

"""A change in one place makes writes happen in others: through the service, the gateway, policy, and nothing else."""

import io
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.cli.main import main
from sovereign.clock import now
from sovereign.flowing import bus
from tests.servers.ledger import Ledger, serving
from tests.servers.served import Served, served

SYSTEMS = ("annuaire", "messagerie", "marches")
FLOW = """
title = "Départ d'un agent"
title_en = "Someone leaves"
owner = "agathe"
on = { change = "rh.agents" }
clearance = "personal"
key = ["matricule"]
select = '''
SELECT after.id AS matricule, after.compte AS compte, after.quitte_le AS quitte_le
  FROM changes('rh.agents')
 WHERE after.statut = 'parti' AND (_op = 'i' OR before.statut <> 'parti')
'''
when = "quitte_le"
most = 5
"""
CANCEL = """
cancel = '''
SELECT after.id AS matricule, after.compte AS compte FROM changes('rh.agents')
 WHERE _op = 'u' AND before.statut = 'parti' AND after.statut <> 'parti'
'''
"""
WORD = """
select = "SELECT matricule, compte, quitte_le FROM event WHERE parti"
cancel = "SELECT matricule, compte FROM event WHERE NOT parti"
when = "quitte_le"
again = 10
"""
UNDO = """undo = "note"
undo_payload = { ref = "retour-{compte}", lane = "{matricule}" }
"""
STEP = """
[[do]]
connection = "{name}"
operation = "{operation}"
payload = {{ ref = "{{compte}}", lane = "{{matricule}}" }}
"""


def agent(number: int, statut: str = "présent", quitte_le: str | None = None) -> dict[str, Any]:
    return {"id": f"m{number:03}", "compte": f"compte-{number:03}", "statut": statut, "quitte_le": quitte_le}


def in_days(days: int) -> Callable[[], datetime]:
    return lambda: now() + timedelta(days=days)


@dataclass
class Town:
    """A site whose directory, mail and markets follow its human resources."""

    site: Served
    agents: Table
    ledgers: dict[str, Ledger]

    def pull(self) -> None:
        with self.site.site() as site:
            assert site.syncs.run("rh").state == "succeeded"

    def run(self, *line: str, code: int = 0) -> list[dict[str, Any]]:
        said = io.StringIO()
        before = dict(os.environ)
        os.environ.update(self.site.environment)
        try:
            with redirect_stdout(said):
                assert main([*line, "--json"]) == code, said.getvalue()
        finally:
            os.environ.clear()
            os.environ.update(before)
        return [json.loads(each) for each in said.getvalue().splitlines()]

    def refs(self, system: str) -> list[str]:
        ledger = self.ledgers[system]
        with ledger.lock:
            return sorted(line["ref"] for line in ledger.lines)

    def until(self, wanted: list[str], seconds: float = 90) -> None:
        last = time.monotonic() + seconds
        while any(self.refs(name) != wanted for name in SYSTEMS) and time.monotonic() < last:
            time.sleep(0.05)
        assert {name: self.refs(name) for name in SYSTEMS} == dict.fromkeys(SYSTEMS, wanted)


@contextmanager
def town(folder: Path, flow: str = FLOW, people: int = 20, operation: str = "leave", undo: str = "") -> Iterator[Town]:
    agents = Table.of([agent(number) for number in range(people)], ["id"])
    ledgers = {name: Ledger() for name in SYSTEMS}
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(Vendor({"agents": agents})))
        urls = {name: stack.enter_context(serving(ledger)) for name, ledger in ledgers.items()}
        here = stack.enter_context(served(folder, urls))
        with here.site() as site:
            site.add_connection(
                "rh",
                {
                    "connector": "rest", "url": sandbox.url, "network": {"loopback": True, "plaintext": True},
                    "streams": {"agents": {"path": "/page/agents", "primary_key": ["id"]}},
                },
            )  # fmt: skip
        (here.root / "flows").mkdir(mode=0o700)
        text = flow + "".join(STEP.format(name=name, operation=operation) + undo for name in SYSTEMS)
        (here.root / "flows" / "depart.toml").write_text(text)
        here.clear("agathe", "rh")
        made = Town(here, agents, ledgers)
        made.pull()
        yield made


def test_a_departure_that_human_resources_tell_closes_every_account_once(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(agent(3, "parti"), agent(7, "parti"))
        here.pull()
        with here.site.serving():
            here.until(["compte-003", "compte-007"])
            here.site.settled()
        with here.site.serving():
            time.sleep(1.5)
        here.until(["compte-003", "compte-007"])
        (occasion, *_) = here.run("flow", "show", "depart")
        asked = ("flow", "show", "depart", "--occasion", occasion["occasion"])
        assert not {row["key"] for row in here.run(*asked)} & {"m003", "m007"}
        assert {row["key"] for row in here.run(*asked, "--names")} == {"m003", "m007"}
        assert here.run("audit", "show", "--limit", "1")[0]["act"] == "report.made"
        for verb in (("show", "nothing"), ("pending", "nothing"), ("show", "depart", "--occasion", "change:rh.agents:8-9")):
            here.run("flow", *verb, code=2)
        rows = here.run("flow", "show", "depart", "--key", "m003")
        assert {(row["step"], row["write"], row["standing"]) for row in rows} == {
            (name, f"{name}.leave", "delivered") for name in SYSTEMS
        }
        assert all(0 <= row["seconds"] < 90 for row in rows)
        assert here.site.check_log() > 0


def test_a_departure_dated_in_the_future_waits_and_others_do_not(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(agent(1, "parti", "2099-12-31"), agent(2, "parti", "2020-01-01"))
        here.pull()
        with here.site.serving():
            here.until(["compte-002"])
        (row, *_) = here.run("flow", "show", "depart", "--key", "m001")
        assert (row["standing"], row["due_at"][:10]) == ("waiting", "2099-12-30")


def test_more_departures_than_the_flow_allows_wait_for_a_person(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(*(agent(number, "parti") for number in range(6)))
        here.pull()
        here.run("flow", "run")
        (occasion,) = here.run("flow", "show", "depart")
        assert (occasion["standing"], occasion["why"], occasion["found"]) == ("held", "too_many", 6)
        here.until([])
        here.run("flow", "release", "depart", occasion["occasion"], "--reason", "réorganisation annoncée")
        here.run("flow", "run")
        here.until([f"compte-{number:03}" for number in range(6)])
        here.run("flow", "release", "depart", occasion["occasion"], "--reason", "encore", code=2)


def test_a_flow_whose_file_changed_writes_nothing_until_it_is_enabled_again(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        file = here.site.root / "flows" / "depart.toml"
        file.write_text(file.read_text().replace("most = 5", "most = 6"))
        here.agents.put(agent(3, "parti"))
        here.pull()
        here.run("flow", "run")
        here.until([])
        assert [row["standing"] for row in here.run("flow", "list")] == ["changed"]
        here.run("flow", "enable", "depart")
        here.run("flow", "run")
        here.until(["compte-003"])


def test_a_dry_run_tells_rows_and_what_policy_would_say_and_writes_nothing(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.agents.put(agent(3, "parti"))
        here.pull()
        told, *rows = here.run("flow", "dry-run", "depart", "--decide")
        assert (told["found"], told["writes"], told["stopped"]) == (1, 3, 0)
        assert told["effects"] == {"access.unknown_client": 3}, "nobody enabled it yet: it is no application"
        assert {row["key"] for row in rows} == {"m003"}
        assert json.loads(rows[0]["payload"]) == {"ref": "compte-003", "lane": "m003"}
        here.run("flow", "enable", "depart")
        told, *_ = here.run("flow", "dry-run", "depart", "--decide")
        assert told["effects"] == {"allow": 3}
        here.until([])


@pytest.mark.timeout(600)
def test_a_service_killed_at_random_instants_gives_each_departure_its_writes_once(tmp_path: Path) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or "departures"
    chance = random.Random(seed)  # noqa: S311 - a drill, not a secret
    flow = FLOW.replace("most = 5", "most = 100")
    with town(tmp_path, flow, people=60, operation="set") as here:
        here.run("flow", "enable", "depart")
        here.agents.put(*(agent(number, "parti") for number in range(40)))
        here.pull()
        for _ in range(6):
            with here.site.serving(ends=(-signal.SIGKILL,)) as door:
                time.sleep(chance.uniform(0.0, 0.8))
                door.process.kill()
                door.process.wait(60)
        wanted = [f"compte-{number:03}" for number in range(40)]
        with here.site.serving():
            last = time.monotonic() + 300
            while any(sorted(set(here.refs(name))) != wanted for name in SYSTEMS) and time.monotonic() < last:
                time.sleep(0.1)
        assert {name: sorted(set(here.refs(name))) for name in SYSTEMS} == dict.fromkeys(SYSTEMS, wanted), f"seed {seed}"
        assert len(here.site.states()) == 40 * len(SYSTEMS), f"seed {seed}: a row asked for its write twice"


def test_a_flow_that_waits_for_what_is_not_there_is_told_before_anybody_relies_on_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with town(tmp_path) as here:
        file = here.site.root / "flows" / "depart.toml"
        text = file.read_text()
        file.write_text(text.replace("rh.agents", "hr.agents"))
        here.run("flow", "check", "depart", code=2)
        assert '"field":"on.change"' in capsys.readouterr().err
        file.write_text(text.replace("rh.agents", "rh.agent"))
        assert [told["copied"] for told in here.run("flow", "check", "depart")] == [False]
        file.write_text(text)
        assert [told["copied"] for told in here.run("flow", "check", "depart")] == [True]
        (here.site.root / "flows" / "Depart.toml").write_text(text)
        here.run("flow", "check", "Depart", code=2)
        assert '"field":"name"' in capsys.readouterr().err


def test_a_flow_whose_question_lacks_a_column_that_it_names_does_nothing_at_all(tmp_path: Path) -> None:
    wrong = {"when": ('when = "quitte_le"', 'when = "quite_le"'), "key": ('key = ["matricule"]', 'key = ["numero"]')}
    with town(tmp_path) as here:
        file = here.site.root / "flows" / "depart.toml"
        right = file.read_text()
        texts = {field: right.replace(*each) for field, each in wrong.items()}
        texts["do[0].needs"] = right.replace('operation = "leave"', 'operation = "leave"\nneeds = "courriel"', 1)
        for number, text in enumerate(texts.values()):
            (here.site.root / "flows" / f"depart-{number}.toml").write_text(text)
            here.run("flow", "enable", f"depart-{number}")
        here.agents.put(agent(3, "parti", "2099-12-31"))
        here.pull()
        here.run("flow", "run")
        for number in range(len(texts)):
            assert [(row["standing"], row["why"]) for row in here.run("flow", "show", f"depart-{number}")] == [
                ("failed", "flow.bad")
            ]
            here.run("flow", "dry-run", f"depart-{number}", code=2)
        here.until([])


@pytest.mark.timeout(600)
def test_rows_of_a_flow_whose_file_changed_keep_no_other_flow_waiting(tmp_path: Path) -> None:
    with town(tmp_path, FLOW.replace("most = 5", "most = 1000"), people=220) as here:
        other = (here.site.root / "flows" / "depart.toml").read_text()
        (here.site.root / "flows" / "autre.toml").write_text(other)
        here.run("flow", "enable", "depart")
        here.run("flow", "enable", "autre")
        here.agents.put(*(agent(number, "parti", "2020-01-01") for number in range(200)))
        here.pull()
        with here.site.site() as site:
            bus(site).look()
        (here.site.root / "flows" / "autre.toml").write_text(other + "# changed\n")
        here.run("flow", "run", "--wait", "500")
        here.until([f"compte-{number:03}" for number in range(200)])


def test_a_flow_reads_no_more_than_whoever_answers_for_it_may(tmp_path: Path) -> None:
    with town(tmp_path, FLOW.replace('owner = "agathe"', 'owner = "benoît"')) as here:
        here.run("flow", "enable", "depart", code=5)
        file = here.site.root / "flows" / "depart.toml"
        text = file.read_text()
        for other in ('"changes of"."rh.agents"', "'changes of'.'rh.agents'", '"Changes Of"."RH.agents"'):
            file.write_text(text.replace("changes('rh.agents')", other))
            here.run("flow", "enable", "depart", code=2)
        file.write_text(text)
        here.site.clear("benoît", "rh")
        here.run("flow", "enable", "depart")
        with here.site.site() as site:
            (grant,) = [each for each in site.outbound.rights.list() if each.subject == "benoît"]
            site.outbound.rights.revoke(grant.id, by="root")
        here.agents.put(agent(3, "parti"))
        here.pull()
        here.run("flow", "run")
        here.until([])
        assert [(row["standing"], row["why"]) for row in here.run("flow", "show", "depart")] == [("failed", "flow.not_cleared")]

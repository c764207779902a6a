"""Human resources drop a file every night, and a flow shuts who is gone: whatever that file is, nobody is by mistake.

The flow is the dangerous one: it takes a row that is no longer there for a departure.
"""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.scim import ROOT, Scim, user
from sovereign.cli.main import main
from tests.servers.served import Served, served

PEOPLE = 60
ODD = 'Zoë "O\'Neil")(*'
FLOW = """
title = "Départ d'un agent"
owner = "agathe"
on = { change = "rh.agents" }
clearance = "personal"
key = ["compte"]
most = 5
select = '''
SELECT coalesce(after.compte, before.compte) AS compte FROM changes('rh.agents')
 WHERE _op = 'd' OR (after.statut = 'parti' AND before.statut <> 'parti')
'''

[[do]]
connection = "messagerie"
operation = "disable_user"
payload = { externalId = "{compte}" }
"""
LOCAL = {"loopback": True, "plaintext": True}


def account(number: int) -> str:
    return ODD if number == 7 else f"Éléonore.{number}"


def line(number: int, statut: str = "présent") -> str:
    quoted = account(number).replace('"', '""')
    return f'{number:06d};"{quoted}";{statut};{number % 28 + 1:02d}/12/2026\r\n'


def written(*lines: str) -> bytes:
    return ("matricule;compte;statut;revu_le\r\n" + "".join(lines)).encode("cp1252")


@dataclass
class Town:
    here: Served
    depot: Path
    service: Scim

    def put(self, body: bytes) -> str:
        """Drop a file, pull it, let the flow act; gives how the pull ended."""
        (self.depot / "agents.csv").write_bytes(body)
        with self.here.site() as site:
            state = site.syncs.run("rh").state
        self.run("flow", "run")
        return str(state)

    def run(self, *line: str) -> list[dict[str, Any]]:
        said = io.StringIO()
        with redirect_stdout(said):
            assert main([*line, "--json"]) in (0, 3), said.getvalue()
        return [json.loads(each) for each in said.getvalue().splitlines()]

    def shut(self) -> set[str]:
        return {row["externalId"] for row in self.service.users.values() if not row["active"]}


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    service = Scim([user(number, externalId=account(number), userName=f"u{number}") for number in range(PEOPLE)])
    (tmp_path / "depot").mkdir()
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(service))
        here = stack.enter_context(served(tmp_path, {}))
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        with here.site() as site:
            streams = {"agents": {"files": "agents.csv", "primary_key": ["matricule"], "dates": "dd/mm/yyyy"}}
            site.add_connection("rh", {"connector": "files", "url": f"folder:{tmp_path / 'depot'}", "streams": streams})
            table = {"connector": "scim", "url": f"{sandbox.url}{ROOT}", "writes": ["disable_user"], "network": LOCAL}
            site.add_connection("messagerie", table)
        here.clear("agathe", "rh")
        (here.root / "flows").mkdir(mode=0o700)
        (here.root / "flows" / "depart.toml").write_text(FLOW)
        made = Town(here, tmp_path / "depot", service)
        everyone = [line(number) for number in range(PEOPLE)]
        (made.depot / "agents.csv").write_bytes(written(*everyone))
        with here.site() as site:
            assert site.syncs.run("rh").state == "succeeded"
        assert main(["flow", "enable", "depart", "--json"]) == 0
        yield made


def test_a_file_that_is_not_what_it_should_be_shuts_nobody_and_is_told_and_the_next_good_one_is_acted_on(town: Town) -> None:
    everyone = [line(number) for number in range(PEOPLE)]
    good = written(*everyone)
    bad = {
        "empty": b"",
        "titles alone": written(),
        "cut within a row": good[: len(good) // 2 + 5],
        "cut between two rows": written(*everyone[: PEOPLE // 3]),
        "without its key": good.replace(b"matricule", b"autre"),
    }
    for name, body in bad.items():
        assert town.put(body) in ("partial", "quarantined", "failed"), name
        assert (town.shut(), town.here.states()) == (set(), {}), name
    same = {
        "put twice": written(*everyone, *everyone),
        "in another order": written(*reversed(everyone)),
        "in another encoding": good.decode("cp1252").encode("utf-16"),
    }
    for name, body in same.items():
        town.put(body)
        assert (town.shut(), town.here.states()) == (set(), {}), name
    town.put(written(*(line(number, "parti") for number in range(PEOPLE))))
    assert (town.shut(), town.here.states()) == (set(), {}), "everyone left"
    (held,) = [each["occasion"] for each in town.run("flow", "show", "depart") if each.get("standing") == "held"]
    assert "quarantined" in json.dumps(town.run("audit", "show", "--limit", "500"))
    town.run("flow", "drop", "depart", held, "--reason", "a test of human resources")
    assert town.put(good) == "partial", "it was taken before: a file of yesterday"
    assert town.put(written(*everyone, line(PEOPLE))) == "succeeded"
    assert (town.shut(), town.here.states()) == (set(), {}), "those who come back did not leave"
    town.put(written(*(line(number, "parti" if number == 7 else "présent") for number in range(PEOPLE + 1) if number != 9)))
    assert town.shut() == {ODD, account(9)}
    assert sorted(town.here.states().values()) == ["confirmed", "confirmed"]

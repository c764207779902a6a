"""The bus in `make demo`: someone leaves, each account is disabled and read back, and the record has its page.

Human resources and the two services are sandboxes on loopback; the people are invented. What acts is `sovereign serve`.
"""

import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from saas_connectors.sandbox import Sandbox, Table, Vendor
from saas_connectors.sandbox.scim import ROOT, Scim, user
from sovereign.cli.demo_writes import Tell, Type, serving
from sovereign.cli.main import main

PEOPLE: Final = 40
LEAVER: Final = "M00007"
LATER: Final = "M00012"
FLOW: Final = """\
title = "Départ d'un agent"
title_en = "Someone leaves"
owner = "drh"
on = { change = "rh.agents" }
clearance = "personal"
key = ["matricule"]
when = "quitte_le"
most = 5
select = '''
SELECT after.matricule, after.quitte_le FROM changes('rh.agents')
 WHERE after.statut = 'parti' AND (_op = 'i' OR before.statut <> 'parti')
'''
cancel = '''
SELECT after.matricule FROM changes('rh.agents')
 WHERE _op = 'u' AND before.statut = 'parti' AND after.statut <> 'parti'
'''

[[do]]
connection = "annuaire"
operation = "disable_user"
payload = { externalId = "{matricule}" }
undo = "enable_user"

[[do]]
connection = "messagerie"
operation = "disable_user"
payload = { externalId = "{matricule}" }
undo = "enable_user"
"""
_PATIENCE: Final = 30.0
_LOCAL: Final = ("--set", "network.loopback=true", "--set", "network.plaintext=true")


def leaves(site: Path, type_: Type, tell: Tell, print_: Callable[[str], None]) -> bool:
    """Tell the story of two departures, one of them taken back; gives whether each account ended as it should."""
    agents = Table.of(map(_agent, range(PEOPLE)), ["matricule"])
    directory, mail = Scim(map(user, range(PEOPLE))), Scim(map(user, range(PEOPLE)))
    with Sandbox(Vendor({"agents": agents})) as rh, Sandbox(directory) as first, Sandbox(mail) as second:
        tell(
            "Un logiciel de RH, un annuaire et une messagerie parlant SCIM. Un flux est un fichier qu'une DSI lit : ce qu'il "
            "attend, une question en SQL, ce qu'il demande. Il n'a pas d'autre porte que la passerelle.",
            "An HR application, a directory and a mail service that speak SCIM. A flow is a file that a DSI can read: what it "
            "waits for, a question in SQL, what it asks for. It has no other door than the gateway.",
        )
        type_(
            "connection", "add", "rh", "--connector", "rest", "--url", rh.url, "--set", "streams.agents.path=/page/agents",
            "--set", 'streams.agents.primary_key=["matricule"]', *_LOCAL,
        )  # fmt: skip
        writes = 'writes=["disable_user", "enable_user"]'
        for name, url in (("annuaire", first.url), ("messagerie", second.url)):
            type_(
                "connection", "add", name, "--connector", "scim", "--url", f"{url}{ROOT}", "--set", writes, *_LOCAL,
            )  # fmt: skip
        type_("sync", "run", "rh")
        folder = site / "flows"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "depart.toml").write_text(FLOW)
        (folder / "depart.toml").chmod(0o600)
        print_(f"\n{folder / 'depart.toml'}:\n\n" + "".join(f"    {line}\n" for line in FLOW.splitlines()))
        type_(
            "access",
            "grant",
            "drh",
            "--clearance",
            "personal",
            "--connection",
            "rh",
            "--until",
            _day(90),
            "--reason",
            "départs",
        )
        type_("flow", "enable", "depart")
        for name in ("annuaire", "messagerie"):
            for operation in ("disable_user", "enable_user"):
                type_("policy", "open", name, operation, "--client", "flow-depart", "--add")
        tell(
            "Les RH saisissent deux départs : l'un aujourd'hui, l'autre dans un mois.",
            "Human resources enter two departures: one today, one in a month.",
        )
        agents.put(_agent(7, statut="parti", quitte_le=_day(0)), _agent(12, statut="parti", quitte_le=_day(30)))
        type_("sync", "run", "rh")
        type_("flow", "dry-run", "depart")
        with serving():
            good = _until(LEAVER, "confirmed", 2)
            type_("flow", "show", "depart", "--key", LEAVER)
            good &= _closed(directory) == _closed(mail) == {LEAVER}
            tell(
                "Chaque compte est fermé, relu chez l'éditeur ; l'autre départ attend son jour. Et si l'on se ravise ?",
                "Each account is closed, read back at the vendor; the other departure waits for its day. What if they think "
                "again?",
            )
            agents.put(_agent(7), _agent(12))
            type_("sync", "run", "rh")
            good &= _until(LEAVER, "confirmed", 4) and _until(LATER, "cancelled", 2)
            type_("flow", "show", "depart", "--key", LATER)
            good &= _closed(directory) == _closed(mail) == set()
        type_("flow", "list")
    return good


def _agent(number: int, statut: str = "présent", quitte_le: str | None = None) -> dict[str, Any]:
    return {"matricule": f"M{number:05d}", "nom": f"Agent {number}", "statut": statut, "quitte_le": quitte_le}


def _day(after: int) -> str:
    return (datetime.now(UTC) + timedelta(days=after)).date().isoformat()


def _closed(service: Scim) -> set[str]:
    return {row["externalId"] for row in service.users.values() if not row["active"]}


def _until(key: str, standing: str, rows: int) -> bool:
    """Wait until so many rows of a record stand there."""
    last = time.monotonic() + _PATIENCE
    while time.monotonic() < last:
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(io.StringIO()):
            main(["flow", "show", "depart", "--key", key, "--json"])
        told = [json.loads(line) for line in said.getvalue().splitlines()]
        if sum(each.get("standing") == standing for each in told) >= rows:
            return True
        time.sleep(0.2)
    return False

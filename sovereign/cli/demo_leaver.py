"""The bus in `make demo`: someone leaves, each account is disabled and read back, and the record has its page.

Human resources drop a CSV file in a folder, as many do; the two services are sandboxes on loopback; people are invented. What
acts is `sovereign serve`.
"""

import io
import json
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.scim import ROOT, Scim, user
from sovereign.cli.demo_writes import Tell, Type, serving
from sovereign.cli.main import main
from sovereign.language import say

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
 WHERE after.statut = 'parti'
   AND (_op = 'i' OR before.statut <> 'parti' OR before.quitte_le IS DISTINCT FROM after.quitte_le)
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
    depot = site.absolute().with_name(f"{site.name}.rh")
    depot.mkdir(mode=0o700, exist_ok=True)
    _drop(depot, {})
    directory, mail = Scim(map(user, range(PEOPLE))), Scim(map(user, range(PEOPLE)))
    with Sandbox(directory) as first, Sandbox(mail) as second:
        tell(
            "Les RH déposent un fichier CSV dans un dossier, à leur façon : point-virgules, vieil encodage, dates à la "
            "française. On ne leur demande rien d'autre ; la vérification propose les réglages, une personne les confirme.",
            "Human resources drop a CSV file in a folder, in their own way: semicolons, an old encoding, French dates. They "
            "are asked for nothing else; a check proposes the settings, a person confirms them.",
        )
        type_(
            "connection", "add", "rh", "--connector", "files", "--url", f"folder:{depot}",
            "--set", "streams.agents.files=agents.csv", "--set", 'streams.agents.primary_key=["matricule"]',
            "--set", "streams.agents.types.quitte_le=date", "--set", "streams.agents.dates=dd/mm/yyyy",
        )  # fmt: skip
        type_("connection", "check", "rh", "--confirm")
        tell(
            "Un annuaire et une messagerie parlent SCIM. Un flux est un fichier qu'une DSI lit : ce qu'il attend, une question "
            "en SQL, ce qu'il demande. Il n'a pas d'autre porte que la passerelle.",
            "A directory and a mail service speak SCIM. A flow is a file that a DSI can read: what it waits for, a question in "
            "SQL, what it asks for. It has no other door than the gateway.",
        )
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
            say("départs", "departures"),
        )
        type_("flow", "enable", "depart")
        for name in ("annuaire", "messagerie"):
            for operation in ("disable_user", "enable_user"):
                type_("policy", "open", name, operation, "--client", "flow-depart", "--add", last=1)
        tell(
            "Les RH saisissent deux départs : l'un aujourd'hui, l'autre dans un mois.",
            "Human resources enter two departures: one today, one in a month.",
        )
        _drop(depot, {LEAVER: _today(0), LATER: _today(30)})
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
            _drop(depot, {}, more=1)
            type_("sync", "run", "rh")
            good &= _until(LEAVER, "confirmed", 4) and _until(LATER, "cancelled", 2)
            type_("flow", "show", "depart", "--key", LATER)
            good &= _closed(directory) == _closed(mail) == set()
        type_("flow", "list")
    return good


def _drop(depot: Path, leaving: Mapping[str, str], more: int = 0) -> None:
    """Put the file of human resources there: who leaves, and the day they do."""
    lines = ["matricule;nom;statut;quitte_le"]
    for number in range(PEOPLE + more):
        key = f"M{number:05d}"
        lines.append(f"{key};Agent n° {number} affecté;{'parti' if key in leaving else 'présent'};{leaving.get(key, '')}")
    fresh = depot / "agents.csv.part"
    fresh.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp1252"))
    fresh.replace(depot / "agents.csv")


def _today(after: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=after):%d/%m/%Y}"


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

"""The second half of `make demo`: an application writes through the gateway, and each act is decided, delivered and proven.

The gateway is `sovereign serve`, in a process of its own; the application speaks HTTP to it and holds no vendor secret.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from saas_connectors.sandbox import Sandbox, Table, Trouble, Vendor
from sovereign.language import language, say
from sovereign.reports.labels import STATES, coded

SETTINGS: Final = """
[gateway]
listen = "127.0.0.1:0"

[connections.guichet]
connector = "rest"
url = "{url}/records"
network = {{ loopback = true, plaintext = true }}

[connections.guichet.streams.letters]
path = "/letters"
primary_key = ["id"]
records = "items"
item = "/letters/{{id}}"
classes = {{ internal = ["id", "ref"] }}

[connections.guichet.operations.create]
method = "POST"
path = "/letters"
title = "Enregistrer un courrier"
title_en = "Register a letter"
schema = {{ required = ["ref", "subject"], properties = {{ ref = {{ type = "string" }}, subject = {{ type = "string" }} }} }}
look = {{ path = "/letters", params = {{ ref = "{{ref}}" }}, records = "items", match = {{ ref = "ref" }}, id = "id" }}
"""
_PATIENCE: Final = 20.0

Type = Callable[..., None]
Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Application:
    """An application: where the gateway is, and its own token."""

    address: str
    token: str
    tell: Callable[[str], None]

    def write(self, ref: str, subject: str) -> dict[str, Any]:
        """Ask for a letter to be registered; shows what was asked and what came back."""
        path = "/v1/connections/guichet/operations/create"
        self.tell(f"POST {path}  {json.dumps({'ref': ref, 'subject': subject}, ensure_ascii=False)}")
        answer = requests.post(
            f"{self.address}{path}",
            json={"ref": ref, "subject": subject},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": f'"{ref}"', "Accept-Language": language()},
            timeout=60,
        )
        told: dict[str, Any] = answer.json()
        shown = {name: told[name] for name in ("intent", "state", "code", "detail") if told.get(name)}
        self.tell(f"{answer.status_code}  {json.dumps(shown, ensure_ascii=False)}")
        return told

    def read(self, path: str) -> requests.Response:
        """Read through the gateway; shows what came, and whether it is a copy."""
        self.tell(f"GET /v1/connections/guichet/http{path}")
        answer = requests.get(
            f"{self.address}/v1/connections/guichet/http{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        )
        copy = answer.headers.get("Cache-Status")
        self.tell(f"{answer.status_code}  {answer.text}" + (f"\n     Age: {answer.headers['Age']}  {copy}" if copy else ""))
        return answer

    def until(self, intent: str, *states: str) -> str:
        """Wait until a write is in one of these states; gives the state it is in."""
        state, last = "", time.monotonic() + _PATIENCE
        while state not in states and time.monotonic() < last:
            asked = {"Authorization": f"Bearer {self.token}"}
            state = requests.get(f"{self.address}/v1/deliveries/{intent}", headers=asked, timeout=30).json()["state"]
            time.sleep(0.1)
        self.tell(f"… {intent}{say(' :', ':')} {coded(state, STATES).label} ({state})")
        return state


def writes(site: Path, type_: Type, tell: Tell, print_: Callable[[str], None]) -> bool:
    """Tell the story of four writes and a read; gives whether each ended as it should."""
    vendor = Vendor({"letters": Table.of(({"id": "l0", "ref": "2026-000", "subject": "Bienvenue"},), ["id"])})
    with Sandbox(vendor) as sandbox:
        with (site / "sovereign.toml").open("a") as settings:
            settings.write(SETTINGS.format(url=sandbox.url))
        tell(
            "Un logiciel métier veut écrire chez l'éditeur du guichet. Il reçoit un jeton à lui, montré une seule fois ; le "
            "secret de l'éditeur reste dans la passerelle. Sans politique qui l'ouvre, rien ne sort.",
            "An application wants to write to the vendor of the front desk. It is given a token of its own, shown once; the "
            "vendor's secret stays in the gateway. Without a policy that opens it, nothing leaves.",
        )
        tokens = {name: _token(name, type_) for name in ("accueil", "juridique", "inconnu")}
        key, people = _approver(site), ("berthe", "rssi")
        type_("access", "grant", people[0], "--role", people[1], "--group", people[1], "--reason", "RSSI")
        type_("approval", "enrol", people[0], "--key", str(key))
        type_("policy", "open", "guichet", "create", "--client", "accueil", "--add")
        hold = "quorum=1;groups=rssi;within=1h"
        type_("policy", "open", "guichet", "create", "--client", "juridique", "--hold", hold, "--add", last=1)
        type_("policy", "open", "guichet", "http", "--client", "accueil", "--reads", "--add", last=1)
        type_("access", "grant", "agathe", "--clearance", "internal", "--connection", "guichet", "--reason", "accueil")
        type_("sync", "run", "guichet")
        with serving() as address:
            front, legal, stranger = (Application(address, tokens[name], print_) for name in tokens)
            tell("Permis : décidé, envoyé, relu chez l'éditeur.", "Allowed: decided, sent, read back at the vendor.")
            good = front.until(front.write("2026-001", "Demande de rendez-vous")["intent"], "confirmed") == "confirmed"
            tell("Refusé, avec une phrase qui dit pourquoi.", "Denied, with a sentence that says why.")
            good &= stranger.write("2026-002", "?").get("code") == "policy.denied"
            tell("Retenu jusqu'à la signature d'une personne.", "Held until a person signs.")
            held = legal.write("2026-003", "Mise en demeure")["intent"]
            type_("approval", "list")
            type_("approval", "approve", held, "--as", people[0], "--key", str(key))
            good &= legal.until(held, "confirmed") == "confirmed"
            tell(
                "L'éditeur coupe la ligne après avoir reçu : issue inconnue. La passerelle ne renvoie pas à l'aveugle : elle "
                "va voir.",
                "The vendor breaks off after receiving: outcome unknown. The gateway does not send again blindly: it looks.",
            )
            vendor.troubles.plan(Trouble("lands_then_resets", method="POST"))
            lost = front.write("2026-004", "Réclamation")["intent"]
            good &= front.until(lost, "landed", "confirmed") in ("landed", "confirmed")
            type_("delivery", "show", lost)
            tell(
                "L'éditeur tombe. La lecture répond encore, par la copie, sous l'habilitation de qui répond du logiciel : "
                "l'objet est personnel, il n'y est pas.",
                "The vendor goes down. The read still answers, from the copy, under the clearance of whoever answers for the "
                "application: the subject is personal, it is absent.",
            )
            good &= front.read("/records/letters/l0").json().get("subject") == "Bienvenue"
            vendor.troubles.plan(Trouble("reset", times=0))
            kept = front.read("/records/letters/l0")
            good &= (kept.status_code, "Cache-Status" in kept.headers, "subject" in kept.text) == (200, True, False)
    return bool(good) and len(vendor.desk.done) == 3


def _token(client: str, type_: Type) -> str:
    said = io.StringIO()
    line = (
        "client",
        "add",
        client,
        "--owner",
        "agathe",
        "--purpose",
        say("démonstration", "demonstration"),
        "--connection",
        "guichet",
    )
    with redirect_stdout(said), redirect_stderr(said):  # in the order in which they are said
        type_(*line)
    shown = said.getvalue().splitlines()
    token = next(each for each in shown if each.startswith("svn_"))
    sys.stdout.write("\n".join(f"{token[:17]}…" if each == token else each for each in shown) + "\n")
    return token


def _approver(site: Path) -> Path:
    """The approver's key file and its passphrase, beside the site for the demonstration's sake."""
    key, passphrase = site.with_name(f"{site.name}.approver"), Path(os.environ["SOVEREIGN_PASSPHRASE_FILE"])
    key.unlink(missing_ok=True)
    os.environ["SOVEREIGN_APPROVER_PASSPHRASE_FILE"] = str(passphrase)
    return key


@contextmanager
def serving() -> Iterator[str]:
    """Keep `sovereign serve` at work; gives the address of its door."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sovereign.cli.main", "serve", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        lines = process.stdout or io.StringIO()
        said = (json.loads(line) for line in lines)
        yield next(each["address"] for each in said if each["type"] == "gateway")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)

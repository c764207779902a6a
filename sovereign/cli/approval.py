"""`sovereign approval`: what is held until people decide, and their signatures."""

from pathlib import Path
from typing import Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column
from sovereign.language import say

command = Noun(
    "approval",
    fr="Les écritures retenues jusqu'à une décision signée par des personnes.",
    en="The writes held until people sign a decision.",
)
REQUESTS: Final = (
    Column("intent", "remise", "delivery"),
    Column("connection", "connexion", "connection"),
    Column("quorum", "quorum", "quorum", "number"),
    Column("groups", "groupes", "groups"),
    Column("asked_at", "demandée", "asked", "time"),
    Column("expires_at", "échéance", "until", "time"),
    Column("state", "état", "state", "state"),
)
FACTS: Final = (
    Column("intent", "remise", "delivery"),
    Column("connection", "connexion", "connection"),
    Column("client", "application", "client"),
    Column("operation", "opération", "operation"),
    Column("why", "retenue parce que", "held because"),
    Column("findings", "trouvé", "found"),
    Column("quorum", "quorum", "quorum", "number"),
    Column("groups", "groupes", "groups"),
    Column("voices", "voix", "voices"),
    Column("expires_at", "échéance", "until", "time"),
    Column("digest", "empreinte", "digest"),
    Column("person", "pour", "on behalf of"),
    Column("entity", "entité", "entity"),
    Column("path", "chemin", "path"),
    Column("content_type", "type", "content type"),
    Column("headers", "en-têtes", "headers"),
    Column("payload", "contenu", "payload"),
)
KEY: Final = option(
    "--key", required=True, type=click.Path(path_type=Path, dir_okay=False), fr="Votre fichier de clé.", en="Your key file."
)
AS: Final = option("--as", "person", required=True, metavar="PERSON", fr="Qui vous êtes.", en="Who you are.")


@command.verb("enrol", fr="Inscrit la clé d'un approbateur, faite au besoin.", en="Enrol an approver's key, made when needed.")
@argument("person", fr="La personne.", en="The person.")
@option(
    "--key", default=None, type=click.Path(path_type=Path, dir_okay=False),
    fr="Son fichier de clé ; il est fait s'il n'existe pas.", en="Their key file; made when there is none.",
)  # fmt: skip
@option(
    "--vkey", default=None, fr="Sa clé publique, si la clé est ailleurs.", en="Their public key, when the key is elsewhere."
)
def enrol(door: Door, person: str, key: Path | None, vkey: str | None) -> None:
    """The private key stays in its file, behind its passphrase."""
    from sovereign.cli.passphrase import ask_signer
    from vault import approver

    if (key is None) == (vkey is None):
        raise click.UsageError(say("Donnez --key ou --vkey, l'un des deux.", "Give --key or --vkey, one of them."))
    site = door.site()
    site.outbound.people.get(person)
    if key is not None:
        name = "".join(each if each.isalnum() or each in "._-" else "-" for each in person)
        vkey = (approver.public(key) if key.exists() else approver.create(key, name, ask_signer(key))).vkey
    made = site.outbound.approvals.enrol(person, vkey or "", by=site.actor)
    door.out.done("approver", f"Clé inscrite : {made.key_id}", f"Key enrolled: {made.key_id}", key=made.key_id, vkey=made.vkey)


@command.verb("list", fr="Liste ce qui attend une décision.", en="List what awaits a decision.")
@option("--all", "all_", is_flag=True, fr="Les décisions passées aussi.", en="Past decisions too.")
def list_(door: Door, all_: bool) -> None:
    """One row a request, the oldest first."""
    rows = [
        {
            "intent": each.intent,
            "connection": each.connection,
            "quorum": each.quorum,
            "groups": ", ".join(each.groups),
            "asked_at": each.asked_at,
            "expires_at": each.expires_at,
            "state": each.state,
        }
        for each in door.site().outbound.approvals.list(open_only=not all_)
    ]
    door.out.table("approval", REQUESTS, rows, empty=("Rien n'attend de décision.", "Nothing awaits a decision."))


@command.verb("show", fr="Montre ce qui est demandé, contenu compris.", en="Show what is asked, payload included.")
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
def show(door: Door, intent: str) -> None:
    """What will leave is shown in clear to whoever decides; the look is entered in the audit log."""
    from sovereign.deciding import request

    found = request(door.site(), intent)
    sent = found.intent
    values = {
        "intent": found.asked.intent,
        "connection": found.asked.connection,
        "client": sent.client,
        "operation": sent.operation,
        "why": say(found.fr, found.en),
        "findings": ", ".join(f"{kind}: {count}" for kind, count, *_ in found.findings),
        "quorum": found.asked.quorum,
        "groups": ", ".join(found.asked.groups),
        "voices": ", ".join(f"{person} ({verdict})" for person, verdict in sorted(found.voices.items())),
        "expires_at": found.asked.expires_at,
        "digest": sent.digest.hex(),
        "person": sent.person or "",
        "entity": sent.entity,
        "path": f"{sent.method} {sent.path}".strip(),
        "content_type": sent.content_type,
        "headers": "; ".join(f"{name}: {value}" for name, value in sent.headers),
        "payload": sent.body.decode(errors="replace"),
    }
    door.out.facts("approval", [(column, values[column.key]) for column in FACTS])


@command.verb("approve", fr="Signe une approbation.", en="Sign an approval.")
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
@AS
@KEY
def approve(door: Door, intent: str, person: str, key: Path) -> None:
    """Exactly this intent: its digest is what is signed."""
    _decide(door, intent, person, key, refuses=False)


@command.verb("refuse", fr="Signe un refus : il met fin à la demande.", en="Sign a refusal: it ends the request.")
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
@AS
@KEY
def refuse(door: Door, intent: str, person: str, key: Path) -> None:
    """One refusal is enough."""
    _decide(door, intent, person, key, refuses=True)


def _decide(door: Door, intent: str, person: str, key: Path, *, refuses: bool) -> None:
    from sovereign.cli.passphrase import ask_signer
    from sovereign.deciding import decide
    from vault import approver

    if not key.is_file():
        raise click.BadParameter(say("il n'y a pas de fichier de clé à cet endroit", "there is no key file there"))
    site = door.site()
    outcome = decide(site, intent, "refuse" if refuses else "approve", person, approver.unlock(key, ask_signer(key)))
    said = {
        "open": ("Voix comptée ; d'autres sont attendues.", "Voice counted; others are awaited."),
        "approved": ("Approuvé : l'écriture part à son tour.", "Approved: the write leaves in its turn."),
        "refused": ("Refusé : rien ne partira.", "Refused: nothing will leave."),
    }
    door.out.done("decided", *said[outcome], intent=intent, outcome=outcome)

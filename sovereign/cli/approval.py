"""`sovereign approval`: what is held until people decide, and their signatures."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.gateway.ballot import Verdict

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
KEY: Final = option(
    "--key", required=True, type=click.Path(path_type=Path, dir_okay=False), fr="Votre fichier de clé.", en="Your key file."
)
REASON: Final = option("--reason", default="", metavar="TEXT", fr="Pourquoi, signé avec.", en="Why, signed with it.")
ALL_OF: Final = option(
    "--all-of", metavar="BATCH", default=None, fr="Tout un lot, comme « list --batch » le nomme.",
    en="A whole batch, as `list --batch` names it.",
)  # fmt: skip
COUNT: Final = option(
    "--count", type=click.IntRange(1), default=None, fr="Combien il en compte : sinon rien n'est signé.",
    en="How many it holds: else nothing is signed.",
)  # fmt: skip
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
@option("--batch", is_flag=True, fr="Par lots, avec ce qu'ils changent.", en="By batches, with what they change.")
def list_(door: Door, all_: bool, batch: bool) -> None:
    """One row a request, the oldest first; or one a batch of them that may be decided together."""
    from sovereign.cli.approval_batch import batches

    if batch:
        batches(door)
        return
    rows = [
        {
            "intent": each.intent,
            "connection": each.connection,
            "quorum": each.quorum,
            "groups": ", ".join(each.groups),
            "asked_at": each.asked_at,
            "expires_at": each.expires_at,
            "state": each.state,
            "batch": each.together,
        }
        for each in door.site().outbound.approvals.list(open_only=not all_)
    ]
    door.out.table("approval", REQUESTS, rows, empty=("Rien n'attend de décision.", "Nothing awaits a decision."))


@command.verb("show", fr="Montre ce qui est demandé, ce qui changerait, qui peut décider.", en="Show one request whole.")
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
@option(
    "--as", "person", default=None, metavar="PERSON", fr="Qui regarde : son habilitation.", en="Who looks: their clearance."
)
@option(
    "--clearance", default="internal", show_default=True, type=click.Choice(["internal", "personal", "sensitive"]),
    fr="La plus haute classe montrée, sans --as.", en="The highest class shown, without --as.",
)  # fmt: skip
def show(door: Door, intent: str, person: str | None, clearance: str) -> None:
    """Before and after come from the local copy; the look is entered in the audit log, with its clearance."""
    from sovereign import deciding
    from sovereign.cli.approval_shown import show as tell
    from sovereign.comparing import Comparison

    site = door.site()
    found = deciding.request(site, intent)
    seen: str | None = clearance if person is None else deciding.clearance(site, person, found.asked.connection)
    effect = None if found.intent is None else Comparison(site)(found.intent, seen)
    deciding.looked(site, found.asked, seen, person)
    tell(door, found, effect)


@command.verb(
    "approve", fr="Signe une approbation, d'une demande ou d'un lot.", en="Sign an approval, of one request or of a batch."
)
@argument("intent", metavar="[ID]", required=False, fr="La remise.", en="The delivery.")
@ALL_OF
@COUNT
@AS
@KEY
@REASON
def approve(door: Door, intent: str | None, all_of: str | None, count: int | None, person: str, key: Path, reason: str) -> None:
    """Exactly what is open now: the digests of the intents are what is signed."""
    _decide(door, intent, all_of, count, person, key, reason, "approve")


@command.verb("refuse", fr="Signe un refus : il met fin à la demande.", en="Sign a refusal: it ends the request.")
@argument("intent", metavar="[ID]", required=False, fr="La remise.", en="The delivery.")
@ALL_OF
@COUNT
@AS
@KEY
@REASON
def refuse(door: Door, intent: str | None, all_of: str | None, count: int | None, person: str, key: Path, reason: str) -> None:
    """One refusal is enough."""
    _decide(door, intent, all_of, count, person, key, reason, "refuse")


def _decide(
    door: Door,
    intent: str | None,
    all_of: str | None,
    count: int | None,
    person: str,
    key: Path,
    reason: str,
    verdict: "Verdict",
) -> None:
    from sovereign.cli.approval_batch import decide_all
    from sovereign.cli.passphrase import ask_signer
    from sovereign.deciding import decide
    from vault import approver

    if (intent is None) == (all_of is None):
        raise click.UsageError(
            say("Donnez une remise ou --all-of, l'un des deux.", "Give a delivery or --all-of, one of them.")
        )
    if len(reason) > 200 or not reason.isprintable() or reason != reason.strip():
        raise click.BadParameter(
            say("une raison est un texte d'au plus 200 caractères", "a reason is a text of at most 200 characters")
        )
    if not key.is_file():
        raise click.BadParameter(say("il n'y a pas de fichier de clé à cet endroit", "there is no key file there"))
    if intent is None:
        decide_all(door, str(all_of), count, verdict, person, lambda: approver.unlock(key, ask_signer(key)), reason)
        return
    site = door.site()
    outcome = decide(site, intent, verdict, person, approver.unlock(key, ask_signer(key)), reason)
    said = {
        "open": ("Voix comptée ; d'autres sont attendues.", "Voice counted; others are awaited."),
        "approved": ("Approuvé : l'écriture part à son tour.", "Approved: the write leaves in its turn."),
        "refused": ("Refusé : rien ne partira.", "Refused: nothing will leave."),
    }
    door.out.done("decided", *said[outcome], intent=intent, outcome=outcome)

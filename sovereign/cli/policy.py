"""`sovereign policy`: what may leave. Reading, checking, trying and signing; what is in force is put there by the gateway."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column
from sovereign.cli.question import here
from sovereign.language import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sovereign.gateway.policy.shadow import Difference
    from sovereign.site import Site

command = Noun(
    "policy",
    fr="Ce qui peut partir : lire, vérifier, expliquer, essayer, signer les politiques.",
    en="What may leave: read, check, explain, try and sign policies.",
)
_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
_DIFFERENCES: Final = (
    Column("client", "application", "client"),
    Column("connection", "connexion", "connection"),
    Column("operation", "opération", "operation"),
    Column("was", "décidé", "decided"),
    Column("would", "serait", "would be"),
    Column("would_by", "par", "by"),
    Column("count", "nombre", "count", "number"),
)


@command.verb("list", fr="Liste les politiques du dossier, et dit si elles sont en vigueur.", en="List the folder's policies.")
def list_(door: Door) -> None:
    """One row a policy."""
    from sovereign import governing
    from sovereign.gateway.policy import CedarPolicy, read_folder

    site = door.site()
    made = CedarPolicy(read_folder(governing.folder(site)))
    present = here(site)
    rows = [
        {
            "id": rule.id, "kind": rule.kind, "owner": rule.owner, "expires": rule.expires,
            "expired": rule.expired(present), "said": say(rule.fr, rule.en), "file": rule.file, "line": rule.line,
        }
        for rule in made.rules
    ]  # fmt: skip
    columns = (
        Column("id", "politique", "policy"),
        Column("kind", "effet", "effect"),
        Column("owner", "responsable", "owner"),
        Column("expires", "échéance", "expires"),
        Column("expired", "passée", "past"),
        Column("said", "phrase", "sentence"),
    )
    door.out.table("policy", columns, rows)
    _told_in_force(door, site, made.digest)


@command.verb(
    "check", fr="Lit et valide les politiques, sans rien changer.", en="Read and validate policies, changing nothing."
)
@argument(
    "folder", type=_FOLDER, required=False, fr="Un autre dossier que celui du site.", en="Another folder than the site's."
)
def check(door: Door, folder: Path | None) -> None:
    """Raise what is wrong, with its file and line; else say what the set is."""
    from sovereign import governing
    from sovereign.gateway.policy import CedarPolicy, read_folder

    site = door.site()
    made = CedarPolicy(read_folder(folder or governing.folder(site)))
    soon = here(site) + timedelta(days=30)
    due = sorted(rule.id for rule in made.rules if rule.expired(soon))
    door.out.done(
        "policy.checked",
        f"{len(made.rules)} politiques valides, ensemble {made.digest[:12]}",
        f"{len(made.rules)} valid policies, set {made.digest[:12]}",
        policies=len(made.rules),
        set=made.digest,
        due=due,
    )
    if due:
        names = ", ".join(due)
        door.out.remark(f"Échues, ou à relire sous 30 jours : {names}", f"Past, or due for review within 30 days: {names}")
    _told_in_force(door, site, made.digest)


def _told_in_force(door: Door, site: "Site", digest: str) -> None:
    from sovereign import governing

    found = governing.in_force(site)
    now = found.digest if found else None
    if now == digest:
        door.out.remark("Cet ensemble est en vigueur.", "This set is in force.")
    else:
        door.out.remark(
            f"En vigueur : {now[:12] if now else 'aucun'} ; la passerelle prend les fichiers d'elle-même dès qu'elle tourne.",
            f"In force: {now[:12] if now else 'none'}; the gateway takes the files by itself as soon as it runs.",
        )


@command.verb(
    "explain", fr="Dit ce que chaque politique répond à une question.", en="Say what each policy answers to a question."
)
@argument("intent", required=False, fr="Une demande connue, à rejuger.", en="An intent on record, to judge again.")
@option("--client", default="", metavar="CLIENT", fr="L'application.", en="The application.")
@option("--connection", default="", metavar="NAME", fr="La connexion.", en="The connection.")
@option("--operation", default="http", show_default=True, metavar="NAME", fr="L'opération.", en="The operation.")
@option("--reads", is_flag=True, fr="C'est une lecture.", en="It is a read.")
@option(
    "--method", default="", metavar="VERB", fr="La méthode HTTP, par le relais.", en="The HTTP method, by the pass-through."
)
@option("--group", "groups", multiple=True, metavar="NAME", fr="Un groupe du demandeur.", en="A group of whoever asks.")
@option("--class", "classes", multiple=True, metavar="CLASS", fr="Une classe de données.", en="A class of data.")
@option(
    "--found", multiple=True, metavar="KIND[=N]", fr="Une trouvaille certaine : nir, iban…", en="A sure finding: nir, iban…"
)
@option("--suspected", multiple=True, metavar="KIND[=N]", fr="Une trouvaille douteuse.", en="A finding in doubt.")
@option("--records", default=1, show_default=True, fr="Enregistrements écrits à la fois.", en="Records written at once.")
@option("--hour", default=0, show_default=True, fr="Écritures de l'heure passée.", en="Writes of the past hour.")
@option("--day", default=0, show_default=True, fr="Écritures du jour passé.", en="Writes of the past day.")
@option("--policies", type=_FOLDER, default=None, fr="Un autre dossier de politiques.", en="Another folder of policies.")
def explain(door: Door, intent: str | None, policies: Path | None, **asked: object) -> None:
    """The decision, then each policy that spoke, and those that failed."""
    from sovereign import governing
    from sovereign.cli.question import question_of
    from sovereign.gateway.policy import CedarPolicy, read_folder

    site = door.site()
    question = question_of(site, intent, asked)
    made = CedarPolicy(read_folder(policies or governing.folder(site)))
    decision, voices = made.decide(question), made.explain(question)
    door.out.facts(
        "decision",
        (
            (Column("effect", "décision", "decision"), decision.effect),
            (Column("policies", "par", "by"), list(decision.policies)),
            (Column("said", "phrase", "sentence"), say(decision.fr, decision.en)),
            (Column("quorum", "voix demandées", "voices asked"), decision.quorum or None),
            (Column("groups", "groupes", "groups"), list(decision.groups)),
            (Column("set", "ensemble", "set"), decision.policy_set),
        ),
    )
    door.out.say()
    rows = [
        {"id": v.rule.id, "kind": v.rule.kind, "says": v.says, "expired": v.expired, "file": v.rule.file, "line": v.rule.line}
        for v in voices
        if v.says != "silent" or door.out.json
    ]
    columns = (
        Column("id", "politique", "policy"),
        Column("kind", "effet", "effect"),
        Column("says", "répond", "answers"),
        Column("expired", "échéance passée", "past its day"),
        Column("file", "fichier", "file"),
        Column("line", "ligne", "line", "number"),
    )
    door.out.table("voice", columns, rows, empty=("Aucune politique n'a parlé.", "No policy spoke."))


@command.verb(
    "open", fr="Écrit la politique qui ouvrirait un flux, à relire.", en="Write the policy that would open a flow, to review."
)
@argument("connection", fr="La connexion.", en="The connection.")
@argument("operation", fr="L'opération, ou « http » pour le relais.", en="The operation, or `http` for the pass-through.")
@option("--client", required=True, metavar="CLIENT", fr="L'application qui écrira.", en="The application that will write.")
@option("--owner", default="dsi", show_default=True, metavar="NAME", fr="Qui en répond.", en="Who answers for it.")
@option(
    "--days", default=365, show_default=True, type=click.IntRange(1, 3650), fr="Sa durée, en jours.", en="Its life, in days."
)
@option("--reads", is_flag=True, fr="Ouvre la lecture, pas l'écriture.", en="Open reading, not writing.")
@option(
    "--hold", default=None, metavar="TERMS", fr="Par approbation : « quorum=2;groups=rssi,dsi;within=24h ».",
    en="By approval: `quorum=2;groups=rssi,dsi;within=24h`.",
)  # fmt: skip
@option("--add", is_flag=True, fr="L'ajoute aux politiques du site.", en="Add it to the site's policies.")
def open_(
    door: Door, connection: str, operation: str, client: str, owner: str, days: int, reads: bool, hold: str | None, add: bool
) -> None:
    """Print the text; with --add, put it in its file, unless the set would then be wrong."""
    from sovereign.gateway.policy.opening import Flow
    from sovereign.opening import put

    site = door.site()
    site.connection(connection)
    until = (here(site) + timedelta(days=days)).date()
    flow = Flow(client, connection, operation, owner, until, reads, hold)
    text = flow.text()
    door.out.record("policy.text", id=flow.id, file=flow.file, text=text, added=add)
    door.out.say(text.rstrip(), text.rstrip())
    if add:
        put(site, flow)
        door.out.remark(f"Ajoutée : policies/{flow.file}", f"Added: policies/{flow.file}")


@command.verb(
    "shadow", fr="Essaie un ensemble à côté de celui en vigueur ; montre les écarts.", en="Try a set beside; show what differs."
)
@argument("folder", type=_FOLDER, required=False, fr="L'ensemble à essayer.", en="The set to try.")
@option("--stop", is_flag=True, fr="Met fin à l'essai.", en="End the trial.")
def shadow(door: Door, folder: Path | None, stop: bool) -> None:
    """Start, stop, or show what would have been decided otherwise."""
    from sovereign import governing

    site = door.site()
    if stop:
        governing.withdraw(site)
        door.out.done("policy.withdrawn", "Essai terminé.", "Trial ended.")
        return
    if folder is not None:
        digest = governing.propose(site, folder)
        door.out.done("policy.proposed", f"À l'essai : {digest[:12]}", f"On trial: {digest[:12]}", set=digest)
        return
    _, differences = governing.proposed(site)
    _differences(door, differences)


@command.verb(
    "replay", fr="Rejuge les demandes passées par un ensemble proposé.", en="Judge past requests again by a proposed set."
)
@argument("folder", type=_FOLDER, fr="L'ensemble proposé.", en="The proposed set.")
@option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), fr="Jours passés.", en="Days past.")
def replay(door: Door, folder: Path, days: int) -> None:
    """What would change, most frequent first."""
    from sovereign import governing

    found = governing.replayed(door.site(), folder, days)
    _differences(door, [each for each, _ in found.changes], [intent for _, intent in found.changes])
    changed = sum(each.count for each, _ in found.changes)
    door.out.record("replay", asked=found.asked, changed=changed, unreadable=found.unreadable)
    door.out.say(
        f"{found.asked} demandes rejugées, {changed} changeraient, {found.unreadable} illisibles.",
        f"{found.asked} requests judged again, {changed} would change, {found.unreadable} unreadable.",
    )
    if found.unreadable:
        door.exit = 3


def _differences(door: Door, differences: "Iterable[Difference]", intents: list[str] | None = None) -> None:
    rows = [{name: getattr(each, name) for name in type(each).__slots__} for each in differences]
    for row, intent in zip(rows, intents or (), strict=bool(intents)):
        row["intent"] = intent
    columns = (*_DIFFERENCES, Column("intent", "exemple", "example")) if intents else _DIFFERENCES
    door.out.table("difference", columns, rows, empty=("Rien ne changerait.", "Nothing would change."))


@command.verb("sign", fr="Signe l'ensemble du dossier par votre propre clé.", en="Sign the folder's set by your own key.")
@option(
    "--key", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
    fr="Votre fichier de clé d'approbateur.", en="Your approver's key file.",
)  # fmt: skip
def sign(door: Door, key: Path) -> None:
    """Check the set, then put a signed note beside its files."""
    from sovereign import governing
    from sovereign.cli.passphrase import ask_signer
    from vault import approver

    site = door.site()
    digest = governing.sign(site, approver.unlock(key, ask_signer(key)))
    door.out.done("policy.signed", f"Ensemble signé : {digest[:12]}", f"Set signed: {digest[:12]}", set=digest)


@command.verb("defaults", fr="Remet les politiques de départ qui manquent.", en="Put the missing starting policies back.")
def defaults(door: Door) -> None:
    """Write the files that are not there; the others stay as they are."""
    from sovereign import governing

    names = governing.start(door.site())
    shown = ", ".join(names) or say("aucune", "none")
    door.out.done("policy.defaults", f"Remises : {shown}", f"Put back: {shown}", files=list(names))

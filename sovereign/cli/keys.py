"""`sovereign keys`: what protects the copies, and what would bring them back."""

import sys
from pathlib import Path

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.files import refuse_to_replace, written_privately
from sovereign.cli.findings import show
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.errors import SovereignError
from sovereign.language import say

command = Noun(
    "keys",
    fr="Les clés. Une clé de chiffrement par connexion, classe et période ; détruite, ses données sont illisibles partout.",
    en="Keys. One key-encryption key a connection, class and period; once destroyed, its data are unreadable everywhere.",
)

COLUMNS = (
    Column("connection", "connexion", "connection"),
    Column("key_class", "classe", "class"),
    Column("period", "période", "period"),
    Column("generation", "génération", "generation", "number"),
    Column("created", "créée", "created", "time"),
    Column("state", "état", "state", "state"),
    Column("id", "clé", "key"),
)


class NotConfirmed(SovereignError):
    """The name typed is not the one asked for."""

    code = "keys.not_confirmed"
    kind = "usage"
    fr = "Rien n'a été détruit : il fallait confirmer « {scope} »."
    en = "Nothing was destroyed: `{scope}` had to be confirmed."
    todo_fr = "Dans un terminal, tapez ce nom ; ailleurs, ajoutez --yes."
    todo_en = "On a terminal, type this name; elsewhere, add --yes."


@command.verb("list", fr="Liste les clés et leur état.", en="List keys and their state.")
def list_(door: Door) -> None:
    """One row a key."""
    rows = (
        {
            "id": record.id,
            "connection": record.scope.connection,
            "key_class": record.scope.key_class,
            "period": record.scope.period,
            "generation": record.generation,
            "created": record.created,
            "state": record.state,
        }
        for record in door.site().keys.list()
    )
    door.out.table(
        "key", COLUMNS, rows, empty=("Aucune clé encore : elles naissent à la première synchronisation.", "No key yet.")
    )


@command.verb(
    "rotate",
    fr="Fait une nouvelle génération de clés, et y passe les copies : les fichiers de clés seuls sont réécrits.",
    en="Make a new generation of keys and move the copies to it: only key files are rewritten.",
)
@option("--master", is_flag=True, fr="Change aussi la clé maîtresse.", en="Change the master key too.")
def rotate(door: Door, master: bool) -> None:
    """Rotate all scopes."""
    done = door.site().rotate_keys(master=master)
    door.out.done(
        "keys.rotated",
        f"{done.keys} clés changées, {done.rewrapped} enveloppes refaites",
        f"{done.keys} keys rotated, {done.rewrapped} envelopes rewrapped",
        keys=done.keys,
        rewrapped=done.rewrapped,
        master=master,
    )


@command.verb(
    "destroy",
    fr="Détruit des clés : leurs données deviennent illisibles, ici et dans toutes les sauvegardes. Sans retour.",
    en="Destroy keys: their data become unreadable, here and in every backup. There is no way back.",
)
@argument("connection", type=CONNECTION, fr="La connexion.", en="The connection.")
@argument(
    "key_class",
    metavar="CLASS",
    type=click.Choice(["internal", "personal", "sensitive", "raw", "mart", "secret", "manifest"]),
    fr="La classe : internal, personal, sensitive, raw…",
    en="The class: internal, personal, sensitive, raw…",
)
@argument("period", fr="La période, par exemple 2026.", en="The period, for instance 2026.")
@option("--reason", default="", metavar="TEXT", fr="Pourquoi ; inscrit au journal.", en="Why; entered in the audit log.")
@option("--yes", is_flag=True, fr="Ne demande pas de confirmation.", en="Do not ask for confirmation.")
def destroy(door: Door, connection: str, key_class: str, period: str, reason: str, yes: bool) -> None:
    """Shred a scope, once its name was typed."""
    scope = f"{connection}/{key_class}/{period}"
    site = door.site()
    if not yes:
        confirm(
            scope,
            f"Les données {key_class} de {connection} pour {period} seront perdues pour toujours.",
            f"The {key_class} data of {connection} for {period} will be lost for ever.",
        )
    destroyed = site.destroy_keys(connection, key_class, period, reason=reason)
    door.out.done(
        "keys.destroyed",
        f"{len(destroyed)} clés détruites : {scope}",
        f"{len(destroyed)} keys destroyed: {scope}",
        scope=scope,
        keys=destroyed,
    )
    held = [each.scope for each in site.keys.list() if each.state != "destroyed"]
    if key_class != "raw" and any(each.connection == connection and each.key_class == "raw" for each in held):
        door.out.remark(
            f"! L'archive brute de {connection} contient encore ces valeurs jusqu'à son échéance : voyez sa classe raw.",
            f"! The raw archive of {connection} still holds these values until it expires: see its class raw.",
            style="yellow",
        )


def confirm(name: str, fr: str, en: str) -> None:
    """Have a person type a name before what cannot be undone; raises NotConfirmed."""
    if not sys.stdin.isatty():
        raise NotConfirmed(scope=name)
    click.echo(say(fr, en), err=True)
    typed = click.prompt(
        say(f"Tapez {name} pour confirmer", f"Type {name} to confirm"), default="", show_default=False, err=True
    )
    if typed != name:
        raise NotConfirmed(scope=name)


@command.verb(
    "check",
    fr="Vérifie que chaque clé s'ouvre, que la trousse de secours couvre tout, que les fichiers sont bien gardés.",
    en="Check that each key opens, that the recovery kit covers all, that files are well kept.",
)
def check(door: Door) -> None:
    """Show what keys check found."""
    door.exit = show(
        door,
        door.site().keys.check(),
        lambda: (
            "Toutes les clés s'ouvrent, la trousse de secours couvre tout.",
            "Every key opens and the recovery kit covers all.",
        ),
    )


@command.verb(
    "export-recovery",
    fr="Fait la trousse de secours : des parts en mots, dont un nombre choisi suffit à tout rouvrir.",
    en="Make the recovery kit: shares in words, a chosen number of which reopens everything.",
)
@option("--threshold", type=click.IntRange(2, 16), default=2, show_default=True, fr="Parts nécessaires.", en="Shares needed.")
@option("--shares", type=click.IntRange(2, 16), default=3, show_default=True, fr="Parts faites.", en="Shares made.")
@option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    fr="Écrit chaque part dans un fichier de DIR ; sinon elles sont montrées, une fois.",
    en="Write each share to a file of DIR; else they are shown, once.",
)
def export_recovery(door: Door, threshold: int, shares: int, output: Path | None) -> None:
    """Make shares and hand them out."""
    if threshold > shares:
        raise click.BadParameter(
            say("plus de parts nécessaires que de parts faites", "more shares needed than made"), param_hint="--threshold"
        )
    files = [output / f"share-{number}-of-{shares}.txt" for number in range(1, shares + 1)] if output is not None else []
    for path in files:
        # A new kit makes the former one useless: nothing may fail once it is made.
        refuse_to_replace(path)
    words = door.site().export_recovery(threshold=threshold, shares=shares)
    for number, share in enumerate(words, 1):
        if files:
            path = files[number - 1]
            with written_privately(path, replace=False) as sink:
                sink.write(f"{share}\n".encode())
            door.out.record("share", number=number, path=str(path))
            door.out.say(f"✓ part {number} sur {shares} : {path}", f"✓ share {number} of {shares}: {path}")
        else:
            door.out.record("share", number=number, words=share)
            head = say(f"Part {number} sur {shares}", f"Share {number} of {shares}")
            door.out.say(f"\n{head}\n  {share}", f"\n{head}\n  {share}")
    door.out.remark(
        f"Remettez chaque part à une personne différente, hors ligne : {threshold} rouvrent tout, moins ne disent rien.",
        f"Hand each share to a different person, off line: {threshold} shares reopen everything, fewer tell nothing.",
        style="bold",
    )


@command.verb(
    "restore-recovery",
    fr="Rouvre un site dont la clé maîtresse est perdue, avec les parts de la trousse, sous une nouvelle clé maîtresse.",
    en="Reopen a site whose master key is lost, with the shares of the kit, under a new master key.",
)
@option(
    "--share",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    fr="Fichier d'une part ; plusieurs fois. Sinon les mots sont demandés.",
    en="A share's file; several times. Else the words are asked for.",
)
@option("--keys", "provider", required=True, metavar="URI", fr="La nouvelle clé maîtresse.", en="The new master key.")
def restore_recovery(door: Door, files: tuple[Path, ...], provider: str) -> None:
    """Read the shares and restore."""
    from sovereign.cli.passphrase import ask
    from sovereign.site import Site

    path = door.path()
    shares = [file.read_text().strip() for file in files] or _asked()
    restored = Site.restore(path, shares, provider=provider, passphrase=lambda: ask(path, confirm=True))
    door.out.done(
        "keys.restored",
        f"{restored} clés retrouvées, sous {provider}",
        f"{restored} keys recovered, under {provider}",
        keys=restored,
    )


def _asked() -> list[str]:
    if not sys.stdin.isatty():
        raise click.UsageError(say("il faut --share FICHIER, ou un terminal", "--share FILE is needed, or a terminal"))
    shares: list[str] = []
    while True:
        said = say(f"Part {len(shares) + 1} (vide pour finir)", f"Share {len(shares) + 1} (empty to end)")
        words = click.prompt(said, hide_input=True, default="", show_default=False, err=True)
        if not words:
            return shares
        shares.append(words)

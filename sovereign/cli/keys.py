"""`sovereign keys`: what protects the copies, and what would bring them back."""

import sys

import click

from sovereign.cli import masters
from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.findings import show
from sovereign.cli.marks import several
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.errors import SovereignError
from sovereign.language import say

command = Noun(
    "keys",
    fr="Les clés. Une clé de chiffrement par connexion, classe et période ; détruite, ses données sont illisibles partout.",
    en="Keys. One key-encryption key a connection, class and period; once destroyed, its data are unreadable everywhere.",
)

for verb in (masters.passphrase, masters.export_recovery, masters.restore_recovery):
    command.add_command(verb)

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
    renewed = several(done.keys, "clé* changée*", "key* rotated")
    said = f"{renewed}, {several(done.rewrapped, 'enveloppe* refaite*', 'envelope* rewrapped')}"
    door.out.done(
        "keys.rotated",
        said,
        said,
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
        f"{several(len(destroyed), 'clé* détruite*', 'key* destroyed')} : {scope}",
        f"{several(len(destroyed), 'clé* détruite*', 'key* destroyed')}: {scope}",
        scope=scope,
        keys=destroyed,
    )
    if (site.root / "snapshots" / connection / ".documents" / key_class).is_dir():
        door.out.remark(
            f"! Les documents {key_class} de {connection} venus en {period} ne s'ouvrent plus : leurs clés en étaient.",
            f"! The {key_class} documents of {connection} that came in {period} open no more: their keys were among these.",
            style="yellow",
        )
    held = [each.scope for each in site.keys.list() if each.state != "destroyed"]
    if key_class != "raw" and any(each.connection == connection and each.key_class == "raw" for each in held):
        door.out.remark(
            f"! L'archive brute de {connection} contient encore ces valeurs jusqu'à son échéance : voyez sa classe raw.",
            f"! The raw archive of {connection} still holds these values until it expires: see its class raw.",
            style="yellow",
        )


def confirm(name: str, fr: str, en: str, refusal: type[NotConfirmed] = NotConfirmed) -> None:
    """Have a person type a name before what cannot be undone; raises `refusal`."""
    if not sys.stdin.isatty():
        raise refusal(scope=name)
    click.echo(say(fr, en), err=True)
    typed = click.prompt(
        say(f"Tapez {name} pour confirmer", f"Type {name} to confirm"), default="", show_default=False, err=True
    )
    if typed != name:
        raise refusal(scope=name)


@command.verb(
    "check",
    fr="Vérifie que chaque clé s'ouvre, que la trousse couvre tout, et que le trousseau est bien celui du journal d'audit.",
    en="Check that each key opens, that the recovery kit covers all, and that the keyring is the one the audit log knows.",
)
def check(door: Door) -> None:
    """Show what keys check found."""
    from sovereign.inspection import of_keys

    door.exit = show(
        door,
        of_keys(door.site()),
        lambda: (
            "Toutes les clés s'ouvrent, la trousse de secours couvre tout.",
            "Every key opens and the recovery kit covers all.",
        ),
    )

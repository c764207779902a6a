"""`sovereign secret`: the credentials that vendors gave, sealed in the site; they are never shown again."""

import os
import sys
from pathlib import Path

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.errors import SovereignError
from sovereign.language import say

LARGEST = 65_536
"""Bytes of a secret at most."""

command = Noun(
    "secret",
    fr="Les secrets des fournisseurs : scellés dans le site, jamais remontrés.",
    en="Vendors' secrets: sealed in the site, never shown again.",
)


class NoSecret(SovereignError):
    """A secret is needed and none was given."""

    code = "secret.none"
    kind = "usage"
    fr = "Il faut le secret de {connection}, et il n'y a personne à qui le demander."
    en = "The secret of {connection} is needed, and there is nobody to ask."
    todo_fr = "Ajoutez --file FICHIER (« - » pour l'entrée standard), ou lancez la commande dans un terminal."
    todo_en = "Add --file FILE (`-` for standard input), or run the command on a terminal."


def read_secret(connection: str, file: Path | None) -> bytes:
    """Read a secret from a file (one final line break removed) or from a person."""
    if file is not None:
        if str(file) == "-":
            held = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with file.open("rb") as source:
                held = source.read(LARGEST + 1)
        held = held.removesuffix(b"\n").removesuffix(b"\r")
        if not held or len(held) > LARGEST:
            raise click.BadParameter(say("secret vide ou trop grand", "empty or too large a secret"))
        return held
    if not sys.stdin.isatty():
        raise NoSecret(connection=connection)
    asked = say(f"Secret de {connection}", f"Secret of {connection}")
    return os.fsencode(click.prompt(asked, hide_input=True, err=True))


@command.verb("set", fr="Scelle le secret d'une connexion.", en="Seal a connection's secret.")
@argument("connection", type=CONNECTION, fr="La connexion.", en="The connection.")
@option(
    "--name",
    default=None,
    metavar="NAME",
    fr="Nom du secret ; sinon celui des réglages.",
    en="The secret's name; else the settings'.",
)
@option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    default=None,
    fr="Fichier qui le contient, « - » pour l'entrée standard.",
    en="A file that holds it, `-` for standard input.",
)
def set_(door: Door, connection: str, name: str | None, file: Path | None) -> None:
    """Seal it under the name the settings give."""
    site = door.site()
    # `backup` keeps the secret keys of backup targets, which are no connections.
    settings = None if connection == "backup" and name else site.connection(connection)
    chosen = name or (settings.secret if settings else None) or connection
    site.set_secret(connection, chosen, read_secret(connection, file))
    door.out.done(
        "secret",
        f"Secret scellé : {connection}/{chosen}",
        f"Secret sealed: {connection}/{chosen}",
        connection=connection,
        name=chosen,
    )


@command.verb("list", fr="Liste les noms des secrets scellés.", en="List the names of sealed secrets.")
def list_(door: Door) -> None:
    """One row a secret: its name alone."""
    site = door.site()
    rows = [
        {"connection": connection, "name": name}
        for connection in sorted({*site.settings.connections, "backup"})
        for name in site.secrets.names(connection)
    ]
    door.out.table("secret", (Column("connection", "connexion", "connection"), Column("name", "nom", "name")), rows)


@command.verb("remove", fr="Oublie un secret.", en="Forget a secret.")
@argument("connection", type=CONNECTION, fr="La connexion.", en="The connection.")
@argument("name", fr="Le nom du secret.", en="The secret's name.")
def remove(door: Door, connection: str, name: str) -> None:
    """Remove it from the site."""
    door.site().remove_secret(connection, name)
    door.out.done(
        "secret.removed",
        f"Secret oublié : {connection}/{name}",
        f"Secret forgotten: {connection}/{name}",
        connection=connection,
        name=name,
    )

"""`sovereign init`: make a site, and say what to do next."""

from pathlib import Path

import click

from sovereign.cli.commands import argument, option, verb
from sovereign.cli.door import Door


@verb(
    "init",
    fr="Crée un site dans DIR : sovereign.toml, les clés, le journal. DIR doit être absent ou vide.",
    en="Make a site in DIR: sovereign.toml, keys, records. DIR must be absent or empty.",
)
@argument("folder", metavar="DIR", type=click.Path(path_type=Path), fr="Le dossier du site.", en="The site's folder.")
@option(
    "--keys",
    "provider",
    default="file:keys/master.json",
    show_default=True,
    metavar="URI",
    fr="Où vit la clé maîtresse : os-keyring:NOM (trousseau du système), file:CHEMIN (phrase de passe), systemd-cred:NOM.",
    en="Where the master key lives: os-keyring:NAME (the system's keyring), file:PATH (passphrase), systemd-cred:NAME.",
)
@option("--name", default=None, metavar="TEXT", fr="Nom de la collectivité.", en="The public body's name.")
def command(door: Door, folder: Path, provider: str, name: str | None) -> None:
    """Create the site and tell the first steps."""
    from sovereign.cli.passphrase import ask
    from sovereign.language import language
    from sovereign.site import Site

    site = Site.create(
        folder,
        provider=provider,
        passphrase=lambda: ask(folder, confirm=True),
        name=name or folder.absolute().name,
        language=language(),
    )
    site.close()
    door.out.done("site", f"Site créé : {folder}", f"Site made: {folder}", path=str(folder.absolute()), keys=provider)
    door.out.say(
        f"""
Ensuite :
  1. sovereign --site {folder} keys export-recovery     perdre les clés, c'est perdre les données
  2. sovereign --site {folder} connection add NOM …     relier un fournisseur
  3. sovereign --site {folder} sync run NOM             tirer les données""",
        f"""
Next:
  1. sovereign --site {folder} keys export-recovery     losing keys is losing data
  2. sovereign --site {folder} connection add NAME …    connect a vendor
  3. sovereign --site {folder} sync run NAME            pull the data""",
    )

"""Where a passphrase comes from: a file, the service manager, a person; never an argument, never an environment value.

In order: the file named by SOVEREIGN_PASSPHRASE_FILE, `$CREDENTIALS_DIRECTORY/sovereign-passphrase` (systemd), a hidden prompt
on a terminal. A new one in the place of another: SOVEREIGN_NEW_PASSPHRASE_FILE, `sovereign-new-passphrase`, a prompt given
twice. One final line break is removed.
"""

import os
import sys
from pathlib import Path
from typing import Final

from sovereign.errors import SovereignError
from sovereign.language import say

LARGEST: Final = 4096
"""Bytes read from a passphrase file at most."""


class NoPassphrase(SovereignError):
    """A passphrase is needed and nobody can be asked."""

    code = "passphrase.none"
    kind = "sealed"
    fr = "Il faut la phrase de passe de {path}, et il n'y a personne à qui la demander."
    en = "The passphrase of {path} is needed, and there is nobody to ask."
    todo_fr = "Lancez la commande dans un terminal, ou nommez un fichier dans {variable}."
    todo_en = "Run the command on a terminal, or name a file in {variable}."


class BadPassphraseFile(SovereignError):
    """The file that should hold the passphrase does not."""

    code = "passphrase.file"
    kind = "sealed"
    fr = "Le fichier de phrase de passe {path} est illisible, vide ou trop grand."
    en = "The passphrase file {path} cannot be read, is empty or is too large."
    todo_fr = "Il doit contenir une seule ligne, lisible par vous seul (chmod 600)."
    todo_en = "It must hold a single line that only you can read (chmod 600)."


def ask(site: Path, *, confirm: bool = False) -> str:
    """Give the passphrase of a site; `confirm` asks a person twice, for a new one."""
    return _given(
        "SOVEREIGN_PASSPHRASE_FILE", "sovereign-passphrase", site,
        say(f"Phrase de passe de {site.name}", f"Passphrase of {site.name}"), confirm=confirm,
    )  # fmt: skip


def ask_new(site: Path) -> str:
    """Give the passphrase that takes the place of a site's: asked twice, or from SOVEREIGN_NEW_PASSPHRASE_FILE."""
    return _given(
        "SOVEREIGN_NEW_PASSPHRASE_FILE", "sovereign-new-passphrase", site,
        say(f"Nouvelle phrase de passe de {site.name}", f"New passphrase of {site.name}"), confirm=True,
    )  # fmt: skip


def ask_signer(key: Path) -> str:
    """Give the passphrase of a signer's own key file."""
    return _given(
        "SOVEREIGN_APPROVER_PASSPHRASE_FILE", "sovereign-approver-passphrase", key,
        say(f"Phrase de passe de {key.name}", f"Passphrase of {key.name}"), confirm=False,
    )  # fmt: skip


def _given(variable: str, credential: str, site: Path, question: str, *, confirm: bool) -> str:
    if named := os.environ.get(variable):
        return _first_line(Path(named))
    if (folder := os.environ.get("CREDENTIALS_DIRECTORY")) and (path := Path(folder) / credential).is_file():
        return _first_line(path)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NoPassphrase(path=str(site), variable=variable)
    import click

    given: str = click.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True)
    return given


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            held = file.read(LARGEST + 1)
        text = held.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError):
        raise BadPassphraseFile(path=str(path)) from None
    if not text or len(held) > LARGEST or "\n" in text:
        raise BadPassphraseFile(path=str(path))
    return text

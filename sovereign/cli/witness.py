"""`sovereign witness`: a second machine that sees the audit log go on, and never back. It needs no site."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.clock import now
from sovereign.errors import SovereignError


class NoWitness(SovereignError):
    """The folder holds no witness."""

    code = "witness.none"
    kind = "usage"
    fr = "{path} n'est pas le dossier d'un témoin."
    en = "{path} is not the folder of a witness."
    todo_fr = "Créez-le avec « sovereign witness init »."
    todo_en = "Make it with `sovereign witness init`."


class CannotListen(SovereignError):
    """The door cannot be opened there."""

    code = "witness.listen"
    kind = "usage"
    fr = "La porte ne s'ouvre pas en {place} ({reason})."
    en = "The door does not open at {place} ({reason})."
    todo_fr = "Donnez une adresse et un port libres de cette machine, un certificat et sa clé lisibles."
    todo_en = "Give a free address and port of this machine, a readable certificate and its key."


command = Noun(
    "witness",
    fr="Un témoin, sur une autre machine : il cosigne ce qui prolonge le journal d'audit, jamais ce qui le réécrit.",
    en="A witness, on another machine: it cosigns what continues the audit log, never what rewrites it.",
)
if TYPE_CHECKING:
    from sovereign.audit.witness import Witness

FOLDER = click.Path(path_type=Path, file_okay=False)
PEM = click.Path(path_type=Path, dir_okay=False, exists=True)


@command.verb("init", fr="Crée un témoin et donne sa clé publique.", en="Make a witness and give its public key.")
@argument("folder", type=FOLDER, fr="Un dossier absent ou vide.", en="An absent or empty folder.")
@option("--name", required=True, metavar="NAME", fr="Son nom : un domaine, un chemin.", en="Its name: a domain, a path.")
def init(door: Door, folder: Path, name: str) -> None:
    """Its key stays in the folder."""
    from sovereign.audit.witness import Witness

    key = Witness.create(folder, name, now).verifier.vkey
    door.out.done("witness", f"Témoin créé : {key}", f"Witness made: {key}", key=key, path=str(folder))


@command.verb("trust", fr="Suit un journal, par sa clé publique.", en="Follow a log, by its public key.")
@argument("folder", type=FOLDER, fr="Le dossier du témoin.", en="The witness's folder.")
@argument("key", fr="La clé du journal, que « audit export » donne.", en="The log's key, as `audit export` gives it.")
def trust(door: Door, folder: Path, key: str) -> None:
    """From its next request on."""
    from vault.notes import Verifier

    log = Verifier.parse(key)
    _open(folder).trust(log)
    door.out.done("log", f"Journal suivi : {log.name}", f"Log followed: {log.name}", log=log.name)


@command.verb("serve", fr="Ouvre sa porte HTTP jusqu'à Ctrl-C ou SIGTERM.", en="Open its HTTP door until Ctrl-C or SIGTERM.")
@argument("folder", type=FOLDER, fr="Le dossier du témoin.", en="The witness's folder.")
@option("--host", default="127.0.0.1", show_default=True, fr="Adresse où écouter.", en="Address to listen on.")
@option("--port", type=click.IntRange(0, 65535), default=8461, show_default=True, fr="Port ; 0 en prend un libre.",
        en="Port; 0 takes a free one.")  # fmt: skip
@option("--certificate", type=PEM, fr="Certificat TLS, en PEM.", en="TLS certificate, in PEM.")
@option("--key", type=PEM, fr="Clé du certificat, en PEM.", en="The certificate's key, in PEM.")
def serve(door: Door, folder: Path, host: str, port: int, certificate: Path | None, key: Path | None) -> None:
    """Without a certificate, over plain HTTP: behind a reverse proxy."""
    import threading

    from sovereign.audit.witness_door import Door as Opened
    from sovereign.cli.sync import stopped_by_signals

    witness, place = _open(folder), f"{host}:{port}"
    try:
        listening = Opened(witness, host, port, certificate, key)
    except OSError as refused:
        raise CannotListen(place=place, reason=refused.strerror or type(refused).__name__) from None
    with stopped_by_signals() as stop, listening as opened:
        thread = threading.Thread(target=opened.serve_forever, name="witness", daemon=True)
        thread.start()
        place = f"http{'s' if certificate else ''}://{host}:{opened.server_port}"
        door.out.done("witness", f"Témoin ouvert : {place}", f"Witness open: {place}", address=place)
        stop.wait()
        opened.shutdown()
    door.out.done("stopped", "Témoin arrêté", "Witness stopped")


def _open(folder: Path) -> "Witness":
    from sovereign.audit.witness import Witness

    try:
        return Witness(folder, now)
    except FileNotFoundError:
        raise NoWitness(path=str(folder)) from None

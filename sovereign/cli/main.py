"""The entry of the command line: it chooses the language, runs one command and turns what happened into an exit code.

Faults become two lines (what happened, what to do) or one JSON line. Anything else that escapes is a defect of ours: it is
told by a code and a place in our source, never by its values, which could be data. SOVEREIGN_DEBUG=1 shows the traceback.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from sovereign import __version__
from sovereign.cli import exits
from sovereign.cli.commands import House, Option
from sovereign.cli.door import Door
from sovereign.cli.output import Output
from sovereign.cli.words import teach
from sovereign.language import LANGUAGES, say, speak
from vault.errors import Diagnostics, Fault

NOUNS: Final[dict[str, tuple[str, str]]] = {
    "init": ("Crée un site : réglages, clés, journal.", "Make a site: settings, keys, records."),
    "connection": ("Les fournisseurs auxquels ce site est relié.", "The vendors this site is connected to."),
    "connector": ("Écrire un connecteur et l'éprouver.", "Write a connector and try it."),
    "secret": ("Les secrets des fournisseurs, scellés.", "The vendors' secrets, sealed."),
    "sync": ("Tire les données des fournisseurs ; montre les exécutions.", "Pull the vendors' data; show the runs."),
    "snapshot": ("Les instantanés chiffrés : lister, comparer, vérifier.", "The encrypted snapshots: list, compare, verify."),
    "document": ("Les fichiers des fournisseurs : lister, ouvrir.", "The vendors' files: list, open."),
    "query": ("Interroge les copies locales en SQL.", "Ask the local copies questions in SQL."),
    "keys": ("Les clés : lister, changer, détruire, secourir.", "Keys: list, rotate, destroy, recover."),
    "policy": (
        "Ce qui peut partir : les politiques, leur essai, leur signature.",
        "What may leave: policies, trials, signatures.",
    ),
    "audit": ("Le journal de tout ce qui a été fait.", "The book of all that was done."),
    "access": ("Qui peut faire quoi, jusqu'à quand.", "Who may do what, until when."),
    "client": ("Les applications qui écrivent.", "The applications that write."),
    "job": ("Les synchronisations planifiées.", "Scheduled pulls."),
    "serve": ("Fait tourner les synchronisations planifiées et la passerelle.", "Run the scheduled pulls and the gateway."),
    "opening": ("Les flux que des applications demandent d'ouvrir.", "The flows that applications ask to have opened."),
    "flow": (
        "Les flux : ce qu'un changement déclenche ailleurs, par la passerelle.",
        "The flows: what a change makes happen elsewhere, by the gateway.",
    ),
    "event": ("Les événements reçus, leurs sources.", "The events that came in, their sources."),
    "subscriber": (
        "Qui est prévenu de ce qui se passe ici : lister, essayer, renvoyer.",
        "Who is told what happens here: list, try, send again.",
    ),
    "approval": ("Les écritures retenues jusqu'à une décision.", "The writes held until a decision."),
    "delivery": ("Les écritures vers les fournisseurs.", "The writes to vendors."),
    "vendor": ("Les fournisseurs : les couper, les rouvrir.", "The vendors: cut them off, open them again."),
    "witness": ("Un témoin du journal d'audit, sur une autre machine.", "A witness of the audit log, on another machine."),
    "report": ("Les rapports des flux sortants et entrants.", "The reports on outbound and inbound flows."),
    "backup": ("Les sauvegardes : faire, lister, vérifier, élaguer.", "Backups: create, list, verify, prune."),
    "restore": ("Refait un site d'une sauvegarde, et le prouve.", "Make a site again from a backup, and prove it."),
    "fsck": ("Relit tout le site, et dit ce qui est abîmé.", "Read the whole site, and say what is damaged."),
    "doctor": ("Cherche ce qui ne va pas.", "Look for what is wrong."),
    "completion": ("La complétion pour votre interpréteur.", "Completion for your shell."),
}


def _version(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"sovereign {__version__}")
        context.exit()


root = House(
    "sovereign",
    nouns=NOUNS,
    fr="Rend à la collectivité ses données confiées à des SaaS : sa copie, chiffrée, interrogeable chez elle.",
    en="Give a public body back its data held in SaaS: its own copy, encrypted, queryable on its premises.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    params=[
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            fr="Affiche la version.",
            en="Show the version.",
        )
    ],
)


def main(argv: Sequence[str] | None = None, *, out: Output | None = None) -> int:
    """Run one command line and give its exit code.

    argv: the arguments after the program's name, those of the process when None. out: the channels, standard ones when None.
    Whatever a library makes meanwhile (the engine's spill, a journal of the database) is for this account alone.
    """
    mask = os.umask(0o077)
    try:
        return _entered(argv, out)
    finally:
        os.umask(mask)


def _entered(argv: Sequence[str] | None, out: Output | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    _choose_language(arguments)
    teach()
    door = Door(out or Output())
    # A command line that cannot be read must still answer a machine in JSON.
    door.out.json = door.out.json or "--json" in _before_dashes(arguments)
    return _run(arguments, door)


def _run(arguments: list[str], door: Door) -> int:
    try:
        try:
            left = root.main(arguments, prog_name="sovereign", standalone_mode=False, obj=door)
        finally:
            door.close()
    except Fault as fault:
        door.out.fault(fault)
        return exits.OF_KIND[fault.kind]
    except (KeyboardInterrupt, click.Abort):
        door.out.error(Diagnostics("cancelled", say("Interrompu.", "Cancelled."), ""))
        return exits.CANCELLED
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message())
        return exits.USAGE
    except click.ClickException as refused:
        context = getattr(refused, "ctx", None)
        path = context.command_path if context else "sovereign"
        todo = say(f"Aide : « {path} --help ».", f"Help: `{path} --help`.")
        door.out.error(Diagnostics("usage", refused.format_message(), todo))
        return exits.USAGE
    except SystemExit as gone:
        # click leaves so when the reader went away (`| head`) and after completion.
        return gone.code if isinstance(gone.code, int) else exits.FAILED
    except Exception as defect:  # noqa: BLE001 - the last line of defence: see the module's docstring
        return _defect(defect, door)
    return left if isinstance(left, int) and left else door.exit


def _defect(defect: Exception, door: Door) -> int:
    if os.environ.get("SOVEREIGN_DEBUG") == "1":
        sys.excepthook(type(defect), defect, defect.__traceback__)
    place, step = "?", defect.__traceback__
    home = Path(__file__).parents[2]
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if file.is_relative_to(home) and "site-packages" not in file.parts:
            place = f"{file.relative_to(home)}:{step.tb_lineno}"
        step = step.tb_next
    door.out.error(
        Diagnostics(
            "internal",
            say(
                f"Erreur imprévue ({type(defect).__name__}, {place}) ; les valeurs en jeu ne sont pas montrées.",
                f"Unexpected error ({type(defect).__name__}, {place}); the values at hand are not shown.",
            ),
            say(
                "C'est un défaut de Sovereign : signalez-le avec cette ligne. SOVEREIGN_DEBUG=1 montre le détail.",
                "This is a defect of Sovereign: report it with this line. SOVEREIGN_DEBUG=1 shows the detail.",
            ),
        ),
        {"error": type(defect).__name__, "place": place},
    )
    return exits.FAILED


def _before_dashes(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _choose_language(arguments: list[str]) -> None:
    """Act on `--lang` before anything is shown, wherever it stands."""
    seen = _before_dashes(arguments)
    for position, argument in enumerate(seen):
        name, _, value = argument.partition("=")
        if name == "--lang":
            wanted = value or (seen[position + 1] if position + 1 < len(seen) else "")
            if wanted in LANGUAGES:
                speak(wanted)


if __name__ == "__main__":
    sys.exit(main())

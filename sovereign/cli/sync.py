"""`sovereign sync`: pull, and look at what was pulled."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli import exits
from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.cli.telling import UNPROVEN, as_record, blame, evidence, lasted, tell
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.sync.outcome import RunOutcome

command = Noun(
    "sync",
    fr="Les synchronisations : des données du fournisseur à une copie chiffrée, vérifiée, datée.",
    en="Pulls: from the vendor's data to an encrypted, verified, dated copy.",
)


NOW: Final = option(
    "--now",
    is_flag=True,
    fr="N'attend pas la fin de la pause que le fournisseur a demandée.",
    en="Do not wait for the end of the pause that the vendor asked for.",
)


@command.verb(
    "run",
    fr="Tire une connexion, ou toutes. Une exécution interrompue reprend où elle en était.",
    en="Pull one connection, or all. An interrupted pull resumes where it was.",
)
@argument("name", type=CONNECTION, required=False, fr="La connexion ; toutes sinon.", en="The connection; all otherwise.")
@option(
    "--stream",
    "streams",
    multiple=True,
    metavar="S",
    fr="Ce flux seulement ; plusieurs fois.",
    en="This stream only; several times.",
)
@option(
    "--full",
    is_flag=True,
    fr="Relit tout, sans partir du dernier curseur.",
    en="Read everything again, not from the last cursor.",
)
@NOW
@option(
    "--accept",
    default=None,
    metavar="REASON",
    fr="Publie sans garde-fou, cette fois : une copie en quarantaine a été examinée. La raison va au journal, scellée.",
    en="Publish without guards, this once: a quarantined copy was reviewed. The reason goes to the audit log, sealed.",
)
def run(door: Door, name: str | None, streams: tuple[str, ...], full: bool, now: bool, accept: str | None) -> None:
    """Run, follow, and sum up."""
    from sovereign.cli.progress import follow
    from sovereign.sync.errors import StillWaiting

    site = door.site()
    names = [name] if name else sorted(site.settings.connections)
    if streams and name is None:
        raise click.UsageError(say("--stream demande le nom d'une connexion", "--stream needs a connection's name"))
    if accept is not None and name is None:
        raise click.UsageError(say("--accept demande le nom d'une connexion", "--accept needs a connection's name"))
    if not names:
        door.out.say("Aucune connexion à tirer.", "No connection to pull.")
    codes = []
    with stopped_by_signals() as stop:
        for each in names:
            try:
                with follow(door.out) as progress:
                    outcome = site.syncs.run(
                        each, streams=list(streams) or None, full=full, progress=progress, stop=stop, now=now, accept=accept
                    )
            except StillWaiting as waiting:  # the others need not wait
                door.out.fault(waiting)
                codes.append(exits.PARTIAL)
                continue
            tell(door, outcome)
            blame(door, outcome)
            codes.append(exit_of(outcome))
            if stop.is_set():
                break
    door.exit = together(codes)


def together(codes: list[int]) -> int:
    """One exit code for several runs: 0 only when all are, 130 when stopped, else 3 when something was done, else 1."""
    if exits.CANCELLED in codes:
        return exits.CANCELLED
    if len(set(codes)) <= 1:
        return codes[0] if codes else exits.DONE
    return exits.PARTIAL


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop cleanly; a second Ctrl-C interrupts at once."""
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is threading.main_thread():
        before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def exit_of(outcome: "RunOutcome") -> int:
    """The exit code of one run: its state's, or for a failure its fault's."""
    if outcome.state == "failed" and outcome.fault is not None:
        return exits.OF_KIND.get(outcome.fault.kind, exits.FAILED)  # type: ignore[call-overload,no-any-return]  # a str on record
    return exits.OF_RUN[outcome.state]


TRIGGERS: Final[dict[str, tuple[str, str]]] = {
    "hand": ("une personne", "a person"),
    "job": ("le planificateur", "the schedule"),
    "resume": ("le planificateur, après une pause", "the schedule, after a pause"),
    "replay": ("une relecture", "a replay"),
}
RUNS: Final = (
    Column("run", "exécution", "run"),
    Column("connection", "connexion", "connection"),
    Column("started_at", "début", "started", "time"),
    Column("lasted", "durée", "took"),
    Column("rows", "lignes", "rows", "number"),
    Column("bytes_in", "reçus", "received", "bytes"),
    Column("trigger", "par", "by"),
    Column("state", "état", "state", "state"),
)


@command.verb("list", fr="Liste les dernières exécutions.", en="List the latest runs.")
@argument("name", type=CONNECTION, required=False, fr="Celles d'une connexion.", en="Those of one connection.")
@option("--limit", type=click.IntRange(1), default=20, show_default=True, fr="Exécutions au plus.", en="Runs at most.")
def list_(door: Door, name: str | None, limit: int) -> None:
    """One row a run."""
    runs = door.site().runs.latest(name, limit)
    rows = (
        {
            **(
                as_record(each)
                if door.out.json
                else {
                    "run": each.run,
                    "connection": each.connection,
                    "started_at": each.started_at,
                    "rows": each.rows,
                    "bytes_in": each.bytes_in,
                    "trigger": say(*TRIGGERS.get(each.trigger, (each.trigger, each.trigger))),
                    "state": each.state,
                }
            ),
            "lasted": lasted(each),
        }
        for each in runs
    )
    door.out.table("run", RUNS, rows, empty=("Aucune exécution encore.", "No run yet."))


@command.verb(
    "show",
    fr="Montre une exécution : ce que chaque flux est devenu, les indices, la dérive.",
    en="Show one run: what became of each stream, the evidence, the drift.",
)
@argument(
    "run", required=False,
    fr="L'exécution, ou une connexion : sa dernière. Sans rien, la dernière de toutes.",
    en="The run, or a connection: its latest. With nothing, the latest of all.",
)  # fmt: skip
def show(door: Door, run: str | None) -> None:
    """Everything on record about it."""
    runs = door.site().runs
    named = run is None or run in door.site().settings.connections
    latest = next(iter(runs.latest(run, 1)), None) if named else runs.get(str(run))
    if latest is None:
        door.out.say("Aucune exécution encore.", "No run yet.")
        return
    outcome = latest
    tell(door, outcome)
    for each in outcome.streams:
        for noted in each.evidence:
            said = f"  {each.stream} · {evidence(noted.check, noted.holds, noted.detail)}"
            door.out.say(said, said)
        if each.verdict == "unverified" and not any(noted.holds for noted in each.evidence):
            door.out.say(f"  {each.stream} · {UNPROVEN[0]}", f"  {each.stream} · {UNPROVEN[1]}")
    blame(door, outcome)


@command.verb(
    "replay",
    fr="Refait les instantanés d'une exécution depuis l'archive brute, sans appeler le fournisseur.",
    en="Rebuild a run's snapshots from the raw archive, without calling the vendor.",
)
@argument("run", fr="L'exécution à relire.", en="The run to replay.")
def replay(door: Door, run: str) -> None:
    """Read the archive as if it were the vendor."""
    from sovereign.cli.progress import follow

    with stopped_by_signals() as stop, follow(door.out) as progress:
        outcome = door.site().syncs.replay(run, progress=progress, stop=stop)
    tell(door, outcome)
    blame(door, outcome)
    door.exit = exit_of(outcome)

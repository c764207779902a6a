"""`sovereign sync`: pull, and look at what was pulled."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from sovereign.cli import exits
from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.marks import mark
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.cli.progress import follow
from sovereign.language import say

command = Noun(
    "sync",
    fr="Les tirages : des données du fournisseur à une copie chiffrée, vérifiée, datée.",
    en="Pulls: from the vendor's data to an encrypted, verified, dated copy.",
)


@command.verb(
    "run",
    fr="Tire une connexion, ou toutes. Un tirage interrompu reprend où il en était.",
    en="Pull one connection, or all. An interrupted pull resumes where it was.",
)
@argument("name", type=CONNECTION, required=False, fr="La connexion ; toutes sinon.", en="The connection; all otherwise.")
@option("--stream", "streams", multiple=True, metavar="S", fr="Ce flux seulement ; plusieurs fois.", en="This stream only; several times.")
@option("--full", is_flag=True, fr="Relit tout, sans partir du dernier curseur.", en="Read everything again, not from the last cursor.")
def run(door: Door, name: str | None, streams: tuple[str, ...], full: bool) -> None:
    """Run, follow, and sum up."""
    site = door.site()
    names = [name] if name else sorted(site.settings.connections)
    if streams and name is None:
        raise click.UsageError(say("--stream demande le nom d'une connexion", "--stream needs a connection's name"))
    if not names:
        door.out.say("Aucune connexion à tirer.", "No connection to pull.")
    codes = []
    with stopped_by_signals() as stop:
        for each in names:
            with follow(door.out) as progress:
                outcome = site.syncs.run(each, streams=list(streams) or None, full=full, progress=progress, stop=stop)
            tell(door, outcome)
            codes.append(exits.OF_RUN[outcome.state])
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


def tell(door: Door, outcome: Any) -> None:  # noqa: ANN401
    """Sum up one run."""
    door.out.record("run", run=outcome.run, connection=outcome.connection, state=outcome.state)
    state = mark(outcome.state)
    door.out.say(f"{state}  {outcome.connection}", f"{state}  {outcome.connection}")


RUNS = (
    Column("run", "tirage", "run"),
    Column("connection", "connexion", "connection"),
    Column("started_at", "début", "started", "time"),
    Column("seconds", "durée", "took"),
    Column("rows", "lignes", "rows", "number"),
    Column("state", "état", "state", "state"),
)

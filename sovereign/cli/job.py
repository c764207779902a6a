"""`sovereign job`: the pulls that sovereign.toml schedules."""

from typing import Any, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.marks import cadence
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.cli.sync import NOW, exit_of, stopped_by_signals
from sovereign.cli.telling import blame, tell

command = Noun(
    "job",
    fr="Les travaux planifiés : une connexion qui a une cadence dans sovereign.toml, que « sovereign serve » fait tourner.",
    en="Scheduled jobs: a connection with a cadence in sovereign.toml, run by `sovereign serve`.",
)

JOBS: Final = (
    Column("connection", "connexion", "connection"),
    Column("cadence", "cadence", "cadence"),
    Column("due_at", "prochaine", "next", "time"),
    Column("last_due_at", "dernière", "last", "time"),
    Column("last_run", "exécution", "run"),
    Column("state", "état", "state", "state"),
)
DUES: Final = (
    Column("connection", "connexion", "connection"),
    Column("due_at", "prévue", "due", "time"),
    Column("started_at", "commencée", "started", "time"),
    Column("finished_at", "finie", "finished", "time"),
    Column("run", "exécution", "run"),
    Column("error", "défaut", "fault"),
    Column("state", "état", "state", "state"),
)


def _fields(value: Any, names: tuple[Column, ...]) -> dict[str, Any]:  # noqa: ANN401 - a frozen value of the jobs
    return {column.key: getattr(value, column.key, None) for column in names}


@command.verb(
    "list",
    fr="Liste les travaux, leur prochaine échéance et leur dernier état.",
    en="List jobs, when due next, how last ended.",
)
def list_(door: Door) -> None:
    """One row a job; that of backups last."""
    from sovereign import backed_up

    site = door.site()
    saving = backed_up.status(site)
    rows = [
        {
            **_fields(job, JOBS),
            "cadence": job.cadence if door.out.json else cadence(job.cadence),
            "zone": job.zone,
            "waiting_until": job.waiting_until,
            "late": job.late,
            "state": "running"
            if job.running
            else "late"
            if job.late
            else "waiting"
            if job.waiting_until
            else job.last_state or "never",
        }
        for job in (*site.jobs().list(), *([saving] if saving else ()))
    ]
    door.out.table(
        "job",
        JOBS,
        rows,
        empty=(
            "Aucun travail : donnez « every » ou « schedule » à une connexion.",
            "No job: give `every` or `schedule` to a connection.",
        ),
    )


@command.verb("run", fr="Fait tourner un travail maintenant, sans attendre son heure.", en="Run a job now, before its time.")
@argument("name", type=CONNECTION, fr="La connexion.", en="The connection.")
@NOW
def run(door: Door, name: str, now: bool) -> None:
    """Run, follow, and sum up."""
    from sovereign.cli.progress import follow

    with stopped_by_signals() as stop, follow(door.out) as progress:
        outcome = door.site().jobs().run(name, progress=progress, stop=stop, now=now)
    tell(door, outcome)
    blame(door, outcome)
    door.exit = exit_of(outcome)


@command.verb(
    "history",
    fr="Montre les dernières échéances et ce qu'elles sont devenues.",
    en="Show the latest due times and what became of them.",
)
@argument("name", type=CONNECTION, required=False, fr="Celles d'une connexion.", en="Those of one connection.")
@option("--limit", type=click.IntRange(1), default=20, show_default=True, fr="Échéances au plus.", en="Due times at most.")
def history(door: Door, name: str | None, limit: int) -> None:
    """One row a due time."""
    door.out.table("due", DUES, [_fields(due, DUES) for due in door.site().jobs().history(name, limit=limit)])

"""`sovereign flow`: what a change in one place makes happen in others. Each flow is a file of the site's `flows/` folder."""

import json
from pathlib import Path
from typing import Any, Final

import click

from sovereign.cli import flow_deciding
from sovereign.cli.commands import argument, option
from sovereign.cli.door import Door
from sovereign.cli.flow_noun import HTML, NAME, NAMES, bus_of, command
from sovereign.cli.flow_shown import OCCASIONS, ROWS, given, occasion_row, told, unseen
from sovereign.cli.marks import several
from sovereign.cli.output import Column
from sovereign.language import say

__all__ = ["command", "flow_deciding"]
COLUMNS: Final = (
    Column("flow", "flux", "flow"),
    Column("title", "objet", "title"),
    Column("on", "quand", "when"),
    Column("steps", "vers", "to"),
    Column("owner", "responsable", "owner"),
    Column("standing", "en service", "in force"),
    Column("last", "dernière occasion", "last occasion", "time"),
)
_STANDINGS: Final = {
    "enabled": ("oui", "yes"), "disabled": ("arrêté", "stopped"), "changed": ("non : fichier changé", "no: file changed"),
    "never": ("non", "no"), "bad": ("non : fichier refusé", "no: file refused"),
}  # fmt: skip


@command.verb("list", fr="Liste les flux, et ceux qui sont en service.", en="List the flows, and which are in force.")
def list_(door: Door) -> None:
    """One row a flow file."""
    from sovereign.flows.errors import FlowError

    bus, rows = bus_of(door), []
    for name in bus.names():
        standing, last = bus.ledger.standing(name), bus.ledger.occasions(name, 1)
        row: dict[str, Any] = {"flow": name, "last": last[0].at if last else None, "standing": "bad"}
        try:
            file = bus.check(name)
        except FlowError as fault:
            row |= {"title": fault.diagnostics("fr" if say("fr", "en") == "fr" else "en").what}
        else:
            on = file.flow.on
            row |= {
                "title": say(*file.title()), "owner": file.flow.owner,
                "on": f"{on.kind}: {on.change or on.event or on.every}",
                "steps": ", ".join(f"{step.connection}.{step.operation}" for step in file.flow.do),
                "standing": "never" if standing is None else standing.state
                if standing.state == "disabled" or standing.digest == file.digest else "changed",
            }  # fmt: skip
        rows.append(row if door.out.json else {**row, "standing": say(*_STANDINGS[row["standing"]])})
    door.out.table("flow", COLUMNS, rows, empty=("Aucun flux : voyez docs/flows.md.", "No flow: see docs/flows.md."))


@command.verb("new", fr="Part d'un modèle ; sans argument, les liste.", en="Start from a template; without one, list them.")
@argument("template", required=False, fr="Le modèle.", en="The template.")
@argument("name", required=False, fr="Le nom du flux ; sinon celui du modèle.", en="The flow's name; else the template's.")
def new(door: Door, template: str | None, name: str | None) -> None:
    """A file to make one's own, then to check, try and enable."""
    from sovereign.flows import ready

    if template is None:
        columns = (Column("template", "modèle", "template"), Column("title", "objet", "title"))
        rows = [{"template": key, "title": say(*file.title())} for key, file in sorted(ready.templates().items())]
        door.out.table("flow.template", columns, rows)
        return
    made = name or template
    ready.write(door.site().root / "flows", template, made)
    door.out.done("flow.new", f"Écrit : flows/{made}.toml, à relire", f"Written: flows/{made}.toml, to be reviewed", flow=made)


@command.verb("check", fr="Relit un fichier de flux, sans rien changer.", en="Read a flow file again, changing nothing.")
@NAME
def check(door: Door, name: str) -> None:
    """Its first mistake, or that there is none."""
    bus = bus_of(door)
    file = bus.check(name)
    steps = several(len(file.flow.do), "étape*", "step*")
    door.out.done(
        "flow.checked", f"{name} : rien à redire ({steps})", f"{name}: nothing wrong ({steps})", flow=name,
        digest=file.digest, copied=not bus.unseen(file),
    )  # fmt: skip
    if bus.unseen(file):
        unseen(door.out, str(file.flow.on.change))


@command.verb(
    "dry-run",
    fr="Dit ce qu'un flux ferait, sans rien écrire : lignes, étapes, décisions de la politique.",
    en="Tell what a flow would do, writing nothing: rows, steps, what policy would decide.",
)
@NAME
@option(
    "--since",
    type=int,
    metavar="N",
    fr="Depuis l'instantané N, au lieu du dernier changement.",
    en="Since snapshot N, instead of the last change.",
)
@option(
    "--event",
    type=click.File("rb"),
    metavar="FILE",
    fr="Les données d'un événement, en JSON.",
    en="The data of an event, JSON.",
)
@option("--rows", "show", type=click.IntRange(0, 1000), default=10, show_default=True, fr="Lignes montrées.", en="Rows shown.")
@option(
    "--decide", is_flag=True, fr="Demande aussi à la politique (service arrêté).", en="Ask policy as well (service stopped)."
)
def dry_run(door: Door, name: str, since: int | None, event: Any, show: int, decide: bool) -> None:  # noqa: ANN401 - a file
    """Counts first, then rows: their keys and what is sent, at the flow's own clearance."""
    from contextlib import nullcontext

    from sovereign import service
    from sovereign.flows.mapping import payload, plain
    from sovereign.reports.departure import ROWS as WAITING

    site, bus = door.site(), bus_of(door)
    data = None if event is None else given(event.read())
    with service.fronted(site) if decide else nullcontext() as front:
        trial = bus.trial(name, front, since=since, event=data)
    steps = {step.name: step for step in bus.check(name).flow.do}
    rows = []
    for each in trial.plan.rows[:show]:
        step = steps[each.step]
        sent = None if each.why else json.dumps(plain(payload(step, each.row)), ensure_ascii=False, default=str)
        key = " ".join(str(part) for part in each.key)
        rows.append({"key": key, "step": each.step, "write": f"{step.connection}.{step.operation}", "due_at": each.due_at,
                     "payload": sent, "state": "stopped" if each.why else "waiting", "why": each.why})  # fmt: skip
    held = trial.plan.held
    counted = f"{several(trial.plan.found, 'ligne*', 'row*')}, {several(len(trial.plan.rows), 'écriture*', 'write*')}"
    door.out.done(
        "flow.dry_run",
        f"{name} : {counted}, dont {several(trial.plan.stopped, 'arrêtée*', '')}",
        f"{name}: {counted}, {trial.plan.stopped} of them stopped",
        flow=name, occasion=trial.occasion.name, found=trial.plan.found, writes=len(trial.plan.rows),
        stopped=trial.plan.stopped, held=held, effects=dict(trial.effects),
    )  # fmt: skip
    if held:
        door.out.say(*(f"  ! {each}" for each in told(held)))
    for fr, en in trial.sentences:
        door.out.say(f"  · {fr}", f"  · {en}")
    shown = (
        rows
        if door.out.json
        else [
            {**row, "standing": say(*WAITING[str(row["state"])]), "why": say(*told(str(row["why"]))) if row["why"] else None}
            for row in rows
        ]
    )
    door.out.table("flow.row", ROWS, shown, empty=("Aucune ligne.", "No row."))


@command.verb(
    "run",
    fr="Fait agir maintenant les flux en service, sans le service.",
    en="Let the flows in force act now, without the service.",
)
@option(
    "--wait", "patience", type=click.IntRange(0, 3600), default=60, show_default=True,
    fr="Secondes laissées aux écritures pour partir.", en="Seconds that writes are given to leave.",
)  # fmt: skip
def run(door: Door, patience: int) -> None:
    """Where `sovereign serve` runs, flows act by themselves."""
    import time

    from sovereign import service

    site, bus = door.site(), bus_of(door)
    asked: list[str] = []
    with service.fronted(site) as front:
        occasions = bus.look(door.out.fault)
        while done := bus.work(front):
            asked += done
        ends = time.monotonic() + patience
        while any(each.state in _LEAVING for each in front.known(asked).values()) and time.monotonic() < ends:
            time.sleep(0.05)
    writes = len(asked)
    counted = f"{several(occasions, 'occasion*', 'occasion*')}, {several(writes, 'écriture* confiée*', 'write*')}"
    door.out.done(
        "flow.ran", f"{counted} à la passerelle", f"{counted} given to the gateway", occasions=occasions, writes=writes,
    )  # fmt: skip


_LEAVING: Final = ("received", "approved", "queued", "in_flight")


@command.verb(
    "show",
    fr="Montre un flux : ses occasions, ou ce qu'il a fait pour un enregistrement.",
    en="Show a flow: its occasions, or what it did for one record.",
)
@NAME
@option("--key", multiple=True, metavar="VALUE", fr="La clé d'un enregistrement ; répétable.", en="A record's key; repeatable.")
@option("--occasion", default=None, metavar="NAME", fr="Une occasion : ses lignes.", en="One occasion: its rows.")
@option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, fr="Combien, au plus.", en="How many, at most."
)
@HTML
@NAMES
def show(door: Door, name: str, key: tuple[str, ...], occasion: str | None, limit: int, html: Path | None, names: bool) -> None:
    """Systems with their seconds and their state, when a record or an occasion is asked for."""
    from sovereign.cli.flow_shown import rows_of
    from sovereign.tracing import made

    if html is not None:
        if not key:
            raise click.UsageError(
                say("--html est la page d'un enregistrement : donnez --key.", "--html is the page of a record: give --key.")
            )
        from sovereign.cli.flow_pages import record_page

        record_page(door, name, key, html, names=names)
        return
    site, bus = door.site(), bus_of(door)
    bus.known(name)
    if not key and occasion is None:
        rows = [occasion_row(each, json_=door.out.json) for each in bus.ledger.occasions(name, limit)]
        door.out.table("flow.occasion", OCCASIONS, rows, empty=("Aucune occasion.", "No occasion."))
        return
    record = bus.ledger.record(name, key) if key else None
    if occasion is not None:
        bus.occasion(name, occasion)
    kept = bus.ledger.rows(name, occasion, record, limit)
    if names:
        made(site, "occasion", names=names, flow=name)
    rows = rows_of(site, bus, kept, json_=door.out.json, names=names or bool(key))  # whoever gives a key knows it
    door.out.table("flow.row", ROWS, rows, empty=("Aucune ligne.", "No row."))


@command.verb(
    "pending",
    fr="Ce que les flux ont encore à faire, enregistrement par enregistrement : ce qui est en retard d'abord, et qui décide.",
    en="What flows still have to do, record by record: what is late first, and who decides.",
)
@argument("name", required=False, fr="Un flux ; tous sinon.", en="One flow; all of them if not given.")
@option("--late", is_flag=True, fr="Ce qui est en retard seulement.", en="Only what is late.")
@option(
    "--grace", type=click.IntRange(0, 525_600), default=15, show_default=True, metavar="MINUTES",
    fr="Minutes laissées à une étape avant qu'elle soit en retard.", en="Minutes that a step has before it is late.",
)  # fmt: skip
@HTML
@NAMES
def pending(door: Door, name: str | None, late: bool, grace: int, html: Path | None, names: bool) -> None:
    """One row a record that is not over."""
    from sovereign.cli.flow_pages import pending as told

    if name is not None:
        bus_of(door).known(name)
    told(door, name, late=late, grace=grace, html=html, names=names)


@command.verb(
    "map",
    fr="La cartographie : ce qui est déclaré et ce qui est observé, applications, connexions, copies, événements, flux.",
    en="The map: what is declared and what is observed, applications, connections, copies, events, flows.",
)
@option(
    "--from",
    "since",
    default=None,
    metavar="DATE",
    fr="Volumes depuis ce jour ; sinon 30 jours.",
    en="Volumes since this day; else 30 days.",
)
@option("--marked", is_flag=True, fr="Seulement ce qui est à regarder.", en="Only what is to be looked at.")
@option(
    "--svg",
    "drawing",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    fr="Le dessin, dans un fichier nouveau.",
    en="The drawing, in a new file.",
)
@HTML
@option(
    "--article30",
    "register",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    fr="Le registre des traitements (RGPD, article 30), en CSV, dans un fichier nouveau.",
    en="The record of processing activities (GDPR, article 30), as CSV, in a new file.",
)
def map_(door: Door, since: str | None, marked: bool, drawing: Path | None, html: Path | None, register: Path | None) -> None:
    """One row an exchange; to programs, also each item and each line of the record."""
    from sovereign.cli.flow_map import draw

    draw(door, since=since, marked=marked, drawing=drawing, html=html, register=register)

"""`sovereign report`: what left and what entered over a period, for whoever answers for it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli import exits
from sovereign.cli.commands import Noun, option
from sovereign.cli.door import Door
from sovereign.cli.files import refuse_to_replace, write_folder, written_privately
from sovereign.cli.naming import instant, since_instant
from sovereign.errors import SovereignError
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.reports import Kind, Report
    from sovereign.site import Site

command = Noun(
    "report",
    fr="Les rapports : ce qui est sorti, ce qui est entré, et si le journal d'audit tient.",
    en="The reports: what left, what entered, and whether the audit log holds.",
)

SPAN: Final = timedelta(days=30)
FORMATS: Final = ("html", "csv", "json")


class EmptyPeriod(SovereignError):
    """A period that ends before it begins."""

    code = "report.period"
    kind = "usage"
    fr = "La période finit avant de commencer : du {since} au {until}."
    en = "The period ends before it begins: from {since} to {until}."
    todo_fr = "Donnez --from avant --to."
    todo_en = "Give --from before --to."


Verb = Callable[..., None]


def _options(verb: Verb) -> Verb:
    """What both reports are asked with."""
    for each in reversed((
        option("--from", "since", default=None, metavar="DATE",
               fr="Depuis ce jour ou cet instant ; sinon 30 jours.", en="Since this day or instant; else 30 days."),
        option("--to", "until", default=None, metavar="DATE",
               fr="Jusqu'à ce jour compris, ou cet instant ; maintenant sinon.",
               en="Until this day, included, or instant; now if not given."),
        option("--format", "format_", type=click.Choice(FORMATS), default="html", show_default=True,
               fr="Une page, des feuilles (un dossier, un fichier par tableau), ou un fichier pour un programme.",
               en="A page, sheets (a folder, one file a table), or a file for a program."),
        option("--output", type=click.Path(path_type=Path), metavar="PATH",
               fr="Où l'écrire ; un nom tiré de la période, dans le dossier courant, sinon.",
               en="Where to write it; a name made of the period, in the current folder, if not given."),
        option("--names", is_flag=True, fr="Nomme les personnes, au lieu de leur pseudonyme ; c'est inscrit au journal.",
               en="Name people, instead of their pseudonym; that is entered in the log."),
    )):  # fmt: skip
        verb = each(verb)
    return verb


@command.verb(
    "outbound",
    fr="Ce qui est sorti : écritures, refus, constats, issues inconnues, et les actes sur le site.",
    en="What left: writes, refusals, findings, unknown outcomes, and the acts on the site.",
)
@_options
def outbound(door: Door, **asked: Any) -> None:  # noqa: ANN401 - the options of `_report`
    """Exit code 20 when the audit log does not hold; the report says so and is written."""
    _report(door, "outbound", **asked)


@command.verb(
    "inbound",
    fr="Ce qui est entré : synchronisations, dérive, quarantaines, questions et exports, et les actes sur le site.",
    en="What entered: pulls, drift, quarantines, questions and exports, and the acts on the site.",
)
@_options
def inbound(door: Door, **asked: Any) -> None:  # noqa: ANN401 - the options of `_report`
    """Exit code 20 when the audit log does not hold; the report says so and is written."""
    _report(door, "inbound", **asked)


def _report(
    door: Door, kind: "Kind", *, since: str | None, until: str | None, format_: str, output: Path | None, names: bool
) -> None:
    from sovereign.reporting import report

    site = door.site()
    begin, end = _period(site, since, until)
    path = output or Path(_name(kind, begin, end, site.settings.site.zone) + ("" if format_ == "csv" else f".{format_}"))
    refuse_to_replace(path)
    made = report(site, kind, begin, end, names=names)
    _write(path, format_, made)
    intact = made.verdict.intact
    door.exit = exits.DONE if intact else exits.UNVERIFIED
    fr, en = ("journal intact", "log intact") if intact else ("LE JOURNAL NE TIENT PAS", "THE LOG DOES NOT HOLD")
    door.out.done(
        "report", f"{made.title.fr} : {path} ({fr})", f"{made.title.en}: {path} ({en})",
        path=str(path), kind=kind, intact=intact, since=begin, until=end,
    )  # fmt: skip


def _period(site: "Site", since: str | None, until: str | None) -> tuple[datetime, datetime]:
    zone = site.settings.site.zone
    end = instant(until, zone) + timedelta(microseconds=1) if until else site.clock() + timedelta(microseconds=1)
    begin = since_instant(since, zone) if since else end - SPAN
    if begin >= end:
        raise EmptyPeriod(since=since or begin.isoformat(), until=until or end.isoformat())
    return begin, end


def _name(kind: str, begin: datetime, end: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    first, last = (each.astimezone(ZoneInfo(zone)).date() for each in (begin, end - timedelta(microseconds=1)))
    return say(f"rapport-{'sortant' if kind == 'outbound' else 'entrant'}-{first}-{last}", f"report-{kind}-{first}-{last}")


def _write(path: Path, format_: str, made: "Report") -> None:
    from sovereign.reports import page, record, sheets

    if format_ != "csv":
        with written_privately(path, replace=False) as sink:
            sink.write(page.page(made) if format_ == "html" else record.record(made))
        return
    write_folder(path, sheets.sheets(made))

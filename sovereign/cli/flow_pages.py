"""The pages of flows: one record followed to its evidence, and every record that is not over."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sovereign.cli.door import Door
from sovereign.cli.files import refuse_to_replace, written_privately
from sovereign.cli.output import Column

if TYPE_CHECKING:
    from sovereign.reports.model import Dossier


SPAN: Final = timedelta(days=30)
"""The period of a map, when none is asked for."""


def record_page(door: Door, flow: str, key: Sequence[str], path: Path, *, names: bool) -> None:
    """Write the page of one record; that it was made is entered."""
    from sovereign.reports.departing import of_record
    from sovereign.tracing import Tracing, made

    refuse_to_replace(path)
    site = door.site()
    trace = Tracing(site, names=names).record(flow, key)
    told = of_record(trace, site=site.settings.site.name, zone=site.settings.site.zone, now=site.clock())
    made(site, told.kind, names=names, flow=flow, record=trace.record)
    page(door, path, told)


def pending(door: Door, flow: str | None, *, late: bool, grace: int, html: Path | None, names: bool) -> None:
    """Tell what is not over, as rows, or write its page; the latter is entered, and that names were shown."""
    from sovereign.reports.departing import CUT, PENDING, lines, of_all
    from sovereign.tracing import Tracing, made

    if html is not None:
        refuse_to_replace(html)
    site, patience = door.site(), timedelta(minutes=grace)
    tracing, now = Tracing(site, names=names), site.clock()
    steps = tracing.pending(flow)
    if late:
        behind = {(step.flow, step.record) for step in steps if step.late(now, patience)}
        steps = [step for step in steps if (step.flow, step.record) in behind]
    if html is not None or names:
        made(site, "pending", names=names, **({"flow": flow} if flow else {}))
    if html is not None:
        settings = site.settings.site
        troubled = tracing.troubled(flow)
        told = of_all(
            steps, troubled, site=settings.name, zone=settings.zone, now=now, grace=patience, whole=tracing.whole
        )  # fmt: skip
        page(door, html, told)
        return
    columns = [Column(each.key, each.title.fr, each.title.en, "time" if each.kind == "time" else "text") for each in PENDING]
    rows = [plainly(line) if door.out.json else _shorter(line) for line in lines(steps, now, patience)]
    door.out.table("flow.pending", columns, rows, empty=("Tout est fait.", "All is done."))
    if not tracing.whole:
        door.out.remark(CUT.label.fr, CUT.label.en)


def page(door: Door, path: Path, told: "Dossier", figure: str = "") -> None:
    """Write a dossier as a page."""
    from sovereign.reports import page as pages

    with written_privately(path, replace=False) as sink:
        sink.write(pages.dossier(told, figure))
    door.out.done("report", f"{told.title.fr} : {path}", f"{told.title.en}: {path}", path=str(path), kind=told.kind)


def plainly(line: dict[str, Any]) -> dict[str, Any]:
    """A row for a machine: codes rather than words."""
    from sovereign.reports.record import plain

    return {name: plain(value) for name, value in line.items()}


def said(line: dict[str, Any]) -> dict[str, Any]:
    """A row for a person; what is late bears a mark besides."""
    from sovereign.reports.model import Alarm, Code

    def word(value: object) -> object:
        if isinstance(value, Alarm):
            return f"✗ {value.label}"
        if isinstance(value, Code):
            return str(value.label)
        return "; ".join(str(word(each)) for each in value) if isinstance(value, tuple) else value

    return {name: word(value) for name, value in line.items()}


def _shorter(line: dict[str, Any]) -> dict[str, Any]:
    """A line of what is pending, as a terminal shows it: the first thing to do, and how many more like it."""
    first, *others = line["what"]
    return {**said(line), "what": f"{first.label} (+{len(others)})" if others else str(first.label)}

"""The map of flows on the command line: a table, a drawing, a page, and the record of processing activities as a sheet."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sovereign.cli.door import Door
from sovereign.cli.files import refuse_to_replace, written_privately
from sovereign.cli.flow_pages import SPAN, page, plainly, said
from sovereign.cli.naming import since_instant
from sovereign.cli.output import Column


def draw(
    door: Door, *, since: str | None, marked: bool, drawing: Path | None, html: Path | None, register: Path | None
) -> None:
    """Survey the site; write the files asked for, each entered as a report, or tell the exchanges."""
    from sovereign.cartography import drawing as drawn
    from sovereign.cartography import register as lines
    from sovereign.cartography.telling import dossier
    from sovereign.registering import Register
    from sovereign.reports import sheets
    from sovereign.surveying import Survey
    from sovereign.tracing import made

    for path in filter(None, (drawing, html, register)):
        refuse_to_replace(path)
    site = door.site()
    survey = Survey(site, _since(since, site.settings.site.zone, site.clock()))
    chart = survey.chart()
    if not (drawing or html or register or door.out.json):
        _exchanges(door, chart, marked=marked)
        return
    table = lines.table(Register(site, survey, chart).lines())
    if drawing is not None:
        made(site, "map", names=False)
        with written_privately(drawing, replace=False) as sink:
            sink.write(drawn.svg(chart).encode())
        door.out.done("report", f"Cartographie : {drawing}", f"Map: {drawing}", path=str(drawing), kind="map")
    if html is not None:
        made(site, "map", names=False)
        page(door, html, dossier(chart, table), drawn.svg(chart))
    if register is not None:
        made(site, "article30", names=False)
        with written_privately(register, replace=False) as sink:
            sink.write(sheets.sheet(table, chart.zone))
        door.out.done("report", f"Registre : {register}", f"Record: {register}", path=str(register), kind="article30")
    if door.out.json and not (drawing or html or register):
        _exchanges(door, chart, marked=marked)
        keys = [column.key for column in table.columns]
        door.out.table("flow.treatment", (), (plainly(dict(zip(keys, row, strict=True))) for row in table.rows))


def _exchanges(door: Door, chart: Any, *, marked: bool) -> None:  # noqa: ANN401 - a Chart, whose module loads late
    from sovereign.cartography.telling import EDGES, NODES, boxes, exchanges

    for type_, told, rows in (("flow.item", NODES, boxes(chart)), ("flow.exchange", EDGES, exchanges(chart))):
        if type_ == "flow.item" and not door.out.json:
            continue
        columns = [Column(each.key, each.title.fr, each.title.en, _kind(each.kind)) for each in told]
        kept = [row for row in rows if row["marks"] or not marked]
        shown = [plainly(row) if door.out.json else said(row) for row in kept]
        door.out.table(type_, columns, shown, empty=("Rien à montrer.", "Nothing to show."))


def _kind(kind: str) -> Any:  # noqa: ANN401 - a kind of column
    return kind if kind in ("number", "bytes", "time") else "text"


def _since(text: str | None, zone: str, now: datetime) -> datetime:
    return since_instant(text, zone) if text else now - SPAN

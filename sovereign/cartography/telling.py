"""A map as tables: what the drawing shows, for whoever reads rather than looks, for sheets and for programs. Pure."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sovereign.cartography.chart import ARROWS, KINDS, MARKS, Chart, Edge, Mark, Node
from sovereign.reports.labels import CLASSES, coded
from sovereign.reports.model import Alarm, Cell, Code, Column, Dossier, Fact, Section, Table, Words

EDGES = (
    Column("source", Words("de", "from")),
    Column("target", Words("vers", "to")),
    Column("kind", Words("échange", "exchange")),
    Column("what", Words("opérations, types", "operations, types")),
    Column("classes", Words("classes déclarées", "classes declared")),
    Column("found", Words("classes trouvées", "classes found")),
    Column("rows", Words("lignes", "rows"), "number"),
    Column("bytes", Words("octets", "bytes"), "bytes"),
    Column("writes", Words("écritures", "writes"), "number"),
    Column("done", Words("dont faites", "of which done"), "number"),
    Column("last", Words("vu le", "last seen"), "time"),
    Column("marks", Words("à regarder", "to look at")),
)
"""The columns of what goes from one box to another."""
NODES = (
    Column("kind", Words("quoi", "what")),
    Column("name", Words("nom", "name")),
    Column("detail", Words("détail", "detail")),
    Column("classes", Words("classes", "classes")),
    Column("rows", Words("lignes", "rows"), "number"),
    Column("bytes", Words("octets", "bytes"), "bytes"),
    Column("last", Words("vu le", "last seen"), "time"),
    Column("marks", Words("à regarder", "to look at")),
)
"""The columns of what there is."""


def dossier(chart: Chart, register: Table | None = None) -> Dossier:
    """The map as a dossier: what is to be looked at first, then every exchange, every box, the record of processing."""
    edges, nodes = list(exchanges(chart)), list(boxes(chart))
    marked = [(edge, row) for edge, row in zip(chart.edges, edges, strict=True) if edge.marks]
    strange = [(node, row) for node, row in zip(chart.nodes, nodes, strict=True) if node.marks]
    title = Words("Cartographie des flux", "Map of flows")
    marks = [*(node.marks for node in chart.nodes), *(edge.marks for edge in chart.edges)]
    counted: Counter[str] = Counter(mark for each in marks for mark in each)
    facts = (
        Fact("since", Words("volumes depuis le", "volumes since"), chart.since, "time"),
        *(Fact(mark, words, _count(mark, counted[mark]), "number") for mark, words in MARKS.items()),
    )
    sections = [
        Section("look", Words("À regarder", "To look at"), (
            Table("strange", Words("Éléments", "Items"), NODES, [_row(row, NODES) for _, row in strange]),
            Table("marked", Words("Échanges", "Exchanges"), EDGES, [_row(row, EDGES) for _, row in marked]),
        )),
        Section("exchanges", Words("Tous les échanges", "Every exchange"),
                (Table("edges", Words("De gauche à droite du dessin", "From left to right of the drawing"), EDGES,
                       [_row(row, EDGES) for row in edges]),)),
        Section("items", Words("Tous les éléments", "Every item"),
                (Table("nodes", Words("Les cases du dessin", "The boxes of the drawing"), NODES,
                       [_row(row, NODES) for row in nodes]),)),
    ]  # fmt: skip
    if register is not None:
        sections.append(
            Section("article30", Words("Registre des traitements (RGPD, article 30)",
                                       "Record of processing activities (GDPR, article 30)"), (register,))
        )  # fmt: skip
    return Dossier("map", title, chart.site, chart.made_at, chart.zone, facts, tuple(sections))


def _count(mark: str, count: int) -> Cell:
    return Alarm(mark, Words(f"{count}", f"{count}")) if count and mark != "unseen" else count


def exchanges(chart: Chart) -> Iterator[dict[str, Any]]:
    """Every arrow, as cells by column."""
    named = {node.key: node for node in chart.nodes}
    for edge in chart.edges:
        yield {
            "source": _name(named, edge.source), "target": _name(named, edge.target), "kind": coded(edge.kind, dict(ARROWS)),
            "what": edge.what, "classes": _classes(edge.classes), "found": _classes(edge.found), "rows": edge.rows,
            "bytes": edge.bytes, "writes": edge.writes, "done": edge.done, "last": edge.last, "marks": _marks(edge),
        }  # fmt: skip


def boxes(chart: Chart) -> Iterator[dict[str, Any]]:
    """Every box, as cells by column."""
    for node in chart.nodes:
        yield {
            "kind": coded(node.kind, dict(KINDS)), "name": node.name, "detail": node.detail, "classes": _classes(node.classes),
            "rows": node.rows, "bytes": node.bytes, "last": node.last, "marks": _marks(node),
        }  # fmt: skip


def _name(named: dict[str, Node], key: str) -> Code:
    node = named[key]
    fr, en = KINDS[node.kind]
    return Code(key, Words(f"{node.name} ({fr})", f"{node.name} ({en})"))


def _classes(classes: tuple[str, ...]) -> tuple[Code, ...]:
    return tuple(coded(each, CLASSES) for each in classes)


def _marks(each: Node | Edge) -> tuple[Code, ...]:
    return tuple(_mark(mark) for mark in each.marks)


def _mark(mark: Mark) -> Code:
    return Code(mark, MARKS[mark]) if mark == "unseen" else Alarm(mark, MARKS[mark])


def _row(row: dict[str, Any], columns: tuple[Column, ...]) -> tuple[Cell, ...]:
    return tuple(row[column.key] for column in columns)

"""A map as SVG: no script, nothing fetched, every text escaped; what a colour says, a word or a line says too.

Each box and each arrow has a title, which assistive technology reads and a pointer shows. The tables of `telling` say the same.
"""

import math
from typing import Final
from unicodedata import category

from sovereign.cartography.chart import ARROWS, COLUMNS, KINDS, MARKS, SHORT, Chart, Edge, Node
from sovereign.cartography.layout import BETWEEN, HEIGHT, LEFT, TOP, WIDTH, laid
from sovereign.language import language, say
from sovereign.reports.labels import CLASSES as NAMED
from sovereign.reports.showing import dated, whole

INK: Final = "#161616"
RED: Final = "#b60000"
LINE: Final = "#5b5b5b"
FILLS: Final = {
    "vendor": "#e8edff", "sender": "#ffe9f1", "connection": "#e3f6e8", "client": "#f2e9ff", "dataset": "#fff3d6",
    "event": "#ffe9f1", "door": "#eeeeee", "flow": "#dff4f8", "news": "#eeeeee", "target": "#e8edff", "subscriber": "#ffe9f1",
}  # fmt: skip
"""The fill of each kind of box; ink and red stand out on each of them by more than 4.5 to 1."""
_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"
LONGEST: Final = 30
"""Characters of a name that a box shows."""


def svg(chart: Chart) -> str:
    """Draw a map, in the language of this process."""
    found, nodes = laid(chart), {node.key: node for node in chart.nodes}
    title = say(f"Cartographie des flux de {chart.site}", f"Map of the flows of {chart.site}")
    counts = f"{len(chart.nodes)} {say('éléments', 'items')}, {len(chart.edges)} {say('échanges', 'exchanges')}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {found.width} {found.height}" width="{found.width}"'
    head += f' height="{found.height}" role="group" aria-labelledby="map-title map-desc" lang="{language()}">'
    parts = [
        head,
        f'<title id="map-title">{escaped(title)}</title>',
        f'<desc id="map-desc">{escaped(f"{counts}. {_legend_words()}")}</desc>',
        _STYLE,
        f'<rect width="{found.width}" height="{found.height}" fill="#fff"/>',
        *_heads(),
    ]
    for edge, points in found.arrows:
        parts.append(_arrow(edge, nodes, points, chart.zone))
    for node in chart.nodes:
        left, top = found.boxes[node.key]
        parts.append(_box(node, left, top, chart.zone))
    return "\n".join((*parts, "</svg>\n"))


_STYLE: Final = (
    f"<style>text{{font:12px system-ui,sans-serif;fill:{INK}}}.s,.m{{font-size:10px}}"
    f".m{{font-weight:700;fill:{RED}}}.h{{font-size:14px;font-weight:700}}path{{fill:none;stroke:{LINE}}}"
    f".u{{stroke-dasharray:5 4}}.x{{stroke:{RED};stroke-dasharray:1.5 3}}.a{{stroke:{RED};stroke-dasharray:14 3}}"
    f".b{{stroke:{LINE}}}"
    f".d{{stroke:{RED};stroke-dasharray:1.5 3}}"
    + "".join(f".{kind}{{fill:{fill}}}" for kind, fill in FILLS.items())
    + "</style>"
)


def _legend_words() -> str:
    return say(
        "Trait plein : observé ; tirets : déclaré, jamais observé ; pointillés : observé, n'est plus déclaré ; "
        "longs tirets : classe au-dessus du déclaré.",
        "Full line: observed; dashes: declared, never observed; dots: observed, no more declared; "
        "long dashes: class above what is declared.",
    )


def _heads() -> list[str]:
    """The legend, and the title of each column."""
    marks = " · ".join(f"{SHORT[mark]} = {words}" for mark, words in MARKS.items())
    lines = [f'<text x="{LEFT}" y="24">{escaped(_legend_words())}</text>', f'<text x="{LEFT}" y="44">{escaped(marks)}</text>']
    for number, words in enumerate(COLUMNS):
        left = LEFT + number * (WIDTH + BETWEEN)
        lines.append(f'<text class="h" x="{left}" y="{TOP - 14}">{escaped(str(words))}</text>')
    return lines


def _box(node: Node, left: int, top: int, zone: str) -> str:
    edge = "d" if "undeclared" in node.marks else "b u" if "unseen" in node.marks else "b"
    marks = " ".join(str(SHORT[mark]) for mark in node.marks)
    under = short(" · ".join(each for each in (str(KINDS[node.kind]), node.detail, _rows(node)) if each), 40)
    second = f'<text class="s" x="{left + 8}" y="{top + 29}">{escaped(under)}</text>'
    if marks:
        kind = short(f"{KINDS[node.kind]} ", 22)
        second = (
            f'<text class="s" x="{left + 8}" y="{top + 29}">{escaped(kind)}<tspan class="m">{escaped(marks)}</tspan></text>'
        )
    return (
        f'<g role="img"><title>{escaped(told(node, zone))}</title><rect class="{node.kind} {edge}" x="{left}" y="{top}"'
        f' width="{WIDTH}" height="{HEIGHT}" rx="4"/><text x="{left + 8}" y="{top + 15}">{escaped(short(node.name))}</text>'
        f"{second}</g>"
    )


def _rows(node: Node) -> str:
    return "" if node.rows is None else f"{whole(node.rows)} {say('lignes', 'rows')}"


def _arrow(edge: Edge, nodes: dict[str, Node], points: tuple[tuple[int, int], ...], zone: str) -> str:
    kind = "x" if not edge.declared else "u" if not edge.observed else "a" if "above" in edge.marks else ""
    (x, y), *rest = points
    path = [f"M{x} {y}"]
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2:
            path.append(f"H{to_x}")
        else:
            half = (x + to_x) // 2
            path.append(f"C{half} {y} {half} {to_y} {to_x} {to_y}")
        x, y = to_x, to_y
    path.append(f"M{x - 6} {y - 4}L{x} {y}L{x - 6} {y + 4}")
    carried = max(edge.rows or 0, edge.writes or 0)
    width = round(1 + min(math.log10(1 + carried), 6) * 0.5, 1)
    style = f' class="{kind}"' if kind else ""
    said = f"{nodes[edge.source].name} → {nodes[edge.target].name} : {carries(edge, zone)}"
    return f'<g role="img"><title>{escaped(said)}</title><path{style} stroke-width="{width}" d="{"".join(path)}"/></g>'


def told(node: Node, zone: str) -> str:
    """What a box says, in one line."""
    parts = [f"{KINDS[node.kind]} {node.name}", node.detail, ", ".join(str(NAMED[each]) for each in node.classes), _rows(node)]
    if node.last is not None:
        parts.append(f"{say('vu le', 'last seen')} {dated(node.last, zone)[:16]}")
    return ", ".join(each for each in (*parts, *(str(MARKS[mark]) for mark in node.marks)) if each)


def carries(edge: Edge, zone: str) -> str:
    """What an arrow carries, in one line."""
    parts = [str(ARROWS[edge.kind])]
    if edge.writes is not None:
        parts.append(f"{whole(edge.writes)} {say('écritures', 'writes')}")
    if edge.rows is not None:
        parts.append(f"{whole(edge.rows)} {say('lignes', 'rows')}")
    if edge.bytes is not None:
        parts.append(f"{whole(edge.bytes)} {say('octets', 'bytes')}")
    if edge.last is not None:
        parts.append(f"{say('vu le', 'last seen')} {dated(edge.last, zone)[:16]}")
    return ", ".join((*parts, *(str(MARKS[mark]) for mark in edge.marks)))


def short(text: str, most: int = LONGEST) -> str:
    """A text that fits a box."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def escaped(text: str) -> str:
    """A text that stands in XML: markup escaped, and what XML 1.0 cannot hold replaced."""
    plain = "".join(each if each.isprintable() or category(each) == "Zs" else _UNKNOWN for each in text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")

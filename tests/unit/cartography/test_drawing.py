"""The drawing of a map holds at the size of a city: no box over another, no text that is markup, the same to the pixel."""

import time
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from xml.etree import ElementTree as ET

import pytest

from sovereign.cartography.chart import KINDS, MARKS, SHORT, Chart, Edge, Mark, Node, NodeKind
from sovereign.cartography.drawing import FILLS, INK, LINE, RED, escaped, svg
from sovereign.cartography.layout import HEIGHT, WIDTH, laid
from sovereign.cartography.telling import dossier
from sovereign.language import speak
from sovereign.reports.page import dossier as page
from tests.servers.pages import read

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOSTILE = "<script>alert('1')</script>\"&\x00\x1b\N{RIGHT-TO-LEFT OVERRIDE}"


def chart(nodes: list[Node], edges: list[Edge]) -> Chart:
    return Chart("Ville", "Europe/Paris", AT, AT, tuple(nodes), tuple(edges))


def node(kind: NodeKind, name: str, **more: object) -> Node:
    return Node(f"{kind}:{name}", kind, name, **more)  # type: ignore[arg-type]


def city(applications: int) -> Chart:
    """As many vendors, connections, applications, copies and targets, and flows between them."""
    chance, nodes, edges = Random("a city"), [], []  # noqa: S311 - a drawing, not a secret
    for number in range(applications):
        name = f"application_{number:03}"
        mark: tuple[Mark, ...] = (chance.choice(list(MARKS)),) if number % 7 == 0 else ()
        nodes += [
            node("vendor", f"{name}.fournisseur.example", last=AT),
            node("connection", name, detail="rest", last=AT, marks=mark),
            node("dataset", f"{name}.dossiers", classes=("internal", "personal"), rows=chance.randrange(10**6), last=AT),
            node("client", f"metier-{number:03}", detail="instruction des dossiers"),
            node("door", name), node("target", name, detail=f"{name}.fournisseur.example"),
        ]  # fmt: skip
        edges += [
            Edge(f"vendor:{name}.fournisseur.example", f"connection:{name}", "pull", rows=10**6, bytes=10**9, last=AT),
            Edge(f"connection:{name}", f"dataset:{name}.dossiers", "copy", rows=10**6, last=AT, marks=mark),
            Edge(f"client:metier-{number:03}", f"door:{name}", "write", writes=chance.randrange(1000), last=AT),
            Edge(f"door:{name}", f"target:{name}", "deliver"),
        ]
        if number % 4 == 0:
            nodes.append(node("flow", f"flux-{number:03}"))
            edges.append(Edge(f"dataset:{name}.dossiers", f"flow:flux-{number:03}", "read", rows=3, last=AT))
            for target in chance.sample(range(applications), min(5, applications)):
                edges.append(Edge(f"flow:flux-{number:03}", f"target:application_{target:03}", "write", writes=3, last=AT))
    return chart(nodes, edges)


@pytest.mark.parametrize("applications", [0, 1, 3, 40, 250])
def test_no_box_stands_over_another_and_all_are_within_the_drawing(applications: int) -> None:
    made = city(applications)
    found = laid(made)
    assert set(found.boxes) == {each.key for each in made.nodes}
    by_column: dict[int, list[int]] = {}
    for left, top in found.boxes.values():
        by_column.setdefault(left, []).append(top)
        assert 0 <= left <= found.width - WIDTH
        assert 0 <= top <= found.height - HEIGHT
    lefts = sorted(by_column)
    assert all(after - before > WIDTH for before, after in pairwise(lefts))
    for tops in by_column.values():
        assert all(after - before >= HEIGHT for before, after in pairwise(sorted(tops)))


def test_an_arrow_passes_behind_no_box() -> None:
    found = laid(city(60))
    for _, points in found.arrows:
        for (x, y), (to_x, _) in pairwise(points):
            if to_x - x == WIDTH:  # it crosses a column
                over = [top for left, top in found.boxes.values() if left == x and top < y < top + HEIGHT]
                assert over == []


def test_a_city_of_250_applications_is_drawn_in_less_than_a_mebibyte_and_two_seconds_of_work() -> None:
    made, begin = city(250), time.thread_time()
    drawn = svg(made)
    assert time.thread_time() - begin < 2.0
    assert len(drawn.encode()) < 2**20
    assert drawn == svg(city(250))


def test_every_box_and_arrow_has_a_title_and_the_whole_a_name() -> None:
    speak("en")
    made = city(3)
    root = ET.fromstring(svg(made))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("aria-labelledby") == "map-title map-desc"
    groups = root.findall(f"{space}g")
    assert len(groups) == len(made.nodes) + len(made.edges)
    titles = [each.findtext(f"{space}title") or "" for each in groups]
    assert all(titles)
    assert any("12,345" in each or "rows" in each for each in titles)
    assert {each.tag.removeprefix(space) for each in root.iter()} <= {
        "svg", "title", "desc", "style", "rect", "text", "tspan", "g", "path",
    }  # fmt: skip


def test_hostile_names_are_text_and_nothing_else() -> None:
    speak("fr")
    made = chart([node("client", HOSTILE, detail=HOSTILE), node("door", HOSTILE)], [Edge(f"client:{HOSTILE}", f"door:{HOSTILE}", "write", what=(HOSTILE,))])  # fmt: skip # noqa: E501
    drawn = svg(made)
    assert "<script" not in drawn
    ET.fromstring(drawn)  # noqa: S314 - our own
    shown = read(page(dossier(made), drawn).decode())
    shown.sound("fr")
    assert not shown.tags["script"]
    assert escaped("\x1b") == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("mark", sorted(MARKS))
@pytest.mark.parametrize("tongue", ["fr", "en"])
def test_a_mark_is_a_word_whatever_its_colour(mark: Mark, tongue: str) -> None:
    speak(tongue)
    drawn = svg(chart([node("flow", "depart", marks=(mark,))], []))
    assert drawn.count(str(SHORT[mark])) == 2, "on its box, and in the legend"


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_stand_out_as_aa_asks() -> None:
    assert set(FILLS) == set(KINDS)
    for fill in (*FILLS.values(), "#ffffff"):
        assert contrast(INK, fill) >= 4.5
        assert contrast(RED, fill) >= 4.5
        assert contrast(LINE, fill) >= 3.0

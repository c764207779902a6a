"""Where boxes and arrows go: columns from left to right, boxes near what they are joined to, never one over another.

1. Deterministic: the same map gives the same drawing, to the pixel.
2. An arrow over several columns has a place of its own in each column it passes, so that it runs behind no box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sovereign.cartography.chart import COLUMN, COLUMNS, Chart, Edge

WIDTH, HEIGHT, GAP, BETWEEN, LANE = 224, 36, 10, 110, 6
"""Pixels: of a box, between boxes of a column, between columns, and the height of a place for an arrow that passes."""
LEFT, TOP = 24, 96
SWEEPS: Final = 4


@dataclass(slots=True)
class Place:
    """A place in a column: its height, and the middle of it, from the top."""

    key: str
    column: int
    height: int
    middle: float = 0.0


@dataclass(frozen=True, slots=True)
class Laid:
    """Boxes by key (left, top), arrows as their points, and the size of the whole, in pixels."""

    boxes: Mapping[str, tuple[int, int]]
    arrows: tuple[tuple[Edge, tuple[tuple[int, int], ...]], ...]
    width: int
    height: int


def laid(chart: Chart) -> Laid:
    """Lay a map out."""
    places = {node.key: Place(node.key, COLUMN[node.kind], HEIGHT) for node in chart.nodes}
    ways: list[tuple[Edge, list[str]]] = []
    for number, edge in enumerate(chart.edges):
        if edge.source not in places or edge.target not in places:
            continue
        way = [edge.source]
        for column in range(places[edge.source].column + 1, places[edge.target].column):
            passing = f"\0{number}.{column}"
            places[passing] = Place(passing, column, LANE)
            way.append(passing)
        ways.append((edge, [*way, edge.target]))
    columns: list[list[Place]] = [[] for _ in COLUMNS]
    for place in places.values():
        columns[place.column].append(place)
    _sweep(columns, [way for _, way in ways])
    boxes = {
        key: (_left(place.column), TOP + round(place.middle - HEIGHT / 2)) for key, place in places.items() if key[0] != "\0"
    }
    arrows = tuple((edge, _points(way, places)) for edge, way in ways)
    bottom = max((place.middle + place.height / 2 for place in places.values()), default=0.0)
    return Laid(boxes, arrows, _left(len(COLUMNS) - 1) + WIDTH + LEFT, TOP + round(bottom) + GAP * 3)


def _left(column: int) -> int:
    return LEFT + column * (WIDTH + BETWEEN)


def _sweep(columns: Sequence[list[Place]], ways: Sequence[Sequence[str]]) -> None:
    """Stack each column, then move each near what it is joined to, forth and back."""
    near: dict[str, list[Place]] = {}
    known = {place.key: place for column in columns for place in column}
    for way in ways:
        for before, after in pairwise(way):
            near.setdefault(before, []).append(known[after])
            near.setdefault(after, []).append(known[before])
    for column in columns:
        column.sort(key=lambda place: place.key.lstrip("\0"))
        _stack(column, {})
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            side = -1 if sweep % 2 == 0 else 1
            wanted = {}
            for place in column:
                joined = [each.middle for each in near.get(place.key, ()) if (each.column - place.column) * side > 0]
                wanted[place.key] = sum(joined) / len(joined) if joined else place.middle
            column.sort(key=lambda place: (wanted[place.key], place.key))
            _stack(column, wanted)


def _stack(column: Sequence[Place], wanted: Mapping[str, float]) -> None:
    """Give each its place, in order: as near as can be to where it would be, below the one before."""
    least = 0.0
    for place in column:
        place.middle = max(least + place.height / 2, wanted.get(place.key, 0.0))
        least = place.middle + place.height / 2 + (GAP if place.height == HEIGHT else LANE)
    above = column[0].middle - column[0].height / 2 if column else 0.0
    drift = min(above, sum(place.middle - wanted.get(place.key, place.middle) for place in column) / max(len(column), 1))
    for place in column:
        place.middle -= max(drift, 0.0)


def _points(way: Sequence[str], places: Mapping[str, Place]) -> tuple[tuple[int, int], ...]:
    """From the right of the first box to the left of the last, across each place it passes."""
    points: list[tuple[int, int]] = []
    for number, key in enumerate(way):
        left, middle = _left(places[key].column), TOP + round(places[key].middle)
        if number:
            points.append((left, middle))
        if number < len(way) - 1:
            points.append((left + WIDTH, middle))
    return tuple(points)

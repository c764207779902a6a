"""GeoJSON features (RFC 7946) become rows, and their pages a walk that trusts no link.

1. A feature's properties become columns; `id` (as text: servers mix numbers and texts), `geometry` (GeoJSON text, as it was
   written) and, when asked, `bbox` (west, south, east, north) stand beside them. A property of one of these names, whatever
   its case, or that of another property but for its case, gets a column of its own.
2. The `next` link is followed on the same host only; `self` never. Where there is none although the page was full, or where
   it leads elsewhere (a server that does not know its public address), the next page is asked for by offset.
3. A feature without an identifier cannot be followed from one copy to the next: it is refused.
"""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from saas_connectors.connector import Json
from saas_connectors.errors import SchemaError
from saas_connectors.paging import Seen, Step, follow, next_of, put
from saas_connectors.request import Request

RESERVED: Final = frozenset({"id", "geometry", "bbox", "_key", "_op"})


@dataclass(frozen=True, slots=True)
class FeaturePages:
    """How OGC API Features cuts a collection into pages (17-069r4, section 7.15); see `saas_connectors.paging.Paging`.

    A position is `{"next": address}` or `{"offset": number}`; `given` counts the features of the pages before.
    """

    size: int

    @property
    def asked(self) -> int | None:
        """Features asked for in one page."""
        return self.size

    def start(self) -> Json:
        """The first page."""
        return {}

    def request(self, base: Request, position: Json) -> Request:
        """Follow the link or ask for the offset, with the headers of the first request: a link often loses `f=json`."""
        if "next" in position:
            return replace(base, url=position["next"], params=())
        return put(base, {"limit": self.size, "offset": position.get("offset")})

    def step(self, position: Json, seen: Seen) -> Step:
        """The next page: by link, else by offset when there may be one."""
        given = position.get("given", 0) + seen.rows
        if seen.rows == 0:
            return Step(None)
        link = _next(seen.document.find("links"))
        url = follow(seen.request.url, link) if link else None
        if url:
            return Step({"next": url, "given": given})
        full = seen.rows >= self.size or (seen.total is not None and given < seen.total)
        if link is None and not full and "offset" not in position:
            return Step(None)
        return Step({"offset": given, "given": given} | ({"tail": True} if link is None else {}))

    def ranges(self, _seen: Seen, _ways: int) -> tuple[Json, ...]:
        """One read: the core of the standard knows no offset."""
        return (self.start(),)


def _next(links: Json) -> str | None:
    """The next link, empty when only a page of another format than JSON has one: there is more, to be asked for by offset."""
    link = next_of(links if isinstance(links, list) else ())
    if link is None:
        return None
    kind = str(link.get("type") or "json")
    return str(link["href"]) if "json" in kind.lower() else ""


class _Feature(msgspec.Struct):
    id: str | int | float | None = None
    geometry: msgspec.Raw = msgspec.Raw(b"null")
    properties: dict[str, msgspec.Raw] | None = None


class _Geometry(msgspec.Struct):
    coordinates: Any = ()
    geometries: "list[_Geometry]" = []


_PAGE = msgspec.json.Decoder(list[_Feature])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_ONE = msgspec.json.Decoder(_Feature)
_TEXT = msgspec.json.Decoder(str)
_SHAPE = msgspec.json.Decoder(_Geometry | None)


@dataclass(slots=True)
class Features:
    """Turns the features of one collection into flat JSON rows; remembers the columns given to names."""

    stream: str
    keyed_by_id: bool = True
    bbox: bool = False
    columns: dict[str, str] = field(default_factory=dict)
    invalid: int = 0

    def rows(self, features: bytes) -> list[dict[str, Json]]:
        """Flatten a raw JSON array of features; values stay as they were written. Raises `SchemaError` for a missing id."""
        return [self._row(feature) for feature in self._decoded(features)]

    def _decoded(self, features: bytes) -> Iterator[_Feature]:
        try:
            yield from _PAGE.decode(features)
        except msgspec.ValidationError:
            for item in _ITEMS.decode(features):
                try:
                    yield _ONE.decode(item)
                except msgspec.ValidationError:
                    self.invalid += 1

    def _row(self, feature: _Feature) -> dict[str, Json]:
        if feature.id is None and self.keyed_by_id:
            raise SchemaError(
                stream=self.stream,
                expected_fr="chaque objet porte un identifiant ; sinon, dites ses champs clés dans « key »",
                expected_en="each feature bears an id; otherwise, name its key fields in `key`",
            )
        geometry = bytes(feature.geometry)
        row: dict[str, Json] = {
            "id": None if feature.id is None else str(feature.id),
            "geometry": None if geometry == b"null" else geometry.decode(),
        }
        if self.bbox:
            row["bbox"] = _bounds(geometry)
        for name, value in sorted((feature.properties or {}).items()):
            row[self.columns.get(name) or self.column(name)] = value
        return row

    def column(self, name: str) -> str:
        """Give the column of a property."""
        if name not in self.columns:
            column = f"properties_{name}" if name.lower() in RESERVED else name
            if column.lower() in {other.lower() for other in self.columns.values()}:
                column = f"{column}_{binascii.crc32(name.encode()):08x}"
            self.columns[name] = column
        return self.columns[name]


def text(value: Json) -> str | None:
    """Read a raw property that should be a text; None when it is not."""
    try:
        return _TEXT.decode(value) if value is not None else None
    except msgspec.DecodeError:
        return None


def _bounds(geometry: bytes) -> list[float] | None:
    try:
        shape = _SHAPE.decode(geometry)
    except (msgspec.DecodeError, RecursionError):
        return None
    points = list(_points(shape)) if shape else []
    if not points:
        return None
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def _points(shape: _Geometry) -> Iterator[tuple[float, float]]:
    for part in shape.geometries:
        yield from _points(part)
    waiting = [shape.coordinates]
    while waiting:
        held = waiting.pop()
        if isinstance(held, list) and len(held) > 1 and all(isinstance(number, int | float) for number in held[:2]):
            yield float(held[0]), float(held[1])
        elif isinstance(held, list):
            waiting.extend(held)

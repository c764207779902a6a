"""Reads of an OGC API Features server that the local copy answers: the collections, one of them, its features, one feature.

1. Only what the copy can answer exactly: a list by page and by equality of properties, a feature by its identifier. Any other
   parameter of the standard (`bbox`, `datetime`, `filter`, `sortby`, …) is the vendor's alone.
2. A collection is known by the stream that bears its identifier, or that says it in `collection`; no name is guessed.
3. An answer is GeoJSON as the standard writes it, without links to follow but the next page: it says no more than the copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

from saas_connectors.connector import Json, MirrorQuery, Presented
from saas_connectors.urban.features import RESERVED, Features
from saas_connectors.urban.ogc_features import GEOJSON
from saas_connectors.urban.pull import CollectionSettings
from saas_connectors.writing import READS, below

QUERY_NAMES: Final = frozenset(
    {
        "bbox", "bbox-crs", "crs", "datetime", "f", "filter", "filter-crs", "filter-lang", "lang", "limit", "offset", "profile",
        "properties", "q", "resulttype", "skipGeometry", "sortby", "startindex", "zoom-level",
    }
)  # fmt: skip
_JSON: Final = "application/json"
_USUAL, _MOST = 10, 10_000
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Mirroring:
    """What is known of one server's collections; `names`: those offered, None for all."""

    url: str
    names: frozenset[str] | None
    tables: Mapping[str, CollectionSettings]

    def collection(self, stream: str) -> str:
        """The identifier of a stream's collection."""
        said = self.tables.get(stream)
        return said.collection if said is not None and said.collection is not None else stream

    def is_read(self, method: str, _path: str, /) -> bool:
        """GET and HEAD, as the standard promises."""
        return method in READS

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """See `saas_connectors.connector.Writer`."""
        cut = below(self.url, path)
        if method not in READS or cut is None:
            return None
        asked = parse_qsl(cut[1], keep_blank_values=True)
        params = dict(asked)
        if len(params) != len(asked) or params.pop("f", "json") not in ("json", "geojson"):
            return None
        match [unquote(step) for step in cut[0].strip("/").split("/")]:
            case ["collections"] if not params:
                return MirrorQuery("streams")
            case ["collections", name] if not params and (stream := self._stream(name)):
                return MirrorQuery("streams", detail=stream)
            case ["collections", name, "items"] if stream := self._stream(name):
                return self._list(stream, params)
            case ["collections", name, "items", identifier] if not params and (stream := self._stream(name)):
                if self.tables.get(stream, CollectionSettings()).key is None:
                    return MirrorQuery("record", stream, (("id", identifier),))
        return None

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], total: int, /) -> Presented:
        """See `saas_connectors.connector.Writer`."""
        if query.kind == "streams":
            listed = [self._described(row) for row in rows if query.detail in (None, row["stream"])]
            if query.detail is None:
                return _answer(200, {"links": [], "collections": listed})
            return _answer(200, listed[0]) if listed else _missing()
        if query.kind == "record":
            return _answer(200, self._feature(rows[0]), GEOJSON) if rows else _missing()
        links = []
        if query.offset + len(rows) < total:
            following = [*((name, value) for name, value in query.detail), ("offset", str(query.offset + len(rows)))]
            name = quote(self.collection(query.stream), safe="")
            href = f"{self.url}/collections/{name}/items?{urlencode(following)}"
            links.append({"rel": "next", "type": GEOJSON, "href": href})
        features = [self._feature(row) for row in rows]
        counts = {"numberMatched": total, "numberReturned": len(features)}
        return _answer(200, {"type": "FeatureCollection", "features": features, "links": links, **counts}, GEOJSON)

    def _stream(self, collection: str) -> str | None:
        for stream, said in self.tables.items():
            if said.collection == collection:
                return stream
        said_of = self.tables.get(collection)
        if said_of is not None and said_of.collection is not None:
            return None  # that stream is another collection's
        known = self.names if self.names is not None else frozenset(self.tables) or None
        return collection if known is None or collection in known else None

    def _list(self, stream: str, params: Mapping[str, str]) -> MirrorQuery | None:
        filters = {name: value for name, value in params.items() if name not in ("limit", "offset")}
        if filters.keys() & QUERY_NAMES:
            return None
        try:
            limit, offset = int(params.get("limit", _USUAL)), int(params.get("offset", 0))
        except ValueError:
            return None
        if limit < 1 or offset < 0:
            return None
        features = Features(stream)
        kept = tuple((features.column(name), value) for name, value in sorted(filters.items()))
        detail = [[name, value] for name, value in params.items() if name != "offset"]
        return MirrorQuery("list", stream, kept, min(limit, _MOST), offset, detail)

    def _described(self, row: Mapping[str, Json]) -> dict[str, Json]:
        name = self.collection(row["stream"])
        href = f"{self.url}/collections/{quote(name, safe='')}/items"
        links = [{"rel": "items", "type": GEOJSON, "href": href}]
        return {"id": name, "title": row.get("title") or name, "itemType": "feature", "links": links}

    def _feature(self, row: Mapping[str, Json]) -> dict[str, Json]:
        geometry = row.get("geometry")
        feature: dict[str, Json] = {
            "type": "Feature",
            "id": row.get("id"),
            "geometry": msgspec.Raw(geometry.encode()) if isinstance(geometry, str) else None,
            "properties": {_property(name): value for name, value in row.items() if name not in ("id", "geometry", "bbox")},
        }
        return feature | ({"bbox": row["bbox"]} if row.get("bbox") is not None else {})


def _property(column: str) -> str:
    """The property whose column this is (see `features`)."""
    plain = column.removeprefix("properties_")
    return plain if plain != column and plain.lower() in RESERVED else column


def _answer(status: int, document: Mapping[str, Json], kind: str = _JSON) -> Presented:
    return Presented(status, kind, _ENCODER.encode(document))


def _missing() -> Presented:
    return _answer(404, {"code": "NotFound", "description": "not in the local copy"})

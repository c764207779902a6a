"""GeoJSON (RFC 7946): a FeatureCollection as a table: the properties, `id` as text, `geometry` as GeoJSON text.

A property called `id` or `geometry` stands beside the feature's own under `properties.id`, `properties.geometry`.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from saas_connectors.connector import Json
from saas_connectors.formats.columns import Raw, content, gather
from saas_connectors.formats.format import Reading, Rejected, Row, Unreadable, Values
from saas_connectors.formats.json_rows import decoded, encoded

_OWN: Final = ("id", "geometry")
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


class _GeoJson:
    """See the law above."""

    name = "geojson"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        document = decoded(body, settings.limits)
        features = document.get("features") if isinstance(document, dict) else None
        if not isinstance(features, list) or document.get("type") != "FeatureCollection":
            raise Unreadable(why_fr="ce n'est pas une FeatureCollection", why_en="it is not a FeatureCollection")
        for rank, feature in enumerate(features, 1):
            yield _row(rank, feature)

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        return gather(self.rows(body, settings), settings.limits, _OWN)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:  # noqa: ARG002
        """See `Format`: a geometry that is not GeoJSON is refused."""
        features = []
        for row in rows:
            shape = row.get("geometry")
            try:
                geometry = _DECODER.decode(shape) if isinstance(shape, str) else shape
            except msgspec.DecodeError:
                geometry = shape
            if geometry is not None and not isinstance(geometry, dict):
                raise Unreadable(why_fr="une géométrie n'est pas du GeoJSON", why_en="a geometry is not GeoJSON")
            properties = {_property(name): row.get(name) for name in columns if name not in _OWN}
            feature: dict[str, Json] = {"type": "Feature", "geometry": geometry, "properties": properties}
            features.append(feature if row.get("id") is None else feature | {"id": row["id"]})
        return encoded({"type": "FeatureCollection", "features": features}) + b"\n"


GEOJSON: Final = _GeoJson()


def _property(name: str) -> str:
    own = name.removeprefix("properties.")
    return own if own in _OWN else name


def _row(rank: int, feature: Json) -> Row | Rejected:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return Rejected(rank, "shape", "", content(feature))
    properties, geometry, name = feature.get("properties") or {}, feature.get("geometry"), feature.get("id")
    if not isinstance(properties, dict) or not isinstance(geometry, dict | None) or isinstance(name, dict | list | bool):
        return Rejected(rank, "shape", "", content(feature))
    held = {f"properties.{key}" if key in _OWN else key: value for key, value in properties.items()}
    own = {"id": None if name is None else str(name), "geometry": None if geometry is None else encoded(geometry).decode()}
    return Row(rank, {**own, **held})

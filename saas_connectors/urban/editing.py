"""OGC API Features, part 4 (OGC 20-002): features created, replaced, updated and deleted, in the collections `writes` names.

1. A feature that is created has no identifier of ours: servers choose, whatever is sent. What finds it
   again is its `reference`, a property that the connection declares; without one, a creation of unknown outcome stays unknown.
2. A creation first looks whether its reference is taken, and is refused when it is.
3. Replacing, updating (JSON merge patch, RFC 7396) and deleting leave the same, sent once or twice. Where a server knows no
   PATCH (`update = "replace"`), the feature is read, merged, and put back under the version read, if the server gives one.
4. What is read back is compared with what was asked, properties exactly, coordinates within what a 32-bit float keeps.
5. What may be written, and in what shape, is in `operations`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit

from saas_connectors.answer import accept, cut, decode
from saas_connectors.comparison import COORDINATES, differences
from saas_connectors.connector import Applied, Change, Class, Exchange, Fetch, Json, Operation, Probed, ReadBack
from saas_connectors.errors import Malformed, SettingsError, Unauthorized
from saas_connectors.lookup import Lookup, Names
from saas_connectors.payloads import encode
from saas_connectors.request import Pairs, Request, Response
from saas_connectors.stream_settings import read_classes
from saas_connectors.urban.features import Features
from saas_connectors.urban.mirroring import QUERY_NAMES, Mirroring
from saas_connectors.urban.ogc_features import GEOJSON, load
from saas_connectors.urban.operations import operations
from saas_connectors.urban.pull import CollectionSettings
from saas_connectors.writing import FRESH, GONE, called, declared, refused, written

PATCH: Final = "application/merge-patch+json"
_KINDS: Final[Mapping[str, Literal["replace", "update", "delete"]]] = {
    "replace_item": "replace", "update_item": "update", "delete_item": "delete",
}  # fmt: skip


def make(name: str, settings: Mapping[str, Json]) -> "Editing":
    """Make the writing side of one connection; raises `SettingsError`."""
    asked, names, tables = load(name, settings)
    writes = tuple(asked.writes or ())
    for stream in writes:
        if names is not None and stream not in names:
            known = ", ".join(sorted(names))
            raise SettingsError(
                field=f"connections.{name}.writes", expected_fr=f"parmi : {known}", expected_en=f"among: {known}"
            )
    for stream, table in tables.items():
        if table.reference in QUERY_NAMES:
            raise SettingsError(
                field=f"connections.{name}.streams.{stream}.reference",
                expected_fr="une propriété dont le nom n'est pas un paramètre du standard",
                expected_en="a property whose name is no parameter of the standard",
            )
    url = asked.url.rstrip("/")
    return Editing(url, names, tables, name, writes, asked.update == "patch", operations(writes, tables))


@dataclass(frozen=True, slots=True)
class Editing(Mirroring):
    """The writing side of one connection; `patches`: whether the server knows PATCH. See `saas_connectors.connector.Writer`."""

    name: str
    writes: tuple[str, ...]
    patches: bool
    known: Mapping[str, Operation]

    def operations(self) -> tuple[Operation, ...]:
        """Those of part 4, when `writes` names a collection."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The feature; a creation is the reference's, or stands alone."""
        self._declared(operation, payload)
        stream = payload["collection"]
        if operation != "create_item":
            return f"{stream}/{payload['id']}"
        if names := self._names(stream, payload["feature"]["properties"]):
            return f"{stream}?{'&'.join(f'{name}={value}' for name, value in names.items())}"
        return f"{stream}/+{hashlib.sha256(encode(payload)).hexdigest()[:32]}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Of the properties written, as the stream classes them; a geometry is a field like any other."""
        self._declared(operation, payload)
        said = self.tables.get(payload["collection"], CollectionSettings())
        given, features = read_classes("classes", said.classes), Features(payload["collection"])
        part = payload.get("feature") or payload.get("changes") or {}
        fields = {"id"} if "id" in payload else set()
        fields |= {"geometry"} if part.get("geometry") is not None else set()
        fields |= {features.column(name) for name in sorted(part.get("properties") or {})}
        return frozenset(given.get(field, "personal") for field in fields)

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """The feature: by its identifier, or by its reference when it is new."""
        self._declared(operation, payload)
        stream = payload["collection"]
        fields = self._columns(stream, payload.get("feature") or payload.get("changes") or {})
        if operation == "create_item":
            names = self._names(stream, payload["feature"]["properties"])
            column = Features(stream).column
            return (Change("create", stream, tuple((column(name), value) for name, value in names.items()), fields),)
        return (Change(_KINDS[operation], stream, (("id", payload["id"]),), fields),)

    def passed(self, method: str, path: str, body: Json, /) -> tuple[Change, ...]:
        """See `saas_connectors.connector.Writer`."""
        return called(self.mirror("GET", path.partition("?")[0]), method, body, self._columns)

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Create, replace, update or delete one feature."""
        self._declared(operation, payload)
        if operation == "create_item":
            return (yield from self._create(payload))
        headers: Pairs = (("If-Match", payload["version"]),) if "version" in payload else ()
        url = self._item(payload["collection"], payload["id"])
        if operation == "delete_item":
            request = Request("DELETE", url, headers=headers)
        elif operation == "replace_item":
            body = {"type": "Feature", "id": payload["id"], **_plain(payload["feature"])}
            request = Request("PUT", url, headers=(("Content-Type", GEOJSON), *headers), body=encode(body))
        elif self.patches:
            request = Request("PATCH", url, headers=(("Content-Type", PATCH), *headers), body=encode(payload["changes"]))
        else:
            request = yield from self._merged(url, payload, headers)
        (response,) = yield Fetch((request,))
        if operation != "delete_item" or response.status not in GONE:
            written(request, response)
        return Applied(response.status, payload["id"])

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Read the feature by its identifier, or by its reference."""
        self._declared(operation, payload)
        if operation != "create_item":
            return (yield from self._seen(operation, payload, payload["id"]))
        if applied.vendor_id is not None:
            return (yield from self._seen(operation, payload, applied.vendor_id))
        state, feature = yield from self._find(payload)
        if state == "found":
            return _judged(operation, payload, feature)
        return ReadBack("absent" if state == "missing" else "unsupported")

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """The same look; for a creation, by its reference alone."""
        self._declared(operation, payload)
        if operation == "create_item":
            state, feature = yield from self._find(payload)
            if state == "found":
                return Probed("landed", str(feature["id"]) if feature.get("id") is not None else None)
            return Probed("did_not_happen" if state == "missing" else "inconclusive")
        seen = yield from self._seen(operation, payload, payload["id"])
        if seen.outcome == "unsupported":
            return Probed("inconclusive")
        return Probed("landed", payload["id"]) if seen.outcome == "confirmed" else Probed("did_not_happen")

    def _columns(self, stream: str, part: Mapping[str, Json]) -> dict[str, Json]:
        """What a feature, or changes to one, give by column of the copy."""
        given, features = part.get("properties"), Features(stream)
        made = {features.column(name): value for name, value in sorted(given.items())} if isinstance(given, Mapping) else {}
        return made | ({"geometry": part["geometry"]} if "geometry" in part else {})

    def _declared(self, operation: str, payload: Json) -> Operation:
        return declared(self.known, self.name, operation, payload)

    def _items(self, stream: str) -> str:
        return f"{self.url}/collections/{quote(self.collection(stream), safe='')}/items"

    def _item(self, stream: str, identifier: str) -> str:
        return f"{self._items(stream)}/{quote(identifier, safe='')}"

    def _create(self, payload: Json) -> Exchange[Applied]:
        url = self._items(payload["collection"])
        body = encode({"type": "Feature", **_plain(payload["feature"])})
        request = Request("POST", url, headers=(("Content-Type", GEOJSON), ("Accept", GEOJSON)), body=body)
        state, _ = yield from self._find(payload, prove=False)
        if state == "found":
            raise refused(request, 409, "exists")
        (response,) = yield Fetch((request,))
        written(request, response)
        return Applied(response.status, _named(url, request, response))

    def _merged(self, url: str, payload: Json, headers: Pairs) -> Exchange[Request]:
        """Read a feature and merge the changes into it."""
        request = Request("GET", url, headers=(("Accept", GEOJSON), FRESH))
        (response,) = yield Fetch((request,))
        put = Request("PUT", url, headers=(("Content-Type", GEOJSON), *headers))
        if response.status in GONE:
            raise refused(put, response.status, "not_found")
        feature = _feature(request, response)
        tag = response.headers.get("ETag", "")
        if not headers and tag.startswith('"'):
            headers = (("If-Match", tag),)
        merged = {"type": "Feature", "id": feature.get("id", payload["id"]), **merge(_plain(feature), payload["changes"])}
        return Request("PUT", url, headers=(("Content-Type", GEOJSON), *headers), body=encode(merged))

    def _seen(self, operation: str, payload: Json, identifier: str) -> Exchange[ReadBack]:
        request = Request("GET", self._item(payload["collection"], identifier), headers=(("Accept", GEOJSON), FRESH))
        (response,) = yield Fetch((request,))
        gone = response.status in GONE
        if operation == "delete_item" and (gone or 200 <= response.status < 300):
            return ReadBack("confirmed" if gone else "absent")
        if gone:
            return ReadBack("absent")
        try:
            return _judged(operation, payload, _feature(request, response))
        except Unauthorized:  # some servers refuse what is not there
            return ReadBack("unsupported")

    def _names(self, stream: str, properties: Mapping[str, Json]) -> Names:
        reference = self.tables[stream].reference if stream in self.tables else None
        return {reference: str(properties[reference])} if reference and properties.get(reference) is not None else {}

    def _find(self, payload: Json, *, prove: bool = True) -> Exchange[tuple[str, Json]]:
        """Look for the feature that bears the payload's reference."""
        stream = payload["collection"]
        wanted = self._names(stream, payload["feature"]["properties"])
        if not wanted:
            return "unsure", None
        limit = ("limit", "10")
        look = Lookup(
            lambda names: Request(
                "GET", self._items(stream), params=(limit, *names.items()), headers=(("Accept", GEOJSON), FRESH)
            ),
            _features,
            lambda feature: self._names(stream, feature.get("properties") or {}) or None,
        )
        return (yield from look.find(wanted, prove=prove))


def merge(held: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    """Apply a JSON merge patch to an object (RFC 7396, section 2); a feature's own members stay, be they null."""
    made = dict(held)
    for name, value in changes.items():
        if isinstance(value, Mapping) and name != "geometry":
            inner = made.get(name)
            made[name] = {k: v for k, v in merge(inner if isinstance(inner, Mapping) else {}, value).items() if v is not None}
        else:
            made[name] = value
    return made


def _plain(feature: Mapping[str, Json]) -> dict[str, Json]:
    return {"geometry": feature.get("geometry"), "properties": feature.get("properties") or {}}


def _judged(operation: str, payload: Json, held: Mapping[str, Json]) -> ReadBack:
    where = "changes" if operation == "update_item" else "feature"
    asked = payload[where]
    found = differences(asked.get("properties"), held.get("properties"), where, "properties")
    if "geometry" in asked:
        found += differences(asked["geometry"], held.get("geometry"), where, "geometry", tolerance=COORDINATES)
    return ReadBack("differs", found) if found else ReadBack("confirmed")


def _feature(request: Request, response: Response) -> Mapping[str, Any]:
    accept(request, response)
    found = decode(request, response)
    if not isinstance(found, dict) or not isinstance(found.get("properties") or {}, dict):
        path = urlsplit(request.url).path
        raise Malformed(
            method=request.method, path=path, status=response.status, expected_fr="un objet GeoJSON était attendu",
            expected_en="a GeoJSON feature was expected",
        )  # fmt: skip
    return found


def _features(request: Request, response: Response) -> list[Mapping[str, Any]]:
    accept(request, response)
    cut(request, response, "features")
    found = decode(request, response)["features"] or []
    return [feature for feature in found if isinstance(feature, dict) and isinstance(feature.get("properties") or {}, dict)]


def _named(url: str, request: Request, response: Response) -> str | None:
    """The identifier that a server gave to a new feature: in `Location`, else in the answer."""
    path, items = urlsplit(response.headers.get("Location", "")).path, urlsplit(url).path
    start, _, last = path.rpartition("/items/")
    if last and "/" not in last and items.endswith(start.rpartition("/")[2] + "/items"):
        return unquote(last)
    try:
        answer = decode(request, response)
    except Malformed:
        return None
    named = answer.get("id") if isinstance(answer, dict) else None
    return str(named) if isinstance(named, str | int) and not isinstance(named, bool) else None

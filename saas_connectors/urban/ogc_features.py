"""OGC API Features, part 1 core (OGC 17-069r4): every collection of features is a stream.

1. GeoJSON is asked for in the Accept header of every request; the server's links are not trusted to remember it.
2. A full read takes every page; deletions are found by comparing with the previous copy, since the standard announces none.
   `numberMatched` is a hint.
3. An incremental read (a stream whose `cursor` names a time property) asks for `datetime=CURSOR/..`, or a CQL2 filter, and
   checks what comes back: a feature before the cursor, or none at all (the one at the cursor should be there), shows that the
   filter is not honoured: `filter_ignored`, and the read starts again without it.
4. A page smaller than what was asked is a cap found out (`page_cap`), not an end.
5. A field that no one classified is personal, geometry and identifier included.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec
import pyarrow as pa

from saas_connectors.answer import accept, cut, decode, malformed
from saas_connectors.connector import (
    Catalog,
    Checked,
    Class,
    Exchange,
    Fetch,
    Json,
    Reading,
    ReadPlan,
    Slice,
    Stream,
)
from saas_connectors.errors import NotFound, Rejected, SettingsError
from saas_connectors.paging import follow
from saas_connectors.records import Records
from saas_connectors.request import Request, Response
from saas_connectors.stream_settings import SAID, Text, Texts, read, read_classes, read_streams
from saas_connectors.urban.features import Features
from saas_connectors.urban.pull import ROWS, CollectionSettings, Pull
from saas_connectors.values import arrow_type

VERSION: Final = "1"
GEOJSON: Final = "application/geo+json"
CORE: Final = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"
_SAMPLE: Final = 100
_TYPES: Final = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "string": pa.string()}
_SAID = {
    **SAID,
    "limit": ("un nombre d'objets par page, de 1 à 10000", "a number of features a page, 1 to 10000"),
    "collection": ("l'identifiant de la collection", "the collection's identifier"),
    "key": ("une liste de propriétés", "a list of properties"),
    "cursor": ("le nom d'une propriété de date", "the name of a time property"),
    "filter": ("« datetime » ou « cql2 »", "`datetime` or `cql2`"),
    "lookback": ("un nombre de secondes", "a number of seconds"),
    "types": ("une table de types, comme { hauteur = « double » }", "a table of types, such as { height = `double` }"),
    "bbox": ("true ou false", "true or false"),
    "writes": ("une liste de flux où écrire", "a list of streams to write to"),
    "update": ("« patch » ou « replace »", "`patch` or `replace`"),
    "reference": ("le nom d'une propriété", "the name of a property"),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` is the landing page."""

    url: Text
    limit: int = 1000
    streams: Any = None
    writes: Texts | None = None
    update: Literal["patch", "replace"] = "patch"


def make(name: str, settings: Mapping[str, Json]) -> "OgcFeatures":
    """Make the connector of one connection; raises `SettingsError`."""
    asked, names, tables = load(name, settings)
    return OgcFeatures(
        name, asked.url.rstrip("/"), asked.limit, names if names is not None else frozenset(tables) or None, tables
    )


def load(name: str, settings: Mapping[str, Json]) -> tuple[Settings, frozenset[str] | None, Mapping[str, CollectionSettings]]:
    """Read a connection's settings: the streams it is limited to (None: all), what was said of some; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    if not 1 <= asked.limit <= 10_000:
        raise SettingsError(field=f"{at}.limit", expected_fr=_SAID["limit"][0], expected_en=_SAID["limit"][1])
    names, tables = read_streams(CollectionSettings, at, asked.streams, _SAID)
    for stream, table in tables.items():
        read_classes(f"{at}.streams.{stream}", table.classes, _SAID)
        for declared, kind in table.types.items():
            try:
                arrow_type(kind)
            except ValueError:
                fr, en = _SAID["types"]
                raise SettingsError(field=f"{at}.streams.{stream}.types.{declared}", expected_fr=fr, expected_en=en) from None
    return asked, names, tables


@dataclass(frozen=True, slots=True)
class _Collection:
    id: str
    stream: str
    title: str
    said: CollectionSettings


@dataclass(frozen=True, slots=True)
class OgcFeatures:
    """The connector; `names` limits the streams, `tables` holds what was said of some."""

    name: str
    url: str
    limit: int
    names: frozenset[str] | None
    tables: Mapping[str, CollectionSettings]
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Read the landing page and the conformance declaration."""
        landing = yield from self._get(self.url)
        declared = yield from self._get(
            self._link(landing, ("conformance", "http://www.opengis.net/def/rel/ogc/1.0/conformance"), "conformance")
        )
        remarks: tuple[tuple[str, str], ...] = ()
        if CORE not in (declared.get("conformsTo") or ()):
            remarks = (
                (
                    "Le serveur ne se dit pas conforme au cœur d'OGC API Features.",
                    "The server does not declare the core of OGC API Features.",
                ),
            )
        title = landing.get("title")
        return Checked(f"OGC API Features ({title})" if isinstance(title, str) and title else "OGC API Features", remarks)

    def discover(self) -> Exchange[Catalog]:
        """Read the list of collections, then the queryables and a first page of each."""
        collections = yield from self._collections()
        requests = [request for collection in collections for request in self._described(collection)]
        answers = (yield Fetch(tuple(requests))) if requests else ()
        asked = list(zip(requests, answers, strict=True))
        return Catalog(tuple(self._stream(*told) for told in zip(collections, asked[::2], asked[1::2], strict=True)))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One a collection."""
        known = {collection.stream: collection.id for collection in (yield from self._collections())}
        for stream in plan.streams:
            if stream.name not in known:
                raise NotFound(method="GET", path=f"collections/{stream.name}", status=404)
        return tuple(Slice(stream.name, (stream.name,), {"collection": known[stream.name]}) for stream in plan.streams)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one collection; see the laws above."""
        (stream,) = (stream for stream in plan.streams if stream.name in part.streams)
        said = self.tables.get(stream.name, CollectionSettings())
        past = plan.cursors.get(stream.name) or {}
        after = past.get("after") if plan.modes.get(stream.name) == "incremental" and said.cursor else None
        pull = Pull(self._items(part.detail["collection"]), stream, said, self.limit, after, past.get("after"))
        yield from pull.pages(position)
        return {stream.name: {"after": pull.latest}} if pull.latest else {}

    def _items(self, collection: str) -> Request:
        return Request("GET", f"{self.url}/collections/{quote(collection, safe='')}/items", headers=(("Accept", GEOJSON),))

    def _get(self, url: str, kind: str = "application/json") -> Exchange[Mapping[str, Json]]:
        request = Request("GET", url, headers=(("Accept", kind),))
        (response,) = yield Fetch((request,))
        return _object(request, response)

    def _link(self, document: Mapping[str, Json], relations: tuple[str, ...], path: str) -> str:
        for link in _links(document):
            if (
                link.get("rel") in relations
                and "json" in str(link.get("type", "json"))
                and (found := follow(self.url, str(link.get("href"))))
            ):
                return found
        return f"{self.url}/{path}"

    def _collections(self) -> Exchange[tuple[_Collection, ...]]:
        listed = yield from self._get(f"{self.url}/collections")
        found: dict[str, _Collection] = {}
        entries = listed.get("collections")
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not _has_features(entry):
                continue
            stream = self._name(entry["id"], found)
            title = entry.get("title")
            said = self.tables.get(stream, CollectionSettings())
            found[stream] = _Collection(entry["id"], stream, title if isinstance(title, str) else "", said)
        missing = sorted((self.names or frozenset()) - set(found))
        if missing:
            known = ", ".join(sorted(found)) or "—"
            raise SettingsError(
                field=f"connections.{self.name}.streams.{missing[0]}",
                expected_fr=f"un de : {known}",
                expected_en=f"one of: {known}",
            )
        return tuple(collection for name, collection in found.items() if self.names is None or name in self.names)

    def _name(self, collection: str, taken: Mapping[str, Any]) -> str:
        for stream, said in self.tables.items():
            if said.collection == collection:
                return stream
        plain = unicodedata.normalize("NFKD", collection).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9_]+", "_", plain).strip("_") or "collection"
        name = (name if name[0].isalpha() else f"c_{name}")[:60]
        number = 2
        while name in taken:
            name = f"{name.rstrip('0123456789_')[:56]}_{number}"
            number += 1
        return name

    def _described(self, collection: _Collection) -> tuple[Request, Request]:
        items = replace(self._items(collection.id), params=(("limit", str(min(self.limit, _SAMPLE))),))
        accepted = ("Accept", "application/schema+json, application/json")
        return items, Request("GET", items.url.removesuffix("/items") + "/queryables", headers=(accepted,))

    def _stream(self, collection: _Collection, sample: tuple[Request, Response], described: tuple[Request, Response]) -> Stream:
        said = collection.said
        features = Features(collection.stream, keyed_by_id=said.key is None, bbox=said.bbox)
        accept(*sample)
        rows = features.rows(cut(*sample, "features").records)
        table = Records(said.types).table(*sample, ROWS.encode(rows))
        fields = {column.name: column.type for column in table.schema} or {"id": pa.string(), "geometry": pa.string()}
        for name, kind in _queryables(*described).items():
            column = features.column(name)
            if column not in fields or pa.types.is_null(fields[column]):
                fields[column] = kind
        if said.bbox:
            fields["bbox"] = pa.list_(pa.float64())
        classes: dict[str, Class] = dict.fromkeys(fields, "personal")
        classes |= read_classes(collection.stream, said.classes)
        return Stream(
            name=collection.stream,
            title=collection.title,
            primary_key=tuple(features.column(name) for name in said.key) if said.key else ("id",),
            schema=pa.schema([(name, kind) for name, kind in fields.items() if not pa.types.is_null(kind)]),
            classes=classes,
            modes=("full_refresh", "incremental") if said.cursor else ("full_refresh",),
            cursor=features.column(said.cursor) if said.cursor else None,
            contract=said.contract,
            found=frozenset(fields) - {features.column(name) for name in said.types},
        )


def _object(request: Request, response: Response) -> Mapping[str, Json]:
    accept(request, response)
    found = decode(request, response)
    if not isinstance(found, dict):
        raise malformed(request, response, "un objet JSON était attendu", "a JSON object was expected")
    return found


def _links(document: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    links = document.get("links")
    return (link for link in (links if isinstance(links, list) else ()) if isinstance(link, dict))


def _has_features(entry: Mapping[str, Json]) -> bool:
    kind = entry.get("itemType")
    return kind == "feature" or (kind is None and any(link.get("rel") == "items" for link in _links(entry)))


def _queryables(request: Request, response: Response) -> Mapping[str, pa.DataType]:
    """The properties that a server describes; most describe none, which is no fault."""
    try:
        described = _object(request, response).get("properties")
    except (NotFound, Rejected):
        return {}
    found = {}
    for name, held in described.items() if isinstance(described, dict) else ():
        if isinstance(held, dict) and "$ref" not in held and held.get("type") in _TYPES:
            found[name] = _TYPES[held["type"]]
    return found

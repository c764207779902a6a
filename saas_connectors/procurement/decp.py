"""DECP: the essential data of public contracts, from published files (HTTPS) or from a folder.

1. One read takes all the files, in order, and fills four related streams out of them (see `contracts`). It is a full refresh:
   a contract that is published no more is deleted.
2. A file that did not change costs one conditional request (If-None-Match), in a folder nothing: the listing has its hash. When
   none changed, nor our side, the read gives the evidence `unchanged`, no page, and the cursors it was given: the last snapshot
   stands. When one changed, all are read.
3. The same contract published several times: the last publication that is valid stands, the others are counted.
4. An invalid record is set aside and counted by rule; the read goes on, and is not complete.
5. A resume point holds the hashes of the files: if one changed meanwhile, `ResumeLost`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.connector import Catalog, Checked, Class, Evidence, Exchange, Fetch, Json, Reading, ReadPlan, Slice
from saas_connectors.errors import ResumeLost, SettingsError
from saas_connectors.procurement.contracts import GROUP, schemas, streams
from saas_connectors.procurement.emission import Emission, Facts
from saas_connectors.procurement.files import File
from saas_connectors.procurement.validation import words
from saas_connectors.request import Request, Response
from saas_connectors.stream_settings import SAID, StreamSettings, Text, Texts, read, read_classes, read_streams

VERSION: Final = "1"
FOLDER: Final = "folder:"
_ACCEPT: Final = ("Accept", "application/json, application/xml;q=0.9")
_SAID = {
    **SAID,
    "files": (
        "une liste de fichiers (adresses, ou noms relatifs à url)",
        "a list of files (addresses, or names relative to url)",
    ),
    "publishes": ("une liste de fichiers .json à publier", "a list of .json files to publish"),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` is a file, the place of `files`, or `folder:PATH` (its .json and .xml files)."""

    url: Text
    files: Texts | None = None
    streams: Any = None
    publishes: Texts | None = None


def make(name: str, settings: Mapping[str, Json]) -> "Decp":
    """Make the connector of one connection; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    names, tables = read_streams(StreamSettings, at, asked.streams, _SAID)
    classes = {name: read_classes(f"{at}.streams.{name}", table.classes, _SAID) for name, table in tables.items()}
    offered = {stream.name: stream for stream in streams(classes)}
    for stream in {*(names or ()), *tables}:
        if stream not in offered:
            known = ", ".join(offered)
            raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
        for unknown in set(classes.get(stream, ())) - set(schemas()[stream].names):
            raise SettingsError(
                field=f"{at}.streams.{stream}.classes.{unknown}",
                expected_fr="un champ du schéma officiel",
                expected_en="a field of the official schema",
            )
    catalog = tuple(
        replace(stream, contract=tables[stream.name].contract) if stream.name in tables else stream
        for stream in offered.values()
        if names is None or stream.name in names
    )
    return Decp(name, at, asked, Catalog(catalog, words()))


def load(name: str, settings: Mapping[str, Json]) -> tuple[Settings, frozenset[Class]]:
    """Read a connection's settings, and the classes that the fields of a contract have; raises `SettingsError`."""
    asked = make(name, settings).settings
    _, tables = read_streams(StreamSettings, "", asked.streams, _SAID)
    given = {stream: read_classes("", table.classes, _SAID) for stream, table in tables.items()}
    return asked, frozenset(held for stream in streams(given) for held in stream.classes.values())


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    request: Request
    sha256: str | None = None  # a folder's listing knows it beforehand


class _Listed(msgspec.Struct):
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Decp:
    """The connector; `at` is the dotted place of its settings."""

    name: str
    at: str
    settings: Settings
    catalog: Catalog
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Ask for the headers of each file, or the folder's listing."""
        sources = yield from self._sources()
        remarks: list[tuple[str, str]] = []
        if not self.settings.url.startswith(FOLDER):
            heads = tuple(replace(source.request, method="HEAD") for source in sources)
            for request, response in zip(heads, (yield Fetch(heads)), strict=True):
                if response.status in (405, 501):  # it answers, and only knows GET
                    continue
                accept(request, response)
                if "html" in response.headers.get("Content-Type", ""):
                    raise malformed(request, response, "un fichier JSON ou XML était attendu", "JSON or XML was expected")
                if "ETag" not in response.headers and "Last-Modified" not in response.headers:
                    path = urlsplit(request.url).path
                    fr, en = "est servi sans ETag : il sera relu à chaque fois", "comes without ETag: it is read each time"
                    remarks.append((f"{path} {fr}", f"{path} {en}"))
        return Checked("DECP 2.0", tuple(remarks))

    def discover(self) -> Exchange[Catalog]:
        """The four streams, known beforehand: nothing is asked."""
        yield from ()
        return self.catalog

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One: the streams come out of the same files."""
        yield from ()
        return (Slice(GROUP, tuple(stream.name for stream in plan.streams)),)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull the files; see the laws above."""
        past = self._past(plan, part) if position is None else None
        sources = yield from self._sources()
        cursor: dict[str, Json] = {"reads": self._signature()}
        files = yield from self._fetch(sources, past, cursor)
        if files is None:
            for stream in part.streams:
                yield Evidence(stream, "unchanged", True, {"files": len(sources)})
            return {stream: plan.cursors[stream] for stream in part.streams}
        hashes = {name: held["sha256"] for name, held in cursor["files"].items()}
        if position is not None and position["files"] != hashes:
            raise ResumeLost(stream=part.streams[0])
        yield from Emission(files, hashes, part.streams, Facts.of(position)).pages()
        return dict.fromkeys(part.streams, cursor)

    def _sources(self) -> Exchange[tuple[_Source, ...]]:
        url, files = self.settings.url, self.settings.files
        if not url.startswith(FOLDER):
            urls = [urljoin(url, name) for name in files] if files else [url]
            return tuple(_Source(each, Request("GET", each, headers=(_ACCEPT,))) for each in urls)
        request = Request("GET", FOLDER)
        (response,) = yield Fetch((request,))
        accept(request, response)
        try:
            entries = msgspec.convert(decode(request, response), list[_Listed])
        except msgspec.ValidationError:
            raise malformed(request, response, "la liste des fichiers était attendue", "a list of files was expected") from None
        listed = {entry.name: entry.sha256 for entry in entries if (entry.name in files if files else _published(entry.name))}
        missing = sorted(set(files or ()) - set(listed))
        if missing or not listed:
            what = ", ".join(missing) or ".json, .xml"
            raise SettingsError(
                field=f"{self.at}.{'files' if missing else 'url'}",
                expected_fr=f"un dossier qui contient {what}",
                expected_en=f"a folder that holds {what}",
            )
        return tuple(_Source(name, Request("GET", FOLDER + name), sha256) for name, sha256 in sorted(listed.items()))

    def _signature(self) -> str:
        """What the records depend on besides the files: when it moves, unchanged files are read again."""
        shape = [
            [stream.name, stream.schema.serialize().to_pybytes(), sorted(stream.classes.items())] for stream in streams({})
        ]
        return hashlib.sha256(msgspec.json.encode([self.version, shape, self.settings.streams])).hexdigest()[:16]

    def _past(self, plan: ReadPlan, part: Slice) -> Mapping[str, Mapping[str, str]] | None:
        """The files as the last snapshots knew them, when all the streams stand at the same ones and are read the same way."""
        cursors = [plan.cursors.get(stream) for stream in part.streams]
        first = cursors[0]
        if not first or any(other != first for other in cursors) or first.get("reads") != self._signature():
            return None
        past: Mapping[str, Mapping[str, str]] = first["files"]
        return past

    def _fetch(
        self, sources: tuple[_Source, ...], past: Mapping[str, Mapping[str, str]] | None, cursor: dict[str, Json]
    ) -> Exchange[list[File] | None]:
        """The files, and into `cursor` what tells their versions; None when all are as in `past`."""
        same = past is not None and set(past) == {source.name for source in sources}
        if same and past and all(source.sha256 == past[source.name]["sha256"] for source in sources):
            return None
        known: dict[str, Json] = {}
        held: dict[str, File] = {}
        for source in sources:
            validators = _validators(past[source.name]) if same and past and source.sha256 is None else ()
            request = replace(source.request, headers=(*source.request.headers, *validators))
            response = yield from _ask(request)
            if validators and response.status == 304 and past:
                known[source.name] = past[source.name]
                continue
            accept(request, response)
            known[source.name] = _version(response)
            held[source.name] = File.hold(request, response, alone=len(sources) == 1)
            same = same and past is not None and past[source.name]["sha256"] == known[source.name]["sha256"]
        if same:
            return None
        for source in sources:
            if source.name not in held:
                response = yield from _ask(source.request)
                accept(source.request, response)
                known[source.name] = _version(response)
                held[source.name] = File.hold(source.request, response, alone=len(sources) == 1)
        cursor["files"] = known
        return [held[source.name] for source in sources]


def _published(name: str) -> bool:
    return name.lower().endswith((".json", ".xml")) and not name.startswith(".")


def _ask(request: Request) -> Exchange[Response]:
    (response,) = yield Fetch((request,))
    return response


def _version(response: Response) -> dict[str, str]:
    found = {"sha256": hashlib.sha256(response.body).hexdigest()}
    for name, header in (("etag", "ETag"), ("modified", "Last-Modified")):
        if header in response.headers:
            found[name] = response.headers[header]
    return found


def _validators(past: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    if "etag" in past:
        return (("If-None-Match", past["etag"]),)
    return (("If-Modified-Since", past["modified"]),) if "modified" in past else ()

"""The declarative REST connector: streams described by settings, completed by what a sample page shows.

1. Nothing is remembered between verbs: what was found travels in the slices (`Slice.detail`), so that a read goes on in
   another process.
2. A full read of a list whose pages are known in advance is cut into slices; every other read is one.
3. A stream whose `types`, `classes` and `schema` are not declared takes them from its first page; unclassified is `personal`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

from saas_connectors.answer import Document
from saas_connectors.connector import Catalog, Checked, Exchange, Json, Reading, ReadPlan, Slice, Stream
from saas_connectors.errors import SettingsError
from saas_connectors.paging import Seen, Windows
from saas_connectors.records import Records
from saas_connectors.request import Request, Response
from saas_connectors.rest.cursors import Filter
from saas_connectors.rest.exploration import Found, explore
from saas_connectors.rest.legible import ACCEPT
from saas_connectors.rest.reader import Reader
from saas_connectors.rest.settings import ConnectionSettings, StreamSettings, classes, duration, load, paging
from saas_connectors.rest.understanding import Understanding
from saas_connectors.values import arrow_type

VERSION: Final = "2"
_CHAINED: Final = {"cursor", "link", "next", "keyset", "none"}


def make(name: str, settings: Mapping[str, Json]) -> "Rest":
    """Make the connector of one connection; raises `SettingsError`."""
    connection, streams = load(name, settings)
    return Rest(name, connection, streams)


@dataclass(frozen=True, slots=True)
class Rest:
    """A declared REST source; see `saas_connectors.connector.Connector`."""

    name: str
    settings: ConnectionSettings
    streams: Mapping[str, StreamSettings]
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Read the first page of the first stream."""
        name = next(iter(self.streams))
        found = yield from self._explore(name, None)
        kind, rows = found.detail["paging"]["kind"], found.seen.rows
        where = found.detail["records"] or "[…]"
        remark = (
            f"Flux « {name} » : {rows} enregistrements sous « {where} » dans la première page, pagination « {kind} ».",
            f"Stream `{name}`: {rows} records at `{where}` in the first page, paging `{kind}`.",
        )
        return Checked(urlsplit(self.settings.url).hostname or self.settings.url, (remark,))

    def discover(self) -> Exchange[Catalog]:
        """Read the first page of each stream."""
        found = []
        for name, settings in self.streams.items():
            learnt = yield from self._explore(name, None)
            if learnt.table.num_rows:
                self._known(name, learnt.table.column_names)
            declared = classes("", settings)
            found.append(
                Stream(
                    name,
                    tuple(settings.primary_key),
                    _described(learnt.table.schema, settings.types),
                    {field: declared.get(field, "personal") for field in [*learnt.table.column_names, *declared]},
                    ("full_refresh", "incremental") if settings.cursor else ("full_refresh",),
                    settings.cursor,
                    settings.contract,
                    title=settings.title,
                    found=frozenset(learnt.table.column_names) - set(settings.types),
                )
            )
        return Catalog(tuple(found))

    def _known(self, name: str, columns: list[str]) -> None:
        settings = self.streams[name]
        named = {"primary_key": settings.primary_key, "cursor": [settings.cursor] if settings.cursor else []}
        for field, names in named.items():
            for unknown in set(names) - set(columns):
                held = ", ".join(columns)
                raise SettingsError(
                    field=f"connections.{self.name}.streams.{name}.{field}",
                    expected_fr=f"« {unknown} » n'est pas un champ ; il y a : {held}",
                    expected_en=f"`{unknown}` is not a field; there are: {held}",
                )

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """Cut full reads of numbered pages; learn what the settings leave out."""
        found: list[Slice] = []
        for stream in plan.streams:
            settings = self.streams[stream.name]
            changes = _cursor(plan, stream.name) is not None
            table = self._paging(stream.name, plan)
            kind = table.get("kind")
            if settings.records is not None and kind is not None and (changes or kind in _CHAINED or kind == "windows"):
                made = paging(self._at(stream.name), table)
                detail = {"records": settings.records, "total": settings.total, "paging": dict(table)}
                starts = made.ranges(_NOTHING_SEEN, self.settings.slices) if isinstance(made, Windows) else (made.start(),)
            else:
                learnt = yield from self._explore(stream.name, plan)
                detail = learnt.detail
                ways = 1 if changes else self.settings.slices
                starts = learnt.understanding.paging.ranges(learnt.seen, ways)
            for number, start in enumerate(starts):
                found.append(Slice(f"{stream.name}/{number}", (stream.name,), detail | {"start": start, "first": number == 0}))
        return tuple(found)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Read a slice."""
        name = part.streams[0]
        settings, detail = self.streams[name], part.detail
        stream = next(stream for stream in plan.streams if stream.name == name)
        understanding = Understanding(
            detail["records"],
            detail["total"],
            paging(self._at(name), detail["paging"]),
            self._records(name, stream),
            settings.format,
            settings.keyed,
        )
        count = None
        if settings.count and detail["first"]:
            count = (self._request(settings.count.path, settings), settings.count.field)
        reader = Reader(
            name,
            tuple(settings.primary_key),
            self._base(settings),
            detail["start"],
            understanding,
            self._filter(name),
            _cursor(plan, name),
            count,
            plan,
            detail.get("repeats", False),
        )
        return (yield from reader.read(position))

    def _at(self, name: str) -> str:
        return f"connections.{self.name}.streams.{name}.paging"

    def _explore(self, name: str, plan: ReadPlan | None) -> Exchange[Found]:
        settings = self.streams[name]
        stream = next((stream for stream in plan.streams if stream.name == name), None) if plan else None
        table = self._paging(name, plan)
        return (yield from explore(self._at(name), self._base(settings), settings, lambda: self._records(name, stream), table))

    def _paging(self, name: str, plan: ReadPlan | None) -> dict[str, Json]:
        """The stream's `paging` table; windows are given their bounds: what is known, and when the run began."""
        settings = self.streams[name]
        table = dict(settings.paging)
        if table.get("kind") == "windows":
            cursor, held = _cursor(plan, name) if plan else None, self._filter(name)
            since = held.since(cursor) if held and isinstance(cursor, str) else table.pop("start", None)
            table.pop("start", None)
            table["start_at"] = _instant(since, settings.zone, f"{self._at(name)}.start")
            table["end_at"] = plan.started_at.isoformat() if plan else "9999-12-31T00:00:00+00:00"
        return table

    def _request(self, path: str, settings: StreamSettings) -> Request:
        url = path if "://" in path else f"{self.settings.url.rstrip('/')}/{path.lstrip('/')}".rstrip("/")
        params = {**self.settings.params, **settings.params}
        headers = {"Accept": ACCEPT[settings.format or "json"], **self.settings.headers, **settings.headers}
        return Request("GET", url, tuple((name, _text(value)) for name, value in params.items()), tuple(headers.items()))

    def _base(self, settings: StreamSettings) -> Request:
        request = self._request(settings.path, settings)
        if settings.method == "GET":
            return request
        headers = (*request.headers, ("Content-Type", "application/json"))
        return replace(request, method="POST", headers=headers, body=msgspec.json.encode(settings.body or {}))

    def _records(self, name: str, stream: Stream | None) -> Records:
        settings = self.streams[name]
        schema = stream.schema if stream is not None else pa.schema([])
        return Records(settings.types, settings.zone, schema)

    def _filter(self, name: str) -> Filter | None:
        settings = self.streams[name]
        if settings.cursor is None:
            return None
        param, equals, template = (settings.param or settings.cursor).partition("=")
        lookback = duration(f"{self._at(name)}.lookback", settings.lookback)
        return Filter(settings.cursor, param, template if equals else "", lookback, settings.zone)


def _cursor(plan: ReadPlan, name: str) -> Json:
    """Where an incremental read starts from; None for a full one."""
    return plan.cursors.get(name) if plan.modes.get(name) == "incremental" else None


def _described(learnt: pa.Schema, types: Mapping[str, str]) -> pa.Schema:
    """Give the schema of a stream: a declared type stands, even where the first page does not fit it, which is drift then."""
    kinds = [arrow_type(types[field.name]) if field.name in types else field.type for field in learnt]
    return pa.schema(list(zip(learnt.names, kinds, strict=True)))


def _text(value: str | float | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _instant(value: Json, zone: str, field: str) -> str:
    try:
        held = datetime.fromisoformat(str(value))
    except ValueError:
        raise SettingsError(
            field=field, expected_fr="une date, comme « 2020-01-01 »", expected_en="a date, such as `2020-01-01`"
        ) from None
    return (held if held.tzinfo else held.replace(tzinfo=ZoneInfo(zone))).isoformat()


_NOTHING_SEEN: Final = Seen(Request("GET", ""), Response(0, "", b""), Document({}, b"[]"), 0)

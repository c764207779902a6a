"""Opendatasoft, Explore API v2.1 (read only): every dataset of a portal is a stream.

1. The catalog says the fields, their types and the key; one call tells what changed. A dataset whose data were not processed
   again since the last copy costs nothing more: `unchanged`.
2. A dataset is pulled by exports, cut in ranges where it is large; by pages of records where exports are refused (`exports`).
3. The records have no identifier of their own: the `key` setting names them, else the catalog, else their content
   (`content_hash`): a record that changes is then one removed and one added.
4. An incremental read (a stream whose `cursor` names a field of dates) asks for what is at or after the cursor, and checks it.
5. A portal whose data are older than those of the last copy went back in time: it is read in full, and that is said.
6. A field that no one classified is personal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import msgspec

from saas_connectors.connector import Catalog, Checked, Evidence, Exchange, Fetch, Json, Reading, ReadPlan, Slice, Stream
from saas_connectors.errors import SettingsError
from saas_connectors.request import Request, Response
from saas_connectors.rest.cursors import Filter
from saas_connectors.stream_settings import SAID, Text, read, read_classes, read_streams
from saas_connectors.urban.exports import Pull
from saas_connectors.urban.odsql import writable
from saas_connectors.urban.portal import WORDS, DatasetSettings, Entry, Note, entries, entry, note_of, stream_name, stream_of
from saas_connectors.values import arrow_type

VERSION: Final = "1"
_API: Final = "/api/explore/v2.1"
_LISTED: Final = 100
_SAID = {
    **SAID,
    "part": ("un nombre d'enregistrements par export, de 1000 à 1000000", "a number of records an export, 1000 to 1000000"),
    "datasets": ("le plus de jeux de données, de 1 à 1000", "the most datasets, 1 to 1000"),
    "dataset": ("l'identifiant du jeu de données", "the dataset's identifier"),
    "key": ("une liste de champs", "a list of fields"),
    "cursor": ("le nom d'un champ de date", "the name of a field of dates"),
    "lookback": ("un nombre de secondes", "a number of seconds"),
    "split": ("le nom d'un champ de date ou de nombre", "the name of a field of dates or numbers"),
    "exports": ("true ou false", "true or false"),
    "types": (
        "une table de types, comme { montant = « decimal(12,2) » }",
        "a table of types, such as { amount = `decimal(12,2)` }",
    ),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` is the portal."""

    url: Text
    part: int = 100_000
    datasets: int = 100
    streams: Any = None


def make(name: str, settings: Mapping[str, Json]) -> "Opendatasoft":
    """Make the connector of one connection; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    for field, least, most in (("part", 1000, 1_000_000), ("datasets", 1, 1000)):
        if not least <= getattr(asked, field) <= most:
            raise _wrong(f"{at}.{field}", field)
    listed, tables = read_streams(DatasetSettings, at, asked.streams, _SAID)
    for stream, table in tables.items():
        _checked(f"{at}.streams.{stream}", table)
    chosen: dict[str, DatasetSettings] = dict(tables)
    for dataset in sorted(listed or ()):
        chosen[stream_name(dataset, chosen)] = DatasetSettings(dataset=dataset)
    return Opendatasoft(name, asked.url.rstrip("/").removesuffix(_API), asked.part, asked.datasets, chosen)


def _checked(at: str, table: DatasetSettings) -> None:
    read_classes(at, table.classes, _SAID)
    for field in ("cursor", "split"):
        if (named := getattr(table, field)) is not None and not writable(named):
            raise _wrong(f"{at}.{field}", field)
    if table.lookback is not None and table.lookback < 0:
        raise _wrong(f"{at}.lookback", "lookback")
    for declared, kind in table.types.items():
        try:
            arrow_type(kind)
        except ValueError:
            raise _wrong(f"{at}.types.{declared}", "types") from None


def _wrong(field: str, said: str) -> SettingsError:
    return SettingsError(field=field, expected_fr=_SAID[said][0], expected_en=_SAID[said][1])


@dataclass(frozen=True, slots=True)
class Opendatasoft:
    """The connector; `tables`: what was said of the streams that the connection is limited to, empty for all."""

    name: str
    url: str
    part: int
    most: int
    tables: Mapping[str, DatasetSettings]
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Read the head of the catalog: how many datasets, how many calls are left today."""
        request, response = yield from self._ask("catalog/datasets", ("limit", "1"))
        _, total = entries(request, response)
        remarks = [(f"Jeux de données au catalogue : {total}.", f"Datasets in the catalog: {total}.")]
        left = response.headers.get("X-RateLimit-Remaining", "")
        if left.isascii() and left.isdigit():
            remarks.append((f"Appels restants aujourd'hui : {left}.", f"Calls left today: {left}."))
        return Checked("Opendatasoft Explore v2.1", tuple(remarks))

    def discover(self) -> Exchange[Catalog]:
        """Read what the catalog says of the datasets."""
        if self.tables:
            requests = tuple(self._request(self._path(said.dataset or name)) for name, said in self.tables.items())
            answers = yield Fetch(requests)
            found = [entry(*asked) for asked in zip(requests, answers, strict=True)]
            return Catalog(tuple(self._stream(*each) for each in zip(self.tables, found, strict=True)), WORDS)
        streams: dict[str, Stream] = {}
        for each in (yield from self._all()):
            stream = stream_name(each.dataset_id, streams)
            streams[stream] = self._stream(stream, each)
        # Streams are named after the datasets: their identifiers are no more anyone's than those that settings name.
        return Catalog(tuple(streams.values()), WORDS | {note_of(each).dataset for each in streams.values()})

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One a dataset."""
        yield from ()
        return tuple(Slice(stream.name, (stream.name,), {"dataset": note_of(stream).dataset}) for stream in plan.streams)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one dataset; see the laws above."""
        (stream,) = (stream for stream in plan.streams if stream.name in part.streams)
        said, note = self.tables.get(stream.name, DatasetSettings()), note_of(stream)
        past = plan.cursors.get(stream.name) or {}
        mark = note.mark([self.version, list(stream.primary_key), said.cursor, dict(said.types)])
        if position is None and mark is not None and past.get("mark") == mark:
            yield Evidence(stream.name, "unchanged", True, {})
            return {stream.name: past}
        back = _older(note, past)
        held = _filter(stream, said)
        since = past.get("after") if plan.modes.get(stream.name) == "incremental" and held is not None and not back else None
        if back:
            yield Evidence(stream.name, "went_backwards", False, {"field": "data_processed"})
        url = f"{self.url}{_API}/{self._path(part.detail['dataset'])}"
        pull = Pull(url, stream, note, said, self.part, held, since, plan.started_at)
        steady = yield from pull.read(position)
        latest = pull.latest
        if held is not None and since is not None and pull.by_changes:
            latest = held.greater(latest, since)
        cursor = {"mark": mark if steady else None, "processed": note.processed, "after": latest}
        return {stream.name: cursor} if any(cursor.values()) else {}

    def _stream(self, name: str, found: Entry) -> Stream:
        said = self.tables.get(name, DatasetSettings())
        stream = stream_of(name, found, said, read_classes(name, said.classes))
        known = note_of(stream).kinds
        at = f"connections.{self.name}.streams.{name}"
        named = {
            "key": said.key or (),
            "cursor": [said.cursor] if said.cursor else (),
            "split": [said.split] if said.split else (),
        }
        for setting, fields in named.items():
            for field in fields:
                if field not in known:
                    held = ", ".join(known) or "—"
                    raise SettingsError(
                        field=f"{at}.{setting}",
                        expected_fr=f"« {field} » n'est pas un champ ; il y a : {held}",
                        expected_en=f"`{field}` is not a field; there are: {held}",
                    )
        return stream

    def _all(self) -> Exchange[list[Entry]]:
        found: list[Entry] = []
        asked = 0
        while True:
            request, response = yield from self._ask(
                "catalog/datasets", ("limit", str(_LISTED)), ("offset", str(asked)), ("order_by", "dataset_id")
            )
            listed, total = entries(request, response)
            found += [each for each in listed if each.has_records and each.fields]
            asked += len(listed)
            if len(found) > self.most:
                raise SettingsError(
                    field=f"connections.{self.name}.streams",
                    expected_fr=f"le portail a plus de {self.most} jeux de données : nommez-les, ou relevez « datasets »",
                    expected_en=f"the portal has more than {self.most} datasets: name them, or raise `datasets`",
                )
            if not listed or asked >= total:
                return list({each.dataset_id: each for each in found}.values())

    def _path(self, dataset: str) -> str:
        return f"catalog/datasets/{quote(dataset, safe='')}"

    def _request(self, path: str, *params: tuple[str, str]) -> Request:
        return Request("GET", f"{self.url}{_API}/{path}", params, (("Accept", "application/json"),))

    def _ask(self, path: str, *params: tuple[str, str]) -> Exchange[tuple[Request, Response]]:
        request = self._request(path, *params)
        (response,) = yield Fetch((request,))
        return request, response


def _filter(stream: Stream, said: DatasetSettings) -> Filter | None:
    if stream.cursor is None:
        return None
    lookback = timedelta(seconds=said.lookback) if said.lookback is not None else None
    return Filter(stream.cursor, "where", "", lookback, "UTC")


def _older(note: Note, past: Mapping[str, Json]) -> bool:
    """Whether the portal's data are older than those of the last copy."""
    try:
        return datetime.fromisoformat(str(note.processed)) < datetime.fromisoformat(str(past.get("processed")))
    except (ValueError, TypeError):
        return False

"""The settings of a connection to an Open311 server, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from saas_connectors.connector import Class, Json
from saas_connectors.errors import SettingsError
from saas_connectors.stream_settings import SAID, StreamSettings, Text, Texts, read, read_classes, read_streams
from saas_connectors.urban.open311.records import STREAMS

DAY: Final = 86_400
_SAID = {
    **SAID,
    "url": ("l'adresse de l'API GeoReport v2, comme https://ville.example/open311/v2", "the address of the GeoReport v2 API"),
    "format": ("« json », « xml » ou « auto »", "`json`, `xml` or `auto`"),
    "jurisdiction_id": ("l'identifiant de la collectivité chez le fournisseur", "the jurisdiction's identifier at the vendor"),
    "since": ("une date, comme « 2020-01-01 »", "a date, such as `2020-01-01`"),
    "cap": ("un nombre de demandes, de 1 à 100000", "a number of requests, 1 to 100000"),
    "window": ("un nombre de jours, de 1 à 90", "a number of days, 1 to 90"),
    "lookback": ("un nombre de secondes, de 0 à 7776000", "a number of seconds, 0 to 7776000"),
    "params": ("une table de textes", "a table of texts"),
    "zone": ("un fuseau, comme « Europe/Paris »", "a time zone, such as `Europe/Paris`"),
    "writes": ("[« requests »]", "[`requests`]"),
}  # fmt: skip


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` is the endpoint, what comes before `/services` and `/requests`."""

    url: Text
    format: Literal["json", "xml", "auto"] = "auto"
    jurisdiction_id: Text | None = None
    since: Any = "2010-01-01"
    cap: int = 1000
    window: int = 90
    lookback: int = DAY
    params: dict[str, str] = msgspec.field(default_factory=dict)
    streams: Any = None
    writes: Texts | None = None


class TableSettings(StreamSettings, frozen=True, forbid_unknown_fields=True):
    """What can be said of one stream; `zone` places the instants that are written without one."""

    zone: Text = "UTC"


@dataclass(frozen=True, slots=True)
class Said:
    """The settings, understood. `since`: seconds since 1970, UTC; `classes`: by stream, those that were said."""

    settings: Settings
    since: int
    names: frozenset[str]
    tables: Mapping[str, TableSettings]
    classes: Mapping[str, Mapping[str, Class]]

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the instants that the server writes without one."""
        said = self.tables.get("requests")
        return ZoneInfo(said.zone if said else "UTC")


def load(name: str, settings: Mapping[str, Json]) -> Said:
    """Read a connection's settings; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    names, tables = read_streams(TableSettings, at, asked.streams, _SAID)
    for stream in sorted({*(names or ()), *tables} - STREAMS.keys()):
        known = ", ".join(STREAMS)
        raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    for field, low, high in (("cap", 1, 100_000), ("window", 1, 90), ("lookback", 0, 90 * DAY)):
        if not low <= getattr(asked, field) <= high:
            raise _wrong(at, field)
    if asked.writes is not None and asked.writes != ["requests"]:
        raise _wrong(at, "writes")
    if {"api_key", "jurisdiction_id"} & asked.params.keys():
        raise SettingsError(
            field=f"{at}.params",
            expected_fr="ni api_key, qui se règle par auth, ni jurisdiction_id, qui est un réglage",
            expected_en="neither api_key, which `auth` sets, nor jurisdiction_id, which is a setting",
        )
    for stream, table in tables.items():
        try:
            ZoneInfo(table.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise _wrong(f"{at}.streams.{stream}", "zone") from None
    classes = {stream: read_classes(f"{at}.streams.{stream}", table.classes, _SAID) for stream, table in tables.items()}
    return Said(asked, _since(at, asked.since), names or frozenset(STREAMS), tables, classes)


def _since(at: str, value: Json) -> int:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            return max(0, int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        pass
    raise _wrong(at, "since")


def _wrong(at: str, field: str) -> SettingsError:
    return SettingsError(field=f"{at}.{field}", expected_fr=_SAID[field][0], expected_en=_SAID[field][1])

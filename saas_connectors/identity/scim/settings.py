"""The settings of a connection to a SCIM server, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from saas_connectors.connector import Class, Json
from saas_connectors.errors import SettingsError
from saas_connectors.identity.scim.operations import OPERATIONS
from saas_connectors.identity.scim.records import STREAMS
from saas_connectors.stream_settings import SAID, StreamSettings, Text, Texts, read, read_classes, read_streams

DAY: Final = 86_400
_SAID = {
    **SAID,
    "url": ("l'adresse de l'API SCIM, ce qui précède /Users", "the address of the SCIM API, what comes before /Users"),
    "count": ("un nombre d'enregistrements par page, de 2 à 10000", "a number of records a page, 2 to 10000"),
    "lookback": ("un nombre de secondes, de 1 à 2592000", "a number of seconds, 1 to 2592000"),
    "reconcile": ("un nombre de secondes, de 0 à 604800", "a number of seconds, 0 to 604800"),
    "members": ("« list » ou « each »", "`list` or `each`"),
    "update": ("« auto », « patch » ou « replace »", "`auto`, `patch` or `replace`"),
    "writes": (f"une liste parmi : {', '.join(OPERATIONS)}", f"a list among: {', '.join(OPERATIONS)}"),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` is what comes before `/Users`."""

    url: Text
    count: int = 200
    lookback: int = 600
    reconcile: int = DAY
    members: Literal["list", "each"] = "list"
    update: Literal["auto", "patch", "replace"] = "auto"
    streams: Any = None
    writes: Texts | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The settings, understood. `names`: the streams offered; `classes`, `contracts`: by stream, those that were said."""

    settings: Settings
    names: frozenset[str]
    classes: Mapping[str, Mapping[str, Class]]
    tables: Mapping[str, StreamSettings]

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return self.settings.url.rstrip("/")


def load(name: str, settings: Mapping[str, Json]) -> Said:
    """Read a connection's settings; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    names, tables = read_streams(StreamSettings, at, asked.streams, _SAID)
    for stream in sorted({*(names or ()), *tables} - STREAMS.keys()):
        known = ", ".join(STREAMS)
        raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    for field, low, high in (("count", 2, 10_000), ("lookback", 1, 30 * DAY), ("reconcile", 0, 7 * DAY)):
        if not low <= getattr(asked, field) <= high:
            raise _wrong(at, field)
    if set(asked.writes or ()) - OPERATIONS.keys():
        raise _wrong(at, "writes")
    classes = {stream: read_classes(f"{at}.streams.{stream}", table.classes, _SAID) for stream, table in tables.items()}
    return Said(asked, names or frozenset(STREAMS), classes, tables)


def _wrong(at: str, field: str) -> SettingsError:
    return SettingsError(field=f"{at}.{field}", expected_fr=_SAID[field][0], expected_en=_SAID[field][1])

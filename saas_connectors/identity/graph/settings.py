"""The settings of a connection to Microsoft Graph, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from saas_connectors.connector import Class, Json
from saas_connectors.errors import SettingsError
from saas_connectors.identity.graph.operations import OPERATIONS
from saas_connectors.identity.graph.records import STREAMS
from saas_connectors.stream_settings import SAID, StreamSettings, Text, Texts, read, read_classes, read_streams

_SAID: Final = {
    **SAID,
    "url": ("l'adresse de Graph, comme https://graph.microsoft.com/v1.0", "the address of Graph, such as https://graph.microsoft.com/v1.0"),
    "writes": (f"une liste parmi : {', '.join(OPERATIONS)}", f"a list among: {', '.join(OPERATIONS)}"),
}  # fmt: skip


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` holds the version, as `/v1.0`."""

    url: Text
    streams: Any = None
    writes: Texts | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The settings, understood. `names`: the streams offered; `classes`: by stream, those that were said."""

    url: str
    writes: tuple[str, ...]
    names: frozenset[str]
    classes: Mapping[str, Mapping[str, Class]]
    tables: Mapping[str, StreamSettings]


def load(name: str, settings: Mapping[str, Json]) -> Said:
    """Read a connection's settings; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    names, tables = read_streams(StreamSettings, at, asked.streams, _SAID)
    for stream in sorted({*(names or ()), *tables} - STREAMS.keys()):
        known = ", ".join(STREAMS)
        raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    if set(asked.writes or ()) - OPERATIONS.keys():
        raise SettingsError(field=f"{at}.writes", expected_fr=_SAID["writes"][0], expected_en=_SAID["writes"][1])
    classes = {stream: read_classes(f"{at}.streams.{stream}", table.classes, _SAID) for stream, table in tables.items()}
    return Said(asked.url.rstrip("/"), tuple(asked.writes or ()), names or frozenset(STREAMS), classes, tables)

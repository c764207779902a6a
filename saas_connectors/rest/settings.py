"""What sovereign.toml can say of a REST source: every field but `path` and `primary_key` has a default or is found.

They are read strictly: an unknown or wrong field is named, with what was expected, before anything is asked of the vendor.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from saas_connectors.connector import Class, Contract, Json
from saas_connectors.errors import SettingsError
from saas_connectors.paging import Cursor, Keyset, Link, Offset, Page, Paging, Single, Windows
from saas_connectors.rest.legible import Form
from saas_connectors.stream_settings import SAID, Said, Text, Texts, read, read_classes
from saas_connectors.values import arrow_type

KINDS: Final[Mapping[str, type]] = {
    "page": Page,
    "offset": Offset,
    "cursor": Cursor,
    "link": Link,
    "next": Link,
    "keyset": Keyset,
    "windows": Windows,
    "none": Single,
}
_CENTURY: Final = 100 * 366 * 86_400
_DURATION: Final = re.compile(r"(\d{1,12})\s*(s|second|min|minute|h|hour|d|day|week)s?")
_UNITS: Final = {
    "s": 1,
    "second": 1,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "week": 604800,
}

Scalar = str | int | float | bool


class CountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count`: where the vendor counts its records; `field` is found when the answer holds one number."""

    path: Text
    field: str = ""


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[connections.NAME.streams.STREAM]`: one list of the vendor's API."""

    path: Text
    primary_key: Texts
    records: str | None = None
    paging: dict[str, Any] = {}
    cursor: Text | None = None
    param: Text | None = None
    lookback: str | int = ""
    classes: dict[str, Any] = {}
    types: dict[str, str] = {}
    zone: str = "UTC"
    total: Text | None = None
    count: CountSettings | None = None
    params: dict[str, Scalar] = {}
    headers: dict[str, str] = {}
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] | None = None
    format: Form | None = None
    keyed: str = ""
    contract: Contract = "evolve"
    title: str = ""
    item: Text | None = None


class ConnectionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[connections.NAME]` of a REST source: what all its streams share."""

    url: Text
    streams: Any
    params: dict[str, Scalar] = {}
    headers: dict[str, str] = {}
    slices: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    operations: dict[str, Any] = {}


REST_SAID: Final[Said] = {
    **SAID,
    "path": ("le chemin de la liste, ajouté à l'adresse", "the path of the list, added to the address"),
    "primary_key": ("une liste de champs", "a list of fields"),
    "records": ("le chemin des enregistrements, comme « data.items »", "the path of the records, such as `data.items`"),
    "paging": ("une table, comme { kind = « page » }", "a table, such as { kind = `page` }"),
    "cursor": ("le nom d'un champ", "the name of a field"),
    "param": (
        "un paramètre, comme « since » ou « filter=maj ge {{}} »",
        "a parameter, such as `since` or `filter=updated ge {{}}`",
    ),
    "lookback": ("une durée, comme « 10 minutes »", "a duration, such as `10 minutes`"),
    "types": ("une table de types, par champ", "a table of types, by field"),
    "zone": ("un fuseau horaire, comme « Europe/Paris »", "a time zone, such as `Europe/Paris`"),
    "total": ("le chemin d'un nombre", "the path of a number"),
    "count": ("une table avec path", "a table with path"),
    "params": ("une table de textes et de nombres", "a table of texts and numbers"),
    "headers": ("une table de textes", "a table of texts"),
    "method": ("« GET » ou « POST »", "`GET` or `POST`"),
    "body": ("une table", "a table"),
    "format": ("« json », « jsonl » ou « csv »", "`json`, `jsonl` or `csv`"),
    "keyed": ("le champ qui prend la clé de chaque enregistrement", "the field that takes each record's key"),
    "slices": ("un nombre de tranches, de 1 à 64", "a number of slices, 1 to 64"),
    "streams": (
        "une table par flux, comme streams.lettres.path=/lettres et streams.lettres.primary_key=id",
        "a table a stream, such as streams.letters.path=/letters and streams.letters.primary_key=id",
    ),
    "item": ("le chemin d'un enregistrement, comme « /lettres/{{id}} »", "the path of one record, such as `/letters/{{id}}`"),
    "operations": ("une table par opération", "a table an operation"),
}


def _wrong(field: str, said: str) -> SettingsError:
    fr, en = REST_SAID[said]
    return SettingsError(field=field, expected_fr=fr, expected_en=en)


def load(name: str, settings: Mapping[str, Json]) -> tuple[ConnectionSettings, dict[str, StreamSettings]]:
    """Read a connection's settings and those of its streams; raises `SettingsError`."""
    at = f"connections.{name}"
    connection = read(ConnectionSettings, at, settings, REST_SAID)
    if not isinstance(connection.streams, dict) or not connection.streams:
        raise _wrong(f"{at}.streams", "streams")
    streams: dict[str, StreamSettings] = {}
    for stream, table in connection.streams.items():
        where = f"{at}.streams.{stream}"
        if not isinstance(table, dict):
            raise _wrong(f"{at}.streams", "streams")
        streams[stream] = read(StreamSettings, where, table, REST_SAID)
        _check(where, streams[stream])
    return connection, streams


def _check(at: str, stream: StreamSettings) -> None:
    for name, declared in stream.types.items():
        try:
            arrow_type(declared)
        except ValueError:
            raise SettingsError(
                field=f"{at}.types.{name}",
                expected_fr="un type comme « timestamp », « date », « decimal(12,2) », « int »",
                expected_en="a type such as `timestamp`, `date`, `decimal(12,2)`, `int`",
            ) from None
    try:
        ZoneInfo(stream.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise _wrong(f"{at}.zone", "zone") from None
    classes(at, stream)
    duration(f"{at}.lookback", stream.lookback)
    if stream.param and not stream.cursor:
        raise _wrong(f"{at}.cursor", "cursor")
    if stream.body is not None and stream.method != "POST":
        raise _wrong(f"{at}.method", "method")
    if "kind" in stream.paging:
        table = {name: value for name, value in stream.paging.items() if name != "start"}
        paging(f"{at}.paging", table | {"start_at": "1970-01-01", "end_at": "1970-01-02"})


def classes(at: str, stream: StreamSettings) -> dict[str, Class]:
    """Give each classified field its class."""
    return read_classes(at, stream.classes, REST_SAID)


def duration(field: str, value: str | int) -> timedelta | None:
    """Read a duration, a number being seconds; None when none is given; raises `SettingsError`."""
    if value == "":
        return None
    seconds = value if isinstance(value, int) else -1
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        seconds = int(found[1]) * _UNITS[found[2]]
    if 0 <= seconds <= _CENTURY:
        return timedelta(seconds=seconds)
    raise _wrong(field, "lookback")


def paging(at: str, table: Mapping[str, Json]) -> Paging:
    """Make the strategy that a `paging` table describes; raises `SettingsError`."""
    kind = KINDS.get(table.get("kind", ""))
    if kind is None:
        known = ", ".join(KINDS)
        raise SettingsError(field=f"{at}.kind", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    given = {name: value for name, value in table.items() if name != "kind"}
    if kind is not Windows:
        given = {name: value for name, value in given.items() if name not in {"start_at", "end_at"}}
    elif isinstance(given.get("width"), str):
        width = duration(f"{at}.width", given["width"])
        given["width"] = max(1, int(width.total_seconds())) if width else 86_400
    known_fields = [field.name for field in fields(kind)]
    for name in given.keys() - set(known_fields):
        known = ", ".join(known_fields)
        raise SettingsError(field=f"{at}.{name}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    try:
        made: Paging = msgspec.convert(given, kind)
    except msgspec.ValidationError as refusal:
        found = re.search(r"`\$\.(\w+)`", str(refusal)) or re.search(r"field `(\w+)`", str(refusal))
        name = found[1] if found else "kind"
        raise SettingsError(
            field=f"{at}.{name}", expected_fr="une valeur du bon type", expected_en="a value of the right type"
        ) from None
    size = made.asked
    for name, number in (("cap" if isinstance(made, Windows) else "size", size), ("width", getattr(made, "width", None))):
        if number is not None and not 1 <= number <= _CENTURY:
            raise SettingsError(field=f"{at}.{name}", expected_fr="un nombre au-dessus de 0", expected_en="a number above 0")
    if table["kind"] == "next" and isinstance(made, Link) and not made.path:
        raise SettingsError(field=f"{at}.path", expected_fr="où est le lien suivant", expected_en="where the next link is")
    return made


def describe(made: Paging) -> dict[str, Json]:
    """Write a strategy as the table that makes it."""
    kind = next(name for name, known in KINDS.items() if isinstance(made, known))
    return {"kind": kind} | asdict(made)  # type: ignore[call-overload,no-any-return]  # each is a dataclass

"""What can be said of files: where they lie, how they are named, which of them count, and how each is read.

Only `files` and `primary_key` are required of a stream. What the reading leaves out is found in the file itself, as far as
there is only one way to find it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from saas_connectors.connector import Class, Contract, Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.naming import BadPattern, Pattern, pattern
from saas_connectors.formats import FORMATS
from saas_connectors.formats.cells import DATES, DECIMALS
from saas_connectors.formats.text import ENCODINGS
from saas_connectors.stream_settings import SAID, Said, Text, Texts, read, read_classes
from saas_connectors.values import arrow_type

REJECTED: Final = "_rejected"
"""How the name of the stream ends that holds what was set aside of another."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,53}")
_DURATION: Final = re.compile(r"(\d{1,6})\s*(s|seconds?|m|minutes?|h|hours?)")
_ENDINGS: Final = {"txt": "csv", "tsv": "csv", "ndjson": "jsonl"}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
Take: TypeAlias = Literal["one", "newest", "all"]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=100_000)]

SAYS: Final[Said] = {
    **SAID,
    "streams": (
        "une table par flux, comme streams.agents.files=agents.csv et streams.agents.primary_key=matricule",
        "a table a stream, such as streams.agents.files=agents.csv and streams.agents.primary_key=number",
    ),
    "files": ("un motif de noms, comme « agents_{%Y%m%d}.csv »", "a pattern of names, such as `agents_{%Y%m%d}.csv`"),
    "place": ("un lieu, ou une table dont « kind » en est un", "a place, or a table whose `kind` is one"),
    "take": ("« one », « newest » ou « all »", "`one`, `newest` or `all`"),
    "primary_key": ("la liste des colonnes qui nomment une ligne", "the list of the columns that name a row"),
    "format": (f"un de : {', '.join(FORMATS)}", f"one of: {', '.join(FORMATS)}"),
    "separator": ("un signe, comme « ; »", "one sign, such as `;`"),
    "quote": ("un signe, ou « none »", "one sign, or `none`"),
    "encoding": (f"un de : {', '.join(ENCODINGS)}", f"one of: {', '.join(ENCODINGS)}"),
    "dates": (f"une de : {', '.join(DATES)}", f"one of: {', '.join(DATES)}"),
    "decimal": ("« , » ou « . »", "`,` or `.`"),
    "types": ("une table « colonne = type »", "a table `column = type`"),
    "widths": ("une table « colonne = nombre de caractères »", "a table `column = number of characters`"),
    "columns": ("la liste des noms des colonnes", "the list of the names of the columns"),
    "skip": ("un nombre de lignes", "a number of lines"),
    "trailer": ("la dernière ligne, avec « {count} » pour leur nombre", "the last line, with `{count}` for the number of rows"),
    "marker": ("ce qui suit le nom du fichier, comme « .ok »", "what follows the name of the file, such as `.ok`"),
    "quiet": ("une durée, comme « 2 minutes »", "a duration, such as `2 minutes`"),
    "older": ("« refuse » ou « take »", "`refuse` or `take`"),
    "unfinished": ("une liste de motifs de noms", "a list of patterns of names"),
    "zone": ("un fuseau, comme « Europe/Paris »", "a zone, such as `Europe/Paris`"),
    "writes": ("une liste de noms de fichiers à écrire", "a list of names of files to write"),
}  # fmt: skip


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table made of files."""

    files: Text
    primary_key: Texts
    take: Take | None = None
    format: Text | None = None
    inside: Text | None = None
    separator: Text | None = None
    quote: Text | None = None
    encoding: Text | None = None
    columns: Texts | None = None
    widths: dict[str, Positive] | None = None
    skip: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    dates: Text | None = None
    decimal: Text | None = None
    rows: str | None = None
    sheet: Text | None = None
    types: dict[str, str] = {}
    zone: str = "UTC"
    trailer: Text | None = None
    marker: Text | None = None
    quiet: Text | None = None
    older: Literal["refuse", "take"] = "refuse"
    unfinished: tuple[Text, ...] = ("*.part", "*.tmp", "*.partial", "*.filepart", "~*")
    classes: dict[str, Json] = {}
    contract: Contract = "evolve"
    title: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table."""

    url: Text
    place: Any = None
    streams: Any = None
    writes: Any = None


class Dataset(msgspec.Struct, frozen=True):
    """A stream's settings, read and whole. quiet: seconds; format: None when the name of each file says it."""

    name: str
    at: str
    settings: StreamSettings
    pattern: Pattern
    take: Take
    format: str | None
    quiet: int
    unfinished: tuple[Pattern, ...]
    classes: dict[str, Class]

    @property
    def options(self) -> dict[str, Json]:
        """What its format is told."""
        names = ("separator", "quote", "encoding", "columns", "widths", "skip", "dates", "decimal", "rows", "sheet", "trailer")
        held = {name: getattr(self.settings, name) for name in names}
        return {name: value for name, value in held.items() if value is not None}


def load(at: str, table: Mapping[str, Json]) -> tuple[Settings, tuple[Dataset, ...]]:
    """Read a connection's settings; at: their dotted place. Raises `SettingsError`."""
    asked = read(Settings, at, table, SAYS)
    streams = asked.streams
    if streams is None and asked.writes is not None:
        return asked, ()
    if not isinstance(streams, dict) or not streams or not all(isinstance(held, dict) for held in streams.values()):
        raise _wrong(f"{at}.streams", "streams")
    return asked, tuple(_dataset(f"{at}.streams.{name}", name, held) for name, held in streams.items())


def _dataset(at: str, name: str, table: Mapping[str, Json]) -> Dataset:
    asked = read(StreamSettings, at, table, SAYS)
    if not _NAME.fullmatch(name) or name.endswith(REJECTED):
        raise SettingsError(
            field=at,
            expected_fr=f"un nom en minuscules, chiffres et « _ », qui ne finit pas par « {REJECTED} »",
            expected_en=f"a name of small letters, digits and `_`, that does not end in `{REJECTED}`",
        )
    names = _patterns(at, "files", [asked.files])[0]
    take: Take = asked.take or ("newest" if names.form else "one")
    if take == "newest" and not names.form:
        raise SettingsError(
            field=f"{at}.files",
            expected_fr="un motif avec la date, comme « {%Y%m%d} », pour que le plus récent se reconnaisse",
            expected_en="a pattern with the date, such as `{%Y%m%d}`, so that the newest can be told",
        )
    _allowed(at, asked)
    for column, kind in asked.types.items():
        try:
            arrow_type(kind)
        except ValueError:
            raise SettingsError(
                field=f"{at}.types.{column}",
                expected_fr="un type, comme « date », « int », « decimal(12,2) »",
                expected_en="a type, such as `date`, `int`, `decimal(12,2)`",
            ) from None
    return Dataset(
        name=name, at=at, settings=asked, pattern=names, take=take, format=asked.format or format_of(asked.files),
        quiet=_seconds(at, asked.quiet), unfinished=_patterns(at, "unfinished", asked.unfinished),
        classes=read_classes(at, asked.classes, SAYS),
    )  # fmt: skip


def _allowed(at: str, asked: StreamSettings) -> None:
    """Hold to what they can be the settings that are texts."""
    known = {"format": tuple(FORMATS), "encoding": ENCODINGS, "dates": DATES, "decimal": DECIMALS}
    for field, values in known.items():
        if getattr(asked, field) not in (None, *values):
            raise _wrong(f"{at}.{field}", field)
    for field in ("separator", "quote"):
        value = getattr(asked, field)
        if value is not None and (len(value) != 1 or value in "\r\n\0") and not (field == "quote" and value == "none"):
            raise _wrong(f"{at}.{field}", field)
    if asked.decimal is not None and asked.decimal == asked.separator and asked.quote == "none":
        raise _wrong(f"{at}.decimal", "decimal")
    if asked.trailer is not None and asked.trailer.count("{count}") > 1:
        raise _wrong(f"{at}.trailer", "trailer")
    if asked.marker is not None and "/" in asked.marker:
        raise _wrong(f"{at}.marker", "marker")
    try:
        ZoneInfo(asked.zone)
    except (KeyError, ValueError, OSError):
        raise _wrong(f"{at}.zone", "zone") from None


def format_of(name: str) -> str | None:
    """The format that a name says, once its wrapping is taken off; None for none."""
    last = name.lower().removesuffix(".gz").removesuffix(".zip").rpartition(".")[2]
    return _ENDINGS.get(last, last if last in FORMATS else None)


def _patterns(at: str, field: str, written: Sequence[str]) -> tuple[Pattern, ...]:
    try:
        return tuple(pattern(each) for each in written)
    except BadPattern:
        raise _wrong(f"{at}.{field}", field) from None


def _seconds(at: str, written: str | None) -> int:
    if written is None:
        return 0
    found = _DURATION.fullmatch(written)
    if found is None:
        raise _wrong(f"{at}.quiet", "quiet")
    return int(found[1]) * _UNITS[found[2][0]]


def _wrong(field: str, name: str) -> SettingsError:
    return SettingsError(field=field, expected_fr=SAYS[name][0], expected_en=SAYS[name][1])

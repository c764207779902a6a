"""The settings of a connection to MaarchCourrier, read strictly.

`where` is SQL that the vendor runs, put beside ours: it must stand inside parentheses, and hold none of the words that Maarch
refuses, which it looks for inside texts as well, nor what it replaces in the clauses of groups (`@my_entities`): it replaces
that only to try a condition, and then runs the condition as it came.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from saas_connectors.connector import Class, Json
from saas_connectors.errors import SettingsError
from saas_connectors.mail.maarch_operations import checked
from saas_connectors.mail.maarch_streams import STREAMS
from saas_connectors.stream_settings import SAID, StreamSettings, Text, read, read_classes, read_streams

DENIED: Final = (
    "abort", "alter", "copy", "create", "delete", "disgard", "drop", "execute", "grant", "insert", "load", "lock", "move",
    "reset", "truncate", "update",
)  # fmt: skip
_DENIED: Final = re.compile(rf"\b(?:{'|'.join(DENIED)})\b", re.IGNORECASE)
_REPLACED: Final = re.compile(
    r"@(?:user|email|my_entities|my_primary_entity|all_entities|subentities|immediate_children|parent_entity|sisters_entities"
    r"|entity_type)"
)
_MOST_WHERE: Final = 4_000
SAID_HERE: Final = {
    **SAID,
    "limit": ("un nombre de courriers par page, de 1 à 5000", "a number of letters a page, 1 to 5000"),
    "server_zone": ("un fuseau horaire, comme « Europe/Paris »", "a time zone, such as `Europe/Paris`"),
    "where": ("une condition SQL sur res_view_letterbox", "an SQL condition on res_view_letterbox"),
    "lookback": ("un nombre de secondes, de 0 à 604800", "a number of seconds, 0 to 604800"),
    "survey_every": ("un nombre de secondes, de 0 à 604800", "a number of seconds, 0 to 604800"),
    "verify": ("true ou false", "true or false"),
    "writes": ("une liste d'opérations", "a list of operations"),
    "external_key": ("une clé des identifiants externes", "a key of external identifiers"),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table: `url` is the site's address, with or without `/rest`."""

    url: Text
    limit: int = 500
    server_zone: Text = "Europe/Paris"
    where: Text | None = None
    lookback: int = 3_600
    survey_every: int = 0
    verify: bool = True
    writes: list[Text] = []
    external_key: Text = "gateway"
    streams: Any = None

    @property
    def root(self) -> str:
        """Where the interface stands."""
        plain = self.url.rstrip("/")
        return plain if plain.endswith("/rest") else f"{plain}/rest"


def load(
    name: str, settings: Mapping[str, Json]
) -> tuple[Settings, frozenset[str], Mapping[str, StreamSettings], Mapping[str, Mapping[str, Class]]]:
    """Read a connection's settings, the streams offered, what was said of some, their classes; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, SAID_HERE)
    for field, low, high in (("limit", 1, 5_000), ("lookback", 0, 604_800), ("survey_every", 0, 604_800)):
        if not low <= getattr(asked, field) <= high:
            raise _wrong(at, field)
    try:
        ZoneInfo(asked.server_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong(at, "server_zone") from None
    checked(at, asked.writes, asked.external_key)
    if asked.where is not None:
        check_clause(f"{at}.where", asked.where)
    names, tables = read_streams(StreamSettings, at, asked.streams, SAID_HERE)
    for stream in {*(names or ()), *tables}:
        if stream not in STREAMS:
            known = ", ".join(STREAMS)
            raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    classes = {stream: read_classes(f"{at}.streams.{stream}", table.classes, SAID_HERE) for stream, table in tables.items()}
    for stream, given in classes.items():
        for unknown in given.keys() - set(STREAMS[stream].fields):
            known = ", ".join(STREAMS[stream].fields)
            raise SettingsError(
                field=f"{at}.streams.{stream}.classes.{unknown}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}"
            )
    return asked, names if names is not None else frozenset(STREAMS), tables, classes


def check_clause(field: str, clause: str) -> None:
    """Pass a condition that can stand in a list's clause; raises `SettingsError`, which says why and never quotes it."""
    if found := _DENIED.search(clause):
        word = found[0].lower()
        raise SettingsError(
            field=field,
            expected_fr=f"une condition sans le mot « {word} », que Maarch refuse même à l'intérieur d'un texte",
            expected_en=f"a condition without the word `{word}`, which Maarch refuses even inside a text",
        )
    if _REPLACED.search(clause):
        raise SettingsError(
            field=field,
            expected_fr="une condition sans mot que Maarch remplace (@my_entities…) : écrivez-la dans la clause du groupe",
            expected_en="a condition without what Maarch replaces (@my_entities…): write it in the clause of the group",
        )
    if len(clause) > _MOST_WHERE:
        raise SettingsError(
            field=field, expected_fr=f"au plus {_MOST_WHERE} caractères", expected_en=f"at most {_MOST_WHERE} characters"
        )
    if not _stands_alone(clause):
        raise SettingsError(
            field=field,
            expected_fr="une seule condition SQL, guillemets et parenthèses fermés, sans commentaire, « ; » ni « ? »",
            expected_en="one SQL condition, quotes and parentheses closed, without a comment, `;` or `?`",
        )


def _stands_alone(clause: str) -> bool:
    """Whether a condition put between parentheses stays between them."""
    if not clause.strip() or "\x00" in clause or "\\" in clause or "$" in clause:
        return False
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", " ", clause)
    if any(sign in bare for sign in ("'", '"', ";", "?", "--", "/*", "*/")):
        return False
    depth = 0
    for letter in bare:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def _wrong(at: str, name: str) -> SettingsError:
    return SettingsError(field=f"{at}.{name}", expected_fr=SAID_HERE[name][0], expected_en=SAID_HERE[name][1])

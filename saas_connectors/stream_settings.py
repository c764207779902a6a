"""A connector's settings, read strictly: an unknown or wrong field is named, with what was expected.

`streams` is a list of stream names (only these are offered), or a table a stream; both are optional.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, TypeVar, get_args

import msgspec

from saas_connectors.connector import Class, Contract, Json
from saas_connectors.errors import SettingsError

T = TypeVar("T", bound=msgspec.Struct)

Text = Annotated[str, msgspec.Meta(min_length=1)]
Texts = Annotated[list[Text], msgspec.Meta(min_length=1)]
Said = Mapping[str, tuple[str, str]]
"""What each field expects, in French and in English."""


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be said of one stream: other classes for some fields, another contract."""

    classes: dict[str, Json] = {}
    contract: Contract = "evolve"


SAID: Said = {
    "url": ("une adresse", "an address"),
    "streams": ("une liste de flux, ou une table par flux", "a list of streams, or a table a stream"),
    "classes": (
        "« champ = classe » ou « classe = [champs] », la classe étant « internal », « personal » ou « sensitive »",
        "`field = class` or `class = [fields]`, the class being `internal`, `personal` or `sensitive`",
    ),
    "contract": (
        "« evolve », « freeze », « discard_row » ou « discard_value »",
        "`evolve`, `freeze`, `discard_row` or `discard_value`",
    ),
}
_PATH = re.compile(r"`\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")


def read(kind: type[T], at: str, table: Mapping[str, Json], said: Said = SAID) -> T:
    """Turn a table of settings into a `kind` (a msgspec struct); raises `SettingsError`, its field dotted from `at`."""
    key = table.get("primary_key")
    table = {**table, "primary_key": [key]} if isinstance(key, str) and key else table  # a key of one column
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as refusal:
        message = str(refusal)
    inside = _PATH.search(message)
    path = re.split(r"[.\[]", inside[1])[0] if inside else ""
    if unknown := _UNKNOWN.search(message):
        fr, en = unknown_to([field.name for field in msgspec.structs.fields(kind)], unknown[1])
        raise SettingsError(field=".".join(filter(None, (at, path, unknown[1]))), expected_fr=fr, expected_en=en)
    missing = _MISSING.search(message)
    name = missing[1] if missing else path
    fr, en = said.get(name, ("une valeur d'un autre type", "a value of another type"))
    raise SettingsError(field=f"{at}.{name}", expected_fr=fr, expected_en=en)


def unknown_to(known: list[str], name: str) -> tuple[str, str]:
    """Say (French, English) that a setting is unknown: the nearest name, else all of them."""
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f"réglage inconnu (peut-être « {near[0]} »)", f"unknown setting (perhaps `{near[0]}`)"
    names = ", ".join(known)
    return f"réglage inconnu ; connus : {names}", f"unknown setting; known: {names}"


def read_streams(kind: type[T], at: str, streams: Json, said: Said = SAID) -> tuple[frozenset[str] | None, dict[str, T]]:
    """Read `streams`: the names it limits the connection to (None for no limit), and the settings of those it gives some."""
    if streams is None:
        return None, {}
    if isinstance(streams, list) and all(isinstance(name, str) for name in streams) and streams:
        return frozenset(streams), {}
    if isinstance(streams, dict) and all(isinstance(held, dict) for held in streams.values()):
        return None, {name: read(kind, f"{at}.streams.{name}", held, said) for name, held in streams.items()}
    raise SettingsError(field=f"{at}.streams", expected_fr=said["streams"][0], expected_en=said["streams"][1])


def read_classes(at: str, written: Mapping[str, Json], said: Said = SAID) -> dict[str, Class]:
    """Give each field its class: written `field = "class"`, or `class = ["field", …]`; raises `SettingsError`.

    A field must be named: `*` would class what no one has seen yet.
    """
    kinds: tuple[Class, ...] = get_args(Class)
    found: dict[str, Class] = {}
    for name, value in written.items():
        listed = [kind for kind in kinds if kind == name and isinstance(value, list) and all(isinstance(f, str) for f in value)]
        single = [kind for kind in kinds if kind == value]
        if not listed and not single:
            raise SettingsError(field=f"{at}.classes.{name}", expected_fr=said["classes"][0], expected_en=said["classes"][1])
        found |= dict.fromkeys(value, listed[0]) if listed else {name: single[0]}
    if "*" in found:
        raise SettingsError(
            field=f"{at}.classes.*",
            expected_fr="des champs nommés : « * » classerait ceux que personne n'a encore vus",
            expected_en="named fields: `*` would class those that no one has seen yet",
        )
    return found

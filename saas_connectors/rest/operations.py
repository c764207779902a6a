"""What sovereign.toml can say of a REST operation: what is sent, and where to look at what the vendor made of it.

Everything is checked when the settings are read: a path, a look-up or an entity speaks of fields that every payload holds.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from saas_connectors.connector import Json, Operation
from saas_connectors.errors import SettingsError
from saas_connectors.payloads import sound
from saas_connectors.rest.settings import REST_SAID, Scalar
from saas_connectors.stream_settings import Said, Text, Texts, read

PLACE: Final = re.compile(r"\{(\w+)\}")
VENDOR_ID: Final = "vendor_id"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class LookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`look`: where the vendor shows what an operation changed; one record at its own path, or one of a list (`records`).

    first: whether it is looked at before the write too; None: when the operation is a departure.
    """

    path: Text
    params: dict[str, str] = {}
    record: str = ""
    records: str | None = None
    match: dict[str, str] = {}
    compare: dict[str, str] | None = None
    expect: dict[str, Scalar] = {}
    id: Text | None = None
    first: bool | None = None


class OperationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[connections.NAME.operations.OPERATION]`: one way to write."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: Text
    schema: dict[str, Any]
    title: str = ""
    title_en: str = ""
    stream: Text | None = None
    query: list[Text] = []
    body: Text | None = None
    format: Literal["json", "form"] = "json"
    headers: dict[str, str] = {}
    entity: Texts | None = None
    idempotent: bool | None = None
    key_header: Text | None = None
    removes: bool | None = None
    departure: bool = False
    vendor_id: Text | None = None
    look: LookSettings | None = None


SAID: Final[Said] = {
    **REST_SAID,
    "method": ("« POST », « PUT », « PATCH » ou « DELETE »", "`POST`, `PUT`, `PATCH` or `DELETE`"),
    "path": ("un chemin, comme « /lettres/{{id}} »", "a path, such as `/letters/{{id}}`"),
    "schema": ("un schéma JSON d'objet", "a JSON Schema of an object"),
    "look": ("une table avec path", "a table with path"),
    "entity": ("une liste de champs du contenu", "a list of fields of the payload"),
    "key_header": ("un nom d'en-tête", "the name of a header"),
    "format": ("« json » ou « form »", "`json` or `form`"),
}


def load(at: str, tables: Mapping[str, Json], streams: Iterable[str]) -> dict[str, tuple[OperationSettings, Operation]]:
    """Read the operations of a connection; `at` is the dotted place of their table; raises `SettingsError`."""
    found = {}
    for name, table in tables.items():
        where = f"{at}.{name}"
        if not _NAME.fullmatch(name) or not isinstance(table, dict):
            fr, en = "un nom en minuscules (a-z, 0-9, _) et une table", "a lower-case name (a-z, 0-9, _) and a table"
            raise SettingsError(field=where, expected_fr=fr, expected_en=en)
        if isinstance(table.get("look"), dict):
            read(LookSettings, f"{where}.look", table["look"], SAID)
        said = read(OperationSettings, where, table, SAID)
        schema = sound(said.schema, f"{where}.schema")
        _check(where, said, schema, frozenset(streams))
        found[name] = said, _operation(name, said, schema)
    return found


def compared(said: OperationSettings, fields: Iterable[str]) -> dict[str, str]:
    """Which fields of a payload are held against which of the record."""
    look = said.look
    if look is None or look.compare is not None:
        return {} if look is None or look.compare is None else dict(look.compare)
    if look.records is not None or said.method == "DELETE" or said.body is not None:
        return {}
    aside = {*PLACE.findall(said.path), *PLACE.findall(look.path), *said.query}
    return {name: name for name in fields if name not in aside}


def _operation(name: str, said: OperationSettings, schema: Mapping[str, Json]) -> Operation:
    look, removes = said.look, said.removes if said.removes is not None else said.method == "DELETE"
    tells = look is not None and (
        look.records is not None or removes or bool(look.expect) or bool(compared(said, schema.get("properties", ())))
    )
    return Operation(
        name,
        said.title or name,
        said.title_en or said.title or name,
        schema,
        said.stream,
        said.idempotent if said.idempotent is not None else said.method in ("PUT", "DELETE"),
        said.key_header,
        removes,
        said.departure,
        reads_back=look is not None,
        probes=tells and look is not None and VENDOR_ID not in PLACE.findall(look.path),
    )


def _check(at: str, said: OperationSettings, schema: Mapping[str, Json], streams: frozenset[str]) -> None:
    listed, always = set(schema.get("properties", ())), set(schema.get("required", ()))
    _among(f"{at}.path", PLACE.findall(said.path), always)
    _among(f"{at}.entity", said.entity or (), always)
    _among(f"{at}.query", said.query, listed)
    _among(f"{at}.body", (said.body,) if said.body else (), always)
    _among(f"{at}.stream", (said.stream,) if said.stream else (), streams)
    if said.key_header is not None and not _TOKEN.fullmatch(said.key_header):
        raise SettingsError(field=f"{at}.key_header", expected_fr=SAID["key_header"][0], expected_en=SAID["key_header"][1])
    look = said.look
    if look is None:
        return
    _among(f"{at}.look.path", PLACE.findall(look.path), always | {VENDOR_ID})
    _among(f"{at}.look.match", look.match, always)
    _among(f"{at}.look.compare", look.compare or (), listed)
    asked = [name for text in look.params.values() for name in PLACE.findall(text)]
    # A list that is asked by what names a record can be asked again by what names another: that proves its filter.
    _among(f"{at}.look.params", asked, set(look.match) if look.records is not None else always)
    if (look.records is not None) != bool(look.match):
        raise SettingsError(
            field=f"{at}.look.match",
            expected_fr="avec records, et seulement alors : une table « champ = chemin dans l'enregistrement »",
            expected_en="with `records`, and only then: a table `field = path in the record`",
        )


def _among(field: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or "—"
            raise SettingsError(
                field=field,
                expected_fr=f"« {name} » parmi les champs obligatoires : {listed}",
                expected_en=f"`{name}` among the required fields: {listed}",
            )
